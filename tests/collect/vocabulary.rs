// SPDX-License-Identifier: Apache-2.0
//! The series every source has whatever its system: sizes, capacity, why it is down, per-conference series. What is counted in
//! each system's answers has tests of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is a failed test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use conferencing_exporter::model::Measure;
use simulator::{Conference, Fault, Options, Presence, Simulator, Vendor};

use crate::common::{
    Bench, assert_truth, config, entry, exposition::Exposition, hosts, refusing::Refusing, source,
};

const SIZES: &str = "conferencing_conferences_by_size";
const PARTICIPANTS: &str = "conferencing_conference_participants";
const DROPPED: &str = "conferencing_conference_series_dropped";

/// The reasons why `name` is down, by its series of `conferencing_source_failure`.
fn failure(scraped: &Exposition, name: &str) -> Vec<String> {
    let of_source = [("source", name)];
    scraped
        .matching("conferencing_source_failure", &of_source)
        .map(|sample| {
            assert_eq!(sample.value, 1.0);
            sample.labels["reason"].clone()
        })
        .collect()
}

/// The participants by the label `conference`.
fn conferences(scraped: &Exposition) -> BTreeMap<String, u64> {
    let series = scraped.matching(PARTICIPANTS, &[]);
    series.map(|sample| (sample.labels["conference"].clone(), sample.value as u64)).collect()
}

#[tokio::test]
async fn active_conferences_are_counted_by_size_with_and_without_series_of_their_own() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for vendor in Vendor::ALL {
        simulator.edit(vendor, "", |population| {
            // One of each size, in what the system has going on; rooms stay as they are.
            for (conference, joined) in
                population.conferences.iter_mut().zip([0, 1, 2, 7, 25, 26, 100, 101])
            {
                conference.participants.clear();
                *conference = conference.clone().with(joined, Presence::Joined);
            }
        });
        let hosts = hosts(&simulator.host_passwords(""));
        let everything = match vendor {
            Vendor::HuaweiMeeting => vec!["details: true", &hosts],
            Vendor::YeastarP => vec!["room_details: true"],
            _ => vec![],
        };
        for shown in ["conferences: { enabled: false }", "conferences: { enabled: true, limit: 1 }"]
        {
            let lines = [everything.as_slice(), &[shown]].concat();
            let yaml = config(&[source(vendor, &simulator.base_url(vendor), &lines)]);
            let scraped = Bench::new(&yaml).await.scrape().await;
            assert_truth(&scraped, vendor, &simulator.truth(vendor, ""), &[]);
            assert_eq!(scraped.matching(SIZES, &[]).count(), 8, "{vendor:?}");
            let active = scraped.value("conferencing_conferences", &[("state", "active")]);
            assert_eq!(Some(scraped.sum(SIZES, &[])), active, "{vendor:?}");
        }
    }
}

#[tokio::test]
async fn nothing_going_on_is_eight_zeros_and_nothing_known_is_absent() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for vendor in Vendor::ALL {
        simulator.edit(vendor, "", |population| population.conferences.clear());
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
        let scraped = Bench::new(&yaml).await.scrape().await;
        let sizes: Vec<_> = scraped.matching(SIZES, &[]).map(|sample| sample.value).collect();
        assert_eq!(sizes, [0.0; 8], "{vendor:?}");
    }
    for vendor in [Vendor::OpenvoxUc, Vendor::YeastarS, Vendor::YeastarP] {
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &["live: false"])]);
        let scraped = Bench::new(&yaml).await.scrape().await;
        assert_eq!(scraped.value("conferencing_up", &[]), Some(1.0), "{vendor:?}");
        assert_eq!(scraped.matching(SIZES, &[]).count(), 0, "{vendor:?}");
    }
}

