// SPDX-License-Identifier: Apache-2.0
//! Huawei Cloud Meeting against the simulator.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimePrinter};
use simulator::{
    Conference, Fault, Options, Participant, Presence, Request, Role, Scheduled, Simulator, Vendor,
};

use crate::common::{
    Bench, assert_truth, config, entry, exposition::Exposition, hosts, script::Script, source,
    wait::later,
};

const HUAWEI: Vendor = Vendor::HuaweiMeeting;

type Name = (&'static str, Option<&'static str>);

const MODERATORS: Name = ("conferencing_participants_moderators", None);
const INVITED: Name = ("conferencing_invitees", None);
const LIVE: [Name; 5] = [
    ("conferencing_participants", Some("joining")),
    ("conferencing_participants", Some("invited")),
    ("conferencing_participants_muted", None),
    ("conferencing_participants_mute_reported", None),
    ("conferencing_participants_hand_raised", None),
];

fn live_and(more: &[Name]) -> Vec<Name> {
    [&LIVE, more].concat()
}

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

fn yaml(simulator: &Simulator, extra: &[&str]) -> String {
    config(&[source(HUAWEI, &simulator.base_url(HUAWEI), extra)])
}

fn requests(simulator: &Simulator) -> Vec<Request> {
    simulator.requests(HUAWEI, "")
}

fn asked(simulator: &Simulator, call: &str) -> usize {
    requests(simulator).iter().filter(|request| request.call == call).count()
}

fn up(scraped: &Exposition) -> bool {
    scraped.value("conferencing_up", &[]) == Some(1.0)
}

fn conferences(scraped: &Exposition, state: &str) -> Option<f64> {
    scraped.value("conferencing_conferences", &[("state", state)])
}

fn reasons(bench: &Bench) -> BTreeMap<String, f64> {
    let own = bench.own();
    own.matching("conferencing_api_errors_total", &[])
        .filter(|sample| sample.value > 0.0)
        .map(|sample| (sample.labels["reason"].clone(), sample.value))
        .collect()
}

#[tokio::test]
async fn lists_give_the_numbers() {
    let simulator = simulator().await;
    let bench = Bench::new(&yaml(&simulator, &[])).await;
    let scraped = bench.scrape().await;
    assert!(up(&scraped));
    let truth = simulator.truth(HUAWEI, "");
    assert_truth(&scraped, HUAWEI, &truth, &live_and(&[INVITED, MODERATORS]));
    let calls: Vec<_> = requests(&simulator).iter().map(|request| request.call).collect();
    assert_eq!(calls, ["appauth", "conferences/online", "conferences"]);
    for (capability, there) in
        [("conferences_scheduled", 1.0), ("participants_muted", 0.0), ("invitees", 0.0)]
    {
        let labels = [("capability", capability)];
        assert_eq!(scraped.value("conferencing_source_capability", &labels), Some(there));
    }
}

#[tokio::test]
async fn details_count_the_invited() {
    let simulator = simulator().await;
    let bench = Bench::new(&yaml(&simulator, &["details: true"])).await;
    let scraped = bench.scrape().await;
    assert_truth(&scraped, HUAWEI, &simulator.truth(HUAWEI, ""), &live_and(&[MODERATORS]));
    assert_eq!(asked(&simulator, "confDetail") as u64, 6);
}

#[tokio::test]
async fn attendees_tell_the_hosts() {
    let simulator = simulator().await;
    simulator.edit(HUAWEI, "", |population| {
        // More than a page of people.
        let crowded = &mut population.conferences[0];
        *crowded = crowded.clone().with(700, Presence::Joined);
        crowded.participants.last_mut().unwrap().role = Role::Host;
    });
    let bench = Bench::new(&yaml(&simulator, &["attendees: true"])).await;
    let mut truth = simulator.truth(HUAWEI, "");
    truth.participants_moderators_hosts = truth.participants_moderators_attendees;
    assert_truth(&bench.scrape().await, HUAWEI, &truth, &live_and(&[INVITED]));
    assert_eq!(asked(&simulator, "online/conf-attendee"), 7);
}

