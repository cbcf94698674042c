// SPDX-License-Identifier: Apache-2.0
//! What a reload keeps of a source, and what it begins anew.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::time::Duration;

use conferencing_exporter::collect::Budget;
use simulator::{Fault, Options, Simulator, Vendor};

use crate::common::{
    Bench, config, source,
    wait::{later, until},
};

const PBX: Vendor = Vendor::YeastarS;

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

fn count(simulator: &Simulator, vendor: Vendor, call: &str) -> usize {
    simulator.requests(vendor, "").iter().filter(|seen| seen.call == call).count()
}

async fn is_up(bench: &Bench) -> bool {
    bench.scrape().await.value("conferencing_up", &[]) == Some(1.0)
}

/// The calls of each vendor that hand a token out.
const LOGINS: [(Vendor, &str); 5] = [
    (Vendor::OpenvoxUc, "login"),
    (Vendor::YeastarS, "login"),
    (Vendor::YeastarP, "get_token"),
    (Vendor::HuaweiMeeting, "appauth"),
    (Vendor::Dingtalk, "access_token"),
];

#[tokio::test]
async fn a_change_that_is_not_about_the_login_keeps_token_and_counters() {
    let simulator = simulator().await;
    for (vendor, login) in LOGINS {
        let url = simulator.base_url(vendor);
        let bench = Bench::new(&config(&[source(vendor, &url, &[])])).await;
        assert!(is_up(&bench).await, "{vendor:?}");
        for extra in ["timeout: 7s", "labels: { site: hq }", "conferences: { enabled: true }"] {
            bench.apply(&config(&[source(vendor, &url, &[extra])])).await;
            assert!(is_up(&bench).await, "{vendor:?} with {extra}");
        }
        assert_eq!(count(&simulator, vendor, login), 1, "{vendor:?}");
        assert_eq!(bench.own().value("conferencing_logins_total", &[]), Some(1.0));
        assert_eq!(bench.own().value("conferencing_snapshot_requests_total", &[]), Some(4.0));
    }
}

#[tokio::test]
async fn a_changed_password_logs_in_anew_and_gives_the_old_token_back() {
    let simulator = simulator().await;
    let yaml = config(&[source(PBX, &simulator.base_url(PBX), &[])]);
    let bench = Bench::new(&yaml).await;
    assert!(is_up(&bench).await);
    bench.apply(&yaml.replace("demo-password-not-secret", "another")).await;
    until("the logout", async || count(&simulator, PBX, "logout"), |seen| *seen == 1).await;
    assert!(!is_up(&bench).await, "the new password is the one to be used");
    assert_eq!(count(&simulator, PBX, "login"), 2);
    bench.apply(&yaml).await;
    // The reload ends the minute of waiting.
    assert!(is_up(&bench).await);
    assert_eq!(bench.own().value("conferencing_logins_total", &[]), Some(3.0));
    assert_eq!(bench.own().value("conferencing_login_failures_total", &[]), Some(1.0));
    assert_eq!(simulator.live_tokens(PBX, ""), 1);
}

#[tokio::test]
async fn reloads_cannot_provoke_a_third_refused_login_in_ten_minutes() {
    let simulator = simulator().await;
    let yaml = config(&[source(PBX, &simulator.base_url(PBX), &[])]);
    let bench = Bench::new(&yaml.replace("demo-password-not-secret", "wrong-0")).await;
    for wrong in 1..6 {
        bench.scrape().await;
        bench.apply(&yaml.replace("demo-password-not-secret", &format!("wrong-{wrong}"))).await;
    }
    assert_eq!(count(&simulator, PBX, "login"), 2);
    bench.apply(&yaml).await;
    assert!(!is_up(&bench).await);
    later(Duration::from_secs(10 * 60)).await;
    assert!(is_up(&bench).await);
}

