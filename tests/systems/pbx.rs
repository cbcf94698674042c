// SPDX-License-Identifier: Apache-2.0
//! OpenVox UC and both Yeastar series against the simulator.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::time::Duration;

use simulator::{Fault, Options, Simulator, Vendor};

use crate::common::{
    Bench, assert_truth, binary::Exporter, config, exposition::Exposition, source, wait::later,
};

const PBXS: [Vendor; 3] = [Vendor::OpenvoxUc, Vendor::YeastarS, Vendor::YeastarP];
const PCALL: [(&str, Option<&str>); 3] = [
    ("conferencing_rooms_wait_for_moderator", None),
    ("conferencing_rooms_allow_invite", None),
    ("conferencing_rooms_pin_protected", None),
];
const LIVE: [(&str, Option<&str>); 4] = [
    ("conferencing_conferences", Some("active")),
    ("conferencing_participants", Some("joined")),
    ("conferencing_participants", Some("waiting")),
    ("conferencing_largest_conference_participants", None),
];

fn without_details(vendor: Vendor) -> &'static [(&'static str, Option<&'static str>)] {
    if vendor == Vendor::YeastarP { &PCALL } else { &[] }
}

#[tokio::test]
async fn numbers_equal_the_truth() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for vendor in PBXS {
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
        let scraped = Bench::new(&yaml).await.scrape().await;
        let truth = simulator.truth(vendor, "");
        assert_eq!(scraped.value("conferencing_up", &[]), Some(1.0), "{vendor:?}");
        assert_truth(&scraped, vendor, &truth, without_details(vendor));
    }
}

#[tokio::test]
async fn room_details_are_asked_for_rarely() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let vendor = Vendor::YeastarP;
    let yaml = config(&[source(
        vendor,
        &simulator.base_url(vendor),
        &["room_details: true", "page_size: 3"],
    )]);
    let bench = Bench::new(&yaml).await;
    for _ in 0..3 {
        assert_truth(&bench.scrape().await, vendor, &simulator.truth(vendor, ""), &[]);
    }
    let rooms = simulator.truth(vendor, "").rooms.unwrap();
    let requests = simulator.requests(vendor, "");
    let gets = requests.iter().filter(|request| request.call == "conference/get").count();
    assert_eq!(gets as u64, rooms);
    assert!(requests.iter().filter(|request| request.call == "conference/list").count() > 3);
}

#[tokio::test]
async fn live_false_leaves_the_live_measures_absent() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for vendor in PBXS {
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &["live: false"])]);
        let scraped = Bench::new(&yaml).await.scrape().await;
        assert_eq!(scraped.value("conferencing_up", &[]), Some(1.0));
        let absent: Vec<_> = LIVE.iter().chain(without_details(vendor)).copied().collect();
        assert_truth(&scraped, vendor, &simulator.truth(vendor, ""), &absent);
        let live = [("capability", "participants_joined")];
        assert_eq!(scraped.value("conferencing_source_capability", &live), Some(0.0));
    }
}

#[tokio::test]
async fn firmware_without_the_live_call_is_no_error_and_not_asked_again() {
    for vendor in PBXS {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        simulator.edit(vendor, "", |population| population.behaviour.live_call = false);
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
        let bench = Bench::new(&yaml).await;
        for _ in 0..3 {
            let scraped = bench.scrape().await;
            assert_eq!(scraped.value("conferencing_up", &[]), Some(1.0), "{vendor:?}");
            let absent: Vec<_> = LIVE.iter().chain(without_details(vendor)).copied().collect();
            assert_truth(&scraped, vendor, &simulator.truth(vendor, ""), &absent);
            let live = [("capability", "participants_joined")];
            assert_eq!(scraped.value("conferencing_source_capability", &live), Some(0.0));
        }
        assert_eq!(bench.errors("vendor"), 0.0);
        let asked = || {
            let calls = ["conference/query_ongoing_conference", "conference/query_in_session"];
            let live = |r: &&simulator::Request| calls.contains(&r.call);
            simulator.requests(vendor, "").iter().filter(live).count()
        };
        assert_eq!(asked(), 1, "{vendor:?}");
        bench.apply(&yaml.replace("vendor:", "timeout: 20s\n    vendor:")).await;
        bench.scrape().await;
        assert_eq!(asked(), 1, "a reload does not update the firmware");
        later(Duration::from_secs(60 * 60)).await;
        bench.scrape().await;
        assert_eq!(asked(), 2, "{vendor:?}");
    }
}

