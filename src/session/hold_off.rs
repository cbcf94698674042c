//! When the next login may be tried. Vendors lock accounts and addresses out after a handful of
//! refused logins; this is what keeps an exporter with an old password from doing that.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::model::Reason;

/// The first pause after a refused login.
const FIRST: Duration = Duration::from_secs(60);

/// No more than [`MOST_REJECTED`] refused logins in any such span, whatever changed in between:
/// the strictest vendors lock out at five.
const WINDOW: Duration = Duration::from_secs(10 * 60);

/// See [`WINDOW`].
const MOST_REJECTED: usize = 2;

/// Identifies the secrets of a login attempt without holding them.
pub type Fingerprint = [u8; 32];

/// The state of one source's logins.
#[derive(Debug)]
pub struct HoldOff {
    longest: Duration,
    blocked: Option<Block>,
    /// Shared with the states before and after a reload: a scrape under way may still be refused
    /// on the old one.
    rejected: Arc<Mutex<VecDeque<Instant>>>,
    in_a_row: u32,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    until: Instant,
    reason: Reason,
    /// The secrets that were refused; others end the block early. `None`: the block has nothing
    /// to do with the secrets.
    refused: Option<Fingerprint>,
}

impl HoldOff {
    /// A state in which nothing was refused yet. `longest` is the pause after the second and each
    /// further refusal.
    pub fn new(longest: Duration) -> Self {
        Self { longest, blocked: None, rejected: Arc::default(), in_a_row: 0 }
    }

    /// How much longer no login may be tried with the secrets of `fingerprint`, and why.
    pub fn remaining(
        &mut self,
        fingerprint: Fingerprint,
        now: Instant,
    ) -> Option<(Duration, Reason)> {
        if self.blocked.is_some_and(|block| {
            block.until <= now || block.refused.is_some_and(|refused| refused != fingerprint)
        }) {
            self.blocked = None;
        }
        if let Some(until) = self.window_full_until(now)
            && self.blocked.is_none_or(|block| block.until < until)
        {
            self.blocked = Some(Block { until, reason: Reason::Auth, refused: None });
        }
        self.blocked.map(|block| (block.until - now, block.reason))
    }

    /// Whether logins are held back now, as far as is known without reading the secrets again.
    pub fn blocked_until(&self, now: Instant) -> Option<Instant> {
        self.blocked.map(|block| block.until).filter(|until| *until > now)
    }

    fn window(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        self.rejected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn window_full_until(&self, now: Instant) -> Option<Instant> {
        let mut rejected = self.window();
        while rejected.front().is_some_and(|at| *at + WINDOW <= now) {
            rejected.pop_front();
        }
        let index = rejected.len().checked_sub(MOST_REJECTED)?;
        rejected.get(index).map(|at| *at + WINDOW)
    }

    /// The login was accepted. What was refused within [`WINDOW`] still counts: not every vendor
    /// forgets it as well.
    pub fn accepted(&mut self) {
        self.blocked = None;
        self.in_a_row = 0;
    }

    /// The login was refused for its credentials.
    pub fn rejected(&mut self, fingerprint: Fingerprint, now: Instant) {
        self.window().push_back(now);
        self.in_a_row = self.in_a_row.saturating_add(1);
        let pause = if self.in_a_row == 1 { FIRST } else { self.longest };
        self.blocked =
            Some(Block { until: now + pause, reason: Reason::Auth, refused: Some(fingerprint) });
    }

    /// The login was answered with a lock-out: a refusal as well, whatever the secrets.
    pub fn locked_out(&mut self, pause: Duration, now: Instant) {
        self.window().push_back(now);
        self.wait(pause, Reason::LockedOut, now);
    }

    /// The vendor asks to wait, whatever the secrets.
    pub fn wait(&mut self, pause: Duration, reason: Reason, now: Instant) {
        let until = now + pause;
        if self.blocked.is_none_or(|block| block.until < until) {
            self.blocked = Some(Block { until, reason, refused: None });
        }
    }

    /// The configuration of the login changed: a new beginning, except that the window of refused
    /// logins still counts (the vendor does not know that we have changed).
    #[must_use]
    pub fn reconfigured(&self, longest: Duration) -> Self {
        Self { longest, blocked: None, rejected: Arc::clone(&self.rejected), in_a_row: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Fingerprint = [1; 32];
    const NEW: Fingerprint = [2; 32];
    const LONGEST: Duration = Duration::from_secs(15 * 60);

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    #[tokio::test(start_paused = true)]
    async fn one_minute_then_the_longest_pause() {
        let start = Instant::now();
        let mut hold_off = HoldOff::new(LONGEST);
        assert_eq!(hold_off.remaining(OLD, start), None);
        hold_off.rejected(OLD, start);
        assert_eq!(hold_off.remaining(OLD, start).map(|(pause, _)| pause), Some(minutes(1)));
        let second = start + minutes(1);
        assert_eq!(hold_off.remaining(OLD, second), None);
        hold_off.rejected(OLD, second);
        assert_eq!(hold_off.remaining(OLD, second).map(|(pause, _)| pause), Some(minutes(15)));
        assert_eq!(hold_off.remaining(OLD, second + minutes(15)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_secret_ends_it_early_but_never_more_than_two_in_ten_minutes() {
        let start = Instant::now();
        let mut hold_off = HoldOff::new(LONGEST);
        hold_off.rejected(OLD, start);
        assert_eq!(hold_off.remaining(NEW, start), None);
        hold_off.rejected(NEW, start);
        assert_eq!(hold_off.remaining([3; 32], start).map(|(pause, _)| pause), Some(minutes(10)));
        let mut reconfigured = hold_off.reconfigured(LONGEST);
        assert_eq!(reconfigured.remaining(OLD, start).map(|(pause, _)| pause), Some(minutes(10)));
        assert_eq!(hold_off.remaining([3; 32], start + minutes(10)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_out_does_not_care_about_secrets() {
        let start = Instant::now();
        let mut hold_off = HoldOff::new(LONGEST);
        hold_off.wait(minutes(10), Reason::LockedOut, start);
        assert_eq!(hold_off.remaining(NEW, start).map(|(pause, _)| pause), Some(minutes(10)));
        assert_eq!(hold_off.blocked_until(start + minutes(10)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn success_starts_anew_but_for_the_ten_minutes() {
        let start = Instant::now();
        let mut hold_off = HoldOff::new(LONGEST);
        hold_off.rejected(OLD, start);
        hold_off.accepted();
        assert_eq!(hold_off.remaining(OLD, start), None);
        let later = start + minutes(9);
        hold_off.rejected(OLD, later);
        assert_eq!(hold_off.remaining(OLD, later).map(|(pause, _)| pause), Some(minutes(1)));
        hold_off.accepted();
        hold_off.rejected(OLD, later);
        assert_eq!(hold_off.remaining(OLD, later).map(|(pause, _)| pause), Some(minutes(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_on_the_old_state_counts_on_the_new_one() {
        let start = Instant::now();
        let mut old = HoldOff::new(LONGEST);
        let mut new = old.reconfigured(LONGEST);
        old.rejected(OLD, start);
        new.locked_out(minutes(1), start);
        let mut newest = new.reconfigured(LONGEST);
        assert_eq!(newest.remaining(NEW, start).map(|(pause, _)| pause), Some(minutes(10)));
    }
}
