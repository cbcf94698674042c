// SPDX-License-Identifier: Apache-2.0
//! Logins of the real binary: whoever can reach `/metrics` locks nobody out and uses up no tokens.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use simulator::{Fault, Options, Simulator, Vendor};
use tokio::task::JoinSet;

use crate::common::{
    binary::{Exporter, write_private},
    config,
    exposition::Exposition,
    slow::{Pauses, SlowWay},
    source,
    wait::until,
};

/// The calls of each vendor that hand a token out, and give it back where there is one for that.
const CALLS: [(Vendor, &str, Option<&str>); 5] = [
    (Vendor::OpenvoxUc, "login", Some("logout")),
    (Vendor::YeastarS, "login", Some("logout")),
    (Vendor::YeastarP, "get_token", Some("del_token")),
    (Vendor::HuaweiMeeting, "appauth", Some("token_logout")),
    (Vendor::Dingtalk, "access_token", None),
];

/// The first call of each vendor that needs a token.
const FIRST: [(Vendor, &str); 5] = [
    (Vendor::OpenvoxUc, "conference/query"),
    (Vendor::YeastarS, "conference/query"),
    (Vendor::YeastarP, "conference/list"),
    (Vendor::HuaweiMeeting, "conferences/online"),
    (Vendor::Dingtalk, "orgConferences"),
];

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

fn count(simulator: &Simulator, vendor: Vendor, instance: &str, call: &str) -> usize {
    simulator.requests(vendor, instance).iter().filter(|seen| seen.call == call).count()
}

/// A source named `name` of the simulator's `instance`, with its right credentials.
fn named(name: &str, vendor: Vendor, url: &str, extra: &[&str]) -> String {
    let yaml = source(vendor, url, extra);
    yaml.replacen(&format!("name: {}\n", vendor.as_str()), &format!("name: {name}\n"), 1)
}

async fn reload(exporter: &Exporter, yaml: &str) -> StatusCode {
    write_private(&exporter.config_file(), yaml);
    exporter.request(Method::POST, "/-/reload", HeaderMap::new()).await.status
}

/// A scrape as Prometheus sends it with a `scrape_timeout` of that many seconds.
async fn hurried(exporter: &Exporter, seconds: &str) -> Exposition {
    let mut headers = HeaderMap::new();
    headers.insert("x-prometheus-scrape-timeout-seconds", seconds.parse().unwrap());
    let answer = exporter.request(Method::GET, "/metrics", headers).await;
    assert_eq!(answer.status, StatusCode::OK);
    Exposition::parse(&answer.body)
}

/// Asks and leaves after `patience`, whatever came of it.
async fn give_up(exporter: &Exporter, patience: Duration) {
    let client = Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/metrics", exporter.address);
    let _ = tokio::time::timeout(patience, client.get(url).send()).await;
}

fn up(scraped: &Exposition, name: &str) -> Option<f64> {
    scraped.value("conferencing_up", &[("source", name)])
}

/// Where a login is when its clients give up.
const POINTS: [(&str, Pauses); 2] = [
    ("before", Pauses { before: Duration::from_millis(300), inside: Duration::ZERO }),
    ("inside", Pauses { before: Duration::ZERO, inside: Duration::from_millis(300) }),
];

