// SPDX-License-Identifier: Apache-2.0
//! A token over its life, with every system: got once, used often, replaced when it is refused, given back.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use simulator::{Options, Simulator, Vendor};

use crate::common::{Bench, config, hosts, source};

/// The systems whose logins outlast a collection.
fn with_tokens() -> impl Iterator<Item = Vendor> {
    Vendor::ALL.into_iter().filter(|vendor| vendor.speaks_http())
}

#[tokio::test]
async fn one_login_serves_a_hundred_scrapes() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let hosts = hosts(&simulator.host_passwords(""));
    for vendor in with_tokens() {
        let extra: &[&str] = match vendor {
            Vendor::HuaweiMeeting => &["details: true", "attendees: true", &hosts],
            Vendor::YeastarP => &["room_details: true"],
            _ => &[],
        };
        let bench =
            Bench::new(&config(&[source(vendor, &simulator.base_url(vendor), extra)])).await;
        for _ in 0..100 {
            assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(1.0), "{vendor:?}");
        }
        assert_eq!(bench.own().sum("conferencing_logins_total", &[]), 1.0, "{vendor:?}");
        bench.engine.shutdown().await;
        assert!(simulator.requests(vendor, "").iter().all(|request| !request.forbidden));
        // DingTalk has no call to give a token back.
        let left = usize::from(vendor == Vendor::Dingtalk);
        assert_eq!(simulator.live_tokens(vendor, ""), left, "{vendor:?}");
    }
}

#[tokio::test]
async fn an_expired_token_is_replaced_once_within_the_scrape() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    // Those without a login have no token that could expire.
    for vendor in with_tokens().filter(|vendor| !vendor.logins().is_empty()) {
        let bench = Bench::new(&config(&[source(vendor, &simulator.base_url(vendor), &[])])).await;
        bench.scrape().await;
        simulator.expire_tokens(vendor, "");
        assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(1.0), "{vendor:?}");
        assert_eq!(bench.errors("auth"), 1.0, "{vendor:?}");
        let requests = simulator.requests(vendor, "");
        // The P-Series has a call to get a token for an older one.
        let refreshed = requests.iter().filter(|seen| seen.call == "refresh_token").count();
        let logins = bench.own().sum("conferencing_logins_total", &[]);
        assert_eq!(logins + refreshed as f64, 2.0, "{vendor:?}");
    }
}

#[tokio::test]
async fn a_refused_login_is_not_repeated() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for vendor in Vendor::ALL {
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
        let bench = Bench::new(&yaml.replace("-not-secret", "-old")).await;
        for _ in 0..5 {
            assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(0.0), "{vendor:?}");
        }
        assert_eq!(bench.errors("auth"), 1.0, "{vendor:?}");
        assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0), "{vendor:?}");
        let requests = simulator.requests(vendor, "");
        // A challenge names nobody who could be refused.
        let tried = requests.iter().filter(|seen| seen.call != "challenge");
        assert_eq!(tried.count(), 1, "{vendor:?}");
    }
}
