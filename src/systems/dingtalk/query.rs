//! Asking for meetings in batches, and finding out which id a refused one is refused for.
//!
//! Only meetings in progress can be asked for. Whether an ended one among others fails the whole
//! call is not documented: both are taken.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{TryStreamExt, future::try_join, stream::FuturesUnordered};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::time::Instant;

use super::{
    ACCEPT_JSON, QUERY, TOKEN_HEADER,
    codes::{Code, On, unwrap},
    login::Login,
    tally::{Infos, Meeting},
};
use crate::{
    config::Conferences,
    model::Reason,
    net::{ApiError, Call, Failure, Fault},
    session::Authorized,
    systems::Refusal,
};

/// Most requests of a collection for finding out which ids are refused, because calls are limited.
const MOST_EXTRA: usize = 64;

/// How long a meeting that has ended is not asked for. It does not begin again, and the list should
/// no longer have it long before that.
const ENDED: Duration = Duration::from_secs(24 * 60 * 60);

/// What was learnt from refusals, over collections.
pub(super) struct Learnt {
    /// Refused ids, and when each may be asked for again.
    refused: Mutex<HashMap<String, Instant>>,
    /// Most ids in one query: a query with more was refused as too long.
    largest_batch: AtomicUsize,
    /// Ids of collections in which nothing was answered. Until then they are asked for together,
    /// and that they are refused is not looked into again.
    unanswered: Mutex<HashMap<String, Instant>>,
}

impl Default for Learnt {
    fn default() -> Self {
        Self {
            refused: Mutex::default(),
            largest_batch: AtomicUsize::new(usize::MAX),
            unanswered: Mutex::default(),
        }
    }
}

impl Learnt {
    /// Takes out of `ids` those not to be asked for now. What is not in `ids` is forgotten: it is
    /// neither listed nor configured any more.
    fn leave_out_refused(&self, ids: &mut Vec<&str>) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.is_empty() {
            return;
        }
        let now = Instant::now();
        let known: HashSet<&str> = ids.iter().copied().collect();
        refused.retain(|id, until| *until > now && known.contains(id.as_str()));
        ids.retain(|id| !refused.contains_key(*id));
    }

    fn refuse(&self, id: &str, pause: Duration) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.insert(id.to_owned(), Instant::now() + pause);
    }

    /// Splits `ids` into those of collections in which nothing was answered, and the others. What is
    /// not in `ids` is forgotten.
    fn split_unanswered<'a>(&self, ids: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
        let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        if unanswered.is_empty() {
            return (Vec::new(), ids.to_vec());
        }
        let now = Instant::now();
        let known: HashSet<&str> = ids.iter().copied().collect();
        unanswered.retain(|id, until| *until > now && known.contains(id.as_str()));
        ids.iter().partition(|id| unanswered.contains_key(**id))
    }

    /// Nothing was answered, this id included. What is noted already keeps its time: it is looked
    /// into when that has come.
    fn note_unanswered(&self, id: &str, pause: Duration) {
        let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        unanswered.entry(id.to_owned()).or_insert_with(|| Instant::now() + pause);
    }

    fn forget_unanswered(&self) {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Why a batch was refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// A meeting in it has ended.
    Ended,
    /// A meeting in it does not exist.
    NotFound,
    /// A meeting in it is unknown, or not of this organisation; or so the vendor says of whatever
    /// is wrong with the request.
    Unknown,
    /// It is too long.
    TooLong,
}

impl Cause {
    /// `None`: the code is not about the meetings that were asked for.
    const fn of(code: Code) -> Option<Self> {
        match code {
            Code::MeetingEnded => Some(Self::Ended),
            Code::MeetingNotFound => Some(Self::NotFound),
            Code::MeetingUnknown | Code::ForeignMeeting => Some(Self::Unknown),
            Code::BatchTooLong => Some(Self::TooLong),
            Code::PerSecond
            | Code::PerMinute
            | Code::MonthlyQuota
            | Code::Banned
            | Code::NoPermission
            | Code::AddressNotAllowed
            | Code::TokenRefused
            | Code::TokenMissing
            | Code::BadCredentials
            | Code::BadTicket
            | Code::BadParameters
            | Code::Broken
            | Code::Other => None,
        }
    }
}

