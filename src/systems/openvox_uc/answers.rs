//! What an OpenVox UC answers, and what is counted in it.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use serde::Deserialize;

use crate::{
    config::{Conferences, Identify},
    model::{Measure, Observation, Reason},
    net::{
        Fault,
        lenient::{Flag, IsSet, List, Name, Text, present},
    },
    systems::{
        Setting,
        pbx::{
            codes::enveloped,
            live::{Live, Presence},
        },
    },
};

#[derive(Deserialize)]
pub(super) struct Rooms<'a> {
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow, default)]
    errno: Text<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    conferences: Option<List<Room<'a>>>,
}

#[derive(Deserialize)]
struct Room<'a> {
    #[serde(borrow)]
    number: Text<'a>,
    #[serde(borrow, default)]
    name: Name<'a>,
    #[serde(default, deserialize_with = "present")]
    participantepassword: Option<IsSet>,
    waitformoderator: Option<Flag>,
}

#[derive(Deserialize)]
pub(super) struct InSession<'a> {
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow, default)]
    errno: Text<'a>,
    #[serde(borrow, default, alias = "conferences", deserialize_with = "present")]
    conference: Option<List<Entry<'a>>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    conferencenumber: Text<'a>,
    #[serde(borrow, default)]
    conferencename: Name<'a>,
    #[serde(borrow, alias = "members")]
    member: List<Member<'a>>,
}

#[derive(Deserialize)]
struct Member<'a> {
    #[serde(borrow, default)]
    channelid: Text<'a>,
    #[serde(default)]
    memberstatus: Presence,
}

enveloped!(Rooms, InSession);

/// What is kept of the rooms.
pub(super) struct RoomTally {
    /// The rooms' numbers, as the live query wants them.
    pub(super) numbers: Vec<String>,
    /// Names by number, where they are to be shown; the live answers carry none.
    names: HashMap<String, String>,
    wait_for_moderator: Setting,
    pin_protected: Setting,
}

impl RoomTally {
    pub(super) fn report(&self, observation: &mut Observation) {
        let rooms = self.numbers.len() as u64;
        observation.set(Measure::Rooms, rooms);
        self.wait_for_moderator.report(rooms, Measure::RoomsWaitForModerator, observation);
        self.pin_protected.report(rooms, Measure::RoomsPinProtected, observation);
    }
}

pub(super) fn rooms(answer: Rooms<'_>, settings: Conferences) -> Result<RoomTally, Fault> {
    let List(rooms) = answer.conferences.ok_or(Fault::new(Reason::Decode))?;
    // A name may be a person's: it is kept only where it is to be shown.
    let named = settings.enabled && settings.identify == Identify::Name;
    let mut seen = HashSet::with_capacity(rooms.len());
    let mut tally = RoomTally {
        numbers: Vec::new(),
        names: HashMap::new(),
        wait_for_moderator: Setting::default(),
        pin_protected: Setting::default(),
    };
    for room in &rooms {
        if !seen.insert(room.number.as_str()) {
            continue;
        }
        let number = room.number.as_str().to_owned();
        if named {
            tally.names.insert(number.clone(), room.name.as_str().to_owned());
        }
        tally.numbers.push(number);
        tally.wait_for_moderator.add(room.waitformoderator.and_then(|flag| flag.0));
        tally.pin_protected.add(room.participantepassword.map(|pin| pin.0));
    }
    Ok(tally)
}

pub(super) fn in_session<'a>(
    answer: InSession<'a>,
    known: &RoomTally,
    settings: Conferences,
) -> Result<Live<'a>, Fault> {
    let List(entries) = answer.conference.ok_or(Fault::new(Reason::Decode))?;
    let mut live = Live::new(settings);
    for entry in entries {
        let number = entry.conferencenumber.0;
        let name = match entry.conferencename.as_str() {
            // A map: an answer of 8 MiB may carry hundreds of thousands of both.
            "" => known.names.get(number.as_ref()).map_or("", String::as_str),
            name => name,
        };
        let Some(members) = live.entry(Cow::Borrowed(""), Cow::clone(&number), name)? else {
            continue;
        };
        for member in entry.member.0 {
            members.add(member.channelid.0, member.memberstatus);
        }
    }
    Ok(live)
}
