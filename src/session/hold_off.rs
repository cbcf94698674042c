// SPDX-License-Identifier: Apache-2.0
//! When the next login may be tried. Systems lock accounts and addresses out after a handful of
//! refused logins; this is what keeps an exporter with an old password from doing that.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::Account;
use crate::model::Reason;

/// The first pause after a refused login.
const FIRST: Duration = Duration::from_secs(60);

/// The longest pause after tokens that were refused as soon as they were issued, and after logins that
/// were forbidden.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Identifies the secrets of a login attempt without holding them.
pub type Fingerprint = [u8; 32];

/// The state of one source's logins.
#[derive(Debug)]
pub struct HoldOff {
    longest: Duration,
    block: Option<Block>,
    account: Arc<Account>,
    refused_in_a_row: u32,
    tokens_refused_in_a_row: u32,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    until: Instant,
    reason: Reason,
    /// The secrets that led to it: others end the block early. `None`: they are not known, and the
    /// block holds for any.
    secrets: Option<Fingerprint>,
}

impl HoldOff {
    /// A state in which nothing was refused yet. `longest` is the pause after the second and each
    /// further refusal.
    pub fn new(longest: Duration) -> Self {
        Self {
            longest,
            block: None,
            account: Arc::default(),
            refused_in_a_row: 0,
            tokens_refused_in_a_row: 0,
        }
    }

    /// How much longer no login may be tried with the secrets of `fingerprint`, and why.
    pub fn remaining(
        &mut self,
        fingerprint: Fingerprint,
        now: Instant,
    ) -> Option<(Duration, Reason)> {
        if self.block.is_some_and(|block| {
            block.until <= now || block.secrets.is_some_and(|secrets| secrets != fingerprint)
        }) {
            self.block = None;
        }
        self.block_while_account_is_exhausted(now);
        self.block.map(|block| (block.until - now, block.reason))
    }

    /// Until when logins are held back, as far as is known without reading the secrets again.
    pub fn blocked_until(&self, now: Instant) -> Option<Instant> {
        self.block.map(|block| block.until).filter(|until| *until > now)
    }

    /// Whether the system has locked the exporter out.
    pub fn is_locked_out(&self, now: Instant) -> bool {
        self.block.is_some_and(|block| block.reason == Reason::LockedOut && block.until > now)
    }

    /// The login was accepted. What was refused in the last ten minutes still counts: not
    /// every system forgets it as well.
    pub const fn accepted(&mut self) {
        self.refused_in_a_row = 0;
    }

    /// A collection succeeded, and so did the token it was made with.
    pub const fn token_worked(&mut self) {
        self.tokens_refused_in_a_row = 0;
    }

    /// The login was refused, for its credentials as far as is known.
    pub fn rejected(&mut self, reason: Reason, fingerprint: Fingerprint, now: Instant) {
        self.refused_in_a_row = self.refused_in_a_row.saturating_add(1);
        // What is forbidden is so by a proxy or an address list. The system has not judged the
        // credentials then, and its longer lock-out does not threaten.
        let longest = if reason == Reason::Forbidden { LONGEST } else { self.longest };
        let pause = if self.refused_in_a_row == 1 { FIRST } else { longest };
        self.wait(pause, reason, Some(fingerprint), now);
        self.count(true, now);
    }

    /// The login was accepted, and its token refused by the very next call: a refused login in
    /// effect, and one that uses up tokens. Waits a minute, then twice as long each time.
    pub fn token_refused(&mut self, fingerprint: Option<Fingerprint>, now: Instant) {
        let pause = doubled(self.tokens_refused_in_a_row, LONGEST);
        self.tokens_refused_in_a_row = self.tokens_refused_in_a_row.saturating_add(1);
        self.wait(pause, Reason::Auth, fingerprint, now);
        self.count(true, now);
    }

    /// The login was answered with a lock-out: a refusal as well.
    pub fn locked_out(&mut self, pause: Duration, fingerprint: Fingerprint, now: Instant) {
        self.wait(pause, Reason::LockedOut, Some(fingerprint), now);
        self.count(true, now);
    }

    /// The login may have arrived, and its answer never came: it may have been refused.
    pub fn unanswered(&mut self, now: Instant) {
        self.count(false, now);
    }

    /// The system asks for a pause. It never shortens one that is under way.
    pub fn wait(
        &mut self,
        pause: Duration,
        reason: Reason,
        secrets: Option<Fingerprint>,
        now: Instant,
    ) {
        let until = now + pause;
        if self.block.is_none_or(|block| block.until < until) {
            self.block = Some(Block { until, reason, secrets });
        }
    }

    /// The configuration of the login changed: the state is reset, except that the refused logins of
    /// the last ten minutes still count (the system does not know of the change).
    #[must_use]
    pub fn reconfigured(&self, longest: Duration) -> Self {
        Self { account: Arc::clone(&self.account), ..Self::new(longest) }
    }

    /// Whose logins are counted.
    pub const fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Counts them with those of `account` from now on.
    pub fn count_with(&mut self, account: Arc<Account>) {
        self.account = account;
    }

    fn count(&mut self, is_answered: bool, now: Instant) {
        self.account.count(is_answered, now);
        self.block_while_account_is_exhausted(now);
    }

    fn block_while_account_is_exhausted(&mut self, now: Instant) {
        for (until, reason) in self.account.exhausted(now) {
            self.wait(until - now, reason, None, now);
        }
    }
}

