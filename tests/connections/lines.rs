// SPDX-License-Identifier: Apache-2.0
//! Connections of the systems that speak text over TCP or TLS.

use std::net::SocketAddr;

use simulator::{Options, Simulator, Vendor};
use tokio::net::TcpListener;

use super::raw::{Outcome, outcome};
use crate::common::{Bench, assert_truth, config, script::Script, source, tls::Authority};

const SYSTEMS: [Vendor; 2] = [Vendor::Asterisk, Vendor::FreeSwitch];

fn address(simulator: &Simulator, vendor: Vendor) -> SocketAddr {
    simulator.base_url(vendor).trim_start_matches("tcp://").parse().unwrap()
}

fn trusting(authority: &Authority) -> String {
    format!("tls: {{ ca_file: {} }}", authority.ca_file().display())
}

#[tokio::test]
async fn over_tls_the_numbers_are_the_same_and_the_certificate_is_told() {
    const EXPIRY: &str = "conferencing_tls_certificate_expiry_timestamp_seconds";
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    for vendor in SYSTEMS {
        let clear = simulator.base_url(vendor);
        let behind = address(&simulator, vendor);
        let certificate = authority.issue("localhost");
        let (front, handshakes) = authority.noting_front(&certificate, behind, false).await;
        let secure = format!("tls://localhost:{}", front.port());
        for (url, lines, is_secure) in
            [(clear, vec![], false), (secure, vec![trusting(&authority)], true)]
        {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            let bench = Bench::new(&config(&[source(vendor, &url, &lines)])).await;
            for _ in 0..2 {
                let scraped = bench.scrape().await;
                assert_truth(&scraped, vendor, &simulator.truth(vendor, ""), &[]);
                assert_eq!(scraped.value(EXPIRY, &[]).is_some(), is_secure, "{url}");
            }
        }
        assert_eq!(handshakes.full_and_resumed(), (1, 1), "one connection a scrape");
        let requests = simulator.requests(vendor, "");
        assert!(requests.iter().all(|request| !request.forbidden), "{requests:?}");
    }
}

#[tokio::test]
async fn certificates_are_verified() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    for vendor in SYSTEMS {
        let behind = address(&simulator, vendor);
        let front = authority.front(&authority.issue("localhost"), behind, false).await;
        let expired = authority.front(&authority.issue_expired("localhost"), behind, false).await;
        let demanding = authority.front(&authority.issue("localhost"), behind, true).await;
        let of = |front: SocketAddr| format!("tls://localhost:{}", front.port());
        let (right, wrong) = (trusting(&authority), trusting(&other));
        let (certificate, key) = authority.files(&authority.issue("client"));
        let presenting = format!(
            "tls: {{ ca_file: {}, cert_file: {}, key_file: {} }}",
            authority.ca_file().display(),
            certificate.display(),
            key.display()
        );
        let anyone = "tls: { insecure_skip_verify: true }".to_owned();
        let none = "max_concurrency: 1".to_owned();
        for (url, tls, said, advised) in [
            (of(front), &right, "up", ""),
            (of(front), &anyone, "up", ""),
            (of(front), &wrong, "neither in tls.ca_file", "openssl s_client"),
            (of(front), &none, "self-signed or its issuer is unknown", "tls.ca_file"),
            (format!("tls://{front}"), &right, "for another name", "tls.server_name"),
            (of(expired), &right, "has expired", "renew"),
            (of(demanding), &presenting, "up", ""),
            (of(demanding), &right, "refused the handshake", "client certificate"),
            (format!("tls://{behind}"), &right, "not TLS", "use tcp"),
        ] {
            let Outcome { said: found, advice } = outcome(vendor, &url, &[tls]).await;
            assert!(found.contains(said), "{vendor:?} {url} {tls}: {found}");
            assert!(advice.contains(advised), "{vendor:?} {url} {tls}: {advice}");
        }
        // Whoever was not trusted was told nothing.
        let logged_in = simulator.requests(vendor, "").iter().filter(|r| is_login(r)).count();
        assert_eq!(logged_in, 3, "{vendor:?}");
    }
}

fn is_login(request: &simulator::Request) -> bool {
    ["login", "auth"].contains(&request.call)
}

/// A server that waits for TLS to begin takes the connection and says nothing.
#[tokio::test]
async fn who_does_not_greet_is_taken_for_another_service() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    for vendor in SYSTEMS {
        let behind = address(&simulator, vendor);
        let front = authority.front(&authority.issue("localhost"), behind, false).await;
        let silent = Script::start("", |_| None).await;
        for url in [format!("tcp://{front}"), silent.url()] {
            let Outcome { said, advice } = outcome(vendor, &url, &["timeout: 1s"]).await;
            assert!(said.ends_with("timeout (connected, but no greeting)"), "{said}");
            assert!(advice.contains("tls"), "{advice}");
        }
        assert!(silent.seen().is_empty());
    }
}

/// A server that takes the connection and does not answer to TLS.
#[tokio::test]
async fn a_handshake_that_is_not_answered_is_no_connection() {
    for vendor in SYSTEMS {
        let silent = Script::start("", |_| None).await;
        let url = silent.url().replace("tcp", "tls");
        let said = outcome(vendor, &url, &["timeout: 1s"]).await.said;
        assert!(said.ends_with("timeout (no connection)"), "{vendor:?}: {said}");
    }
}

/// A name may have addresses of both kinds, of which one is served.
#[tokio::test]
async fn addresses_of_both_kinds_are_connected_to() {
    for vendor in SYSTEMS {
        for host in ["127.0.0.1", "[::1]"] {
            let Ok(listener) = TcpListener::bind(format!("{host}:0")).await else {
                assert_eq!(host, "[::1]", "this machine has no IPv6");
                continue;
            };
            let url = format!("tcp://{}", listener.local_addr().unwrap());
            let accepting = tokio::spawn(async move { listener.accept().await.map(drop) });
            // It is closed before a greeting.
            let said = outcome(vendor, &url, &[]).await.said;
            assert!(said.contains("connect (closed before the answer was whole)"), "{said}");
            accepting.await.unwrap().unwrap();
        }
    }
}
