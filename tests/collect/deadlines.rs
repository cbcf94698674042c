// SPDX-License-Identifier: Apache-2.0
//! Budgets, shared collections and snapshots. The clock is paused: it jumps to the next timer
//! whenever everybody waits, so a source that never answers costs no real time.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{sync::Arc, time::Duration};

use conferencing_exporter::collect::{Budget, Selection};
use simulator::{Fault, Options, Simulator, Vendor};
use tokio::time::Instant;

use crate::common::{
    Bench, config, entry, source,
    wait::{later, until},
};

const PBX: Vendor = Vendor::YeastarS;

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

/// Collects everything on a task of its own, with Prometheus' timeout as given.
fn scrape(bench: &Arc<Bench>, scrape_timeout: Option<Duration>) -> tokio::task::JoinHandle<bool> {
    let bench = Arc::clone(bench);
    let sources = bench.engine.select(Selection::All).unwrap();
    let budget = Budget { scrape_timeout, offset: Duration::ZERO };
    tokio::spawn(async move {
        bench.engine.collect(&sources, budget).await.iter().all(|report| report.outcome.is_ok())
    })
}

/// Waits until the simulator has seen `count` requests.
async fn seen(simulator: &Simulator, count: usize) {
    until("requests", async || simulator.requests(PBX, "").len(), |seen| *seen >= count).await;
}

/// Waits until the simulator has seen the end of each connection.
async fn all_closed(simulator: &Simulator) {
    until("the end of all", async || simulator.open_connections(), |open| *open == 0).await;
}

#[tokio::test]
async fn a_hundred_silent_sources_end_with_the_budget_and_leave_nothing_behind() {
    let simulator = simulator().await;
    let sources: Vec<_> = (0..100)
        .map(|number| {
            let instance = format!("silent-{number}");
            simulator.inject(PBX, &instance, Some("conference/query"), Fault::Hang, None);
            let lines = ["username: api", "password: demo-password-not-secret", "timeout: 30s"];
            entry(&instance, PBX, &simulator.instance_url(PBX, &instance), &lines)
        })
        .collect();
    let bench = Arc::new(Bench::new(&config(&sources)).await);
    let metrics = tokio::runtime::Handle::current().metrics();
    let mut alive = Vec::new();
    for round in 1..=5 {
        tokio::time::pause();
        let started = Instant::now();
        assert!(!scrape(&bench, Some(Duration::from_secs(8))).await.unwrap());
        assert_eq!(started.elapsed().as_secs(), 8);
        tokio::time::resume();
        assert_eq!(bench.errors("timeout"), f64::from(100 * round));
        all_closed(&simulator).await;
        alive.push(metrics.num_alive_tasks());
    }
    assert!(alive.windows(2).all(|pair| pair[1] <= pair[0]), "tasks grow: {alive:?}");
}

#[tokio::test]
async fn scrapes_at_the_same_time_share_one_collection() {
    let simulator = simulator().await;
    simulator.inject(PBX, "", Some("login"), Fault::Delay(Duration::from_millis(50)), Some(1));
    let bench = Arc::new(Bench::new(&config(&[source(PBX, &simulator.base_url(PBX), &[])])).await);
    let scrapes: Vec<_> = (0..5).map(|_| scrape(&bench, None)).collect();
    for scrape in scrapes {
        assert!(scrape.await.unwrap());
    }
    assert_eq!(simulator.requests(PBX, "").len(), 3);
    assert_eq!(bench.own().value("conferencing_snapshot_requests_total", &[]), Some(5.0));
    assert_eq!(bench.own().value("conferencing_snapshot_hits_total", &[]), Some(4.0));
}

