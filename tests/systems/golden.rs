// SPDX-License-Identifier: Apache-2.0
//! What goes out and what comes of it, written down: the requests to each vendor and the text of
//! each vendor's metrics. `cargo insta review` (or `INSTA_UPDATE=always`) accepts a change.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::fmt::Write as _;

use conferencing_exporter::{
    config::Profile, metrics::text::Writer, model::CallName, systems::catalogue, web::render,
};
use simulator::{Options, Request, Simulator, Vendor};

use crate::common::{Bench, config, entry, exposition::Exposition, hosts, source};

/// Each vendor with everything it can do switched on, and the other ways to log in.
fn variants(simulator: &Simulator) -> Vec<(&'static str, Vendor, String)> {
    let hosts = hosts(&simulator.host_passwords(""));
    let url = |vendor| simulator.base_url(vendor);
    let full = |vendor, extra: &[&str]| {
        let extra =
            [extra, &["conferences: { enabled: true, identify: number }", "max_concurrency: 1"]]
                .concat();
        source(vendor, &url(vendor), &extra)
    };
    let other = |vendor: Vendor, lines: &[&str]| {
        entry(vendor.as_str(), vendor, &url(vendor), &[lines, &["min_interval: 0s"]].concat())
    };
    let (huawei, dingtalk) = (Vendor::HuaweiMeeting, Vendor::Dingtalk);
    vec![
        ("openvox_uc", Vendor::OpenvoxUc, full(Vendor::OpenvoxUc, &[])),
        ("yeastar_s", Vendor::YeastarS, full(Vendor::YeastarS, &[])),
        (
            "yeastar_p",
            Vendor::YeastarP,
            full(Vendor::YeastarP, &["room_details: true", "page_size: 5"]),
        ),
        ("huawei_meeting", huawei, full(huawei, &["attendees: true", "details: true", &hosts])),
        (
            "huawei_meeting_account",
            huawei,
            other(
                huawei,
                &["account: demo@example.com", "password: demo-password-not-secret", "scope: own"],
            ),
        ),
        ("asterisk", Vendor::Asterisk, full(Vendor::Asterisk, &[])),
        ("freeswitch", Vendor::FreeSwitch, full(Vendor::FreeSwitch, &[])),
        ("dingtalk", dingtalk, full(dingtalk, &["batch_size: 2"])),
        ("janus", Vendor::Janus, full(Vendor::Janus, &[])),
        (
            "bigbluebutton",
            Vendor::BigBlueButton,
            other(
                Vendor::BigBlueButton,
                &[
                    "shared_secret: demo-shared-secret-not-secret",
                    "conferences: { enabled: true, identify: name }",
                ],
            ),
        ),
        (
            "dingtalk_unified",
            dingtalk,
            other(
                dingtalk,
                &[
                    "corp_id: dingdemo",
                    "client_id: demo-client-id",
                    "client_secret: demo-client-secret-not-secret",
                ],
            ),
        ),
        (
            "dingtalk_third_party",
            dingtalk,
            other(
                dingtalk,
                &[
                    "suite_key: demo-suite-key",
                    "suite_secret: demo-suite-secret-not-secret",
                    "auth_corp_id: dingdemo",
                    "suite_ticket: demo-suite-ticket-not-secret",
                ],
            ),
        ),
    ]
}

/// Whether a value differs from run to run: tokens, signatures, nonces, times.
fn is_volatile(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["token", "authorization", "nonce", "expiretime", "ipaddr"]
        .iter()
        .any(|part| name.contains(part))
        && name != "x-token-type"
        && name != "createtokentype"
}

fn written(request: &Request) -> String {
    let mut text = format!("{} {}", request.method, request.path).trim().to_owned();
    for (index, (name, value)) in request.query.iter().enumerate() {
        let value = if is_volatile(name) { "<volatile>" } else { value };
        let _ = write!(text, "{}{name}={value}", if index == 0 { '?' } else { '&' });
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let mut headers = request.headers.clone();
    headers.sort();
    for (name, value) in headers {
        if matches!(name.as_str(), "host" | "content-length") {
            continue;
        }
        let value = if is_volatile(&name) { "<volatile>".to_owned() } else { value };
        let value = value.replace(env!("CARGO_PKG_VERSION"), "<version>");
        let _ = writeln!(text, "{name}: {value}");
    }
    if let Ok(serde_json::Value::Object(mut body)) = serde_json::from_str(&request.body) {
        for (name, value) in &mut body {
            if is_volatile(name) {
                *value = "<volatile>".into();
            }
        }
        let _ = writeln!(text, "{}", serde_json::Value::Object(body));
    } else {
        // Of a text protocol; an empty line ends it.
        for line in request.body.lines().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            let value = if name == "Key" { "<volatile>" } else { value };
            let _ = writeln!(text, "{name}: {value}");
        }
    }
    text
}

#[tokio::test]
async fn requests_are_the_documented_ones() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for (name, vendor, yaml) in variants(&simulator) {
        simulator.clear_requests();
        let bench = Bench::new(&config(&[yaml])).await;
        assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(1.0), "{name}");
        bench.engine.shutdown().await;
        let requests = simulator.requests(vendor, "");
        let mut texts: Vec<String> = Vec::new();
        for request in &requests {
            assert!(!request.forbidden, "{name}: {request:?}");
            let call = request.call;
            let known = calls_of(vendor).iter().any(|known| known.as_str() == call);
            assert!(known, "{name}: {request:?}");
            texts.push(written(request));
        }
        insta::assert_snapshot!(format!("requests_{name}"), texts.join("\n"));
    }
}

fn calls_of(vendor: Vendor) -> &'static [CallName] {
    let catalogue = catalogue();
    let known = |profile: &&&Profile| profile.name == vendor.as_str();
    catalogue.profiles().iter().find(known).unwrap().calls
}

#[tokio::test]
async fn metrics_of_each_vendor() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for (name, _, yaml) in variants(&simulator) {
        let bench = Bench::new(&config(&[yaml])).await;
        let mut writer = Writer::default();
        render::write_reports(&mut writer, &bench.reports().await);
        let text = writer.finish().concat();
        Exposition::parse(&text);
        let steady: String = text
            .lines()
            .map(|line| match line.rsplit_once(' ') {
                Some((series, _)) if is_measured_time(series) => format!("{series} <time>\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        insta::assert_snapshot!(format!("metrics_{name}"), steady);
    }
}

fn is_measured_time(series: &str) -> bool {
    [
        "conferencing_scrape_duration_seconds{",
        "conferencing_data_timestamp_seconds{",
        "conferencing_conference_start_timestamp_seconds{",
    ]
    .iter()
    .any(|name| series.starts_with(name))
}
