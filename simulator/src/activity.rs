// SPDX-License-Identifier: Apache-2.0
//! How a living population changes: conferences begin and end, people join and leave, mute, raise hands, wait for a
//! moderator.
//!
//! Time is counted in ticks since the instance was first asked, so that a seed gives the same course each time. An
//! instance that is not asked does not change; it catches up on the next request.

use crate::instance::unix;
use crate::model::{Conference, Population, Presence, Role, Room};
use crate::populate;
use crate::registry::SimulatedSystem;
use crate::rng::{self, Rng};
use std::f64::consts::TAU;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant, SystemTime};

/// A day of the simulated company.
const DAY_SECONDS: f64 = 600.0;
/// An instance asked again after a long silence catches up by no more than this.
const CATCH_UP_TICKS: u64 = 300;

/// How a living population of a system moves.
#[derive(Clone, Debug)]
pub struct Activity {
    /// Conferences going on at the same time: at night, at noon.
    pub conferences: RangeInclusive<usize>,
    /// The largest conference there can be; each has a size of its own between 2 and this.
    pub largest: usize,
    /// The system lists people who are invited, on the way or gone, and conferences without participants, as clouds do.
    /// Else people are in or not, and a conference ends when its last participant leaves, as on a PBX.
    pub lists_absent: bool,
}

impl Default for Activity {
    /// No conference begins by itself; those there are go on as on a PBX.
    fn default() -> Self {
        Self { conferences: 0..=0, largest: 15, lists_absent: false }
    }
}

/// The course of one living population.
#[derive(Debug)]
pub(crate) struct Timeline {
    random: Rng,
    /// Part of a day by which this instance is ahead: the instances do not all have their quiet hours at once.
    ahead: f64,
    started: Instant,
    ticks: u64,
}

impl Timeline {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Rng::new(seed);
        let ahead = random.below(30) as f64 / 100.0;
        Self { random, ahead, started: Instant::now(), ticks: 0 }
    }

    /// Carries out the ticks that are due; whether there were any.
    pub(crate) fn advance(
        &mut self,
        system: &dyn SimulatedSystem,
        population: &mut Population,
        tick: Duration,
    ) -> bool {
        let tick = tick.max(Duration::from_millis(1));
        let due = (self.started.elapsed().as_millis() / tick.as_millis()) as u64;
        if due == self.ticks {
            return false;
        }
        self.ticks = self.ticks.max(due.saturating_sub(CATCH_UP_TICKS));
        while self.ticks < due {
            self.ticks += 1;
            let day = self.ahead + self.ticks as f64 * tick.as_secs_f64() / DAY_SECONDS;
            self.tick(system, population, 0.5 + 0.5 * (day * TAU).sin());
        }
        true
    }

    /// One tick; `busy` goes from 0 at night to 1 at noon.
    fn tick(&mut self, system: &dyn SimulatedSystem, population: &mut Population, busy: f64) {
        let activity = system.activity();
        let now = unix(SystemTime::now());
        let (least, most) = (*activity.conferences.start(), *activity.conferences.end());
        let wanted = (least as f64 + (most - least) as f64 * busy).round() as usize;
        if population.conferences.len() < wanted
            && self.random.percent(40)
            && let Some(new) = system.begin(population, &mut self.random, now)
            && population.conferences.iter().all(|c| c.id != new.id && c.number != new.number)
        {
            population.conferences.push(new);
        }
        if population.conferences.len() > wanted && self.random.percent(40) {
            let at = self.random.below(population.conferences.len());
            // Conferences whose host password is configured somewhere go on for ever.
            if population.conferences[at].host_password.is_none() {
                population.conferences.remove(at);
            }
        }
        let Population { rooms, conferences, .. } = population;
        for conference in conferences.iter_mut() {
            self.change(&activity, rooms, conference, busy);
        }
        conferences.retain(|c| activity.lists_absent || !c.participants.is_empty());
        system.tick(population, &mut self.random, now);
    }

    /// One tick of one conference.
    fn change(
        &mut self,
        activity: &Activity,
        rooms: &[Room],
        conference: &mut Conference,
        busy: f64,
    ) {
        let sizes = activity.largest.saturating_sub(1).max(1) as u64;
        let capacity = 2 + (rng::hash(0, &[&conference.id]) % sizes) as usize;
        let aim = ((capacity as f64) * (0.5 + busy / 2.0)).round() as usize;
        let here = conference.participants.iter().filter(|p| p.presence != Presence::Left).count();
        if here < aim && self.random.percent(70) {
            self.join(activity, rooms, conference);
        } else if self.random.percent(if here > aim { 60 } else { 15 }) {
            self.leave(activity, conference);
        }
        let moderated = has_host(conference);
        for participant in &mut conference.participants {
            match participant.presence {
                Presence::Waiting if moderated => participant.presence = Presence::Joined,
                Presence::Invited if self.random.percent(30) => {
                    participant.presence = Presence::Joining
                }
                Presence::Joining if self.random.percent(60) => {
                    participant.presence =
                        if self.random.percent(90) { Presence::Joined } else { Presence::Failed };
                }
                Presence::Joined => {
                    if self.random.percent(8) {
                        participant.muted = participant.muted.map(|muted| !muted);
                    }
                    if self.random.percent(3) {
                        participant.camera_on = participant.camera_on.map(|on| !on);
                    }
                    participant.hand_raised =
                        self.random.percent(if participant.hand_raised { 70 } else { 3 });
                }
                Presence::Waiting
                | Presence::Invited
                | Presence::Joining
                | Presence::Failed
                | Presence::Removed
                | Presence::Left => {}
            }
        }
    }

    fn join(&mut self, activity: &Activity, rooms: &[Room], conference: &mut Conference) {
        let has_host = has_host(conference);
        let waits = rooms
            .iter()
            .any(|room| room.number == conference.number && room.wait_for_moderator == Some(true));
        let hosts = !has_host && self.random.percent(12);
        let presence = match () {
            () if hosts => Presence::Joined,
            () if waits && !has_host => Presence::Waiting,
            () if activity.lists_absent && self.random.percent(40) => Presence::Invited,
            () if activity.lists_absent && self.random.percent(40) => Presence::Joining,
            () => Presence::Joined,
        };
        let mut new = populate::participant(&mut self.random, presence);
        if hosts {
            for former in conference.participants.iter_mut().filter(|p| p.role == Role::Host) {
                former.role = Role::Member;
            }
            new.role = Role::Host;
        } else if activity.lists_absent && self.random.percent(5) {
            new.role = Role::CoHost;
        }
        if presence == Presence::Invited {
            new.invited = true;
        }
        conference.participants.push(new);
    }

    fn leave(&mut self, activity: &Activity, conference: &mut Conference) {
        if conference.participants.is_empty() {
            return;
        }
        let at = self.random.below(conference.participants.len());
        let participant = &mut conference.participants[at];
        // Those who left stay listed for a while.
        if activity.lists_absent
            && participant.presence == Presence::Joined
            && self.random.percent(60)
        {
            participant.presence = Presence::Left;
        } else {
            conference.participants.remove(at);
        }
    }
}

fn has_host(conference: &Conference) -> bool {
    conference.participants.iter().any(|p| p.role == Role::Host && p.presence == Presence::Joined)
}
