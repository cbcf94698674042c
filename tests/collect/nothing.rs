// SPDX-License-Identifier: Apache-2.0
//! A list without anything in it counts as nothing, however the system spells it, and is no failure.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::fs;

use serde_json::{Value, json};
use simulator::{Fault, Options, Simulator, Vendor};

use crate::common::{
    Bench, config,
    genuine::{pointers, right_answers},
    hosts, source,
};

/// A measure: its name and its `state`.
type Measure = (&'static str, Option<&'static str>);

const ACTIVE: Measure = ("conferencing_conferences", Some("active"));
const SCHEDULED: Measure = ("conferencing_conferences", Some("scheduled"));
const JOINED: Measure = ("conferencing_participants", Some("joined"));
const WAITING: Measure = ("conferencing_participants", Some("waiting"));
const JOINING: Measure = ("conferencing_participants", Some("joining"));
const INVITED: Measure = ("conferencing_participants", Some("invited"));
const MUTED: Measure = ("conferencing_participants_muted", None);
const HANDS: Measure = ("conferencing_participants_hand_raised", None);
const MODERATORS: Measure = ("conferencing_participants_moderators", None);
const LARGEST: Measure = ("conferencing_largest_conference_participants", None);
const ROOMS: Measure = ("conferencing_rooms", None);
const MODERATED: Measure = ("conferencing_rooms_moderated", None);

/// A list in the answers of a system.
struct List {
    vendor: Vendor,
    /// What the source is configured with besides its login; `HOSTS` stands for all meetings' hosts.
    lines: &'static [&'static str],
    call: &'static str,
    /// Where it is, as a JSON pointer; `*` is any item or key.
    at: &'static str,
    /// What stands beside it then: totals of 0, and `null` for the room or the person of whom only one
    /// answer speaks.
    beside: &'static [(&'static str, Option<u64>)],
    /// How a list without anything in it may be spelt.
    spellings: &'static [Spelling],
    /// What is 0 then.
    zeros: &'static [Measure],
}

#[derive(Clone, Copy, Debug)]
enum Spelling {
    Null,
    EmptyList,
    EmptyText,
    EmptyObject,
    Missing,
}

use Spelling::{EmptyList, EmptyObject, EmptyText, Missing, Null};

const OR_MISSING: &[Spelling] = &[Null, EmptyList, EmptyText, Missing];
const OF_YEASTAR_P: &[Spelling] = &[Null, EmptyList, EmptyText, Missing, EmptyObject];
/// Janus and FreeSWITCH write their lists in one place each, always as lists. What is none there is
/// another answer: that nobody takes one for an empty list has tests of its own.
const AS_A_LIST: &[Spelling] = &[EmptyList];

const LIVE: &[Measure] = &[ACTIVE, JOINED, WAITING, LARGEST];
const PEOPLE: &[Measure] = &[JOINED, WAITING, LARGEST];

