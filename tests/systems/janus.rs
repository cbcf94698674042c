// SPDX-License-Identifier: Apache-2.0
//! What is special about Janus: the answers of real servers, private rooms, plug-ins that are not loaded.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{fs, path::Path};

use serde_json::{Value, json};
use simulator::{Conference, Fault, Options, Participant, Presence, Simulator, Vendor};

use crate::common::{Bench, assert_truth, config, entry, expected, exposition::Exposition, source};

const VENDOR: Vendor = Vendor::Janus;
const SECRET: &str = "admin_secret: demo-admin-secret-not-secret";

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

async fn bench(simulator: &Simulator, extra: &[&str]) -> Bench {
    Bench::new(&config(&[source(VENDOR, &simulator.base_url(VENDOR), extra)])).await
}

/// A recorded answer, as the one to the request with this `transaction`.
fn recorded(file: &str, transaction: &str) -> Vec<u8> {
    let path = Path::new("tests/data/janus").join(file).with_extension("json");
    let recording: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let mut answer = recording["answer"].clone();
    assert_eq!(answer["transaction"], "t1");
    answer["transaction"] = transaction.into();
    answer.to_string().into_bytes()
}

/// Lets the calls be answered once as recorded: the call, and the file.
fn answers(simulator: &Simulator, files: &[(&'static str, &str)]) {
    for (call, file) in files {
        let fault = Fault::Body(recorded(file, call));
        simulator.inject(VENDOR, "", Some(call), fault, Some(1));
    }
}

/// Everything that is counted, by its short name; what is absent is left out.
fn counted(scraped: &Exposition) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for (name, state, _) in expected(&Default::default()) {
        let labels: Vec<_> = state.map(|state| ("state", state)).into_iter().collect();
        if let Some(value) = scraped.value(name, &labels) {
            let name = state.unwrap_or(name).trim_start_matches("conferencing_");
            found.push((name.to_owned(), value as u64));
        }
    }
    found
}

const AB_LIST: &str = "audiobridge/list";
const AB_PEOPLE: &str = "audiobridge/listparticipants";
const VR_LIST: &str = "videoroom/list";
const VR_PEOPLE: &str = "videoroom/listparticipants";

/// What it is, the calls that are answered and by which recordings, and what is counted.
type Scene =
    (&'static str, &'static [(&'static str, &'static str)], &'static [(&'static str, u64)]);

