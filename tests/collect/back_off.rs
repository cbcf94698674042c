// SPDX-License-Identifier: Apache-2.0
//! Sources with a `min_interval` that fail: their calls are metered, and a failed one costs as much
//! as one that works.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::time::Duration;

use simulator::{Fault, Options, Simulator, Vendor};

use crate::common::{Bench, binary::write_private, config, entry, wait::later};

const VENDOR: Vendor = Vendor::Dingtalk;
const LIST: &str = "orgConferences";

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

fn asked(simulator: &Simulator) -> usize {
    simulator.requests(VENDOR, "").len()
}

fn yaml(simulator: &Simulator, secret: &str, extra: &str) -> String {
    let lines = ["app_key: demo-app-key", secret, extra];
    config(&[entry("ding", VENDOR, &simulator.base_url(VENDOR), &lines)])
}

const SECRET: &str = "app_secret: demo-app-secret-not-secret";

async fn up(bench: &Bench) -> bool {
    bench.scrape().await.value("conferencing_up", &[]) == Some(1.0)
}

#[tokio::test]
async fn waits_a_minute_then_twice_as_long_up_to_the_min_interval() {
    let simulator = simulator().await;
    simulator.inject(VENDOR, "", Some(LIST), Fault::Status(500), None);
    let bench = Bench::new(&yaml(&simulator, SECRET, "min_interval: 15m")).await;
    assert!(!up(&bench).await);
    for minutes in [1, 2, 4, 8, 15, 15] {
        let seen = asked(&simulator);
        for _ in 0..2 {
            later(Duration::from_secs(minutes * 30 - 1)).await;
            let report = bench.reports().await.remove(0);
            let failure = report.outcome.unwrap_err();
            assert_eq!(failure.reason().as_str(), "http_5xx", "{minutes} min: {failure}");
            assert_eq!(asked(&simulator), seen, "{minutes} min");
            let status = bench.engine.sources()[0].status();
            assert!(status.backing_off.is_some(), "{minutes} min");
            // It is no hold-off of logins, and of requests neither.
            assert!(status.held_back.is_none() && status.login.blocked_until.is_none());
            assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(0.0));
        }
        later(Duration::from_secs(2)).await;
        assert!(!up(&bench).await);
        assert_eq!(asked(&simulator), seen + 1, "{minutes} min");
    }
    assert_eq!(bench.errors("http_5xx"), 7.0);
    // A success ends it: the next failure begins with a minute.
    simulator.clear_faults();
    later(Duration::from_secs(15 * 60)).await;
    assert!(up(&bench).await);
    simulator.inject(VENDOR, "", Some(LIST), Fault::Status(500), None);
    later(Duration::from_secs(15 * 60)).await;
    assert!(!up(&bench).await);
    simulator.clear_faults();
    later(Duration::from_secs(60)).await;
    assert!(up(&bench).await);
}

#[tokio::test]
async fn a_reload_that_changes_the_source_or_its_min_interval_asks_at_once() {
    let simulator = simulator().await;
    for (extra, is_another) in [
        ("min_interval: 1h", false),
        ("{ timeout: 7s", true),
        ("min_interval: 0s", true),
        ("discover: false", true),
    ] {
        simulator.inject(VENDOR, "", Some(LIST), Fault::Status(500), Some(1));
        let before = yaml(&simulator, SECRET, "min_interval: 1h");
        let bench = Bench::new(&before).await;
        assert!(!up(&bench).await, "{extra}");
        let after = match extra.strip_prefix("{ ") {
            Some(more) => before.clone() + &format!("    {more}\n"),
            None if extra.starts_with("discover") => {
                before.clone() + &format!("    {extra}\n    conference_ids: [known-1]\n")
            }
            None => before.replace("min_interval: 1h", extra),
        };
        bench.apply(&after).await;
        assert_eq!(up(&bench).await, is_another, "{extra}");
    }
}

#[tokio::test]
async fn a_new_secret_asks_at_once_and_one_that_vanishes_or_is_a_pipe_is_none() {
    let simulator = simulator().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    write_private(&file, "wrong");
    let secret = format!("app_secret_file: {}", file.display());
    let bench = Bench::new(&yaml(&simulator, &secret, "min_interval: 1h")).await;
    assert!(!up(&bench).await);
    assert!(!up(&bench).await);
    assert_eq!(asked(&simulator), 1);
    std::fs::remove_file(&file).unwrap();
    assert!(!up(&bench).await);
    let made = std::process::Command::new("mkfifo").arg(&file).status().unwrap();
    assert!(made.success());
    // Nobody writes into it: whoever opened it would wait.
    assert!(!up(&bench).await);
    assert_eq!(asked(&simulator), 1);
    std::fs::remove_file(&file).unwrap();
    write_private(&file, "demo-app-secret-not-secret");
    assert!(up(&bench).await);
}

/// Nothing was asked: there is nothing to spare.
#[tokio::test]
async fn a_secret_file_that_appears_is_used_at_once() {
    let simulator = simulator().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    write_private(&file, "demo-app-secret-not-secret");
    let secret = format!("app_secret_file: {}", file.display());
    let yaml = yaml(&simulator, &secret, "min_interval: 1h");
    let bench = Bench::new(&yaml).await;
    std::fs::remove_file(&file).unwrap();
    assert!(!up(&bench).await);
    write_private(&file, "demo-app-secret-not-secret");
    assert!(up(&bench).await);
}

/// What a PBX lacks is asked for once an hour, whatever is reloaded; what its rooms are set to as
/// often as configured.
#[tokio::test]
async fn what_was_learnt_survives_reloads_for_an_hour() {
    let vendor = Vendor::YeastarP;
    let simulator = simulator().await;
    let missing = Fault::VendorError("10001".to_owned());
    let live = "conference/query_ongoing_conference";
    simulator.inject(vendor, "", Some(live), missing, None);
    let yaml = |extra: &[&str]| {
        let mut lines = vec!["room_details: true", "room_details_interval: 2h"];
        lines.extend(extra);
        config(&[crate::common::source(vendor, &simulator.base_url(vendor), &lines)])
    };
    let bench = Bench::new(&yaml(&[])).await;
    let count =
        |call: &str| simulator.requests(vendor, "").iter().filter(|seen| seen.call == call).count();
    assert!(up(&bench).await);
    let rooms = count("conference/get");
    assert!(rooms > 0);
    for extra in ["labels: { site: hq }", "timeout: 7s", "page_size: 50", "min_interval: 1s"] {
        bench.apply(&yaml(&[extra])).await;
        later(Duration::from_secs(60)).await;
        assert!(up(&bench).await, "{extra}");
        assert_eq!((count(live), count("conference/get")), (1, rooms), "{extra}");
    }
    later(Duration::from_secs(56 * 60)).await;
    simulator.clear_faults();
    let scraped = bench.scrape().await;
    assert_eq!(count(live), 2);
    let active = scraped.value("conferencing_conferences", &[("state", "active")]);
    assert!(active.is_some(), "the firmware was updated");
}
