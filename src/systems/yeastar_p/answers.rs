// SPDX-License-Identifier: Apache-2.0
//! What a Yeastar P-Series answers, and what is counted in it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::codes::enveloped;
use crate::{
    config::Conferences,
    model::{Measure, Observation, Reason},
    net::{
        Fault,
        lenient::{Flag, FromItems, IsSet, Items, List, Name, Number, Object, Text, present},
    },
    systems::{
        Setting,
        pbx::live::{Live, Members, Presence},
    },
};

/// The measures of the rooms' settings.
pub(super) const DETAILS: &[Measure] =
    &[Measure::RoomsWaitForModerator, Measure::RoomsAllowInvite, Measure::RoomsPinProtected];

#[derive(Deserialize)]
pub(super) struct Page<'a> {
    errcode: Number,
    #[serde(default)]
    total_number: Number,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
}

/// The items of an answer's list. Sibling calls of an idle PBX were seen to leave it out, and an empty
/// object is a spelling of nothing as well; both are `None`.
fn items<'a, T: Deserialize<'a>>(data: Option<&'a RawValue>) -> Result<Option<Vec<T>>, Fault> {
    /// An object with nothing in it.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Empty {}

    let Some(data) = data.map(RawValue::get) else { return Ok(None) };
    if data.starts_with('{') && serde_json::from_str::<Object<Empty>>(data).is_ok() {
        return Ok(None);
    }
    let List(items) = serde_json::from_str(data).map_err(|_| Fault::new(Reason::Decode))?;
    Ok(Some(items))
}

#[derive(Deserialize)]
struct Room {
    id: Number,
    #[serde(default, deserialize_with = "present")]
    moderator_list: Option<IsSet>,
}

#[derive(Deserialize)]
pub(super) struct Detail {
    errcode: Number,
    pub(super) data: Option<DetailData>,
}

#[derive(Deserialize)]
pub(super) struct DetailData {
    enb_wait_moderator: Option<Flag>,
    allow_partic_invite: Option<Flag>,
    has_partic_password: Option<Flag>,
}

#[derive(Deserialize)]
pub(super) struct Ongoing<'a> {
    errcode: Number,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    call_id: Text<'a>,
    #[serde(borrow, default)]
    conference_number: Text<'a>,
    #[serde(borrow, default)]
    conference_name: Name<'a>,
    #[serde(borrow)]
    members: Items<Present<'a>>,
}

/// The members of an entry.
#[derive(Default)]
struct Present<'a>(Members<'a>);

impl<'de: 'a, 'a> FromItems<'de> for Present<'a> {
    type Item = Member<'a>;

    fn add(&mut self, member: Member<'a>) -> Result<(), &'static str> {
        self.0.add(member.channel_id.0, member.member_status);
        Ok(())
    }
}

#[derive(Deserialize)]
struct Member<'a> {
    #[serde(borrow, default)]
    channel_id: Text<'a>,
    #[serde(default)]
    member_status: Presence,
}

/// One page of rooms.
pub(super) struct RoomPage {
    /// Ids, each with whether the room has a moderator.
    pub(super) rooms: Vec<(i64, Option<bool>)>,
    /// How many rooms there are on all pages, by the PBX's word.
    pub(super) total: Option<i64>,
}

impl Page<'_> {
    pub(super) fn rooms(self) -> Result<RoomPage, Fault> {
        let decode = Fault::new(Reason::Decode);
        let rooms = match items::<Room>(self.data)? {
            None if self.total_number.0.is_some_and(|n| n > 0) => return Err(decode),
            rooms => rooms.unwrap_or_default(),
        };
        let rooms = rooms.into_iter().map(|room| {
            let id = room.id.0.ok_or_else(|| decode.clone())?;
            Ok((id, room.moderator_list.map(|moderators| moderators.0)))
        });
        Ok(RoomPage { rooms: rooms.collect::<Result<_, Fault>>()?, total: self.total_number.0 })
    }
}

enveloped!(Page<'_>, Detail, Ongoing<'_>);

/// The settings of all rooms.
#[derive(Clone, Copy, Default)]
pub(super) struct RoomSettings {
    rooms: u64,
    wait_for_moderator: Setting,
    allow_invite: Setting,
    pin_protected: Setting,
}

impl RoomSettings {
    pub(super) fn add(&mut self, room: &DetailData) {
        let flag = |flag: Option<Flag>| flag.and_then(|flag| flag.0);
        self.rooms += 1;
        self.wait_for_moderator.add(flag(room.enb_wait_moderator));
        self.allow_invite.add(flag(room.allow_partic_invite));
        self.pin_protected.add(flag(room.has_partic_password));
    }

    pub(super) fn report(self, observation: &mut Observation) {
        let settings = [self.wait_for_moderator, self.allow_invite, self.pin_protected];
        for (setting, measure) in settings.into_iter().zip(DETAILS) {
            setting.report(self.rooms, *measure, observation);
        }
    }
}

pub(super) fn ongoing(answer: Ongoing<'_>, settings: Conferences) -> Result<Live<'_>, Fault> {
    let mut live = Live::new(settings);
    for entry in items::<Entry<'_>>(answer.data)?.unwrap_or_default() {
        let (call, number) = (entry.call_id.0, entry.conference_number.0);
        let Items(Present(members)) = entry.members;
        live.add(call, number, entry.conference_name.as_str(), members)?;
    }
    Ok(live)
}
