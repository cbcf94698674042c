// SPDX-License-Identifier: Apache-2.0
//! What a simulated system holds: rooms, live conferences, the people in them, meetings still to come.
//!
//! One vocabulary for all systems. A system's folder turns it into that system's answers; [`crate::Truth`] counts it
//! without looking at the answers, so that a test compares the exporter with the model and not with what the simulator sent.

use crate::registry::{Registry, Vendor};
use crate::rng;
use std::collections::BTreeMap;
use std::time::Duration;

/// Everything one system holds, and how it behaves where the documentation leaves a choice.
#[derive(Clone, Debug, Default)]
pub struct Population {
    /// Standing rooms; the PBXs only.
    pub rooms: Vec<Room>,
    /// Conferences going on.
    pub conferences: Vec<Conference>,
    /// Meetings still to come; Huawei only.
    pub scheduled: Vec<Scheduled>,
    /// Choices the documentation leaves open.
    pub behaviour: Behaviour,
}

/// A standing room of a PBX. `None` in a setting: this room's answer does not carry the key (older firmware).
#[derive(Clone, Debug)]
pub struct Room {
    /// The numeric id of the P-Series.
    pub id: u64,
    /// The number to dial.
    pub number: String,
    /// The name, without the blanks some vendors put before it.
    pub name: String,
    /// The PIN of participants; empty for none.
    pub participant_pin: Option<String>,
    /// The PIN of moderators; empty for none.
    pub moderator_pin: String,
    /// Participants wait until a moderator comes.
    pub wait_for_moderator: Option<bool>,
    /// Participants may invite others.
    pub allow_invite: Option<bool>,
    /// Music on hold; S-Series from 2021-01.
    pub music_on_hold: Option<bool>,
    /// Everyone but moderators is muted on entry; S-Series from 2024-04.
    pub mute_on_join: Option<bool>,
    /// The moderators.
    pub moderators: Option<Vec<Moderator>>,
    /// Listed only to those who have the plug-in's admin key (Janus).
    pub private: bool,
}

/// A moderator of a room.
#[derive(Clone, Debug)]
pub struct Moderator {
    /// The extension number (S-Series) or the id (P-Series).
    pub id: String,
    /// The person's name; only the P-Series sends it.
    pub name: String,
    /// An extension group instead of an extension.
    pub group: bool,
}

/// A conference going on.
#[derive(Clone, Debug)]
pub struct Conference {
    /// The vendor's id: call id, conferenceID, conferenceId.
    pub id: String,
    /// The number to dial: of the room, of the instant conference, the room code without blanks.
    pub number: String,
    /// The name or subject.
    pub name: String,
    /// When it began, in seconds since 1970.
    pub start_unix: i64,
    /// People are muted as they join (Huawei `isAutoMute`).
    pub mute_on_join: bool,
    /// Everyone is muted by force (DingTalk `mediaStatus` bit 4).
    pub all_muted: bool,
    /// It is locked: no further participants are let in.
    pub locked: bool,
    /// It is being recorded.
    pub recorded: bool,
    /// The host password that buys a control token (Huawei); `None`: none is configured.
    pub host_password: Option<String>,
    /// Belongs to the account that logs in (Huawei, `queryAll=false`).
    pub own: bool,
    /// One sitting of a recurring series (Huawei): its details lack `conferenceState`.
    pub recurring: bool,
    /// The people, including those who left.
    pub participants: Vec<Participant>,
}

/// A person in, on the way to or gone from a conference.
#[derive(Clone, Debug)]
pub struct Participant {
    /// The vendor's id of this entry: channel, pid, userId.
    pub id: String,
    /// The person's name.
    pub name: String,
    /// The person's number.
    pub number: String,
    /// Where the person is.
    pub presence: Presence,
    /// The microphone is off; `None`: the vendor does not say for this person.
    pub muted: Option<bool>,
    /// The camera is on; `None`: the vendor does not say for this person.
    pub camera_on: Option<bool>,
    /// The hand is raised.
    pub hand_raised: bool,
    /// The part this person plays.
    pub role: Role,
    /// How a PBX reaches this person.
    pub line: Line,
    /// Invited, and did not join without an invitation.
    pub invited: bool,
}