#[tokio::test]
async fn hosts_see_everything() {
    let simulator = simulator().await;
    let known = simulator.host_passwords("");
    assert_eq!(known.len(), 2);
    let yaml = yaml(&simulator, &[&hosts(&known), "details: true", "attendees: true"]);
    let bench = Bench::new(&yaml).await;
    let mut truth = simulator.truth(HUAWEI, "");
    assert!(truth.participants_moderators > truth.participants_moderators_hosts);
    assert!(truth.participants_moderators > truth.participants_moderators_attendees);
    truth.participants_moderators_hosts = truth.participants_moderators;
    for _ in 0..3 {
        assert_truth(&bench.scrape().await, HUAWEI, &truth, &[]);
    }
    // One token a meeting serves all scrapes.
    assert_eq!(asked(&simulator, "control_token"), 2);
    assert_eq!(asked(&simulator, "realTimeInfo"), 6);
    // The live views tell the moderators of their meetings.
    assert_eq!(asked(&simulator, "online/conf-attendee"), 3 * (truth.conferences.len() - 2));
}

#[tokio::test]
async fn one_host_does_not_hide_the_moderators_of_other_meetings() {
    let simulator = simulator().await;
    let known = simulator.host_passwords("");
    let one = hosts(&known[..1]);
    let bench = Bench::new(&yaml(&simulator, &[&one, "attendees: true"])).await;
    let population = simulator.population(HUAWEI, "");
    let count = |conference: &Conference| {
        let is_known = conference.id == known[0].0;
        let joined = conference.participants.iter().filter(|p| p.presence == Presence::Joined);
        let moderates = |p: &&Participant| match p.role {
            Role::Host => true,
            Role::Member => false,
            _ => is_known,
        };
        joined.filter(moderates).count()
    };
    let expected = population.conferences.iter().map(count).sum::<usize>() as f64;
    assert_eq!(bench.scrape().await.value(MODERATORS.0, &[]), Some(expected));

    // A host who is not told who moderates leaves it to the attendees.
    let body = br#"{"participants":[{"pid":"a","state":0,"mute":1,"hand":0}]}"#.to_vec();
    simulator.inject(HUAWEI, "", Some("realTimeInfo"), Fault::Body(body), None);
    let expected = simulator.truth(HUAWEI, "").participants_moderators_attendees;
    let moderators = bench.scrape().await.value(MODERATORS.0, &[]);
    assert_eq!(moderators, expected.map(|count| count as f64));
}

#[tokio::test]
async fn hosts_of_meetings_that_are_not_held_report_zero() {
    let simulator = simulator().await;
    let idle = hosts(&[("123456789".into(), "4711".into())]);
    let bench = Bench::new(&yaml(&simulator, &[&idle])).await;
    let scraped = bench.scrape().await;
    assert!(up(&scraped));
    for (name, state) in live_and(&[MODERATORS]) {
        let labels: Vec<_> = state.map(|state| ("state", state)).into_iter().collect();
        assert_eq!(scraped.value(name, &labels), Some(0.0), "{name} {state:?}");
    }
    assert_eq!(asked(&simulator, "control_token"), 0);
}

#[tokio::test]
async fn without_conf_info_the_attendees_tell_the_moderators() {
    let simulator = simulator().await;
    let known = simulator.host_passwords("");
    let body = br#"{"participants":[{"pid":"a","state":0,"mute":1,"hand":0}]}"#.to_vec();
    simulator.inject(HUAWEI, "", Some("realTimeInfo"), Fault::Body(body), None);
    let truth = simulator.truth(HUAWEI, "");
    let bench = Bench::new(&yaml(&simulator, &[&hosts(&known)])).await;
    let scraped = bench.scrape().await;
    assert!(up(&scraped));
    assert_eq!(scraped.value("conferencing_participants_muted", &[]), Some(2.0));
    assert_eq!(scraped.value(MODERATORS.0, &[]), None);
    bench.apply(&yaml(&simulator, &[&hosts(&known), "attendees: true"])).await;
    let expected = truth.participants_moderators_attendees.map(|count| count as f64);
    assert_eq!(bench.scrape().await.value(MODERATORS.0, &[]), expected);
}