#[tokio::test]
async fn firmware_without_the_live_call_is_logged_once() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let sources = PBXS.map(|vendor| {
        simulator.edit(vendor, "", |population| population.behaviour.live_call = false);
        source(vendor, &simulator.base_url(vendor), &[])
    });
    let exporter = Exporter::start(&config(&sources), &[]);
    for _ in 0..2 {
        exporter.scrape().await;
    }
    let (_, log) = exporter.stop();
    assert_eq!(log.matches("this firmware has no such call").count(), PBXS.len(), "{log}");
}

#[tokio::test]
async fn an_error_page_is_judged_by_its_status_unless_its_code_is_documented() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let (documented, unknown) = (["10003", "10003", "40002"], ["99999", "99999", "99999"]);
    for (at, vendor) in PBXS.into_iter().enumerate() {
        let call = if vendor == Vendor::YeastarP { "conference/list" } else { "conference/query" };
        for (status, code, reason) in [
            (500, unknown[at], "http_5xx"),
            (404, unknown[at], "http_4xx"),
            (200, unknown[at], "vendor"),
            (500, documented[at], "vendor"),
            (404, documented[at], "vendor"),
        ] {
            let fault = Fault::VendorErrorStatus(status, code.to_owned());
            simulator.inject(vendor, "", Some(call), fault, None);
            let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
            let bench = Bench::new(&yaml).await;
            bench.scrape().await;
            assert_eq!(bench.errors(reason), 1.0, "{vendor:?} {status} {code}");
            simulator.clear_faults();
        }
    }
}

#[tokio::test]
async fn logins_are_held_back_for_the_reason_the_pbx_gave() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let vendor = Vendor::YeastarP;
    for (code, reason) in [("60002", "vendor"), ("70087", "forbidden"), ("70004", "locked_out")] {
        let fault = Fault::VendorError(code.to_owned());
        simulator.inject(vendor, code, Some("get_token"), fault, None);
        let yaml = config(&[source(vendor, &simulator.instance_url(vendor, code), &[])]);
        let bench = Bench::new(&yaml).await;
        for _ in 0..3 {
            let reports = bench.reports().await;
            let failure = reports[0].outcome.as_ref().unwrap_err();
            assert_eq!(failure.reason().as_str(), reason, "{code}");
        }
        assert_eq!(bench.errors(reason), 1.0, "{code}");
        assert_eq!(bench.own().value("conferencing_login_blocked", &[]), Some(1.0), "{code}");
    }
}

