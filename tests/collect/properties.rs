// SPDX-License-Identifier: Apache-2.0
//! Properties that hold for all inputs: decoders that never panic, a text that always parses,
//! labels that never repeat, logins that are never refused too often.

#![allow(clippy::wildcard_enum_match_arm, reason = "JSON has kinds that do not matter here")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test")]

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use conferencing_exporter::{
    collect::Rows,
    config::{Conferences, Identify},
    metrics::{
        SOURCE_CAPABILITY, UP, measured,
        text::{Labels, Writer},
    },
    model::{Conference, Measure, Observation, Reason, Sizes},
    net::lenient::{Count, Flag, IsSet, List, Number, Text},
    session::{HashKey, hold_off::HoldOff},
};
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, RngSeed, TestRunner},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use simulator::{Fault, Options, Simulator, Vendor};
use tokio::time::Instant;

use crate::common::{
    Bench, config, entry,
    exposition::Exposition,
    genuine::{everything_on, pointers, right_answers},
    source,
};

/// Reproducible, and without files of past failures: what fails becomes a test of its own.
fn settings(cases: u32) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(3),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    }
}

/// Texts a vendor might send, those with a meaning of their own among them.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        any::<i64>().prop_map(|number| format!(" {number} ")),
        prop::sample::select(vec![
            "",
            " ",
            "yes",
            "NO",
            "1",
            "0",
            "null",
            "Success",
            "Failed",
            "ANSWER",
            "HOLD",
            "Up",
            "all",
            "\"\\\n\r\t{}",
            "\u{feff}",
            "\u{0}",
            "20006",
            "10110",
            "60001",
            "-0",
            "1e3",
            "99999999999999999999",
        ])
        .prop_map(str::to_owned),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..40_i64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ]
}