/// The answers of 1.1.2 and 1.4.1 to the same scenes, and what is counted in them.
#[tokio::test]
async fn recorded_answers_of_real_servers() {
    let scenes: &[Scene] = &[
        (
            // Three people who came by plain RTP, two members of one VideoRoom and one of a private one.
            "1.1.2",
            &[
                (AB_LIST, "audiobridge-list"),
                (AB_PEOPLE, "audiobridge-listparticipants-1000"),
                (VR_LIST, "videoroom-list"),
                (VR_PEOPLE, "videoroom-listparticipants-1234"),
                (VR_PEOPLE, "videoroom-listparticipants-5678"),
            ],
            &[
                ("active", 3),
                ("joined", 3),
                ("joining", 3),
                ("participants_muted", 0),
                ("participants_mute_reported", 0),
                ("largest_conference_participants", 2),
                ("conferences_all_muted", 0),
                ("conferences_recording", 0),
                ("rooms", 4),
                ("rooms_pin_protected", 2),
            ],
        ),
        (
            "1.1.2, the room is muted",
            &[
                (AB_LIST, "audiobridge-list-room-muted"),
                (AB_PEOPLE, "audiobridge-listparticipants-1000-room-muted"),
                (VR_LIST, "videoroom-list-empty"),
            ],
            &[
                ("active", 1),
                ("joined", 0),
                ("joining", 3),
                ("participants_muted", 0),
                ("participants_mute_reported", 0),
                ("largest_conference_participants", 0),
                ("conferences_all_muted", 1),
                ("conferences_recording", 0),
                ("rooms", 3),
                ("rooms_pin_protected", 1),
            ],
        ),
        (
            "1.1.2, WebRTC",
            &[
                (AB_LIST, "audiobridge-list"),
                (AB_PEOPLE, "webrtc-audiobridge-listparticipants-1000"),
                (VR_LIST, "webrtc-videoroom-list"),
                (VR_PEOPLE, "webrtc-videoroom-listparticipants-1234-closed"),
            ],
            &[
                ("active", 2),
                ("joined", 5),
                ("joining", 0),
                ("participants_muted", 1),
                ("participants_mute_reported", 2),
                ("largest_conference_participants", 3),
                ("conferences_all_muted", 0),
                ("conferences_recording", 0),
                ("rooms", 4),
                ("rooms_pin_protected", 2),
            ],
        ),
        (
            "1.4.1, plain RTP, muted and suspended, and WebRTC",
            &[
                (AB_LIST, "audiobridge-list"),
                (AB_PEOPLE, "v1.4/plainrtp-suspended"),
                (VR_LIST, "v1.4/webrtc-videoroom-list"),
                (VR_PEOPLE, "v1.4/webrtc-videoroom-listparticipants-1234-moderated"),
            ],
            &[
                ("active", 2),
                ("joined", 4),
                ("joining", 0),
                ("participants_muted", 1),
                ("participants_mute_reported", 1),
                ("largest_conference_participants", 3),
                ("conferences_all_muted", 0),
                ("conferences_recording", 0),
                ("rooms", 4),
                ("rooms_pin_protected", 2),
            ],
        ),
        (
            "1.4.1, nobody",
            &[
                (AB_LIST, "v1.4/audiobridge-list-empty"),
                (VR_LIST, "v1.4/videoroom-list-empty-adminkey"),
            ],
            &[
                ("active", 0),
                ("joined", 0),
                ("joining", 0),
                ("participants_muted", 0),
                ("participants_mute_reported", 0),
                ("largest_conference_participants", 0),
                ("conferences_all_muted", 0),
                ("conferences_recording", 0),
                ("rooms", 4),
                ("rooms_pin_protected", 2),
            ],
        ),
        (
            "the people have left since the rooms were listed",
            &[
                (AB_LIST, "audiobridge-list"),
                (AB_PEOPLE, "nobody-1000"),
                (VR_LIST, "videoroom-list-empty"),
            ],
            &[
                ("active", 1),
                ("joined", 0),
                ("joining", 0),
                ("participants_muted", 0),
                ("participants_mute_reported", 0),
                ("largest_conference_participants", 0),
                ("conferences_all_muted", 0),
                ("conferences_recording", 0),
                ("rooms", 3),
                ("rooms_pin_protected", 1),
            ],
        ),
        (
            "the rooms are gone since they were listed",
            &[
                (AB_LIST, "audiobridge-list"),
                (AB_PEOPLE, "audiobridge-listparticipants-nonexistent"),
                (VR_LIST, "webrtc-videoroom-list"),
                (VR_PEOPLE, "videoroom-listparticipants-nonexistent"),
            ],
            &[
                ("active", 0),
                ("joined", 0),
                ("joining", 0),
                ("participants_muted", 0),
                ("participants_mute_reported", 0),
                ("largest_conference_participants", 0),
                ("conferences_all_muted", 0),
                ("conferences_recording", 0),
                ("rooms", 4),
                ("rooms_pin_protected", 2),
            ],
        ),
        (
            "the VideoRoom is not loaded",
            &[(AB_LIST, "audiobridge-list-empty"), (VR_LIST, "admin-unknown-plugin")],
            &[
                ("active", 0),
                ("joined", 0),
                ("joining", 0),
                ("participants_muted", 0),
                ("participants_mute_reported", 0),
                ("largest_conference_participants", 0),
                ("conferences_all_muted", 0),
                ("conferences_recording", 0),
                ("rooms", 2),
                ("rooms_pin_protected", 1),
            ],
        ),
        (
            "the AudioBridge is not loaded: nothing is known of mutes",
            &[(AB_LIST, "v1.4/admin-unknown-plugin"), (VR_LIST, "videoroom-list-empty")],
            &[
                ("active", 0),
                ("joined", 0),
                ("largest_conference_participants", 0),
                ("conferences_recording", 0),
                ("rooms", 1),
                ("rooms_pin_protected", 0),
            ],
        ),
    ];
    let simulator = simulator().await;
    for (scene, files, expected) in scenes {
        answers(&simulator, files);
        let scraped = bench(&simulator, &["max_concurrency: 1"]).await.scrape().await;
        assert_eq!(scraped.value("conferencing_up", &[]), Some(1.0), "{scene}");
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        assert_eq!(counted(&scraped), expected, "{scene}");
        simulator.clear_faults();
    }
}