#[tokio::test]
async fn an_account_logs_in_as_well() {
    let simulator = simulator().await;
    let login = [
        "account: demo@example.com",
        "password: demo-password-not-secret",
        "min_interval: 0s",
        "scope: own",
    ];
    let yaml = config(&[entry("cloud", HUAWEI, &simulator.base_url(HUAWEI), &login)]);
    let bench = Bench::new(&yaml).await;
    let scraped = bench.scrape().await;
    assert!(up(&scraped));
    let truth = simulator.truth(HUAWEI, "");
    let own: Vec<_> = truth.conferences.iter().filter(|conference| conference.own).collect();
    assert!(own.len() < truth.conferences.len());
    assert_eq!(conferences(&scraped, "active"), Some(own.len() as f64));
    let joined: u64 = own.iter().map(|conference| conference.participants).sum();
    let labels = [("state", "joined")];
    assert_eq!(scraped.value("conferencing_participants", &labels), Some(joined as f64));
    assert_eq!(conferences(&scraped, "scheduled"), Some(1.0));
    bench.engine.shutdown().await;
    let requests = requests(&simulator);
    assert_eq!(requests[0].call, "account_login");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&requests[0].body).unwrap(),
        serde_json::json!({ "account": "demo@example.com", "clientType": 72, "createTokenType": 0 })
    );
    let query_all: Vec<_> = requests.iter().filter_map(|r| r.query("queryAll")).collect();
    assert_eq!(query_all, ["false", "false"]);
    assert_eq!(simulator.live_tokens(HUAWEI, ""), 0);
}

#[tokio::test]
async fn without_discovery_only_the_configured_meetings_count() {
    let simulator = simulator().await;
    let population = simulator.population(HUAWEI, "");
    let held = &population.conferences[1];
    let scheduled = &population.scheduled[1];
    let ids = format!("conference_ids: [\"{}\", \"{}\", \"1\"]", held.id, scheduled.id);
    let known = hosts(&simulator.host_passwords(""));
    let bench = Bench::new(&yaml(
        &simulator,
        &["discover: false", &ids, "details: true", "attendees: true", &known],
    ))
    .await;
    let scraped = bench.scrape().await;
    assert_eq!(conferences(&scraped, "active"), Some(1.0));
    assert_eq!(conferences(&scraped, "scheduled"), Some(1.0));
    let labels = [("state", "joined")];
    let joined = held.joined() as f64;
    assert_eq!(scraped.value("conferencing_participants", &labels), Some(joined));
    for call in ["confDetail", "control_token", "realTimeInfo"] {
        assert_eq!(asked(&simulator, call), 1, "{call}");
    }
}

#[tokio::test]
async fn conferences_one_by_one() {
    let simulator = simulator().await;
    let known = hosts(&simulator.host_passwords(""));
    for identify in ["number", "name", "hash"] {
        let rows = format!("conferences: {{ enabled: true, limit: 4, identify: {identify} }}");
        let bench = Bench::new(&yaml(&simulator, &[&rows, &known])).await;
        let scraped = bench.scrape().await;
        let truth = simulator.truth(HUAWEI, "");
        let dropped = scraped.value("conferencing_conference_series_dropped", &[]);
        assert_eq!(dropped, Some(truth.conferences.len() as f64 - 4.0));
        for conference in &truth.conferences[..4] {
            let label = match identify {
                "number" => conference.id.as_str(),
                "name" => conference.name.as_str(),
                _ => continue,
            };
            let value = |name| scraped.value(name, &[("conference", label)]);
            let start = conference.start_unix.map(|start| (start - start % 60) as f64);
            assert_eq!(
                value("conferencing_conference_participants"),
                Some(conference.participants as f64)
            );
            assert_eq!(
                value("conferencing_conference_participants_muted"),
                conference.muted.map(|muted| muted as f64)
            );
            assert_eq!(value("conferencing_conference_start_timestamp_seconds"), start);
        }
        if identify == "hash" {
            for sample in scraped.matching("conferencing_conference_participants", &[]) {
                let label = &sample.labels["conference"];
                assert!(label.len() == 16 && label.bytes().all(|b| b.is_ascii_hexdigit()));
            }
        }
    }
}

