// SPDX-License-Identifier: Apache-2.0
//! Rooms and conferences of a PBX, how they change, and what is counted of the live ones.

use crate::activity::Activity;
use crate::model::{Conference, Moderator, Population, Presence, Room};
use crate::populate;
use crate::rng::Rng;
use crate::truth::{Truth, listed, people};

/// Twelve rooms and five conferences. `moderator_id` makes the id of a moderator; `instant_ones`: one of the
/// conferences is an instant one, which belongs to no room.
pub(in crate::systems) fn populate(
    population: &mut Population,
    rng: &mut Rng,
    now: i64,
    moderator_id: impl Fn(&mut Rng) -> String,
    instant_ones: bool,
) {
    for index in 0..12_u64 {
        let mut room = Room::new(&(6400 + index).to_string(), &populate::subject(rng));
        room.id = index + 1;
        room.participant_pin =
            Some(if index % 3 == 1 { String::new() } else { rng.digits("55", 8) });
        room.moderator_pin =
            if index.is_multiple_of(2) { rng.digits("55", 8) } else { String::new() };
        room.wait_for_moderator = Some(index % 4 == 2);
        room.allow_invite = Some(index % 4 != 3);
        room.music_on_hold = Some(index % 5 != 4);
        room.mute_on_join = Some(index % 6 == 0);
        let moderators = (0..[1, 0, 2, 0][(index % 4) as usize]).map(|n| {
            let id = moderator_id(rng);
            Moderator { id, name: populate::person(rng), group: n == 1 }
        });
        room.moderators = Some(moderators.collect());
        population.rooms.push(room);
    }
    let spread = rng.below(3);
    for (index, size) in [9 + spread, 6, 4, 4, 2].into_iter().enumerate() {
        let mut live = conference(rng, now - 600 * (index as i64 + 1));
        if index < 4 || !instant_ones {
            let room = &population.rooms[index * 2];
            (live.number, live.name) = (room.number.clone(), room.name.clone());
        }
        populate::fill(&mut live, rng, size, Presence::Joined);
        if index == 1 {
            populate::fill(&mut live, rng, 2 + spread, Presence::Waiting);
        }
        population.conferences.push(live);
    }
}

/// A moderator who is an extension. It has ten digits, as in [`populate::participant`].
pub(in crate::systems) fn extension(rng: &mut Rng) -> String {
    rng.digits("77", 8)
}

/// A few conferences at a time, none at night.
pub(in crate::systems) fn activity() -> Activity {
    Activity { conferences: 0..=4, largest: 15, lists_absent: false }
}

/// A conference that begins in a free room, or now and then, where there are `instant_ones`, in none.
pub(in crate::systems) fn begin(
    population: &Population,
    rng: &mut Rng,
    now: i64,
    instant_ones: bool,
) -> Option<Conference> {
    let mut new = conference(rng, now);
    let taken = |room: &Room| population.conferences.iter().any(|c| c.number == room.number);
    let free: Vec<_> = population.rooms.iter().filter(|room| !taken(room)).collect();
    if !instant_ones || rng.percent(80) {
        let room = free.get(rng.below(free.len()))?;
        (new.number, new.name) = (room.number.clone(), room.name.clone());
    }
    Some(new)
}

/// Counts the conferences a PBX shows, if it has the call for them.
pub(in crate::systems) fn count_live(
    truth: &mut Truth,
    population: &Population,
    live: &[&Conference],
) {
    if !population.behaviour.live_call {
        return;
    }
    truth.count_live(live);
    truth.participants_waiting = Some(people(live, |p| p.presence == Presence::Waiting));
    truth.conferences = listed(live, |_| None, |_| None);
}

/// An instant conference.
fn conference(rng: &mut Rng, now: i64) -> Conference {
    let (id, number) = (format!("{now}.{}", rng.below(100_000)), rng.digits("69", 2));
    populate::conference(rng, &id, &number, now)
}
