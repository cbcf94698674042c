// SPDX-License-Identifier: Apache-2.0
//! Asking for meetings in batches, and finding out which id a refused one is refused for.
//!
//! Only meetings in progress can be asked for. Whether an ended one among others fails the whole
//! call is not documented: both are taken.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
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

/// Nothing was answered, not even of what had just been listed: it is not the ids.
const ALL_REFUSED: &str = "every listed meeting was refused";

/// What was learnt from refusals, over collections.
#[derive(Default)]
pub(super) struct Learnt(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    /// Refused ids, and when each may be asked for again.
    refused: HashMap<String, Instant>,
    /// Most ids in one query: a query with more was refused as too long.
    largest_batch: Option<usize>,
    /// Every meeting was refused, and asking in halves did not help. Until then halves are not asked
    /// for again.
    all_refused_until: Option<Instant>,
}

impl Learnt {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Takes out of `ids` those not to be asked for now. What is not in `ids` is forgotten: it is
    /// neither listed nor configured any more.
    fn leave_out_refused(&mut self, ids: &mut Vec<&str>) {
        let now = Instant::now();
        let known: HashSet<&str> = ids.iter().copied().collect();
        self.refused.retain(|id, until| *until > now && known.contains(id.as_str()));
        ids.retain(|id| !self.refused.contains_key(*id));
    }

    fn refuse(&mut self, id: &str, pause: Duration) {
        self.refused.insert(id.to_owned(), Instant::now() + pause);
    }
}

enum Outcome {
    Meetings(Vec<Meeting>),
    /// Refused as a whole, for the ids in it or for its length.
    Refused(Code, Fault),
}

/// What the queries of one collection found so far.
#[derive(Default)]
struct Found<'a> {
    meetings: Vec<Meeting>,
    /// Batches that were refused, to be asked in halves.
    to_halve: Vec<(&'a [&'a str], Code, Fault)>,
    /// Meetings that were listed as in progress, and refused as unknown.
    doubtful: Vec<(&'a str, Fault)>,
    /// Some batch was answered.
    answered: bool,
    /// Some id is not asked for next time.
    left_out: bool,
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
        let (size, was_refused) = {
            let mut memory = self.learnt.memory();
            memory.leave_out_refused(&mut ids);
            let largest = memory.largest_batch.unwrap_or(usize::MAX);
            let was_refused = memory.all_refused_until.is_some_and(|until| Instant::now() < until);
            (self.batch_size.min(largest).max(1), was_refused)
        };
        let mut found = Found::default();
        // Unordered: the first failure ends all of them, whichever it is.
        let mut asked: FuturesUnordered<_> =
            ids.chunks(size).map(|batch| self.ask(batch)).collect();
        while let Some((batch, outcome)) = asked.try_next().await? {
            self.settle(batch, outcome, &mut found);
        }
        let mut extra = 0;
        // Depth first: a span that ends before all is found out has at least found something.
        while let Some((batch, code, fault)) = found.to_halve.pop() {
            if was_refused && !found.answered && code.is_unknown_meeting() {
                // Each half would be refused as it was not long ago, and calls are metered.
                return Err(self.give_up(fault, ALL_REFUSED));
            }
            if extra == MOST_EXTRA {
                if found.answered {
                    self.learn(&found.doubtful);
                } else if !found.left_out {
                    return Err(self.all_refused(fault));
                }
                let fault = Fault { reason: Reason::Vendor, ..fault };
                return Err(self.give_up(fault, "too many ids were refused"));
            }
            extra += 2;
            let (left, right) = batch.split_at(batch.len() / 2);
            let halves = try_join(self.ask(left), self.ask(right)).await?;
            for (half, outcome) in <[_; 2]>::from(halves) {
                self.settle(half, outcome, &mut found);
            }
        }
        if !found.answered
            && let Some((_, fault)) = found.doubtful.pop()
        {
            let was_halved = extra > 0;
            return Err(if was_halved {
                self.all_refused(fault)
            } else {
                self.give_up(fault, ALL_REFUSED)
            });
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
                    Err(Refusal { code: Some(Code::BatchTooLong), fault }) if ids.len() == 1 => {
                        Err(fault)
                    }
                    Err(Refusal { code: Some(code), fault }) if code.is_about_the_batch() => {
                        Ok(Outcome::Refused(code, fault))
                    }
                    Err(refusal) => Err(refusal.into()),
                },
            )
            .await?;
        Ok((ids, outcome))
    }

    /// Notes what came of a batch.
    fn settle<'b>(&self, batch: &'b [&'b str], outcome: Outcome, found: &mut Found<'b>) {
        let mut memory = self.learnt.memory();
        let (code, fault) = match outcome {
            Outcome::Meetings(more) => {
                found.answered = true;
                memory.all_refused_until = None;
                return found.meetings.extend(more);
            }
            Outcome::Refused(code, fault) => (code, fault),
        };
        if code == Code::BatchTooLong {
            memory.largest_batch = Some(batch.len() / 2);
        }
        let [id] = batch else { return found.to_halve.push((batch, code, fault)) };
        let pause = if self.configured.contains(id) || code == Code::MeetingNotFound {
            self.pause
        } else if code == Code::MeetingEnded {
            ENDED
        } else {
            return found.doubtful.push((id, fault));
        };
        found.left_out = true;
        memory.refuse(id, pause);
    }

    fn learn(&self, refused: &[(&str, Fault)]) {
        let mut memory = self.learnt.memory();
        for (id, _) in refused {
            memory.refuse(id, self.pause);
        }
    }

    /// Nothing was answered, however small the batches became.
    fn all_refused(&self, fault: Fault) -> Failure {
        self.learnt.memory().all_refused_until = Some(Instant::now() + self.pause);
        self.give_up(fault, ALL_REFUSED)
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
        let mut memory = Memory::default();
        memory.refuse("a", Duration::from_secs(60));
        memory.refuse("b", Duration::from_secs(120));
        let mut left = |ids: &[&'static str]| {
            let mut ids = ids.to_vec();
            memory.leave_out_refused(&mut ids);
            ids
        };
        assert_eq!(left(&["a", "b", "c"]), ["c"]);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(left(&["a", "b", "c"]), ["a", "c"]);
        assert_eq!(left(&["c"]), ["c"]);
        assert_eq!(left(&["b"]), ["b"], "what is no longer listed is forgotten");
        assert!(memory.refused.is_empty());
    }
}