/// A refused secret, and refused admin keys: nothing more is sent then.
#[tokio::test]
async fn recorded_refusals_of_real_servers() {
    let simulator = simulator().await;
    for (call, file) in [
        (AB_LIST, "v1.4/admin-wrong-secret2"),
        (AB_LIST, "audiobridge-list-wrong-adminkey"),
        (VR_LIST, "videoroom-list-wrong-adminkey"),
        (VR_LIST, "v1.4/videoroom-list-wrong-adminkey"),
    ] {
        simulator.clear_requests();
        let fault = Fault::Body(recorded(file, call));
        simulator.inject(VENDOR, "", Some(call), fault, None);
        let bench = bench(&simulator, &[]).await;
        for _ in 0..3 {
            assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(0.0), "{file}");
        }
        assert_eq!(bench.errors("auth"), 1.0, "{file}");
        let requests = simulator.requests(VENDOR, "");
        let refused = requests.iter().filter(|seen| seen.call == call).count();
        assert_eq!(refused, 1, "{file}");
        simulator.clear_faults();
    }
}

#[tokio::test]
async fn a_janus_without_any_of_the_plugins_is_down_and_says_so() {
    let simulator = simulator().await;
    simulator.edit(VENDOR, "", |population| {
        population.behaviour.other.insert("without", "audiobridge videoroom".to_owned());
    });
    for (plugins, asked) in [("", 2), ("plugins: [videoroom]", 1)] {
        simulator.clear_requests();
        let bench = bench(&simulator, &[plugins]).await;
        assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(0.0));
        assert_eq!(bench.errors("vendor"), 1.0, "only where nothing is left is it an error");
        assert_eq!(simulator.requests(VENDOR, "").len(), asked);
    }
}

#[tokio::test]
async fn private_rooms_are_counted_with_the_admin_keys_and_not_without() {
    let simulator = simulator().await;
    let url = simulator.base_url(VENDOR);
    let all = simulator.truth(VENDOR, "");
    assert_truth(&bench(&simulator, &[]).await.scrape().await, VENDOR, &all, &[]);
    simulator.edit(VENDOR, "", |population| {
        let private: Vec<_> =
            population.rooms.iter().filter(|room| room.private).map(|r| r.number.clone()).collect();
        population.conferences.retain(|c| !private.contains(&c.number));
        population.rooms.retain(|room| !room.private);
    });
    let public = simulator.truth(VENDOR, "");
    assert_ne!(all.rooms, public.rooms);
    let other = simulator.instance_url(VENDOR, "");
    assert_eq!(url, other);
    // The same rooms again, some of them private.
    let simulator = self::simulator().await;
    let yaml = config(&[entry("janus", VENDOR, &simulator.base_url(VENDOR), &[SECRET])]);
    assert_truth(&Bench::new(&yaml).await.scrape().await, VENDOR, &public, &[]);
}

#[tokio::test]
async fn only_the_plugins_configured_are_asked_and_what_the_others_tell_is_absent() {
    let simulator = simulator().await;
    let scraped = bench(&simulator, &["plugins: [videoroom]"]).await.scrape().await;
    assert_eq!(scraped.value("conferencing_up", &[]), Some(1.0));
    for name in ["muted", "mute_reported"] {
        assert_eq!(scraped.value(&format!("conferencing_participants_{name}"), &[]), None);
    }
    assert_eq!(scraped.value("conferencing_participants", &[("state", "joining")]), None);
    let capability = [("capability", "participants_muted")];
    assert_eq!(scraped.value("conferencing_source_capability", &capability), Some(0.0));
    let requests = simulator.requests(VENDOR, "");
    assert!(requests.iter().all(|seen| seen.call.starts_with("videoroom/")), "{requests:?}");
}

