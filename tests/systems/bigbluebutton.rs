// SPDX-License-Identifier: Apache-2.0
//! What is special about BigBlueButton: answers in XML, a checksum for a login, breakout rooms.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{collections::BTreeMap, fs, path::Path};

use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, RngSeed, TestRunner},
};
use serde::Deserialize;
use serde_json::Value;
use simulator::{Fault, Options, Presence, Simulator, Vendor};

use crate::common::{
    Bench, assert_truth, binary::Exporter, config, entry, exposition::Exposition, source,
};

const VENDOR: Vendor = Vendor::BigBlueButton;
const EXAMPLES: &str = "tests/data/bigbluebutton";

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

async fn bench(simulator: &Simulator, extra: &[&str]) -> Bench {
    Bench::new(&config(&[source(VENDOR, &simulator.base_url(VENDOR), extra)])).await
}

fn joined(scraped: &Exposition) -> Option<f64> {
    scraped.value("conferencing_participants", &[("state", "joined")])
}

fn active(scraped: &Exposition) -> Option<f64> {
    scraped.value("conferencing_conferences", &[("state", "active")])
}

/// What is to be made of an example.
#[derive(Deserialize)]
struct Expected {
    refused: Option<String>,
    http_status: Option<u16>,
    conferences_active: Option<u64>,
    participants_joined: Option<u64>,
    participants_moderators: Option<u64>,
    participants_camera_on: Option<u64>,
    largest_conference_participants: Option<u64>,
    starts: Option<Vec<f64>>,
}

#[tokio::test]
async fn every_example_is_counted_or_refused_as_it_should_be() {
    let simulator = simulator().await;
    let text = fs::read_to_string(Path::new(EXAMPLES).join("example-expected.json")).unwrap();
    let mut all: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    all.remove("_");
    let examples = fs::read_dir(EXAMPLES).unwrap().map(|entry| entry.unwrap().path());
    let examples = examples.filter(|path| path.extension().is_some_and(|kind| kind == "xml"));
    assert_eq!(examples.count(), all.len());
    for (file, expected) in all {
        let expected: Expected = serde_json::from_value(expected).unwrap();
        let body = fs::read(Path::new(EXAMPLES).join(&file)).unwrap();
        let fault = match expected.http_status {
            Some(status) => Fault::StatusJson(status, String::from_utf8(body).unwrap()),
            None => Fault::Body(body),
        };
        simulator.inject(VENDOR, "", None, fault, None);
        let shown = "conferences: { enabled: true, identify: name }";
        let bench = bench(&simulator, &[shown]).await;
        let scraped = bench.scrape().await;
        simulator.clear_faults();
        if let Some(reason) = expected.refused {
            assert_eq!(scraped.value("conferencing_up", &[]), Some(0.0), "{file}");
            assert_eq!((active(&scraped), joined(&scraped)), (None, None), "{file}");
            // What the status says comes first.
            let reason = expected.http_status.map_or(reason.as_str(), |_| "http_4xx");
            assert_eq!(bench.errors(reason), 1.0, "{file}: {reason}");
            continue;
        }
        assert_eq!(scraped.value("conferencing_up", &[]), Some(1.0), "{file}");
        let value = |name: &str| {
            scraped.value(&format!("conferencing_{name}"), &[]).map(|value| value as u64)
        };
        assert_eq!(active(&scraped).map(|v| v as u64), expected.conferences_active, "{file}");
        assert_eq!(joined(&scraped).map(|v| v as u64), expected.participants_joined, "{file}");
        let found = value("participants_moderators");
        assert_eq!(found, expected.participants_moderators, "{file}");
        assert_eq!(value("participants_camera_on"), expected.participants_camera_on, "{file}");
        let found = value("largest_conference_participants");
        assert_eq!(found, expected.largest_conference_participants, "{file}");
        if let Some(starts) = expected.starts {
            let name = "conferencing_conference_start_timestamp_seconds";
            let mut found: Vec<_> = scraped.matching(name, &[]).map(|s| s.value).collect();
            found.sort_by(f64::total_cmp);
            assert_eq!(
                found,
                starts.iter().map(|start| start.floor()).collect::<Vec<_>>(),
                "{file}"
            );
        }
    }
}

/// All there is of one meeting; the rest is put in by the tests.
fn meeting(parts: &str) -> String {
    format!(
        "<response><returncode>SUCCESS</returncode><meetings><meeting><meetingID>m</meetingID>{parts}</meeting></meetings></response>"
    )
}

async fn answered(simulator: &Simulator, body: &str) -> (Bench, Exposition) {
    simulator.inject(VENDOR, "", None, Fault::Body(body.as_bytes().to_vec()), Some(1));
    let bench = bench(simulator, &[]).await;
    let scraped = bench.scrape().await;
    (bench, scraped)
}

