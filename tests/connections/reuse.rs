// SPDX-License-Identifier: Apache-2.0
//! Connections are kept for the next request, and what is lost on one is asked again.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use simulator::{KeepAlive, Options, Simulator, Vendor};

use crate::common::{
    Bench, config, credentials, entry,
    relay::{Fate, Passing, Relay},
    source,
};

/// The systems that speak HTTP.
const SYSTEMS: [Vendor; 7] = [
    Vendor::OpenvoxUc,
    Vendor::YeastarS,
    Vendor::YeastarP,
    Vendor::HuaweiMeeting,
    Vendor::Dingtalk,
    Vendor::Janus,
    Vendor::BigBlueButton,
];

/// Systems that keep their connections.
async fn simulator() -> Simulator {
    let keep_alive = KeepAlive::Always;
    Simulator::start(Options { keep_alive, ..Options::default() }).await.unwrap()
}

fn address(simulator: &Simulator, vendor: Vendor) -> SocketAddr {
    simulator.base_url(vendor).trim_start_matches("http://").parse().unwrap()
}

async fn bench(vendor: Vendor, relay: &Relay) -> Bench {
    Bench::new(&config(&[source(vendor, &format!("http://{}", relay.address()), &[])])).await
}

/// Entries for `count` sources of the host that `relay` stands before.
fn tenants(count: usize, vendor: Vendor, relay: &Relay, extra: &[&str]) -> Vec<String> {
    let login = credentials(vendor);
    let lines: Vec<_> = login.iter().map(String::as_str).chain(extra.iter().copied()).collect();
    let tenant = |number| {
        let url = format!("http://{}/i/t{number}", relay.address());
        entry(&format!("t{number}"), vendor, &url, &lines)
    };
    (0..count).map(tenant).collect()
}

async fn up(bench: &Bench) -> bool {
    bench.scrape().await.value("conferencing_up", &[]) == Some(1.0)
}

fn sent(bench: &Bench) -> usize {
    bench.own().sum("conferencing_api_requests_total", &[]) as usize
}

#[tokio::test]
async fn all_requests_of_a_pbx_share_a_connection_over_scrapes() {
    let simulator = simulator().await;
    for vendor in [Vendor::OpenvoxUc, Vendor::YeastarS, Vendor::YeastarP] {
        let relay = Relay::start(address(&simulator, vendor), |_| Fate::Passed).await;
        let bench = bench(vendor, &relay).await;
        for _ in 0..3 {
            assert!(up(&bench).await, "{vendor:?}");
        }
        assert!(sent(&bench) >= 6, "{vendor:?}: {}", sent(&bench));
        assert_eq!(relay.connections(), 1, "{vendor:?}");
    }
}

#[tokio::test]
async fn others_have_no_more_connections_than_requests_at_once() {
    let simulator = simulator().await;
    for vendor in [Vendor::HuaweiMeeting, Vendor::Dingtalk, Vendor::Janus, Vendor::BigBlueButton] {
        let relay = Relay::start(address(&simulator, vendor), |_| Fate::Passed).await;
        let bench = bench(vendor, &relay).await;
        for _ in 0..3 {
            assert!(up(&bench).await, "{vendor:?}");
        }
        let connections = relay.connections();
        assert!((1..=4).contains(&connections), "{vendor:?}: {connections}");
    }
}

/// All tenants of a cloud are one host, which keeps a connection for each of them.
#[tokio::test]
async fn a_host_of_many_sources_keeps_a_connection_for_each() {
    const TENANTS: usize = 300;
    let simulator = simulator().await;
    let vendor = Vendor::OpenvoxUc;
    let relay = Relay::start(address(&simulator, vendor), |_| Fate::Passed).await;
    let tenants = tenants(TENANTS, vendor, &relay, &["max_concurrency: 1"]);
    let bench = Bench::new(&config(&tenants)).await;
    let mut connections = Vec::new();
    for _ in 0..6 {
        let scrape = bench.scrape().await;
        assert_eq!(scrape.sum("conferencing_up", &[]), TENANTS as f64);
        connections.push(relay.connections());
    }
    // A source that is quick to ask again may find its connection not yet given back, and take another.
    let opens_none = |two: &[usize]| two[0] == two[1];
    assert!(connections.windows(2).any(opens_none), "{connections:?}");
}