#[tokio::test]
async fn ids_of_rooms_may_be_texts_and_go_back_as_they_came() {
    let simulator = simulator().await;
    simulator.edit(VENDOR, "", |population| {
        population.behaviour.other.insert("string_ids", String::new());
    });
    let shown = ["conferences: { enabled: true, identify: number }"];
    let scraped = bench(&simulator, &shown).await.scrape().await;
    assert_truth(&scraped, VENDOR, &simulator.truth(VENDOR, ""), &[]);
    let one = [("conference", "1000")];
    assert!(scraped.value("conferencing_conference_participants", &one).is_some());
}

/// Rooms of the two plug-ins with the same number are two conferences.
#[tokio::test]
async fn a_room_of_one_plugin_is_not_that_of_the_other() {
    let simulator = simulator().await;
    let list = |word: &str| {
        json!({ "janus": "success", "transaction": format!("{word}/list"), "response": { word: "success", "list": [
            { "room": 7, "description": "Seven", "num_participants": 1, "record": false, "pin_required": false },
            { "room": 7, "description": "Seven", "num_participants": 1, "record": false, "pin_required": false },
        ] } })
    };
    let person = |word: &str, muted: bool| {
        json!({ "janus": "success", "transaction": format!("{word}/listparticipants"), "response": { word: "participants", "room": 7,
            "participants": [{ "id": "u-1", "display": "Ada", "muted": muted }, { "id": "u-1" }] } })
    };
    for (call, answer) in [
        (AB_LIST, list("audiobridge")),
        (AB_PEOPLE, person("audiobridge", true)),
        (VR_LIST, list("videoroom")),
        (VR_PEOPLE, person("videoroom", true)),
    ] {
        let fault = Fault::Body(answer.to_string().into_bytes());
        simulator.inject(VENDOR, "", Some(call), fault, None);
    }
    for (identify, labels) in [("number", ["7", "7 #2"]), ("name", ["Seven", "Seven #2"])] {
        let shown = format!("conferences: {{ enabled: true, identify: {identify} }}");
        let scraped = bench(&simulator, &[&shown]).await.scrape().await;
        assert_eq!(scraped.value("conferencing_rooms", &[]), Some(2.0));
        assert_eq!(scraped.value("conferencing_participants", &[("state", "joined")]), Some(2.0));
        assert_eq!(scraped.value("conferencing_participants_muted", &[]), Some(1.0));
        for label in labels {
            let of = [("conference", label)];
            let one = scraped.value("conferencing_conference_participants", &of);
            assert_eq!(one, Some(1.0), "{label}");
        }
        // Only the AudioBridge says who is muted.
        let muted = "conferencing_conference_participants_muted";
        assert_eq!(scraped.matching(muted, &[]).count(), 1);
        assert!(!format!("{:?}", scraped.samples).contains("Ada"));
    }
}

/// One room of a VideoRoom with these participants, and what is counted then.
async fn of_video_room(room: Value, participants: Value) -> Exposition {
    let simulator = simulator().await;
    let count = participants.as_array().unwrap().len();
    let list =
        json!([{ "room": room, "num_participants": count, "record": true, "pin_required": false }]);
    let list = json!({ "janus": "success", "transaction": VR_LIST, "response": { "videoroom": "success", "list": list } });
    let people = json!({ "janus": "success", "transaction": VR_PEOPLE,
        "response": { "videoroom": "participants", "room": room, "participants": participants } });
    for (call, answer) in [(VR_LIST, list), (VR_PEOPLE, people)] {
        let fault = Fault::Body(answer.to_string().into_bytes());
        simulator.inject(VENDOR, "", Some(call), fault, None);
    }
    let shown = "conferences: { enabled: true, identify: number }";
    bench(&simulator, &["plugins: [videoroom]", shown]).await.scrape().await
}