#[tokio::test]
async fn nothing_going_on_is_zero() {
    let simulator = simulator().await;
    let known = hosts(&simulator.host_passwords(""));
    simulator.edit(HUAWEI, "", |population| {
        population.conferences.clear();
        population.scheduled.clear();
    });
    let bench = Bench::new(&yaml(&simulator, &["details: true", "attendees: true", &known])).await;
    let scraped = bench.scrape().await;
    let truth = simulator.truth(HUAWEI, "");
    assert_eq!(truth.conferences_mute_on_join, Some(0));
    assert_truth(&scraped, HUAWEI, &truth, &[]);
}

#[tokio::test]
async fn without_head_counts_they_are_absent() {
    let simulator = simulator().await;
    simulator.edit(HUAWEI, "", |population| population.behaviour.head_counts = false);
    let bench =
        Bench::new(&yaml(&simulator, &["conferences: { enabled: true, identify: number }"])).await;
    let scraped = bench.scrape().await;
    assert!(up(&scraped));
    let joined = ("conferencing_participants", Some("joined"));
    let largest = ("conferencing_largest_conference_participants", None);
    let absent = live_and(&[INVITED, MODERATORS, joined, largest]);
    assert_truth(&scraped, HUAWEI, &simulator.truth(HUAWEI, ""), &absent);
    assert_eq!(scraped.matching("conferencing_conference_participants", &[]).count(), 0);
    let starts = scraped.matching("conferencing_conference_start_timestamp_seconds", &[]).count();
    assert_eq!(starts, 6);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let simulator = simulator().await;
    simulator.edit(HUAWEI, "", |population| {
        for number in 0..1_200 {
            let id = format!("7{number:08}");
            let meeting = Conference::new(&id, &id, "crowd").with(1, Presence::Joined);
            population.conferences.push(meeting);
            let id = format!("6{number:08}");
            population.scheduled.push(Scheduled::new(&id, "later", 2_000_000_000));
        }
    });
    let bench = Bench::new(&yaml(&simulator, &[])).await;
    let scraped = bench.scrape().await;
    let truth = simulator.truth(HUAWEI, "");
    assert_truth(&scraped, HUAWEI, &truth, &live_and(&[INVITED, MODERATORS]));
    let offsets = |call: &str| {
        let requests = requests(&simulator);
        let pages = requests.iter().filter(|request| request.call == call);
        pages.map(|page| page.query("offset").unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(offsets("conferences/online"), ["0", "500", "1000"]);
    // 1206 going on, 1200 and the six sittings of the default population to come.
    assert_eq!(offsets("conferences"), ["0", "500", "1000", "1500", "2000"]);

    for fault in [Fault::LyingTotal(1_000_000), Fault::RepeatPages, Fault::DuplicateItems] {
        for call in ["conferences/online", "conferences"] {
            simulator.clear_faults();
            simulator.clear_requests();
            simulator.inject(HUAWEI, "", Some(call), fault.clone(), None);
            let scraped = bench.scrape().await;
            assert!(up(&scraped), "{fault:?} {call}");
            assert!(offsets(call).len() <= 6, "{fault:?} {call}");
            if !matches!(fault, Fault::RepeatPages) {
                assert_truth(&scraped, HUAWEI, &truth, &live_and(&[INVITED, MODERATORS]));
            }
        }
    }
}

#[tokio::test]
async fn a_login_is_signed_and_names_user_and_company() {
    let simulator = simulator().await;
    let bench = Bench::new(&yaml(&simulator, &["user_id: user01", "corp_id: \"77\""])).await;
    assert!(up(&bench.scrape().await));
    let login = requests(&simulator).into_iter().find(|r| r.call == "appauth").unwrap();
    let authorization = login.header("authorization").unwrap();
    let signature = authorization.strip_prefix("HMAC-SHA256 signature=").unwrap();
    assert_eq!(&signature[64..], ",access=ZGVtby1hcHAtaWQ=");
    let body: BTreeMap<String, serde_json::Value> = serde_json::from_str(&login.body).unwrap();
    let fields: Vec<_> = body.keys().map(String::as_str).collect();
    assert_eq!(fields, ["appId", "clientType", "corpId", "expireTime", "nonce", "userId"]);
    assert_eq!((&body["userId"], &body["corpId"]), (&"user01".into(), &"77".into()));
}

#[tokio::test]
async fn an_expired_control_token_is_replaced_once_within_the_scrape() {
    let simulator = simulator().await;
    let known = simulator.host_passwords("");
    let bench = Bench::new(&yaml(&simulator, &[&hosts(&known)])).await;
    assert!(up(&bench.scrape().await));
    simulator.clear_requests();
    let refused = Fault::VendorError("MMC.111070004".into());
    simulator.inject(HUAWEI, "", Some("realTimeInfo"), refused.clone(), Some(1));
    assert!(up(&bench.scrape().await));
    assert_eq!(asked(&simulator, "control_token"), 1);
    assert_eq!(asked(&simulator, "realTimeInfo"), 3);
    assert_eq!(asked(&simulator, "appauth"), 0);
    // Once a collection, no more.
    simulator.inject(HUAWEI, "", Some("realTimeInfo"), refused, None);
    simulator.clear_requests();
    assert!(!up(&bench.scrape().await));
    assert!(asked(&simulator, "control_token") <= 2);
    simulator.clear_faults();
    assert!(up(&bench.scrape().await));
}

#[tokio::test]
async fn a_meeting_that_ends_meanwhile_is_no_error() {
    let simulator = simulator().await;
    let known = hosts(&simulator.host_passwords(""));
    let lines = ["details: true", "attendees: true", &known];
    let hosted = Bench::new(&yaml(&simulator, &lines)).await;
    let listed = Bench::new(&yaml(&simulator, &lines[..2])).await;
    for (call, code) in [
        ("confDetail", "MMC.111070005"),
        ("online/conf-attendee", "MMC.111070005"),
        ("control_token", "MMC.111072005"),
        ("realTimeInfo", "MMC.111072005"),
    ] {
        let over = Fault::VendorErrorStatus(400, code.into());
        simulator.inject(HUAWEI, "", Some(call), over, None);
        for bench in [&hosted, &listed] {
            assert!(up(&bench.scrape().await), "{call}");
        }
        simulator.clear_faults();
    }
    for bench in [hosted, listed] {
        assert_eq!(reasons(&bench), BTreeMap::new());
    }
}

/// "Meeting not found, or wrong password": the password has just worked, so the meeting is over. If it is
/// still listed at the next collection, it is the password.
#[tokio::test]
async fn a_host_password_that_worked_is_not_blamed_for_a_meeting_that_ends() {
    let simulator = simulator().await;
    let known = hosts(&simulator.host_passwords(""));
    let bench = Bench::new(&yaml(&simulator, &[&known])).await;
    assert!(up(&bench.scrape().await));
    let over = || Fault::VendorErrorStatus(400, "MMC.111072065".into());
    simulator.inject(HUAWEI, "", Some("realTimeInfo"), over(), None);
    simulator.inject(HUAWEI, "", Some("control_token"), over(), None);
    assert!(up(&bench.scrape().await));
    assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(0.0));
    simulator.clear_requests();
    for _ in 0..3 {
        assert!(!up(&bench.scrape().await));
    }
    assert_eq!(asked(&simulator, "control_token"), 1);
    assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0));
}

