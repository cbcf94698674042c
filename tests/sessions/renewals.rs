// SPDX-License-Identifier: Apache-2.0
//! The fault matrix of the calls that are only due now and then: the heartbeat of the PBXs with an
//! MD5 login, and the refresh of the P-Series. Their time comes by moving the exporter's clock.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::time::Duration;

use simulator::{Fault, Options, Simulator, Vendor};

use crate::common::{
    Bench, config,
    faults::{
        Effect::{HeldBack, Honest, None as Harmless, Once, Plausible},
        faults,
    },
    source,
    wait::later,
};

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
        let takes_effect = matches!(fault, Fault::Truncate | Fault::ResetInsideBody | Fault::Drip);
        simulator.inject(vendor, name, Some(call), fault, None);
        later(due).await;
        let is_up = up(&bench, stalls).await;
        match effect {
            Harmless | Plausible => assert!(is_up, "{name}"),
            // The answer is lost, and with it the only pair of tokens the PBX knows. The old one is
            // refused then, and to refresh it once more strikes the fault once more.
            Once(reason) if vendor == Vendor::YeastarP && takes_effect => {
                assert!(!is_up, "{name}");
                assert_eq!(bench.errors(reason), 2.0, "{name}");
            }
            Once(reason) => {
                // The token is still good, and what is asked with it is answered, even if the
                // renewal stalls: half of the time is kept for that.
                assert!(is_up, "{name}");
                assert_eq!(bench.errors(reason), 1.0, "{name}");
            }
            HeldBack(reason) => {
                assert!(!is_up, "{name}");
                assert_eq!(bench.errors(reason), 1.0, "{name}");
            }
            Honest => {}
        }
        let asked = simulator.requests(vendor, name).iter().any(|request| request.call == call);
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

/// Logs in anew where a token cannot be renewed, and is not blamed for an early attempt that fails.
#[tokio::test]
async fn a_token_is_used_to_its_end() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    // Vendor, its login, when the next one is due, and how long the token is good from then on.
    let due = [
        (Vendor::HuaweiMeeting, "appauth", 56_326 * 9 / 10 + 1, 56_326 / 10),
        (Vendor::Dingtalk, "access_token", 7_200 - 300, 300),
    ];
    for (vendor, login, due, rest) in due {
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
        let bench = Bench::new(&yaml).await;
        assert!(up(&bench, false).await);
        simulator.inject(vendor, "", Some(login), Fault::Status(500), None);
        let logins = || bench.own().sum("conferencing_logins_total", &[]);
        let is_held =
            || bench.own().value("conferencing_token_expiry_timestamp_seconds", &[]).is_some();
        later(Duration::from_secs(due)).await;
        assert!(up(&bench, false).await, "{vendor:?}");
        assert!(up(&bench, false).await, "{vendor:?}");
        assert_eq!((logins(), bench.errors("http_5xx")), (2.0, 1.0), "{vendor:?}: once a minute");
        assert!(is_held(), "{vendor:?}");
        later(Duration::from_secs(61)).await;
        assert!(up(&bench, false).await, "{vendor:?}");
        assert_eq!((logins(), bench.errors("http_5xx")), (3.0, 2.0), "{vendor:?}");
        later(Duration::from_secs(rest)).await;
        assert!(!up(&bench, false).await, "{vendor:?}: the token has ended");
        assert!(!is_held(), "{vendor:?}");
        simulator.clear_faults();
        assert!(up(&bench, false).await, "{vendor:?}");
    }
}

/// Once the secret is no longer valid, the token still is: it is not asked for with the secret.
#[tokio::test]
async fn a_token_outlasts_a_login_that_is_refused() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let due = [
        (Vendor::HuaweiMeeting, "appauth", "USG.206010025", 56_326 * 9 / 10 + 1, 56_326 / 10),
        (Vendor::Dingtalk, "access_token", "invalidClientIdOrSecret", 7_200 - 300, 300),
    ];
    for (vendor, login, code, due, rest) in due {
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
        let bench = Bench::new(&yaml).await;
        assert!(up(&bench, false).await);
        let refused = Fault::VendorError(code.to_owned());
        simulator.inject(vendor, "", Some(login), refused, None);
        later(Duration::from_secs(due)).await;
        let tried = || simulator.requests(vendor, "").iter().filter(|r| r.call == login).count();
        for (wait, logins) in [(0, 2), (0, 2), (59, 2), (2, 3), (61, 3)] {
            later(Duration::from_secs(wait)).await;
            assert!(up(&bench, false).await, "{vendor:?}");
            assert_eq!(tried(), logins, "{vendor:?}: held back as ever");
            assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0));
        }
        assert_eq!(bench.errors("auth"), 2.0, "{vendor:?}");
        later(Duration::from_secs(rest)).await;
        assert!(!up(&bench, false).await, "{vendor:?}: the token has ended");
        simulator.clear_faults();
    }
}

