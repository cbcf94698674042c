// SPDX-License-Identifier: Apache-2.0
//! The logins of one account, counted over all sources that use it and over their renames.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync, time::Instant};

use crate::model::Reason;

/// The span in which logins are counted. The strictest systems lock out at five refusals.
const WINDOW: Duration = Duration::from_secs(10 * 60);

/// No more refused logins than this in any [`WINDOW`], whatever changed in between.
const MOST_REFUSED: usize = 2;

/// No more logins than this in any [`WINDOW`] that were refused or may have been: the system may
/// have refused a login whose answer never came.
const MOST_REFUSED_OR_UNANSWERED: usize = 4;

/// What the system may hold against one account, and may lock it out for.
///
/// It outlives the source: one that is renamed, or taken out of the configuration and put back, is
/// still the same to the system. Logins with the same account take turns, so that each knows what
/// became of the one before: of several at once all might be refused.
#[derive(Debug, Default)]
pub struct Account {
    /// Of the last [`WINDOW`], in the order of time.
    recent: Mutex<VecDeque<Attempt>>,
    turn: sync::Mutex<()>,
}

/// A login that was not accepted.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    at: Instant,
    is_answered: bool,
}

impl Account {
    /// Another account that begins with what is held against this one: a system that locks out
    /// addresses does not care which account it was.
    #[must_use]
    pub fn succeeded(&self) -> Self {
        Self { recent: Mutex::new(self.recent().clone()), turn: sync::Mutex::default() }
    }

    /// Whether nothing is held against it, and no login is under way.
    pub fn is_idle(&self, now: Instant) -> bool {
        self.turn.try_lock().is_ok() && self.recent_at(now).is_empty()
    }

    /// Waits until no other login with this account is under way, and keeps others waiting.
    pub(super) async fn turn(&self) -> sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Counts a login that was refused, or not answered.
    pub(super) fn count(&self, is_answered: bool, now: Instant) {
        self.recent().push_back(Attempt { at: now, is_answered });
    }

    /// Until when no login may be tried because of those of the last ten minutes, and why.
    pub(super) fn exhausted(
        &self,
        now: Instant,
    ) -> impl Iterator<Item = (Instant, Reason)> + use<> {
        let recent = self.recent_at(now);
        let until = |attempt: &Attempt| attempt.at + WINDOW;
        let refused = recent.iter().rev().filter(|attempt| attempt.is_answered);
        let refused = refused.map(until).nth(MOST_REFUSED - 1).map(|until| (until, Reason::Auth));
        let all = recent.iter().rev().map(until).nth(MOST_REFUSED_OR_UNANSWERED - 1);
        let all = all.map(|until| (until, Reason::Timeout));
        refused.into_iter().chain(all)
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<Attempt>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without those that no longer count.
    fn recent_at(&self, now: Instant) -> MutexGuard<'_, VecDeque<Attempt>> {
        let mut recent = self.recent();
        while recent.front().is_some_and(|attempt| attempt.at + WINDOW <= now) {
            recent.pop_front();
        }
        recent
    }
}
