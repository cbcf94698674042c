// SPDX-License-Identifier: Apache-2.0
//! Populations made by hand, by seed and by time.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{Huawei, Md5Pbx, P};
use serde_json::json;
use simulator::{
    Conference, Moderator, Options, Participant, Population, Presence, Role, Room, Scheduled,
    Simulator, Truth, Vendor,
};
use std::time::Duration;

#[test]
fn a_handmade_pbx_is_counted() {
    let mut population = Population::empty(Vendor::YeastarS);
    let mut room = Room::new("6400", "A");
    room.participant_pin = Some("1234".to_owned());
    room.mute_on_join = Some(true);
    room.moderators = Some(vec![Moderator::new("4000", "Somebody")]);
    population.rooms = vec![room, Room::new("6401", "B"), Room::bare("6402", "C")];
    population.conferences = vec![
        Conference::new("c1", "6400", "A").with(3, Presence::Joined).with(2, Presence::Waiting),
        Conference::new("c2", "6999", " instant ")
            .with(5, Presence::Joined)
            .with(1, Presence::Left),
    ];
    let truth = Truth::of(Vendor::YeastarS, &population);
    assert_eq!(truth.rooms, Some(3));
    assert_eq!(truth.rooms_mute_on_join, Some(1));
    assert_eq!(truth.rooms_wait_for_moderator, Some(0));
    assert_eq!(truth.rooms_moderated, Some(1));
    assert_eq!(truth.rooms_pin_protected, Some(1));
    assert_eq!((truth.conferences_active, truth.participants_joined), (Some(2), Some(8)));
    assert_eq!(
        (truth.participants_waiting, truth.largest_conference_participants),
        (Some(2), Some(5))
    );
    assert_eq!((truth.participants_muted, truth.conferences_scheduled), (None, None));
    assert_eq!(truth.conferences[0].name, "instant");
    // OpenVox can be asked for rooms only and knows two of their settings.
    let truth = Truth::of(Vendor::OpenvoxUc, &population);
    assert_eq!((truth.conferences_active, truth.participants_joined), (Some(1), Some(3)));
    assert_eq!((truth.rooms_mute_on_join, truth.rooms_pin_protected), (None, Some(1)));
    population.rooms = vec![Room::bare("6402", "C")];
    assert_eq!(Truth::of(Vendor::YeastarS, &population).rooms_pin_protected, None);
    population.rooms.clear();
    assert_eq!(Truth::of(Vendor::YeastarS, &population).rooms_pin_protected, Some(0));
}

#[test]
fn a_handmade_cloud_is_counted() {
    let mut population = Population::empty(Vendor::HuaweiMeeting);
    let mut hosted = Conference::new("911111111", "911111111", "A")
        .with(2, Presence::Joined)
        .with(1, Presence::Invited);
    hosted.host_password = Some("66666666".to_owned());
    hosted.participants[0].role = Role::Host;
    hosted.participants[0].muted = Some(true);
    hosted.participants[1].muted = None;
    hosted.participants[2].invited = true;
    hosted
        .participants
        .push(Participant { role: Role::CoHost, ..Participant::new("Gone", "1", Presence::Left) });
    let mut other = Conference::new("922222222", "922222222", "B").with(4, Presence::Joined);
    other.participants[0].role = Role::Host;
    other.participants[0].muted = Some(true);
    population.conferences = vec![hosted, other];
    population.scheduled = vec![
        Scheduled { sittings: 3, ..Scheduled::new("933333333", "C", 2_000_000_000) },
        Scheduled::new("911111111", "A", 2_000_000_000),
    ];
    let truth = Truth::of(Vendor::HuaweiMeeting, &population);
    assert_eq!((truth.conferences_active, truth.conferences_scheduled), (Some(2), Some(1)));
    assert_eq!((truth.participants_joined, truth.participants_invited), (Some(6), Some(1)));
    assert_eq!((truth.participants_invited_total, truth.participants_joining), (Some(1), Some(0)));
    assert_eq!((truth.participants_muted, truth.participants_mute_reported), (Some(1), Some(1)));
    assert_eq!(
        (truth.participants_moderators_hosts, truth.participants_moderators_attendees),
        (Some(1), Some(2))
    );
    assert_eq!((truth.conferences[0].participants, truth.conferences[0].muted), (4, None));
    assert_eq!(truth.conferences[1].muted, Some(1));
    let truth = Truth::of(Vendor::Dingtalk, &population);
    assert_eq!((truth.participants_muted, truth.participants_mute_reported), (Some(2), Some(5)));
}

