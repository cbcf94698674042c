// SPDX-License-Identifier: Apache-2.0
//! The endpoints, one by one.

#![allow(clippy::expect_used, reason = "in a test a panic is how a failure is reported")]

use std::{io::Read, time::Duration};

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use simulator::{Fault, Vendor};

use crate::{
    harness::{Exporter, NO_SOURCES, Response, config, simulator, value},
    wait::wait,
};

const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

#[test]
fn metrics_of_all_of_some_and_of_none() {
    let simulator = simulator(Duration::ZERO);
    let exporter = Exporter::start(&config(&simulator, &["a", "b", "c"]), &[]);

    let own = exporter.get("/metrics/self");
    assert_eq!((own.status, own.header("content-type")), (200, Some(METRICS)));
    assert!(own.text().contains("\nprocess_open_fds "), "{}", own.text());
    assert!(!own.text().contains("conferencing_up"));
    assert_eq!(simulator.requests(Vendor::YeastarS, "a").len(), 0);

    let some = exporter.get("/metrics?source=b&source=a&source=b");
    assert_eq!((some.status, some.header("content-type")), (200, Some(METRICS)));
    let text = some.text();
    assert_eq!(text.matches("\nconferencing_up{").count(), 2);
    assert!(text.contains("conferencing_logins_total{source=\"a\""));
    assert!(!text.contains("source=\"c\""));
    assert!(text.contains("\nconferencing_exporter_build_info{"));
    assert_eq!(simulator.requests(Vendor::YeastarS, "c").len(), 0);

    let all = exporter.get("/metrics").text();
    assert_eq!(all.matches("\nconferencing_up{").count(), 3);
    for name in ["a", "b", "c"] {
        let series = format!(
            "conferencing_up{{source=\"{name}\",vendor=\"yeastar_s\",site=\"<b>{name}</b>\"}}"
        );
        assert_eq!(value(&all, &series), Some(1.0), "{all}");
    }

    let probe = exporter.get("/probe?source=c");
    assert_eq!((probe.status, probe.header("content-type")), (200, Some(METRICS)));
    assert_eq!(probe.text().matches("\nconferencing_up{").count(), 1);
    for own in ["_total", "process_", "conferencing_exporter_"] {
        assert!(!probe.text().contains(own), "{own}");
    }
    assert_eq!(exporter.get("/probe?source=c&source=c").status, 200);
}

