//! A system in motion: meetings begin and end, people come and go, mute, raise hands, wait for a moderator.
//!
//! Time is counted in ticks since the system was first asked, so that a seed gives the same story each time. A
//! system nobody asks stands still and catches up on the next request.

use crate::model::{Conference, Population, Presence, Role, Room, Scheduled, Vendor};
use crate::populate;
use crate::rng::Rng;
use crate::system::unix;
use std::f64::consts::TAU;
use std::time::{Duration, Instant, SystemTime};

/// A day of the simulated company.
const DAY_SECONDS: f64 = 600.0;
/// A system asked again after a long silence catches up by no more than this.
const CATCH_UP: u64 = 300;

#[derive(Debug)]
pub(crate) struct Life {
    rng: Rng,
    /// Part of a day by which this system is ahead: not everybody has lunch at the same time.
    ahead: f64,
    born: Instant,
    ticks: u64,
}

impl Life {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let ahead = rng.below(30) as f64 / 100.0;
        Self { rng, ahead, born: Instant::now(), ticks: 0 }
    }

    /// Lets the ticks pass that are due; whether there were any.
    pub(crate) fn advance(
        &mut self,
        vendor: Vendor,
        population: &mut Population,
        tick: Duration,
    ) -> bool {
        let tick = tick.max(Duration::from_millis(1));
        let due = (self.born.elapsed().as_millis() / tick.as_millis()) as u64;
        if due == self.ticks {
            return false;
        }
        self.ticks = self.ticks.max(due.saturating_sub(CATCH_UP));
        while self.ticks < due {
            self.ticks += 1;
            let day = self.ahead + self.ticks as f64 * tick.as_secs_f64() / DAY_SECONDS;
            self.step(vendor, population, 0.5 + 0.5 * (day * TAU).sin());
        }
        true
    }

    /// One tick; `busy` goes from 0 at night to 1 at noon.
    fn step(&mut self, vendor: Vendor, population: &mut Population, busy: f64) {
        let (least, most) = match vendor {
            Vendor::OpenvoxUc | Vendor::YeastarS | Vendor::YeastarP => (0.0, 4.0),
            Vendor::HuaweiMeeting | Vendor::Dingtalk => (5.0, 25.0),
        };
        let wanted = (least + (most - least) * busy).round() as usize;
        if population.conferences.len() < wanted && self.rng.percent(40) {
            self.begin(vendor, population);
        }
        if population.conferences.len() > wanted && self.rng.percent(40) {
            let at = self.rng.below(population.conferences.len());
            // Meetings whose host password is configured somewhere go on for ever.
            if population.conferences[at].host_password.is_none() {
                population.conferences.remove(at);
            }
        }
        let rooms = std::mem::take(&mut population.rooms);
        for conference in &mut population.conferences {
            self.stir(vendor, &rooms, conference, busy);
        }
        population.rooms = rooms;
        // A PBX ends a conference with its last caller.
        let pbx = most < 5.0;
        population.conferences.retain(|c| !pbx || !c.participants.is_empty());
        if vendor == Vendor::HuaweiMeeting && population.scheduled.len() < 8 && self.rng.percent(20)
        {
            let now = unix(SystemTime::now());
            let id = self.rng.digits("9", 8);
            let name = populate::subject(&mut self.rng);
            let start_unix = now + 600 * (1 + self.rng.below(200) as i64);
            population.scheduled.push(Scheduled {
                id,
                name,
                start_unix,
                sittings: 1,
                own: self.rng.percent(30),
            });
        }
    }

    fn begin(&mut self, vendor: Vendor, population: &mut Population) {
        let mut new = populate::conference(vendor, &mut self.rng, unix(SystemTime::now()));
        match vendor {
            Vendor::OpenvoxUc | Vendor::YeastarS | Vendor::YeastarP => {
                let taken =
                    |room: &Room| population.conferences.iter().any(|c| c.number == room.number);
                let free: Vec<_> = population.rooms.iter().filter(|room| !taken(room)).collect();
                // Now and then an instant conference, of which OpenVox knows nothing.
                if vendor == Vendor::OpenvoxUc || self.rng.percent(80) {
                    let Some(room) = free.get(self.rng.below(free.len())) else { return };
                    (new.number, new.name) = (room.number.clone(), room.name.clone());
                }
            }
            Vendor::HuaweiMeeting => {
                // What was scheduled begins.
                if !population.scheduled.is_empty() && self.rng.percent(60) {
                    let at = self.rng.below(population.scheduled.len());
                    let due = population.scheduled.remove(at);
                    (new.id, new.number, new.name, new.own) =
                        (due.id.clone(), due.id, due.name, due.own);
                }
                new.mute_on_join = self.rng.percent(40);
            }
            Vendor::Dingtalk => new.all_muted = self.rng.percent(15),
        }
        if population.conferences.iter().all(|c| c.id != new.id && c.number != new.number) {
            population.conferences.push(new);
        }
    }

    fn stir(&mut self, vendor: Vendor, rooms: &[Room], conference: &mut Conference, busy: f64) {
        let cloud = matches!(vendor, Vendor::HuaweiMeeting | Vendor::Dingtalk);
        let capacity =
            2 + (crate::rng::hash(0, &[&conference.id]) % if cloud { 38 } else { 14 }) as usize;
        let aim = ((capacity as f64) * (0.5 + busy / 2.0)).round() as usize;
        let here = conference.participants.iter().filter(|p| p.presence != Presence::Left).count();
        if here < aim && self.rng.percent(70) {
            self.come(vendor, rooms, conference);
        } else if self.rng.percent(if here > aim { 60 } else { 15 }) {
            self.go(cloud, conference);
        }
        let moderated = conference
            .participants
            .iter()
            .any(|p| p.role == Role::Host && p.presence == Presence::Joined);
        for participant in &mut conference.participants {
            match participant.presence {
                Presence::Waiting if moderated => participant.presence = Presence::Joined,
                Presence::Invited if self.rng.percent(30) => {
                    participant.presence = Presence::Joining
                }
                Presence::Joining if self.rng.percent(60) => {
                    participant.presence =
                        if self.rng.percent(90) { Presence::Joined } else { Presence::Failed };
                }
                Presence::Joined => {
                    if self.rng.percent(8) {
                        participant.muted = participant.muted.map(|muted| !muted);
                    }
                    if self.rng.percent(3) {
                        participant.camera_on = participant.camera_on.map(|on| !on);
                    }
                    participant.hand_raised =
                        self.rng.percent(if participant.hand_raised { 70 } else { 3 });
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

    fn come(&mut self, vendor: Vendor, rooms: &[Room], conference: &mut Conference) {
        let has_host = conference
            .participants
            .iter()
            .any(|p| p.role == Role::Host && p.presence == Presence::Joined);
        let cloud = matches!(vendor, Vendor::HuaweiMeeting | Vendor::Dingtalk);
        let waits = rooms
            .iter()
            .any(|room| room.number == conference.number && room.wait_for_moderator == Some(true));
        let hosts = !has_host && self.rng.percent(12);
        let presence = match () {
            () if hosts => Presence::Joined,
            () if waits && !has_host => Presence::Waiting,
            () if cloud && self.rng.percent(40) => Presence::Invited,
            () if cloud && self.rng.percent(40) => Presence::Joining,
            () => Presence::Joined,
        };
        let mut new = populate::participant(&mut self.rng, presence);
        if hosts {
            for former in conference.participants.iter_mut().filter(|p| p.role == Role::Host) {
                former.role = Role::Member;
            }
            new.role = Role::Host;
        } else if cloud && self.rng.percent(5) {
            new.role = Role::CoHost;
        }
        if presence == Presence::Invited {
            new.invited = true;
        }
        conference.participants.push(new);
    }

    fn go(&mut self, cloud: bool, conference: &mut Conference) {
        if conference.participants.is_empty() {
            return;
        }
        let at = self.rng.below(conference.participants.len());
        // The clouds keep listing those who left, for a while.
        if cloud && conference.participants[at].presence == Presence::Joined && self.rng.percent(60)
        {
            conference.participants[at].presence = Presence::Left;
        } else {
            conference.participants.remove(at);
        }
    }
}