/// The time at which a control token ends is on the clock of the service, as the answer's `Date` is.
#[tokio::test]
async fn a_control_token_ends_on_the_clock_of_the_service() {
    let there = Timestamp::now() + SignedDuration::from_hours(8);
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&there).unwrap();
    let end = there.as_millisecond() + 30 * 60 * 1_000;
    let service = Script::start("", move |request| {
        let body = if request.contains("/conferences/token?") {
            format!(r#"{{"data":{{"token":"c","expireTime":{end}}}}}"#)
        } else if request.contains("/realTimeInfo?") {
            r#"{"participants":[]}"#.to_owned()
        } else if request.contains("/appauth") {
            r#"{"accessToken":"a","validPeriod":56326}"#.to_owned()
        } else {
            r#"{"data":[{"conferenceID":"1","onlineAttendeeAmount":0}],"count":1}"#.to_owned()
        };
        let head = format!("HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-length: {}", body.len());
        Some(format!("{head}\r\n\r\n{body}").into_bytes())
    })
    .await;
    let host = r#"hosts: [{ conference_id: "1", password: "123456" }]"#;
    let url = format!("http://{}", service.address);
    let bench = Bench::new(&config(&[source(HUAWEI, &url, &[host])])).await;
    let passwords = || service.seen().iter().filter(|seen| seen.contains("/token?")).count();
    for (minutes, expected) in [(0, 1), (24, 1), (2, 2)] {
        later(Duration::from_secs(minutes * 60)).await;
        assert!(up(&bench.scrape().await));
        assert_eq!(passwords(), expected, "{minutes} minutes later");
    }
}