/// The vendors' pages have two words for a failure. With a third one the number still says what it is.
#[tokio::test]
async fn an_error_number_is_a_failure_whatever_the_status_is_called() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let statuses = [r#""status":"Error","#, r#""status":null,"#, ""];
    let vendors = [Vendor::OpenvoxUc, Vendor::YeastarS];
    for (vendor, status) in vendors.into_iter().flat_map(|v| statuses.map(|status| (v, status))) {
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
        let answer = |number| Fault::StatusJson(200, format!(r#"{{{status}"errno":"{number}"}}"#));
        let bench = Bench::new(&yaml).await;
        simulator.inject(vendor, "", Some("conference/query"), answer("20004"), Some(1));
        assert_eq!(
            bench.scrape().await.value("conferencing_up", &[]),
            Some(0.0),
            "{vendor:?} {status}"
        );
        assert_eq!(bench.errors("auth"), 1.0, "{vendor:?} {status}");

        let bench = Bench::new(&yaml).await;
        simulator.inject(vendor, "", Some("login"), answer("20003"), None);
        for _ in 0..3 {
            assert_eq!(bench.failure().await.0, "auth", "{vendor:?}");
        }
        assert_eq!(bench.errors("auth"), 1.0, "{vendor:?}");
        simulator.clear_faults();
    }
}

/// What `answer` makes of the live query: conferences, joined, waiting.
async fn live(vendor: Vendor, answer: &str) -> [Option<f64>; 3] {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let call = "conference/query_in_session";
    let fault = Fault::StatusJson(200, answer.to_owned());
    simulator.inject(vendor, "", Some(call), fault, None);
    let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
    let scraped = Bench::new(&yaml).await.scrape().await;
    [("conferences", "active"), ("participants", "joined"), ("participants", "waiting")]
        .map(|(name, state)| scraped.value(&format!("conferencing_{name}"), &[("state", state)]))
}

#[tokio::test]
async fn members_count_however_they_are_wrapped() {
    let members = [
        r#"{"ext":{"number":"1","channelid":"a","memberstatus":"ANSWERED"}},
           {"inbound":{"from":"2","channelid":"b","memberstatus":"ANSWER"}},
           {"outbound":{"to":"3","channelid":"c","memberstatus":"HOLD"}}"#,
        r#"{"ext":[{"channelid":"a","memberstatus":"ANSWERED"},
                   {"channelid":"b","memberstatus":"ANSWERED"}]},
           {"inbound":[{"channelid":"c","memberstatus":"HOLD"}]}"#,
        r#"{"number":"1","channelid":"a","memberstatus":"ANSWERED"},
           {"number":"2","channelid":"b","memberstatus":"ANSWER"},
           {"number":"3","channelid":"c","memberstatus":"HOLD"}"#,
    ];
    for members in members {
        let answer = format!(
            r#"{{"status":"Success","conference":[{{"callid":"1","conferencenumber":6401,"members":[{members}]}}]}}"#
        );
        assert_eq!(live(Vendor::YeastarS, &answer).await, [1.0, 2.0, 1.0].map(Some), "{answer}");
    }
}

#[tokio::test]
async fn a_channel_counts_once_in_its_room_by_what_is_said_of_it_first() {
    let answer = r#"{"status":"Success","conference":[
        {"callid":"1","conferencenumber":"6401","members":[
            {"channelid":"b","memberstatus":"ANSWERED"},{"channelid":"a","memberstatus":"HOLD"},
            {"channelid":"b","memberstatus":"HOLD"},{"ext":[{"channelid":"a","memberstatus":"ANSWERED"}]},
            {"channelid":"","memberstatus":"ANSWERED"},{"memberstatus":"ANSWERED"}]},
        {"callid":"2","conferencenumber":"6401","members":[
            {"channelid":"a","memberstatus":"ANSWERED"},{"channelid":"c","memberstatus":"ANSWERED"}]},
        {"callid":"2","conferencenumber":"6401","members":[{"channelid":"d","memberstatus":"ANSWERED"}]},
        {"callid":"3","conferencenumber":"6402","members":[{"channelid":"a","memberstatus":"ANSWERED"}]}]}"#;
    // In 6401 b, c and two without a name, and a who waits; in 6402 a. The third entry is the second once more.
    assert_eq!(live(Vendor::YeastarS, answer).await, [2.0, 5.0, 1.0].map(Some));
}

/// Why a system with these answers is down, if it is, and what is shown of it.
async fn answered(rooms: &[u8], live: &[u8]) -> (Option<&'static str>, Exposition) {
    let vendor = Vendor::OpenvoxUc;
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for (call, body) in [("conference/query", rooms), ("conference/query_in_session", live)] {
        simulator.inject(vendor, "", Some(call), Fault::Body(body.to_vec()), None);
    }
    let named = "conferences: { enabled: true, identify: name }";
    let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[named])]);
    let bench = Bench::new(&yaml).await;
    let reports = bench.reports().await;
    let failure = reports[0].outcome.as_ref().err().map(|failure| failure.reason().as_str());
    (failure, bench.scrape().await)
}