#[tokio::test]
async fn capacity_and_interval_are_shown_as_configured_also_while_the_source_is_down() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let vendor = Vendor::YeastarS;
    let capacity = "capacity: { conferences: 8, participants: 120 }";
    let login = ["username: api", "password: demo-password-not-secret"];
    let lines = |more: &[&'static str]| [&login, more].concat();
    let (up, down) = (simulator.base_url(vendor), Refusing::new());
    let yaml = config(&[
        entry("up", vendor, &up, &lines(&[capacity, "min_interval: 90s"])),
        entry("down", vendor, &down.url(), &lines(&[capacity])),
        entry("half", vendor, &up, &lines(&["capacity: { participants: 30 }"])),
        entry("none", vendor, &up, &lines(&[])),
    ]);
    let scraped = Bench::new(&yaml).await.scrape().await;
    for (name, up, conferences, participants, interval) in [
        ("up", 1.0, Some(8.0), Some(120.0), 90.0),
        ("down", 0.0, Some(8.0), Some(120.0), 0.0),
        ("half", 1.0, None, Some(30.0), 0.0),
        ("none", 1.0, None, None, 0.0),
    ] {
        let of = |metric: &str| scraped.value(metric, &[("source", name)]);
        assert_eq!(of("conferencing_up"), Some(up), "{name}");
        assert_eq!(of("conferencing_capacity_conferences"), conferences, "{name}");
        assert_eq!(of("conferencing_capacity_participants"), participants, "{name}");
        assert_eq!(of("conferencing_source_min_interval_seconds"), Some(interval), "{name}");
    }
}

#[tokio::test]
async fn a_source_that_is_down_says_why_and_stops_when_it_is_back() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let vendor = Vendor::YeastarS;
    let folder = tempfile::tempdir().unwrap();
    let (secret, ids) = (folder.path().join("secret"), folder.path().join("ids"));
    fs::write(&secret, "demo-password-not-secret\n").unwrap();
    fs::write(&ids, "").unwrap();
    let (secret_line, ids_line) = (
        format!("password_file: {}", secret.display()),
        format!("conference_ids_file: {}", ids.display()),
    );
    let refusing = Refusing::new();
    let pbx = |name: &str, password: &str, more: &[&str]| {
        let lines = [&["username: api", password], more].concat();
        let url =
            if name == "connect" { refusing.url() } else { simulator.instance_url(vendor, name) };
        entry(name, vendor, &url, &lines)
    };
    let right = "password: demo-password-not-secret";
    let dingtalk = simulator.instance_url(Vendor::Dingtalk, "ids");
    let dingtalk_lines = [
        "app_key: demo-app-key",
        "app_secret: demo-app-secret-not-secret",
        "min_interval: 0s",
        &ids_line,
    ];
    let yaml = config(&[
        pbx("connect", right, &[]),
        pbx("timeout", right, &["timeout: 300ms"]),
        pbx("auth", "password: wrong", &[]),
        pbx("secret", &secret_line, &[]),
        pbx("http_5xx", right, &[]),
        pbx("rate_limited", right, &[]),
        pbx("decode", right, &[]),
        entry("ids", Vendor::Dingtalk, &dingtalk, &dingtalk_lines),
    ]);
    let bench = Bench::new(&yaml).await;
    let inject =
        |name: &str, fault| simulator.inject(vendor, name, Some("conference/query"), fault, None);
    inject("timeout", Fault::Hang);
    inject("http_5xx", Fault::Status(502));
    inject("rate_limited", Fault::Status(429));
    inject("decode", Fault::Body(b"{".to_vec()));
    fs::remove_file(&secret).unwrap();
    fs::remove_file(&ids).unwrap();
    // The second time, the wrong login and the throttled source are held back: nothing is sent, and the reason stays.
    for round in 0..2 {
        let scraped = bench.scrape().await;
        for (name, reason) in [
            ("connect", "connect"),
            ("timeout", "timeout"),
            ("auth", "auth"),
            ("secret", "auth"),
            ("http_5xx", "http_5xx"),
            ("rate_limited", "rate_limited"),
            ("decode", "decode"),
            ("ids", "vendor"),
        ] {
            let up = scraped.value("conferencing_up", &[("source", name)]);
            assert_eq!(up, Some(0.0), "{name} in round {round}");
            assert_eq!(failure(&scraped, name), [reason], "{name} in round {round}");
        }
    }
    simulator.clear_faults();
    fs::write(&secret, "demo-password-not-secret\n").unwrap();
    fs::write(&ids, "").unwrap();
    let scraped = bench.scrape().await;
    for name in ["timeout", "secret", "http_5xx", "decode", "ids"] {
        assert_eq!(scraped.value("conferencing_up", &[("source", name)]), Some(1.0), "{name}");
        assert_eq!(failure(&scraped, name), [""; 0], "{name}");
    }
}

