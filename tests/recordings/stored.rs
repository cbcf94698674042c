// SPDX-License-Identifier: Apache-2.0
//! The recordings beside this file: the numbers that were made of them are made again. One for each system and key that
//! changes what is asked, made from the simulator; `UPDATE_EXPECTED=1 cargo test --test recordings stored` makes them anew.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{collections::BTreeSet, env, fs};

use conferencing_exporter::{recording::Outcome, systems::catalogue};
use serde_json::Value;
use simulator::{Fault, Options, Simulator, Vendor};

use super::bench::{record, replay};
use crate::common::{
    binary::command, config, hosts, real_asterisk::playing, script::Script, source, wait::output,
};

const FOLDER: &str = "tests/recordings";

/// The name of each file that is made from the simulator, and what its source is configured with.
fn made(simulator: &Simulator) -> Vec<(String, Vendor, Vec<String>)> {
    let hosts = hosts(&simulator.host_passwords(""));
    let mut all = Vec::new();
    for vendor in Vendor::ALL {
        let mut add = |name: &str, lines: &[&str]| {
            let lines = lines.iter().map(|line| (*line).to_owned()).collect();
            all.push((format!("{}{name}", vendor.as_str()), vendor, lines));
        };
        add("", &[]);
        match vendor {
            Vendor::OpenvoxUc | Vendor::YeastarS => add("-live-false", &["live: false"]),
            Vendor::YeastarP => {
                add("-live-false", &["live: false"]);
                add("-room_details", &["room_details: true", "page_size: 5"]);
            }
            Vendor::HuaweiMeeting => {
                add("-attendees", &["attendees: true"]);
                add("-details", &["details: true"]);
                add("-hosts", &[&hosts]);
                add("-all", &["attendees: true", "details: true", &hosts]);
            }
            Vendor::Dingtalk => add("-batch_size", &["batch_size: 2"]),
            Vendor::Janus => add("-plugins", &["plugins: [audiobridge]"]),
            _ => {}
        }
    }
    all
}

/// A scene that was recorded of real servers, by the calls in it and the files of their answers.
type Scene = (&'static str, Vendor, &'static [(&'static str, &'static str)]);

/// The answers of real servers in `tests/data`, in the simulator's place.
const REAL: &[Scene] = &[
    (
        "janus-real-1.1.2",
        Vendor::Janus,
        &[
            ("audiobridge/list", "audiobridge-list"),
            ("audiobridge/listparticipants", "audiobridge-listparticipants-1000"),
            ("videoroom/list", "videoroom-list"),
            ("videoroom/listparticipants", "videoroom-listparticipants-1234"),
            ("videoroom/listparticipants", "videoroom-listparticipants-5678"),
        ],
    ),
    (
        "janus-real-1.1.2-room-muted",
        Vendor::Janus,
        &[
            ("audiobridge/list", "audiobridge-list-room-muted"),
            ("audiobridge/listparticipants", "audiobridge-listparticipants-1000-room-muted"),
            ("videoroom/list", "videoroom-list-empty"),
        ],
    ),
    (
        "janus-real-1.4.1",
        Vendor::Janus,
        &[
            ("audiobridge/list", "audiobridge-list"),
            ("audiobridge/listparticipants", "v1.4/webrtc-audiobridge-listparticipants-1000"),
            ("videoroom/list", "v1.4/webrtc-videoroom-list"),
            ("videoroom/listparticipants", "v1.4/webrtc-videoroom-listparticipants-1234"),
        ],
    ),
];

/// Lets the calls of a scene be answered as recorded, each answer as that to the call it is for.
fn answer(simulator: &Simulator, (name, vendor, files): &Scene) {
    for (call, file) in *files {
        let path = format!("tests/data/{}/{file}.json", vendor.as_str());
        let recorded: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let mut answer = recorded["answer"].clone();
        answer["transaction"] = (*call).into();
        let body = Fault::Body(answer.to_string().into_bytes());
        simulator.inject(*vendor, name, Some(call), body, Some(1));
    }
}

