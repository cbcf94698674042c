// SPDX-License-Identifier: Apache-2.0
//! Counting meetings: those of one answer, and all of them.

use std::collections::HashSet;

use serde::{Deserialize, de::IgnoredAny};

use super::{
    codes::Reply,
    discovery::{Listing, seconds},
    people::People,
};
use crate::{
    config::{Conferences, Identify},
    model::{Conference, Measure, Observation, Reason, Sizes},
    net::{
        Fault,
        lenient::{Count, Items, List, Name, Number, Text, present},
    },
    systems::Setting,
};

/// The bit of `mediaStatus` that says everyone is muted by force.
const ALL_MUTED: u64 = 4;

/// The answer to a query for meetings.
#[derive(Deserialize)]
pub(super) struct Infos<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    infos: Option<List<Info<'a>>>,
    #[serde(default)]
    errcode: Number,
    #[serde(default, deserialize_with = "present")]
    punish: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Info<'a> {
    #[serde(borrow, rename = "conferenceId")]
    id: Text<'a>,
    #[serde(borrow, default)]
    title: Name<'a>,
    #[serde(default, rename = "startTime")]
    start_time: Count,
    #[serde(default)]
    status: Count,
    #[serde(default, rename = "mediaStatus")]
    media_status: Count,
    #[serde(default, rename = "userList")]
    people: Items<People>,
}

/// A meeting in progress.
pub(super) struct Meeting {
    id: String,
    /// Only where the configuration asks for names.
    title: Option<String>,
    started_at: Option<i64>,
    /// Whether everyone is muted by force, where the answer says.
    all_muted: Option<bool>,
    people: People,
}

impl Reply for Infos<'_> {
    fn is_answer(&self) -> bool {
        self.errcode.0.unwrap_or(0) == 0 && self.punish.is_none() && self.infos.is_some()
    }
}

impl Infos<'_> {
    /// The meetings in progress.
    ///
    /// # Errors
    /// A meeting without an id.
    pub(super) fn in_progress(self, shown: Conferences) -> Result<Vec<Meeting>, Fault> {
        let names = shown.enabled && shown.identify == Identify::Name;
        let mut meetings = Vec::new();
        for info in self.infos.unwrap_or_default().0 {
            if info.id.is_empty() {
                return Err(Fault::new(Reason::Decode));
            }
            // Only meetings in progress can be asked for: one without a status is.
            if info.status.0.is_some_and(|status| status != 2) {
                continue;
            }
            meetings.push(Meeting {
                title: (names && !info.title.is_empty()).then(|| info.title.0.into_owned()),
                id: info.id.0.into_owned(),
                started_at: seconds(info.start_time),
                all_muted: info.media_status.0.map(|status| status & ALL_MUTED != 0),
                people: info.people.0,
            });
        }
        Ok(meetings)
    }
}

/// All meetings in progress, each once.
pub(super) struct Tally {
    shown: Conferences,
    seen: HashSet<String>,
    people: People,
    sizes: Sizes,
    all_muted: Setting,
    conferences: Vec<Conference>,
}

impl Tally {
    pub(super) fn new(shown: Conferences) -> Self {
        Self {
            shown,
            seen: HashSet::new(),
            people: People::default(),
            sizes: Sizes::default(),
            all_muted: Setting::default(),
            conferences: Vec::new(),
        }
    }

    /// Adds a meeting.
    pub(super) fn add(&mut self, meeting: Meeting, listing: &Listing) {
        let Meeting { id, title, started_at, all_muted, people } = meeting;
        if self.seen.contains(&id) {
            return;
        }
        self.sizes.add(Some(people.joined));
        self.people.merge(people);
        self.all_muted.add(all_muted);
        if self.shown.enabled {
            let listed = listing.get(&id);
            self.conferences.push(Conference {
                id: id.clone(),
                label: title.or_else(|| listed.and_then(|listed| listed.label.clone())),
                participants: Some(people.joined),
                muted: (people.joined == 0 || people.mute_reported > 0).then_some(people.muted),
                started_at: started_at.or_else(|| listed.and_then(|listed| listed.started_at)),
            });
        }
        self.seen.insert(id);
    }

    /// What was found.
    pub(super) fn observation(self) -> Observation {
        let mut observation = Observation::new();
        self.sizes.report(&mut observation);
        for (measure, value) in [
            (Measure::ParticipantsJoining, self.people.joining),
            (Measure::ParticipantsInvited, self.people.ringing),
            (Measure::ParticipantsMuted, self.people.muted),
            (Measure::ParticipantsMuteReported, self.people.mute_reported),
            (Measure::ParticipantsCameraOn, self.people.camera_on),
        ] {
            observation.set(measure, value);
        }
        self.all_muted.report(
            self.sizes.conferences(),
            Measure::ConferencesAllMuted,
            &mut observation,
        );
        observation.conferences = self.conferences;
        observation
    }
}