#[tokio::test]
async fn a_scrape_with_less_time_leaves_without_disturbing_the_others() {
    let simulator = simulator().await;
    let slow = Fault::Delay(Duration::from_secs(50));
    simulator.inject(PBX, "", Some("conference/query"), slow, Some(1));
    let yaml = config(&[source(PBX, &simulator.base_url(PBX), &["timeout: 2m"])]);
    let bench = Arc::new(Bench::new(&yaml).await);
    let hurried = scrape(&bench, Some(Duration::from_secs(40)));
    seen(&simulator, 2).await;
    let patient = scrape(&bench, None);
    tokio::task::yield_now().await;
    later(Duration::from_secs(40)).await;
    assert!(!hurried.await.unwrap());
    later(Duration::from_secs(10)).await;
    assert!(patient.await.unwrap());
    assert_eq!(simulator.requests(PBX, "").len(), 3);
    assert_eq!(bench.errors("timeout"), 0.0);
}

#[tokio::test]
async fn a_collection_nobody_waits_for_is_cancelled() {
    let simulator = simulator().await;
    simulator.inject(PBX, "", Some("conference/query"), Fault::Hang, Some(1));
    let bench = Arc::new(Bench::new(&config(&[source(PBX, &simulator.base_url(PBX), &[])])).await);
    let abandoned = scrape(&bench, None);
    seen(&simulator, 2).await;
    assert_eq!(simulator.open_connections(), 1);
    abandoned.abort();
    all_closed(&simulator).await;
    // Nothing failed: it was no longer wanted.
    assert_eq!(bench.errors("timeout"), 0.0);
    assert!(scrape(&bench, None).await.unwrap());
}

#[tokio::test]
async fn a_young_snapshot_is_served_and_a_failure_never_is() {
    let simulator = simulator().await;
    let yaml = config(&[source(PBX, &simulator.base_url(PBX), &["min_interval: 5m"])]);
    let bench = Arc::new(Bench::new(&yaml).await);
    let first = bench.scrape().await;
    let fetched = first.value("conferencing_data_timestamp_seconds", &[]);
    simulator.inject(PBX, "", None, Fault::Status(500), None);
    let again = bench.scrape().await;
    assert_eq!(again.value("conferencing_up", &[]), Some(1.0));
    assert_eq!(again.value("conferencing_data_timestamp_seconds", &[]), fetched);
    assert_eq!(simulator.requests(PBX, "").len(), 3);

    later(Duration::from_secs(5 * 60)).await;
    for _ in 0..2 {
        let failed = bench.scrape().await;
        assert_eq!(failed.value("conferencing_up", &[]), Some(0.0));
        assert_eq!(failed.value("conferencing_rooms", &[]), None);
        assert_eq!(failed.value("conferencing_data_timestamp_seconds", &[]), None);
        let rooms = failed.value("conferencing_source_capability", &[("capability", "rooms")]);
        assert_eq!(rooms, Some(1.0));
    }
    assert_eq!(bench.errors("http_5xx"), 1.0, "it is not asked again at once");
    simulator.clear_faults();
    later(Duration::from_secs(60)).await;
    assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(1.0));
}

#[tokio::test]
async fn heartbeats_keep_the_token_alive_for_hours() {
    let simulator = simulator().await;
    for vendor in [Vendor::OpenvoxUc, Vendor::YeastarS] {
        let bench = Bench::new(&config(&[source(vendor, &simulator.base_url(vendor), &[])])).await;
        for _ in 0..24 {
            assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(1.0));
            later(Duration::from_secs(10 * 60)).await;
        }
        assert_eq!(bench.own().value("conferencing_logins_total", &[]), Some(1.0));
        let heartbeat = [("call", "heartbeat")];
        assert_eq!(bench.own().value("conferencing_api_requests_total", &heartbeat), Some(23.0));
    }
}

#[tokio::test]
async fn the_p_series_refreshes_its_token_before_it_expires() {
    let simulator = simulator().await;
    let vendor = Vendor::YeastarP;
    let bench = Bench::new(&config(&[source(vendor, &simulator.base_url(vendor), &[])])).await;
    // The simulator's own clock stands still, so each of these tokens keeps one of eight slots.
    for _ in 0..6 {
        assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(1.0));
        later(Duration::from_secs(24 * 60)).await;
    }
    assert_eq!(bench.own().value("conferencing_logins_total", &[]), Some(1.0));
    let refresh = [("call", "refresh_token")];
    assert_eq!(bench.own().value("conferencing_api_requests_total", &refresh), Some(5.0));
    later(Duration::from_secs(25 * 60 * 60)).await;
    assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(1.0));
    assert_eq!(bench.own().value("conferencing_logins_total", &[]), Some(2.0));
}

