// SPDX-License-Identifier: Apache-2.0
//! Asterisk: against the simulator, with the answers of real ones, and with what no Asterisk says.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::time::Duration;

use simulator::{Fault, Options, Simulator, Vendor};

use crate::common::{
    Bench, config,
    exposition::Exposition,
    numbers,
    real_asterisk::{BANNER, playing, session},
    script::{Reply, Script},
    source,
    wait::{later, until},
};

const VENDOR: Vendor = Vendor::Asterisk;

async fn bench(url: &str, extra: &[&str]) -> Bench {
    Bench::new(&config(&[source(VENDOR, url, extra)])).await
}

fn count(simulator: &Simulator, call: &str) -> usize {
    simulator.requests(VENDOR, "").iter().filter(|request| request.call == call).count()
}

fn is_up(scraped: &Exposition) -> bool {
    scraped.value("conferencing_up", &[]) == Some(1.0)
}

#[tokio::test]
async fn each_collection_has_one_connection_and_logs_off() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let bench = bench(&simulator.base_url(VENDOR), &[]).await;
    for round in 1..=3 {
        assert!(is_up(&bench.scrape().await));
        until("the log-off", async || count(&simulator, "logoff"), |seen| *seen == round).await;
        until("the end", async || simulator.open_connections(), |open| *open == 0).await;
        assert_eq!(count(&simulator, "challenge"), round);
        assert_eq!(count(&simulator, "login"), round);
    }
    assert_eq!(simulator.live_tokens(VENDOR, ""), 0);
    let rooms = simulator.truth(VENDOR, "").conferences_active.unwrap() as usize;
    assert_eq!(count(&simulator, "confbridge_list"), 3 * rooms);
    let own = bench.own();
    assert_eq!(own.sum("conferencing_logins_total", &[]), 3.0);
    assert_eq!(own.sum("conferencing_login_failures_total", &[]), 0.0);
    assert_eq!(own.sum("conferencing_api_errors_total", &[]), 0.0);
    assert_eq!(own.value("conferencing_token_expiry_timestamp_seconds", &[]), None);
    for call in ["challenge", "login", "confbridge_list_rooms", "logoff"] {
        let requests = own.value("conferencing_api_requests_total", &[("call", call)]);
        assert_eq!(requests, Some(3.0), "{call}");
    }
}

#[tokio::test]
async fn the_password_is_not_sent() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    bench(&simulator.base_url(VENDOR), &[]).await.scrape().await;
    for request in simulator.requests(VENDOR, "") {
        assert!(!request.body.contains("demo-password-not-secret"), "{request:?}");
    }
}

macro_rules! recordings {
    ($($name:literal),*) => { [$(include_str!(concat!("../data/asterisk/ami-", $name, ".txt"))),*] };
}