/// Six clients that leave before the answer, in it or after it, and four scrapes with less time than
/// it takes, of every system, slow before the answer or in it, with right and wrong secrets.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_give_up_lock_nobody_out_and_use_up_no_token() {
    let simulator = simulator().await;
    let mut ways = Vec::new();
    for (vendor, ..) in CALLS {
        for (point, pauses) in POINTS {
            ways.push((vendor, point, SlowWay::to(&simulator.base_url(vendor), pauses).await));
        }
    }
    let secrets = tempfile::tempdir().unwrap();
    let wrong = secrets.path().join("wrong");
    write_private(&wrong, "wrong-0");
    let yaml = |prefix: &str, extra: &str| {
        let sources = ways.iter().flat_map(|(vendor, point, way)| {
            let right = format!("right-{point}");
            let name = format!("{prefix}{}-{right}", vendor.as_str());
            let good = named(&name, *vendor, &way.url(&right), &[extra]);
            let bad = format!("wrong-{point}");
            let name = format!("{prefix}{}-{bad}", vendor.as_str());
            let file = format!("_file: {}", wrong.display());
            let mut yaml = named(&name, *vendor, &way.url(&bad), &[extra]);
            for secret in [
                ": demo-password-not-secret",
                ": demo-client-secret-not-secret",
                ": demo-app-key-not-secret",
                ": demo-app-secret-not-secret",
            ] {
                yaml = yaml.replace(secret, &file);
            }
            [good, yaml]
        });
        config(&sources.collect::<Vec<_>>())
    };
    let exporter =
        Arc::new(Exporter::start(&yaml("", "timeout: 20s"), &["--web.enable-lifecycle"]));
    let patiences = [1, 50, 150, 150, 450, 700].map(Duration::from_millis);
    let storm = async || {
        let mut clients = JoinSet::new();
        for patience in patiences {
            let exporter = Arc::clone(&exporter);
            clients.spawn(async move {
                for _ in 0..3 {
                    give_up(&exporter, patience).await;
                }
            });
        }
        for _ in 0..4 {
            hurried(&exporter, "0.3").await;
        }
        clients.join_all().await;
    };
    let looks = |prefix: &str, scraped: &Exposition| {
        for (vendor, login, _) in CALLS {
            for (point, _) in POINTS {
                let (right, bad) = (format!("right-{point}"), format!("wrong-{point}"));
                let seen = count(&simulator, vendor, &right, login);
                assert_eq!(seen, 1, "{vendor:?} {right}: logins");
                let name = format!("{prefix}{}-{right}", vendor.as_str());
                assert_eq!(up(scraped, &name), Some(1.0), "{name}");
                assert_eq!(simulator.live_tokens(vendor, &right), 1, "{name}");
                let seen = count(&simulator, vendor, &bad, login);
                assert!((1..=2).contains(&seen), "{vendor:?} {bad}: {seen} refused logins");
                let name = format!("{prefix}{}-{bad}", vendor.as_str());
                assert_eq!(up(scraped, &name), Some(0.0), "{name}");
                let blocked =
                    scraped.value("conferencing_login_blocked", &[("source", name.as_str())]);
                assert_eq!(blocked, Some(1.0), "{name}");
            }
        }
    };
    storm().await;
    looks("", &exporter.scrape().await);
    // A reload that is not about the login, another wrong secret, and again.
    assert_eq!(reload(&exporter, &yaml("", "timeout: 21s")).await, StatusCode::OK);
    for attempt in 1..4 {
        write_private(&wrong, &format!("wrong-{attempt}"));
        storm().await;
    }
    looks("", &exporter.scrape().await);
    // Renamed again and again, the same account is the same account.
    for round in 1..4 {
        let prefix = format!("r{round}-");
        let file = yaml(&prefix, "timeout: 20s");
        assert_eq!(reload(&exporter, &file).await, StatusCode::OK);
        storm().await;
    }
    // Left out, and put back.
    assert_eq!(reload(&exporter, "sources: []\n").await, StatusCode::OK);
    assert_eq!(reload(&exporter, &yaml("back-", "timeout: 20s")).await, StatusCode::OK);
    storm().await;
    exporter.scrape().await;
    for (vendor, login, logout) in CALLS {
        for (point, _) in POINTS {
            let (right, bad) = (format!("right-{point}"), format!("wrong-{point}"));
            let seen = count(&simulator, vendor, &bad, login);
            assert_eq!(seen, 2, "{vendor:?} {bad}: refused logins");
            let Some(logout) = logout else { continue };
            let look = async || {
                let logins = count(&simulator, vendor, &right, login);
                (
                    logins - count(&simulator, vendor, &right, logout),
                    simulator.live_tokens(vendor, &right),
                )
            };
            until("all tokens but one to be given back", look, |seen| *seen == (1, 1)).await;
        }
    }
    let Some(exporter) = Arc::into_inner(exporter) else { panic!("still in use") };
    let (status, log) = exporter.stop();
    assert!(status.success(), "{log}");
    for (vendor, _, logout) in CALLS {
        for (point, _) in POINTS.iter().filter(|_| logout.is_some()) {
            assert_eq!(simulator.live_tokens(vendor, &format!("right-{point}")), 0, "{vendor:?}");
        }
    }
}

