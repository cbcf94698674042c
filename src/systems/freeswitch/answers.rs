// SPDX-License-Identifier: Apache-2.0
//! What FreeSWITCH answers about its conferences, and what is counted in it.
//!
//! The answers name callers and their numbers: what has no field here is skipped while decoding.

use std::collections::HashSet;

use serde::Deserialize;

use super::codes::Code;
use crate::{
    config::{Conferences, Identify},
    model::{Conference, Measure, Observation, Reason, Sizes},
    net::{
        Answer, Fault,
        lenient::{Flag, Name, Number, Text, is_unreadable},
    },
};

/// What is reported besides [`Sizes::MEASURES`].
pub(super) const PEOPLE: &[Measure] = &[
    Measure::ParticipantsWaiting,
    Measure::ParticipantsMuted,
    Measure::ParticipantsMuteReported,
    Measure::ParticipantsCameraOn,
    Measure::ParticipantsModerators,
    Measure::ConferencesLocked,
    Measure::ConferencesRecording,
];

/// The answer to a command, as [`super::event_socket`] passes it on.
#[derive(Deserialize)]
pub(super) struct Replied<'a> {
    #[serde(borrow)]
    header: Header<'a>,
}

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow, default, rename = "Reply-Text")]
    reply_text: Text<'a>,
}

/// What a command was answered.
pub(super) enum Reply {
    Accepted,
    Refused(Code),
}

impl Replied<'_> {
    pub(super) fn reply(self) -> Result<Reply, Fault> {
        let text = self.header.reply_text;
        if text.as_str().starts_with("+OK") {
            Ok(Reply::Accepted)
        } else if text.as_str().starts_with("-ERR") {
            Ok(Reply::Refused(Code::of(text.as_str())))
        } else {
            Err(Fault::new(Reason::Decode))
        }
    }
}

/// The answer to `json_list`.
#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    body: Vec<Entry<'a>>,
}

/// The same, if it is none.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    body: Text<'a>,
}

/// A conference that is going on.
#[derive(Deserialize)]
pub(super) struct Entry<'a> {
    #[serde(borrow)]
    conference_name: Name<'a>,
    #[serde(borrow, default)]
    conference_uuid: Text<'a>,
    wait_mod: Flag,
    locked: Flag,
    recording: Flag,
    /// In seconds; negative where FreeSWITCH's clock was set back meanwhile.
    #[serde(default)]
    run_time: Number,
    #[serde(borrow)]
    members: Vec<Member<'a>>,
}

/// Somebody in a conference, or its recording.
#[derive(Deserialize)]
struct Member<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default)]
    uuid: Text<'a>,
    /// A recording has none.
    flags: Option<Flags>,
}

#[derive(Deserialize)]
struct Flags {
    can_speak: Flag,
    #[serde(default)]
    hold: Flag,
    has_video: Flag,
    is_moderator: Flag,
}

/// The conferences of an answer to `json_list`, or what its refusal means.
pub(super) fn conferences(answer: &Answer) -> Result<Vec<Entry<'_>>, Fault> {
    if let Ok(Listed { body }) = answer.decode() {
        return Ok(body);
    }
    // A command that is refused before it is run is answered in the header, any other in the body.
    if let Reply::Refused(code) = answer.decode::<Replied<'_>>()?.reply().unwrap_or(Reply::Accepted)
    {
        return Err(code.on_query());
    }
    let told: Told<'_> = answer.decode()?;
    let code = Code::of(told.body.as_str());
    if code == Code::Other && !told.body.as_str().starts_with("-ERR") {
        return Err(Fault::new(Reason::Decode));
    }
    Err(code.on_query())
}

/// Who is in one conference.
#[derive(Clone, Copy, Default)]
struct People {
    joined: u64,
    waiting: u64,
    muted: u64,
    camera_on: u64,
    moderators: u64,
}

impl People {
    /// Counts each caller once. All of them wait until a moderator comes.
    fn of(members: &[Member<'_>], all_wait: bool) -> Result<Self, Fault> {
        let mut people = Self::default();
        let mut seen = HashSet::new();
        for member in members.iter().filter(|member| member.kind.as_str() == "caller") {
            let id = member.uuid.as_str();
            if !id.is_empty() && !seen.insert(id) {
                continue;
            }
            let flags = member.flags.as_ref().ok_or(Fault::new(Reason::Decode))?;
            // Whoever is on hold cannot speak either, and has not switched the microphone off.
            let is_muted = !told(flags.can_speak)? && flags.hold.0 != Some(true);
            let (has_video, is_moderator) = (told(flags.has_video)?, told(flags.is_moderator)?);
            if all_wait {
                people.waiting += 1;
                continue;
            }
            people.joined += 1;
            people.muted += u64::from(is_muted);
            people.camera_on += u64::from(has_video);
            people.moderators += u64::from(is_moderator);
        }
        Ok(people)
    }
}

fn told(flag: Flag) -> Result<bool, Fault> {
    flag.0.ok_or(Fault::new(Reason::Decode))
}

/// The conferences, each once, with the people in it. `now` is in seconds since 1970.
pub(super) fn observation(
    entries: Vec<Entry<'_>>,
    settings: Conferences,
    now: i64,
) -> Result<Observation, Fault> {
    let mut observation = Observation::new();
    let mut sizes = Sizes::default();
    let mut all = People::default();
    let (mut locked, mut recording) = (0, 0);
    let mut seen = HashSet::new();
    for entry in entries {
        let name = entry.conference_name.0;
        let has_uuid = !entry.conference_uuid.is_empty();
        // Without an id of its own, one is told from others by its name alone.
        if name.is_empty() || !has_uuid && is_unreadable(&name) {
            return Err(Fault::new(Reason::Decode));
        }
        let id = if has_uuid { entry.conference_uuid.0.into_owned() } else { name.to_string() };
        if !seen.insert(id) {
            continue;
        }
        let people = People::of(&entry.members, told(entry.wait_mod)?)?;
        sizes.add(Some(people.joined));
        all.joined += people.joined;
        all.waiting += people.waiting;
        all.muted += people.muted;
        all.camera_on += people.camera_on;
        all.moderators += people.moderators;
        locked += u64::from(told(entry.locked)?);
        recording += u64::from(told(entry.recording)?);
        if settings.enabled {
            let run_time = entry.run_time.0.filter(|seconds| *seconds >= 0);
            observation.conferences.push(Conference {
                // A conference has one name, which is its number.
                label: (settings.identify != Identify::Hash).then(|| name.to_string()),
                id: name.into_owned(),
                participants: Some(people.joined),
                muted: Some(people.muted),
                started_at: run_time.and_then(|seconds| now.checked_sub(seconds)),
            });
        }
    }
    sizes.report(&mut observation);
    let values =
        [all.waiting, all.muted, all.joined, all.camera_on, all.moderators, locked, recording];
    for (measure, value) in PEOPLE.iter().zip(values) {
        observation.set(*measure, value);
    }
    Ok(observation)
}