#[tokio::test]
async fn the_answers_of_real_ones_are_counted() {
    let [none, gone, other] =
        recordings!["rooms-none", "list-nonexistent", "list-9999-nonexistent"];
    let [three, one, waiting, mixed] =
        recordings!["rooms-3", "list-1000", "list-1001-waiting", "list-1002-mixed"];
    let [dtmf, of_dtmf] = recordings!["rooms-dtmf-mute-all", "list-1005-dtmf-mute-all"];
    let [locked, muted] = recordings!["rooms-participants-muted-and-locked", "list-1000-all-muted"];
    let old = include_str!("../data/asterisk/v16/ami-rooms.txt");
    let old_one = include_str!("../data/asterisk/v16/ami-list-1000.txt");
    let old_waiting = include_str!("../data/asterisk/v16/ami-list-1001-waiting.txt");
    // The conferences, who is in and who waits; of those who are in, the muted and the moderators; the conferences
    // that are muted as a whole, and that are locked.
    type Lists = &'static [(&'static str, &'static str)];
    let leak = |lists: Vec<(&'static str, &'static str)>| -> Lists { Vec::leak(lists) };
    let cases: [(&str, &str, Lists, [u64; 7]); 6] = [
        ("nobody", none, &[], [0, 0, 0, 0, 0, 0, 0]),
        (
            "three rooms",
            three,
            leak(vec![("1000", one), ("1001", waiting), ("1002", mixed)]),
            [3, 5, 3, 1, 1, 0, 0],
        ),
        (
            "rooms that ended meanwhile",
            three,
            leak(vec![("1000", one), ("1001", other), ("1002", gone)]),
            [3, 4, 0, 1, 1, 0, 0],
        ),
        (
            "all of a room muted by its administrator",
            dtmf,
            leak(vec![("1005", of_dtmf), ("1000", one), ("1001", waiting), ("1002", mixed)]),
            [4, 7, 3, 2, 2, 1, 0],
        ),
        (
            "a locked room, its people muted one by one",
            locked,
            leak(vec![("1000", muted), ("1001", waiting), ("1002", mixed)]),
            [3, 5, 3, 4, 1, 0, 1],
        ),
        (
            "Asterisk 16",
            old,
            leak(vec![("1000", old_one), ("1001", old_waiting)]),
            [2, 3, 1, 1, 1, 0, 0],
        ),
    ];
    for (what, rooms, lists, expected) in cases {
        let script = playing(rooms, lists).await;
        let scraped = bench(&script.url(), &[]).await.scrape().await;
        assert!(is_up(&scraped), "{what}");
        let measures = [
            ("conferencing_conferences", Some("active")),
            ("conferencing_participants", Some("joined")),
            ("conferencing_participants", Some("waiting")),
            ("conferencing_participants_muted", None),
            ("conferencing_participants_moderators", None),
            ("conferencing_conferences_all_muted", None),
            ("conferencing_conferences_locked", None),
        ];
        assert_eq!(numbers(&scraped, measures), expected, "{what}");
    }
}

/// Versions before 16 may not tell whether a room is muted, and those before 12 who waits.
#[tokio::test]
async fn what_an_older_asterisk_does_not_tell_is_absent() {
    let [three, one, waiting, mixed] =
        recordings!["rooms-3", "list-1000", "list-1001-waiting", "list-1002-mixed"];
    let without = |recording: &str, keys: &[&str]| -> &'static str {
        let is_kept = |line: &&str| !keys.iter().any(|key| line.starts_with(key));
        let kept: String = recording.split_inclusive('\n').filter(is_kept).collect();
        assert!(kept.len() < recording.len(), "{recording}");
        kept.leak()
    };
    let rooms = without(three, &["Muted:"]);
    let all = ["WaitMarked:", "EndMarked", "Waiting:", "Talking:", "Uniqueid:"];
    for (version, gone) in [(13, &["Talking:", "Uniqueid:"][..]), (11, &all[..])] {
        let lists = [("1000", one), ("1001", waiting), ("1002", mixed)];
        let lists = lists.map(|(room, list)| (room, without(list, gone)));
        let script = playing(rooms, Vec::leak(lists.to_vec())).await;
        let enabled = "conferences: { enabled: true, identify: number }";
        let scraped = bench(&script.url(), &[enabled]).await.scrape().await;
        assert!(is_up(&scraped), "{version}");
        assert_eq!(numbers(&scraped, [("conferencing_conferences", Some("active"))]), [3]);
        assert_eq!(scraped.value("conferencing_conferences_locked", &[]), Some(0.0), "{version}");
        let told = |is_told: bool, value: f64| is_told.then_some(value);
        for (name, labels, value) in [
            ("conferencing_conferences_all_muted", &[][..], None),
            ("conferencing_participants", &[("state", "joined")], told(version > 11, 5.0)),
            ("conferencing_participants", &[("state", "waiting")], told(version > 11, 3.0)),
            ("conferencing_participants_muted", &[], told(version > 11, 1.0)),
            ("conferencing_participants_mute_reported", &[], told(version > 11, 5.0)),
            ("conferencing_participants_moderators", &[], told(version > 11, 1.0)),
            ("conferencing_largest_conference_participants", &[], told(version > 11, 4.0)),
            (
                "conferencing_conference_participants",
                &[("conference", "1001")],
                told(version > 11, 0.0),
            ),
        ] {
            assert_eq!(scraped.value(name, labels), value, "{version} {name} {labels:?}");
        }
        let capability = [("capability", "conferences_all_muted")];
        assert_eq!(scraped.value("conferencing_source_capability", &capability), Some(0.0));
    }
}