/// Any JSON, objects with keys out of `keys`.
fn any_json(keys: Vec<String>) -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 40, 6, move |inner| {
        let key = prop_oneof![4 => prop::sample::select(keys.clone()), 1 => text()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6)
                .prop_map(|pairs| Value::from(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn decode<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    serde_json::from_str(json).ok()
}

proptest! {
    #![proptest_config(settings(2_000))]

    #[test]
    fn decoders_never_panic(value in any_json(vec!["a".to_owned(), "b".to_owned()])) {
        let json = value.to_string();
        decode::<Number>(&json);
        decode::<Count>(&json);
        decode::<Text<'_>>(&json);
        decode::<Flag>(&json);
        decode::<IsSet>(&json);
        decode::<List<Text<'_>>>(&json);
        decode::<List<Map<String, Value>>>(&json);
        decode::<List<List<std::collections::HashMap<String, Count>>>>(&json);
    }

    #[test]
    fn numbers_mean_the_same_in_every_notation(number in -(1_i64 << 53)..=1 << 53) {
        let count = u64::try_from(number).ok();
        // With a fraction of zeros the JSON parser is exact for fifteen digits only.
        let float = json!((number >> 5) as f64).to_string();
        prop_assert_eq!(decode::<Number>(&float), Some(Number(Some(number >> 5))), "{}", float);
        for json in [json!(number), json!(number.to_string()), json!(format!(" {number}\n"))] {
            let json = json.to_string();
            prop_assert_eq!(decode::<Number>(&json), Some(Number(Some(number))), "{}", json);
            prop_assert_eq!(decode::<Count>(&json), count.map(|count| Count(Some(count))), "{}", json);
        }
        let json = number.to_string();
        let text: Text<'_> = decode(&json).unwrap();
        prop_assert_eq!(text.as_str(), &json);
        prop_assert_eq!(decode::<IsSet>(&json), Some(IsSet(true)));
        let flag = match number { 0 => Some(Flag(Some(false))), 1 => Some(Flag(Some(true))), _ => None };
        prop_assert_eq!(decode::<Flag>(&json), flag);
    }

    #[test]
    fn what_is_no_count_is_an_error_and_never_zero(value in any_json(vec!["a".to_owned()])) {
        let json = value.to_string();
        if let Some(Count(Some(count))) = decode::<Count>(&json) {
            let told = match &value {
                Value::String(text) => text.trim().parse::<f64>().unwrap(),
                number => number.as_f64().unwrap(),
            };
            prop_assert_eq!(told, count as f64);
        }
        if let Some(Text(text)) = decode::<Text<'_>>(&json) {
            prop_assert_eq!(text.trim(), &*text);
        }
        if let Some(IsSet(true)) = decode::<IsSet>(&json) {
            prop_assert!(!value.is_null() && value != json!("") && value != json!([]));
        }
    }

    #[test]
    fn label_values_come_back_as_they_were(
        values in prop::collection::vec(any::<String>(), 3),
        extra in any::<String>(),
        number in any::<f64>(),
    ) {
        let names = ["source", "vendor", "site"];
        let labels = Labels::new(names.into_iter().zip(values.iter().map(String::as_str)));
        let mut writer = Writer::default();
        writer.sample(SOURCE_CAPABILITY, &labels, Some(("capability", &extra)), 7_u64);
        writer.sample(UP, &Labels::default(), None, number);
        let read = Exposition::parse(&writer.finish().concat());
        for (name, value) in names.into_iter().zip(&values) {
            prop_assert_eq!(&read.samples[1].labels[name], value);
        }
        prop_assert_eq!(&read.samples[1].labels["capability"], &extra);
        let same = read.samples[0].value == number || (number.is_nan() && read.samples[0].value.is_nan());
        prop_assert!(same, "{} is not {}", read.samples[0].value, number);
    }

    #[test]
    fn rows_never_repeat_a_label(
        conferences in prop::collection::vec(("[a-c]{0,2}", prop::option::of("a?( #[23])?( #2)?"), 0..4_u64), 0..40),
        limit in 1..30_usize,
    ) {
        let total = conferences.len();
        let conferences = conferences
            .into_iter()
            .map(|(id, label, participants)| Conference {
                id, label, participants: Some(participants), muted: None, started_at: None,
            })
            .collect();
        let settings = Conferences { enabled: true, limit, identify: Identify::Name };
        let rows = Rows::new(conferences, settings, &HashKey::new([7; 32]));
        let labels: HashSet<_> = rows.shown.iter().map(|row| row.label.as_str()).collect();
        prop_assert_eq!(labels.len(), rows.shown.len());
        prop_assert_eq!(rows.shown.len(), total.min(limit));
        prop_assert_eq!(rows.dropped as usize, total - rows.shown.len());
        prop_assert!(rows.shown.is_sorted_by_key(|row| std::cmp::Reverse(row.participants)));
    }

    #[test]
    fn a_meeting_keeps_its_series_while_others_grow(
        names in prop::collection::btree_map("[a-z0-9]{1,3}", prop::option::of("a?( #[23])?( #2)?"), 1..30),
        sizes in prop::collection::vec((0..9_u64, 0..9_u64), 30),
        order in any::<Index>(),
        limits in (1..30_usize, 1..30_usize),
    ) {
        // What a system answers before and after, in whatever order. The start says which meeting a row is about.
        let before = meetings(&names, sizes.iter().map(|(before, _)| *before));
        let mut after = meetings(&names, sizes.iter().map(|(_, after)| *after));
        let first = order.index(after.len());
        after.rotate_left(first);
        let before = labels_by_meeting(before, limits.0);
        let after = labels_by_meeting(after, limits.1);
        for (meeting, label) in &before {
            prop_assert!(after.get(meeting).is_none_or(|now| now == label), "{:?} {:?}", before, after);
        }
    }

    #[test]
    fn a_label_is_cut_at_whole_characters(name in "[ -~é中😀]{0,200}", ends in "\\PC{0,300}") {
        for name in [name, ends] {
            let name = name.trim();
            let names = [("1".to_owned(), Some(name.to_owned()))].into_iter().collect();
            let shown = labels_by_meeting(meetings(&names, [1]), 1);
            let expected: String = name.chars().take(128).collect();
            if !name.is_empty() {
                prop_assert_eq!(&shown[&0], &expected);
            }
        }
    }

    #[test]
    fn sizes_add_up_to_the_active_conferences_or_are_all_absent(
        joined in prop::collection::vec(prop::option::weighted(0.98, prop_oneof![0..130_u64, any::<u64>()]), 0..60),
    ) {
        let mut sizes = Sizes::default();
        joined.iter().for_each(|joined| sizes.add(*joined));
        let mut observation = Observation::new();
        sizes.report(&mut observation);
        prop_assert_eq!(observation.value(Measure::ConferencesActive), Some(joined.len() as u64));
        let classes: Vec<_> = by_size(&observation).into_iter().flatten().collect();
        if joined.iter().all(Option::is_some) {
            prop_assert_eq!(classes.len(), 8);
            prop_assert_eq!(classes.iter().sum::<u64>(), joined.len() as u64);
        } else {
            prop_assert_eq!(classes.len(), 0);
        }
    }
}

/// Meetings with these ids and names; each starts at the second of its place.
fn meetings(
    names: &BTreeMap<String, Option<String>>,
    sizes: impl IntoIterator<Item = u64>,
) -> Vec<Conference> {
    let meetings = names.iter().zip(sizes).zip(0..);
    let meeting = |(((id, name), size), place): (((&String, &Option<String>), u64), i64)| {
        let (id, label, participants) = (id.clone(), name.clone(), Some(size));
        Conference { id, label, participants, muted: None, started_at: Some(place) }
    };
    meetings.map(meeting).collect()
}

/// The labels of those shown, by their starts.
fn labels_by_meeting(meetings: Vec<Conference>, limit: usize) -> BTreeMap<i64, String> {
    let settings = Conferences { enabled: true, limit, identify: Identify::Name };
    let rows = Rows::new(meetings, settings, &HashKey::new([7; 32]));
    rows.shown.into_iter().map(|row| (row.started_at.unwrap(), row.label)).collect()
}

fn by_size(observation: &Observation) -> Vec<Option<u64>> {
    let family = measured().find(|(family, _)| family.name == "conferencing_conferences_by_size");
    let (_, series) = family.unwrap();
    series.iter().map(|measure| observation.value(*measure)).collect()
}

/// What may happen to one source's logins.
#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    /// A scrape tries a login where it may; the vendor answers so.
    Try(Answer),
    /// The secret file has another content.
    NewSecret(u8),
    Reconfigured,
    /// A scrape under way since before the reload tries a login.
    TryOnOld(Answer),
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Accepted,
    Refused,
    LockedOut,
    NoFreeToken,
    None,
}

