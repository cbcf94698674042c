// SPDX-License-Identifier: Apache-2.0
//! SIGTERM, SIGHUP and reloads of the real binary under load.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{sync::Arc, time::Duration};

use reqwest::{Method, StatusCode};
use simulator::{Fault, Options, Simulator, Vendor};
use tokio::task::JoinSet;

use crate::common::{
    binary::{Exporter, write_private},
    config, entry,
    exposition::Exposition,
    source,
    wait::until,
};

const PBX: Vendor = Vendor::YeastarS;

/// The vendors that have a call to give a token back.
const LOG_OUT: [(Vendor, &str); 4] = [
    (Vendor::OpenvoxUc, "logout"),
    (Vendor::YeastarS, "logout"),
    (Vendor::YeastarP, "del_token"),
    (Vendor::HuaweiMeeting, "token_logout"),
];

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

fn count(simulator: &Simulator, vendor: Vendor, instance: &str, call: &str) -> usize {
    simulator.requests(vendor, instance).iter().filter(|seen| seen.call == call).count()
}

/// Waits until the simulator has seen `call` that often.
async fn asked(simulator: &Simulator, instance: &str, call: &str, times: usize) {
    let look = async || count(simulator, PBX, instance, call);
    until(call, look, |seen| *seen >= times).await;
}

async fn reload(exporter: &Exporter, yaml: &str) -> StatusCode {
    write_private(&exporter.config_file(), yaml);
    exporter.request(Method::POST, "/-/reload", Default::default()).await.status
}

