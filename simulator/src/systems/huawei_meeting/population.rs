// SPDX-License-Identifier: Apache-2.0
//! Meetings that are going on or to come, how they change, and what is counted of them.

use super::HUAWEI_HOSTED;
use crate::model::{Conference, Population, Presence, Role, Scheduled};
use crate::populate;
use crate::rng::Rng;
use crate::truth::{Truth, joined, listed, muted, people};
use std::collections::BTreeSet;

const DAY: i64 = 86_400;
/// Meetings to come in a living population, at most.
const SCHEDULED: usize = 8;

/// Six meetings going on, two of them with a known host password, and five to come.
pub(super) fn populate(population: &mut Population, rng: &mut Rng, now: i64) {
    let spread = rng.below(4);
    for (index, size) in [14 + spread, 11, 8, 5, 5, 3].into_iter().enumerate() {
        let mut live = conference(rng, now - 900 * (index as i64 + 1));
        populate::mixed(&mut live, rng, size);
        live.mute_on_join = index.is_multiple_of(2);
        live.own = index < 2;
        live.recurring = index == 3;
        if let Some((id, password)) = HUAWEI_HOSTED.get(index) {
            (live.id, live.number) = ((*id).to_owned(), (*id).to_owned());
            live.host_password = Some((*password).to_owned());
        }
        population.conferences.push(live);
    }
    for index in 0..4 {
        let id = rng.digits("9", 8);
        let name = populate::subject(rng);
        let start = now + [3_600, 3 * DAY, 20 * DAY, 60 * DAY][index];
        // The second is a series: the list carries it twice with one conferenceID.
        let sittings = if index == 1 { 2 } else { 1 };
        population.scheduled.push(Scheduled {
            id,
            name,
            start_unix: start,
            sittings,
            own: index == 0,
        });
    }
    // A later sitting of a series that is being held right now.
    let held = &population.conferences[3];
    let (id, name) = (held.id.clone(), held.name.clone());
    population.scheduled.push(Scheduled {
        id,
        name,
        start_unix: now + DAY,
        sittings: 1,
        own: false,
    });
}

/// A meeting that begins: often one that was scheduled.
pub(super) fn begin(population: &mut Population, rng: &mut Rng, now: i64) -> Conference {
    let mut new = conference(rng, now);
    if !population.scheduled.is_empty() && rng.percent(60) {
        let due = population.scheduled.remove(rng.below(population.scheduled.len()));
        (new.id, new.number, new.name, new.own) = (due.id.clone(), due.id, due.name, due.own);
    }
    new.mute_on_join = rng.percent(40);
    new
}

/// Now and then somebody schedules a meeting.
pub(super) fn schedule(population: &mut Population, rng: &mut Rng, now: i64) {
    if population.scheduled.len() >= SCHEDULED || !rng.percent(20) {
        return;
    }
    let id = rng.digits("9", 8);
    let name = populate::subject(rng);
    let start_unix = now + 600 * (1 + rng.below(200) as i64);
    population.scheduled.push(Scheduled {
        id,
        name,
        start_unix,
        sittings: 1,
        own: rng.percent(30),
    });
}

/// What there is to report; of meetings with a host password what only the host sees.
pub(super) fn truth(population: &Population) -> Truth {
    let mut truth = Truth::default();
    let live: Vec<_> = population.conferences.iter().collect();
    let hosted: Vec<_> = live.iter().copied().filter(|c| c.host_password.is_some()).collect();
    let running: BTreeSet<_> = live.iter().map(|c| c.id.as_str()).collect();
    let to_come: BTreeSet<_> = population.scheduled.iter().map(|s| s.id.as_str()).collect();
    truth.count_live(&live);
    truth.conferences_scheduled = Some(to_come.difference(&running).count() as u64);
    truth.participants_joining = Some(people(&hosted, |p| p.presence == Presence::Joining));
    truth.participants_invited = Some(people(&hosted, |p| p.presence == Presence::Invited));
    truth.participants_invited_total = Some(people(&live, |p| p.invited));
    truth.participants_muted = Some(people(&hosted, |p| joined(p) && p.muted == Some(true)));
    truth.participants_mute_reported = Some(people(&hosted, |p| joined(p) && p.muted.is_some()));
    truth.participants_hand_raised = Some(people(&hosted, |p| joined(p) && p.hand_raised));
    truth.participants_moderators_hosts =
        Some(people(&hosted, |p| joined(p) && p.role != Role::Member));
    truth.participants_moderators_attendees =
        Some(people(&live, |p| joined(p) && p.role == Role::Host));
    let others: Vec<_> = live.iter().copied().filter(|c| c.host_password.is_none()).collect();
    truth.participants_moderators = truth
        .participants_moderators_hosts
        .map(|hosted| hosted + people(&others, |p| joined(p) && p.role == Role::Host));
    truth.conferences_mute_on_join = Some(live.iter().filter(|c| c.mute_on_join).count() as u64);
    let muted = |c: &Conference| if c.host_password.is_some() { muted(c) } else { None };
    truth.conferences = listed(&live, muted, |c| Some(c.start_unix));
    truth
}

fn conference(rng: &mut Rng, now: i64) -> Conference {
    let id = rng.digits("9", 8);
    populate::conference(rng, &id, &id, now)
}