fn event() -> impl Strategy<Value = Event> {
    let answer = || {
        prop_oneof![
            6 => Just(Answer::Refused),
            1 => Just(Answer::Accepted),
            1 => Just(Answer::LockedOut),
            1 => Just(Answer::NoFreeToken),
            1 => Just(Answer::None),
        ]
    };
    prop_oneof![
        3 => (0..900_u64).prop_map(Event::Wait),
        6 => answer().prop_map(Event::Try),
        2 => (0..4_u8).prop_map(Event::NewSecret),
        1 => Just(Event::Reconfigured),
        1 => answer().prop_map(Event::TryOnOld),
    ]
}

proptest! {
    #![proptest_config(settings(3_000))]

    #[test]
    fn never_more_than_two_refused_logins_in_ten_minutes(events in prop::collection::vec(event(), 1..80)) {
        const MINUTE: Duration = Duration::from_secs(60);
        let start = Instant::now();
        let (mut now, mut secret) = (start, 0);
        let mut hold_off = HoldOff::new(15 * MINUTE);
        let mut old = None;
        let mut refused = Vec::new();
        for event in events {
            let (state, answer) = match event {
                Event::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    continue;
                }
                Event::NewSecret(new) => {
                    secret = new;
                    continue;
                }
                Event::Reconfigured => {
                    let new = hold_off.reconfigured(15 * MINUTE);
                    old = Some(std::mem::replace(&mut hold_off, new));
                    continue;
                }
                Event::Try(answer) => (&mut hold_off, answer),
                Event::TryOnOld(answer) => match &mut old {
                    Some(old) => (old, answer),
                    None => continue,
                },
            };
            if state.remaining([secret; 32], now).is_some() {
                prop_assert!(state.blocked_until(now).is_some(), "what is held back says so");
                continue;
            }
            match answer {
                Answer::Accepted => state.accepted(),
                Answer::Refused => {
                    state.rejected(Reason::Auth, [secret; 32], now);
                    refused.push(now);
                }
                Answer::LockedOut => {
                    state.locked_out(10 * MINUTE, [secret; 32], now);
                    refused.push(now);
                }
                Answer::NoFreeToken => state.wait(5 * MINUTE, Reason::Auth, None, now),
                Answer::None => {}
            }
        }
        for three in refused.windows(3) {
            prop_assert!(three[2] - three[0] >= 10 * MINUTE, "{:?}", three);
        }
        // And nobody is locked out for good.
        now += 15 * MINUTE;
        prop_assert_eq!(hold_off.remaining([secret; 32], now), None);
    }
}