/// What is known of the meetings outlives a reload that does not change as whom they are asked about.
#[tokio::test]
async fn control_tokens_survive_a_reload() {
    let simulator = simulator().await;
    let known = hosts(&simulator.host_passwords(""));
    let bench = Bench::new(&yaml(&simulator, &[&known])).await;
    assert!(up(&bench.scrape().await));
    assert!(asked(&simulator, "control_token") > 0);
    simulator.clear_requests();
    bench.apply(&yaml(&simulator, &[&known, "details: true"])).await;
    assert!(up(&bench.scrape().await));
    assert_eq!((asked(&simulator, "appauth"), asked(&simulator, "control_token")), (0, 0));
    assert!(asked(&simulator, "realTimeInfo") > 0);
}

#[tokio::test]
async fn a_wrong_host_password_is_tried_once() {
    let directory = tempfile::tempdir().unwrap();
    let simulator = simulator().await;
    let known = simulator.host_passwords("");
    let files: Vec<_> =
        (0..known.len()).map(|index| directory.path().join(format!("host-{index}"))).collect();
    let entries: Vec<_> = known
        .iter()
        .zip(&files)
        .map(|((id, _), file)| {
            std::fs::write(file, "old\n").unwrap();
            format!("{{ conference_id: \"{id}\", password_file: {} }}", file.display())
        })
        .collect();
    let hosts = format!("hosts: [{}]", entries.join(", "));
    let bench = Bench::new(&yaml(&simulator, &[&hosts])).await;
    for _ in 0..5 {
        assert!(!up(&bench.scrape().await));
    }
    // Of two wrong passwords one was tried, and nothing was asked after that.
    assert_eq!(asked(&simulator, "control_token"), 1);
    assert_eq!(asked(&simulator, "conferences/online"), 1);
    assert_eq!(reasons(&bench), BTreeMap::from([("auth".to_owned(), 1.0)]));
    assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0));
    for ((_, password), file) in known.iter().zip(&files) {
        std::fs::write(file, password).unwrap();
    }
    assert!(up(&bench.scrape().await));
    assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(0.0));
}

/// The token is used on while its login is held back, but a wrong host password would count as one
/// more refused login.
#[tokio::test]
async fn no_host_password_is_tried_while_logins_are_held_back() {
    let simulator = simulator().await;
    let known = hosts(&simulator.host_passwords(""));
    let refused = || Fault::VendorError("USG.206010025".into());
    for (extra, outlasts) in [("attendees: true", true), (known.as_str(), false)] {
        let bench = Bench::new(&yaml(&simulator, &[extra])).await;
        assert!(up(&bench.scrape().await));
        let before = asked(&simulator, "control_token");
        simulator.inject(HUAWEI, "", Some("appauth"), refused(), None);
        tokio::time::pause();
        // The control tokens have ended by then, too.
        tokio::time::advance(Duration::from_secs(56_326 * 9 / 10 + 1)).await;
        tokio::time::resume();
        for _ in 0..2 {
            assert_eq!(up(&bench.scrape().await), outlasts, "{extra}");
            assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0));
        }
        assert_eq!(asked(&simulator, "control_token"), before);
        assert_eq!(reasons(&bench), BTreeMap::from([("auth".to_owned(), 1.0)]));
        simulator.clear_faults();
    }
}