/// Both names of the lists that have two are tried: which of them a system uses is up to it.
fn lists() -> Vec<List> {
    let list = |vendor, call, at, zeros| List {
        vendor,
        lines: &[],
        call,
        at,
        beside: &[],
        spellings: &[Null, EmptyList, EmptyText],
        zeros,
    };
    let (s, p, uc) = (Vendor::YeastarS, Vendor::YeastarP, Vendor::OpenvoxUc);
    let (cloud, ding, janus) = (Vendor::HuaweiMeeting, Vendor::Dingtalk, Vendor::Janus);
    let (live, ongoing) = ("conference/query_in_session", "conference/query_ongoing_conference");
    let (audio, video) = ("audiobridge/listparticipants", "videoroom/listparticipants");
    vec![
        list(uc, "conference/query", "/conferences", &[ROOMS]),
        list(s, "conference/query", "/conferences", &[ROOMS]),
        list(s, "conference/query", "/conferences/*/moderators", &[MODERATED]),
        list(uc, live, "/conference", LIVE),
        list(s, live, "/conference", LIVE),
        list(uc, live, "/conference/*/member", PEOPLE),
        list(s, live, "/conference/*/members", PEOPLE),
        // Each member comes in one of three lists.
        list(s, live, "/conference/*/members/*/*", PEOPLE),
        List {
            beside: &[("/total_number", Some(0))],
            spellings: OF_YEASTAR_P,
            ..list(p, "conference/list", "/data", &[ROOMS])
        },
        list(p, "conference/list", "/data/*/moderator_list", &[MODERATED]),
        List { spellings: OF_YEASTAR_P, ..list(p, ongoing, "/data", LIVE) },
        list(p, ongoing, "/data/*/members", PEOPLE),
        List {
            beside: &[("/count", Some(0))],
            ..list(cloud, "conferences/online", "/data", &[ACTIVE, JOINED, LARGEST])
        },
        List {
            beside: &[("/count", Some(0))],
            ..list(cloud, "conferences", "/data", &[SCHEDULED])
        },
        List {
            lines: &["attendees: true"],
            beside: &[("/count", Some(0))],
            ..list(cloud, "online/conf-attendee", "/data", &[MODERATORS])
        },
        List {
            lines: &["HOSTS"],
            ..list(cloud, "realTimeInfo", "/participants", &[MUTED, HANDS, JOINING, INVITED])
        },
        List {
            lines: &["HOSTS"],
            beside: &[("/confInfo/chairID", None)],
            spellings: OR_MISSING,
            ..list(cloud, "realTimeInfo", "/confInfo/coHosts", &[MODERATORS])
        },
        List {
            beside: &[("/totalCount", Some(0))],
            spellings: OR_MISSING,
            ..list(ding, "orgConferences", "/onGoingConfList", &[ACTIVE, JOINED, LARGEST])
        },
        List {
            spellings: OR_MISSING,
            ..list(ding, "videoConferences/query", "/infos", &[ACTIVE, JOINED, LARGEST])
        },
        List {
            spellings: OR_MISSING,
            ..list(ding, "videoConferences/query", "/infos/*/userList", &[JOINED, MUTED, LARGEST])
        },
        List {
            spellings: AS_A_LIST,
            lines: &["plugins: [audiobridge]"],
            ..list(janus, "audiobridge/list", "/response/list", &[ROOMS, ACTIVE, JOINED, MUTED])
        },
        List {
            spellings: AS_A_LIST,
            lines: &["plugins: [videoroom]"],
            ..list(janus, "videoroom/list", "/response/list", &[ROOMS, ACTIVE, JOINED])
        },
        List {
            spellings: AS_A_LIST,
            lines: &["plugins: [audiobridge]"],
            beside: &[("/response/room", None)],
            ..list(janus, audio, "/response/participants", &[JOINED, JOINING, MUTED, LARGEST])
        },
        List {
            spellings: AS_A_LIST,
            lines: &["plugins: [videoroom]"],
            beside: &[("/response/room", None)],
            ..list(janus, video, "/response/participants", &[JOINED, LARGEST])
        },
    ]
}

/// Whether `pointer` is a place that `pattern` speaks of.
fn is_at(pointer: &str, pattern: &str) -> bool {
    let (steps, wanted): (Vec<_>, Vec<_>) =
        (pointer.split('/').collect(), pattern.split('/').collect());
    let fits = |(step, wanted): (&&str, &&str)| *wanted == "*" || step == wanted;
    steps.len() == wanted.len() && steps.iter().zip(&wanted).all(fits)
}

/// `answer` with nothing, spelt so, at each place that `pattern` speaks of.
fn emptied(answer: &Value, pattern: &str, spelling: Spelling) -> Value {
    let (mut emptied, mut all) = (answer.clone(), Vec::new());
    pointers(answer, "", &mut all);
    all.retain(|pointer| is_at(pointer, pattern));
    assert!(!all.is_empty(), "no {pattern} in {answer}");
    for pointer in all {
        let nothing = match spelling {
            Null => Value::Null,
            EmptyList => json!([]),
            EmptyText => json!(""),
            EmptyObject => json!({}),
            Missing => {
                let (object, key) = pointer.rsplit_once('/').unwrap();
                let object = emptied.pointer_mut(object).and_then(Value::as_object_mut).unwrap();
                assert!(object.remove(key).is_some(), "no {pointer}");
                continue;
            }
        };
        *emptied.pointer_mut(&pointer).unwrap() = nothing;
    }
    emptied
}