/// What a client in a hurry takes for zero, for one, or for the end of the process.
#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let simulator = simulator().await;
    let right = "<running>true</running><participantCount>2</participantCount>";
    let changed = |from: &str, to: &str| meeting(&right.replace(from, to));
    let deep = format!("{}{}", "<a>".repeat(10_000), "</a>".repeat(10_000));
    for body in [
        changed("<running>true</running>", ""),
        changed("<participantCount>2</participantCount>", ""),
        changed("true", "yes"),
        changed("true", "TRUE"),
        changed("true", ""),
        changed(">2<", "><"),
        changed(">2<", ">-1<"),
        changed(">2<", ">1.5<"),
        changed(">2<", ">1,23<"),
        changed(">2<", ">\u{6f2}<"),
        changed(">2<", ">18446744073709551616<"),
        changed(">2<", "><count>2</count><"),
        meeting(&format!("{right}<running>true</running>")),
        meeting(&format!("{right}<isBreakout>maybe</isBreakout>")),
        meeting(&format!("{right}<hasBeenForciblyEnded>0</hasBeenForciblyEnded>")),
        meeting(&format!(
            "{right}<attendees><attendee><hasVideo>1</hasVideo></attendee></attendees>"
        )),
        meeting(&format!("{right}<startTime>soon</startTime>")),
        meeting(&format!("{right}<metadata>{deep}</metadata>")),
        meeting(&format!("{right}<metadata>&secret;</metadata>")),
        meeting(right).replace("<meetingID>m</meetingID>", ""),
        meeting(right).replace("SUCCESS", "PERHAPS"),
        meeting(right).replace("<returncode>SUCCESS</returncode>", ""),
        meeting(right).replace("response>", "answer>"),
        meeting(right).replace("</response>", ""),
        meeting(right) + &meeting(right),
        format!("<!DOCTYPE response>{}", meeting(right)),
        format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{}", meeting(right)),
        "<response><returncode>SUCCESS</returncode><version>2.0</version></response>".to_owned(),
        "<response><returncode>SUCCESS</returncode><apiVersion>2.0</apiVersion></response>"
            .to_owned(),
        "<html><hr></html>".to_owned(),
        "{\"returncode\":\"SUCCESS\",\"meetings\":[]}".to_owned(),
        String::new(),
    ] {
        let (bench, scraped) = answered(&simulator, &body).await;
        assert_eq!(scraped.value("conferencing_up", &[]), Some(0.0), "{body}");
        assert_eq!(joined(&scraped), None, "{body}");
        assert_eq!(bench.errors("decode"), 1.0, "{body}");
    }
    for cut in [1, 40, 80, 120] {
        let whole = meeting(right);
        let (bench, _) = answered(&simulator, &whole[..whole.len() - cut]).await;
        assert_eq!(bench.errors("decode"), 1.0, "{cut}");
    }
    let latin = meeting(&format!("{right}<meetingName>Caf\u{fffd}</meetingName>"));
    let latin: Vec<_> = latin
        .replace('\u{fffd}', "#")
        .bytes()
        .map(|byte| if byte == b'#' { 0xE9 } else { byte })
        .collect();
    simulator.inject(VENDOR, "", None, Fault::Body(latin), Some(1));
    let bench = bench(&simulator, &[]).await;
    bench.scrape().await;
    assert_eq!(bench.errors("decode"), 1.0, "Latin-1");
}

#[tokio::test]
async fn what_is_only_unusual_is_read() {
    let simulator = simulator().await;
    let right = "<running>true</running><participantCount>1,234</participantCount>";
    for body in [
        meeting(right),
        meeting(right).replace('>', ">\r\n  ").replace("\r\n  <", "\r\n<"),
        meeting(right).replace("<meetings>", "<meetings a='1' b=\"2\">"),
        meeting(&format!("{right}<new><running>false</running><x/></new>")),
        meeting(&format!(
            "{right}<metadata><running>false</running><isbreakout>true</isbreakout></metadata>"
        )),
        meeting(&right.replace("1,234", "<![CDATA[1234]]>")),
        meeting(&right.replace("1,234", "&#49;&#x32;34")),
        meeting(&right.replace("1,234", "1\u{202f}234")),
        meeting(&right.replace("1,234", "1.234")),
        meeting(&right.replace("1,234", "\n 1234 \n")),
    ] {
        let (_, scraped) = answered(&simulator, &body).await;
        assert_eq!(scraped.value("conferencing_up", &[]), Some(1.0), "{body}");
        assert_eq!((active(&scraped), joined(&scraped)), (Some(1.0), Some(1234.0)), "{body}");
        // Nobody is listed, and it is not said who moderates.
        assert_eq!(scraped.value("conferencing_participants_camera_on", &[]), None, "{body}");
        assert_eq!(scraped.value("conferencing_participants_moderators", &[]), None, "{body}");
    }
}

