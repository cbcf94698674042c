// SPDX-License-Identifier: Apache-2.0
//! People and conferences for populations that are made up, the same for the same random numbers.

use crate::model::{Conference, Line, Participant, Presence, Role};
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
/// A name that is used only once.
pub fn person(rng: &mut Rng) -> String {
    format!("{} {} {}", rng.pick(&FIRST_NAMES), rng.pick(&LAST_NAMES), rng.hex(8))
}

/// The subject of a conference.
pub fn subject(rng: &mut Rng) -> String {
    format!("{} {}", rng.pick(&SUBJECTS), rng.hex(4))
}

/// A person at an extension or behind a trunk. Extensions have ten digits here: a test that searches a page for
/// them must not find them by accident.
pub fn participant(rng: &mut Rng, presence: Presence) -> Participant {
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

/// A conference with a made-up subject that begins now, in seconds since 1970.
pub fn conference(rng: &mut Rng, id: &str, number: &str, now: i64) -> Conference {
    let mut conference = Conference::new(id, number, &subject(rng));
    conference.start_unix = now;
    conference
}

/// Adds so many people in that state.
pub fn fill(conference: &mut Conference, rng: &mut Rng, count: usize, presence: Presence) {
    for _ in 0..count {
        conference.participants.push(participant(rng, presence));
    }
}

/// So many who are in and some in each state that only clouds tell, with every property that is counted at least once.
pub fn mixed(conference: &mut Conference, rng: &mut Rng, size: usize) {
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
