//! The recordings beside this file: the numbers that were made of them are made again. One for each system and key that
//! changes what is asked, made from the simulator; `UPDATE_EXPECTED=1 cargo test --test recordings stored` makes them anew.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{collections::BTreeSet, env, fs};

use conferencing_exporter::{recording::Outcome, systems::catalogue};
use simulator::{Options, Simulator, Vendor};

use super::bench::{record, replay};
use crate::common::{binary::command, config, hosts, source, wait::output};

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
            other => panic!("no files for {other:?}"),
        }
    }
    all
}

#[tokio::test]
async fn the_stored_recordings_are_replayed() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let made = made(&simulator);
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
    for (name, ..) in made {
        assert!(names.contains(&name), "no {name}.json: run with UPDATE_EXPECTED=1");
    }
    for profile in catalogue().profiles() {
        assert!(names.contains(profile.name), "no {profile}.json");
    }
    // The program replays them as well, all at once.
    let replayed = output(command().args(["check", "--replay"]).args(&paths));
    assert_eq!(replayed.status.code(), Some(0), "{replayed:?}");
}