/// A minute, doubled `times`, and no longer than `longest`.
pub fn doubled(times: u32, longest: Duration) -> Duration {
    FIRST.saturating_mul(2_u32.saturating_pow(times)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Fingerprint = [1; 32];
    const NEW: Fingerprint = [2; 32];
    const NEWEST: Fingerprint = [3; 32];

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    fn pause(hold_off: &mut HoldOff, secrets: Fingerprint, now: Instant) -> Option<Duration> {
        hold_off.remaining(secrets, now).map(|(pause, _)| pause)
    }

    #[tokio::test(start_paused = true)]
    async fn one_minute_then_the_longest_pause() {
        let start = Instant::now();
        let mut hold_off = HoldOff::new(LONGEST);
        assert_eq!(hold_off.remaining(OLD, start), None);
        hold_off.rejected(Reason::Auth, OLD, start);
        assert_eq!(pause(&mut hold_off, OLD, start), Some(minutes(1)));
        let second = start + minutes(1);
        assert_eq!(hold_off.remaining(OLD, second), None);
        hold_off.rejected(Reason::Auth, OLD, second);
        assert_eq!(pause(&mut hold_off, OLD, second), Some(minutes(15)));
        assert_eq!(hold_off.remaining(OLD, second + minutes(15)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_secret_ends_it_early_but_never_more_than_two_in_ten_minutes() {
        let start = Instant::now();
        let mut hold_off = HoldOff::new(LONGEST);
        hold_off.rejected(Reason::Auth, OLD, start);
        assert_eq!(hold_off.remaining(NEW, start), None);
        hold_off.rejected(Reason::Auth, NEW, start);
        assert_eq!(pause(&mut hold_off, NEWEST, start), Some(minutes(10)));
        let mut reconfigured = hold_off.reconfigured(LONGEST);
        assert_eq!(pause(&mut reconfigured, OLD, start), Some(minutes(10)));
        assert_eq!(hold_off.remaining(NEWEST, start + minutes(10)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_out_ends_with_a_new_secret_too() {
        let start = Instant::now();
        let mut hold_off = HoldOff::new(LONGEST);
        hold_off.locked_out(minutes(10), OLD, start);
        assert_eq!(hold_off.remaining(OLD, start), Some((minutes(10), Reason::LockedOut)));
        assert_eq!(hold_off.blocked_until(start + minutes(10)), None);
        assert_eq!(hold_off.remaining(NEW, start), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_longer_pause_is_never_shortened() {
        let start = Instant::now();
        let mut hold_off = HoldOff::new(LONGEST);
        hold_off.wait(minutes(60), Reason::LockedOut, Some(OLD), start);
        hold_off.rejected(Reason::Auth, OLD, start);
        hold_off.token_refused(Some(OLD), start);
        hold_off.wait(minutes(5), Reason::Vendor, None, start);
        assert_eq!(hold_off.remaining(OLD, start), Some((minutes(60), Reason::LockedOut)));
    }

    #[tokio::test(start_paused = true)]
    async fn success_starts_anew_but_for_the_ten_minutes() {
        let start = Instant::now();
        let mut hold_off = HoldOff::new(LONGEST);
        hold_off.rejected(Reason::Auth, OLD, start);
        assert_eq!(hold_off.remaining(OLD, start + minutes(1)), None);
        hold_off.accepted();
        let later = start + minutes(9);
        hold_off.rejected(Reason::Auth, OLD, later);
        assert_eq!(pause(&mut hold_off, OLD, later), Some(minutes(1)));
        let latest = later + minutes(1);
        assert_eq!(hold_off.remaining(OLD, latest), None);
        hold_off.accepted();
        hold_off.rejected(Reason::Auth, OLD, latest);
        assert_eq!(pause(&mut hold_off, OLD, latest), Some(minutes(9)));
    }

    #[tokio::test(start_paused = true)]
    async fn fresh_tokens_that_are_refused_wait_twice_as_long_each_time() {
        let mut now = Instant::now();
        let mut hold_off = HoldOff::new(LONGEST);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            hold_off.token_refused(Some(OLD), now);
            let pause = pause(&mut hold_off, OLD, now).unwrap();
            pauses.push(pause.as_secs() / 60);
            now += pause;
        }
        // The second is extended by the limit of two in ten minutes.
        assert_eq!(pauses, [1, 9, 4, 8, 15, 15]);
        hold_off.token_worked();
        hold_off.token_refused(Some(OLD), now);
        assert_eq!(pause(&mut hold_off, OLD, now), Some(minutes(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn logins_without_an_answer_count_together_with_refused_ones() {
        let start = Instant::now();
        let mut hold_off = HoldOff::new(LONGEST);
        hold_off.rejected(Reason::Auth, OLD, start);
        let now = start + minutes(1);
        for _ in 0..2 {
            assert_eq!(hold_off.remaining(OLD, now), None);
            hold_off.unanswered(now);
        }
        assert_eq!(hold_off.remaining(OLD, now), None);
        hold_off.unanswered(now);
        assert_eq!(hold_off.remaining(NEW, now), Some((minutes(9), Reason::Timeout)));
        assert!(hold_off.blocked_until(now).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_on_the_old_state_counts_on_the_new_one() {
        let start = Instant::now();
        let mut old = HoldOff::new(LONGEST);
        let mut new = old.reconfigured(LONGEST);
        old.rejected(Reason::Auth, OLD, start);
        new.locked_out(minutes(1), OLD, start);
        let mut newest = new.reconfigured(LONGEST);
        assert_eq!(pause(&mut newest, NEW, start), Some(minutes(10)));
    }
}