#[tokio::test]
async fn each_source_says_of_each_capability_whether_it_has_it() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let sources = Vendor::ALL.map(|vendor| source(vendor, &simulator.base_url(vendor), &[]));
    let scraped = Bench::new(&config(&sources)).await.scrape().await;
    let names: BTreeSet<_> = Measure::capabilities().map(Measure::as_str).collect();
    for vendor in Vendor::ALL {
        let of_source = [("source", vendor.as_str())];
        let found: BTreeSet<_> = scraped
            .matching("conferencing_source_capability", &of_source)
            .map(|sample| sample.labels["capability"].as_str())
            .collect();
        assert_eq!(found, names, "{vendor:?}");
        let truth = simulator.truth(vendor, "");
        for (name, value) in [
            ("conferences_locked", truth.conferences_locked),
            ("conferences_recording", truth.conferences_recording),
        ] {
            let labels = [("source", vendor.as_str()), ("capability", name)];
            let capability = scraped.value("conferencing_source_capability", &labels);
            assert_eq!(capability, Some(f64::from(value.is_some())), "{vendor:?} {name}");
            let shown = scraped.value(&format!("conferencing_{name}"), &of_source);
            assert_eq!(shown, value.map(|value| value as f64), "{vendor:?} {name}");
        }
    }
}

#[tokio::test]
async fn requests_are_counted_by_call() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let vendor = Vendor::YeastarP;
    let bench = Bench::new(&config(&[source(vendor, &simulator.base_url(vendor), &[])])).await;
    bench.scrape().await;
    let own = bench.own();
    let call = [("call", "conference/list")];
    let requests = own.matching("conferencing_api_requests_total", &call).next().unwrap();
    let labels: Vec<_> = requests.labels.keys().map(String::as_str).collect();
    assert_eq!((labels, requests.value), (vec!["call", "source", "vendor"], 1.0));
    let duration = "conferencing_api_request_duration_seconds_count";
    let duration = own.matching(duration, &call).next().unwrap();
    let labels: Vec<_> = duration.labels.keys().map(String::as_str).collect();
    assert_eq!((labels, duration.value), (vec!["call", "vendor"], 1.0));
}

#[tokio::test]
async fn a_room_of_a_pbx_keeps_its_series_over_its_conferences() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for vendor in [Vendor::OpenvoxUc, Vendor::YeastarS, Vendor::YeastarP] {
        let yaml = config(&[source(
            vendor,
            &simulator.base_url(vendor),
            &["conferences: { enabled: true }"],
        )]);
        let bench = Bench::new(&yaml).await;
        let before = conferences(&bench.scrape().await);
        assert!(before.len() > 1, "{vendor:?}");
        // Everybody hangs up, and later others meet in the same rooms: new calls.
        simulator.edit(vendor, "", |population| {
            for conference in &mut population.conferences {
                conference.id.push_str("-next");
                conference.participants.truncate(1);
            }
        });
        let after = conferences(&bench.scrape().await);
        assert_eq!(
            before.keys().collect::<Vec<_>>(),
            after.keys().collect::<Vec<_>>(),
            "{vendor:?}"
        );
    }
}