/// One change of a right answer.
#[derive(Clone, Debug)]
struct Mutation {
    at: Index,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    Replace(Value),
    Remove,
    /// The last item once more, so many times.
    Repeat(usize),
    Wrap,
    /// A number as text, anything else as the text of its JSON.
    Quote,
}

/// What is sent instead of the right answer.
#[derive(Clone, Debug)]
enum Instead {
    Json(Value),
    Mutated(Vec<Mutation>),
    Bytes(Vec<u8>),
}

fn instead(keys: Vec<String>) -> impl Strategy<Value = Instead> {
    let change = prop_oneof![
        4 => scalar().prop_map(Change::Replace),
        1 => any_json(keys.clone()).prop_map(Change::Replace),
        2 => Just(Change::Remove),
        1 => (1..200_usize).prop_map(Change::Repeat),
        1 => Just(Change::Wrap),
        1 => Just(Change::Quote),
    ];
    let mutation = (any::<Index>(), change).prop_map(|(at, change)| Mutation { at, change });
    prop_oneof![
        3 => any_json(keys).prop_map(Instead::Json),
        8 => prop::collection::vec(mutation, 1..5).prop_map(Instead::Mutated),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Instead::Bytes),
    ]
}

fn mutate(value: &mut Value, mutation: &Mutation) {
    let mut all = Vec::new();
    pointers(value, "", &mut all);
    let pointer = mutation.at.get(&all);
    if let (Change::Remove, Some((parent, key))) = (&mutation.change, pointer.rsplit_once('/')) {
        match value.pointer_mut(parent) {
            Some(Value::Object(object)) => {
                object.remove(&key.replace("~1", "/").replace("~0", "~"));
            }
            Some(Value::Array(items)) => drop(items.pop()),
            _ => {}
        }
        return;
    }
    let Some(target) = value.pointer_mut(pointer) else { return };
    match &mutation.change {
        Change::Replace(new) => *target = new.clone(),
        Change::Remove => *target = Value::Null,
        Change::Repeat(times) => {
            if let Value::Array(items) = target
                && let Some(last) = items.last().cloned()
            {
                items.extend(std::iter::repeat_n(last, *times));
            }
        }
        Change::Wrap => *target = json!([target.take()]),
        Change::Quote => *target = json!(target.to_string()),
    }
}

fn keys_of(value: &Value, into: &mut HashSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| keys_of(item, into)),
        Value::Object(object) => {
            for (key, item) in object {
                into.insert(key.clone());
                keys_of(item, into);
            }
        }
        _ => {}
    }
}

