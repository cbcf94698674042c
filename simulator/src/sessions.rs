// SPDX-License-Identifier: Apache-2.0
//! Tokens, lock-outs and used-up nonces of one instance.

use crate::rng::Rng;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Issued tokens remembered, so that an expired one can be told from an unknown one.
const REMEMBERED: usize = 2_000;

/// What [`Sessions::failed`] and [`Sessions::locked`] count for the login of the API itself.
pub const LOGIN: &str = "login";

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Opens the API.
    Access,
    /// Buys a new access token.
    Refresh,
    /// Controls the one conference of this id.
    Control(String),
}

/// What has become of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It opens what it is for.
    Good,
    /// Its time is over.
    Expired,
    /// Pushed out by a newer one.
    KickedOut,
    /// Never issued, given back, or forgotten in a restart.
    Unknown,
}

#[derive(Debug)]
struct Token {
    value: String,
    kind: TokenKind,
    expires: Instant,
    end: Option<TokenState>,
    /// Still takes one of the system's slots although it no longer opens anything.
    holds_slot: bool,
}

impl Token {
    fn is_good(&self, kind: &TokenKind, now: Instant) -> bool {
        self.kind == *kind && self.end.is_none() && self.expires > now
    }
}

#[derive(Debug, Clone, Copy)]
enum Lock {
    Until(Instant),
    Forever,
}

#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
    lock: Option<Lock>,
}

/// Tokens, lock-outs and used-up nonces of one instance.
#[derive(Debug)]
pub struct Sessions {
    random: Rng,
    tokens: VecDeque<Token>,
    /// By what was tried: the login, or the password of one meeting.
    failures: HashMap<String, Failures>,
    nonces: HashSet<String>,
}

impl Sessions {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Rng::new(seed),
            tokens: VecDeque::new(),
            failures: HashMap::new(),
            nonces: HashSet::new(),
        }
    }

    /// A new token that lives so long from now.
    pub fn issue(&mut self, kind: TokenKind, life: Duration, now: Instant) -> String {
        let value = self.random.hex(32);
        if self.tokens.len() >= REMEMBERED {
            self.tokens.pop_front();
        }
        let token =
            Token { value: value.clone(), kind, expires: now + life, end: None, holds_slot: true };
        self.tokens.push_back(token);
        value
    }

    /// What has become of that token.
    pub fn state(&self, kind: &TokenKind, value: &str, now: Instant) -> TokenState {
        match self.tokens.iter().rev().find(|token| token.kind == *kind && token.value == value) {
            None => TokenState::Unknown,
            Some(Token { end: Some(end), .. }) => *end,
            Some(token) if token.expires <= now => TokenState::Expired,
            Some(_) => TokenState::Good,
        }
    }

    /// The newest good token of that kind.
    pub fn current(&self, kind: &TokenKind, now: Instant) -> Option<&str> {
        let newest = self.tokens.iter().rev().find(|token| token.is_good(kind, now));
        newest.map(|token| token.value.as_str())
    }

    /// A good token lives on from now.
    pub fn extend(&mut self, value: &str, life: Duration, now: Instant) {
        if let Some(token) = self.tokens.iter_mut().rev().find(|token| token.value == value) {
            token.expires = now + life;
        }
    }

    /// The token is forgotten, as after a log-out.
    pub fn revoke(&mut self, value: &str) {
        for token in self.tokens.iter_mut().filter(|token| token.value == value) {
            token.end = Some(TokenState::Unknown);
            token.holds_slot = false;
        }
    }

    /// The token no longer opens anything; it keeps its slot until it would have expired.
    pub fn supersede(&mut self, value: &str) {
        for token in self.tokens.iter_mut().filter(|token| token.value == value) {
            token.end = Some(TokenState::Expired);
        }
    }

    /// The token issued just before that one.
    pub fn partner(&self, value: &str) -> Option<String> {
        let at = self.tokens.iter().position(|token| token.value == value)?;
        Some(self.tokens.get(at.checked_sub(1)?)?.value.clone())
    }

    /// Slots taken by tokens of that kind.
    pub fn slots(&self, kind: &TokenKind, now: Instant) -> usize {
        self.tokens.iter().filter(|t| t.kind == *kind && t.holds_slot && t.expires > now).count()
    }

    /// Good tokens of that kind.
    pub fn good(&self, kind: &TokenKind, now: Instant) -> usize {
        self.tokens.iter().filter(|token| token.is_good(kind, now)).count()
    }

    /// Pushes out the oldest good token of that kind.
    pub fn kick_oldest(&mut self, kind: &TokenKind, now: Instant) {
        if let Some(token) = self.tokens.iter_mut().find(|token| token.is_good(kind, now)) {
            token.end = Some(TokenState::KickedOut);
            token.holds_slot = false;
        }
    }

    /// One more failure of what was tried; the `limit`th in a row locks it, for a time or until unlocked.
    pub fn failed(&mut self, tried: &str, limit: u32, lock: Option<Duration>, now: Instant) {
        let failures = self.failures.entry(tried.to_owned()).or_default();
        failures.in_a_row += 1;
        if failures.in_a_row >= limit {
            self.lock(tried, lock, now);
        }
    }

    /// What was tried has worked: earlier failures no longer count.
    pub fn succeeded(&mut self, tried: &str) {
        self.failures.remove(tried);
    }

    /// Whether it is locked after too many failures.
    pub fn locked(&self, tried: &str, now: Instant) -> bool {
        match self.failures.get(tried).and_then(|failures| failures.lock) {
            None => false,
            Some(Lock::Forever) => true,
            Some(Lock::Until(end)) => now < end,
        }
    }

    /// How long it stays locked; `None`: it is not locked, or not for a time that is known.
    pub fn locked_for(&self, tried: &str, now: Instant) -> Option<Duration> {
        match self.failures.get(tried)?.lock? {
            Lock::Forever => None,
            Lock::Until(end) => Some(end.saturating_duration_since(now)),
        }
    }

    /// Whether this nonce is new; it is not the next time.
    pub fn fresh_nonce(&mut self, nonce: &str) -> bool {
        self.nonces.insert(nonce.to_owned())
    }

    pub(crate) fn lock(&mut self, tried: &str, lock: Option<Duration>, now: Instant) {
        let lock = lock.map_or(Lock::Forever, |time| Lock::Until(now + time));
        self.failures.insert(tried.to_owned(), Failures { in_a_row: 0, lock: Some(lock) });
    }

    pub(crate) fn unlock(&mut self) {
        self.failures.clear();
    }

    /// Every token of these kinds issued so far is expired from now on.
    pub(crate) fn expire(&mut self, which: impl Fn(&TokenKind) -> bool) {
        for token in
            self.tokens.iter_mut().filter(|token| which(&token.kind) && token.end.is_none())
        {
            token.end = Some(TokenState::Expired);
            token.holds_slot = false;
        }
    }

    /// Every token is unknown from now on, as after a restart of the system.
    pub(crate) fn forget_tokens(&mut self) {
        for token in &mut self.tokens {
            token.end = Some(TokenState::Unknown);
            token.holds_slot = false;
        }
    }

    /// The tokens issued so far, whatever has become of them.
    pub(crate) fn issued(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(|token| token.value.as_str())
    }
}
