// SPDX-License-Identifier: Apache-2.0
//! What BigBlueButton answers, and what is counted in it.
//!
//! Elements are read by their place and never by their name alone: `metadata` and `customdata` may hold elements that are
//! called as ours. Source: bbb-web's template of the answer, 2.4 to 3.0, and those of Scalelite, b3lb and b3scale.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    config::{Conferences, Identify},
    model::{Conference, Measure, Observation, Reason, Sizes},
    net::{Fault, xml::Xml},
};

/// What is reported besides [`Sizes::MEASURES`].
pub(super) const OF_PEOPLE: &[Measure] =
    &[Measure::ParticipantsCameraOn, Measure::ParticipantsModerators];

/// Largest count accepted: what a float renders exactly.
const MAX_COUNT: u64 = 1 << 53;

/// What may be the matter where the API itself answers.
const UNREADABLE: &str = "the API answers, and its list cannot be read: a name that XML does not allow, in a userdata- parameter \
                          of somebody's join link, is one cause";

const fn decode() -> Fault {
    Fault::new(Reason::Decode)
}

/// An answer to `getMeetings`.
pub(super) enum Body<'a> {
    Success(Meetings<'a>),
    Failed {
        /// `messageKey`; empty where there is none.
        key: Cow<'a, str>,
    },
}

impl<'a> Body<'a> {
    /// Reads the answer.
    pub(super) fn read(answer: &'a [u8], settings: Conferences) -> Result<Self, Fault> {
        let (mut returncode, mut key) = (None, None);
        let mut meetings: Option<Meetings<'a>> = None;
        let mut is_something_else = false;
        let read = Xml::read(answer, "response", |xml, name| match name {
            "returncode" => once(&mut returncode, xml.text()?),
            "messageKey" => once(&mut key, xml.text()?),
            "message" => Ok(()),
            "meetings" => {
                let mut read = Meetings { settings, by_id: BTreeMap::new() };
                xml.children(|xml, name| {
                    if name == "meeting" {
                        read.add(Meeting::read(xml)?);
                    }
                    Ok(())
                })?;
                once(&mut meetings, read)
            }
            _ => {
                is_something_else = true;
                Ok(())
            }
        });
        if let Err(fault) = read {
            let is_of_the_api = returncode.as_deref() == Some("SUCCESS");
            return Err(fault.advise(is_of_the_api.then_some(UNREADABLE)));
        }
        match returncode.as_deref() {
            Some("FAILED") => Ok(Self::Failed { key: key.unwrap_or_default() }),
            Some("SUCCESS") => match meetings {
                Some(meetings) => Ok(Self::Success(meetings)),
                // b3scale leaves the list out where there is nothing in it. The index page, which
                // a wrong path leads to, is a success without meetings too, and has a version.
                None if !is_something_else => {
                    Ok(Self::Success(Meetings { settings, by_id: BTreeMap::new() }))
                }
                None => Err(decode()),
            },
            Some(_) | None => Err(decode()),
        }
    }
}

/// The meetings of one answer.
pub(super) struct Meetings<'a> {
    settings: Conferences,
    /// By `internalMeetingID`: each once, and in an order that does not depend on the answer's.
    by_id: BTreeMap<Cow<'a, str>, Meeting<'a>>,
}

struct Meeting<'a> {
    /// `meetingID`, which a room keeps over its meetings.
    id: Cow<'a, str>,
    /// `internalMeetingID`, another one each time.
    internal_id: Cow<'a, str>,
    name: Cow<'a, str>,
    is_counted: bool,
    participants: u64,
    moderators: Option<u64>,
    cameras: Option<u64>,
    /// In milliseconds since the epoch; 0: not yet.
    start: u64,
}

impl<'a> Meeting<'a> {
    fn read(xml: &mut Xml<'a>) -> Result<Self, Fault> {
        let (mut id, mut internal_id, mut name) = (None, None, None);
        let (mut running, mut ended, mut breakout) = (None, None, None);
        let (mut participants, mut moderators, mut start) = (None, None, None);
        let mut attendees = None;
        xml.children(|xml, element| match element {
            "meetingID" => once(&mut id, xml.text()?),
            "internalMeetingID" => once(&mut internal_id, xml.text()?),
            "meetingName" => once(&mut name, xml.text()?),
            "running" => once(&mut running, flag(&xml.text()?)?),
            "hasBeenForciblyEnded" => once(&mut ended, flag(&xml.text()?)?),
            "isBreakout" => once(&mut breakout, flag(&xml.text()?)?),
            "participantCount" => once(&mut participants, count(&xml.text()?)?),
            "moderatorCount" => once(&mut moderators, count(&xml.text()?)?),
            "startTime" => once(&mut start, count(&xml.text()?)?),
            "attendees" => once(&mut attendees, Attendees::read(xml)?),
            _ => Ok(()),
        })?;
        let is_given = |id: &Cow<'_, str>| !id.is_empty();
        let (id, internal_id) = (id.filter(is_given), internal_id.filter(is_given));
        let either = id.clone().or_else(|| internal_id.clone()).ok_or(decode())?;
        let participants = participants.ok_or(decode())?;
        let running = running.ok_or(decode())?;
        let attendees = attendees.unwrap_or_default();
        // A proxy or a balancer may have cut the people out.
        let is_cut = participants > 0 && attendees.listed == 0;
        Ok(Self {
            id: id.unwrap_or_else(|| either.clone()),
            internal_id: internal_id.unwrap_or(either),
            name: name.unwrap_or_default(),
            // People in a breakout room are in the main meeting as well, and all of them are moderators.
            is_counted: running && ended != Some(true) && breakout != Some(true),
            participants,
            // Until late 2024 this has those who left within the last minute, too: there may be more
            // than participants.
            moderators,
            cameras: attendees.cameras.filter(|_| !is_cut),
            start: start.unwrap_or_default(),
        })
    }
}

