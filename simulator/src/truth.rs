// SPDX-License-Identifier: Apache-2.0
//! What a perfect exporter would report of a system, counted from the model.

use crate::model::{Conference, Participant, Population, Presence, Room};
use crate::registry::{Registry, Vendor};

/// One number for each measure of the exporter; `None`: this vendor has no such thing.
///
/// Measures the exporter reports only when asked to (`hosts`, `attendees`, `details`, `room_details`) are filled in;
/// whether they are to appear is the test's to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Truth {
    /// `conferencing_conferences{state="active"}`.
    pub conferences_active: Option<u64>,
    /// `conferencing_conferences{state="scheduled"}`.
    pub conferences_scheduled: Option<u64>,
    /// `conferencing_participants{state="joined"}`.
    pub participants_joined: Option<u64>,
    /// `conferencing_participants{state="waiting"}`.
    pub participants_waiting: Option<u64>,
    /// `conferencing_participants{state="joining"}`; Huawei: of meetings with a host password.
    pub participants_joining: Option<u64>,
    /// `conferencing_participants{state="invited"}`; Huawei: of meetings with a host password.
    pub participants_invited: Option<u64>,
    /// `conferencing_invitees`: everybody invited, whether or not they came.
    pub participants_invited_total: Option<u64>,
    /// `conferencing_participants_muted`; Huawei: of meetings with a host password.
    pub participants_muted: Option<u64>,
    /// `conferencing_participants_mute_reported`; Huawei: of meetings with a host password.
    pub participants_mute_reported: Option<u64>,
    /// `conferencing_participants_camera_on`.
    pub participants_camera_on: Option<u64>,
    /// `conferencing_participants_hand_raised`; of meetings with a host password.
    pub participants_hand_raised: Option<u64>,
    /// `conferencing_participants_moderators` with `hosts`: host and co-hosts present in meetings with a host password.
    pub participants_moderators_hosts: Option<u64>,
    /// `conferencing_participants_moderators` with `attendees` alone: hosts present in any meeting.
    pub participants_moderators_attendees: Option<u64>,
    /// `conferencing_participants_moderators` with both: by the host's word where it is known, else hosts present.
    pub participants_moderators: Option<u64>,
    /// `conferencing_largest_conference_participants`.
    pub largest_conference_participants: Option<u64>,
    /// `conferencing_conferences_mute_on_join`.
    pub conferences_mute_on_join: Option<u64>,
    /// `conferencing_conferences_all_muted`.
    pub conferences_all_muted: Option<u64>,
    /// `conferencing_rooms`.
    pub rooms: Option<u64>,
    /// `conferencing_rooms_mute_on_join`.
    pub rooms_mute_on_join: Option<u64>,
    /// `conferencing_rooms_wait_for_moderator`.
    pub rooms_wait_for_moderator: Option<u64>,
    /// `conferencing_rooms_allow_invite`.
    pub rooms_allow_invite: Option<u64>,
    /// `conferencing_rooms_music_on_hold`.
    pub rooms_music_on_hold: Option<u64>,
    /// `conferencing_rooms_moderated`.
    pub rooms_moderated: Option<u64>,
    /// `conferencing_rooms_pin_protected`.
    pub rooms_pin_protected: Option<u64>,
    /// `conferencing_conferences_locked`.
    pub conferences_locked: Option<u64>,
    /// `conferencing_conferences_recording`.
    pub conferences_recording: Option<u64>,
    /// The active conferences, the largest first, equals by id.
    pub conferences: Vec<ConferenceTruth>,
}

/// What is to be reported of one active conference.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ConferenceTruth {
    /// The vendor's id.
    pub id: String,
    /// The number, without blanks.
    pub number: String,
    /// The name, trimmed.
    pub name: String,
    /// How many are in.
    pub participants: u64,
    /// How many of them are muted; `None` where the vendor tells nobody's microphone.
    pub muted: Option<u64>,
    /// When it began; `None` where the vendor does not say.
    pub start_unix: Option<i64>,
    /// Seen by the account that logs in even without `queryAll` (Huawei).
    pub own: bool,
}

impl Truth {
    /// Counts a population as this built-in system's exporter should.
    ///
    /// # Panics
    ///
    /// If the system is not built in: one that is added at run time is asked by
    /// [`SimulatedSystem::truth`](crate::SimulatedSystem::truth).
    pub fn of(vendor: Vendor, population: &Population) -> Self {
        match Registry::default().system(vendor) {
            Some(system) => system.truth(population),
            None => panic!("{vendor:?} is not built in"),
        }
    }

    /// Fills in what every system reports of the conferences going on: how many, how many are in, the largest.
    pub fn count_live(&mut self, live: &[&Conference]) {
        self.conferences_active = Some(live.len() as u64);
        self.participants_joined = Some(people(live, joined));
        self.largest_conference_participants =
            Some(live.iter().map(|c| c.joined() as u64).max().unwrap_or(0));
    }
}

pub(crate) fn joined(participant: &Participant) -> bool {
    participant.presence == Presence::Joined
}

pub(crate) fn people(of: &[&Conference], such: impl Fn(&Participant) -> bool) -> u64 {
    of.iter().flat_map(|c| &c.participants).filter(|p| such(p)).count() as u64
}

/// How many rooms have the setting on; `None` where there are rooms and none of them carries the key.
pub(crate) fn setting(rooms: &[Room], of: impl Fn(&Room) -> Option<bool>) -> Option<u64> {
    let known: Vec<_> = rooms.iter().filter_map(of).collect();
    if known.is_empty() && !rooms.is_empty() {
        return None;
    }
    Some(known.into_iter().filter(|on| *on).count() as u64)
}

pub(crate) fn has_pin(room: &Room) -> Option<bool> {
    room.participant_pin.as_ref().map(|pin| !pin.is_empty())
}

pub(crate) fn is_moderated(room: &Room) -> Option<bool> {
    room.moderators.as_ref().map(|moderators| !moderators.is_empty())
}

pub(crate) fn muted(conference: &Conference) -> Option<u64> {
    let known: Vec<_> =
        conference.participants.iter().filter(|p| joined(p)).filter_map(|p| p.muted).collect();
    (!known.is_empty()).then(|| known.into_iter().filter(|muted| *muted).count() as u64)
}

pub(crate) fn listed(
    live: &[&Conference],
    muted: impl Fn(&Conference) -> Option<u64>,
    start: impl Fn(&Conference) -> Option<i64>,
) -> Vec<ConferenceTruth> {
    let mut list: Vec<_> = live
        .iter()
        .map(|c| ConferenceTruth {
            id: c.id.clone(),
            number: c.number.split_whitespace().collect(),
            name: c.name.trim().to_owned(),
            participants: c.joined() as u64,
            muted: muted(c),
            start_unix: start(c),
            own: c.own,
        })
        .collect();
    list.sort_by(|a, b| b.participants.cmp(&a.participants).then_with(|| a.id.cmp(&b.id)));
    list
}