/// Janus puts a placeholder into a room with `dummy_publisher`, and lists it like a person, as seen with 1.1.2.
#[tokio::test]
async fn a_dummy_publisher_is_nobody() {
    let dummy = json!({ "id": 6083173496113297_u64, "display": "Dummy publisher", "dummy": true, "publisher": true });
    let ada = json!({ "id": 7, "display": "Ada", "publisher": false });
    let not_dummy = json!({ "id": 8, "dummy": false, "publisher": true });
    for (participants, [active, joined, recorded]) in [
        (json!([dummy]), [0.0, 0.0, 0.0]),
        (json!([dummy, ada]), [1.0, 1.0, 1.0]),
        (json!([ada, not_dummy, dummy]), [1.0, 2.0, 1.0]),
    ] {
        let scraped = of_video_room(json!(7777), participants.clone()).await;
        let value = |name: &str, state: &[(&str, &str)]| scraped.value(name, state);
        let what = participants.to_string();
        assert_eq!(value("conferencing_rooms", &[]), Some(1.0), "{what}");
        let found = value("conferencing_conferences", &[("state", "active")]);
        assert_eq!(found, Some(active), "{what}");
        let found = value("conferencing_participants", &[("state", "joined")]);
        assert_eq!(found, Some(joined), "{what}");
        assert_eq!(value("conferencing_conferences_recording", &[]), Some(recorded), "{what}");
        let found = value("conferencing_largest_conference_participants", &[]);
        assert_eq!(found, Some(joined), "{what}");
    }
}

/// With `string_ids` a person may choose any text for an id, as seen with 1.1.2: it must neither make the answer
/// unreadable nor be taken for that of another.
#[tokio::test]
async fn whatever_text_a_person_chose_for_an_id_is_an_id() {
    let ids = ["bob", "bob ", " ", "", "\u{a0}", "\u{1}", "\u{fffd}", "a\"b\\c"];
    let people: Vec<_> = ids.iter().map(|id| json!({ "id": id, "publisher": false })).collect();
    for room in ["1234", " lead", "trail ", "a/b\"c\\d", "\u{fffd}"] {
        let scraped = of_video_room(json!(room), json!([&people[..], &people[..]].concat())).await;
        let joined = scraped.value("conferencing_participants", &[("state", "joined")]);
        assert_eq!(joined, Some(ids.len() as f64), "{room:?}");
        let of = [("conference", room.trim())];
        let found = scraped.value("conferencing_conference_participants", &of);
        assert_eq!(found, joined, "{room:?}");
    }
    // Nobody counts whose id is none.
    for id in [Value::Null, json!(-1), json!(1.5), json!([7])] {
        let scraped = of_video_room(json!("1234"), json!([{ "id": id }])).await;
        assert_eq!(scraped.value("conferencing_up", &[]), Some(0.0), "{id}");
    }
}

#[tokio::test]
async fn an_answer_to_another_request_is_refused() {
    let simulator = simulator().await;
    for transaction in [json!("t1"), json!("videoroom/list"), json!(""), Value::Null] {
        let answer = json!({ "janus": "success", "transaction": transaction,
            "response": { "audiobridge": "success", "list": [] } });
        let fault = Fault::Body(answer.to_string().into_bytes());
        simulator.inject(VENDOR, "", Some(AB_LIST), fault, Some(1));
        let bench = bench(&simulator, &[]).await;
        assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(0.0));
        assert_eq!(bench.errors("decode"), 1.0, "{transaction}");
    }
}

#[tokio::test]
async fn people_of_another_room_are_refused() {
    let simulator = simulator().await;
    for room in [json!(1), json!("1000"), json!("1001")] {
        let answer = json!({ "janus": "success", "transaction": AB_PEOPLE,
            "response": { "audiobridge": "participants", "room": room, "participants": [] } });
        let fault = Fault::Body(answer.to_string().into_bytes());
        simulator.inject(VENDOR, "", Some(AB_PEOPLE), fault, Some(1));
        let bench = bench(&simulator, &["max_concurrency: 1"]).await;
        assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(0.0));
        assert_eq!(bench.errors("decode"), 1.0, "{room}");
    }
}

