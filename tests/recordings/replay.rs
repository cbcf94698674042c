// SPDX-License-Identifier: Apache-2.0
//! The replay of a recording gives the numbers of the scrape it was made in: for every system, every key that changes what
//! is asked, every oddity and every fault of the simulator.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use conferencing_exporter::recording::Outcome;
use futures_util::future::join_all;
use serde_json::{Value, json};
use simulator::{Fault, Idle, Options, Population, Simulator, UnknownIds, Vendor};

use super::bench::{record, replay};
use crate::common::{
    config, entry,
    faults::{Effect, faults, text_faults},
    hosts, source,
};

/// Lines of YAML that change what a source is asked, for each vendor.
fn settings(vendor: Vendor, hosts: &str, ids: &[String]) -> Vec<Vec<String>> {
    let quoted: Vec<_> = ids.iter().map(|id| format!("\"{id}\"")).collect();
    let ids = format!("conference_ids: [{}]", quoted.join(", "));
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => vec![lines(&[]), lines(&["live: false"])],
        Vendor::YeastarP => vec![
            lines(&[]),
            lines(&["live: false"]),
            lines(&["room_details: true", "page_size: 2"]),
        ],
        Vendor::HuaweiMeeting => vec![
            lines(&[]),
            lines(&["attendees: true"]),
            lines(&["details: true"]),
            lines(&[hosts]),
            lines(&["attendees: true", "details: true", hosts]),
            lines(&["discover: false", &ids]),
        ],
        Vendor::Dingtalk => vec![
            lines(&[]),
            lines(&["batch_size: 1"]),
            lines(&["discover: false", "batch_size: 2", &ids]),
            lines(&["batch_size: 3", "conference_ids: [unknown-1, unknown-2]"]),
        ],
        Vendor::Janus => vec![lines(&[]), lines(&["plugins: [videoroom]"])],
        _ => vec![lines(&[])],
    }
}

/// What the simulator can be told to do differently.
type Oddity = (&'static str, fn(&mut Population));

fn oddities() -> Vec<Oddity> {
    vec![
        ("as it is", |_| {}),
        ("no quirks", |population| population.behaviour.quirks = false),
        ("nothing going on", |population| population.conferences.clear()),
        ("nothing going on, refused", |population| {
            population.conferences.clear();
            population.behaviour.idle = Idle::Failed;
        }),
        ("nothing going on, no list", |population| {
            population.conferences.clear();
            population.behaviour.idle = Idle::NoList;
        }),
        ("an idle number fails", |population| population.behaviour.idle_number_fails = true),
        ("no live call", |population| population.behaviour.live_call = false),
        ("plural", |population| population.behaviour.plural_conferences = true),
        ("other members key", |population| population.behaviour.other_members_key = true),
        ("an ordinary user", |population| population.behaviour.admin_type = 2),
        ("no head counts", |population| population.behaviour.head_counts = false),
        ("unknown ids left out", |population| {
            population.behaviour.unknown_ids = UnknownIds::Omit;
        }),
        ("ended meetings listed", |population| {
            population.behaviour.unknown_ids = UnknownIds::Ended;
        }),
        ("short batches", |population| population.behaviour.batch_limit = Some(1)),
    ]
}

async fn assert_replayed(what: &str, text: &str) -> Outcome {
    let (recorded, replayed, missing) = replay(text).await;
    assert_eq!(recorded, replayed, "{what}, no answer to {missing:?}\n{text}");
    assert!(missing.is_empty(), "{what}: no answer to {missing:?}\n{text}");
    recorded
}

#[tokio::test]
async fn every_setting_and_oddity_of_every_system() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for vendor in Vendor::ALL {
        for (name, change) in oddities() {
            let instance = name.replace([' ', ','], "-");
            simulator.edit(vendor, &instance, change);
            let ids: Vec<_> = simulator.edit(vendor, &instance, |population| {
                population.conferences.iter().map(|conference| conference.id.clone()).collect()
            });
            let hosts = hosts(&simulator.host_passwords(&instance));
            let url = simulator.instance_url(vendor, &instance);
            for lines in settings(vendor, &hosts, &ids) {
                let lines: Vec<_> = lines.iter().map(String::as_str).collect();
                if ids.is_empty() && lines.iter().any(|line| line.starts_with("discover")) {
                    continue;
                }
                let texts = record(&config(&[source(vendor, &url, &lines)])).await;
                let what = format!("{vendor:?}, {name}, {lines:?}");
                assert_replayed(&what, &texts[0]).await;
            }
        }
    }
}