enum Outcome {
    Meetings(Vec<Meeting>),
    Refused(Cause, Fault),
}

/// What the queries of one collection found so far.
#[derive(Default)]
struct Found<'a> {
    meetings: Vec<Meeting>,
    /// Batches that were refused, to be asked in halves.
    to_halve: Vec<(&'a [&'a str], Cause, Fault)>,
    /// Batches of ids of which nothing was answered before, and now neither: to be asked in halves if anything is answered.
    set_aside: Vec<(&'a [&'a str], Cause, Fault)>,
    /// Meetings that were listed as in progress, and refused as unknown.
    doubtful: Vec<(&'a str, Fault)>,
    /// Some batch was answered.
    answered: bool,
    /// Some id is not asked for next time.
    left_out: bool,
}

impl<'a> Found<'a> {
    /// Depth first: a span that ends before all is found out has at least found something.
    fn next_to_halve(&mut self) -> Option<(&'a [&'a str], Cause, Fault)> {
        if self.to_halve.is_empty() && self.answered {
            return self.set_aside.pop();
        }
        self.to_halve.pop()
    }
}

/// One collection's queries.
pub(super) struct Queries<'a> {
    pub(super) authorized: &'a Authorized<'a, Login>,
    pub(super) learnt: &'a Learnt,
    /// The configured ids: these are tried again sooner than listed ones.
    pub(super) configured: &'a HashSet<&'a str>,
    /// How soon.
    pub(super) pause: Duration,
    pub(super) batch_size: usize,
    pub(super) shown: Conferences,
}

