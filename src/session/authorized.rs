// SPDX-License-Identifier: Apache-2.0
//! The calls of one collection, and what becomes of a token that one of them finds refused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};

use super::{
    Login, Renewal, Session, fingerprint,
    hold_off::doubled,
    state::{Current, Held, State},
};
use crate::{
    model::Reason,
    net::{Answer, Api, ApiError, Call, Consequence, Failure, Fault},
};

/// How long after a failed renewal of a token that is still good the next one is tried.
const NEXT_RENEWAL: Duration = Duration::from_secs(60);

/// The longest pause between two logins because of doubtful answers.
const LONGEST_PAUSE_AFTER_DOUBT: Duration = Duration::from_secs(15 * 60);

/// One collection's use of the session: at most one refused token is replaced in it.
pub struct Authorized<'a, L: Login> {
    session: &'a Arc<Session<L>>,
    api: &'a Api,
    has_replaced: AtomicBool,
}

impl<'a, L: Login> Authorized<'a, L> {
    pub(super) fn new(session: &'a Arc<Session<L>>, api: &'a Api) -> Self {
        session.lock().visits += 1;
        Self { session, api, has_replaced: AtomicBool::new(false) }
    }

    /// The session that is used.
    pub const fn session(&self) -> &'a Arc<Session<L>> {
        self.session
    }

    /// The handle for requests to the source.
    pub const fn api(&self) -> &'a Api {
        self.api
    }

    /// Logs in for this collection alone, which gives the token back at its end: for systems where a
    /// login belongs to a connection. Refusals count, and hold the next login back, as everywhere.
    ///
    /// # Errors
    /// What the login failed with; [`Failure::HeldBack`] without a request while logins are held
    /// back.
    pub async fn log_in(&self) -> Result<Arc<L::Token>, Failure> {
        self.session.log_in_once(self.api).await
    }

    /// Sends the call that `build` makes with the token, and lets `judge` make of the answer what
    /// it is. If the system no longer accepts a token that has worked, renews it once and sends
    /// once more.
    ///
    /// # Errors
    /// What the call, or the login it needed, failed with; [`Failure::HeldBack`] without a
    /// request while logins are held back.
    pub async fn send<T>(
        &self,
        build: impl Fn(&L::Token) -> Call,
        judge: impl Fn(&Answer) -> Result<T, Fault>,
    ) -> Result<T, Failure> {
        let current = self.token().await?;
        let refused = match self.api.send(build(&current.token), &judge).await {
            Err(Failure::Request(error)) => error,
            settled => return self.settled(&current, settled),
        };
        let Some(next) = self.replaced(&current, &refused).await? else {
            return Err(refused.into());
        };
        match self.api.send(build(&next.token), &judge).await {
            Err(Failure::Request(error)) => {
                self.give_up(&next, &error.fault);
                Err(error.into())
            }
            settled => self.settled(&next, settled),
        }
    }

    /// Notes that the token of a call that was answered works.
    fn settled<T>(
        &self,
        current: &Current<L::Token>,
        outcome: Result<T, Failure>,
    ) -> Result<T, Failure> {
        // Several secrets go with the calls of a system without a login: they work once a whole
        // collection does.
        if outcome.is_ok()
            && L::HAS_TOKEN
            && !current.has_worked
            && let Some(held) = &mut self.session.lock().held
            && held.generation == current.generation
        {
            held.has_worked = true;
        }
        outcome
    }

    /// A token that is valid as far as is known; logs in or renews it where that is due.
    async fn token(&self) -> Result<Current<L::Token>, Failure> {
        let session = self.session;
        let is_blocked = session.lock().hold_off.blocked_until(Instant::now()).is_some();
        if is_blocked {
            let checked = session.login.secrets().await;
            let checked = checked.and_then(|secrets| session.check_hold_off(fingerprint(&secrets)));
            if let Err(held_back) = checked {
                let state = session.lock();
                return state.still_good(Instant::now()).map(Held::current).ok_or(held_back);
            }
        }
        let change = {
            let mut state = session.lock();
            let now = Instant::now();
            let mut old = None;
            if let Some(held) = &mut state.held {
                if now < held.renew_at {
                    return Ok(held.current());
                }
                // Set before the renewal: calls that are made meanwhile use the old token.
                held.renew_at = (now + NEXT_RENEWAL).min(held.expires_at);
                if now < held.renewable_until {
                    old = Some((Arc::clone(&held.token), Renewal::Due));
                }
            }
            session.change(&mut state, self.api, old)
        };
        // The session is closed: no scrape waits for this call any more.
        let Some(change) = change else { return Err(Failure::Timeout) };
        let failure = match change.await {
            Ok(current) => return Ok(current),
            Err(failure) => failure,
        };
        match &mut session.lock().held {
            // The renewal was early, so the old token is still good. (After a lock-out none is held.)
            Some(held) if Instant::now() < held.expires_at => {
                held.outlasts_hold_off = true;
                Ok(held.current())
            }
            Some(_) | None => Err(failure),
        }
    }

    /// A token instead of the one that was `refused` with `error`. `None`: there is none, or it
    /// would not help.
    async fn replaced(
        &self,
        refused: &Current<L::Token>,
        error: &ApiError,
    ) -> Result<Option<Current<L::Token>>, Failure> {
        let is_certain = match error.fault.consequence {
            Consequence::RenewToken => true,
            Consequence::DoubtToken => false,
            Consequence::LockedOut(_) => {
                self.session.lock().note_lock_out(&error.fault);
                return Ok(None);
            }
            Consequence::None
            | Consequence::LoginRejected
            | Consequence::HoldLogin(_)
            | Consequence::HoldRequests(_) => return Ok(None),
        };
        let change = {
            let mut state = self.session.lock();
            let now = Instant::now();
            match &state.held {
                // Another call of this collection has seen to it already.
                Some(held) if held.generation != refused.generation => {
                    return Ok(Some(held.current()));
                }
                Some(held) if !held.has_worked => {
                    if is_certain || error.fault.reason == Reason::Auth {
                        self.discard_fresh(&mut state, refused.generation);
                    }
                    return Ok(None);
                }
                Some(_) if !is_certain && state.doubts.next.is_some_and(|next| now < next) => {
                    return Ok(None);
                }
                // It was refused to another call before, and the next one is on its way.
                None if state.change.is_some() => {}
                None => return Ok(None),
                Some(_) => {}
            }
            let old = if is_certain { state.held.take() } else { None };
            if let Some(old) = &old
                && error.fault.code.is_none()
            {
                // A proxy may have refused it; the token is still valid for the system then, and
                // is given back.
                state.discarded.push(Arc::clone(&old.token));
            }
            if self.has_replaced.swap(true, Ordering::Relaxed) && state.change.is_none() {
                return Ok(None);
            }
            let old = Some((Arc::clone(&refused.token), Renewal::Refused));
            self.session.change(&mut state, self.api, old)
        };
        match change {
            Some(change) => change.await.map(Some),
            None => Err(Failure::Timeout),
        }
    }

    /// The token `refused` never worked: no other one would.
    fn discard_fresh(&self, state: &mut State<L::Token>, refused: u64) {
        if state.discard_fresh(refused) && !L::HAS_TOKEN {
            self.api.meters.login_failures.inc();
        }
    }

    /// The call was refused again, although the token was replaced.
    fn give_up(&self, current: &Current<L::Token>, fault: &Fault) {
        let mut state = self.session.lock();
        state.note_lock_out(fault);
        let is_refused = match fault.consequence {
            Consequence::RenewToken => true,
            Consequence::DoubtToken => fault.reason == Reason::Auth,
            Consequence::None
            | Consequence::LoginRejected
            | Consequence::LockedOut(_)
            | Consequence::HoldLogin(_)
            | Consequence::HoldRequests(_) => return,
        };
        let Some(held) = &state.held else { return };
        if held.generation != current.generation {
            return;
        }
        if !is_refused {
            let pause = doubled(state.doubts.unhelpful, LONGEST_PAUSE_AFTER_DOUBT);
            state.doubts.unhelpful = state.doubts.unhelpful.saturating_add(1);
            state.doubts.next = Some(Instant::now() + pause);
        } else if held.has_worked {
            // Prolonged, and refused all the same: the next collection logs in.
            state.held = None;
        } else {
            self.discard_fresh(&mut state, current.generation);
        }
    }
}

impl<L: Login> Drop for Authorized<'_, L> {
    fn drop(&mut self) {
        let tokens = {
            let mut state = self.session.lock();
            state.visits -= 1;
            state.take_discarded()
        };
        if tokens.is_empty() {
            return;
        }
        // Without a runtime the process is about to end.
        if let Ok(runtime) = Handle::try_current() {
            let (session, api) = (Arc::clone(self.session), self.api.clone());
            let logout = async move { session.give_back(&api, tokens).await };
            self.session.tasks.spawn_on(logout, &runtime);
        }
    }
}
