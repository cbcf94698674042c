// SPDX-License-Identifier: Apache-2.0
//! What Asterisk answers about ConfBridge, and what is counted in it.
//!
//! The answers name callers and their numbers: what has no field here is skipped while decoding.

use std::collections::HashSet;

use serde::Deserialize;

use crate::{
    config::{Conferences, Identify},
    model::{Conference, Measure, Observation, Reason, Sizes},
    net::{
        Fault,
        lenient::{Count, Flag, Text},
    },
};

/// What is reported besides [`Sizes::MEASURES`].
pub(super) const PEOPLE: &[Measure] = &[
    Measure::ParticipantsWaiting,
    Measure::ParticipantsMuted,
    Measure::ParticipantsMuteReported,
    Measure::ParticipantsModerators,
    Measure::ConferencesAllMuted,
    Measure::ConferencesLocked,
];

/// An answer as [`super::ami`] passes it on.
#[derive(Deserialize)]
pub(super) struct Answered<'a, T> {
    #[serde(borrow)]
    pub(super) response: Response<'a>,
    #[serde(default = "Vec::new")]
    events: Vec<T>,
    complete: Option<Complete>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Response<'a> {
    #[serde(borrow, rename = "Response")]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) message: Text<'a>,
    #[serde(borrow, default)]
    pub(super) challenge: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Complete {
    list_items: Count,
}

/// An answer that is no list.
#[derive(Deserialize)]
pub(super) struct Nothing {}

/// A conference that is going on.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Room<'a> {
    #[serde(borrow)]
    conference: Text<'a>,
    locked: Flag,
    muted: Flag,
}

/// Somebody in a conference.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Person<'a> {
    #[serde(borrow, default)]
    uniqueid: Text<'a>,
    waiting: Flag,
    muted: Flag,
    admin: Flag,
}

impl<T> Answered<'_, T> {
    /// The items of a list, which must be as many as its end says.
    pub(super) fn items(self) -> Result<Vec<T>, Fault> {
        let announced = self.complete.and_then(|complete| complete.list_items.0);
        if announced != Some(self.events.len() as u64) {
            return Err(Fault::new(Reason::Decode));
        }
        Ok(self.events)
    }
}

/// What is kept of a conference.
pub(super) struct Found {
    /// Its name, which is the number to dial in most installations.
    pub(super) name: String,
    locked: bool,
    all_muted: bool,
}

impl Room<'_> {
    pub(super) fn found(self) -> Result<Found, Fault> {
        let name = self.conference.0;
        // Asked for by another name than its own, it would not be found, and look empty. And what may be taken
        // for the end of a line would make the rest of the name a line of the next action.
        if name.is_empty() || name.contains([char::REPLACEMENT_CHARACTER, '\r']) {
            return Err(Fault::new(Reason::Decode));
        }
        Ok(Found {
            name: name.into_owned(),
            locked: told(self.locked)?,
            all_muted: told(self.muted)?,
        })
    }
}

/// Who is in one conference.
#[derive(Clone, Copy, Default)]
pub(super) struct People {
    joined: u64,
    muted: u64,
    moderators: u64,
    waiting: u64,
}

impl People {
    /// Counts each person of a list once.
    pub(super) fn of(list: &[Person<'_>]) -> Result<Self, Fault> {
        let mut people = Self::default();
        let mut seen = HashSet::new();
        for person in list {
            let id = person.uniqueid.as_str();
            if !id.is_empty() && !seen.insert(id) {
                continue;
            }
            let (is_muted, is_admin) = (told(person.muted)?, told(person.admin)?);
            if told(person.waiting)? {
                people.waiting += 1;
                continue;
            }
            people.joined += 1;
            people.muted += u64::from(is_muted);
            people.moderators += u64::from(is_admin);
        }
        Ok(people)
    }
}

fn told(flag: Flag) -> Result<bool, Fault> {
    flag.0.ok_or(Fault::new(Reason::Decode))
}

/// The conferences, each with the people in it.
pub(super) fn observation(conferences: Vec<(Found, People)>, settings: Conferences) -> Observation {
    let mut observation = Observation::new();
    let mut sizes = Sizes::default();
    let mut all = People::default();
    let (mut all_muted, mut locked) = (0, 0);
    for (found, people) in conferences {
        sizes.add(Some(people.joined));
        all.waiting += people.waiting;
        all.joined += people.joined;
        all.muted += people.muted;
        all.moderators += people.moderators;
        all_muted += u64::from(found.all_muted);
        locked += u64::from(found.locked);
        if settings.enabled {
            observation.conferences.push(Conference {
                // A room has one name, which is its number.
                label: (settings.identify != Identify::Hash).then(|| found.name.clone()),
                id: found.name,
                participants: Some(people.joined),
                muted: Some(people.muted),
                started_at: None,
            });
        }
    }
    sizes.report(&mut observation);
    let values = [all.waiting, all.muted, all.joined, all.moderators, all_muted, locked];
    for (measure, value) in PEOPLE.iter().zip(values) {
        observation.set(*measure, value);
    }
    observation
}
