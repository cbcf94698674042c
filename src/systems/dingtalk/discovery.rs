// SPDX-License-Identifier: Apache-2.0
//! Which meetings the organisation has right now: `orgConferences`, page by page.

use std::collections::{HashMap, HashSet};

use secrecy::ExposeSecret;
use serde::{Deserialize, de::IgnoredAny};

use super::{
    ACCEPT_JSON, LIST, TOKEN_HEADER,
    codes::{On, Reply, unwrap},
    login::Login,
};
use crate::{
    config::{Conferences, Identify},
    model::Reason,
    net::{
        Call, Failure, Fault,
        lenient::{Count, Flag, List, Name, Number, Text, present},
    },
    session::Authorized,
};

/// Meetings per page: the default and the most are not documented, related calls allow this.
const PAGE_SIZE: u32 = 100;

/// Most pages that are read. No organisation has meetings for more; it ends a list whose last page never
/// comes.
const MOST_PAGES: u32 = 1_000;

/// Milliseconds since the epoch passed this in 1973, seconds will in 5138.
const FIRST_MILLISECONDS: u64 = 100_000_000_000;

/// The meetings that were listed, each once, in the order of the list.
#[derive(Default)]
pub(super) struct Listing {
    ids: Vec<String>,
    by_id: HashMap<String, Listed>,
}

/// What the list says about a meeting.
#[derive(Default)]
pub(super) struct Listed {
    /// The number or the name, where the configuration asks for it.
    pub(super) label: Option<String>,
    /// When the meeting started, in seconds since the epoch.
    pub(super) started_at: Option<i64>,
}

impl Listing {
    /// The ids, in order.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.iter().map(String::as_str)
    }

    /// What was listed about `id`.
    pub(super) fn get(&self, id: &str) -> Option<&Listed> {
        self.by_id.get(id)
    }

    fn add(&mut self, id: String, listed: Listed) {
        if !self.by_id.contains_key(&id) {
            self.ids.push(id.clone());
            self.by_id.insert(id, listed);
        }
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow, default, rename = "onGoingConfList", deserialize_with = "present")]
    entries: Option<List<Entry<'a>>>,
    #[serde(default, rename = "hasMore")]
    has_more: Flag,
    #[serde(borrow, default, rename = "nextToken")]
    next_token: Text<'a>,
    #[serde(default)]
    errcode: Number,
    #[serde(default, deserialize_with = "present")]
    punish: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, rename = "conferenceId")]
    id: Text<'a>,
    #[serde(borrow, default, rename = "roomCode")]
    room_code: Text<'a>,
    #[serde(borrow, default)]
    title: Name<'a>,
    #[serde(default, rename = "startTime")]
    start_time: Count,
}

impl Reply for Page<'_> {
    fn is_answer(&self) -> bool {
        self.errcode.0.unwrap_or(0) == 0 && self.punish.is_none() && self.entries.is_some()
    }
}

/// What is kept of a page.
struct Kept {
    meetings: Vec<(String, Listed)>,
    /// The token of the next page, if there may be one.
    next: Option<String>,
}

impl Page<'_> {
    fn keep(self, shown: Conferences) -> Result<Kept, Fault> {
        let mut meetings = Vec::new();
        for entry in self.entries.unwrap_or_default().0 {
            if entry.id.is_empty() {
                return Err(Fault::new(Reason::Decode));
            }
            let listed =
                if shown.enabled { entry.listed(shown.identify) } else { Listed::default() };
            meetings.push((entry.id.0.into_owned(), listed));
        }
        // Where nothing is said, a token is left over, and each call is metered. "0" asks for the
        // first page.
        let more = self.has_more.0 == Some(true) && !matches!(self.next_token.as_str(), "" | "0");
        Ok(Kept { meetings, next: more.then(|| self.next_token.0.into_owned()) })
    }
}

impl Entry<'_> {
    fn listed(&self, identify: Identify) -> Listed {
        let label: Option<String> = match identify {
            Identify::Hash => None,
            // People read "838 722 190" and type 838722190.
            Identify::Number => Some(self.room_code.as_str().split_whitespace().collect()),
            Identify::Name => Some(self.title.as_str().to_owned()),
        };
        Listed {
            label: label.filter(|label| !label.is_empty()),
            started_at: seconds(self.start_time),
        }
    }
}