#[tokio::test]
async fn what_asterisk_refuses_has_a_reason_and_advice() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let unknown = "Invalid/unknown command: ConfbridgeListRooms. Use Action: ListCommands to show \
                   available commands.";
    for (call, message, reason, advice) in [
        ("confbridge_list_rooms", "Permission denied", "forbidden", "write = reporting"),
        ("confbridge_list", "Permission denied", "forbidden", "write = reporting"),
        ("confbridge_list_rooms", unknown, "vendor", "app_confbridge.so"),
        ("confbridge_list", "Something else", "vendor", "log"),
        ("challenge", "Must specify AuthType", "vendor", "log"),
        ("login", "Authentication failed", "auth", "permit"),
        ("login", "Something else", "auth", "permit"),
        ("login", "Login Already In Use", "vendor", "allowmultiplelogin"),
    ] {
        simulator.inject(VENDOR, "", Some(call), Fault::VendorError(message.to_owned()), None);
        let bench = bench(&simulator.base_url(VENDOR), &[]).await;
        let (found, told) = bench.failure().await;
        assert_eq!(found, reason, "{call}: {message}");
        assert!(told.contains(advice), "{call}: {message}: {told}");
        assert_eq!(bench.errors(reason), 1.0, "{call}: {message}");
        assert_eq!(bench.own().sum("conferencing_api_errors_total", &[]), 1.0);
        simulator.clear_faults();
    }
}

#[tokio::test]
async fn whatever_another_service_says_is_no_answer() {
    let endless = vec![b'x'; 1 << 20];
    let banners: [(&str, &[u8], &str); 10] = [
        ("a line that never ends", &endless, "too_large"),
        ("SSH", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "decode"),
        ("SMTP", b"220 mail.example.com ESMTP Postfix\r\n", "decode"),
        ("HTTP", b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "decode"),
        ("event socket", b"Content-Type: auth/request\n\n", "decode"),
        ("NUL bytes", b"Asterisk Call Manager/\0\0\0\r\n", "decode"),
        ("an empty line", b"\r\n", "decode"),
        ("TLS", b"\x15\x03\x01\x00\x02\x02\x0a\n", "decode"),
        ("no line end", b"Asterisk Call Manager/11.0.0", "timeout"),
        ("nothing", b"", "timeout"),
    ];
    for (what, banner, reason) in banners {
        let script = Script::start(banner, |_| None).await;
        let bench = bench(&script.url(), &["timeout: 1s", "max_response_bytes: 256KiB"]).await;
        let (found, _) = bench.failure().await;
        assert_eq!(found, reason, "{what}");
        assert_eq!(bench.errors(reason), 1.0, "{what}");
        assert!(script.seen().is_empty(), "{what} was asked {:?}", script.seen());
        // Nothing was sent that could have been refused: it is tried at each scrape.
        for _ in 0..5 {
            bench.scrape().await;
        }
        assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(0.0), "{what}");
    }
}