#[tokio::test]
async fn a_meeting_is_counted_once_and_two_of_a_name_are_two() {
    let simulator = simulator().await;
    let one = |id: &str, internal: &str, people: u64| {
        format!(
            "<meeting><meetingName>Daily</meetingName><meetingID>{id}</meetingID><internalMeetingID>{internal}</internalMeetingID>\
             <running>true</running><participantCount>{people}</participantCount></meeting>"
        )
    };
    let shown = "conferences: { enabled: true, identify: name }";
    let meetings = [one("a", "1", 3), one("a", "1", 3), one("a", "2", 5), one("b", "3", 1)];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let list: String = order.iter().map(|index| meetings[*index].as_str()).collect();
        let body = format!(
            "<response><returncode>SUCCESS</returncode><meetings>{list}</meetings></response>"
        );
        simulator.inject(VENDOR, "", None, Fault::Body(body.into_bytes()), Some(1));
        let scraped = bench(&simulator, &[shown]).await.scrape().await;
        assert_eq!((active(&scraped), joined(&scraped)), (Some(3.0), Some(9.0)));
        // Whatever order the answer is in: it is that of a hash map.
        for (label, people) in [("Daily", 3.0), ("Daily #2", 5.0), ("Daily #3", 1.0)] {
            let of = [("conference", label)];
            let found = scraped.value("conferencing_conference_participants", &of);
            assert_eq!(found, Some(people), "{label} {order:?}");
        }
    }
}

/// There is no number that may be shown: the one in the answer is what callers dial to get in.
#[tokio::test]
async fn a_meeting_is_never_labelled_by_the_number_to_dial() {
    let simulator = simulator().await;
    let shown = "conferences: { enabled: true, identify: number }";
    let scraped = bench(&simulator, &[shown]).await.scrape().await;
    let labels: Vec<_> = scraped
        .matching("conferencing_conference_participants", &[])
        .map(|sample| sample.labels["conference"].clone())
        .collect();
    assert_eq!(labels.len(), 6);
    for label in labels {
        assert!(label.len() == 16 && label.chars().all(|c| c.is_ascii_hexdigit()), "{label}");
    }
}

/// bbb-web and Scalelite answer HTTP 200, also where nothing of their API is.
#[tokio::test]
async fn what_the_server_refuses_has_a_reason_and_advice() {
    let simulator = simulator().await;
    for (key, reason, advice) in [
        ("checksumError", "auth", "bbb-conf --secret"),
        ("internalError", "vendor", "load balancer"),
        ("apiNotEnabled", "vendor", "bbb-web.properties"),
        ("unsupportedRequest", "vendor", "/bigbluebutton/api"),
    ] {
        simulator.inject(VENDOR, "", None, Fault::VendorError(key.to_owned()), Some(1));
        let (found, told) = bench(&simulator, &[]).await.failure().await;
        assert_eq!(found, reason, "{key}");
        assert!(told.contains(advice), "{key}: {told}");
        simulator.clear_faults();
    }
}

/// Who reads of a wrong path then looks in the wrong place.
#[tokio::test]
async fn a_list_that_cannot_be_read_is_not_taken_for_a_wrong_path() {
    let simulator = simulator().await;
    let example =
        |name: &str| fs::read(Path::new(EXAMPLES).join(format!("example-{name}.xml"))).unwrap();
    for (body, advice) in [
        (example("malformed-customdata"), "userdata-"),
        (example("wrong-number"), "userdata-"),
        (example("index"), "base_url"),
        (b"<html><hr></html>".to_vec(), "base_url"),
    ] {
        simulator.inject(VENDOR, "", None, Fault::Body(body), Some(1));
        let (found, told) = bench(&simulator, &[]).await.failure().await;
        assert_eq!(found, "decode");
        assert!(told.contains(advice), "{advice}: {told}");
    }
}

#[tokio::test]
async fn a_checksum_of_each_kind_is_accepted_where_the_server_allows_it() {
    let simulator = simulator().await;
    let words = ["sha1", "sha256", "sha384", "sha512"];
    for allowed in words {
        simulator.edit(VENDOR, "", |population| {
            population.behaviour.other.insert("checksums", allowed.to_owned());
        });
        for word in words {
            let bench = bench(&simulator, &[&format!("checksum: {word}")]).await;
            let up = bench.scrape().await.value("conferencing_up", &[]);
            assert_eq!(up, Some(f64::from(u8::from(word == allowed))), "{word} {allowed}");
        }
    }
}

