// SPDX-License-Identifier: Apache-2.0
//! FreeSWITCH: against the simulator, with the answers of a real one, and with what no FreeSWITCH says.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::time::Duration;

use simulator::{Fault, Options, Simulator, Vendor};

use crate::common::{
    Bench, assert_truth, config, entry,
    exposition::Exposition,
    numbers,
    script::{Reply, Script},
    source,
    wait::{later, until},
};

const VENDOR: Vendor = Vendor::FreeSwitch;
const GREETING: &str = "Content-Type: auth/request\n\n";
const ACCEPTED: &str = "Content-Type: command/reply\nReply-Text: +OK accepted\n\n";

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
async fn numbers_equal_the_truth_with_both_logins() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let url = simulator.base_url(VENDOR);
    let logins: [&[&str]; 2] = [
        &["password: demo-password-not-secret"],
        &["username: exporter@pbx.example", "password: demo-password-not-secret"],
    ];
    for lines in logins {
        let bench = Bench::new(&config(&[entry(VENDOR.as_str(), VENDOR, &url, lines)])).await;
        assert_truth(&bench.scrape().await, VENDOR, &simulator.truth(VENDOR, ""), &[]);
    }
    let requests = simulator.requests(VENDOR, "");
    assert!(requests.iter().all(|request| !request.forbidden), "{requests:?}");
}

#[tokio::test]
async fn each_collection_has_one_connection_and_leaves() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let bench = bench(&simulator.base_url(VENDOR), &[]).await;
    for round in 1..=3 {
        assert!(is_up(&bench.scrape().await));
        until("the exit", async || count(&simulator, "exit"), |seen| *seen == round).await;
        until("the end", async || simulator.open_connections(), |open| *open == 0).await;
        assert_eq!((count(&simulator, "auth"), count(&simulator, "json_list")), (round, round));
    }
    assert_eq!(simulator.live_tokens(VENDOR, ""), 0);
    assert_eq!(bench.own().sum("conferencing_api_errors_total", &[]), 0.0);
}

#[tokio::test]
async fn a_conference_began_when_its_run_time_says() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let shown = "conferences: { enabled: true, identify: number }";
    let scraped = bench(&simulator.base_url(VENDOR), &[shown]).await.scrape().await;
    for conference in simulator.truth(VENDOR, "").conferences {
        let labels = [("conference", conference.number.as_str())];
        let start = scraped.value("conferencing_conference_start_timestamp_seconds", &labels);
        let off = start.unwrap() - conference.start_unix.unwrap() as f64;
        assert!(off.abs() <= 2.0, "{conference:?}: {start:?}");
    }
}

/// A conference is told from others by its `conference_uuid`. One without, whose name is not UTF-8, may be any.
#[tokio::test]
async fn a_conference_whose_name_is_not_utf8_does_not_take_the_others_down() {
    let conference = |name: &[u8], uuid: &str| {
        let rest = r#""wait_mod":false,"locked":false,"recording":false,"members":[]}"#;
        [
            br#"{"conference_name":""#,
            name,
            br#"","conference_uuid":""#,
            uuid.as_bytes(),
            br#"","#,
            rest.as_bytes(),
        ]
        .concat()
    };
    for (name, uuids, is_read) in [
        (&b"Gr\xFC\xDFe"[..], ["c-1", "c-2"], true),
        (b"Gr\xFC\xDFe", ["c-1", ""], false),
        (b"1000", ["c-1", ""], true),
    ] {
        let both = uuids.map(|uuid| conference(name, uuid)).join(&b","[..]);
        let list = [b"[", &both[..], b"]"].concat();
        let header = format!("Content-Type: api/response\nContent-Length: {}\n\n", list.len());
        let script = answering([header.as_bytes(), &list].concat()).await;
        let shown = "conferences: { enabled: true, identify: name }";
        let scraped = bench(&script.url(), &[shown]).await.scrape().await;
        assert_eq!(is_up(&scraped), is_read, "{name:?} {uuids:?}");
        let found = scraped.value("conferencing_conferences", &[("state", "active")]);
        assert_eq!(found, is_read.then_some(2.0), "{name:?} {uuids:?}");
    }
}

/// FreeSWITCH's own clock goes back with that of its machine.
#[tokio::test]
async fn a_clock_that_was_set_back_leaves_only_the_start_unknown() {
    let list = r#"[{"conference_name":"1","wait_mod":false,"locked":false,"recording":false,"run_time":-3600,"members":[]}]"#;
    let length = list.len();
    let answer = format!("Content-Type: api/response\nContent-Length: {length}\n\n{list}");
    let script = answering(answer.into()).await;
    let scraped = bench(&script.url(), &["conferences: { enabled: true }"]).await.scrape().await;
    assert!(is_up(&scraped));
    assert_eq!(numbers(&scraped, [("conferencing_conferences", Some("active"))]), [1]);
    let start = "conferencing_conference_start_timestamp_seconds";
    assert_eq!(scraped.matching(start, &[]).count(), 0);
}

