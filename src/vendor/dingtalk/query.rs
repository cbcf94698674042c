//! Asking for meetings in batches, and finding out which id spoils one.
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
    QUERY, TOKEN_HEADER,
    fault::{On, unwrap},
    login::Login,
    tally::{Infos, Meeting},
};
use crate::{
    api::{Api, ApiError, Call, Failure, Fault, Reason},
    config::Conferences,
    session::Visit,
};

/// Requests a collection may spend on finding spoilt ids: calls are metered.
const MOST_EXTRA: usize = 64;

/// A meeting that has ended does not begin again; the list should forget it long before.
const ENDED: Duration = Duration::from_secs(24 * 60 * 60);

/// What was learnt from refusals, over collections.
pub(super) struct Learnt {
    /// Ids not to ask for until then.
    refused: Mutex<HashMap<String, Instant>>,
    /// More ids than that were too many.
    largest_batch: AtomicUsize,
    /// Ids of collections in which nothing was answered. Until then they are asked for together,
    /// and that they are refused is not looked into again.
    suspects: Mutex<HashMap<String, Instant>>,
}

impl Default for Learnt {
    fn default() -> Self {
        Self {
            refused: Mutex::default(),
            largest_batch: AtomicUsize::new(usize::MAX),
            suspects: Mutex::default(),
        }
    }
}

impl Learnt {
    /// Takes out of `ids` those not to be asked for now. What is not in `ids` is forgotten: it is
    /// neither listed nor configured any more.
    fn sift(&self, ids: &mut Vec<&str>) {
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

    /// Parts the suspects among `ids` from the others. What is not in `ids` is forgotten.
    fn part<'a>(&self, ids: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        if suspects.is_empty() {
            return (Vec::new(), ids.to_vec());
        }
        let now = Instant::now();
        let known: HashSet<&str> = ids.iter().copied().collect();
        suspects.retain(|id, until| *until > now && known.contains(id.as_str()));
        ids.iter().partition(|id| suspects.contains_key(**id))
    }

    /// One that is suspected already is so no longer for that: it is looked into in its time.
    fn suspect(&self, id: &str, pause: Duration) {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.entry(id.to_owned()).or_insert_with(|| Instant::now() + pause);
    }

    fn acquit(&self) {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Why a batch was refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
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

impl Refusal {
    fn of(fault: &Fault) -> Option<Self> {
        match fault.code.as_deref()?.to_ascii_lowercase().as_str() {
            "resourceclose" => Some(Self::Ended),
            "roomnotfound" => Some(Self::NotFound),
            "orgaccessforbidden" | "unknownusererror" | "paramserror" | "paramerror"
            | "param.error" | "missingroomid" | "invalidroomcode" => Some(Self::Unknown),
            "sizetoolarge" => Some(Self::TooLong),
            _ => None,
        }
    }
}

enum Outcome {
    Meetings(Vec<Meeting>),
    Refused(Refusal, Fault),
}

/// What the queries of one collection found so far.
#[derive(Default)]
struct Found<'a> {
    meetings: Vec<Meeting>,
    /// Batches that were refused, to be asked in halves.
    spoilt: Vec<(&'a [&'a str], Fault)>,
    /// Batches of suspects that were refused: to be asked in halves if anything is answered.
    set_aside: Vec<(&'a [&'a str], Fault)>,
    /// Meetings that were listed as in progress, and refused as unknown.
    doubtful: Vec<(&'a str, Fault)>,
    /// Some batch was answered.
    answered: bool,
    /// Some id is not asked for next time.
    left_out: bool,
}

impl<'a> Found<'a> {
    /// Depth first: a span that ends before all is found out has at least found something.
    fn next_spoilt(&mut self) -> Option<(&'a [&'a str], Fault)> {
        if self.spoilt.is_empty() && self.answered {
            return self.set_aside.pop();
        }
        self.spoilt.pop()
    }
}

