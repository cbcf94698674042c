// SPDX-License-Identifier: Apache-2.0
//! How long a lock-out is waited for, and what ends it early.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimePrinter};
use simulator::{Fault, Options, Simulator, Vendor};

use crate::common::{Bench, config, entry, script::Script, source, wait::later};

const VENDOR: Vendor = Vendor::YeastarP;

fn logins(simulator: &Simulator) -> usize {
    simulator.requests(VENDOR, "").iter().filter(|seen| seen.call == "get_token").count()
}

/// A P-Series that answers a login with 70004 and `more` keys.
async fn blocked(more: &str) -> (Simulator, Bench, String) {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let body = format!(r#"{{"errcode":70004,"errmsg":"ACCOUNT IP BLOCKED"{more}}}"#);
    simulator.inject(VENDOR, "", Some("get_token"), Fault::Body(body.into_bytes()), None);
    let yaml = config(&[source(VENDOR, &simulator.base_url(VENDOR), &[])]);
    let bench = Bench::new(&yaml).await;
    assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(0.0));
    assert_eq!(bench.errors("locked_out"), 1.0, "{more}");
    assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0), "{more}");
    (simulator, bench, yaml)
}

#[tokio::test]
async fn a_p_series_says_when_its_block_ends() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let quarter = 15 * 60;
    let hour = 60 * 60;
    let cases = [
        (format!(r#","block_expire_time":{}"#, now + hour), hour),
        (format!(r#","block_expire_time":"{}""#, now + hour), hour),
        (String::new(), quarter),
        // A block without end is shown as one that ends in 2099.
        (r#","block_expire_time":4102415999"#.to_owned(), quarter),
        (format!(r#","block_expire_time":{}"#, now - hour), quarter),
        (r#","block_expire_time":"soon""#.to_owned(), quarter),
        (r#","block_expire_time":null"#.to_owned(), quarter),
        (r#","block_expire_time":-1"#.to_owned(), quarter),
    ];
    for (more, seconds) in cases {
        let (simulator, bench, _) = blocked(&more).await;
        // The time it ends is on the wall's clock: some seconds pass meanwhile.
        later(Duration::from_secs(seconds - 60)).await;
        bench.scrape().await;
        assert_eq!(logins(&simulator), 1, "{more}");
        later(Duration::from_secs(61)).await;
        simulator.clear_faults();
        let scraped = bench.scrape().await;
        assert_eq!(scraped.value("conferencing_up", &[]), Some(1.0), "{more}");
        assert_eq!(logins(&simulator), 2, "{more}");
    }
}

/// A PBX with the wrong time zone, or without a source of the time, is hours ahead of us or behind.
#[tokio::test]
async fn a_block_ends_on_the_clock_of_the_p_series() {
    for hours in [-9, 8] {
        let there = Timestamp::now() + SignedDuration::from_hours(hours);
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&there).unwrap();
        let end = there.as_second() + 20 * 60;
        let body = format!(r#"{{"errcode":70004,"block_expire_time":{end}}}"#);
        let length = body.len();
        let pbx = Script::start("", move |_| {
            let head = format!("HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-length: {length}");
            Some(format!("{head}\r\n\r\n{body}").into_bytes())
        })
        .await;
        let url = format!("http://{}", pbx.address);
        let bench = Bench::new(&config(&[source(VENDOR, &url, &[])])).await;
        for (minutes, expected) in [(0, 1), (19, 1), (2, 2)] {
            later(Duration::from_secs(minutes * 60)).await;
            bench.scrape().await;
            assert_eq!(pbx.seen().len(), expected, "{hours} hours ahead, {minutes} minutes later");
        }
    }
}

#[tokio::test]
async fn a_reload_that_changes_the_login_ends_it_but_not_a_third_time() {
    let (simulator, bench, yaml) = blocked("").await;
    bench.apply(&yaml.replace("demo-client-secret-not-secret", "another")).await;
    bench.scrape().await;
    assert_eq!(logins(&simulator), 2);
    simulator.clear_faults();
    bench.apply(&yaml).await;
    bench.scrape().await;
    assert_eq!(logins(&simulator), 2, "twice in ten minutes is enough");
    later(Duration::from_secs(10 * 60)).await;
    assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(1.0));
}

/// A token held when the system locks us out is not forgotten: it is given back afterwards.
#[tokio::test]
async fn a_token_outlives_a_lock_out_and_is_given_back() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let yaml = config(&[source(VENDOR, &simulator.base_url(VENDOR), &[])]);
    let bench = Bench::new(&yaml).await;
    bench.scrape().await;
    let locked = Fault::VendorError("70004".to_owned());
    simulator.inject(VENDOR, "", Some("conference/list"), locked, Some(1));
    bench.scrape().await;
    let asked = simulator.requests(VENDOR, "").len();
    bench.scrape().await;
    assert_eq!(simulator.requests(VENDOR, "").len(), asked, "nothing is sent meanwhile");
    bench.engine.shutdown().await;
    assert_eq!(simulator.live_tokens(VENDOR, ""), 0);
}

/// A proxy that refuses a login may count it, and ban the address, as the system itself would.
#[tokio::test]
async fn a_login_that_is_forbidden_is_held_back_as_a_refused_one_is() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for (vendor, login, reason) in [
        (Vendor::OpenvoxUc, "login", "forbidden"),
        (Vendor::YeastarS, "login", "forbidden"),
        (Vendor::YeastarP, "get_token", "forbidden"),
        // Documented as a refusal.
        (Vendor::HuaweiMeeting, "appauth", "auth"),
        (Vendor::Dingtalk, "access_token", "forbidden"),
    ] {
        simulator.inject(vendor, "", Some(login), Fault::Status(403), None);
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
        let bench = Bench::new(&yaml).await;
        let mut before = Vec::new();
        for _ in 0..20 {
            let scraped = bench.scrape().await;
            let why = [("reason", reason)];
            assert_eq!(scraped.value("conferencing_source_failure", &why), Some(1.0), "{vendor:?}");
            before.push(simulator.requests(vendor, "").len());
            later(Duration::from_secs(60)).await;
        }
        assert_eq!(before[..2], [1, 2], "{vendor:?}");
        for ten_minutes in before.windows(10) {
            assert!(ten_minutes[9] - ten_minutes[0] <= 2, "{vendor:?}: {before:?}");
        }
        assert_eq!(bench.errors(reason), before[19] as f64, "{vendor:?}");
        assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0), "{vendor:?}");
        simulator.clear_faults();
        later(Duration::from_secs(15 * 60)).await;
        let up = bench.scrape().await.value("conferencing_up", &[]);
        assert_eq!(up, Some(1.0), "{vendor:?}");
    }
}

/// The failures of each vendor's form whose code its documentation does not have.
const UNDOCUMENTED: [(Vendor, &str, &str, &str); 6] = [
    (Vendor::OpenvoxUc, "login", "99999", ""),
    (Vendor::YeastarS, "login", "99999", ""),
    (Vendor::YeastarP, "get_token", "12345", ""),
    (Vendor::HuaweiMeeting, "appauth", "USG.299999999", ""),
    (Vendor::HuaweiMeeting, "account_login", "USG.299999999", "account"),
    (Vendor::Dingtalk, "access_token", "somethingNew", ""),
];

fn undocumented(vendor: Vendor, url: &str, way: &str) -> String {
    let lines = ["account: a@example.com", "password: not-secret", "min_interval: 0s"];
    config(&[match way {
        "" => source(vendor, url, &[]),
        _ => entry("a", vendor, url, &lines),
    }])
}

/// An account may be locked out by any refusal, and what a code means that nobody documented is not known.
#[tokio::test]
async fn a_login_that_fails_with_an_undocumented_code_is_held_back_as_a_refused_one_is() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for (vendor, login, code, way) in UNDOCUMENTED {
        for status in [200, 400, 404, 409] {
            let fault = Fault::VendorErrorStatus(status, code.to_owned());
            simulator.inject(vendor, "", Some(login), fault, None);
            let logins = || simulator.requests(vendor, "").len();
            let before = logins();
            let bench = Bench::new(&undocumented(vendor, &simulator.base_url(vendor), way)).await;
            for (wait, expected) in [(0, 1), (0, 1), (59, 1), (2, 2), (61, 2), (8 * 60, 2)] {
                later(Duration::from_secs(wait)).await;
                let scraped = bench.scrape().await;
                let why = [("reason", "auth")];
                let failure = scraped.value("conferencing_source_failure", &why);
                assert_eq!(failure, Some(1.0), "{vendor:?} {status}");
                assert_eq!(logins() - before, expected, "{vendor:?} {status} {wait}");
            }
            assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0));
            simulator.clear_faults();
        }
    }
}

/// Trouble of the system, or of what stands before it, judges nobody's credentials.
#[tokio::test]
async fn a_login_that_was_not_judged_is_tried_again_at_once() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for (vendor, login, code, way) in UNDOCUMENTED {
        for fault in [
            Fault::VendorErrorStatus(500, code.to_owned()),
            Fault::StatusJson(404, r#"{"code":404,"message":"no route"}"#.to_owned()),
            Fault::StatusJson(404, r#"{"status":"failed","errcode":null}"#.to_owned()),
            Fault::Status(404),
        ] {
            let bench = Bench::new(&undocumented(vendor, &simulator.base_url(vendor), way)).await;
            simulator.inject(vendor, "", Some(login), fault.clone(), Some(1));
            let up = async || bench.scrape().await.value("conferencing_up", &[]);
            assert_eq!(up().await, Some(0.0), "{vendor:?} {fault:?}");
            assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(0.0));
            if way.is_empty() {
                assert_eq!(up().await, Some(1.0), "{vendor:?} {fault:?}");
            }
            simulator.clear_faults();
        }
    }
}