/// What a real FreeSWITCH answered to the command.
fn recorded(text: &'static str) -> Vec<u8> {
    text.split_once("# received\n").unwrap().1.into()
}

async fn answering(list: Vec<u8>) -> Script {
    Script::start(GREETING, move |request| {
        Some(if request.starts_with("auth ") { ACCEPTED.into() } else { list.clone() })
    })
    .await
}

macro_rules! recordings {
    ($($name:literal: $numbers:expr,)*) => {
        [$(($name, include_str!(concat!("../data/freeswitch/", $name, ".txt")), $numbers),)*]
    };
}

#[tokio::test]
async fn the_answers_of_a_real_one_are_counted() {
    // The conferences, who is in and who waits; of those who are in, the muted and the moderators; the conferences that
    // are locked, and recorded.
    let cases: [(&str, &'static str, [u64; 7]); 9] = recordings![
        "none-json_list": [0, 0, 0, 0, 0, 0, 0],
        "before": [2, 4, 2, 2, 0, 0, 0],
        "moderator-came": [2, 7, 0, 2, 1, 0, 0],
        "moderator-left": [2, 6, 0, 0, 0, 0, 0],
        "member-muted": [2, 7, 0, 3, 1, 0, 0],
        "held": [2, 7, 0, 0, 1, 0, 0],
        "locked": [2, 7, 0, 2, 1, 1, 0],
        "recording": [4, 8, 0, 1, 0, 0, 1],
        "pin-prompt": [3, 7, 0, 0, 0, 0, 0],
    ];
    for (what, text, expected) in cases {
        let script = answering(recorded(text)).await;
        let scraped = bench(&script.url(), &[]).await.scrape().await;
        assert!(is_up(&scraped), "{what}");
        let measures = [
            ("conferencing_conferences", Some("active")),
            ("conferencing_participants", Some("joined")),
            ("conferencing_participants", Some("waiting")),
            ("conferencing_participants_muted", None),
            ("conferencing_participants_moderators", None),
            ("conferencing_conferences_locked", None),
            ("conferencing_conferences_recording", None),
        ];
        assert_eq!(numbers(&scraped, measures), expected, "{what}");
    }
}

#[tokio::test]
async fn what_freeswitch_refuses_has_a_reason_and_advice() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for (call, message, reason, advice) in [
        ("auth", "-ERR invalid", "auth", "esl-password"),
        ("json_list", "-ERR permission denied", "forbidden", "esl-allowed-api"),
        ("json_list", "-ERR Conference json_list not found", "vendor", "1.8"),
        ("json_list", "Conference json_list not found", "vendor", "1.8"),
        ("json_list", "-ERR conference Command not found!", "vendor", "mod_conference"),
        ("json_list", "-ERR something else", "vendor", "log"),
    ] {
        simulator.inject(VENDOR, "", Some(call), Fault::VendorError(message.to_owned()), None);
        let bench = bench(&simulator.base_url(VENDOR), &[]).await;
        let (found, told) = bench.failure().await;
        assert_eq!(found, reason, "{call}: {message}");
        assert!(told.contains(advice), "{call}: {message}: {told}");
        assert_eq!(bench.own().sum("conferencing_api_errors_total", &[]), 1.0);
        simulator.clear_faults();
    }
}

#[tokio::test]
async fn nothing_is_sent_to_who_greets_otherwise() {
    let rejection =
        "Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n";
    for (what, greeting, reason) in [
        ("an address that is not let in", rejection, "forbidden"),
        ("Asterisk", "Asterisk Call Manager/11.0.0\r\n", "decode"),
        ("SSH", "SSH-2.0-OpenSSH_9.2p1\r\n", "decode"),
        ("SMTP", "220 mail.example.com ESMTP\r\n", "decode"),
        ("HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", "decode"),
        ("another block", "Content-Type: text/html\n\n", "decode"),
        ("NUL bytes", "Content-Type: auth/request\0\n\n", "decode"),
        ("a line that never ends", &"x".repeat(1 << 20), "too_large"),
        ("no line end", "Content-Type: auth/request", "timeout"),
        ("no end of the block", "Content-Type: auth/request\n", "timeout"),
        ("nothing", "", "timeout"),
    ] {
        let script = Script::start(greeting, |_| None).await;
        let bench = bench(&script.url(), &["timeout: 1s", "max_response_bytes: 256KiB"]).await;
        assert_eq!(bench.failure().await.0, reason, "{what}");
        assert!(script.seen().is_empty(), "{what} was sent {:?}", script.seen());
    }
}

