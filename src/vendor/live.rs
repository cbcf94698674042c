//! What the PBXs' live queries have in common: conferences with members who are in or wait.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{Deserialize, Deserializer, de};

use crate::{
    config::{Conferences, Identify},
    model::{Conference, Measure, Observation},
};

/// Where a member of a conference is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Presence {
    /// In the conference: `Up` (OpenVox), `ANSWER`, `ANSWERED` (Yeastar).
    Joined,
    /// Held until a moderator comes: `HOLD`.
    Waiting,
    /// Neither, or not said: not counted.
    #[default]
    Elsewhere,
}

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Presence;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's status")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Presence, E> {
                // It might be any of them.
                if value.contains(char::REPLACEMENT_CHARACTER) {
                    return Err(E::custom("characters that cannot be read"));
                }
                let is = |word: &str| value.trim().eq_ignore_ascii_case(word);
                Ok(if is("ANSWERED") || is("ANSWER") || is("Up") {
                    Presence::Joined
                } else if is("HOLD") {
                    Presence::Waiting
                } else {
                    Presence::Elsewhere
                })
            }

            fn visit_unit<E: de::Error>(self) -> Result<Presence, E> {
                Ok(Presence::Elsewhere)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Counts members of one conference, each channel once.
#[derive(Default)]
pub(super) struct Members<'a> {
    channels: HashSet<Cow<'a, str>>,
    joined: u64,
    waiting: u64,
}

impl<'a> Members<'a> {
    /// Adds a member; `channel` may be empty where the system does not name it.
    pub(super) fn add(&mut self, channel: Cow<'a, str>, presence: Presence) {
        if !channel.is_empty() && !self.channels.insert(channel) {
            return;
        }
        match presence {
            Presence::Joined => self.joined += 1,
            Presence::Waiting => self.waiting += 1,
            Presence::Elsewhere => {}
        }
    }
}

/// Counts conferences, each once by its id.
pub(super) struct Live<'a> {
    settings: Conferences,
    seen: HashSet<Cow<'a, str>>,
    joined: u64,
    waiting: u64,
    largest: u64,
    conferences: Vec<Conference>,
}

impl<'a> Live<'a> {
    pub(super) fn new(settings: Conferences) -> Self {
        Self {
            settings,
            seen: HashSet::new(),
            joined: 0,
            waiting: 0,
            largest: 0,
            conferences: Vec::new(),
        }
    }

    /// Adds a conference.
    pub(super) fn add(
        &mut self,
        id: Cow<'a, str>,
        number: &str,
        name: &str,
        members: &Members<'_>,
    ) {
        if self.seen.contains(&id) {
            return;
        }
        self.joined += members.joined;
        self.waiting += members.waiting;
        self.largest = self.largest.max(members.joined);
        if self.settings.enabled {
            let label = match self.settings.identify {
                Identify::Hash => None,
                Identify::Number => Some(number),
                Identify::Name => Some(name),
            };
            self.conferences.push(Conference {
                id: id.clone().into_owned(),
                label: label.map(str::to_owned),
                participants: Some(members.joined),
                muted: None,
                started_at: None,
            });
        }
        self.seen.insert(id);
    }

    /// Sets the measures of the live query.
    pub(super) fn report(self, observation: &mut Observation) {
        observation.set(Measure::ConferencesActive, self.seen.len() as u64);
        observation.set(Measure::ParticipantsJoined, self.joined);
        observation.set(Measure::ParticipantsWaiting, self.waiting);
        observation.set(Measure::LargestConferenceParticipants, self.largest);
        observation.conferences = self.conferences;
    }
}

/// The measures of a PBX's live query.
pub(super) const LIVE: &[Measure] = &[
    Measure::ConferencesActive,
    Measure::ParticipantsJoined,
    Measure::ParticipantsWaiting,
    Measure::LargestConferenceParticipants,
];

/// How many rooms have a setting on. Absent where no room carries the key (older firmware); 0
/// where there is no room at all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Setting {
    carried: bool,
    on: u64,
}

impl Setting {
    /// Adds one room's setting; `None`: the room does not carry it.
    pub(super) fn add(&mut self, value: Option<bool>) {
        self.carried |= value.is_some();
        self.on += u64::from(value == Some(true));
    }

    /// Sets `measure` to what `rooms` rooms said.
    pub(super) fn report(self, rooms: u64, measure: Measure, observation: &mut Observation) {
        observation.set_if_reported(measure, (self.carried || rooms == 0).then_some(self.on));
    }
}