/// A proxy that drops the query or the header, or a right that is missing: HTTP 401 to every call
/// but the login.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_at_once_is_one_login_for_many_scrapes() {
    let simulator = simulator().await;
    let sources: Vec<_> = FIRST
        .into_iter()
        .map(|(vendor, call)| {
            simulator.inject(vendor, "", Some(call), Fault::Status(401), None);
            source(vendor, &simulator.base_url(vendor), &[])
        })
        .collect();
    let exporter = Exporter::start(&config(&sources), &[]);
    for _ in 0..9 {
        exporter.scrape().await;
    }
    let scraped = exporter.scrape().await;
    for (vendor, login, logout) in CALLS {
        let of = [("source", vendor.as_str())];
        assert_eq!(up(&scraped, vendor.as_str()), Some(0.0));
        assert_eq!(count(&simulator, vendor, "", login), 1, "{vendor:?}");
        assert_eq!(scraped.value("conferencing_login_blocked", &of), Some(1.0), "{vendor:?}");
        let auth = [("source", vendor.as_str()), ("reason", "auth")];
        assert_eq!(scraped.sum("conferencing_api_errors_total", &auth), 1.0, "{vendor:?}");
        if logout.is_some() {
            let look = async || simulator.live_tokens(vendor, "");
            until("the token to be given back", look, |live| *live == 0).await;
        }
    }
}

/// Restarted, the PBX no longer knows the token; the number that it answers is one of many.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_system_is_up_again_within_the_same_scrape() {
    let simulator = simulator().await;
    let codes = [
        (Vendor::OpenvoxUc, vec!["10001", "10002", "30003", "20004"]),
        (Vendor::YeastarS, vec!["10001", "10002", "30003", "20004"]),
        (Vendor::YeastarP, vec!["10001", "10002", "10004", "70001"]),
        (Vendor::HuaweiMeeting, vec!["USG.206020000"]),
        (Vendor::Dingtalk, vec!["InvalidAuthentication"]),
    ];
    let sources: Vec<_> = Vendor::ALL
        .into_iter()
        .map(|vendor| source(vendor, &simulator.base_url(vendor), &[]))
        .collect();
    let exporter = Exporter::start(&config(&sources), &[]);
    exporter.scrape().await;
    for round in 0..4 {
        for (vendor, codes) in &codes {
            let (_, first) = FIRST.into_iter().find(|(known, _)| known == vendor).unwrap();
            if let Some(code) = codes.get(round) {
                let fault = Fault::VendorError((*code).to_owned());
                if *vendor == Vendor::YeastarP {
                    // It does not know the token to refresh it with either.
                    simulator.inject(*vendor, "", Some("refresh_token"), fault.clone(), Some(1));
                }
                simulator.inject(*vendor, "", Some(first), fault, Some(1));
            }
        }
        let scraped = exporter.scrape().await;
        for (vendor, _) in &codes {
            assert_eq!(up(&scraped, vendor.as_str()), Some(1.0), "{vendor:?} {round}");
        }
    }
    for (vendor, codes) in codes {
        let (_, login, logout) = CALLS.into_iter().find(|(known, ..)| *known == vendor).unwrap();
        let logins = count(&simulator, vendor, "", login);
        assert_eq!(logins, 1 + codes.len(), "{vendor:?}");
        if logout.is_some() {
            let look = async || simulator.live_tokens(vendor, "");
            until("one token", look, |live| (1..=2).contains(live)).await;
        }
    }
}