/// One collection's queries.
pub(super) struct Queries<'a> {
    pub(super) api: &'a Api,
    pub(super) visit: &'a Visit<'a, Login>,
    pub(super) learnt: &'a Learnt,
    /// Ids somebody configured: these are tried again sooner.
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
    /// The first query that failed, or too many spoilt batches: what was learnt until then stays,
    /// so that the next collection gets further. Or nothing but refusals of meetings that were
    /// listed a moment ago: then it is not the ids that are wrong.
    pub(super) async fn meetings(&self, mut ids: Vec<&str>) -> Result<Vec<Meeting>, Failure> {
        self.learnt.sift(&mut ids);
        let (suspects, others) = self.learnt.part(&ids);
        let largest = self.learnt.largest_batch.load(Ordering::Relaxed);
        let size = self.batch_size.min(largest).max(1);
        let mut found = Found::default();
        let batches = suspects.chunks(size).chain(others.chunks(size));
        // Unordered: the first failure ends all of them, whichever it is.
        let mut asked: FuturesUnordered<_> = batches.map(|batch| self.ask(batch)).collect();
        while let Some((batch, outcome)) = asked.try_next().await? {
            self.settle(batch, outcome, &mut found);
        }
        // Each half would be refused as it was not long ago, and calls are metered.
        let in_vain = |(batch, fault): &mut (&[&str], Fault)| {
            suspects.contains(&batch[0]) && Refusal::of(fault) == Some(Refusal::Unknown)
        };
        found.set_aside = found.spoilt.extract_if(.., in_vain).collect();
        let mut extra = MOST_EXTRA;
        while let Some((batch, fault)) = found.next_spoilt() {
            let Some(rest) = extra.checked_sub(2) else {
                if found.answered {
                    self.learn(&found.doubtful);
                } else if !found.doubtful.is_empty() && !found.left_out {
                    return Err(self.despair(&ids, fault));
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
            let aside = found.set_aside.pop().map(|(_, fault)| fault);
            if let Some(fault) = doubtful.or(aside) {
                return Err(self.despair(&ids, fault));
            }
        }
        self.learn(&found.doubtful);
        Ok(found.meetings)
    }

    async fn ask<'b>(&self, ids: &'b [&'b str]) -> Result<(&'b [&'b str], Outcome), Failure> {
        let body = json!({ "conferenceIdList": ids });
        let outcome = self
            .visit
            .send(
                |token| {
                    Call::post(QUERY, "/v1.0/conference/videoConferences/query")
                        .secret_header(TOKEN_HEADER, token.expose_secret())
                        .json(&body)
                },
                |answer| match unwrap::<Infos<'_>>(answer, On::Data) {
                    Ok(infos) => infos.in_progress(self.shown).map(Outcome::Meetings),
                    Err(fault) => match Refusal::of(&fault) {
                        Some(Refusal::TooLong) if ids.len() == 1 => Err(fault),
                        Some(refusal) => Ok(Outcome::Refused(refusal, fault)),
                        None => Err(fault),
                    },
                },
            )
            .await?;
        Ok((ids, outcome))
    }

    /// Notes what came of a batch.
    fn settle<'b>(&self, batch: &'b [&'b str], outcome: Outcome, found: &mut Found<'b>) {
        let (refusal, fault) = match outcome {
            Outcome::Meetings(more) => {
                found.answered = true;
                self.learnt.acquit();
                return found.meetings.extend(more);
            }
            Outcome::Refused(refusal, fault) => (refusal, fault),
        };
        if refusal == Refusal::TooLong {
            self.learnt.largest_batch.fetch_min(batch.len() / 2, Ordering::Relaxed);
        }
        let [id] = batch else { return found.spoilt.push((batch, fault)) };
        let pause = match refusal {
            _ if self.configured.contains(id) => self.pause,
            Refusal::Ended => ENDED,
            Refusal::NotFound => self.pause,
            Refusal::Unknown | Refusal::TooLong => return found.doubtful.push((id, fault)),
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
    fn despair(&self, ids: &[&str], fault: Fault) -> Failure {
        for id in ids.iter().filter(|id| !self.configured.contains(*id)) {
            self.learnt.suspect(id, self.pause);
        }
        self.give_up(fault, "every listed meeting was refused")
    }

    /// After all, a refusal was a failure.
    fn give_up(&self, fault: Fault, detail: &'static str) -> Failure {
        self.api.meters.request_failed(fault.reason);
        ApiError { endpoint: QUERY, fault, detail: Some(detail), may_have_arrived: true }.into()
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
        let sifted = |ids: &[&'static str]| {
            let mut ids = ids.to_vec();
            learnt.sift(&mut ids);
            ids
        };
        assert_eq!(sifted(&["a", "b", "c"]), ["c"]);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(sifted(&["a", "b", "c"]), ["a", "c"]);
        assert_eq!(sifted(&["c"]), ["c"]);
        assert_eq!(sifted(&["b"]), ["b"], "what is no longer listed is forgotten");
        assert!(learnt.refused.lock().unwrap().is_empty());
    }

    #[test]
    fn only_codes_about_ids_split_a_batch() {
        let refusal = |code: &str| Refusal::of(&Fault::new(Reason::Vendor).with_code(code));
        assert_eq!(refusal("resourceClose"), Some(Refusal::Ended));
        assert_eq!(refusal("roomNotFound"), Some(Refusal::NotFound));
        for code in [
            "orgAccessForbidden",
            "unknownUserError",
            "paramsError",
            "paramError",
            "missingRoomId",
            "invalidRoomCode",
        ] {
            assert_eq!(refusal(code), Some(Refusal::Unknown), "{code}");
        }
        assert_eq!(refusal("sizeTooLarge"), Some(Refusal::TooLong));
        for code in ["InvalidAuthentication", "systemError", "permissionError", "paramsTitleError"]
        {
            assert_eq!(refusal(code), None, "{code}");
        }
    }
}