#[tokio::test]
async fn thousands_in_one_meeting_are_counted_whatever_the_server_makes_of_them() {
    let simulator = simulator().await;
    simulator.edit(VENDOR, "", |population| {
        let first = population.conferences[0].clone();
        population.conferences[0] = first.with(2_345, Presence::Joined);
    });
    let scraped = bench(&simulator, &[]).await.scrape().await;
    assert_truth(&scraped, VENDOR, &simulator.truth(VENDOR, ""), &[]);
    assert!(joined(&scraped) > Some(2_345.0));
}

/// Neither the log at its loudest nor what is served shows the checksum: it opens the list for ever.
#[tokio::test(flavor = "multi_thread")]
async fn the_checksum_is_in_no_log_and_on_no_page() {
    let simulator = simulator().await;
    let port = simulator.base_url(VENDOR);
    let lines = ["shared_secret: demo-shared-secret-not-secret", "timeout: 1s"];
    let gone = crate::common::refusing::Refusing::new();
    let yaml = config(&[
        entry("right", VENDOR, &port, &lines),
        entry("refused", VENDOR, &gone.url(), &lines),
        entry("no-name", VENDOR, "http://no-such-host.invalid", &lines),
        entry("no-tls", VENDOR, &port.replace("http:", "https:"), &lines),
    ]);
    let exporter = Exporter::start(&yaml, &["--log.level", "debug"]);
    let mut seen = String::new();
    for fault in [
        Fault::Redirect(format!("{port}/bigbluebutton/api/getMeetings?checksum=x")),
        Fault::CloseBeforeAnswer,
        Fault::Truncate,
        Fault::Status(500),
        Fault::Hang,
        Fault::VendorError("checksumError".to_owned()),
    ] {
        simulator.inject(VENDOR, "", None, fault, Some(1));
        for path in ["/metrics", "/", "/probe?source=right", "/probe?source=right&debug=true"] {
            seen.push_str(&exporter.get(path).await.body);
        }
    }
    let (_, log) = exporter.stop();
    seen.push_str(&log);
    assert!(log.contains("source failed"), "{log}");
    let secrets: Vec<_> =
        simulator.canaries().into_iter().filter(|text| seen.contains(text)).collect();
    assert!(secrets.is_empty(), "{secrets:?}");
    assert!(!seen.contains("checksum="), "{seen}");
}

/// Right answers, changed in places: a part left out, given twice, or replaced by something that means something.
#[test]
fn whatever_is_sent_is_counted_or_refused() {
    const PARTS: [&str; 16] = [
        "",
        "<",
        ">",
        "</",
        "/>",
        "&",
        "&amp;",
        "]]>",
        "<![CDATA[",
        "<!--",
        "<!DOCTYPE r>",
        "-1",
        "true",
        "<meeting>",
        "</meeting>",
        "<participantCount>7</participantCount>",
    ];
    let right = ["two-meetings", "awkward", "breakout", "scalelite"]
        .map(|name| fs::read(Path::new(EXAMPLES).join(format!("example-{name}.xml"))).unwrap());
    let edit = (any::<Index>(), 0..60_usize, prop::sample::select(PARTS.to_vec()), any::<bool>());
    let strategy = (any::<Index>(), prop::collection::vec(edit, 1..4));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let simulator = runtime.block_on(simulator());
    let settings = Config {
        cases: 300,
        rng_seed: RngSeed::Fixed(3),
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(settings).run(&strategy, |(which, edits)| {
        let mut body = which.get(&right).clone();
        for (at, length, part, is_repeated) in edits {
            let start = at.index(body.len() + 1);
            let end = (start + length).min(body.len());
            let kept = if is_repeated { body[start..end].to_vec() } else { Vec::new() };
            let part = [kept.as_slice(), part.as_bytes(), kept.as_slice()].concat();
            body.splice(start..end, part);
        }
        runtime.block_on(async {
            simulator.inject(VENDOR, "", None, Fault::Body(body), Some(1));
            let shown = "conferences: { enabled: true, identify: name }";
            let scraped = bench(&simulator, &[shown]).await.scrape().await;
            let sizes = scraped.sum("conferencing_conferences_by_size", &[]);
            match scraped.value("conferencing_up", &[]) {
                Some(1.0) => prop_assert_eq!(Some(sizes), active(&scraped)),
                _ => prop_assert_eq!(active(&scraped), None),
            }
            let text = format!("{:?}", scraped.samples);
            prop_assert!(!text.contains("-invented") && !text.contains("Example"), "{}", text);
            Ok(())
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
