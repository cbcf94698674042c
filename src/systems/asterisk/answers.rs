// SPDX-License-Identifier: Apache-2.0
//! What Asterisk answers about ConfBridge, and what is counted in it.
//!
//! The answers name callers and their numbers: what has no field here is skipped while decoding.

use std::{borrow::Cow, collections::HashSet};

use serde::Deserialize;

use crate::{
    config::{Conferences, Identify},
    model::{Conference, Measure, Observation, Reason, Sizes},
    net::{
        Fault,
        lenient::{Count, Flag, Text, present},
    },
    systems::Setting,
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

const NOT_TO_BE_ASKED_FOR: &str = "a conference has a name that Asterisk cannot be asked for: it begins with a blank, \
                                   or is not UTF-8; look at ConfBridge(...) in the dialplan";

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
    /// As it came: blanks at its ends are part of it.
    #[serde(borrow)]
    conference: Cow<'a, str>,
    locked: Flag,
    /// Versions before 16 may not tell it.
    #[serde(default, deserialize_with = "present")]
    muted: Option<Flag>,
}

/// Somebody in a conference.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Person<'a> {
    #[serde(borrow, default)]
    uniqueid: Text<'a>,
    /// Versions before 12 do not tell it, and list those who wait among the others.
    #[serde(default, deserialize_with = "present")]
    waiting: Option<Flag>,
    #[serde(default, deserialize_with = "present")]
    muted: Option<Flag>,
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
    /// `None`: not told.
    all_muted: Option<bool>,
}

impl Room<'_> {
    pub(super) fn found(self) -> Result<Found, Fault> {
        let name = self.conference;
        // Asked for by another name than its own, it would not be found, and look empty: Asterisk passes over
        // blanks, and whatever else is not above them, before the name in an action. And what may be taken for
        // the end of a line would make the rest of the name a line of the next action.
        let is_cut = name.starts_with(|first| first <= ' ');
        if is_cut || name.is_empty() || name.contains([char::REPLACEMENT_CHARACTER, '\r']) {
            return Err(Fault::new(Reason::Decode).advise(Some(NOT_TO_BE_ASKED_FOR)));
        }
        Ok(Found {
            name: name.into_owned(),
            locked: told(self.locked)?,
            all_muted: self.muted.map(told).transpose()?,
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
    /// Counts each person of a list once. `None`: who of them waits, and who is in, is not told.
    pub(super) fn of(list: &[Person<'_>]) -> Result<Option<Self>, Fault> {
        let mut people = Self::default();
        let mut seen = HashSet::new();
        for person in list {
            let id = person.uniqueid.as_str();
            if !id.is_empty() && !seen.insert(id) {
                continue;
            }
            let is_admin = told(person.admin)?;
            let Some(waiting) = person.waiting else { return Ok(None) };
            // It came with `Waiting`, if not before it.
            let is_muted = told(person.muted.unwrap_or_default())?;
            if told(waiting)? {
                people.waiting += 1;
                continue;
            }
            people.joined += 1;
            people.muted += u64::from(is_muted);
            people.moderators += u64::from(is_admin);
        }
        Ok(Some(people))
    }

    fn and(self, other: Self) -> Self {
        Self {
            joined: self.joined + other.joined,
            muted: self.muted + other.muted,
            moderators: self.moderators + other.moderators,
            waiting: self.waiting + other.waiting,
        }
    }
}

fn told(flag: Flag) -> Result<bool, Fault> {
    flag.0.ok_or(Fault::new(Reason::Decode))
}

/// The conferences, each with the people in it. What one of them does not tell is absent for all: a sum
/// over the others would look like a valid number.
pub(super) fn observation(
    conferences: Vec<(Found, Option<People>)>,
    settings: Conferences,
) -> Observation {
    let mut observation = Observation::new();
    let mut sizes = Sizes::default();
    let mut all = Some(People::default());
    let mut all_muted = Setting::default();
    let mut locked = 0;
    for (found, people) in conferences {
        let joined = people.map(|people| people.joined);
        sizes.add(joined);
        all = all.zip(people).map(|(all, people)| all.and(people));
        all_muted.add(found.all_muted);
        locked += u64::from(found.locked);
        if settings.enabled {
            observation.conferences.push(Conference {
                // A room has one name, which is its number.
                label: (settings.identify != Identify::Hash).then(|| found.name.clone()),
                id: found.name,
                participants: joined,
                muted: people.map(|people| people.muted),
                started_at: None,
            });
        }
    }
    all_muted.report(sizes.conferences(), Measure::ConferencesAllMuted, &mut observation);
    sizes.report(&mut observation);
    observation.set(Measure::ConferencesLocked, locked);
    if let Some(all) = all {
        observation.set(Measure::ParticipantsWaiting, all.waiting);
        observation.set(Measure::ParticipantsMuted, all.muted);
        observation.set(Measure::ParticipantsMuteReported, all.joined);
        observation.set(Measure::ParticipantsModerators, all.moderators);
    }
    observation
}
