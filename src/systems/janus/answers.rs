// SPDX-License-Identifier: Apache-2.0
//! What Janus answers, and what is counted in it.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::Plugin;
use crate::{
    config::{Conferences, Identify},
    model::{Conference, Measure, Observation, Reason, Sizes},
    net::{
        Fault,
        lenient::{Count, Flag, Name},
    },
    systems::Setting,
};

/// What the lists of rooms say of either plug-in, besides [`Sizes::MEASURES`].
pub(super) const OF_ROOMS: &[Measure] =
    &[Measure::ConferencesRecording, Measure::Rooms, Measure::RoomsPinProtected];

/// What only the AudioBridge tells.
pub(super) const OF_AUDIOBRIDGE: &[Measure] = &[
    Measure::ParticipantsJoining,
    Measure::ParticipantsMuted,
    Measure::ParticipantsMuteReported,
    Measure::ConferencesAllMuted,
];

/// The id of a room, or of somebody in it: a number, or any text where the plug-in is configured with
/// `string_ids`. That of a room goes back as it came.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub(super) enum Id {
    Number(u64),
    Text(String),
}

impl Id {
    /// For people.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// An entry of `list`. Its PIN is not in the answer.
#[derive(Deserialize)]
pub(super) struct Room<'a> {
    pub(super) room: Id,
    #[serde(borrow, default)]
    description: Name<'a>,
    num_participants: Count,
    #[serde(default)]
    pin_required: Flag,
    #[serde(default)]
    record: Flag,
    #[serde(default)]
    muted: Flag,
}

impl Room<'_> {
    /// What is needed of it later.
    pub(super) fn listed(self, plugin: Plugin, settings: Conferences) -> Result<Listed, Fault> {
        let people = self.num_participants.0.ok_or(Fault::new(Reason::Decode))?;
        let label = match settings.identify {
            Identify::Number if settings.enabled => Some(self.room.shown()),
            Identify::Name if settings.enabled => Some(self.description.0.into_owned()),
            Identify::Hash | Identify::Number | Identify::Name => None,
        };
        Ok(Listed {
            plugin,
            room: self.room,
            is_empty: people == 0,
            label,
            pin_required: self.pin_required.0,
            recorded: self.record.0,
            all_muted: self.muted.0,
        })
    }
}

/// A room that a plug-in has listed.
pub(super) struct Listed {
    pub(super) plugin: Plugin,
    pub(super) room: Id,
    is_empty: bool,
    label: Option<String>,
    pin_required: Option<bool>,
    recorded: Option<bool>,
    all_muted: Option<bool>,
}

/// An entry of `listparticipants`. `display`, which is a name, has no field.
#[derive(Deserialize)]
pub(super) struct Participant {
    id: Id,
    /// Nobody, but a placeholder that Janus itself puts into a VideoRoom with `dummy_publisher`.
    #[serde(default)]
    dummy: Flag,
    #[serde(default)]
    setup: Flag,
    #[serde(default)]
    muted: Flag,
}

/// The people in one room.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct People {
    joined: u64,
    joining: u64,
    muted: u64,
    mute_reported: u64,
}

impl People {
    /// Counts them, each once. `None`: there is nobody, only a placeholder.
    pub(super) fn of(plugin: Plugin, listed: Vec<Participant>) -> Option<Self> {
        let is_placeholder = |person: &Participant| person.dummy.0 == Some(true);
        if !listed.is_empty() && listed.iter().all(is_placeholder) {
            return None;
        }
        let mut people = Self::default();
        let mut seen = HashSet::with_capacity(listed.len());
        for person in listed {
            if is_placeholder(&person) || !seen.insert(person.id) {
                continue;
            }
            if plugin == Plugin::Audiobridge && person.setup.0 == Some(false) {
                people.joining += 1;
                continue;
            }
            people.joined += 1;
            people.mute_reported += u64::from(person.muted.0.is_some());
            people.muted += u64::from(person.muted.0 == Some(true));
        }
        Some(people)
    }
}

/// The rooms of all plug-ins, and what is counted in them.
#[derive(Default)]
pub(super) struct Rooms {
    rooms: u64,
    pin_protected: Setting,
    /// Those with people, whose participants are to be asked for.
    pub(super) occupied: Vec<Listed>,
    has_audiobridge: bool,
}

impl Rooms {
    /// Adds the rooms of a plug-in, each once.
    pub(super) fn add(&mut self, plugin: Plugin, list: Vec<Listed>) {
        self.has_audiobridge |= plugin == Plugin::Audiobridge;
        let mut seen = HashSet::with_capacity(list.len());
        for room in list {
            if !seen.insert(room.room.clone()) {
                continue;
            }
            self.rooms += 1;
            self.pin_protected.add(room.pin_required);
            if !room.is_empty {
                self.occupied.push(room);
            }
        }
    }

    /// What was found; `people` are those of [`Rooms::occupied`] in the same order, `None` where
    /// the room was gone by then, or has nobody in it.
    pub(super) fn observation(
        self,
        people: Vec<Option<People>>,
        settings: Conferences,
    ) -> Observation {
        let mut observation = Observation::new();
        let mut sizes = Sizes::default();
        let mut all = People::default();
        let (mut recording, mut all_muted) = (Setting::default(), Setting::default());
        let mut bridges = 0;
        for (room, people) in self.occupied.into_iter().zip(people) {
            let Some(people) = people else { continue };
            let is_bridge = room.plugin == Plugin::Audiobridge;
            sizes.add(Some(people.joined));
            recording.add(room.recorded);
            if is_bridge {
                bridges += 1;
                all_muted.add(room.all_muted);
                all.joining += people.joining;
                all.muted += people.muted;
                all.mute_reported += people.mute_reported;
            }
            if settings.enabled {
                observation.conferences.push(Conference {
                    id: format!("{}/{}", room.plugin.word(), room.room.shown()),
                    label: room.label,
                    participants: Some(people.joined),
                    muted: is_bridge.then_some(people.muted),
                    started_at: None,
                });
            }
        }
        recording.report(sizes.conferences(), Measure::ConferencesRecording, &mut observation);
        sizes.report(&mut observation);
        observation.set(Measure::Rooms, self.rooms);
        self.pin_protected.report(self.rooms, Measure::RoomsPinProtected, &mut observation);
        if self.has_audiobridge {
            observation.set(Measure::ParticipantsJoining, all.joining);
            observation.set(Measure::ParticipantsMuted, all.muted);
            observation.set(Measure::ParticipantsMuteReported, all.mute_reported);
            all_muted.report(bridges, Measure::ConferencesAllMuted, &mut observation);
        }
        observation
    }
}