#[tokio::test]
async fn every_way_to_log_in() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let (huawei, dingtalk) = (Vendor::HuaweiMeeting, Vendor::Dingtalk);
    for (vendor, lines) in [
        (
            huawei,
            &["account: demo@example.com", "password: demo-password-not-secret", "scope: own"][..],
        ),
        (
            dingtalk,
            &[
                "corp_id: dingdemo",
                "client_id: demo-client-id",
                "client_secret: demo-client-secret-not-secret",
            ],
        ),
        (
            dingtalk,
            &[
                "suite_key: demo-suite-key",
                "suite_secret: demo-suite-secret-not-secret",
                "auth_corp_id: dingdemo",
                "suite_ticket: demo-suite-ticket-not-secret",
            ],
        ),
    ] {
        let yaml = config(&[entry("a", vendor, &simulator.base_url(vendor), lines)]);
        let outcome = assert_replayed(&format!("{lines:?}"), &record(&yaml).await[0]).await;
        assert!(matches!(outcome, Outcome::Numbers(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn every_fault_of_every_call() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    join_all(Vendor::ALL.map(|vendor| every_fault_of(&simulator, vendor))).await;
}

async fn every_fault_of(simulator: &Simulator, vendor: Vendor) {
    let mut sources = Vec::new();
    let faults = if vendor.speaks_http() { faults() } else { text_faults() };
    for (fault_name, fault, effect) in faults {
        for call in calls(vendor) {
            let name = format!("{fault_name}-{}", call.replace(['/', '_'], "-"));
            simulator.inject(vendor, &name, Some(call), fault.clone(), None);
            let hosts = hosts(&simulator.host_passwords(&name));
            // Only what never ends is to end by the time, however busy the machine is.
            let is_endless = effect == Effect::Once("timeout");
            let timeout = if is_endless { "timeout: 1s" } else { "timeout: 10m" };
            let mut lines = vec![timeout, "max_response_bytes: 262144"];
            match vendor {
                Vendor::YeastarP => lines.push("room_details: true"),
                Vendor::HuaweiMeeting => lines.extend(["attendees: true", "details: true", &hosts]),
                _ => {}
            }
            let yaml = source(vendor, &simulator.instance_url(vendor, &name), &lines);
            sources.push(yaml.replacen(vendor.as_str(), &name, 1));
        }
    }
    let texts = record(&config(&sources)).await;
    let what = format!("{vendor:?}");
    join_all(texts.iter().map(|text| assert_replayed(&what, text))).await;
}

/// The calls of an ordinary collection.
fn calls(vendor: Vendor) -> Vec<&'static str> {
    let catalogue = conferencing_exporter::systems::catalogue();
    let profile = catalogue.profiles().iter().find(|profile| profile.name == vendor.as_str());
    profile.unwrap().calls.iter().map(|call| call.as_str()).collect()
}

/// Systems that cut names after so many units of UTF-16 leave half of a character.
#[tokio::test]
async fn a_name_that_is_cut_inside_of_a_character_is_one_name() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let vendor = Vendor::YeastarS;
    for name in [r"Zo\ud83d", r"\ude00", r"\ud83d\ude00"] {
        let room = format!(r#"{{"number":"6400","name":"{name}","mute":"yes","{name}":1}}"#);
        let body = format!(r#"{{"status":"Success","conferences":[{room}]}}"#);
        let query = Some("conference/query");
        simulator.inject(vendor, "", query, Fault::Body(body.into_bytes()), Some(1));
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
        let text = record(&yaml).await.remove(0);
        let outcome = assert_replayed(name, &text).await;
        assert!(matches!(outcome, Outcome::Numbers(_)), "{outcome:?}");
        assert!(!text.contains("Zo") && !text.contains("fffd"), "{text}");
    }
}

/// What the exporter passes over is no reason why a recording could not be replayed.
#[tokio::test]
async fn whatever_an_unknown_key_holds_is_passed_over_again() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    // The deepest that is still an answer: 128 levels with the object around it.
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deep: Vec<_> = [120, 124, 125, 126, 127].into_iter().map(nested).collect();
    let odd = ["1e999", "-1E+400", "[1e999,{\"key\":1e999}]", "1e308", "99999999999999999999999"];
    let query = "conference/query";
    for odd in odd.into_iter().chain(deep.iter().map(String::as_str)) {
        let body = format!(r#"{{"status":"Success","conferences":[],"unknown":{odd}}}"#);
        let yaml = answered(&simulator, Vendor::YeastarS, query, body);
        let outcome = assert_replayed(odd, &record(&yaml).await[0]).await;
        assert!(matches!(outcome, Outcome::Numbers(_)), "{odd}: {outcome:?}");
    }
    // A list for every second element: there are two of each.
    let nested = |depth: usize| format!("{}{}", "<a><b/><b/>".repeat(depth), "</a>".repeat(depth));
    for depth in [60, 125] {
        let head = "<returncode>SUCCESS</returncode><meetings/>";
        let body = format!("<response>{head}{}</response>", nested(depth));
        let yaml = answered(&simulator, Vendor::BigBlueButton, "getMeetings", body);
        let outcome = assert_replayed("XML", &record(&yaml).await[0]).await;
        assert!(matches!(outcome, Outcome::Numbers(_)), "{depth}: {outcome:?}");
    }
}

/// The configuration of a source whose `call` is answered by `body` once.
fn answered(simulator: &Simulator, vendor: Vendor, call: &str, body: String) -> String {
    simulator.clear_faults();
    simulator.inject(vendor, "", Some(call), Fault::Body(body.into_bytes()), Some(1));
    config(&[source(vendor, &simulator.base_url(vendor), &[])])
}

/// Of a Janus with `string_ids`, and of an Asterisk: a room is asked for by its name, of which such blanks are a part.
#[tokio::test]
async fn rooms_whose_names_differ_in_blanks_are_as_many_again() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let answer = |call: &str, response: Value| {
        let answer = json!({ "janus": "success", "transaction": call, "response": response });
        Fault::Body(answer.to_string().into_bytes())
    };
    for rooms in [["1500", "1500 "], ["1500 ", " 1500"], ["hall", "hall\t"], ["hall ", "other"]] {
        let list = rooms.map(|room| json!({ "room": room, "num_participants": 1 }));
        let list = answer("videoroom/list", json!({ "videoroom": "success", "list": list }));
        simulator.inject(Vendor::Janus, "", Some("videoroom/list"), list, Some(1));
        for people in [1, 3] {
            let people: Vec<_> = (0..people).map(|id| json!({ "id": id })).collect();
            let people = json!({ "videoroom": "participants", "participants": people });
            let people = answer("videoroom/listparticipants", people);
            let call = Some("videoroom/listparticipants");
            simulator.inject(Vendor::Janus, "", call, people, Some(1));
        }
        let lines = ["plugins: [videoroom]", "max_concurrency: 1"];
        let yaml = config(&[source(Vendor::Janus, &simulator.base_url(Vendor::Janus), &lines)]);
        let text = record(&yaml).await.remove(0);
        let outcome = assert_replayed(&format!("{rooms:?}"), &text).await;
        let Outcome::Numbers(numbers) = outcome else { panic!("{rooms:?}: {outcome:?}") };
        assert_eq!(numbers["participants_joined"], 4, "{rooms:?}");
        assert!(!text.contains("1500") && !text.contains("hall"), "{text}");
    }
}

#[tokio::test]
async fn a_refusal_in_words_is_the_same_refusal_again() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let unknown = "Invalid/unknown command: ConfbridgeListRooms. Use Action: ListCommands to show \
                   available commands.";
    for (vendor, call, message, reason) in [
        (Vendor::Asterisk, "login", "Authentication failed", "auth"),
        (Vendor::Asterisk, "login", "Login Already In Use", "vendor"),
        (Vendor::Asterisk, "confbridge_list_rooms", "Permission denied", "forbidden"),
        (Vendor::Asterisk, "confbridge_list_rooms", unknown, "vendor"),
        (Vendor::FreeSwitch, "auth", "-ERR invalid", "auth"),
        (Vendor::FreeSwitch, "json_list", "-ERR permission denied", "forbidden"),
        (Vendor::FreeSwitch, "json_list", "-ERR Conference json_list not found", "vendor"),
        (Vendor::FreeSwitch, "json_list", "Conference json_list not found", "vendor"),
    ] {
        simulator.clear_faults();
        let refusal = Fault::VendorError(message.to_owned());
        simulator.inject(vendor, "", Some(call), refusal, None);
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
        let outcome = assert_replayed(message, &record(&yaml).await[0]).await;
        assert_eq!(outcome, Outcome::Failed(reason.to_owned()), "{message}");
    }
}