/// Where a person is. A vendor that has no word for a state leaves such people out of its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// In the conference.
    Joined,
    /// Held until a moderator comes (PBXs).
    Waiting,
    /// Connecting (clouds).
    Joining,
    /// Called or invited, not answered (clouds).
    Invited,
    /// Failed to join (DingTalk).
    Failed,
    /// Removed by the host (DingTalk).
    Removed,
    /// Gone (DingTalk keeps listing them).
    Left,
}

/// The part a person plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An ordinary participant.
    Member,
    /// Helps the host.
    CoHost,
    /// The host; at most one a conference.
    Host,
}

/// How a PBX reaches a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// An extension of the PBX.
    Extension,
    /// Called in through a trunk.
    Inbound,
    /// Called by the PBX through a trunk.
    Outbound,
}

/// A meeting still to come.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// The conferenceID. May equal that of a live conference: then it is a later sitting of that series.
    pub id: String,
    /// The subject.
    pub name: String,
    /// When the first sitting begins, in seconds since 1970.
    pub start_unix: i64,
    /// How often the list carries it, a day apart: more than one for a recurring series.
    pub sittings: u32,
    /// Belongs to the account that logs in (`queryAll=false`).
    pub own: bool,
}

/// What a system does where its documentation leaves a choice.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Unknown keys, nulls, empty strings, numbers as strings and the like, wherever the vendor is known for it.
    pub quirks: bool,
    /// The PBX's live call without a live conference.
    pub idle: Idle,
    /// The PBX's live call fails as soon as one of several numbers is idle (firmware before 2024-04).
    pub idle_number_fails: bool,
    /// The live call exists; without it the PBX answers its "no such call".
    pub live_call: bool,
    /// `conferences` instead of `conference` in the live answer of OpenVox and the S-Series.
    pub plural_conferences: bool,
    /// `members` instead of `member` in the live answer of OpenVox; the reverse on the S-Series.
    pub other_members_key: bool,
    /// Path prefix instead of the vendor's own (`/api/v2.0.0` and so on).
    pub api_path: Option<String>,
    /// Huawei: the type of administrator that logs in (0 or 1; 2 is an ordinary user who sees only `own` meetings).
    pub admin_type: u8,
    /// Huawei: `onlineAttendeeAmount` is sent.
    pub head_counts: bool,
    /// DingTalk: what an ended or unknown id does to its batch.
    pub unknown_ids: UnknownIds,
    /// DingTalk: more ids than this fail with `sizeTooLarge`. No limit is documented.
    pub batch_limit: Option<usize>,
    /// How long too many bad logins lock; `None`: as documented.
    pub lock_time: Option<Duration>,
    /// The code for a token the system does not know, as after a restart; `None`: as documented.
    pub unknown_token: Option<String>,
    /// Choices that only one system knows, by names of its own.
    pub other: BTreeMap<&'static str, String>,
}

/// What the live call of a PBX answers while nothing is going on; undocumented for all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// A failure: errno 10110, errcode 60001.
    Failed,
    /// Success with an empty list.
    EmptyList,
    /// Success without the list.
    NoList,
}

/// What an ended or unknown id does to a batch of DingTalk; undocumented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownIds {
    /// The whole batch fails with `resourceClose`.
    FailBatch,
    /// The id is left out.
    Omit,
    /// The meeting is listed with status 1, ended.
    Ended,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            quirks: true,
            idle: Idle::EmptyList,
            idle_number_fails: false,
            live_call: true,
            plural_conferences: false,
            other_members_key: false,
            api_path: None,
            admin_type: 0,
            head_counts: true,
            unknown_ids: UnknownIds::FailBatch,
            batch_limit: None,
            lock_time: None,
            unknown_token: None,
            other: BTreeMap::new(),
        }
    }
}