#[tokio::test]
async fn an_answer_that_is_none_has_its_reason() {
    fn id(request: &str) -> &str {
        request.lines().find(|line| line.starts_with("ActionID")).unwrap()
    }
    fn start(request: &str) -> String {
        format!("Response: Success\r\n{}\r\nEventList: start\r\n\r\n", id(request))
    }
    fn room(request: &str, more: &str) -> String {
        let id = id(request);
        format!("Event: ConfbridgeListRooms\r\n{id}\r\nConference: 1\r\nLocked: No\r\n{more}\r\n")
    }
    fn end(request: &str, more: &str) -> String {
        format!("Event: End\r\n{}\r\nEventList: Complete\r\n{more}\r\n", id(request))
    }
    const MUTED: &str = "Muted: No\r\n";
    type Make = fn(&str) -> Reply;
    let cases: [(&str, Make, &str); 17] = [
        ("a line that never ends", |_| Some(vec![b'x'; 1 << 20]), "too_large"),
        ("events without end", |_| Some(b"Event: A\r\n\r\n".repeat(1 << 17)), "too_large"),
        (
            "NUL bytes",
            |r| Some(format!("Response: Success\r\n{}\r\nA: \0\r\n\r\n", id(r)).into()),
            "decode",
        ),
        ("no line of the protocol", |_| Some(b"what\r\n\r\n".to_vec()), "decode"),
        ("a page", |_| Some(b"<html>\r\n<body>no</body>\r\n\r\n".to_vec()), "decode"),
        ("an answer to no action", |_| Some(b"Response: Success\r\n\r\n".to_vec()), "decode"),
        (
            "an answer to another action",
            |_| Some(b"Response: Success\r\nActionID: 99\r\n\r\n".to_vec()),
            "timeout",
        ),
        ("nothing", |_| Some(Vec::new()), "timeout"),
        ("a list without its end", |r| Some((start(r) + &room(r, MUTED)).into()), "timeout"),
        ("the connection's end", |_| None, "connect"),
        (
            "a list with a wrong count",
            |r| Some((start(r) + &room(r, MUTED) + &end(r, "ListItems: 2\r\n")).into()),
            "decode",
        ),
        (
            "a list without a count",
            |r| Some((start(r) + &room(r, MUTED) + &end(r, "")).into()),
            "decode",
        ),
        (
            "a count that is no number",
            |r| Some((start(r) + &end(r, "ListItems: many\r\n")).into()),
            "decode",
        ),
        ("no list", |r| Some(format!("Response: Success\r\n{}\r\n\r\n", id(r)).into()), "decode"),
        (
            "a room without a state",
            |r| {
                let room = room(r, MUTED).replace("Locked: No\r\n", "");
                Some((start(r) + &room + &end(r, "ListItems: 1\r\n")).into())
            },
            "decode",
        ),
        (
            "a state that is none",
            |r| {
                Some(
                    (start(r) + &room(r, "Muted: Perhaps\r\n") + &end(r, "ListItems: 1\r\n"))
                        .into(),
                )
            },
            "decode",
        ),
        (
            "a state told twice",
            |r| {
                Some(
                    (start(r)
                        + &room(r, "Muted: No\r\nMuted: Yes\r\n")
                        + &end(r, "ListItems: 1\r\n"))
                        .into(),
                )
            },
            "decode",
        ),
    ];
    for (what, make, reason) in cases {
        let script =
            Script::start(BANNER, move |request| session(request).or_else(|| make(request))).await;
        let bench = bench(&script.url(), &["timeout: 1s", "max_response_bytes: 256KiB"]).await;
        let (found, _) = bench.failure().await;
        assert_eq!(found, reason, "{what}");
        assert_eq!(bench.errors(reason), 1.0, "{what}");
        assert_eq!(bench.own().sum("conferencing_api_errors_total", &[]), 1.0, "{what}");
    }
}

/// Whoever calls may choose the number, and with it the name of a room. It is a line of the next action.
#[tokio::test]
async fn a_name_that_would_be_a_line_of_its_own_is_not_asked_for() {
    let script = Script::start(BANNER, |request| {
        let id = request.lines().find(|line| line.starts_with("ActionID")).unwrap();
        session(request).or_else(|| {
            let room = "Conference: 1\rAction: Originate\r\nLocked: No\r\nMuted: No";
            let end = format!("{id}\r\nEventList: Complete\r\nListItems: 1\r\n\r\n");
            let list = format!("Event: Item\r\n{id}\r\n{room}\r\n\r\n{end}");
            Some(format!("Response: Success\r\n{id}\r\nEventList: start\r\n\r\n{list}").into())
        })
    })
    .await;
    assert_eq!(bench(&script.url(), &[]).await.failure().await.0, "decode");
    let seen = script.seen();
    assert!(seen.iter().all(|request| !request.contains("Originate")), "{seen:?}");
}