#[test]
fn wrong_requests_are_told_what_would_be_right() {
    let simulator = simulator(Duration::ZERO);
    let exporter = Exporter::start(&config(&simulator, &["a"]), &[]);
    for (method, path, status, hint) in [
        ("GET", "/probe", 400, "/probe?source=NAME"),
        ("GET", "/probe?source=", 400, "/probe?source=NAME"),
        ("GET", "/probe?source=a&source=b", 400, "/probe?source=NAME"),
        ("GET", "/probe?source=%C3%28", 400, "UTF-8"),
        ("GET", "/probe?source=b%0Ax", 404, "\"bx\""),
        ("GET", "/metrics?source=a&source=nope", 404, "\"nope\""),
        ("GET", "/metrics?source=%ff", 400, "UTF-8"),
        ("GET", "/metrics?target=a", 400, "unknown parameter \"target\": the only one is source"),
        ("GET", "/metrics?source[]=a", 400, "unknown parameter \"source[]\""),
        ("GET", "/probe?source=a&module=x", 400, "unknown parameter \"module\""),
        ("GET", "/metrics/self?source=a", 400, "unknown parameter \"source\": there are none here"),
        ("GET", "/sd?x", 400, "unknown parameter \"x\""),
        ("GET", "/?x=1", 400, "unknown parameter \"x\""),
        ("GET", "/-/healthy?x=1", 400, "unknown parameter \"x\""),
        ("GET", "/-/ready?x=1", 400, "unknown parameter \"x\""),
        ("POST", "/-/reload?x=1", 400, "unknown parameter \"x\""),
        ("GET", "/metrics?source=", 404, "/sd"),
        ("GET", "/metrics/", 404, "/metrics/self"),
        ("GET", "/favicon.ico", 404, "/probe?source=NAME"),
        ("POST", "/metrics", 405, "GET, HEAD"),
        ("DELETE", "/", 405, "GET, HEAD"),
        ("GET", "/-/reload", 405, "POST"),
        ("POST", "/-/reload", 403, "--web.enable-lifecycle"),
        ("POST", "/nope", 404, "/sd"),
    ] {
        let answer = exporter.request(method, path, &[]);
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.text().contains(hint), "{method} {path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        let allow = (status == 405).then_some(hint);
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    assert_eq!(simulator.requests(Vendor::YeastarS, "a").len(), 0);
    let count =
        |series: &str| exporter.own(&format!("conferencing_exporter_http_requests_total{series}"));
    assert_eq!(count("{code=\"400\",handler=\"probe\"}"), Some(5.0));
    assert_eq!(count("{code=\"405\",handler=\"metrics\"}"), Some(1.0));
    assert_eq!(count("{code=\"404\",handler=\"other\"}"), Some(3.0));
}

#[test]
fn head_has_the_headers_and_no_body() {
    let simulator = simulator(Duration::ZERO);
    let exporter = Exporter::start(&config(&simulator, &["a"]), &[]);
    for path in ["/sd", "/-/healthy", "/-/ready", "/nope", "/probe?source=x", "/metrics?source=x"] {
        let (get, head) = (exporter.get(path), exporter.request("HEAD", path, &[]));
        assert_eq!(head.status, get.status, "{path}");
        assert!(head.body.is_empty(), "{path}");
        for name in ["content-type", "content-length", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
    for path in ["/metrics", "/probe?source=a"] {
        let head = exporter.request("HEAD", path, &[("Accept-Encoding", "gzip")]);
        assert_eq!((head.status, head.header("content-type")), (200, Some(METRICS)), "{path}");
        assert_eq!(head.header("content-encoding"), Some("gzip"));
        assert_eq!(head.header("content-length"), None);
        assert!(head.body.is_empty());
    }
    assert_eq!(simulator.requests(Vendor::YeastarS, "a").len(), 0, "HEAD asks no source");
}

#[test]
fn open_metrics_for_those_who_ask_for_it() {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let simulator = simulator(Duration::ZERO);
    let exporter = Exporter::start(&config(&simulator, &["a"]), &[]);
    for path in ["/metrics", "/metrics/self", "/probe?source=a"] {
        let get = |accept: &str| exporter.request("GET", path, &[("Accept", accept)]);
        let answer = get("application/openmetrics-text; version=1.0.0, text/plain; q=0.5");
        assert_eq!(answer.header("content-type"), Some(OPEN_METRICS), "{path}");
        let text = answer.text();
        assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1, "{path} {text}");
        assert!(text.contains("\n# UNIT ") && !text.contains("_created"), "{path} {text}");
        assert!(!text.contains("_total counter\n"), "{path} {text}");
        for accept in ["*/*", "application/openmetrics-text;q=0.1, text/plain;q=0.2"] {
            let answer = get(accept);
            assert_eq!(answer.header("content-type"), Some(METRICS), "{path} {accept}");
            assert!(!answer.text().contains("# EOF"), "{path} {accept}");
        }
        assert_eq!(exporter.get(path).header("content-type"), Some(METRICS), "{path}");
    }
    let head = exporter.request("HEAD", "/metrics", &[("Accept", "application/openmetrics-text")]);
    assert_eq!(head.header("content-type"), Some(OPEN_METRICS));
}

#[test]
fn gzip_for_those_who_take_it() {
    let exporter = Exporter::start(NO_SOURCES, &[]);
    let zipped =
        exporter.request("GET", "/metrics", &[("Accept-Encoding", "deflate, gzip;q=1.0, *;q=0.5")]);
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    assert_eq!(zipped.header("vary"), Some("Accept-Encoding"));
    let mut text = String::new();
    GzDecoder::new(zipped.body.as_slice()).read_to_string(&mut text).expect("gzip");
    assert!(text.contains("conferencing_exporter_build_info"));
    let plain = exporter.request("GET", "/metrics", &[("Accept-Encoding", "gzip;q=0")]);
    assert_eq!(plain.header("content-encoding"), None);
    assert!(plain.text().contains("conferencing_exporter_build_info"));
}

#[test]
fn service_discovery_names_this_exporter_as_the_client_does() {
    let simulator = simulator(Duration::ZERO);
    let exporter = Exporter::start(&config(&simulator, &["a"]), &[]);
    let sd = |headers: &[(&str, &str)]| exporter.request("GET", "/sd", headers);
    let answer = sd(&[("Host", "exporter.example:9999")]);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let groups: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let expected = json!([{
        "targets": ["exporter.example:9999"],
        "labels": {
            "__metrics_path__": "/probe",
            "__param_source": "a",
            "source": "a",
            "vendor": "yeastar_s",
            "__meta_conferencing_label_site": "<b>a</b>",
        },
    }]);
    assert_eq!(groups, expected);
    assert_eq!(sd(&[("Host", "")]).status, 400);
    assert_eq!(sd(&[("Host", "a b/c")]).status, 400);

    let none = Exporter::start(NO_SOURCES, &[]);
    assert_eq!(none.get("/sd").text(), "[]");
}

#[test]
fn behind_a_proxy_with_a_prefix() {
    let simulator = simulator(Duration::ZERO);
    let arguments =
        ["--web.external-url", "https://example.com/conf/", "--web.telemetry-path", "/m"];
    let exporter = Exporter::start(&config(&simulator, &["a"]), &arguments);
    for (path, status) in [
        ("/conf/m", 200),
        ("/conf/m/self", 200),
        ("/conf/", 200),
        ("/conf/-/healthy", 200),
        ("/metrics", 404),
        ("/-/healthy", 404),
        ("/confm", 404),
    ] {
        assert_eq!(exporter.get(path).status, status, "{path}");
    }
    for path in ["/", "/conf"] {
        let answer = exporter.get(path);
        assert_eq!((answer.status, answer.header("location")), (302, Some("/conf/")), "{path}");
    }
    let groups: Value = serde_json::from_slice(&exporter.get("/conf/sd").body).expect("JSON");
    assert_eq!(groups[0]["targets"], json!(["example.com:443"]));
    assert_eq!(groups[0]["labels"]["__metrics_path__"], "/conf/probe");
    assert_eq!(groups[0]["labels"]["__scheme__"], "https");
}

#[test]
fn the_status_page_asks_nobody_and_escapes() {
    let simulator = simulator(Duration::ZERO);
    let exporter = Exporter::start(&config(&simulator, &["good", "bad", "new"]), &[]);
    simulator.inject(Vendor::YeastarS, "bad", None, Fault::Redirect("http://x/".to_owned()), None);
    assert!(exporter.get("/").text().contains("not asked yet"));
    assert_eq!(simulator.requests(Vendor::YeastarS, "good").len(), 0);
    exporter.get("/metrics?source=good&source=bad");
    let before = simulator.requests(Vendor::YeastarS, "good").len();
    let page = exporter.get("/");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").expect("policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    let text = page.text();
    let place =
        |text: &str, what: &str| text.find(what).unwrap_or_else(|| panic!("no {what}: {text}"));
    assert!(place(&text, "probe?source=bad") < place(&text, "probe?source=new"));
    assert!(place(&text, "probe?source=new") < place(&text, "probe?source=good"));
    assert!(text.contains("usually https and port 8088"), "{text}");
    assert!(!text.contains("<b>"), "{text}");
    // The reason leads to its section in the runbooks; the failure says since when.
    let runbook = "docs/runbooks.md#redirect\"><code>redirect</code></a> login failed: redirect";
    assert!(text.contains(runbook), "{text}");
    let since = &text[place(&text, "<p>down since <time datetime=\"2")..];
    assert!(since[..since.find("</p>").expect("its end")].ends_with(" ago)"), "{since}");
    assert!(text.contains("probe?source=bad&amp;debug=true\">calls</a>"), "{text}");
    assert!(!text.contains("<script") && !text.contains("src="));
    assert_eq!(simulator.requests(Vendor::YeastarS, "good").len(), before);
}

#[test]
fn beyond_the_limit_scrapes_are_refused_until_one_ends() {
    let simulator = simulator(Duration::ZERO);
    let exporter = Exporter::start(&config(&simulator, &["a"]), &["--web.max-requests", "1"]);
    simulator.inject(Vendor::YeastarS, "a", None, Fault::Hang, None);
    let asked = exporter.ask("/metrics");
    wait("the first scrape", || simulator.open_connections(), |open| *open == 1);
    for (method, path) in [("GET", "/metrics"), ("HEAD", "/metrics"), ("GET", "/probe?source=a")] {
        let refused = exporter.request(method, path, &[]);
        assert_eq!(refused.status, 503, "{method} {path}");
    }
    for open in ["/metrics/self", "/-/healthy", "/", "/sd"] {
        assert_eq!(exporter.get(open).status, 200, "{open}");
    }
    // The client leaves: its collection ends, and its place is free.
    drop(asked);
    wait("the end of the collection", || simulator.open_connections(), |open| *open == 0);
    simulator.clear_faults();
    assert_eq!(exporter.get("/metrics").status, 200);

    // A scrape that timed out gives its place back as well.
    simulator.inject(Vendor::YeastarS, "a", None, Fault::Hang, None);
    let header = [("X-Prometheus-Scrape-Timeout-Seconds", "0.7")];
    for _ in 0..2 {
        let late = exporter.request("GET", "/metrics", &header);
        assert_eq!(late.status, 200);
        assert!(
            late.text()
                .contains("conferencing_up{source=\"a\",vendor=\"yeastar_s\",site=\"<b>a</b>\"} 0")
        );
    }
    let answer: Response = exporter.get("/metrics/self");
    assert!(
        answer.text().contains(
            "conferencing_exporter_http_requests_total{code=\"503\",handler=\"metrics\"} 2"
        )
    );
}