fn measures(truth: &Truth) -> Vec<(String, u64)> {
    let value = serde_json::to_value(truth).unwrap();
    let object = value.as_object().unwrap();
    object.iter().filter_map(|(key, value)| Some((key.clone(), value.as_u64()?))).collect()
}

#[tokio::test]
async fn a_population_that_stands_still_has_some_of_everything() {
    for seed in 0..20 {
        let simulator = Simulator::start(Options { seed, ..Options::default() }).await.unwrap();
        for vendor in Vendor::ALL {
            let truth = simulator.truth(vendor, "some");
            for (measure, number) in measures(&truth) {
                assert!(number > 0, "{} {measure} of seed {seed}", vendor.as_str());
            }
            let mut sizes: Vec<_> = truth.conferences.iter().map(|c| c.participants).collect();
            let all = sizes.len();
            sizes.dedup();
            assert_eq!(sizes.len(), all - 1, "one tie");
        }
    }
}

#[tokio::test]
async fn instances_differ_and_repeat() {
    let first = Simulator::start(Options::default()).await.unwrap();
    let second = Simulator::start_blocking_elsewhere();
    for vendor in Vendor::ALL {
        let names = |simulator: &Simulator, instance| -> Vec<String> {
            simulator.truth(vendor, instance).conferences.into_iter().map(|c| c.name).collect()
        };
        assert_eq!(names(&first, "a"), names(&second, "a"));
        assert_ne!(names(&first, "a"), names(&first, "b"));
    }
}

trait Elsewhere {
    fn start_blocking_elsewhere() -> Simulator;
}

impl Elsewhere for Simulator {
    /// A runtime cannot be built inside another one's thread.
    fn start_blocking_elsewhere() -> Simulator {
        std::thread::spawn(|| Simulator::start_blocking(Options::default()).unwrap())
            .join()
            .unwrap()
    }
}

#[tokio::test]
async fn a_living_population_moves() {
    let options = Options { living: true, tick: Duration::from_millis(2), ..Options::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let mut waiting = 0;
    let mut seen = Vec::new();
    for _ in 0..60 {
        for vendor in Vendor::ALL {
            let truth = simulator.truth(vendor, "");
            let most = if truth.rooms.is_some() { 5 } else { 26 };
            assert!(truth.conferences_active <= Some(most));
            assert!(truth.largest_conference_participants <= Some(45));
            waiting += truth.participants_waiting.unwrap_or_default();
            seen.push(truth);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(waiting > 0);
    seen.dedup();
    assert!(seen.len() > 200, "{} different states", seen.len());
}

#[tokio::test]
async fn canaries_are_on_the_wire() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let s = Md5Pbx::login(&simulator, Vendor::YeastarS, "").await;
    let rooms = s.call("conference/query", json!({ "number": "all" })).await.to_string();
    let live = s.call("conference/query_in_session", json!({ "number": "all" })).await.to_string();
    let p = P::login(&simulator, "").await;
    let list = p.call("conference/list?page=1&page_size=100").await.to_string();
    let cloud = Huawei::login(&simulator, "").await;
    let id = simulator.host_passwords("")[0].0.clone();
    let details =
        cloud.call(&format!("conferences/confDetail?conferenceID={id}")).await.body.to_string();
    let canaries = simulator.canaries();
    for text in [&rooms, &live, &list, &details] {
        assert!(canaries.iter().filter(|canary| text.contains(canary.as_str())).count() > 5);
    }
    for token in [&s.token, &p.token, &p.refresh, &cloud.token] {
        assert!(canaries.contains(token));
    }
    assert!(canaries.iter().any(|canary| canary == "demo-app-key-not-secret"));
    assert!(canaries.iter().all(|canary| canary.chars().count() >= 8));
}
