// SPDX-License-Identifier: Apache-2.0
//! What an OpenVox UC and a Yeastar S-Series answer, and what is counted in it.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use serde::Deserialize;

use super::{
    codes::enveloped,
    live::{Live, Members, Presence},
};
use crate::{
    config::{Conferences, Identify},
    model::{Measure, Observation, Reason},
    net::{
        Fault,
        lenient::{Flag, FromItems, IsSet, Items, List, Name, Text, present},
    },
    systems::Setting,
};

#[derive(Deserialize)]
pub(super) struct Rooms<'a> {
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    errno: Text<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    conferences: Option<List<Room<'a>>>,
}

/// A room. An OpenVox UC has fewer settings than an S-Series.
#[derive(Deserialize)]
struct Room<'a> {
    #[serde(borrow)]
    number: Text<'a>,
    #[serde(borrow, default)]
    name: Name<'a>,
    #[serde(default, deserialize_with = "present")]
    participantepassword: Option<IsSet>,
    waitformoderator: Option<Flag>,
    allowinvite: Option<Flag>,
    #[serde(default, deserialize_with = "present")]
    moderators: Option<IsSet>,
    musiconhold: Option<Flag>,
    mute: Option<Flag>,
}

/// The settings of a room, in the order of [`Room::settings`].
const SETTINGS: [Measure; 6] = [
    Measure::RoomsMuteOnJoin,
    Measure::RoomsWaitForModerator,
    Measure::RoomsAllowInvite,
    Measure::RoomsMusicOnHold,
    Measure::RoomsModerated,
    Measure::RoomsPinProtected,
];

impl Room<'_> {
    fn settings(&self) -> [Option<bool>; SETTINGS.len()] {
        let flag = |flag: Option<Flag>| flag.and_then(|flag| flag.0);
        [
            flag(self.mute),
            flag(self.waitformoderator),
            flag(self.allowinvite),
            flag(self.musiconhold),
            self.moderators.map(|moderators| moderators.0),
            self.participantepassword.map(|pin| pin.0),
        ]
    }
}

/// The entries are documented with two spellings of their lists.
#[derive(Deserialize)]
pub(super) struct InSession<'a> {
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    errno: Text<'a>,
    #[serde(borrow, default, alias = "conferences", deserialize_with = "present")]
    conference: Option<List<Entry<'a>>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    callid: Text<'a>,
    #[serde(borrow, default)]
    conferencenumber: Text<'a>,
    #[serde(borrow, default)]
    conferencename: Name<'a>,
    #[serde(borrow, alias = "member")]
    members: Items<Present<'a>>,
}

/// The members of an entry, and their legs.
#[derive(Default)]
struct Present<'a>(Members<'a>);

impl<'de: 'a, 'a> FromItems<'de> for Present<'a> {
    type Item = Member<'a>;

    fn add(&mut self, member: Member<'a>) -> Result<(), &'static str> {
        self.0.add(member.channelid.0, member.memberstatus);
        for Items(legs) in [member.ext, member.inbound, member.outbound] {
            for leg in legs.first.into_iter().chain(legs.others) {
                self.0.add(leg.channelid.0, leg.memberstatus);
            }
        }
        Ok(())
    }
}

/// An OpenVox UC sends members as they are. An S-Series wraps them by how they came: its table types the
/// wrapped values as lists, the sample of the sibling event as objects, and no sample of this answer
/// was ever published. Either is taken from both.
#[derive(Deserialize)]
struct Member<'a> {
    #[serde(borrow, default)]
    channelid: Text<'a>,
    #[serde(default)]
    memberstatus: Presence,
    #[serde(borrow, default)]
    ext: Items<Legs<'a>>,
    #[serde(borrow, default)]
    inbound: Items<Legs<'a>>,
    #[serde(borrow, default)]
    outbound: Items<Legs<'a>>,
}

/// What a member was wrapped in, which is one leg as a rule.
#[derive(Default)]
struct Legs<'a> {
    first: Option<Leg<'a>>,
    others: Vec<Leg<'a>>,
}

impl<'de: 'a, 'a> FromItems<'de> for Legs<'a> {
    type Item = Leg<'a>;

    fn add(&mut self, leg: Leg<'a>) -> Result<(), &'static str> {
        if self.first.is_none() {
            self.first = Some(leg);
        } else {
            self.others.push(leg);
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Leg<'a> {
    #[serde(borrow, default)]
    channelid: Text<'a>,
    #[serde(default)]
    memberstatus: Presence,
}

enveloped!(Rooms, InSession);

/// What is kept of the rooms for the live query.
#[derive(Default)]
pub(super) struct Known {
    /// Their numbers, in the order of the answer and with commas between them, as the live query wants them.
    pub(super) numbers: String,
    /// Their names by number, where they are to be shown and the live answer may carry none.
    names: HashMap<String, String>,
}

/// The measures of the rooms, those of `settings` among them, and if `with_known` what the live query
/// needs of them.
pub(super) fn rooms(
    answer: Rooms<'_>,
    settings: &[Measure],
    shown: Conferences,
    with_known: bool,
) -> Result<(Observation, Known), Fault> {
    let List(rooms) = answer.conferences.ok_or(Fault::new(Reason::Decode))?;
    // A name may be a person's: it is kept only where it is to be shown.
    let named = shown.enabled && shown.identify == Identify::Name;
    let mut known = Known::default();
    let mut seen = HashSet::with_capacity(rooms.len());
    let mut found = [Setting::default(); SETTINGS.len()];
    for room in &rooms {
        let number = room.number.as_str();
        if number.is_empty() {
            // It could not be told from another one, nor be asked who is in it.
            return Err(Fault::new(Reason::Decode));
        }
        if !seen.insert(number) {
            continue;
        }
        for (setting, value) in found.iter_mut().zip(room.settings()) {
            setting.add(value);
        }
        if with_known {
            if !known.numbers.is_empty() {
                known.numbers.push(',');
            }
            known.numbers.push_str(number);
        }
        if with_known && named {
            known.names.insert(number.to_owned(), room.name.as_str().to_owned());
        }
    }
    let count = seen.len() as u64;
    let mut observation = Observation::new();
    observation.set(Measure::Rooms, count);
    for (setting, measure) in found.into_iter().zip(SETTINGS) {
        if settings.contains(&measure) {
            setting.report(count, measure, &mut observation);
        }
    }
    Ok((observation, known))
}

/// The conferences in session.
pub(super) fn in_session<'a>(
    answer: InSession<'a>,
    known: &Known,
    shown: Conferences,
) -> Result<Live<'a>, Fault> {
    let List(entries) = answer.conference.ok_or(Fault::new(Reason::Decode))?;
    let mut live = Live::new(shown);
    for entry in entries {
        let (call, number) = (entry.callid.0, entry.conferencenumber.0);
        let name = match entry.conferencename.as_str() {
            // A map: an answer of 8 MiB may carry hundreds of thousands of both.
            "" => known.names.get(number.as_ref()).map_or("", String::as_str),
            name => name,
        };
        let Items(Present(members)) = entry.members;
        live.add(call, Cow::clone(&number), name, members)?;
    }
    Ok(live)
}