#[tokio::test]
async fn a_refresh_that_fails_for_good_is_followed_by_a_login() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let vendor = Vendor::YeastarP;
    let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
    let bench = Bench::new(&yaml).await;
    assert!(up(&bench, false).await);
    let code = |code: &str| Fault::VendorError(code.to_owned());
    for fault in [
        Fault::Status(404),
        Fault::Status(500),
        Fault::Html,
        Fault::Status(403),
        // "Access denied", which would stay so for as long as the refresh token lives.
        code("10005"),
        code("70087"),
    ] {
        simulator.inject(vendor, "", Some("refresh_token"), fault, None);
        // Long after the access token, long before the refresh token ends.
        later(Duration::from_secs(3_600)).await;
        assert!(up(&bench, false).await);
        simulator.clear_faults();
    }
    assert_eq!(bench.own().sum("conferencing_logins_total", &[]), 7.0);
}

/// Tokens that have worked and are refused: revoked, say.
#[tokio::test]
async fn a_token_that_worked_and_is_refused_is_replaced_once() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for (vendor, call, code) in REFUSED {
        let refused = || Fault::VendorError(code.to_owned());
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
        let bench = Bench::new(&yaml).await;
        assert!(up(&bench, false).await, "{vendor:?}");
        simulator.inject(vendor, "", Some(call), refused(), Some(1));
        assert!(up(&bench, false).await, "{vendor:?}");
        assert_eq!(bench.errors("auth"), 1.0, "{vendor:?}");
    }
}

/// As a restarted PBX may, with a number that nobody documented and whatever HTTP status stands beside it.
#[tokio::test]
async fn a_token_that_worked_and_is_refused_with_an_undocumented_code_is_replaced_once() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for (vendor, call, code, reason) in [
        (Vendor::OpenvoxUc, "conference/query_in_session", "99999", "http_4xx"),
        (Vendor::YeastarS, "conference/query", "99999", "http_4xx"),
        (Vendor::YeastarP, "conference/query_ongoing_conference", "12345", "http_4xx"),
        // Its table of codes is not public: those of its form count as documented.
        (Vendor::HuaweiMeeting, "conferences", "USG.299999999", "vendor"),
        (Vendor::Dingtalk, "videoConferences/query", "somethingNew", "http_4xx"),
    ] {
        for status in [400, 404] {
            // DingTalk says in its codes what it does not find.
            if (vendor, status) == (Vendor::Dingtalk, 404) {
                continue;
            }
            let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
            let bench = Bench::new(&yaml).await;
            assert!(up(&bench, false).await, "{vendor:?}");
            let refused = Fault::VendorErrorStatus(status, code.to_owned());
            simulator.inject(vendor, "", Some(call), refused, Some(1));
            assert!(up(&bench, false).await, "{vendor:?} {status}");
            assert_eq!(bench.errors(reason), 1.0, "{vendor:?} {status}");
            bench.engine.shutdown().await;
        }
    }
}

/// A token that is refused as soon as it is issued: no right to these calls, say, or a proxy that drops the query.
#[tokio::test]
async fn a_fresh_token_that_is_refused_counts_as_a_refused_login() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for (vendor, _, code) in REFUSED {
        for fault in [Fault::VendorError(code.to_owned()), Fault::Status(401)] {
            let first = match vendor {
                Vendor::OpenvoxUc | Vendor::YeastarS => "conference/query",
                Vendor::YeastarP => "conference/list",
                Vendor::HuaweiMeeting => "conferences/online",
                Vendor::Dingtalk => "orgConferences",
                other => panic!("{other:?} has no first call"),
            };
            let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
            simulator.inject(vendor, "", Some(first), fault.clone(), None);
            let bench = Bench::new(&yaml).await;
            let logins = || bench.own().sum("conferencing_logins_total", &[]);
            for _ in 0..5 {
                assert!(!up(&bench, false).await, "{vendor:?} {fault:?}");
            }
            assert_eq!((logins(), bench.errors("auth")), (1.0, 1.0), "{vendor:?} {fault:?}");
            assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0));
            later(Duration::from_secs(60)).await;
            assert!(!up(&bench, false).await, "{vendor:?} {fault:?}");
            assert_eq!(logins(), 2.0, "{vendor:?} {fault:?}");
            later(Duration::from_secs(60)).await;
            assert!(!up(&bench, false).await, "{vendor:?} {fault:?}");
            assert_eq!(logins(), 2.0, "{vendor:?} {fault:?}: twice in ten minutes is enough");
            simulator.clear_faults();
            later(Duration::from_secs(9 * 60)).await;
            assert!(up(&bench, false).await, "{vendor:?} {fault:?}");
            bench.engine.shutdown().await;
            if vendor != Vendor::Dingtalk {
                assert_eq!(simulator.live_tokens(vendor, ""), 0, "{vendor:?} {fault:?}");
            }
        }
    }
}

/// A call of each vendor, and how it refuses a token.
const REFUSED: [(Vendor, &str, &str); 5] = [
    (Vendor::OpenvoxUc, "conference/query_in_session", "20004"),
    (Vendor::YeastarS, "conference/query", "20006"),
    (Vendor::YeastarP, "conference/query_ongoing_conference", "10004"),
    (Vendor::HuaweiMeeting, "conferences", "USG.206020000"),
    (Vendor::Dingtalk, "videoConferences/query", "InvalidAuthentication"),
];
