//! The fault matrix of the calls that are only due now and then: the heartbeat of the PBXs with an
//! MD5 login, and the refresh of the P-Series. Their time comes by moving the exporter's clock.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use std::time::Duration;

use common::{
    Bench, config,
    faults::{
        Effect::{HeldBack, Honest, None as Harmless, Once, Plausible},
        faults,
    },
    source,
};
use simulator::{Fault, Options, Simulator, Vendor};

/// Lets the exporter's clock run ahead without waiting.
async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Scrapes; where the source stalls, on a clock that jumps to the end of its patience.
async fn up(bench: &Bench, stalls: bool) -> bool {
    if stalls {
        tokio::time::pause();
    }
    let scraped = bench.scrape().await;
    if stalls {
        tokio::time::resume();
    }
    scraped.value("conferencing_up", &[]) == Some(1.0)
}

async fn every_fault(vendor: Vendor, call: &'static str, due: Duration) {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for (name, fault, effect) in faults() {
        let url = simulator.instance_url(vendor, name);
        let yaml = config(&[source(vendor, &url, &["max_response_bytes: 256KiB"])]);
        let bench = Bench::new(&yaml).await;
        assert!(up(&bench, false).await, "{name}");
        let stalls = matches!(fault, Fault::Hang | Fault::Drip);
        simulator.inject(vendor, name, Some(call), fault, None);
        later(due).await;
        let is_up = up(&bench, stalls).await;
        match effect {
            Harmless | Plausible => assert!(is_up, "{name}"),
            Once(reason) | HeldBack(reason) => {
                assert!(!is_up, "{name}");
                assert_eq!(bench.errors(reason), 1.0, "{name}");
            }
            Honest => {}
        }
        let asked = simulator.requests(vendor, name).iter().any(|request| request.endpoint == call);
        assert!(asked, "{name}");
        simulator.clear_faults();
        assert_eq!(up(&bench, false).await, !matches!(effect, HeldBack(_)), "{name} is over");
    }
}

#[tokio::test]
async fn openvox_uc_heartbeat() {
    every_fault(Vendor::OpenvoxUc, "heartbeat", Duration::from_secs(10 * 60)).await;
}

#[tokio::test]
async fn yeastar_s_heartbeat() {
    every_fault(Vendor::YeastarS, "heartbeat", Duration::from_secs(10 * 60)).await;
}

#[tokio::test]
async fn yeastar_p_refresh_token() {
    every_fault(Vendor::YeastarP, "refresh_token", Duration::from_secs(24 * 60)).await;
}
