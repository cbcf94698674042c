// SPDX-License-Identifier: Apache-2.0
//! What Asterisk and FreeSWITCH share, whose conferences are no rooms of a configuration: they have no name and no id
//! but their number, and both tell of everybody who is muted or moderates.

use super::population;
use crate::model::{Conference, Population, Presence, Role};
use crate::rng::Rng;
use crate::truth::{Truth, joined, listed, muted, people};

/// The conferences of a PBX, moved on by one of `offsets` multiples of `step`: what names a conference is all that
/// differs between two systems. In the first there are two moderators.
pub(in crate::systems) fn populate(
    population: &mut Population,
    random: &mut Rng,
    now: i64,
    (step, offsets): (usize, usize),
) {
    population::populate(population, random, now, population::extension, false);
    let offset = step * random.below(offsets);
    let numbers = population.rooms.iter_mut().map(|room| &mut room.number);
    for number in numbers.chain(population.conferences.iter_mut().map(|c| &mut c.number)) {
        *number = number.parse().map_or(0, |number: usize| number + offset).to_string();
    }
    population.conferences.iter_mut().for_each(named_by_its_number);
    let first = population.conferences.iter_mut().take(1);
    for host in first.flat_map(|conference| conference.participants.iter_mut().take(2)) {
        host.role = Role::Host;
    }
}

/// A conference that begins in a free room.
pub(in crate::systems) fn begin(
    population: &Population,
    random: &mut Rng,
    now: i64,
) -> Option<Conference> {
    let mut new = population::begin(population, random, now, false)?;
    named_by_its_number(&mut new);
    Some(new)
}

fn named_by_its_number(conference: &mut Conference) {
    conference.id.clone_from(&conference.number);
    conference.name.clone_from(&conference.number);
}

/// What both tell of the conferences `live`, and of the people in them. `began`: when a conference did, as far as it is
/// told.
pub(in crate::systems) fn truth(
    live: &[&Conference],
    began: fn(&Conference) -> Option<i64>,
) -> Truth {
    let hosts = Some(people(live, |p| joined(p) && p.role == Role::Host));
    let mut truth = Truth {
        participants_waiting: Some(people(live, |p| p.presence == Presence::Waiting)),
        participants_muted: Some(people(live, |p| joined(p) && p.muted == Some(true))),
        participants_mute_reported: Some(people(live, joined)),
        participants_moderators_hosts: hosts,
        participants_moderators: hosts,
        conferences_locked: conferences(live, |conference| conference.locked),
        conferences: listed(live, |c| muted(c).or(Some(0)), began),
        ..Truth::default()
    };
    truth.count_live(live);
    truth
}

/// How many of `live` are `such`.
pub(in crate::systems) fn conferences(
    live: &[&Conference],
    such: fn(&Conference) -> bool,
) -> Option<u64> {
    Some(live.iter().filter(|conference| such(conference)).count() as u64)
}