#[tokio::test]
async fn a_room_name_in_another_encoding_changes_no_number() {
    const ROOMS: &[u8] = b"{\"status\":\"Success\",\"conferences\":[\
        {\"number\":\"6400\",\"name\":\"\xbb\xe1\xd2\xe9\"},{\"number\":\"6401\",\"name\":\"Caf\xe9\"}]}";
    const LIVE: &[u8] = b"{\"status\":\"Success\",\"conference\":[\
        {\"conferencenumber\":\"6401\",\"conferencename\":\"Caf\xe9\",\"member\":[\
        {\"channelid\":\"a\",\"memberstatus\":\"Up\"},{\"channelid\":\"b\",\"memberstatus\":\"Up\"}]}]}";
    let (failure, scraped) = answered(ROOMS, LIVE).await;
    assert_eq!(failure, None);
    assert_eq!(scraped.value("conferencing_rooms", &[]), Some(2.0));
    let joined = scraped.value("conferencing_participants", &[("state", "joined")]);
    assert_eq!(joined, Some(2.0));
    let named = [("conference", "Caf\u{fffd}")];
    assert_eq!(scraped.value("conferencing_conference_participants", &named), Some(2.0));

    let spoilt = |answer: &[u8], what: &str, with: &[u8]| {
        let at = answer.windows(what.len()).position(|part| part == what.as_bytes()).unwrap();
        [&answer[..at], with, &answer[at + what.len()..]].concat()
    };
    for (rooms, live) in [
        // A key, an id, a status, and what is no text at all.
        (spoilt(ROOMS, "\"name\"", b"\"na\xe9me\""), LIVE.to_vec()),
        (spoilt(ROOMS, "6400", b"64\xe90"), LIVE.to_vec()),
        (ROOMS.to_vec(), spoilt(LIVE, "6401", b"64\xe91")),
        (ROOMS.to_vec(), spoilt(LIVE, "Up", b"U\xe9")),
        (spoilt(ROOMS, "},{", b"},\xe9{"), LIVE.to_vec()),
    ] {
        let (failure, scraped) = answered(&rooms, &live).await;
        assert_eq!(failure, Some("decode"), "{}", String::from_utf8_lossy(&rooms));
        assert_eq!(scraped.value("conferencing_rooms", &[]), None);
    }
}

/// What is shown of a PBX with these answers to its two lists, and why it is down, if it is.
async fn lists(vendor: Vendor, rooms: &str, live: &str) -> (Option<&'static str>, Exposition) {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let calls = if vendor == Vendor::YeastarP {
        ["conference/list", "conference/query_ongoing_conference"]
    } else {
        ["conference/query", "conference/query_in_session"]
    };
    for (call, body) in calls.into_iter().zip([rooms, live]) {
        simulator.inject(vendor, "", Some(call), Fault::Body(body.as_bytes().to_vec()), None);
    }
    let bench = Bench::new(&config(&[source(vendor, &simulator.base_url(vendor), &[])])).await;
    let reports = bench.reports().await;
    let failure = reports[0].outcome.as_ref().err().map(|failure| failure.reason().as_str());
    (failure, bench.scrape().await)
}

