// SPDX-License-Identifier: Apache-2.0
//! The lists of meetings, and what is asked about each of them with the access token.
//!
//! Source: `support.huaweicloud.com/api-meeting/`: `meeting_21_0017` (meetings), `meeting_21_0025`
//! (ongoing ones), `meeting_21_0018` (details), "querying online attendees"
//! (`zh-cn_topic_0000002112516106`). What must not be seen (names, numbers, passwords, join
//! links) is skipped while decoding.

use std::{
    collections::{BTreeMap, HashSet, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use jiff::{civil::DateTime, tz::TimeZone};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{
    codes::{self, Content},
    login::{Login, Token},
};
use crate::{
    config::{Conferences, Identify},
    model::{CallName, Reason},
    net::{
        Call, Failure, Fault,
        lenient::{Count, Flag, FromItems, Items, List, Name, Number, Object, Text},
    },
    session::Authorized,
};

pub(super) const CONFERENCES: CallName = CallName("conferences");
pub(super) const ONLINE: CallName = CallName("conferences/online");
pub(super) const DETAIL: CallName = CallName("confDetail");
pub(super) const ATTENDEES: CallName = CallName("online/conf-attendee");

/// Items a page: the documented maximum.
const PAGE: usize = 500;

/// Most pages that are read. No enterprise has meetings for more; it ends a list whose last page never
/// comes.
const MOST_PAGES: u32 = 10_000;

/// The ongoing meetings by their ids.
pub(super) type Active = BTreeMap<String, Meeting>;

/// What is kept of an ongoing meeting.
pub(super) struct Meeting {
    /// People in it, where the list says.
    pub(super) attendees: Option<u64>,
    /// People are muted as they join, where the list says.
    pub(super) mute_on_join: Option<bool>,
    /// The text that identifies it, where the configuration asks for one.
    pub(super) label: Option<String>,
    /// When it started, in seconds since the epoch.
    pub(super) started_at: Option<i64>,
}

/// Where a list that comes in pages has got to.
#[derive(Default)]
struct Paging {
    offset: usize,
    pages: u32,
}

impl Paging {
    /// Notes a page of `received` items after which `known` distinct ones are known, `new` of
    /// them from this page, and tells whether to ask for another. `total` is the vendor's word,
    /// which need not be true: items that end or repeat between two pages never add up to it.
    fn goes_on(&mut self, received: usize, new: usize, known: usize, total: Count) -> bool {
        self.pages += 1;
        // More than was asked for are repetitions: the next page does not start behind them.
        self.offset += received.min(PAGE);
        if received == 0 || new == 0 || self.pages == MOST_PAGES {
            return false;
        }
        let last = received < PAGE;
        match total.0.map(|total| usize::try_from(total).unwrap_or(usize::MAX)) {
            Some(total) if known < total => !(last && self.offset >= total),
            Some(total) if known == total => false,
            // None, or less than is there already: only a page that is not full ends the list.
            Some(_) | None => !last,
        }
    }
}

/// One page of a list.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Page<T> {
    data: List<Object<T>>,
    #[serde(default)]
    count: Count,
}

impl<T> Content for Page<T> {
    fn is_empty(&self) -> bool {
        self.data.0.is_empty()
    }
}

/// An ongoing meeting, as listed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ongoing<'a> {
    #[serde(borrow, rename = "conferenceID")]
    id: Text<'a>,
    #[serde(borrow, default)]
    subject: Name<'a>,
    #[serde(borrow, default)]
    start_time: Text<'a>,
    #[serde(default)]
    is_auto_mute: Flag,
    #[serde(default)]
    online_attendee_amount: Count,
}

impl Ongoing<'_> {
    fn meeting(self, settings: Conferences) -> Result<(String, Meeting), Fault> {
        let id = identified(self.id)?;
        let (label, started_at) = if settings.enabled {
            let label = match settings.identify {
                Identify::Hash => None,
                Identify::Number => Some(id.clone()),
                Identify::Name => Some(self.subject.0.into_owned()),
            };
            (label, minute(self.start_time.as_str()))
        } else {
            (None, None)
        };
        let meeting = Meeting {
            attendees: self.online_attendee_amount.0,
            mute_on_join: self.is_auto_mute.0,
            label,
            started_at,
        };
        Ok((id, meeting))
    }
}