#[tokio::test]
async fn refused_logins_wait_a_minute_and_then_a_quarter_of_an_hour_or_six() {
    for (vendor, longest) in
        [(Vendor::OpenvoxUc, 15 * 60), (Vendor::YeastarS, 15 * 60), (Vendor::YeastarP, 6 * 60 * 60)]
    {
        let simulator = simulator().await;
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])])
            .replace("demo-password-not-secret", "old")
            .replace("demo-client-secret-not-secret", "old");
        let bench = Bench::new(&yaml).await;
        let tried = || simulator.requests(vendor, "").len();
        for (wait, expected) in
            [(0, 1), (59, 1), (1, 2), (longest - 1, 2), (1, 3), (longest - 1, 3), (1, 4)]
        {
            later(Duration::from_secs(wait)).await;
            bench.scrape().await;
            assert_eq!(tried(), expected, "{vendor:?} after {wait} s");
            assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0));
        }
    }
}

#[tokio::test]
async fn a_new_secret_file_ends_the_hold_off_but_not_a_third_time_in_ten_minutes() {
    let simulator = simulator().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let password = format!("password_file: {}", file.path().display());
    let yaml =
        config(&[entry("pbx", PBX, &simulator.base_url(PBX), &["username: api", &password])]);
    let tried = || simulator.requests(PBX, "").len();
    std::fs::write(file.path(), "old\n").unwrap();
    let bench = Bench::new(&yaml).await;
    bench.scrape().await;
    bench.scrape().await;
    assert_eq!(tried(), 1);
    std::fs::write(file.path(), "older\n").unwrap();
    bench.scrape().await;
    assert_eq!(tried(), 2);
    std::fs::write(file.path(), "demo-password-not-secret\n").unwrap();
    bench.scrape().await;
    assert_eq!(tried(), 2, "a third login within ten minutes could lock the account out");
    later(Duration::from_secs(10 * 60)).await;
    assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(1.0));
    assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(0.0));
}

#[tokio::test]
async fn a_lock_out_waits_its_documented_time_at_once() {
    for (vendor, code, minutes) in [
        (Vendor::OpenvoxUc, "20002", 10),
        (Vendor::YeastarS, "20002", 10),
        (Vendor::YeastarP, "70004", 15),
    ] {
        let simulator = simulator().await;
        let locked = Fault::VendorError(code.to_owned());
        simulator.inject(vendor, "", None, locked, Some(1));
        let bench = Bench::new(&config(&[source(vendor, &simulator.base_url(vendor), &[])])).await;
        bench.scrape().await;
        later(Duration::from_secs(60 * minutes - 1)).await;
        bench.scrape().await;
        assert_eq!(simulator.requests(vendor, "").len(), 1, "{vendor:?}");
        assert_eq!(bench.errors("locked_out"), 1.0);
        assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0));
        later(Duration::from_secs(1)).await;
        assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(1.0), "{vendor:?}");
    }
}

#[tokio::test]
async fn http_429_holds_requests_back_for_the_time_it_names() {
    let simulator = simulator().await;
    for (vendor, header, seconds) in [(PBX, Some("120"), 120), (Vendor::OpenvoxUc, None, 60)] {
        let fault = match header {
            Some(value) => Fault::RetryAfter { status: 429, value: value.to_owned() },
            None => Fault::Status(429),
        };
        simulator.inject(vendor, "", Some("conference/query"), fault, Some(1));
        let bench = Bench::new(&config(&[source(vendor, &simulator.base_url(vendor), &[])])).await;
        bench.scrape().await;
        let sent = simulator.requests(vendor, "").len();
        later(Duration::from_secs(seconds - 1)).await;
        assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(0.0));
        assert_eq!(simulator.requests(vendor, "").len(), sent, "nothing is sent meanwhile");
        assert_eq!(bench.errors("rate_limited"), 1.0);
        later(Duration::from_secs(1)).await;
        assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(1.0));
    }
}