#[tokio::test]
async fn every_spelling_of_nothing_is_none() {
    let joined = [("state", "joined")];
    for vendor in PBXS {
        let (head, rooms, live) = match vendor {
            Vendor::YeastarP => (r#"{"errcode":0"#, "data", "data"),
            _ => (r#"{"status":"Success""#, "conferences", "conference"),
        };
        let more: &[&str] = if vendor == Vendor::YeastarP { &["{}"] } else { &[] };
        let mut answers: Vec<_> = ["null", "[]", "\"\"", "\" \""]
            .iter()
            .chain(more)
            .map(|nothing| [rooms, live].map(|key| format!("{head},\"{key}\":{nothing}}}")))
            .collect();
        if vendor == Vendor::YeastarP {
            answers.push([format!("{head}}}"), format!("{head}}}")]);
            answers.push([format!("{head},\"total_number\":0}}"), format!("{head}}}")]);
        }
        for [rooms, live] in &answers {
            let (failure, scraped) = lists(vendor, rooms, live).await;
            assert_eq!(failure, None, "{vendor:?} {rooms} {live}");
            assert_eq!(scraped.value("conferencing_rooms", &[]), Some(0.0), "{rooms}");
            assert_eq!(scraped.value("conferencing_participants", &joined), Some(0.0), "{live}");
        }
    }
    // What cannot be nothing.
    for (vendor, rooms) in [
        (Vendor::OpenvoxUc, r#"{"status":"Success"}"#),
        (Vendor::YeastarS, r#"{"status":"Success"}"#),
        (Vendor::YeastarS, r#"{"status":"Success","conferences":{}}"#),
        (Vendor::YeastarP, r#"{"errcode":0,"total_number":2}"#),
        (Vendor::YeastarP, r#"{"errcode":0,"data":"none"}"#),
    ] {
        assert_eq!(lists(vendor, rooms, "{}").await.0, Some("decode"), "{rooms}");
    }
}

#[tokio::test]
async fn one_object_stands_for_a_list_of_one() {
    let joined = [("state", "joined")];
    let pbx = [
        r#"{"status":"Success","conferences":{"number":"6401","name":"A"}}"#,
        r#"{"status":"Success","conference":{"conferencenumber":"6401","members":
            {"channelid":"a","memberstatus":"Up"}}}"#,
    ];
    let p_series = [
        r#"{"errcode":0,"data":{"id":7,"number":"6401","moderator_list":{"id":"50","name":"A"}}}"#,
        r#"{"errcode":0,"data":{"conference_number":"6401","members":
            {"channel_id":"a","member_status":"ANSWERED"}}}"#,
    ];
    for (vendor, [rooms, live]) in
        [(Vendor::OpenvoxUc, pbx), (Vendor::YeastarS, pbx), (Vendor::YeastarP, p_series)]
    {
        let (failure, scraped) = lists(vendor, rooms, live).await;
        assert_eq!(failure, None, "{vendor:?}");
        assert_eq!(scraped.value("conferencing_rooms", &[]), Some(1.0), "{vendor:?}");
        assert_eq!(scraped.value("conferencing_participants", &joined), Some(1.0), "{vendor:?}");
        let moderated = (vendor == Vendor::YeastarP).then_some(1.0);
        assert_eq!(scraped.value("conferencing_rooms_moderated", &[]), moderated, "{vendor:?}");
    }
}

/// What PHP makes of a list from which items were removed.
#[tokio::test]
async fn an_object_with_numbers_as_keys_stands_for_a_list() {
    let joined = [("state", "joined")];
    let pbx = [
        r#"{"status":"Success","conferences":{"0":{"number":"6400"},"2":{"number":"6401"}}}"#,
        r#"{"status":"Success","conference":{"1":{"conferencenumber":"6401","members":
            {"0":{"channelid":"a","memberstatus":"Up"},"2":{"channelid":"b","memberstatus":"Up"}}}}}"#,
    ];
    let p_series = [
        r#"{"errcode":0,"data":{"0":{"id":7,"moderator_list":{"1":{"id":"50"}}},
            "2":{"id":8,"moderator_list":[]}}}"#,
        r#"{"errcode":0,"data":{"1":{"conference_number":"6401","members":
            {"0":{"channel_id":"a","member_status":"ANSWERED"},
             "2":{"channel_id":"b","member_status":"ANSWERED"}}}}}"#,
    ];
    for (vendor, [rooms, live]) in
        [(Vendor::OpenvoxUc, pbx), (Vendor::YeastarS, pbx), (Vendor::YeastarP, p_series)]
    {
        let (failure, scraped) = lists(vendor, rooms, live).await;
        assert_eq!(failure, None, "{vendor:?}");
        assert_eq!(scraped.value("conferencing_rooms", &[]), Some(2.0), "{vendor:?}");
        assert_eq!(scraped.value("conferencing_participants", &joined), Some(2.0), "{vendor:?}");
    }
}

