// SPDX-License-Identifier: Apache-2.0
//! Conferences that are going on, and what is counted of them.

use crate::model::{Conference, Population, Presence};
use crate::populate;
use crate::rng::Rng;
use crate::truth::{Truth, joined, listed, muted, people};

/// Six conferences going on.
pub(super) fn populate(population: &mut Population, rng: &mut Rng, now: i64) {
    let spread = rng.below(4);
    for (index, size) in [12 + spread, 9, 7, 4, 4, 2].into_iter().enumerate() {
        let mut live = conference(rng, now - 300 * (index as i64 + 1));
        populate::mixed(&mut live, rng, size);
        live.all_muted = index == 2;
        population.conferences.push(live);
    }
}

/// What there is to report.
pub(super) fn truth(population: &Population) -> Truth {
    let mut truth = Truth::default();
    let live: Vec<_> = population.conferences.iter().collect();
    truth.count_live(&live);
    truth.participants_joining = Some(people(&live, |p| p.presence == Presence::Joining));
    truth.participants_invited = Some(people(&live, |p| p.presence == Presence::Invited));
    truth.participants_muted = Some(people(&live, |p| joined(p) && p.muted == Some(true)));
    truth.participants_mute_reported = Some(people(&live, |p| joined(p) && p.muted.is_some()));
    truth.participants_camera_on =
        Some(people(&live, |p| joined(p) && p.camera_on == Some(true)));
    truth.conferences_all_muted = Some(live.iter().filter(|c| c.all_muted).count() as u64);
    truth.conferences = listed(&live, muted, |c| Some(c.start_unix));
    truth
}

/// A conference that begins now.
pub(super) fn conference(rng: &mut Rng, now: i64) -> Conference {
    let (id, number) = (rng.hex(24), rng.digits("8", 8));
    populate::conference(rng, &id, &number, now)
}