/// Answers that a client in a hurry takes for "nobody".
#[tokio::test]
async fn what_is_not_the_list_is_never_taken_for_an_empty_one() {
    let simulator = simulator().await;
    let room = |extra: &str| format!(r#"{{"list":[{{"room":1{extra}}}]}}"#);
    for response in [
        "{}".to_owned(),
        r#"{"list":null}"#.to_owned(),
        r#"{"list":""}"#.to_owned(),
        r#"{"list":{}}"#.to_owned(),
        r#"{"audiobridge":"success"}"#.to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        room(""),
        room(r#","num_participants":-1"#),
        room(r#","num_participants":null"#),
        room(r#","num_participants":1.5"#),
        room(r#","num_participants":"many""#),
        r#"{"list":[{"num_participants":0}]}"#.to_owned(),
        r#"{"list":[{"room":null,"num_participants":0}]}"#.to_owned(),
        r#"{"list":[{"room":-1,"num_participants":0}]}"#.to_owned(),
        r#"{"list":[7]}"#.to_owned(),
    ] {
        let answer = format!(
            r#"{{"janus":"success","transaction":"audiobridge/list","response":{response}}}"#
        );
        let fault = Fault::Body(answer.into_bytes());
        simulator.inject(VENDOR, "", Some(AB_LIST), fault, Some(1));
        let bench = bench(&simulator, &[]).await;
        assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(0.0), "{response}");
        assert_eq!(bench.errors("decode"), 1.0, "{response}");
    }
}

/// A Janus whose `admin_acl` does not name this host closes the connection without an answer, as seen with 1.1.2; its HTTP 403
/// means that the request has no `Origin`, which `enforce_cors` demands.
#[tokio::test]
async fn whoever_is_not_let_in_is_told_by_which_setting() {
    let simulator = simulator().await;
    for (fault, reason, setting) in [
        (Fault::CloseBeforeAnswer, "connect", "admin_acl"),
        (Fault::Status(403), "forbidden", "enforce_cors"),
    ] {
        simulator.inject(VENDOR, "", Some(AB_LIST), fault, None);
        let (found, told) = bench(&simulator, &[]).await.failure().await;
        assert_eq!(found, reason);
        assert!(told.contains(setting), "{told}");
        simulator.clear_faults();
    }
}

/// `ping` answers without any secret; that must not count as an answer.
#[tokio::test]
async fn a_pong_is_no_list() {
    let simulator = simulator().await;
    let pong = Fault::Body(br#"{"janus":"pong","transaction":"audiobridge/list"}"#.to_vec());
    simulator.inject(VENDOR, "", Some(AB_LIST), pong, None);
    let bench = bench(&simulator, &[]).await;
    assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(0.0));
    assert_eq!(bench.errors("decode"), 1.0);
}

#[tokio::test]
async fn no_more_requests_at_once_than_configured_and_one_for_each_room_with_people() {
    let simulator = simulator().await;
    simulator.edit(VENDOR, "", |population| {
        population.rooms.clear();
        population.conferences.clear();
        for number in 1000..1040 {
            let number = number.to_string();
            population.rooms.push(simulator::Room::new(&number, "Room"));
            let mut conference = Conference::new(&format!("audiobridge/{number}"), &number, "Room");
            if number.ends_with('0') {
                let person = Participant::new("Ada", "1", Presence::Joined);
                conference.participants.push(person);
            }
            population.conferences.push(conference);
        }
    });
    let bench = bench(&simulator, &["max_concurrency: 2"]).await;
    let scraped = bench.scrape().await;
    assert_truth(&scraped, VENDOR, &simulator.truth(VENDOR, ""), &[]);
    let requests = simulator.requests(VENDOR, "");
    let people = requests.iter().filter(|seen| seen.call == AB_PEOPLE).count();
    assert_eq!((people, requests.len()), (4, 6), "{requests:?}");
}