fn up(scraped: &Exposition, source: &str) -> Option<f64> {
    scraped.value("conferencing_up", &[("source", source)])
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sigterm_scrapes_finish_and_every_token_is_given_back() {
    let simulator = simulator().await;
    let sources: Vec<_> = Vendor::ALL
        .into_iter()
        .map(|vendor| source(vendor, &simulator.base_url(vendor), &["timeout: 30s"]))
        .collect();
    let exporter = Arc::new(Exporter::start(&config(&sources), &[]));
    // The scrape is held up in its second call: all tokens are out by then.
    let slow = Fault::Delay(Duration::from_secs(2));
    simulator.inject(PBX, "", Some("conference/query"), slow, Some(1));
    let scrape = tokio::spawn({
        let exporter = Arc::clone(&exporter);
        async move { exporter.scrape().await }
    });
    asked(&simulator, "", "conference/query", 1).await;
    exporter.signal("TERM");
    let scraped = scrape.await.unwrap();
    for vendor in Vendor::ALL {
        assert_eq!(up(&scraped, vendor.as_str()), Some(1.0), "{vendor:?}");
    }
    let Some(exporter) = Arc::into_inner(exporter) else { panic!("still in use") };
    let (status, log) = exporter.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    for (vendor, call) in LOG_OUT {
        assert_eq!(count(&simulator, vendor, "", call), 1, "{vendor:?}");
        assert_eq!(simulator.live_tokens(vendor, ""), 0, "{vendor:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_at_once() {
    let simulator = simulator().await;
    simulator.inject(PBX, "", None, Fault::Hang, None);
    let yaml = config(&[source(PBX, &simulator.base_url(PBX), &["timeout: 1h"])]);
    let exporter = Exporter::start(&yaml, &[]);
    let url = format!("http://{}/metrics", exporter.address);
    let scrape = tokio::spawn(reqwest::get(url));
    until("the scrape", async || simulator.requests(PBX, "").len(), |seen| *seen == 1).await;
    exporter.signal("TERM");
    until("the stop", async || exporter.log(), |log| log.contains("stopping")).await;
    exporter.signal("TERM");
    let (status, log) = exporter.wait();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(scrape.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_scrapes_survive_reloads_and_none_is_lost() {
    let simulator = simulator().await;
    let slow = Fault::Delay(Duration::from_millis(20));
    let names = ["stays", "slower", "renamed"];
    for name in names {
        simulator.inject(PBX, name, Some("conference/query"), slow.clone(), None);
    }
    let one = |name: &str, instance: &str, extra: &str| {
        let lines = ["username: api", "password: demo-password-not-secret", extra];
        entry(name, PBX, &simulator.instance_url(PBX, instance), &lines)
    };
    let yaml = |round: usize| {
        config(&[
            one("stays", "stays", "timeout: 30s"),
            one("slower", "slower", &format!("timeout: {}s", 30 + round)),
            one(&format!("round-{round}"), "renamed", "timeout: 30s"),
        ])
    };
    let exporter = Arc::new(Exporter::start(
        &yaml(0),
        &["--web.enable-lifecycle", "--web.max-requests", "100"],
    ));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut scrapers = JoinSet::new();
    for _ in 0..50 {
        let (exporter, stop) = (Arc::clone(&exporter), Arc::clone(&stop));
        scrapers.spawn(async move {
            let mut scrapes = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // Parsing and asserting on each answer: complete, all sources of one file.
                let scraped = exporter.scrape().await;
                let ups: Vec<_> = scraped.matching("conferencing_up", &[]).collect();
                assert_eq!(ups.len(), 3);
                assert!(ups.iter().all(|sample| sample.value == 1.0), "{ups:?}");
                scrapes += 1;
            }
            scrapes
        });
    }
    let rounds = 8;
    for round in 1..=rounds {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(reload(&exporter, &yaml(round)).await, StatusCode::OK);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let scrapes: usize = scrapers.join_all().await.into_iter().sum();
    assert!(scrapes >= 50, "{scrapes}");

    let own = exporter.scrape().await;
    for name in ["stays", "slower"] {
        assert_eq!(count(&simulator, PBX, name, "login"), 1, "{name} keeps its token");
        let source = [("source", name)];
        let asked = own.value("conferencing_snapshot_requests_total", &source);
        assert_eq!(asked, Some((scrapes + 1) as f64), "{name} keeps its counters");
    }
    // Whatever round was scraped logged in once, and out once it was gone; the last one is still here. (On a busy machine a
    // round may pass without a scrape.)
    let of_tokens = async || {
        let logins = count(&simulator, PBX, "renamed", "login");
        let logouts = count(&simulator, PBX, "renamed", "logout");
        (logins, logouts, simulator.live_tokens(PBX, "renamed"))
    };
    let seen = until("the logouts", of_tokens, |(logins, logouts, live)| {
        *logouts + 1 == *logins && *live == 1
    });
    let (logins, ..) = seen.await;
    assert!((2..=rounds + 1).contains(&logins), "{logins}");
    let Some(exporter) = Arc::into_inner(exporter) else { panic!("still in use") };
    assert!(exporter.stop().0.success());
    for name in names {
        assert_eq!(simulator.live_tokens(PBX, name), 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_under_way_finishes_on_the_sources_it_started_with() {
    let simulator = simulator().await;
    let yaml = |name: &str| {
        let lines = ["username: api", "password: demo-password-not-secret"];
        config(&[entry(name, PBX, &simulator.base_url(PBX), &lines)])
    };
    let exporter = Arc::new(Exporter::start(&yaml("old"), &["--web.enable-lifecycle"]));
    let slow = Fault::Delay(Duration::from_millis(600));
    simulator.inject(PBX, "", Some("conference/query"), slow, Some(1));
    let scrape = tokio::spawn({
        let exporter = Arc::clone(&exporter);
        async move { exporter.scrape().await }
    });
    asked(&simulator, "", "conference/query", 1).await;
    assert_eq!(reload(&exporter, &yaml("new")).await, StatusCode::OK);
    let new = exporter.scrape().await;
    assert_eq!((up(&new, "new"), up(&new, "old")), (Some(1.0), None));
    let old = scrape.await.unwrap();
    assert_eq!((up(&old, "old"), up(&old, "new")), (Some(1.0), None));
    // Only now is the old token given back.
    asked(&simulator, "", "logout", 1).await;
    assert_eq!(simulator.live_tokens(PBX, ""), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_leaves_everything_as_it_was() {
    let simulator = simulator().await;
    let yaml = config(&[source(PBX, &simulator.base_url(PBX), &[])]);
    let exporter = Exporter::start(&yaml, &["--web.enable-lifecycle"]);
    exporter.scrape().await;
    for broken in [
        format!("{yaml}    no_such_key: 1\n"),
        yaml.replace("http:", "ftp:"),
        yaml.replace("base_url", "tls: { no_such_key: 1 }\n    base_url"),
        String::new(),
        "sources: [".to_owned(),
    ] {
        assert_eq!(reload(&exporter, &broken).await, StatusCode::INTERNAL_SERVER_ERROR, "{broken}");
        let scraped = exporter.scrape().await;
        assert_eq!(up(&scraped, PBX.as_str()), Some(1.0));
        let successful = "conferencing_exporter_config_last_reload_successful";
        assert_eq!(scraped.value(successful, &[]), Some(0.0));
    }
    assert_eq!(count(&simulator, PBX, "", "login"), 1);
    assert_eq!(count(&simulator, PBX, "", "logout"), 0);
    // SIGHUP does the same as the request.
    write_private(&exporter.config_file(), &yaml);
    exporter.signal("HUP");
    let successful = "conferencing_exporter_config_last_reload_successful";
    let look = async || exporter.scrape().await.value(successful, &[]);
    until("the reload", look, |seen| *seen == Some(1.0)).await;
    assert_eq!(count(&simulator, PBX, "", "login"), 1);
    let asked = [("source", PBX.as_str())];
    let scraped = exporter.scrape().await;
    assert!(scraped.value("conferencing_snapshot_requests_total", &asked) >= Some(8.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_dropped_just_before_sigterm_logs_out_as_well() {
    let simulator = simulator().await;
    let lines = ["username: api", "password: demo-password-not-secret"];
    let one = |name: &str| entry(name, PBX, &simulator.instance_url(PBX, name), &lines);
    let yaml = config(&[one("stays"), one("goes")]);
    let exporter = Exporter::start(&yaml, &["--web.enable-lifecycle"]);
    exporter.scrape().await;
    let slow = Fault::Delay(Duration::from_millis(500));
    simulator.inject(PBX, "goes", Some("logout"), slow, None);
    simulator.inject(PBX, "goes", Some("conference/query"), Fault::Hang, None);
    assert_eq!(reload(&exporter, &config(&[one("stays")])).await, StatusCode::OK);
    assert!(exporter.stop().0.success());
    for name in ["stays", "goes"] {
        assert_eq!(count(&simulator, PBX, name, "logout"), 1, "{name}");
        assert_eq!(simulator.live_tokens(PBX, name), 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_logged_once_and_again_for_another_reason() {
    let simulator = simulator().await;
    let exporter = Exporter::start(&config(&[source(PBX, &simulator.base_url(PBX), &[])]), &[]);
    for fault in [Fault::Status(500), Fault::Html] {
        simulator.clear_faults();
        simulator.inject(PBX, "", Some("conference/query"), fault, None);
        for _ in 0..3 {
            exporter.get("/metrics").await;
        }
    }
    simulator.clear_faults();
    exporter.get("/metrics").await;
    exporter.signal("TERM");
    let (_, log) = exporter.wait();
    let told: Vec<_> = ["source failed", "source fails for another reason", "source is back"]
        .into_iter()
        .map(|news| log.lines().filter(|line| line.contains(news)).count())
        .collect();
    assert_eq!(told, [1, 1, 1], "{log}");
    let line = log.lines().find(|line| line.contains("another reason")).unwrap();
    assert!(line.contains("reason=decode"), "{line}");
}