impl Queries<'_> {
    /// The meetings of `ids` that are in progress.
    ///
    /// # Errors
    /// The first query that failed, or too many refused batches: what was learnt until then stays,
    /// so that the next collection gets further. Or nothing but refusals of meetings that were
    /// listed a moment ago: then it is not the ids that are wrong.
    pub(super) async fn meetings(&self, mut ids: Vec<&str>) -> Result<Vec<Meeting>, Failure> {
        self.learnt.leave_out_refused(&mut ids);
        let (unanswered, others) = self.learnt.split_unanswered(&ids);
        let largest = self.learnt.largest_batch.load(Ordering::Relaxed);
        let size = self.batch_size.min(largest).max(1);
        let mut found = Found::default();
        let batches = unanswered.chunks(size).chain(others.chunks(size));
        // Unordered: the first failure ends all of them, whichever it is.
        let mut asked: FuturesUnordered<_> = batches.map(|batch| self.ask(batch)).collect();
        while let Some((batch, outcome)) = asked.try_next().await? {
            self.settle(batch, outcome, &mut found);
        }
        // Each half would be refused as it was not long ago, and calls are metered.
        let in_vain = |(batch, cause, _): &mut (&[&str], Cause, Fault)| {
            unanswered.contains(&batch[0]) && *cause == Cause::Unknown
        };
        found.set_aside = found.to_halve.extract_if(.., in_vain).collect();
        let mut extra = MOST_EXTRA;
        while let Some((batch, _, fault)) = found.next_to_halve() {
            let Some(rest) = extra.checked_sub(2) else {
                if found.answered {
                    self.learn(&found.doubtful);
                } else if !found.doubtful.is_empty() && !found.left_out {
                    return Err(self.nothing_answered(&ids, fault));
                }
                let fault = Fault { reason: Reason::Vendor, ..fault };
                return Err(self.give_up(fault, "too many ids were refused"));
            };
            extra = rest;
            let (left, right) = batch.split_at(batch.len() / 2);
            let halves = try_join(self.ask(left), self.ask(right)).await?;
            for (half, outcome) in <[_; 2]>::from(halves) {
                self.settle(half, outcome, &mut found);
            }
        }
        if !found.answered {
            let doubtful = found.doubtful.pop().map(|(_, fault)| fault);
            let aside = found.set_aside.pop().map(|(_, _, fault)| fault);
            if let Some(fault) = doubtful.or(aside) {
                return Err(self.nothing_answered(&ids, fault));
            }
        }
        self.learn(&found.doubtful);
        Ok(found.meetings)
    }

    async fn ask<'b>(&self, ids: &'b [&'b str]) -> Result<(&'b [&'b str], Outcome), Failure> {
        let body = json!({ "conferenceIdList": ids });
        let outcome = self
            .authorized
            .send(
                |token| {
                    Call::post(QUERY, "/v1.0/conference/videoConferences/query")
                        .header(ACCEPT_JSON.0, ACCEPT_JSON.1)
                        .about(ids.first().copied().unwrap_or_default())
                        .secret_header(TOKEN_HEADER, token.expose_secret())
                        .json(&body)
                },
                |answer| match unwrap::<Infos<'_>>(answer, On::Data) {
                    Ok(infos) => infos.in_progress(self.shown).map(Outcome::Meetings),
                    Err(Refusal { code, fault }) => match code.and_then(Cause::of) {
                        Some(Cause::TooLong) if ids.len() == 1 => Err(fault),
                        Some(cause) => Ok(Outcome::Refused(cause, fault)),
                        None => Err(fault),
                    },
                },
            )
            .await?;
        Ok((ids, outcome))
    }

    /// Notes what came of a batch.
    fn settle<'b>(&self, batch: &'b [&'b str], outcome: Outcome, found: &mut Found<'b>) {
        let (cause, fault) = match outcome {
            Outcome::Meetings(more) => {
                found.answered = true;
                self.learnt.forget_unanswered();
                return found.meetings.extend(more);
            }
            Outcome::Refused(cause, fault) => (cause, fault),
        };
        if cause == Cause::TooLong {
            self.learnt.largest_batch.fetch_min(batch.len() / 2, Ordering::Relaxed);
        }
        let [id] = batch else { return found.to_halve.push((batch, cause, fault)) };
        let pause = match cause {
            _ if self.configured.contains(id) => self.pause,
            Cause::Ended => ENDED,
            Cause::NotFound => self.pause,
            Cause::Unknown | Cause::TooLong => return found.doubtful.push((id, fault)),
        };
        found.left_out = true;
        self.learnt.refuse(id, pause);
    }

    fn learn(&self, refused: &[(&str, Fault)]) {
        for (id, _) in refused {
            self.learnt.refuse(id, self.pause);
        }
    }

    /// Nothing was answered, not even of what had just been listed: it is not the ids.
    fn nothing_answered(&self, ids: &[&str], fault: Fault) -> Failure {
        for id in ids.iter().filter(|id| !self.configured.contains(*id)) {
            self.learnt.note_unanswered(id, self.pause);
        }
        self.give_up(fault, "every listed meeting was refused")
    }

    /// Counts a refusal that turned out to be a failure of the request.
    fn give_up(&self, fault: Fault, detail: &'static str) -> Failure {
        self.authorized.api().meters.request_failed(fault.reason);
        ApiError { call: QUERY, fault, detail: Some(detail), may_have_arrived: true }.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refused_ids_are_asked_for_again_when_their_time_has_come() {
        let learnt = Learnt::default();
        learnt.refuse("a", Duration::from_secs(60));
        learnt.refuse("b", Duration::from_secs(120));
        let left = |ids: &[&'static str]| {
            let mut ids = ids.to_vec();
            learnt.leave_out_refused(&mut ids);
            ids
        };
        assert_eq!(left(&["a", "b", "c"]), ["c"]);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(left(&["a", "b", "c"]), ["a", "c"]);
        assert_eq!(left(&["c"]), ["c"]);
        assert_eq!(left(&["b"]), ["b"], "what is no longer listed is forgotten");
        assert!(learnt.refused.lock().unwrap().is_empty());
    }

    #[test]
    fn only_codes_about_ids_split_a_batch() {
        let cause = |code: &str| Code::of(code).and_then(Cause::of);
        assert_eq!(cause("resourceClose"), Some(Cause::Ended));
        assert_eq!(cause("roomNotFound"), Some(Cause::NotFound));
        for code in [
            "orgAccessForbidden",
            "unknownUserError",
            "paramsError",
            "paramError",
            "missingRoomId",
            "invalidRoomCode",
        ] {
            assert_eq!(cause(code), Some(Cause::Unknown), "{code}");
        }
        assert_eq!(cause("sizeTooLarge"), Some(Cause::TooLong));
        for code in ["InvalidAuthentication", "systemError", "permissionError", "paramsTitleError"]
        {
            assert_eq!(cause(code), None, "{code}");
        }
    }
}