#[tokio::test]
async fn a_locked_meeting_is_left_alone() {
    let simulator = simulator().await;
    let known = hosts(&simulator.host_passwords(""));
    let locked = Fault::VendorError("MMC.111072064".into());
    simulator.inject(HUAWEI, "", Some("control_token"), locked, None);
    let bench = Bench::new(&yaml(&simulator, &[&known])).await;
    for _ in 0..3 {
        assert!(!up(&bench.scrape().await));
    }
    assert_eq!(asked(&simulator, "control_token"), 1);
    assert_eq!(reasons(&bench), BTreeMap::from([("locked_out".to_owned(), 1.0)]));
    assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0));
}

#[tokio::test]
async fn refused_logins_are_not_repeated() {
    for (status, code, reason) in [
        (401, "USG.206010025", "auth"),
        (403, "USG.206010057", "auth"),
        (412, "USG.206010007", "auth"),
        (423, "USG.206030015", "locked_out"),
        (429, "APIG.0308", "rate_limited"),
    ] {
        let simulator = simulator().await;
        let refusal = Fault::VendorErrorStatus(status, code.into());
        simulator.inject(HUAWEI, "", Some("appauth"), refusal, None);
        let bench = Bench::new(&yaml(&simulator, &[])).await;
        for _ in 0..3 {
            assert!(!up(&bench.scrape().await));
        }
        assert_eq!(requests(&simulator).len(), 1, "{status}");
        assert_eq!(reasons(&bench), BTreeMap::from([(reason.to_owned(), 1.0)]), "{status}");
    }
}