/// A room's name as the real one tells it, and takes it: the blanks before it are passed over, those behind it are not.
fn room_named(name: &'static str) -> impl Fn(&str) -> Reply {
    move |request| {
        let id = request.lines().find(|line| line.starts_with("ActionID")).unwrap();
        let asked = request.lines().find_map(|line| line.strip_prefix("Conference: "));
        let item = match asked.map(|asked| asked.trim_start_matches(|c| c <= ' ')) {
            None => format!("Conference: {name}\r\nLocked: No\r\nMuted: No"),
            Some(asked) if asked == name => "Admin: No\r\nWaiting: No\r\nMuted: No".to_owned(),
            Some(_) => {
                let message = "No Conference by that name found.";
                return Some(
                    format!("Response: Error\r\n{id}\r\nMessage: {message}\r\n\r\n").into(),
                );
            }
        };
        let item = format!("Event: Item\r\n{id}\r\n{item}\r\n\r\n");
        let end = format!("{id}\r\nEventList: Complete\r\nListItems: 1\r\n\r\n");
        Some(format!("Response: Success\r\n{id}\r\nEventList: start\r\n\r\n{item}{end}").into())
    }
}

/// `ConfBridge(1500 ,bridge)` in a dialplan makes such a name.
#[tokio::test]
async fn a_conference_is_asked_for_by_its_name_as_it_is() {
    for name in ["1500 ", "my room", "Gr\u{f6}\u{df}e: \u{4f1a}", "a\t", "\u{a0}1500\u{a0}", "a:b"]
    {
        let answer = room_named(name);
        let script =
            Script::start(BANNER, move |request| session(request).or_else(|| answer(request)))
                .await;
        let shown = "conferences: { enabled: true, identify: name }";
        let scraped = bench(&script.url(), &[shown]).await.scrape().await;
        let joined = scraped.value("conferencing_participants", &[("state", "joined")]);
        assert_eq!((is_up(&scraped), joined), (true, Some(1.0)), "{name:?}");
        let of = [("conference", name.trim())];
        let people = scraped.value("conferencing_conference_participants", &of);
        assert_eq!(people, Some(1.0), "{name:?}");
    }
}

#[tokio::test]
async fn a_conference_that_cannot_be_asked_for_is_not_taken_for_an_empty_one() {
    for name in [" 1600", "\t1600", "\u{1}1600"] {
        let answer = room_named(name);
        let script =
            Script::start(BANNER, move |request| session(request).or_else(|| answer(request)))
                .await;
        let (reason, told) = bench(&script.url(), &[]).await.failure().await;
        assert_eq!(reason, "decode", "{name:?}");
        assert!(told.contains("dialplan"), "{name:?}: {told}");
    }
}

/// Nobody has judged the password then: the next scrape may try again.
#[tokio::test]
async fn a_user_who_is_logged_in_elsewhere_is_not_a_wrong_password() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let busy = Fault::VendorError("Login Already In Use".to_owned());
    simulator.inject(VENDOR, "", Some("login"), busy, Some(2));
    let bench = bench(&simulator.base_url(VENDOR), &[]).await;
    for is_free in [false, false, true] {
        assert_eq!(is_up(&bench.scrape().await), is_free);
        assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(0.0));
    }
    assert_eq!((count(&simulator, "login"), bench.errors("vendor")), (3, 2.0));
}