#[tokio::test]
async fn an_answer_that_is_none_has_its_reason() {
    fn api(body: &str) -> Reply {
        let length = body.len();
        Some(format!("Content-Type: api/response\nContent-Length: {length}\n\n{body}").into())
    }
    const NOTICE: &str = "Content-Type: text/disconnect-notice\nContent-Length: 4\n\nbye\n";
    type Make = fn() -> Reply;
    let cases: [(&str, Make, &str); 16] = [
        ("a line that never ends", || Some(vec![b'x'; 1 << 20]), "too_large"),
        (
            "events without end",
            || Some(b"Content-Type: text/event-plain\n\n".repeat(1 << 14)),
            "too_large",
        ),
        ("a page", || Some(b"<html>\n<body>no</body>\n\n".to_vec()), "decode"),
        (
            "a length beyond the limit",
            || Some(b"Content-Type: api/response\nContent-Length: 99999999\n\n".to_vec()),
            "too_large",
        ),
        (
            "a length that is none",
            || Some(b"Content-Type: api/response\nContent-Length: -1\n\n".to_vec()),
            "decode",
        ),
        (
            "less than its length",
            || Some(b"Content-Type: api/response\nContent-Length: 9\n\n[]".to_vec()),
            "timeout",
        ),
        ("NUL bytes", || Some(b"A: \0\n\n".to_vec()), "decode"),
        ("a block without a type", || Some(b"A: b\n\n".to_vec()), "decode"),
        ("a notice", || Some(NOTICE.into()), "connect"),
        ("the connection's end", || None, "connect"),
        ("nothing", || Some(Vec::new()), "timeout"),
        ("no JSON", || api("[{"), "decode"),
        ("another JSON", || api("{}"), "decode"),
        ("an empty answer", || api(""), "decode"),
        ("a text", || api("+OK No active conferences.\n"), "decode"),
        (
            "a conference without its members",
            || {
                api(
                    r#"[{"conference_name":"1","wait_mod":false,"locked":false,"recording":false}]"#,
                )
            },
            "decode",
        ),
    ];
    for (what, make, reason) in cases {
        let script = Script::start(GREETING, move |request| {
            if request.starts_with("auth ") { Some(ACCEPTED.into()) } else { make() }
        })
        .await;
        let bench = bench(&script.url(), &["timeout: 1s", "max_response_bytes: 256KiB"]).await;
        assert_eq!(bench.failure().await.0, reason, "{what}");
        assert_eq!(bench.own().sum("conferencing_api_errors_total", &[]), 1.0, "{what}");
    }
}

#[tokio::test]
async fn what_nobody_asked_for_is_passed_over() {
    // Both look like the answer, or hold what looks like one.
    const EVENT: &str = "Content-Type: text/event-plain\nContent-Length: 49\n\n\
                         Content-Type: api/response\nContent-Length: 2\n\n[]\n";
    const LINE: &str = "Content-Type: log/data\nContent-Length: 2\nLog-Level: 7\n\n[]";
    let script = Script::start(format!("\n{GREETING}"), |request| {
        if request.starts_with("auth ") {
            return Some(format!("{EVENT}{LINE}{ACCEPTED}{EVENT}").into());
        }
        let answer = recorded(include_str!("../data/freeswitch/locked.txt"));
        Some([EVENT.as_bytes(), LINE.as_bytes(), &answer, EVENT.as_bytes()].concat())
    })
    .await;
    let scraped = bench(&script.url(), &[]).await.scrape().await;
    let joined = scraped.value("conferencing_participants", &[("state", "joined")]);
    assert_eq!((is_up(&scraped), joined), (true, Some(7.0)));
}

#[tokio::test]
async fn a_password_that_would_be_a_command_is_not_sent() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "secret\n\napi hupall").unwrap();
    let script = answering(Vec::new()).await;
    let line = format!("password_file: {}", file.path().display());
    let bench = Bench::new(&config(&[entry("a", VENDOR, &script.url(), &[&line])])).await;
    assert_eq!(bench.failure().await.0, "auth");
    assert!(script.seen().is_empty(), "{:?}", script.seen());
}

#[tokio::test]
async fn a_wrong_password_is_tried_twice_in_ten_minutes() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let yaml = config(&[source(VENDOR, &simulator.base_url(VENDOR), &[])]);
    let bench = Bench::new(&yaml.replace("-not-secret", "-old")).await;
    for wait in [0, 0, 61, 61, 300] {
        later(Duration::from_secs(wait)).await;
        assert!(!is_up(&bench.scrape().await));
    }
    assert_eq!((count(&simulator, "auth"), bench.errors("auth")), (2, 2.0));
    assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0));
}