/// Sources asked at once: one scrape tries as many answers.
const AT_ONCE: usize = 12;

/// Sends arbitrary answers to each call and looks at what becomes of them.
fn whatever_is_sent(vendor: Vendor, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let simulator = runtime.block_on(async { Simulator::start(Options::default()).await.unwrap() });
    let own_lines = everything_on(&simulator, vendor, "");
    let own_lines: Vec<_> = own_lines.iter().map(String::as_str).collect();
    let answers = runtime.block_on(async {
        let url = simulator.base_url(vendor);
        let bench = Bench::new(&config(&[source(vendor, &url, &own_lines)])).await;
        let up = bench.scrape().await.value("conferencing_up", &[]);
        assert_eq!(up, Some(1.0), "the right answers are");
        let answers = right_answers(&simulator, vendor).await.into_iter();
        let json = |bytes: Vec<u8>| serde_json::from_slice(&bytes).unwrap_or_default();
        answers.map(|(call, answer)| (call, json(answer))).collect::<Vec<(_, Value)>>()
    });
    assert!(answers.len() >= 3, "{answers:?}");
    let mut keys = HashSet::new();
    answers.iter().for_each(|(_, answer)| keys_of(answer, &mut keys));
    let mut keys: Vec<_> = keys.into_iter().collect();
    keys.sort();

    let sources: Vec<_> = (0..AT_ONCE)
        .map(|number| {
            let instance = number.to_string();
            let template = source(vendor, &simulator.instance_url(vendor, &instance), &[]);
            let credentials: Vec<_> =
                template.lines().skip(3).map(str::trim).map(str::to_owned).collect();
            let mut all = everything_on(&simulator, vendor, &instance);
            all.extend(credentials);
            let all: Vec<_> = all.iter().map(String::as_str).collect();
            entry(&format!("s{instance}"), vendor, &simulator.instance_url(vendor, &instance), &all)
        })
        .collect();
    let yaml = config(&sources);
    let canaries = simulator.canaries();

    let one = (any::<Index>(), any::<bool>(), instead(keys));
    let strategy = prop::collection::vec(one, AT_ONCE);
    let mut runner = TestRunner::new(settings(cases));
    let outcome = runner.run(&strategy, |all| {
        let text = runtime.block_on(async {
            simulator.clear_faults();
            simulator.reset_lockouts();
            simulator.clear_requests();
            for (number, (call, always, instead)) in all.iter().enumerate() {
                let (call, right) = call.get(&answers);
                let body = match instead {
                    Instead::Json(value) => value.to_string().into_bytes(),
                    Instead::Bytes(bytes) => bytes.clone(),
                    Instead::Mutated(mutations) => {
                        let mut value = right.clone();
                        mutations.iter().for_each(|mutation| mutate(&mut value, mutation));
                        value.to_string().into_bytes()
                    }
                };
                let times = if *always { None } else { Some(1) };
                let instance = number.to_string();
                simulator.expire_tokens(vendor, &instance);
                simulator.inject(vendor, &instance, Some(call), Fault::Body(body), times);
            }
            let bench = Bench::new(&yaml).await;
            // Each source is asked twice: what was sent may also be remembered.
            let mut text = String::new();
            for _ in 0..2 {
                let mut writer = Writer::default();
                conferencing_exporter::web::render::write_reports(
                    &mut writer,
                    &bench.reports().await,
                );
                let scrape = writer.finish().concat();
                check(&scrape);
                text.push_str(&scrape);
            }
            assert_eq!(bench.errors("timeout"), 0.0, "some answer kept the collection busy");
            bench.own();
            text
        });
        let seen: Vec<_> =
            canaries.iter().filter(|canary| text.contains(canary.as_str())).collect();
        prop_assert!(seen.is_empty(), "{:?}", seen);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{vendor:?}: {failure}");
    }
}

/// All there is of a source that failed and has no capacity configured.
const FAILED: [&str; 6] = [
    "conferencing_up",
    "conferencing_scrape_duration_seconds",
    "conferencing_scrape_timeout_seconds",
    "conferencing_source_min_interval_seconds",
    "conferencing_source_failure",
    "conferencing_source_capability",
];

/// Each source is up or down and nothing in between, and no value is nonsense.
fn check(text: &str) {
    let scraped = Exposition::parse(text);
    assert!(!text.contains("panicked"));
    for number in 0..AT_ONCE {
        let name = format!("s{number}");
        let up = scraped.value("conferencing_up", &[("source", &name)]);
        let names = scraped.names_of(&name);
        match up {
            Some(1.0) => {
                assert!(names.contains("conferencing_data_timestamp_seconds"));
                let of_source = [("source", name.as_str())];
                let classes = scraped.matching("conferencing_conferences_by_size", &of_source);
                let active = [("source", name.as_str()), ("state", "active")];
                let active = scraped.value("conferencing_conferences", &active);
                match classes.count() {
                    0 => {}
                    8 => assert_eq!(
                        Some(scraped.sum("conferencing_conferences_by_size", &of_source)),
                        active
                    ),
                    some => panic!("{some} sizes"),
                }
            }
            Some(0.0) => assert_eq!(names, HashSet::from(FAILED), "of a source that failed"),
            other => panic!("up is {other:?}"),
        }
    }
    for sample in &scraped.samples {
        let start = sample.name == "conferencing_conference_start_timestamp_seconds";
        assert!(sample.value.is_finite() && (sample.value >= 0.0 || start), "{sample:?}");
    }
}

#[test]
fn whatever_openvox_uc_sends_is_rendered_or_refused() {
    whatever_is_sent(Vendor::OpenvoxUc, 40);
}

#[test]
fn whatever_yeastar_s_sends_is_rendered_or_refused() {
    whatever_is_sent(Vendor::YeastarS, 40);
}

#[test]
fn whatever_yeastar_p_sends_is_rendered_or_refused() {
    whatever_is_sent(Vendor::YeastarP, 40);
}

#[test]
fn whatever_huawei_meeting_sends_is_rendered_or_refused() {
    whatever_is_sent(Vendor::HuaweiMeeting, 10);
}

#[test]
fn whatever_janus_sends_is_rendered_or_refused() {
    whatever_is_sent(Vendor::Janus, 40);
}

#[test]
fn whatever_dingtalk_sends_is_rendered_or_refused() {
    whatever_is_sent(Vendor::Dingtalk, 40);
}

/// What cannot be interrupted must not take long: the answers' size is the only limit.
#[tokio::test]
async fn large_answers_take_time_in_proportion() {
    const MANY: usize = 100_000;
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let vendor = Vendor::OpenvoxUc;
    let rooms: Vec<_> = (0..MANY).map(|number| json!({ "number": number.to_string() })).collect();
    let rooms = json!({ "status": "Success", "conferences": rooms });
    let live: Vec<_> = (0..MANY)
        .map(|number| json!({ "conferencenumber": (MANY + number).to_string(), "member": [] }))
        .collect();
    let live = json!({ "status": "Success", "conference": live });
    for (call, body) in [("conference/query", rooms), ("conference/query_in_session", live)] {
        simulator.inject(vendor, "", Some(call), Fault::Body(body.to_string().into_bytes()), None);
    }
    let extra = ["timeout: 5m", "conferences: { enabled: true, identify: name, limit: 10000 }"];
    let bench = Bench::new(&config(&[source(vendor, &simulator.base_url(vendor), &extra)])).await;
    let started = std::time::Instant::now();
    let scraped = bench.scrape().await;
    assert_eq!(scraped.value("conferencing_rooms", &[]), Some(MANY as f64));
    assert_eq!(
        scraped.value("conferencing_conferences", &[("state", "active")]),
        Some(MANY as f64)
    );
    // Every room against every conference would take minutes.
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}