/// What every system can do wrong is in `faults.rs`.
#[tokio::test]
async fn failures_have_their_reasons() {
    let simulator = simulator().await;
    let known = hosts(&simulator.host_passwords(""));
    let body = |text: &str| Fault::Body(text.as_bytes().to_vec());
    let vendor = |status, code: &str| Fault::VendorErrorStatus(status, code.into());
    let table = [
        (vendor(403, "MMC.111070002"), "forbidden"),
        (vendor(400, "MMC.111070010"), "forbidden"),
        (Fault::Status(403), "forbidden"),
        (vendor(400, "MMC.111070001"), "vendor"),
        (vendor(500, "MMC.111070003"), "vendor"),
        (body(r#"{"error_code":"MMC.111071008","error_msg":"x"}"#), "vendor"),
        (body(r#"{"error":{"code":"MMC.111071008"},"data":null,"participants":[]}"#), "vendor"),
        (body("{}"), "decode"),
        (body("[]"), "decode"),
    ];
    let calls = [
        "conferences/online",
        "conferences",
        "confDetail",
        "online/conf-attendee",
        "control_token",
        "realTimeInfo",
    ];
    for call in calls {
        let hosted = matches!(call, "control_token" | "realTimeInfo");
        let lines = if hosted {
            vec![known.as_str()]
        } else {
            vec!["details: true", "attendees: true", "max_concurrency: 1"]
        };
        for (fault, reason) in &table {
            let bench = Bench::new(&yaml(&simulator, &lines)).await;
            simulator.inject(HUAWEI, "", Some(call), fault.clone(), None);
            let scraped = bench.scrape().await;
            assert!(!up(&scraped), "{call} {fault:?}");
            assert_eq!(
                scraped
                    .names_of("huawei_meeting")
                    .iter()
                    .filter(|n| n.contains("participants"))
                    .count(),
                0
            );
            let found = reasons(&bench);
            assert_eq!(found.keys().collect::<Vec<_>>(), [reason], "{call} {fault:?}");
            simulator.clear_faults();
            assert!(up(&bench.scrape().await), "{call} {fault:?}");
            // What is not known to be about something else may be about the token.
            let doubtful = matches!(*reason, "vendor" | "forbidden");
            let logins = bench.own().sum("conferencing_logins_total", &[]);
            assert!(logins == 1.0 || doubtful && logins == 2.0, "{call} {fault:?}: {logins}");
            bench.engine.shutdown().await;
        }
        // Silence for as long as it asks for.
        let bench = Bench::new(&yaml(&simulator, &lines)).await;
        let flow = Fault::VendorErrorStatus(400, "MMC.100000429".into());
        simulator.inject(HUAWEI, "", Some(call), flow, Some(1));
        assert!(!up(&bench.scrape().await));
        simulator.clear_requests();
        assert!(!up(&bench.scrape().await));
        assert_eq!(requests(&simulator).len(), 0, "{call}");
        assert_eq!(reasons(&bench).keys().collect::<Vec<_>>(), ["rate_limited"]);
    }
}

#[tokio::test]
async fn an_ordinary_user_is_warned_about_once_and_nothing_else_is_said() {
    let (log, _guard) = Log::capture();
    let simulator = simulator().await;
    simulator.edit(HUAWEI, "", |population| {
        population.behaviour.admin_type = 2;
        let mut somebody = Participant::new("Somebody Canary", "8800000000", Presence::Joined);
        somebody.role = Role::CoHost;
        population.conferences[0].participants.push(somebody);
    });
    let known = hosts(&simulator.host_passwords(""));
    let lines = ["details: true", "attendees: true", &known, "timeout: 5s"];
    let bench = Bench::new(&yaml(&simulator, &lines)).await;
    for _ in 0..3 {
        let scraped = bench.scrape().await;
        assert_eq!(conferences(&scraped, "active"), Some(2.0));
    }
    for fault in [Fault::VendorError("MMC.111070002".into()), Fault::Delay(Duration::ZERO)] {
        simulator.inject(HUAWEI, "", None, fault, Some(2));
        bench.scrape().await;
    }
    bench.engine.shutdown().await;
    let log = log.text();
    assert_eq!(log.matches("not an administrator").count(), 1, "{log}");
    let canaries = simulator.canaries();
    assert!(canaries.iter().any(|canary| canary == "Somebody Canary"));
    for canary in canaries {
        assert!(!log.contains(&canary), "{canary} in {log}");
    }
}

/// What is logged on this thread, down to the last detail.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        (log, guard)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_spelling_of_nothing_is_none() {
    let simulator = simulator().await;
    let attendees = "online/conf-attendee";
    for nothing in ["null", "[]", "\"\""] {
        let body = format!("{{\"data\":{nothing}}}");
        for call in ["conferences/online", "conferences"] {
            simulator.inject(HUAWEI, "", Some(call), Fault::Body(body.clone().into()), None);
        }
        let scraped = Bench::new(&yaml(&simulator, &[])).await.scrape().await;
        assert!(up(&scraped), "{nothing}");
        assert_eq!(conferences(&scraped, "active"), Some(0.0), "{nothing}");
        simulator.clear_faults();

        simulator.inject(HUAWEI, "", Some(attendees), Fault::Body(body.clone().into()), None);
        let scraped = Bench::new(&yaml(&simulator, &["attendees: true"])).await.scrape().await;
        assert_eq!(scraped.value(MODERATORS.0, &[]), Some(0.0), "{nothing}");
        simulator.clear_faults();
    }
    let one = br#"{"data":{"participant_id":"a","role":1}}"#.to_vec();
    simulator.inject(HUAWEI, "", Some(attendees), Fault::Body(one), None);
    let scraped = Bench::new(&yaml(&simulator, &["attendees: true"])).await.scrape().await;
    assert_eq!(scraped.value(MODERATORS.0, &[]), Some(6.0));
}

#[tokio::test]
async fn a_meeting_that_is_not_found_is_over() {
    let simulator = simulator().await;
    let known = hosts(&simulator.host_passwords(""));
    for (status, code) in
        [(400, "MMC.111070005"), (404, "MMC.111070005"), (404, "CONF_DATA_NOT_FOUND")]
    {
        for call in ["confDetail", "online/conf-attendee", "control_token", "realTimeInfo"] {
            let over = Fault::VendorErrorStatus(status, code.to_owned());
            simulator.inject(HUAWEI, "", Some(call), over, Some(1));
            let all = ["details: true", "attendees: true", &known];
            let bench = Bench::new(&yaml(&simulator, &all)).await;
            assert!(up(&bench.scrape().await), "{call} {status} {code}");
            assert_eq!(reasons(&bench), BTreeMap::new(), "{call} {status} {code}");
        }
        // No meeting is asked for in a list.
        let over = Fault::VendorErrorStatus(status, code.to_owned());
        simulator.inject(HUAWEI, "", Some("conferences"), over, None);
        assert!(!up(&Bench::new(&yaml(&simulator, &[])).await.scrape().await), "{status} {code}");
        simulator.clear_faults();
    }
}
