// SPDX-License-Identifier: Apache-2.0
//! What a session knows: the token in use, the change under way, what was refused.

use std::sync::Arc;

use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

use super::{
    Grant, HashKey,
    hold_off::{Fingerprint, HoldOff},
};
use crate::{
    model::Reason,
    net::{Consequence, Failure, Fault},
};

/// The token in use.
pub(super) struct Held<T> {
    pub(super) token: Arc<T>,
    pub(super) generation: u64,
    /// Whether a call with it was accepted. One that never worked and is refused is no better than
    /// a refused login: another one would be refused as well.
    pub(super) has_worked: bool,
    pub(super) renew_at: Instant,
    pub(super) expires_at: Instant,
    pub(super) renewable_until: Instant,
    /// The login that was to replace it early did not succeed: it is used until it expires, even
    /// while logins are held back.
    pub(super) outlasts_hold_off: bool,
}

impl<T> Held<T> {
    pub(super) fn current(&self) -> Current<T> {
        let Self { generation, has_worked, .. } = *self;
        Current { token: Arc::clone(&self.token), generation, has_worked }
    }
}

/// The token a call is sent with. Generations tell one token from the next.
pub(super) struct Current<T> {
    pub(super) token: Arc<T>,
    pub(super) generation: u64,
    /// As far as was known when the call was sent.
    pub(super) has_worked: bool,
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        let Self { generation, has_worked, .. } = *self;
        Self { token: Arc::clone(&self.token), generation, has_worked }
    }
}

/// The login or renewal under way: the same for all who wait for it.
pub(super) type Change<T> = Shared<BoxFuture<'static, Result<Current<T>, Failure>>>;

pub(super) struct State<T> {
    pub(super) held: Option<Held<T>>,
    pub(super) generation: u64,
    pub(super) hold_off: HoldOff,
    pub(super) hash_key: HashKey,
    pub(super) change: Option<Change<T>>,
    /// Collections that use the session now: those of the sources before and after a reload.
    pub(super) visits: usize,
    /// Tokens that are to be given back at the end of the last of them, when no call with them is
    /// in flight any more.
    pub(super) discarded: Vec<Arc<T>>,
    /// Of the secrets of the last login.
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) doubts: Doubts,
    pub(super) is_closed: bool,
}

/// New logins because of answers that may or may not mean that the token was refused.
#[derive(Default)]
pub(super) struct Doubts {
    /// How many in a row did not help.
    pub(super) unhelpful: u32,
    /// No further one before then.
    pub(super) next: Option<Instant>,
}

impl<T> State<T> {
    /// Never logged in.
    pub(super) fn new(hold_off: HoldOff) -> Self {
        Self {
            held: None,
            generation: 0,
            hold_off,
            hash_key: HashKey::default(),
            change: None,
            visits: 0,
            discarded: Vec::new(),
            fingerprint: None,
            doubts: Doubts::default(),
            is_closed: false,
        }
    }

    pub(super) fn store(&mut self, grant: Grant<T>, has_worked: bool) -> Current<T> {
        let now = Instant::now();
        self.generation += 1;
        let held = self.held.insert(Held {
            token: Arc::new(grant.token),
            generation: self.generation,
            has_worked,
            renew_at: now + grant.renew_after,
            expires_at: now + grant.valid_for,
            renewable_until: now + grant.renewable_for,
            outlasts_hold_off: false,
        });
        held.current()
    }

    /// The token held, should it have to be used although the next one is not to be had.
    pub(super) fn still_good(&self, now: Instant) -> Option<&Held<T>> {
        self.held.as_ref().filter(|held| held.outlasts_hold_off && now < held.expires_at)
    }

    /// The token held is of no use any more.
    fn discard(&mut self) {
        self.discarded.extend(self.held.take().map(|held| held.token));
    }

    /// The tokens that are to be given back now: none while a collection may still use them, nor
    /// while the system has locked the exporter out and nothing may be sent.
    pub(super) fn take_discarded(&mut self) -> Vec<Arc<T>> {
        if self.visits > 0 || self.hold_off.is_locked_out(Instant::now()) {
            return Vec::new();
        }
        std::mem::take(&mut self.discarded)
    }

    pub(super) fn note_refused_login(&mut self, secrets: Fingerprint, fault: &Fault) {
        let now = Instant::now();
        match fault.consequence {
            Consequence::LockedOut(pause) => {
                self.discard();
                self.hold_off.locked_out(pause, secrets, now);
            }
            // A login that is refused in any other way is refused: HTTP 401, and 403, with which a
            // proxy may count it as well, and ban who sends more of them.
            Consequence::RenewToken => self.hold_off.rejected(fault.reason, secrets, now),
            Consequence::DoubtToken if matches!(fault.reason, Reason::Auth | Reason::Forbidden) => {
                self.hold_off.rejected(fault.reason, secrets, now);
            }
            Consequence::None
            | Consequence::DoubtToken
            | Consequence::LoginRejected
            | Consequence::HoldLogin(_)
            | Consequence::HoldRequests(_) => self.note_refusal(Some(secrets), fault),
        }
    }

    pub(super) fn note_refusal(&mut self, secrets: Option<Fingerprint>, fault: &Fault) {
        let now = Instant::now();
        match fault.consequence {
            Consequence::LoginRejected => {
                self.hold_off.rejected(fault.reason, secrets.unwrap_or_default(), now);
            }
            Consequence::LockedOut(pause) => {
                self.discard();
                self.hold_off.wait(pause, Reason::LockedOut, secrets, now);
            }
            Consequence::HoldLogin(pause) => {
                self.hold_off.wait(pause, fault.reason, secrets, now);
            }
            Consequence::None
            | Consequence::RenewToken
            | Consequence::DoubtToken
            | Consequence::HoldRequests(_) => {}
        }
    }

    /// A lock-out counts whatever call it is the answer to.
    pub(super) fn note_lock_out(&mut self, fault: &Fault) {
        if matches!(fault.consequence, Consequence::LockedOut(_)) {
            self.note_refusal(self.fingerprint, fault);
        }
    }

    /// The token of `refused` never worked: another one would be refused as well, and systems limit
    /// how many tokens they issue. Whether it was still the one in use.
    pub(super) fn discard_fresh(&mut self, refused: u64) -> bool {
        let held = self.held.take_if(|held| held.generation == refused);
        let was_held = held.is_some();
        if let Some(held) = held {
            self.discarded.push(held.token);
            self.hold_off.token_refused(self.fingerprint, Instant::now());
        }
        was_held
    }
}