/// A meeting of which only the id matters.
#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow, rename = "conferenceID")]
    id: Text<'a>,
}

fn identified(id: Text<'_>) -> Result<String, Fault> {
    if id.is_empty() { Err(Fault::new(Reason::Decode)) } else { Ok(id.0.into_owned()) }
}

/// `YYYY-MM-DD HH:MM`, which is UTC whatever the meeting's `timeZoneID` says, in seconds since
/// the epoch.
fn minute(text: &str) -> Option<i64> {
    let time = DateTime::strptime("%Y-%m-%d %H:%M", text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// Details of a meeting: those invited, whether or not they came. People who joined by themselves
/// are not among them, and their `state` says nothing.
#[derive(Deserialize)]
struct Detail {
    data: Object<Invited>,
}

#[derive(Deserialize)]
struct Invited {
    count: Count,
}

impl Content for Detail {
    fn is_empty(&self) -> bool {
        self.data.0.count.0.is_none()
    }
}

/// One page of the people in a meeting.
#[derive(Deserialize)]
struct Attendees {
    data: Items<People>,
    #[serde(default)]
    count: Count,
}

impl Content for Attendees {
    fn is_empty(&self) -> bool {
        self.data.0.received == 0
    }
}

/// People, counted while they are decoded. Of their ids only hashes stay, to find them again on
/// another page.
#[derive(Default)]
struct People {
    received: usize,
    known: HashSet<u64>,
    hosts: HashSet<u64>,
}

#[derive(Deserialize)]
struct Person<'a> {
    #[serde(borrow, default)]
    participant_id: Text<'a>,
    #[serde(default)]
    role: Number,
}

impl<'de> FromItems<'de> for People {
    type Item = Object<Person<'de>>;

    fn add(&mut self, Object(person): Object<Person<'de>>) -> Result<(), &'static str> {
        self.received += 1;
        let mut hasher = DefaultHasher::new();
        person.participant_id.as_str().hash(&mut hasher);
        if person.participant_id.is_empty() {
            // Without an id, everybody is somebody else.
            self.received.hash(&mut hasher);
        }
        let id = hasher.finish();
        if self.known.insert(id) && person.role.0 == Some(1) {
            self.hosts.insert(id);
        }
        Ok(())
    }

    fn add_the_only_one(&mut self, person: Object<Person<'de>>) -> Result<(), &'static str> {
        if person.0.participant_id.is_empty() {
            return Err("neither a list of people nor a person");
        }
        self.add(person)
    }
}

/// The ongoing meetings: all of the enterprise, or those of the user. `with` sees the token that
/// is asked with.
pub(super) async fn online(
    authorized: &Authorized<'_, Login>,
    query_all: bool,
    settings: Conferences,
    with: impl Fn(&Token),
) -> Result<Active, Failure> {
    let mut active = Active::new();
    let mut paging = Paging::default();
    loop {
        let (meetings, total) = authorized
            .send(
                |token| {
                    with(token);
                    authorised(Call::get(ONLINE, "/v1/mmc/management/conferences/online"), token)
                        .query("queryAll", query_all)
                        .query("offset", paging.offset)
                        .query("limit", PAGE)
                },
                |answer| {
                    let page: Page<Ongoing<'_>> = codes::unwrap(answer, codes::query)?;
                    let meetings =
                        page.data.0.into_iter().map(|ongoing| ongoing.0.meeting(settings));
                    Ok((meetings.collect::<Result<Vec<_>, Fault>>()?, page.count))
                },
            )
            .await?;
        let (received, before) = (meetings.len(), active.len());
        for (id, meeting) in meetings {
            active.entry(id).or_insert(meeting);
        }
        if !paging.goes_on(received, active.len() - before, active.len(), total) {
            return Ok(active);
        }
    }
}

/// The ids of all meetings that are going on or to come, whenever that is. A recurring series has
/// one id.
pub(super) async fn listed(
    authorized: &Authorized<'_, Login>,
    query_all: bool,
) -> Result<HashSet<String>, Failure> {
    let mut listed = HashSet::new();
    let mut paging = Paging::default();
    loop {
        let (ids, total) = authorized
            .send(
                |token| {
                    authorised(Call::get(CONFERENCES, "/v1/mmc/management/conferences"), token)
                        .query("queryAll", query_all)
                        .query("queryConfMode", "ALL")
                        .query("offset", paging.offset)
                        .query("limit", PAGE)
                },
                |answer| {
                    let page: Page<Listed<'_>> = codes::unwrap(answer, codes::query)?;
                    let ids = page.data.0.into_iter().map(|listed| identified(listed.0.id));
                    Ok((ids.collect::<Result<Vec<_>, Fault>>()?, page.count))
                },
            )
            .await?;
        let (received, before) = (ids.len(), listed.len());
        listed.extend(ids);
        if !paging.goes_on(received, listed.len() - before, listed.len(), total) {
            return Ok(listed);
        }
    }
}

/// How many people are invited to the meeting; 0 if it is over.
pub(super) async fn invited(authorized: &Authorized<'_, Login>, id: &str) -> Result<u64, Failure> {
    authorized
        .send(
            |token| {
                authorised(Call::get(DETAIL, "/v1/mmc/management/conferences/confDetail"), token)
                    .about(id)
                    .query("conferenceID", id)
                    .query("offset", 0)
                    // Only their number matters.
                    .query("limit", 1)
            },
            |answer| match codes::unwrap_meeting::<Detail>(answer, codes::query)? {
                Some(detail) => detail.data.0.count.0.ok_or(Fault::new(Reason::Decode)),
                None => Ok(0),
            },
        )
        .await
}

/// How many of the people in the meeting host it; 0 if it is over.
pub(super) async fn hosts_present(
    authorized: &Authorized<'_, Login>,
    id: &str,
) -> Result<u64, Failure> {
    let mut known = HashSet::new();
    let mut hosts = HashSet::new();
    let mut paging = Paging::default();
    loop {
        let page = authorized
            .send(
                |token| {
                    let path = "/v1/mmc/management/conferences/online/conf-attendee";
                    authorised(Call::get(ATTENDEES, path), token)
                        .about(id)
                        .query("conf_id", id)
                        .query("offset", paging.offset)
                        .query("limit", PAGE)
                },
                |answer| codes::unwrap_meeting::<Attendees>(answer, codes::query),
            )
            .await?;
        let Some(Attendees { data: Items(page), count }) = page else { break };
        let before = known.len();
        hosts.extend(page.hosts.difference(&known).copied());
        known.extend(page.known);
        if !paging.goes_on(page.received, known.len() - before, known.len(), count) {
            break;
        }
    }
    Ok(hosts.len() as u64)
}

fn authorised(call: Call, token: &Token) -> Call {
    call.secret_header("x-access-token", token.access.expose_secret())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Conferences =
        Conferences { enabled: true, limit: 100, identify: Identify::Name };
    const ORDINARY: &str = include_str!("../../../tests/data/huawei_meeting/confdetail.json");
    const RECURRING: &str =
        include_str!("../../../tests/data/huawei_meeting/confdetail-recurring.json");

    #[test]
    fn start_times_are_utc() {
        assert_eq!(minute("2019-12-18 07:28"), Some(1_576_654_080));
        assert_eq!(minute("1970-01-01 00:00"), Some(0));
        assert_eq!(minute("2024-02-29 23:59"), Some(1_709_251_140));
        for nonsense in ["", "2019-12-18", "2019-02-30 07:28", "soon", "1576654080000"] {
            assert_eq!(minute(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn the_documented_examples_decode() {
        for (example, id) in [(ORDINARY, "914083136"), (RECURRING, "969304019")] {
            let detail: Detail = serde_json::from_str(example).unwrap();
            assert_eq!(detail.data.0.count, Count(Some(1)));

            #[derive(Deserialize)]
            struct Described<'a> {
                #[serde(borrow, rename = "conferenceData")]
                meeting: Ongoing<'a>,
            }
            let described: Described<'_> = serde_json::from_str(example).unwrap();
            let (found, meeting) = described.meeting.meeting(SETTINGS).unwrap();
            assert_eq!(found, id);
            assert_eq!(meeting.mute_on_join, Some(true));
            assert_eq!(meeting.started_at, Some(1_576_654_080));
            assert_eq!(meeting.label.as_deref(), Some("user01's meeting"));
            assert_eq!(meeting.attendees, None);
        }
    }

    #[test]
    fn settings_and_counts_are_spelt_in_many_ways() {
        let json = r#"{"data":[
            {"conferenceID":"1","onlineAttendeeAmount":"7","isAutoMute":true},
            {"conferenceID":2,"onlineAttendeeAmount":null,"isAutoMute":"0"},
            {"conferenceID":" 3 ","subject":" Board ","startTime":"soon"}],"count":"3"}"#;
        let page: Page<Ongoing<'_>> = serde_json::from_str(json).unwrap();
        assert_eq!(page.count, Count(Some(3)));
        let meetings: Vec<_> =
            page.data.0.into_iter().map(|ongoing| ongoing.0.meeting(SETTINGS).unwrap()).collect();
        let found = |at: usize| {
            let (id, meeting) = &meetings[at];
            (id.as_str(), meeting.attendees, meeting.mute_on_join)
        };
        assert_eq!(found(0), ("1", Some(7), Some(true)));
        assert_eq!(found(1), ("2", None, Some(false)));
        assert_eq!(found(2), ("3", None, None));
        assert_eq!(meetings[2].1.label.as_deref(), Some("Board"));
        assert_eq!(meetings[2].1.started_at, None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for broken in [
            "{}",
            r#"{"data":{}}"#,
            r#"{"data":[{}]}"#,
            r#"{"data":[{"conferenceID":"1","onlineAttendeeAmount":-1}]}"#,
            r#"{"data":[{"conferenceID":"1","onlineAttendeeAmount":[]}]}"#,
            r#"{"data":[{"conferenceID":"1","isAutoMute":2}]}"#,
            r#"{"data":[],"data":[]}"#,
        ] {
            assert!(serde_json::from_str::<Page<Ongoing<'_>>>(broken).is_err(), "{broken}");
        }
        let nameless: Page<Listed<'_>> =
            serde_json::from_str(r#"{"data":[{"conferenceID":""}]}"#).unwrap();
        assert!(nameless.data.0.into_iter().all(|listed| identified(listed.0.id).is_err()));
        for broken in ["{}", r#"{"data":{}}"#, r#"{"data":{"count":-1}}"#, r#"{"data":[]}"#] {
            assert!(serde_json::from_str::<Detail>(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn attendees_are_counted_once() {
        let json = r#"{"data":[
            {"participant_id":"a","role":1,"name":"test","call_number":"+8657135*****769"},
            {"participant_id":"b","role":"0"},{"participant_id":"a","role":1},
            {"role":1},{"role":1},{"participant_id":"c"}],"offset":0,"limit":20,"count":4}"#;
        let attendees: Attendees = serde_json::from_str(json).unwrap();
        assert_eq!(attendees.data.0.received, 6);
        assert_eq!(attendees.data.0.known.len(), 5);
        assert_eq!(attendees.data.0.hosts.len(), 3);
    }

    #[test]
    fn paging_ends() {
        let total = |total| Count(Some(total));
        // One page, and all of it.
        assert!(!Paging::default().goes_on(3, 3, 3, total(3)));
        // The same meeting twice, as a series has it: the page is short and nothing can follow.
        assert!(!Paging::default().goes_on(4, 3, 3, total(4)));
        // A page as full as it can be, with one meeting twice.
        assert!(Paging::default().goes_on(500, 499, 499, total(500)));
        // A total that is too low.
        assert!(Paging::default().goes_on(500, 500, 500, total(0)));
        assert!(!Paging::default().goes_on(20, 20, 20, total(0)));
        // A server that gives less than it was asked for.
        assert!(Paging::default().goes_on(100, 100, 100, total(250)));
        // A total that never comes true.
        let mut paging = Paging::default();
        assert!(paging.goes_on(3, 3, 3, total(1_000_000)));
        assert!(!paging.goes_on(0, 0, 3, total(1_000_000)));
        // Pages that repeat.
        let mut paging = Paging::default();
        assert!(paging.goes_on(500, 500, 500, total(u64::MAX)));
        assert!(!paging.goes_on(500, 0, 500, total(u64::MAX)));
        // No total.
        assert!(Paging::default().goes_on(500, 500, 500, Count(None)));
        assert!(!Paging::default().goes_on(499, 499, 499, Count(None)));
        // Pages that never end.
        let mut paging = Paging::default();
        let pages = (1..).take_while(|page| paging.goes_on(1, 1, *page, Count(Some(u64::MAX))));
        assert_eq!(pages.count() as u32 + 1, MOST_PAGES);
    }
}
