// SPDX-License-Identifier: Apache-2.0
//! Meetings that are going on, and what is counted of them.

use crate::activity::Activity;
use crate::model::{Conference, Participant, Population, Presence, Role};
use crate::populate;
use crate::rng::Rng;
use crate::truth::{Truth, joined, listed, people};

/// Six meetings going on.
pub(super) fn populate(population: &mut Population, rng: &mut Rng, now: i64) {
    let spread = rng.below(4);
    for (index, size) in [14 + spread, 9, 7, 4, 4, 2].into_iter().enumerate() {
        let mut live = conference(rng, now - 400 * (index as i64 + 1));
        populate::fill(&mut live, rng, size, Presence::Joined);
        // Those who have just left are still listed.
        populate::fill(&mut live, rng, size / 5, Presence::Left);
        live.participants[0].role = Role::Host;
        live.participants[0].camera_on = Some(true);
        if size > 5 {
            live.participants[1].role = Role::CoHost;
        }
        population.conferences.push(live);
    }
}


pub(super) fn activity() -> Activity {
    Activity { conferences: 2..=10, largest: 30, lists_absent: false }
}

/// A meeting that begins now.
pub(super) fn conference(rng: &mut Rng, now: i64) -> Conference {
    let (id, number) = (rng.hex(40), rng.digits("7", 8));
    populate::conference(rng, &id, &number, now)
}

/// Whether this person is a moderator of a meeting that he or she is in.
pub(super) fn moderates(participant: &Participant) -> bool {
    joined(participant) && participant.role != Role::Member
}

pub(super) fn has_camera(participant: &Participant) -> bool {
    joined(participant) && participant.camera_on == Some(true)
}

pub(super) fn truth(population: &Population) -> Truth {
    let mut truth = Truth::default();
    let live: Vec<_> = population.conferences.iter().collect();
    truth.count_live(&live);
    truth.participants_camera_on = Some(people(&live, has_camera));
    let moderators = Some(people(&live, moderates));
    truth.participants_moderators_hosts = moderators;
    truth.participants_moderators_attendees = moderators;
    truth.participants_moderators = moderators;
    truth.conferences = listed(&live, |_| None, |c| Some(c.start_unix));
    truth
}