/// Each scene of a real Asterisk: the rooms, and who is in each.
async fn asterisks() -> Vec<(&'static str, Script)> {
    macro_rules! recorded {
        ($name:literal) => {
            include_str!(concat!("../data/asterisk/", $name, ".txt"))
        };
    }
    let three: &[_] = &[
        ("1000", recorded!("ami-list-1000")),
        ("1001", recorded!("ami-list-1001-waiting")),
        ("1002", recorded!("ami-list-1002-mixed")),
    ];
    let locked: &[_] = &[
        ("1000", recorded!("ami-list-1000-all-muted")),
        ("1001", recorded!("ami-list-1001-waiting")),
        ("1002", recorded!("ami-list-1002-mixed")),
    ];
    let old: &[_] = &[
        ("1000", recorded!("v16/ami-list-1000")),
        ("1001", recorded!("v16/ami-list-1001-waiting")),
    ];
    vec![
        ("asterisk-real-22", playing(recorded!("ami-rooms-3"), three).await),
        ("asterisk-real-22-none", playing(recorded!("ami-rooms-none"), &[]).await),
        (
            "asterisk-real-22-locked",
            playing(recorded!("ami-rooms-participants-muted-and-locked"), locked).await,
        ),
        ("asterisk-real-16", playing(recorded!("v16/ami-rooms"), old).await),
    ]
}

#[tokio::test]
async fn the_stored_recordings_are_replayed() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let (made, asterisks) = (made(&simulator), asterisks().await);
    for vendor in Vendor::ALL {
        // What is counted is looked at by other tests; these files are to be read by people.
        simulator.edit(vendor, "", |population| {
            population.rooms.truncate(5);
            population.conferences.truncate(3);
            for conference in &mut population.conferences {
                conference.participants.truncate(4);
            }
        });
    }
    if env::var_os("UPDATE_EXPECTED").is_some() {
        for (name, vendor, lines) in &made {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            let yaml = config(&[source(*vendor, &simulator.base_url(*vendor), &lines)]);
            fs::write(format!("{FOLDER}/{name}.json"), &record(&yaml).await[0]).unwrap();
        }
        for scene in REAL {
            let (name, vendor, _) = scene;
            answer(&simulator, scene);
            let url = simulator.instance_url(*vendor, name);
            let yaml = config(&[source(*vendor, &url, &["max_concurrency: 1"])]);
            fs::write(format!("{FOLDER}/{name}.json"), &record(&yaml).await[0]).unwrap();
        }
        for (name, asterisk) in &asterisks {
            let yaml = config(&[source(Vendor::Asterisk, &asterisk.url(), &[])]);
            fs::write(format!("{FOLDER}/{name}.json"), &record(&yaml).await[0]).unwrap();
        }
    }
    let mut names = BTreeSet::new();
    let mut paths = Vec::new();
    for entry in fs::read_dir(FOLDER).unwrap() {
        let path = entry.unwrap().path();
        if path.extension() != Some("json".as_ref()) {
            continue;
        }
        let (recorded, replayed, missing) = replay(&fs::read_to_string(&path).unwrap()).await;
        assert_eq!(recorded, replayed, "{}", path.display());
        assert!(missing.is_empty(), "{}: {missing:?}", path.display());
        assert!(matches!(recorded, Outcome::Numbers(_)), "{}", path.display());
        names.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
        paths.push(path);
    }
    let real = REAL.iter().map(|(name, ..)| (*name).to_owned());
    let asterisks = asterisks.iter().map(|(name, _)| (*name).to_owned());
    for name in made.into_iter().map(|(name, ..)| name).chain(real).chain(asterisks) {
        assert!(names.contains(&name), "no {name}.json: run with UPDATE_EXPECTED=1");
    }
    for profile in catalogue().profiles() {
        assert!(names.contains(profile.name), "no {profile}.json");
    }
    // The program replays them as well, all at once.
    let replayed = output(command().args(["check", "--replay"]).args(&paths));
    assert_eq!(replayed.status.code(), Some(0), "{replayed:?}");
}