impl Population {
    /// A system that holds nothing, behaving as this built-in system does by default; others as [`Behaviour`] does.
    pub fn empty(vendor: Vendor) -> Self {
        let system = Registry::default().system(vendor);
        let behaviour = system.map_or_else(Behaviour::default, |system| system.behaviour());
        Self { behaviour, ..Self::default() }
    }

    /// The live meetings with a host password: (conferenceID, password).
    pub fn host_passwords(&self) -> Vec<(String, String)> {
        let hosted = |c: &Conference| Some((c.id.clone(), c.host_password.clone()?));
        self.conferences.iter().filter_map(hosted).collect()
    }

    /// Whether the account that logs in sees a meeting that is `own` or not.
    pub(crate) fn visible(&self, own: bool, query_all: bool) -> bool {
        own || (query_all && self.behaviour.admin_type != 2)
    }
}

impl Room {
    /// A room with every setting known and off, without PINs and moderators.
    pub fn new(number: &str, name: &str) -> Self {
        Self {
            id: number.parse().unwrap_or_else(|_| rng::hash(0, &[number]) >> 32),
            number: number.to_owned(),
            name: name.to_owned(),
            participant_pin: Some(String::new()),
            moderator_pin: String::new(),
            wait_for_moderator: Some(false),
            allow_invite: Some(false),
            music_on_hold: Some(false),
            mute_on_join: Some(false),
            moderators: Some(Vec::new()),
            private: false,
        }
    }

    /// A room of the oldest firmware: number and name are all its answer carries.
    pub fn bare(number: &str, name: &str) -> Self {
        Self {
            participant_pin: None,
            wait_for_moderator: None,
            allow_invite: None,
            music_on_hold: None,
            mute_on_join: None,
            moderators: None,
            ..Self::new(number, name)
        }
    }
}

impl Moderator {
    /// An extension that moderates.
    pub fn new(id: &str, name: &str) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), group: false }
    }
}

impl Conference {
    /// A conference without anybody in it that began at 1,750,000,000.
    pub fn new(id: &str, number: &str, name: &str) -> Self {
        Self {
            id: id.to_owned(),
            number: number.to_owned(),
            name: name.to_owned(),
            start_unix: 1_750_000_000,
            mute_on_join: false,
            all_muted: false,
            locked: false,
            recorded: false,
            host_password: None,
            own: true,
            recurring: false,
            participants: Vec::new(),
        }
    }

    /// The same with `count` more people in that state, microphones open, cameras off.
    #[must_use]
    pub fn with(mut self, count: usize, presence: Presence) -> Self {
        for _ in 0..count {
            let tag =
                format!("{:012x}", rng::hash(self.participants.len() as u64, &[&self.id]) >> 16);
            let number = format!("88{:010}", rng::hash(1, &[&tag]) % 10_000_000_000);
            self.participants.push(Participant::new(&format!("Somebody {tag}"), &number, presence));
        }
        self
    }

    /// How many are in.
    pub fn joined(&self) -> usize {
        self.participants.iter().filter(|p| p.presence == Presence::Joined).count()
    }
}

impl Participant {
    /// An ordinary participant at an extension, microphone open, camera off, who joined without an invitation.
    pub fn new(name: &str, number: &str, presence: Presence) -> Self {
        Self {
            id: format!("{:016x}", rng::hash(2, &[name, number])),
            name: name.to_owned(),
            number: number.to_owned(),
            presence,
            muted: Some(false),
            camera_on: Some(false),
            hand_raised: false,
            role: Role::Member,
            line: Line::Extension,
            invited: false,
        }
    }
}

impl Scheduled {
    /// One meeting that begins then.
    pub fn new(id: &str, name: &str, start_unix: i64) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), start_unix, sittings: 1, own: true }
    }
}
