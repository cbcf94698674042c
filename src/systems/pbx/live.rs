// SPDX-License-Identifier: Apache-2.0
//! What the PBXs' live queries have in common: conferences with members who are in or wait.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet, btree_map::Entry},
    fmt,
};

use serde::{Deserialize, Deserializer, de};

use crate::{
    config::{Conferences, Identify},
    model::{Conference, Measure, Observation, Reason, Sizes},
    net::{Fault, lenient::is_unreadable},
};

/// Where a member of a conference is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::systems) enum Presence {
    /// In the conference: `Up` (OpenVox), `ANSWER`, `ANSWERED` (Yeastar).
    Joined,
    /// Held until a moderator comes: `HOLD`.
    Waiting,
    /// Neither: not counted.
    Elsewhere,
    /// Not said.
    #[default]
    Unknown,
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
                if is_unreadable(value) {
                    return Err(E::custom("characters that cannot be read"));
                }
                let is = |word: &str| value.trim().eq_ignore_ascii_case(word);
                Ok(if is("ANSWERED") || is("ANSWER") || is("Up") {
                    Presence::Joined
                } else if is("HOLD") {
                    Presence::Waiting
                } else if is("") {
                    Presence::Unknown
                } else {
                    Presence::Elsewhere
                })
            }

            fn visit_unit<E: de::Error>(self) -> Result<Presence, E> {
                Ok(Presence::Unknown)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The members of one conference. Each channel counts once, by what was said of it first.
#[derive(Default)]
pub(in crate::systems) struct Members<'a> {
    /// Those whose channel is named, which are not told apart before all are known: few conferences have so many that a set
    /// would be quicker than to sort them.
    channels: Vec<(Cow<'a, str>, Presence)>,
    others: Counts,
    /// Of a member it was not said where it is, and so not whether it is to be counted.
    is_unclear: bool,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    joined: u64,
    waiting: u64,
}

impl Counts {
    fn add(&mut self, presence: Presence) {
        match presence {
            Presence::Joined => self.joined += 1,
            Presence::Waiting => self.waiting += 1,
            Presence::Elsewhere | Presence::Unknown => {}
        }
    }
}

impl<'a> Members<'a> {
    /// Adds a member; `channel` may be empty where the system does not name it. What names neither a
    /// channel nor a status is a wrapper, or nothing.
    pub(in crate::systems) fn add(&mut self, channel: Cow<'a, str>, presence: Presence) {
        if channel.is_empty() {
            self.others.add(presence);
        } else {
            self.is_unclear |= presence == Presence::Unknown;
            self.channels.push((channel, presence));
        }
    }

    /// Adds those that another answer, or another part of one, has of the same conference.
    pub(in crate::systems) fn absorb(&mut self, other: Self) {
        self.channels.extend(other.channels);
        self.others.joined += other.others.joined;
        self.others.waiting += other.others.waiting;
        self.is_unclear |= other.is_unclear;
    }

    fn count(mut self) -> Counts {
        // What is equal stays in order, and the first of it is kept.
        self.channels.sort_by(|one, other| one.0.cmp(&other.0));
        self.channels.dedup_by(|one, other| one.0 == other.0);
        let mut counts = self.others;
        for (_, presence) in self.channels {
            counts.add(presence);
        }
        counts
    }
}

/// One conference that is going on.
struct InSession<'a> {
    /// The number or the name, where the configuration asks for one.
    label: Option<String>,
    members: Members<'a>,
}

/// The conferences that are going on, by what identifies them: the number, and the call where there is no number. A call gets
/// another id each time, so that a room would have another series at each of its conferences.
pub(in crate::systems) struct Live<'a> {
    settings: Conferences,
    /// The calls and numbers of the entries that were there already.
    seen: HashSet<(Cow<'a, str>, Cow<'a, str>)>,
    conferences: BTreeMap<Cow<'a, str>, InSession<'a>>,
}

impl<'a> Live<'a> {
    pub(in crate::systems) fn new(settings: Conferences) -> Self {
        Self { settings, seen: HashSet::new(), conferences: BTreeMap::new() }
    }

    /// Adds an entry of an answer, unless it is the same once more. Two calls to one number are one conference.
    ///
    /// # Errors
    /// An entry that nothing identifies, and one with a member of which it is not said where it is.
    pub(in crate::systems) fn add(
        &mut self,
        call: Cow<'a, str>,
        number: Cow<'a, str>,
        name: &str,
        members: Members<'a>,
    ) -> Result<(), Fault> {
        if call.is_empty() && number.is_empty() {
            return Err(Fault::new(Reason::Decode));
        }
        if !self.seen.insert((Cow::clone(&call), Cow::clone(&number))) {
            return Ok(());
        }
        if members.is_unclear {
            return Err(Fault::new(Reason::Decode));
        }
        let label = match self.settings.identify {
            Identify::Number if self.settings.enabled => Some(number.to_string()),
            Identify::Name if self.settings.enabled => Some(name.to_owned()),
            Identify::Hash | Identify::Number | Identify::Name => None,
        };
        let id = if number.is_empty() { call } else { number };
        match self.conferences.entry(id) {
            Entry::Vacant(new) => drop(new.insert(InSession { label, members })),
            Entry::Occupied(mut known) => known.get_mut().members.absorb(members),
        }
        Ok(())
    }

    /// The same, whatever becomes of the answer.
    pub(in crate::systems) fn into_owned(self) -> Live<'static> {
        let conferences = self.conferences.into_iter().map(|(id, conference)| {
            let InSession { label, members } = conference;
            let members = Members { others: members.count(), ..Members::default() };
            (Cow::Owned(id.into_owned()), InSession { label, members })
        });
        Live { settings: self.settings, seen: HashSet::new(), conferences: conferences.collect() }
    }

    /// Adds the conferences of another answer, each once.
    pub(in crate::systems) fn absorb(&mut self, other: Self) {
        for (id, conference) in other.conferences {
            self.conferences.entry(id).or_insert(conference);
        }
    }

    /// Sets the measures of the live query.
    pub(in crate::systems) fn report(self, observation: &mut Observation) {
        let mut sizes = Sizes::default();
        let mut waiting = 0;
        for (id, InSession { label, members }) in self.conferences {
            let members = members.count();
            sizes.add(Some(members.joined));
            waiting += members.waiting;
            if self.settings.enabled {
                observation.conferences.push(Conference {
                    id: id.into_owned(),
                    label,
                    participants: Some(members.joined),
                    muted: None,
                    started_at: None,
                });
            }
        }
        sizes.report(observation);
        observation.set(Measure::ParticipantsWaiting, waiting);
    }
}

/// The measures of a PBX's live query besides [`Sizes::MEASURES`].
pub(in crate::systems) const WAITING: &[Measure] = &[Measure::ParticipantsWaiting];
