// SPDX-License-Identifier: Apache-2.0
//! Systems without a login: the secret goes with each call, and one that is refused is held back as a
//! refused login is.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::time::Duration;

use simulator::{Fault, Options, Simulator, Vendor};

use crate::common::{
    Bench, binary::write_private, config, credentials, entry, source, wait::later,
};

/// The systems and the first call of each.
const SYSTEMS: [(Vendor, &str); 2] =
    [(Vendor::Janus, "audiobridge/list"), (Vendor::BigBlueButton, "getMeetings")];

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

async fn is_up(bench: &Bench) -> bool {
    bench.scrape().await.value("conferencing_up", &[]) == Some(1.0)
}

#[tokio::test]
async fn a_wrong_secret_is_not_tried_at_every_scrape() {
    let simulator = simulator().await;
    for (vendor, _) in SYSTEMS {
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
        let bench = Bench::new(&yaml.replace("-not-secret", "-wrong")).await;
        let seen = || simulator.requests(vendor, "").len();
        // Three scrapes each minute, for an hour.
        let mut before = Vec::new();
        for minute in 0..60_u64 {
            for _ in 0..3 {
                assert!(!is_up(&bench).await, "{vendor:?} {minute}");
            }
            before.push(seen());
            later(Duration::from_secs(60)).await;
        }
        assert_eq!(before[0], 1, "{vendor:?}");
        assert_eq!(before[1], 2, "{vendor:?}");
        for ten_minutes in before.windows(10) {
            let refused = ten_minutes[9] - ten_minutes[0];
            assert!(refused <= 2, "{vendor:?}: {before:?}");
        }
        assert!(
            (4..=8).contains(&seen()),
            "{vendor:?}: it is tried again now and then: {before:?}"
        );
        let own = bench.own();
        assert_eq!(own.value("conferencing_login_blocked", &[]), Some(1.0), "{vendor:?}");
        let failures = own.value("conferencing_login_failures_total", &[]);
        assert_eq!(failures, Some(seen() as f64), "{vendor:?}");
        assert_eq!(bench.errors("auth"), seen() as f64, "{vendor:?}");
        assert_eq!(own.matching("conferencing_token_expiry_timestamp_seconds", &[]).count(), 0);
    }
}

/// A proxy that checks the secret, or bans those who send a wrong one.
#[tokio::test]
async fn a_refusal_of_a_proxy_is_held_back_too() {
    let simulator = simulator().await;
    for (vendor, first) in SYSTEMS {
        for (status, reason) in [(401, "auth"), (403, "forbidden")] {
            simulator.inject(vendor, "", Some(first), Fault::Status(status), None);
            simulator.clear_requests();
            let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
            let bench = Bench::new(&yaml).await;
            for _ in 0..5 {
                assert!(!is_up(&bench).await, "{vendor:?} {status}");
            }
            assert_eq!(simulator.requests(vendor, "").len(), 1, "{vendor:?} {status}");
            assert_eq!(bench.errors(reason), 1.0, "{vendor:?} {status}");
            simulator.clear_faults();
            later(Duration::from_secs(60)).await;
            assert!(is_up(&bench).await, "{vendor:?} {status}");
        }
    }
}

/// The secret is changed on the system and then in its file, or the other way round.
#[tokio::test]
async fn a_secret_that_has_changed_is_read_again_when_it_is_refused() {
    let simulator = simulator().await;
    for (vendor, first) in SYSTEMS {
        let directory = tempfile::tempdir().unwrap();
        let mut lines = credentials(vendor);
        let (key, right) = lines[0].split_once(": ").unwrap();
        let (key, right) = (key.to_owned(), right.to_owned());
        let file = directory.path().join("secret");
        write_private(&file, &right);
        lines[0] = format!("{key}_file: {}", file.display());
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let yaml = config(&[entry("a", vendor, &simulator.base_url(vendor), &lines)]);
        let bench = Bench::new(&yaml).await;
        assert!(is_up(&bench).await, "{vendor:?}");
        // The file first: what has worked is used until it is refused.
        write_private(&file, "wrong");
        assert!(is_up(&bench).await, "{vendor:?}");
        let code = refusal(vendor);
        simulator.inject(vendor, "", Some(first), Fault::VendorError(code.into()), Some(1));
        assert!(!is_up(&bench).await, "{vendor:?}: the new one is wrong");
        let seen = simulator.requests(vendor, "").len();
        assert!(!is_up(&bench).await, "{vendor:?}");
        assert_eq!(simulator.requests(vendor, "").len(), seen, "{vendor:?}: it is held back");
        // Another secret ends that at once.
        write_private(&file, &right);
        assert!(is_up(&bench).await, "{vendor:?}");
        // One refusal, and the secret is the same: the system was restarted, say.
        simulator.inject(vendor, "", Some(first), Fault::VendorError(code.into()), Some(1));
        assert!(is_up(&bench).await, "{vendor:?}");
    }
}

#[tokio::test]
async fn nothing_is_logged_in_or_out() {
    let simulator = simulator().await;
    for (vendor, _) in SYSTEMS {
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
        let bench = Bench::new(&yaml).await;
        assert!(is_up(&bench).await, "{vendor:?}");
        let seen = simulator.requests(vendor, "").len();
        assert!(is_up(&bench).await, "{vendor:?}");
        bench.engine.shutdown().await;
        assert_eq!(simulator.requests(vendor, "").len(), 2 * seen, "{vendor:?}");
    }
}

/// The system's own answer to a wrong secret.
fn refusal(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Janus => "403",
        Vendor::BigBlueButton => "checksumError",
        other => panic!("no refusal of {other:?}"),
    }
}