#[tokio::test]
async fn two_calls_to_one_number_are_one_conference_with_everybody() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let member =
        |channel: &str| format!(r#"{{"channelid":"{channel}","memberstatus":"ANSWERED"}}"#);
    let entry = |call: &str, number: &str, members: &[&str]| {
        let members: Vec<_> = members.iter().map(|channel| member(channel)).collect();
        let members = members.join(",");
        format!(r#"{{"callid":"{call}","conferencenumber":"{number}","members":[{members}]}}"#)
    };
    let entries = [
        entry("1", "6401", &["a", "b"]),
        entry("2", "6401", &["b", "c"]),
        // The same once more.
        entry("1", "6401", &["a", "b"]),
        // Without a number the call tells them apart.
        entry("3", "", &["d"]),
        entry("4", "", &["e"]),
    ];
    let answer = format!(r#"{{"status":"Success","conference":[{}]}}"#, entries.join(","));
    let vendor = Vendor::YeastarS;
    let call = Some("conference/query_in_session");
    simulator.inject(vendor, "", call, Fault::StatusJson(200, answer), None);
    let shown = "conferences: { enabled: true, identify: number }";
    let bench = Bench::new(&config(&[source(vendor, &simulator.base_url(vendor), &[shown])])).await;
    let scraped = bench.scrape().await;
    assert_eq!(scraped.value("conferencing_conferences", &[("state", "active")]), Some(3.0));
    assert_eq!(scraped.value("conferencing_participants", &[("state", "joined")]), Some(5.0));
    let shown = conferences(&scraped);
    assert_eq!(shown.get("6401"), Some(&3), "{shown:?}");
    assert_eq!(shown.values().sum::<u64>(), 5, "{shown:?}");
}

#[tokio::test]
async fn meetings_of_one_name_keep_their_series_while_they_grow() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let vendor = Vendor::Dingtalk;
    let meet = |sizes: [usize; 2]| {
        simulator.edit(vendor, "", |population| {
            population.conferences = [("a", sizes[0]), ("b", sizes[1])]
                .map(|(id, size)| Conference::new(id, "1", "daily").with(size, Presence::Joined))
                .to_vec();
        });
    };
    let shown = "conferences: { enabled: true, identify: name }";
    let bench = Bench::new(&config(&[source(vendor, &simulator.base_url(vendor), &[shown])])).await;
    for sizes in [[3, 2], [4, 3], [4, 5]] {
        meet(sizes);
        let expected = [("daily", sizes[0]), ("daily #2", sizes[1])];
        let expected = expected.map(|(label, size)| (label.to_owned(), size as u64));
        assert_eq!(conferences(&bench.scrape().await), BTreeMap::from(expected));
    }
}

#[tokio::test]
async fn how_many_conferences_have_no_series_is_told_where_series_are_enabled() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for vendor in Vendor::ALL {
        let dropped = |shown: &'static str| {
            let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[shown])]);
            async move { Bench::new(&yaml).await.scrape().await.value(DROPPED, &[]) }
        };
        let active = simulator.truth(vendor, "").conferences_active.unwrap() as f64;
        let enabled = dropped("conferences: { enabled: true }").await;
        assert_eq!(enabled, Some(0.0), "{vendor:?}");
        let limited = dropped("conferences: { enabled: true, limit: 1 }").await;
        assert_eq!(limited, Some(active - 1.0), "{vendor:?}");
        assert_eq!(dropped("conferences: { enabled: false }").await, None, "{vendor:?}");
        simulator.edit(vendor, "", |population| population.conferences.clear());
        let idle = dropped("conferences: { enabled: true }").await;
        assert_eq!(idle, Some(0.0), "{vendor:?}");
    }
    let nothing_live = ["live: false", "conferences: { enabled: true }"];
    let vendor = Vendor::YeastarS;
    let yaml = config(&[source(vendor, &simulator.base_url(vendor), &nothing_live)]);
    assert_eq!(Bench::new(&yaml).await.scrape().await.value(DROPPED, &[]), Some(0.0));
}