/// The measures of a tally besides [`Sizes::MEASURES`].
pub(super) const MEASURES: &[Measure] = &[
    Measure::ParticipantsJoining,
    Measure::ParticipantsInvited,
    Measure::ParticipantsMuted,
    Measure::ParticipantsMuteReported,
    Measure::ParticipantsCameraOn,
    Measure::ConferencesAllMuted,
];

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Conferences = Conferences { enabled: true, limit: 10, identify: Identify::Name };

    fn tally(json: &str) -> Option<Observation> {
        let infos: Infos<'_> = serde_json::from_str(json).ok()?;
        let mut tally = Tally::new(NAMES);
        if !infos.is_answer() {
            return None;
        }
        for meeting in infos.in_progress(NAMES).ok()? {
            tally.add(meeting, &Listing::default());
        }
        Some(tally.observation())
    }

    fn values(json: &str) -> Vec<Option<u64>> {
        let observation = tally(json).expect("an answer");
        let before = [Measure::ConferencesActive, Measure::ParticipantsJoined];
        let after = [Measure::LargestConferenceParticipants, Measure::ConferencesAllMuted];
        let people = &MEASURES[..MEASURES.len() - 1];
        before.iter().chain(people).chain(&after).map(|m| observation.value(*m)).collect()
    }

    #[test]
    fn the_documented_example_decodes() {
        let json = include_str!("../../../tests/data/dingtalk/videoConferences_query.json");
        assert_eq!(values(json), [1, 1, 0, 0, 0, 1, 1, 1, 0].map(Some));
        let observation = tally(json).unwrap();
        let [conference] = &observation.conferences[..] else { panic!("one conference") };
        assert_eq!(conference.id, "607452e0xxx");
        assert_eq!(conference.label.as_deref(), Some("Sample meeting"));
        assert_eq!((conference.participants, conference.muted), (Some(1), Some(0)));
        assert_eq!(conference.started_at, None);
    }

    #[test]
    fn what_cannot_be_meant_is_no_answer() {
        for answer in [
            "{}",
            r#"{"infos":{}}"#,
            r#"{"infos":[{"status":2}]}"#,
            r#"{"infos":[{"conferenceId":"","status":2}]}"#,
            r#"{"infos":[{"conferenceId":"a","status":-2}]}"#,
            r#"{"infos":[],"errcode":1}"#,
            r#"{"infos":[],"punish":"deny"}"#,
            r#"{"infos":[],"infos":[]}"#,
        ] {
            assert_eq!(tally(answer), None, "{answer}");
        }
    }

    #[test]
    fn only_meetings_in_progress_count_and_each_once() {
        let json = r#"{"errcode":0,"infos":[
            {"conferenceId":"a","status":2,"mediaStatus":5,"startTime":1700000000999,"title":" A ",
             "userList":[{"attendStatus":3,"micStatus":1},{"attendStatus":3,"micStatus":2}]},
            {"conferenceId":"a","status":2,"userList":[{"attendStatus":3}]},
            {"conferenceId":"b","startTime":"1700000000","mediaStatus":3,
             "userList":[{"attendStatus":3}]},
            {"conferenceId":"c","status":1,"mediaStatus":4,"userList":[{"attendStatus":3}]},
            {"conferenceId":"d","status":0},
            {"conferenceId":"e","status":"2","startTime":0}]}"#;
        assert_eq!(values(json), [3, 3, 0, 0, 1, 2, 0, 2, 1].map(Some));
        let observation = tally(json).unwrap();
        let rows: Vec<_> = observation
            .conferences
            .iter()
            .map(|row| (row.id.as_str(), row.label.as_deref(), row.muted, row.started_at))
            .collect();
        let start = Some(1_700_000_000);
        assert_eq!(
            rows,
            [
                ("a", Some("A"), Some(1), start),
                // Nobody in it says whether the microphone is off.
                ("b", None, None, start),
                ("e", None, Some(0), None),
            ]
        );
    }

    #[test]
    fn forced_muting_is_absent_where_no_meeting_says() {
        let all_muted = |json| tally(json).unwrap().value(Measure::ConferencesAllMuted);
        assert_eq!(all_muted(r#"{"infos":null}"#), Some(0));
        assert_eq!(all_muted(r#"{"infos":[]}"#), Some(0));
        assert_eq!(all_muted(r#"{"infos":[{"conferenceId":"a"}]}"#), None);
        assert_eq!(all_muted(r#"{"infos":[{"conferenceId":"a","mediaStatus":null}]}"#), None);
        let some = r#"{"infos":[{"conferenceId":"a"},{"conferenceId":"b","mediaStatus":2}]}"#;
        assert_eq!(all_muted(some), Some(0));
    }
}