/// Twelve renames under eight clients: what logged in logs out.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_renamed_under_load_logs_out_as_often_as_it_logs_in() {
    let simulator = simulator().await;
    let with_logout: Vec<_> =
        CALLS.into_iter().filter_map(|(vendor, login, out)| Some((vendor, login, out?))).collect();
    for (vendor, login, _) in &with_logout {
        let slow = Fault::Delay(Duration::from_millis(30));
        simulator.inject(*vendor, "", Some(login), slow, None);
    }
    let yaml = |round: usize| {
        let one = |(vendor, ..): &(Vendor, &str, &str)| {
            let name = format!("{}-{round}", vendor.as_str());
            named(&name, *vendor, &simulator.base_url(*vendor), &["timeout: 30s"])
        };
        config(&with_logout.iter().map(one).collect::<Vec<_>>())
    };
    let exporter = Arc::new(Exporter::start(&yaml(0), &["--web.enable-lifecycle"]));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for client in 0..8 {
        let (exporter, stop) = (Arc::clone(&exporter), Arc::clone(&stop));
        clients.spawn(async move {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // Half of them leave early.
                if client % 2 == 0 {
                    give_up(&exporter, Duration::from_millis(10 * (client + 1))).await;
                } else {
                    let scraped = exporter.scrape().await;
                    let ups: Vec<_> = scraped.matching("conferencing_up", &[]).collect();
                    assert_eq!(ups.len(), 4);
                    assert!(ups.iter().all(|sample| sample.value == 1.0), "{ups:?}");
                }
            }
        });
    }
    for round in 1..=12 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(reload(&exporter, &yaml(round)).await, StatusCode::OK);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    clients.join_all().await;
    exporter.scrape().await;
    for (vendor, login, logout) in &with_logout {
        let look =
            async || count(&simulator, *vendor, "", login) - count(&simulator, *vendor, "", logout);
        until("every logout but the last", look, |open| *open == 1).await;
    }
    let Some(exporter) = Arc::into_inner(exporter) else { panic!("still in use") };
    assert!(exporter.stop().0.success());
    for (vendor, login, logout) in &with_logout {
        let logins = count(&simulator, *vendor, "", login);
        assert_eq!(count(&simulator, *vendor, "", logout), logins, "{vendor:?}");
        assert_eq!(simulator.live_tokens(*vendor, ""), 0, "{vendor:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_waits_for_no_login() {
    let simulator = simulator().await;
    let yaml = |prefix: &str| {
        let one = |(vendor, ..): (Vendor, &str, Option<&str>)| {
            let name = format!("{prefix}-{}", vendor.as_str());
            named(&name, vendor, &simulator.base_url(vendor), &["timeout: 1h"])
        };
        config(&CALLS.map(one))
    };
    for (vendor, login, _) in CALLS {
        simulator.inject(vendor, "", Some(login), Fault::Hang, None);
    }
    let exporter = Arc::new(Exporter::start(&yaml("old"), &["--web.enable-lifecycle"]));
    give_up(&exporter, Duration::from_millis(200)).await;
    let scrape = tokio::spawn({
        let exporter = Arc::clone(&exporter);
        async move { exporter.get("/metrics").await.status }
    });
    for (vendor, login, _) in CALLS {
        let look = async || count(&simulator, vendor, "", login);
        until("the login", look, |seen| *seen == 1).await;
    }
    // The logins would take an hour.
    for name in ["new", "newer"] {
        assert_eq!(reload(&exporter, &yaml(name)).await, StatusCode::OK);
    }
    scrape.abort();
    let _ = scrape.await;
    let Some(exporter) = Arc::into_inner(exporter) else { panic!("still in use") };
    let (status, log) = exporter.stop();
    assert!(status.success(), "{log}");
    for (vendor, login, _) in CALLS {
        assert_eq!(count(&simulator, vendor, "", login), 1, "{vendor:?}");
    }
}

/// A deadline of its own is no failure of the source.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_with_a_short_timeout_changes_neither_log_nor_status_page() {
    let simulator = simulator().await;
    let sources: Vec<_> = Vendor::ALL
        .into_iter()
        .map(|vendor| {
            // Longer than the longest of the budgets below, also for the systems that are asked once.
            simulator.inject(vendor, "", None, Fault::Delay(Duration::from_millis(400)), None);
            source(vendor, &simulator.base_url(vendor), &["timeout: 30s"])
        })
        .collect();
    let exporter = Exporter::start(&config(&sources), &[]);
    let look = async |up_before: bool| {
        for hurry in ["0.0000001", "0.001", "0.2"] {
            let scraped = hurried(&exporter, hurry).await;
            assert_eq!(up(&scraped, "yeastar_s"), Some(0.0), "{hurry}");
            assert!(!exporter.log().contains("source fail"), "{}", exporter.log());
            let page = exporter.get("/").await.body;
            assert!(!page.contains("class=\"down\""), "{page}");
            assert_eq!(page.contains("class=\"up\""), up_before, "{page}");
        }
    };
    look(false).await;
    let scraped = exporter.scrape().await;
    for vendor in Vendor::ALL {
        assert_eq!(up(&scraped, vendor.as_str()), Some(1.0), "{vendor:?}");
    }
    look(true).await;
}