/// With `Connection: close`, and in HTTP/1.0.
#[tokio::test]
async fn a_system_that_closes_its_connections_gets_one_for_each_request() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for vendor in [Vendor::OpenvoxUc, Vendor::YeastarS] {
        let relay = Relay::start(address(&simulator, vendor), |_| Fate::Passed).await;
        let bench = bench(vendor, &relay).await;
        for _ in 0..2 {
            assert!(up(&bench).await);
        }
        assert_eq!(relay.connections(), sent(&bench), "{vendor:?}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_as_it_is_used_again_costs_one_more_request() {
    let simulator = simulator().await;
    for vendor in SYSTEMS {
        for fate in [Fate::Closed, Fate::Reset] {
            let judge = move |passing: &Passing<'_>| match passing.number {
                1 => Fate::Passed,
                _ => fate,
            };
            let relay = Relay::start(address(&simulator, vendor), judge).await;
            let bench = bench(vendor, &relay).await;
            for scrape in 1..=4 {
                assert!(up(&bench).await, "{vendor:?}, {fate:?}, scrape {scrape}");
            }
            let errors = bench.own().sum("conferencing_api_errors_total", &[]);
            assert_eq!(errors, 0.0, "{vendor:?}, {fate:?}: what worked in the end is no error");
            // Those that were lost, and those that were sent again.
            assert!(sent(&bench) > relay.connections(), "{vendor:?}, {fate:?}");
        }
    }
}

/// All connections of a host end at once, as when a load balancer is replaced.
#[tokio::test]
async fn many_connections_that_end_at_once_fail_nobody() {
    const TENANTS: usize = 30;
    let simulator = simulator().await;
    let vendor = Vendor::OpenvoxUc;
    let relay = Relay::start(address(&simulator, vendor), |_| Fate::Passed).await;
    let tenants = tenants(TENANTS, vendor, &relay, &[]);
    let bench = Bench::new(&config(&tenants)).await;
    for scrape in 1..=4 {
        let up = bench.scrape().await.sum("conferencing_up", &[]);
        assert_eq!(up, TENANTS as f64, "scrape {scrape}");
        relay.lose();
    }
    assert_eq!(bench.own().sum("conferencing_api_errors_total", &[]), 0.0);
}

/// Whoever takes connections and answers none of them would only be asked twice as often.
#[tokio::test]
async fn a_new_connection_that_ends_is_no_reason_to_ask_again() {
    let simulator = simulator().await;
    let vendor = Vendor::YeastarS;
    let relay = Relay::start(address(&simulator, vendor), |_| Fate::Closed).await;
    let bench = bench(vendor, &relay).await;
    assert!(!up(&bench).await);
    assert_eq!((relay.connections(), sent(&bench)), (1, 1));
}

/// A login that was sent may have been counted, or may have issued a token.
#[tokio::test]
async fn a_login_that_may_have_arrived_is_not_sent_again() {
    let simulator = simulator().await;
    let vendor = Vendor::YeastarS;
    let logins = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&logins);
    let judge = move |passing: &Passing<'_>| {
        if !passing.asks_for("/login") {
            return Fate::Passed;
        }
        match counted.fetch_add(1, Ordering::Relaxed) {
            0 => Fate::Passed,
            _ => Fate::Closed,
        }
    };
    let relay = Relay::start(address(&simulator, vendor), judge).await;
    let bench = bench(vendor, &relay).await;
    assert!(up(&bench).await);
    simulator.restart(vendor, "");
    assert!(!up(&bench).await, "the token is refused, and the login after it is lost");
    assert_eq!(logins.load(Ordering::Relaxed), 2);
    assert_eq!(bench.errors("connect"), 1.0);
}

/// A network that lost its memory of the connections: nothing answers over any of them.
#[tokio::test]
async fn kept_connections_that_fell_silent_fail_one_scrape() {
    let simulator = simulator().await;
    for vendor in [Vendor::YeastarS, Vendor::HuaweiMeeting] {
        let relay = Relay::start(address(&simulator, vendor), |_| Fate::Passed).await;
        let url = format!("http://{}", relay.address());
        let bench = Bench::new(&config(&[source(vendor, &url, &["timeout: 1s"])])).await;
        assert!(up(&bench).await);
        relay.silence();
        assert!(!up(&bench).await, "{vendor:?}");
        assert_eq!(bench.errors("timeout"), 1.0, "{vendor:?}");
        assert!(up(&bench).await, "{vendor:?}: new connections");
    }
}

/// A server that closes idle connections after a moment.
#[tokio::test]
async fn a_server_with_little_patience_is_no_failure() {
    let keep_alive = KeepAlive::For(Duration::from_millis(20));
    let simulator = Simulator::start(Options { keep_alive, ..Options::default() }).await.unwrap();
    for vendor in SYSTEMS {
        let url = simulator.base_url(vendor);
        let bench = Bench::new(&config(&[source(vendor, &url, &[])])).await;
        for pause in [0, 10, 15, 19, 20, 21, 25, 40] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            assert!(up(&bench).await, "{vendor:?} after {pause} ms");
        }
    }
}