/// Such a member may be in the conference or not: neither can be counted.
#[tokio::test]
async fn a_member_of_whom_nothing_is_said_is_no_number() {
    let statuses = ["", r#","STATUS":null"#, r#","STATUS":"""#, r#","STATUS":" ""#];
    for status in statuses {
        let pbx = |member: &str| {
            let status = status.replace("STATUS", "memberstatus");
            let member = member.replace("MORE", &format!(r#""channelid":"a"{status}"#));
            format!(
                r#"{{"status":"Success","conference":[{{"conferencenumber":"6401","members":[{member}]}}]}}"#
            )
        };
        let p_series = format!(
            r#"{{"errcode":0,"data":[{{"conference_number":"6401","members":[{{"channel_id":"a"{}}}]}}]}}"#,
            status.replace("STATUS", "member_status")
        );
        let rooms = r#"{"status":"Success","conferences":[{"number":"6401"}]}"#;
        for (vendor, rooms, live) in [
            (Vendor::OpenvoxUc, rooms, pbx("{MORE}")),
            (Vendor::YeastarS, rooms, pbx(r#"{"ext":{MORE}}"#)),
            (Vendor::YeastarS, rooms, pbx(r#"{"inbound":[{MORE}]}"#)),
            (Vendor::YeastarP, r#"{"errcode":0,"data":[{"id":7}]}"#, p_series),
        ] {
            assert_eq!(lists(vendor, rooms, &live).await.0, Some("decode"), "{live}");
        }
    }
}

/// Nobody could ask who is in it.
#[tokio::test]
async fn a_room_without_a_number_is_no_number() {
    for vendor in [Vendor::OpenvoxUc, Vendor::YeastarS] {
        for number in ["", r#""number":null,"#, r#""number":"","#, r#""number":" ","#] {
            let rooms = format!(
                r#"{{"status":"Success","conferences":[{{"number":"6401"}},{{{number}"name":"A"}}]}}"#
            );
            let live = r#"{"status":"Success","conference":[]}"#;
            assert_eq!(lists(vendor, &rooms, live).await.0, Some("decode"), "{vendor:?} {rooms}");
        }
    }
}

#[tokio::test]
async fn an_empty_room_does_not_hide_the_others() {
    // OpenVox is asked for a list of rooms, the S-Series for all.
    for vendor in [Vendor::OpenvoxUc, Vendor::YeastarS] {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        simulator.edit(vendor, "", |population| {
            let rooms: Vec<_> = population.rooms.iter().map(|room| room.number.clone()).collect();
            population.conferences.retain(|conference| rooms.contains(&conference.number));
            population.behaviour.idle_number_fails = true;
        });
        let truth = simulator.truth(vendor, "");
        assert!(truth.participants_joined > Some(0));
        assert!(truth.rooms > truth.conferences_active, "some room is empty");
        let extra = ["max_concurrency: 2"];
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &extra)]);
        let bench = Bench::new(&yaml).await;
        let live = "conference/query_in_session";
        let refused = Fault::VendorError("10110".to_owned());
        simulator.inject(vendor, "", Some(live), refused, Some(1));
        assert_truth(&bench.scrape().await, vendor, &truth, &[]);
        let asked = || {
            let requests = simulator.requests(vendor, "");
            simulator.clear_requests();
            requests.iter().filter(|request| request.call == live).count() as u64
        };
        assert_eq!(asked(), 1 + truth.rooms.unwrap(), "{vendor:?}");
        assert_eq!(bench.errors("vendor"), 0.0);

        // Where nobody is anywhere, that is what it says.
        simulator.edit(vendor, "", |population| population.conferences.clear());
        let refused = Fault::VendorError("10110".to_owned());
        simulator.inject(vendor, "", Some(live), refused, None);
        assert_truth(&bench.scrape().await, vendor, &simulator.truth(vendor, ""), &[]);

        // What any of the rooms fails with is a failure.
        simulator.clear_faults();
        let refused = Fault::VendorError("10110".to_owned());
        simulator.inject(vendor, "", Some(live), refused, Some(1));
        simulator.inject(vendor, "", Some(live), Fault::Status(500), None);
        let scraped = bench.scrape().await;
        assert_eq!(scraped.value("conferencing_up", &[]), Some(0.0), "{vendor:?}");
        assert_eq!(scraped.value("conferencing_conferences", &[]), None);
    }
}

#[tokio::test]
async fn the_only_room_is_asked_for_once() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let vendor = Vendor::OpenvoxUc;
    simulator.edit(vendor, "", |population| {
        population.rooms.truncate(1);
        population.conferences.clear();
        population.behaviour.idle_number_fails = true;
    });
    let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
    let scraped = Bench::new(&yaml).await.scrape().await;
    assert_truth(&scraped, vendor, &simulator.truth(vendor, ""), &[]);
    let live = |request: &&simulator::Request| request.call == "conference/query_in_session";
    assert_eq!(simulator.requests(vendor, "").iter().filter(live).count(), 1);
}
