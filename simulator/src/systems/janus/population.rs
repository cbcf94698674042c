// SPDX-License-Identifier: Apache-2.0
//! Rooms of two plug-ins and the people in them, how they change, and what is counted.

use crate::activity::Activity;
use crate::model::{Conference, Participant, Population, Presence, Room};
use crate::populate;
use crate::rng::Rng;
use crate::truth::{Truth, has_pin, joined, listed, muted, people, setting};

/// Which plug-in has the room of this number.
pub(super) fn is_audiobridge(number: &str) -> bool {
    number.starts_with('1')
}

/// Whether the plug-in lists this person: the AudioBridge also those whose connection is being set up.
pub(super) fn is_listed(conference: &Conference, participant: &Participant) -> bool {
    match participant.presence {
        Presence::Joined => true,
        Presence::Joining => is_audiobridge(&conference.number),
        Presence::Waiting
        | Presence::Invited
        | Presence::Failed
        | Presence::Removed
        | Presence::Left => false,
    }
}

/// Six rooms of the AudioBridge and five of the VideoRoom, some of them private, people in five.
pub(super) fn populate(population: &mut Population, rng: &mut Rng, now: i64) {
    for (first, count) in [(1000, 6), (5000, 5)] {
        for index in 0..count {
            let number = (first + index).to_string();
            let mut room = Room::bare(&number, &populate::subject(rng));
            room.private = index % 3 == 2;
            let pin = if index % 2 == 1 { rng.digits("55", 8) } else { String::new() };
            room.participant_pin = Some(pin);
            population.rooms.push(room);
        }
    }
    let spread = rng.below(3);
    for (index, (number, size)) in
        [("5000", 12), ("1000", 6 + spread), ("1002", 4), ("5003", 4), ("1001", 2)]
            .into_iter()
            .enumerate()
    {
        let Some(mut live) = in_room(population, rng, now - 600 * index as i64, number) else {
            continue;
        };
        populate::fill(&mut live, rng, size, Presence::Joined);
        if index == 1 {
            populate::fill(&mut live, rng, 2, Presence::Joining);
            live.participants[0].muted = Some(true);
        }
        live.recorded = index < 2;
        live.all_muted = index == 4;
        population.conferences.push(live);
    }
}

pub(super) fn activity() -> Activity {
    Activity { conferences: 0..=4, largest: 15, lists_absent: true }
}

/// People come to an empty room.
pub(super) fn begin(population: &Population, rng: &mut Rng, now: i64) -> Option<Conference> {
    let taken = |room: &Room| population.conferences.iter().any(|c| c.number == room.number);
    let free: Vec<_> = population.rooms.iter().filter(|room| !taken(room)).collect();
    let number = free.get(rng.below(free.len()))?.number.clone();
    let mut new = in_room(population, rng, now, &number)?;
    new.recorded = rng.percent(20);
    new.all_muted = is_audiobridge(&number) && rng.percent(10);
    Some(new)
}

fn in_room(population: &Population, rng: &mut Rng, now: i64, number: &str) -> Option<Conference> {
    let room = population.rooms.iter().find(|room| room.number == number)?;
    let plugin = if is_audiobridge(number) { "audiobridge" } else { "videoroom" };
    let mut new = populate::conference(rng, &format!("{plugin}/{number}"), number, now);
    new.name = room.name.clone();
    Some(new)
}

pub(super) fn truth(population: &Population) -> Truth {
    let rooms = &population.rooms;
    let mut truth = Truth {
        rooms: Some(rooms.len() as u64),
        rooms_pin_protected: setting(rooms, has_pin),
        ..Truth::default()
    };
    let has_people = |c: &&Conference| c.participants.iter().any(|p| is_listed(c, p));
    let live: Vec<_> = population.conferences.iter().filter(has_people).collect();
    let bridges: Vec<_> = live.iter().copied().filter(|c| is_audiobridge(&c.number)).collect();
    truth.count_live(&live);
    truth.participants_joining = Some(people(&bridges, |p| p.presence == Presence::Joining));
    truth.participants_muted = Some(people(&bridges, |p| joined(p) && p.muted == Some(true)));
    truth.participants_mute_reported = Some(people(&bridges, |p| joined(p) && p.muted.is_some()));
    truth.conferences_all_muted = Some(bridges.iter().filter(|c| c.all_muted).count() as u64);
    truth.conferences_recording = Some(live.iter().filter(|c| c.recorded).count() as u64);
    truth.conferences =
        listed(&live, |c| muted(c).filter(|_| is_audiobridge(&c.number)), |_| None);
    truth
}