#[tokio::test]
async fn a_pause_the_vendor_asked_for_outlives_a_reload() {
    let simulator = simulator().await;
    let fault = Fault::RetryAfter { status: 429, value: "120".to_owned() };
    simulator.inject(PBX, "", Some("conference/query"), fault, Some(1));
    let url = simulator.base_url(PBX);
    let bench = Bench::new(&config(&[source(PBX, &url, &[])])).await;
    assert!(!is_up(&bench).await);
    let sent = simulator.requests(PBX, "").len();
    bench.apply(&config(&[source(PBX, &url, &["timeout: 7s"])])).await;
    later(Duration::from_secs(119)).await;
    assert!(!is_up(&bench).await);
    assert_eq!(simulator.requests(PBX, "").len(), sent);
    later(Duration::from_secs(1)).await;
    assert!(is_up(&bench).await);
}

#[tokio::test]
async fn a_429_whose_body_says_something_else_is_a_429() {
    let simulator = simulator().await;
    for (vendor, call, body) in [
        (PBX, "conference/query", r#"{"status":"Failed","errno":"10099"}"#),
        (Vendor::YeastarP, "conference/list", r#"{"errcode":12345,"errmsg":"busy"}"#),
    ] {
        let fault = Fault::StatusJson(429, body.to_owned());
        simulator.inject(vendor, "", Some(call), fault, Some(1));
        let bench = Bench::new(&config(&[source(vendor, &simulator.base_url(vendor), &[])])).await;
        assert!(!is_up(&bench).await);
        assert_eq!(bench.errors("rate_limited"), 1.0, "{vendor:?}");
        assert!(!is_up(&bench).await);
        assert_eq!(count(&simulator, vendor, call), 1, "{vendor:?} is left alone");
    }
}

/// The sources before and after a reload share the session: a token that the one finds refused is
/// not given back while a call of the other is under way with it.
#[tokio::test]
async fn a_token_is_given_back_after_the_last_call_with_it() {
    let simulator = simulator().await;
    let yaml = |live: &str| config(&[source(PBX, &simulator.base_url(PBX), &[live])]);
    let bench = Bench::new(&yaml("live: true")).await;
    assert!(is_up(&bench).await);
    simulator.inject(PBX, "", Some("conference/query"), Fault::Hang, Some(1));
    let old = std::sync::Arc::clone(&bench.engine.sources()[0]);
    let under_way = tokio::spawn(old.collect(Budget::default()));
    let queries = async || count(&simulator, PBX, "conference/query");
    until("the call", queries, |seen| *seen == 2).await;
    bench.apply(&yaml("live: false")).await;
    simulator.inject(PBX, "", Some("conference/query"), Fault::Status(401), Some(1));
    assert!(is_up(&bench).await);
    assert_eq!(count(&simulator, PBX, "login"), 2);
    assert!(is_up(&bench).await);
    assert_eq!(count(&simulator, PBX, "logout"), 0);
    under_way.abort();
    until("the logout", async || count(&simulator, PBX, "logout"), |seen| *seen == 1).await;
    assert_eq!(simulator.live_tokens(PBX, ""), 1);
}

#[tokio::test]
async fn a_lock_out_answer_to_a_renewal_counts() {
    for (vendor, call, code) in [
        (PBX, "heartbeat", "20002"),
        (Vendor::OpenvoxUc, "heartbeat", "20002"),
        (Vendor::YeastarP, "refresh_token", "70004"),
    ] {
        let simulator = simulator().await;
        let bench = Bench::new(&config(&[source(vendor, &simulator.base_url(vendor), &[])])).await;
        assert!(is_up(&bench).await);
        simulator.inject(vendor, "", Some(call), Fault::VendorError(code.to_owned()), Some(1));
        later(Duration::from_secs(25 * 60)).await;
        assert!(!is_up(&bench).await);
        let sent = simulator.requests(vendor, "").len();
        assert_eq!(bench.errors("locked_out"), 1.0, "{vendor:?}");
        assert!(!is_up(&bench).await);
        assert_eq!(simulator.requests(vendor, "").len(), sent, "{vendor:?} is left alone");
        assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0));
    }
}
