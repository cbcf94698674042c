//! Tokens, lock-outs and used-up nonces of one system.

use crate::rng::Rng;
use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Issued tokens remembered, so that an expired one can be told from an unknown one.
const REMEMBERED: usize = 2_000;

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Access,
    Refresh,
    /// Controls one conference.
    Control(String),
}

/// What has become of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Expired,
    /// Pushed out by a newer one.
    KickedOut,
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) value: String,
    kind: Kind,
    expires: Instant,
    end: Option<Standing>,
    /// Still takes one of the vendor's slots although it no longer opens anything.
    holds_slot: bool,
}

#[derive(Debug, Clone, Copy)]
enum Lock {
    Until(Instant),
    Forever,
}

#[derive(Debug)]
pub(crate) struct Sessions {
    rng: Rng,
    tokens: VecDeque<Token>,
    failures: u32,
    lock: Option<Lock>,
    nonces: HashSet<String>,
}

impl Sessions {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            tokens: VecDeque::new(),
            failures: 0,
            lock: None,
            nonces: HashSet::new(),
        }
    }

    pub(crate) fn issue(&mut self, kind: Kind, life: Duration, now: Instant) -> String {
        let value = self.rng.hex(32);
        if self.tokens.len() >= REMEMBERED {
            self.tokens.pop_front();
        }
        let token =
            Token { value: value.clone(), kind, expires: now + life, end: None, holds_slot: true };
        self.tokens.push_back(token);
        value
    }

    pub(crate) fn standing(&self, kind: &Kind, value: &str, now: Instant) -> Standing {
        match self.tokens.iter().rev().find(|token| token.kind == *kind && token.value == value) {
            None => Standing::Unknown,
            Some(Token { end: Some(end), .. }) => *end,
            Some(token) if token.expires <= now => Standing::Expired,
            Some(_) => Standing::Good,
        }
    }

    /// The newest good token of that kind.
    pub(crate) fn current(&self, kind: &Kind, now: Instant) -> Option<&Token> {
        self.tokens.iter().rev().find(|t| t.kind == *kind && t.end.is_none() && t.expires > now)
    }

    /// A good token lives on from now.
    pub(crate) fn extend(&mut self, value: &str, life: Duration, now: Instant) {
        if let Some(token) = self.tokens.iter_mut().rev().find(|token| token.value == value) {
            token.expires = now + life;
        }
    }

    /// The token is forgotten, as after a log-out.
    pub(crate) fn revoke(&mut self, value: &str) {
        for token in self.tokens.iter_mut().filter(|token| token.value == value) {
            token.end = Some(Standing::Unknown);
            token.holds_slot = false;
        }
    }

    /// Tokens of that kind no longer open anything; each keeps its slot until it would have expired.
    pub(crate) fn supersede(&mut self, value: &str) {
        for token in self.tokens.iter_mut().filter(|token| token.value == value) {
            token.end = Some(Standing::Expired);
        }
    }

    /// The token issued just before that one.
    pub(crate) fn partner(&self, value: &str) -> Option<String> {
        let at = self.tokens.iter().position(|token| token.value == value)?;
        Some(self.tokens.get(at.checked_sub(1)?)?.value.clone())
    }

    /// Slots taken by tokens of that kind.
    pub(crate) fn slots(&self, kind: &Kind, now: Instant) -> usize {
        self.tokens.iter().filter(|t| t.kind == *kind && t.holds_slot && t.expires > now).count()
    }

    /// Good tokens of that kind.
    pub(crate) fn good(&self, kind: &Kind, now: Instant) -> usize {
        self.tokens.iter().filter(|t| t.kind == *kind && t.end.is_none() && t.expires > now).count()
    }

    /// Pushes out the oldest good token of that kind.
    pub(crate) fn kick_oldest(&mut self, kind: &Kind, now: Instant) {
        let oldest =
            self.tokens.iter_mut().find(|t| t.kind == *kind && t.end.is_none() && t.expires > now);
        if let Some(token) = oldest {
            token.end = Some(Standing::KickedOut);
            token.holds_slot = false;
        }
    }

    /// Every token of these kinds issued so far is expired from now on.
    pub(crate) fn expire(&mut self, which: impl Fn(&Kind) -> bool) {
        for token in
            self.tokens.iter_mut().filter(|token| which(&token.kind) && token.end.is_none())
        {
            token.end = Some(Standing::Expired);
            token.holds_slot = false;
        }
    }

    pub(crate) fn issued(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(|token| token.value.as_str())
    }

    /// One more bad login; the `limit`th in a row locks, for a time or until [`Sessions::unlock`].
    pub(crate) fn failed(&mut self, limit: u32, lock: Option<Duration>, now: Instant) {
        self.failures += 1;
        if self.failures >= limit {
            self.failures = 0;
            self.lock = Some(lock.map_or(Lock::Forever, |time| Lock::Until(now + time)));
        }
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    pub(crate) fn locked(&self, now: Instant) -> bool {
        match self.lock {
            None => false,
            Some(Lock::Forever) => true,
            Some(Lock::Until(end)) => now < end,
        }
    }

    pub(crate) fn unlock(&mut self) {
        self.failures = 0;
        self.lock = None;
    }

    /// Whether this nonce is new; it is not the next time.
    pub(crate) fn fresh_nonce(&mut self, nonce: &str) -> bool {
        self.nonces.insert(nonce.to_owned())
    }
}