/// What was found, and what is known, is kept where nothing changed about who is asked what.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_changes_no_question_asks_nothing_again() {
    let simulator = simulator().await;
    let yaml = |extra: &[&str]| {
        let sources = Vendor::ALL.map(|vendor| {
            let mut lines = vec!["min_interval: 1h"];
            lines.extend(extra);
            let plain = source(vendor, &simulator.base_url(vendor), &lines);
            plain.replacen("    min_interval: 0s\n", "", 1)
        });
        config(&sources)
    };
    let exporter = Exporter::start(&yaml(&[]), &["--web.enable-lifecycle"]);
    let fetched = |scraped: &Exposition| {
        Vendor::ALL.map(|vendor| {
            let of = [("source", vendor.as_str())];
            assert_eq!(scraped.value("conferencing_up", &of), Some(1.0), "{vendor:?}");
            scraped.value("conferencing_data_timestamp_seconds", &of)
        })
    };
    let first = fetched(&exporter.scrape().await);
    // A log-off goes out after the scrape.
    let asked = || {
        let others =
            |vendor| simulator.requests(vendor, "").into_iter().filter(|r| r.call != "logoff");
        Vendor::ALL.map(|vendor| others(vendor).count())
    };
    let before = asked();
    for extra in [
        "labels: { site: hq }",
        "timeout: 7s",
        "max_concurrency: 2",
        "max_response_bytes: 1MiB",
        "capacity: { conferences: 10 }",
        "min_interval: 2h",
    ] {
        let lines =
            if extra.starts_with("min") { yaml(&[]).replace("1h", "2h") } else { yaml(&[extra]) };
        assert_eq!(reload(&exporter, &lines).await, StatusCode::OK);
        assert_eq!(fetched(&exporter.scrape().await), first, "{extra}");
        assert_eq!(asked(), before, "{extra}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_during_reloads_gives_every_token_back() {
    let simulator = simulator().await;
    let yaml = |round: usize| {
        let one = |(vendor, ..): (Vendor, &str, Option<&str>)| {
            let name = format!("{}-{round}", vendor.as_str());
            named(&name, vendor, &simulator.base_url(vendor), &[])
        };
        config(&CALLS.map(one))
    };
    let exporter = Exporter::start(&yaml(0), &["--web.enable-lifecycle"]);
    exporter.scrape().await;
    for round in 1..4 {
        write_private(&exporter.config_file(), &yaml(round));
        exporter.signal("HUP");
        exporter.scrape().await;
    }
    write_private(&exporter.config_file(), &yaml(4));
    exporter.signal("HUP");
    let (status, log) = exporter.stop();
    assert!(status.success(), "{log}");
    for (vendor, login, logout) in CALLS {
        let Some(logout) = logout else { continue };
        let logins = count(&simulator, vendor, "", login);
        assert_eq!(count(&simulator, vendor, "", logout), logins, "{vendor:?}");
        assert_eq!(simulator.live_tokens(vendor, ""), 0, "{vendor:?}");
    }
}

/// Two sources with one account take turns, and know of each other's refusals.
#[tokio::test(flavor = "multi_thread")]
async fn sources_with_one_account_share_what_is_held_against_it() {
    let simulator = simulator().await;
    for (vendor, login, _) in CALLS {
        let sources: Vec<_> = (0..5)
            .map(|number| {
                let yaml = named(&format!("s{number}"), vendor, &simulator.base_url(vendor), &[]);
                yaml.replace("-not-secret", "-wrong")
            })
            .collect();
        let exporter = Exporter::start(&config(&sources), &[]);
        for _ in 0..3 {
            exporter.scrape().await;
        }
        assert_eq!(count(&simulator, vendor, "", login), 2, "{vendor:?}");
    }
}