struct Attendees {
    listed: u64,
    /// `None`: of somebody it is not said.
    cameras: Option<u64>,
}

impl Default for Attendees {
    fn default() -> Self {
        Self { listed: 0, cameras: Some(0) }
    }
}

impl Attendees {
    fn read(xml: &mut Xml<'_>) -> Result<Self, Fault> {
        let mut attendees = Self::default();
        xml.children(|xml, name| {
            if name != "attendee" {
                return Ok(());
            }
            let mut camera = None;
            xml.children(|xml, name| match name {
                "hasVideo" => once(&mut camera, flag(&xml.text()?)?),
                _ => Ok(()),
            })?;
            attendees.listed += 1;
            attendees.cameras =
                attendees.cameras.zip(camera).map(|(cameras, on)| cameras + u64::from(on));
            Ok(())
        })?;
        Ok(attendees)
    }
}

impl<'a> Meetings<'a> {
    fn add(&mut self, meeting: Meeting<'a>) {
        if meeting.is_counted {
            self.by_id.entry(Cow::clone(&meeting.internal_id)).or_insert(meeting);
        }
    }

    pub(super) fn observation(self) -> Observation {
        let settings = self.settings;
        let mut observation = Observation::new();
        let mut sizes = Sizes::default();
        let (mut cameras, mut moderators) = (Some(0_u64), Some(0_u64));
        for meeting in self.by_id.into_values() {
            sizes.add(Some(meeting.participants));
            cameras = cameras.zip(meeting.cameras).map(|(all, some)| all + some);
            moderators = moderators.zip(meeting.moderators).map(|(all, some)| all + some);
            if settings.enabled {
                observation.conferences.push(Conference {
                    id: meeting.id.into_owned(),
                    // A meeting has no number: `voiceBridge` is what callers dial to get in.
                    label: (settings.identify == Identify::Name).then(|| meeting.name.into_owned()),
                    participants: Some(meeting.participants),
                    muted: None,
                    started_at: i64::try_from(meeting.start / 1_000)
                        .ok()
                        .filter(|start| *start > 0),
                });
            }
        }
        sizes.report(&mut observation);
        observation.set_if_reported(Measure::ParticipantsCameraOn, cameras);
        observation.set_if_reported(Measure::ParticipantsModerators, moderators);
        observation
    }
}

/// Notes what may be there once only.
fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Fault> {
    if slot.is_some() {
        return Err(decode());
    }
    *slot = Some(value);
    Ok(())
}

fn flag(text: &str) -> Result<bool, Fault> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(decode()),
    }
}

/// Reads a count. Until 2025 it is written as the server's language groups its digits, in threes: `1,234`, `1.234`,
/// `1 234` with a blank of several kinds, `1'234`.
fn count(text: &str) -> Result<u64, Fault> {
    let is_digit = |c: char| c.is_ascii_digit();
    let separator = text.chars().find(|c| !is_digit(*c));
    let number = match separator {
        None => text.parse(),
        Some(mark @ (',' | '.' | '\'' | '\u{2019}' | ' ' | '\u{a0}' | '\u{202f}')) => {
            let mut groups = text.split(mark);
            let first = groups.next().unwrap_or_default();
            let are_threes = groups.all(|group| group.len() == 3 && group.chars().all(is_digit));
            if !(1..=3).contains(&first.len()) || !are_threes {
                return Err(decode());
            }
            text.replace(mark, "").parse()
        }
        Some(_) => return Err(decode()),
    };
    number.ok().filter(|number| *number <= MAX_COUNT).ok_or(decode())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_with_thousands_separators_of_all_kinds() {
        for text in ["1234567", "1,234,567", "1.234.567", "1 234 567", "1'234'567"] {
            assert_eq!(count(text), Ok(1_234_567), "{text}");
        }
        for mark in ["\u{2019}", "\u{a0}", "\u{202f}"] {
            assert_eq!(count(&format!("12{mark}345")), Ok(12_345), "{mark:?}");
        }
        for (text, number) in [("0", 0), ("7", 7), ("007", 7), ("9007199254740992", MAX_COUNT)] {
            assert_eq!(count(text), Ok(number));
        }
    }

    #[test]
    fn what_is_no_count_is_an_error_and_never_zero() {
        for text in [
            "",
            " ",
            "-1",
            "+1",
            "1.5",
            "1,5",
            "1,23",
            "1,2345",
            "1,,234",
            ",234",
            "1,234,",
            "1,234.567",
            "1234,567",
            "1e3",
            "0x10",
            "NaN",
            "many",
            "1_000",
            "\u{661}\u{662}",
            "\u{6f1}\u{6f2}",
            "9007199254740993",
            "18446744073709551616",
            "1\u{2009}234",
            "1 234 ",
            "1,234 567",
        ] {
            assert_eq!(count(text), Err(decode()), "{text:?}");
        }
    }
}