#[tokio::test]
async fn nothing_in_a_list_is_zero_however_it_is_spelt() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for list in lists() {
        let vendor = list.vendor;
        simulator.clear_requests();
        let known = hosts(&simulator.host_passwords(""));
        let of_hosts =
            |line: &&'static str| if *line == "HOSTS" { known.clone() } else { (*line).to_owned() };
        let lines: Vec<_> = list.lines.iter().map(of_hosts).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let yaml = config(&[source(vendor, &simulator.base_url(vendor), &lines)]);
        let right = Bench::new(&yaml).await.scrape().await;
        assert_eq!(right.value("conferencing_up", &[]), Some(1.0), "{vendor:?}");
        let answers = right_answers(&simulator, vendor).await;
        let (_, answer) = answers.iter().find(|(call, _)| *call == list.call).unwrap();
        let mut answer: Value = serde_json::from_slice(answer).unwrap();
        for (place, value) in list.beside {
            *answer.pointer_mut(place).unwrap() = (*value).into();
        }
        for spelling in list.spellings {
            let body = emptied(&answer, list.at, *spelling).to_string();
            // Each engine logs in by itself, and some systems have no more than eight sessions.
            simulator.expire_tokens(vendor, "");
            simulator.inject(
                vendor,
                "",
                Some(list.call),
                Fault::Body(body.clone().into_bytes()),
                None,
            );
            let found = Bench::new(&yaml).await.scrape().await;
            simulator.clear_faults();
            let what = format!("{vendor:?}, {}, {spelling:?} at {}", list.call, list.at);
            let why: Vec<_> = found.matching("conferencing_source_failure", &[]).collect();
            assert_eq!(found.value("conferencing_up", &[]), Some(1.0), "{what}: {why:?} {body}");
            for (name, state) in list.zeros {
                let labels: Vec<_> = state.iter().map(|state| ("state", *state)).collect();
                assert!(right.value(name, &labels).is_some(), "{what}: no {name} {state:?}");
                assert_eq!(found.value(name, &labels), Some(0.0), "{what}: {name} {state:?}");
            }
        }
    }
}

/// FreeSWITCH answers a command in JSON after a header; the answer here is of a real one.
#[tokio::test]
async fn an_empty_list_of_freeswitch_is_zero() {
    let recorded = fs::read_to_string("tests/data/freeswitch/locked.txt").unwrap();
    let (_, answer) = recorded.rsplit_once("\n\n[").unwrap();
    let answer = format!("[{answer}");
    let mut answers = serde_json::Deserializer::from_str(&answer).into_iter();
    let answer: Value = answers.next().unwrap().unwrap();
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let vendor = Vendor::FreeSwitch;
    let yaml = config(&[source(vendor, &simulator.base_url(vendor), &[])]);
    for (body, zeros) in [(emptied(&answer, "/*/members", EmptyList), PEOPLE), (json!([]), LIVE)] {
        let body = body.to_string();
        let length = body.len();
        let text = format!("Content-Type: api/response\nContent-Length: {length}\n\n{body}");
        simulator.inject(vendor, "", Some("json_list"), Fault::Body(text.into_bytes()), None);
        let found = Bench::new(&yaml).await.scrape().await;
        simulator.clear_faults();
        assert_eq!(found.value("conferencing_up", &[]), Some(1.0), "{body}");
        for (name, state) in zeros {
            let labels: Vec<_> = state.iter().map(|state| ("state", *state)).collect();
            assert_eq!(found.value(name, &labels), Some(0.0), "{body}: {name} {state:?}");
        }
    }
}