#[tokio::test]
async fn what_belongs_to_no_action_or_to_another_is_passed_over() {
    const OTHERS: &str = "Event: FullyBooted\r\nPrivilege: system,all\r\n\r\n\
                          Response: Error\r\nActionID: 99\r\nMessage: Permission denied\r\n\r\n\
                          Event: ConfbridgeListRooms\r\nActionID: 99\r\nConference: 7\r\n\r\n\
                          Event: EndOfList\r\nActionID: 99\r\nEventList: Complete\r\nListItems: 7\r\n\r\n";
    let script = Script::start(format!("{BANNER}{OTHERS}"), |request| {
        let id = request.lines().find(|line| line.starts_with("ActionID")).unwrap();
        let answer = session(request).unwrap_or_else(|| {
            let (event, item) = if request.contains("ListRooms") {
                ("ConfbridgeListRooms", "Conference: 1\r\nLocked: No\r\nMuted: No")
            } else {
                ("ConfbridgeList", "Admin: No\r\nWaiting: No\r\nMuted: No")
            };
            let item = format!("Event: {event}\r\n{id}\r\n{item}\r\n\r\n");
            let end = format!("{id}\r\nEventList: Complete\r\nListItems: 1\r\n\r\n");
            format!(
                "Response: Success\r\n{id}\r\nEventList: start\r\n\r\n{OTHERS}{item}{OTHERS}{end}"
            )
            .into()
        });
        Some([OTHERS.as_bytes(), &answer].concat())
    })
    .await;
    let scraped = bench(&script.url(), &[]).await.scrape().await;
    let joined = scraped.value("conferencing_participants", &[("state", "joined")]);
    assert_eq!((is_up(&scraped), joined), (true, Some(1.0)));
}

#[tokio::test]
async fn a_wrong_password_is_tried_twice_in_ten_minutes_and_a_new_one_at_once() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let yaml = config(&[source(VENDOR, &simulator.base_url(VENDOR), &[])]);
    let bench = Bench::new(&yaml.replace("-not-secret", "-old")).await;
    for _ in 0..3 {
        assert!(!is_up(&bench.scrape().await));
    }
    assert_eq!((count(&simulator, "login"), bench.errors("auth")), (1, 1.0));
    for wait in [61, 61, 300] {
        later(Duration::from_secs(wait)).await;
        assert!(!is_up(&bench.scrape().await));
    }
    assert_eq!((count(&simulator, "login"), bench.errors("auth")), (2, 2.0));
    assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0));
    assert_eq!(bench.own().sum("conferencing_login_failures_total", &[]), 2.0);
    later(Duration::from_secs(600)).await;
    bench.apply(&yaml).await;
    assert!(is_up(&bench.scrape().await));
    assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(0.0));
}

/// Scrapes that end inside of a login: what it would have been answered counts all the same.
#[tokio::test]
async fn a_login_that_nobody_waits_for_is_counted() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let late = Fault::JudgeLater(Duration::from_millis(300));
    simulator.inject(VENDOR, "", Some("login"), late, None);
    let yaml = config(&[source(VENDOR, &simulator.base_url(VENDOR), &[])]);
    let bench = Bench::new(&yaml.replace("-not-secret", "-old")).await;
    let patience = Duration::from_millis(100);
    assert!(tokio::time::timeout(patience, bench.scrape()).await.is_err());
    until("the refusal", async || bench.errors("auth"), |errors| *errors == 1.0).await;
    for _ in 0..5 {
        assert!(!is_up(&bench.scrape().await));
    }
    assert_eq!(count(&simulator, "login"), 1);
    assert_eq!(bench.own().sum("conferencing_login_failures_total", &[]), 1.0);
    // One that is accepted meanwhile is logged off.
    simulator.clear_faults();
    let late = Fault::JudgeLater(Duration::from_millis(300));
    simulator.inject(VENDOR, "", Some("login"), late, Some(1));
    bench.apply(&yaml).await;
    assert!(tokio::time::timeout(patience, bench.scrape()).await.is_err());
    until("the log-off", async || count(&simulator, "logoff"), |seen| *seen == 1).await;
    assert_eq!(simulator.live_tokens(VENDOR, ""), 0);
}

/// Two sources with one account log in one after the other, and know of each other's refusals.
#[tokio::test]
async fn sources_with_one_account_take_turns() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let one = source(VENDOR, &simulator.base_url(VENDOR), &[]);
    let other = one.replacen("name: asterisk", "name: other", 1);
    let yaml = config(&[one, other]).replace("-not-secret", "-old");
    let bench = Bench::new(&yaml).await;
    for _ in 0..4 {
        bench.scrape().await;
        later(Duration::from_secs(100)).await;
    }
    assert_eq!(count(&simulator, "login"), 2);
}
