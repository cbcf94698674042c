//! A rich population for each vendor, the same for the same seed.
//!
//! Every measure of the exporter is above zero in it, and sizes of conferences differ but for one tie.

use crate::credentials::HUAWEI_HOSTED;
use crate::model::{
    Conference, Idle, Line, Moderator, Participant, Population, Presence, Role, Room, Scheduled,
    Vendor,
};
use crate::rng::Rng;

const FIRST_NAMES: [&str; 12] = [
    "Zoë",
    "Mårten",
    "王伟",
    "O'Neil",
    "Ann \"Ace\"",
    "Ивана",
    "José",
    "陳 小明",
    "Siân",
    "D\\Angelo",
    "Ngọc",
    "Hélène",
];
const LAST_NAMES: [&str; 8] =
    ["Quill", "Świątek", "Ødegaard", "Parker", "Harris", "Müller", "Okafor", "🙂 Smile"];
const SUBJECTS: [&str; 12] = [
    "Sales weekly",
    "Support review",
    "Planning",
    "Board",
    "Stand-up",
    "Training",
    "Incident bridge",
    "All hands",
    "周会",
    "Kund-möte",
    "Retro",
    "1:1",
];
const DAY: i64 = 86_400;

pub(crate) fn population(vendor: Vendor, seed: u64, now: i64, quirks: bool) -> Population {
    let mut rng = Rng::new(seed);
    let mut population = Population::empty(vendor);
    population.behaviour.quirks = quirks;
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS | Vendor::YeastarP => {
            pbx(vendor, &mut rng, &mut population, now)
        }
        Vendor::HuaweiMeeting => huawei(&mut rng, &mut population, now),
        Vendor::Dingtalk => dingtalk(&mut rng, &mut population, now),
    }
    if vendor == Vendor::YeastarS {
        population.behaviour.idle = Idle::Failed;
    }
    population
}

/// A name nobody else has.
pub(crate) fn person(rng: &mut Rng) -> String {
    format!("{} {} {}", rng.pick(&FIRST_NAMES), rng.pick(&LAST_NAMES), rng.hex(8))
}

pub(crate) fn subject(rng: &mut Rng) -> String {
    format!("{} {}", rng.pick(&SUBJECTS), rng.hex(4))
}

/// A person at an extension or behind a trunk. Extensions have ten digits here: a test that searches a page for
/// them must not find them by accident.
pub(crate) fn participant(rng: &mut Rng, presence: Presence) -> Participant {
    let line = match rng.below(4) {
        0 => Line::Inbound,
        1 => Line::Outbound,
        _ => Line::Extension,
    };
    let number = match line {
        Line::Extension => rng.digits("77", 8),
        Line::Inbound | Line::Outbound => rng.digits("+8657", 9),
    };
    let mut participant = Participant::new(&person(rng), &number, presence);
    participant.line = line;
    participant.id = rng.hex(16);
    participant.invited = rng.percent(60);
    participant.muted = Some(rng.percent(40));
    participant.camera_on = Some(rng.percent(50));
    participant.hand_raised = rng.percent(10);
    participant
}

/// A new id as this vendor writes them.
pub(crate) fn conference(vendor: Vendor, rng: &mut Rng, now: i64) -> Conference {
    let (id, number) = match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS | Vendor::YeastarP => {
            (format!("{now}.{}", rng.below(100_000)), rng.digits("69", 2))
        }
        Vendor::HuaweiMeeting => {
            let id = rng.digits("9", 8);
            (id.clone(), id)
        }
        Vendor::Dingtalk => (rng.hex(24), rng.digits("8", 8)),
    };
    let mut conference = Conference::new(&id, &number, &subject(rng));
    conference.start_unix = now;
    conference
}

fn pbx(vendor: Vendor, rng: &mut Rng, population: &mut Population, now: i64) {
    for index in 0..12_u64 {
        let mut room = Room::new(&(6400 + index).to_string(), &subject(rng));
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
            let id = if vendor == Vendor::YeastarP {
                rng.below(500).to_string()
            } else {
                rng.digits("77", 8)
            };
            Moderator { id, name: person(rng), group: n == 1 }
        });
        room.moderators = Some(moderators.collect());
        population.rooms.push(room);
    }
    let spread = rng.below(3);
    for (index, size) in [9 + spread, 6, 4, 4, 2].into_iter().enumerate() {
        let mut live = conference(vendor, rng, now - 600 * (index as i64 + 1));
        // The last one is an instant conference; OpenVox knows rooms only.
        if index < 4 || vendor == Vendor::OpenvoxUc {
            let room = &population.rooms[index * 2];
            (live.number, live.name) = (room.number.clone(), room.name.clone());
        }
        fill(&mut live, rng, size, Presence::Joined);
        if index == 1 {
            fill(&mut live, rng, 2 + spread, Presence::Waiting);
        }
        population.conferences.push(live);
    }
}

fn fill(conference: &mut Conference, rng: &mut Rng, count: usize, presence: Presence) {
    for _ in 0..count {
        conference.participants.push(participant(rng, presence));
    }
}

/// The states only the clouds tell, and at least one person in each corner of what is counted.
fn mixed(conference: &mut Conference, rng: &mut Rng, size: usize) {
    fill(conference, rng, size, Presence::Joined);
    for (presence, count) in [
        (Presence::Invited, 1 + rng.below(3)),
        (Presence::Joining, 1 + rng.below(2)),
        (Presence::Left, rng.below(3)),
        (Presence::Removed, rng.below(2)),
        (Presence::Failed, rng.below(2)),
    ] {
        fill(conference, rng, count, presence);
    }
    for (index, participant) in conference.participants.iter_mut().enumerate() {
        match index {
            0 => {
                participant.role = Role::Host;
                participant.muted = Some(true);
                participant.camera_on = Some(true);
                participant.hand_raised = true;
                participant.invited = true;
            }
            1 => participant.role = Role::CoHost,
            2 if size > 4 => participant.muted = None,
            3 if size > 4 => participant.camera_on = None,
            _ => {}
        }
    }
}

fn huawei(rng: &mut Rng, population: &mut Population, now: i64) {
    let spread = rng.below(4);
    for (index, size) in [14 + spread, 11, 8, 5, 5, 3].into_iter().enumerate() {
        let mut live = conference(Vendor::HuaweiMeeting, rng, now - 900 * (index as i64 + 1));
        mixed(&mut live, rng, size);
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
        let name = subject(rng);
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

fn dingtalk(rng: &mut Rng, population: &mut Population, now: i64) {
    let spread = rng.below(4);
    for (index, size) in [12 + spread, 9, 7, 4, 4, 2].into_iter().enumerate() {
        let mut live = conference(Vendor::Dingtalk, rng, now - 300 * (index as i64 + 1));
        mixed(&mut live, rng, size);
        live.all_muted = index == 2;
        population.conferences.push(live);
    }
}