/// Seconds since the epoch: the unit is documented for sibling calls only.
pub(super) fn seconds(time: Count) -> Option<i64> {
    let time = time.0.filter(|time| *time > 0)?;
    let seconds = if time < FIRST_MILLISECONDS { time } else { time / 1000 };
    i64::try_from(seconds).ok()
}

/// Lists the meetings in progress.
///
/// # Errors
/// The first page that failed.
pub(super) async fn discover(
    authorized: &Authorized<'_, Login>,
    shown: Conferences,
) -> Result<Listing, Failure> {
    let mut listing = Listing::default();
    let mut asked = HashSet::new();
    let mut token: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let page = authorized
            .send(
                |access| {
                    let call = Call::get(LIST, "/v1.0/conference/orgConferences")
                        .header(ACCEPT_JSON.0, ACCEPT_JSON.1)
                        .secret_header(TOKEN_HEADER, access.expose_secret())
                        .query("maxResults", PAGE_SIZE);
                    match &token {
                        Some(token) => call.query("nextToken", token),
                        None => call,
                    }
                },
                |answer| unwrap::<Page<'_>>(answer, On::Data)?.keep(shown),
            )
            .await?;
        let before = listing.ids.len();
        for (id, listed) in page.meetings {
            listing.add(id, listed);
        }
        // A page token that repeats, or a page without new meetings, would make this endless.
        let Some(next) = page.next.filter(|next| asked.insert(next.clone())) else { break };
        if listing.ids.len() == before {
            break;
        }
        token = Some(next);
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: Conferences =
        Conferences { enabled: true, limit: 10, identify: Identify::Number };

    fn keep(json: &str) -> Option<Kept> {
        let page: Page<'_> = serde_json::from_str(json).ok()?;
        page.is_answer().then(|| page.keep(NUMBERS).ok()).flatten()
    }

    #[test]
    fn a_page_yields_ids_numbers_and_the_way_on() {
        let json = r#"{"nextToken":"17","totalCount":2,"hasMore":true,"onGoingConfList":[
            {"conferenceId":"a1","title":"T","roomCode":"838 722 190","startTime":1700000000000,
             "externalLinkUrl":"https://x.example/?token=s","bizType":0},
            {"conferenceId":"a2","roomCode":"","startTime":"1700000001","endTime":null}]}"#;
        let kept = keep(json).unwrap();
        assert_eq!(kept.next.as_deref(), Some("17"));
        let [(one, first), (two, second)] = &kept.meetings[..] else { panic!("two meetings") };
        assert_eq!((one.as_str(), two.as_str()), ("a1", "a2"));
        assert_eq!(first.label.as_deref(), Some("838722190"));
        assert_eq!(first.started_at, Some(1_700_000_000));
        assert_eq!((second.label.as_deref(), second.started_at), (None, Some(1_700_000_001)));
    }

    #[test]
    fn the_list_ends_in_many_ways() {
        let next = |rest: &str| {
            keep(&format!(r#"{{"onGoingConfList":null{rest}}}"#)).expect("a page").next
        };
        assert_eq!(next(r#","hasMore":true,"nextToken":"7""#).as_deref(), Some("7"));
        assert_eq!(next(r#","hasMore":1,"nextToken":7"#).as_deref(), Some("7"));
        assert_eq!(next(r#","nextToken":7"#), None);
        assert_eq!(next(r#","hasMore":false,"nextToken":"7""#), None);
        assert_eq!(next(r#","hasMore":true,"nextToken":"0""#), None);
        assert_eq!(next(r#","hasMore":true,"nextToken":"""#), None);
        assert_eq!(next(r#","hasMore":true,"nextToken":null"#), None);
        assert_eq!(next(r#","hasMore":true"#), None);
    }

    #[test]
    fn a_page_without_a_list_or_ids_is_none() {
        assert!(keep("{}").is_none());
        assert!(keep(r#"{"onGoingConfList":{}}"#).is_none());
        assert!(keep(r#"{"onGoingConfList":[{"title":"T"}]}"#).is_none());
        assert!(keep(r#"{"onGoingConfList":[{"conferenceId":""}]}"#).is_none());
        assert!(keep(r#"{"onGoingConfList":[],"errcode":404}"#).is_none());
    }
}
