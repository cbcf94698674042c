// SPDX-License-Identifier: Apache-2.0
//! `/probe?source=NAME&debug=true`: what a collection did, as text for people.

use std::time::Duration;

use simulator::{Fault, Vendor};

use super::harness::{Exporter, config, simulator, write_private};

const PLAIN: &str = "text/plain; charset=utf-8";

fn place(text: &str, what: &str) -> usize {
    text.find(what).unwrap_or_else(|| panic!("no {what}: {text}"))
}

#[test]
fn tells_the_calls_in_their_order_and_what_was_counted() {
    let simulator = simulator(Duration::ZERO);
    let exporter = Exporter::start(&config(&simulator, &["a"]), &[]);
    let answer = exporter.get("/probe?source=a&debug=true");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(PLAIN)));
    let text = answer.text();
    assert!(text.starts_with("source   a (yeastar_s)\nresult   up\ntook     0."), "{text}");
    let login = place(&text, "  login ");
    let rooms = place(&text, "  conference/query ");
    let live = place(&text, "  conference/query_in_session ");
    assert!(login < rooms && rooms < live, "{text}");
    let first = text.lines().find(|line| line.contains("  login ")).expect("found above");
    assert!(first.contains(" s, status 200, ") && first.ends_with(" bytes"), "{first}");
    let truth = simulator.truth(Vendor::YeastarS, "a");
    let joined = truth.participants_joined.expect("reported");
    place(&text, &format!("conferencing_participants{{state=\"joined\"}} {joined}\n"));
    for canary in simulator.canaries() {
        assert!(!text.contains(&canary), "{canary} in {text}");
    }
    let names: Vec<_> =
        simulator.requests(Vendor::YeastarS, "a").iter().map(|request| request.call).collect();
    assert_eq!(
        names.len(),
        text.lines().filter(|line| line.contains("  at 0.")).count(),
        "{names:?}"
    );
}

#[test]
fn tells_why_a_call_failed() {
    let simulator = simulator(Duration::ZERO);
    let exporter = Exporter::start(&config(&simulator, &["a"]), &[]);
    let call = Some("conference/query");
    simulator.inject(Vendor::YeastarS, "a", call, Fault::Status(500), Some(1));
    let text = exporter.get("/probe?source=a&debug=true").text();
    assert!(text.contains("\nresult   down, reason http_5xx: conference/query failed"), "{text}");
    assert!(text.contains("\nlook at  "), "{text}");
    let line = text.lines().find(|line| line.contains("  conference/query ")).expect("the call");
    assert!(
        line.contains(" s, status 500, ") && line.ends_with(" bytes: http_5xx (code 500)"),
        "{line}"
    );
    assert!(!text.contains("\nCounted\n"), "{text}");
    simulator.inject(Vendor::YeastarS, "a", call, Fault::CloseBeforeAnswer, Some(1));
    let text = exporter.get("/probe?source=a&debug=true").text();
    let line = text.lines().find(|line| line.contains("  conference/query ")).expect("the call");
    assert!(line.contains("connect") && !line.contains("status"), "{line}");
}

#[test]
fn tells_why_there_was_no_call() {
    let simulator = simulator(Duration::ZERO);
    let yaml = format!("defaults: {{ min_interval: 1h }}\n{}", config(&simulator, &["a"]));
    let exporter = Exporter::start(&yaml, &[]);
    exporter.get("/metrics");
    let before = simulator.requests(Vendor::YeastarS, "a").len();
    let text = exporter.get("/probe?source=a&debug=true").text();
    assert!(
        text.contains("  none: the values are 0 s old, and younger than min_interval"),
        "{text}"
    );
    assert!(text.contains("\nCounted\n"), "{text}");
    assert_eq!(simulator.requests(Vendor::YeastarS, "a").len(), before);
}

#[test]
fn is_for_the_probe_of_one_source_only() {
    let simulator = simulator(Duration::ZERO);
    let exporter = Exporter::start(&config(&simulator, &["a"]), &[]);
    for (path, status) in [
        ("/metrics?debug=true", 400),
        ("/metrics?source=a&debug=true", 400),
        ("/metrics/self?debug=true", 400),
        ("/?debug=true", 400),
        ("/probe?debug=true", 400),
        ("/probe?source=a&debug", 400),
        ("/probe?source=a&debug=1", 400),
        ("/probe?source=a&debug=true&verbose=true", 400),
        ("/probe?source=b&debug=true", 404),
    ] {
        assert_eq!(exporter.get(path).status, status, "{path}");
    }
    let head = exporter.request("HEAD", "/probe?source=a&debug=true", &[]);
    assert_eq!((head.status, head.header("content-type")), (200, Some(PLAIN)));
    assert_eq!(simulator.requests(Vendor::YeastarS, "a").len(), 0);
    let metrics = exporter.get("/probe?source=a&debug=false");
    assert!(metrics.text().contains("conferencing_up{"), "{}", metrics.text());
}

/// Whoever may not see the status page may not see this either.
#[test]
fn needs_the_password_that_the_status_page_needs() {
    let simulator = simulator(Duration::ZERO);
    let directory = tempfile::tempdir().expect("directory");
    let hash = bcrypt::hash("secret", 4).expect("hash");
    let web = directory.path().join("web.yaml");
    write_private(&web, format!("basic_auth_users: {{ me: {hash} }}\n").as_bytes());
    let file = web.to_str().expect("text").to_owned();
    let arguments = ["--web.config.file", file.as_str()];
    let exporter = Exporter::start_in(directory, &config(&simulator, &["a"]), &arguments);
    for path in ["/", "/probe?source=a&debug=true"] {
        assert_eq!(exporter.get(path).status, 401, "{path}");
    }
    assert_eq!(simulator.requests(Vendor::YeastarS, "a").len(), 0);
}
