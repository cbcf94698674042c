//! What a Yeastar S-Series answers, and what is counted in it.

use std::collections::HashSet;

use serde::Deserialize;

use crate::{
    config::Conferences,
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

/// The settings of a room, in the order of the answer's documentation.
pub(super) const SETTINGS: &[Measure] = &[
    Measure::RoomsMuteOnJoin,
    Measure::RoomsWaitForModerator,
    Measure::RoomsAllowInvite,
    Measure::RoomsMusicOnHold,
    Measure::RoomsModerated,
    Measure::RoomsPinProtected,
];

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
    #[serde(default, deserialize_with = "present")]
    participantepassword: Option<IsSet>,
    waitformoderator: Option<Flag>,
    allowinvite: Option<Flag>,
    #[serde(default, deserialize_with = "present")]
    moderators: Option<IsSet>,
    musiconhold: Option<Flag>,
    mute: Option<Flag>,
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
    #[serde(borrow, default)]
    callid: Text<'a>,
    #[serde(borrow, default)]
    conferencenumber: Text<'a>,
    #[serde(borrow, default)]
    conferencename: Name<'a>,
    #[serde(borrow, alias = "member")]
    members: List<Member<'a>>,
}

/// The table types the wrapped values as lists, the sample of the sibling event as objects. No
/// sample of this answer was ever published: members without a wrapper, as the vendor's other
/// systems send them, are taken as well.
#[derive(Deserialize)]
struct Member<'a> {
    #[serde(borrow, default)]
    channelid: Text<'a>,
    #[serde(default)]
    memberstatus: Presence,
    #[serde(borrow, default)]
    ext: List<Leg<'a>>,
    #[serde(borrow, default)]
    inbound: List<Leg<'a>>,
    #[serde(borrow, default)]
    outbound: List<Leg<'a>>,
}

#[derive(Deserialize)]
struct Leg<'a> {
    #[serde(borrow, default)]
    channelid: Text<'a>,
    #[serde(default)]
    memberstatus: Presence,
}

enveloped!(Rooms, InSession);

/// The measures of the rooms, and if `with_numbers` the numbers of the rooms: they are only needed
/// where rooms may have to be asked for one by one.
pub(super) fn rooms(
    answer: Rooms<'_>,
    with_numbers: bool,
) -> Result<(Observation, Vec<String>), Fault> {
    let List(rooms) = answer.conferences.ok_or(Fault::new(Reason::Decode))?;
    let mut seen = HashSet::with_capacity(rooms.len());
    let mut settings = [Setting::default(); 6];
    for room in &rooms {
        if !seen.insert(room.number.as_str()) {
            continue;
        }
        let flag = |flag: Option<Flag>| flag.and_then(|flag| flag.0);
        let values = [
            flag(room.mute),
            flag(room.waitformoderator),
            flag(room.allowinvite),
            flag(room.musiconhold),
            room.moderators.map(|moderators| moderators.0),
            room.participantepassword.map(|pin| pin.0),
        ];
        for (setting, value) in settings.iter_mut().zip(values) {
            setting.add(value);
        }
    }
    let count = seen.len() as u64;
    let mut observation = Observation::new();
    observation.set(Measure::Rooms, count);
    for (setting, measure) in settings.into_iter().zip(SETTINGS) {
        setting.report(count, *measure, &mut observation);
    }
    let numbers = seen.into_iter().filter(|_| with_numbers).map(str::to_owned).collect();
    Ok((observation, numbers))
}

pub(super) fn in_session(answer: InSession<'_>, settings: Conferences) -> Result<Live<'_>, Fault> {
    let List(entries) = answer.conference.ok_or(Fault::new(Reason::Decode))?;
    let mut live = Live::new(settings);
    for entry in entries {
        let (call, number) = (entry.callid.0, entry.conferencenumber.0);
        let Some(members) = live.entry(call, number, entry.conferencename.as_str())? else {
            continue;
        };
        for member in entry.members.0 {
            members.add(member.channelid.0, member.memberstatus);
            for leg in [member.ext.0, member.inbound.0, member.outbound.0].into_iter().flatten() {
                members.add(leg.channelid.0, leg.memberstatus);
            }
        }
    }
    Ok(live)
}
