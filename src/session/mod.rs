//! One login for many scrapes: the token, its renewal, and the hold-off after a refused login.

pub mod hold_off;

use std::{
    future::Future,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::{sync::Mutex, time::Instant};
use zeroize::Zeroizing;

use crate::{
    api::{Answer, Api, ApiError, Call, Consequence, Failure, Fault},
    config::secret::SecretSource,
    metrics::own::SourceMeters,
    model::Reason,
};
use hold_off::{Fingerprint, HoldOff};

/// How one vendor logs in.
pub trait Dialect: Send + Sync {
    /// What a login yields.
    type Token: Send + Sync;
    /// What it takes besides the configuration.
    type Secrets: Send + Sync;

    /// The pause after the second refused login.
    const LONGEST_HOLD_OFF: Duration;

    /// The secrets as they are now.
    ///
    /// # Errors
    /// A secret file that cannot be read.
    fn secrets(&self) -> impl Future<Output = Result<Self::Secrets, Failure>> + Send;

    /// Who logs in where, and the secret that outlives token rotations: what the keyed hash of
    /// conference ids depends on.
    fn identity<'a>(&self, secrets: &'a Self::Secrets) -> (String, &'a SecretString);

    /// Identifies the secrets without holding them.
    fn fingerprint(secrets: &Self::Secrets) -> Fingerprint;

    /// Logs in.
    ///
    /// # Errors
    /// What the vendor answered.
    fn login(
        &self,
        api: &Api,
        secrets: &Self::Secrets,
    ) -> impl Future<Output = Result<Grant<Self::Token>, Failure>> + Send;

    /// Prolongs the token where the vendor has a call for that. `Ok(None)`: it has none, or it
    /// did not work; log in anew.
    ///
    /// # Errors
    /// A source that does not answer: logging in would not help either.
    fn renew(
        &self,
        api: &Api,
        token: &Self::Token,
        cause: Renewal,
    ) -> impl Future<Output = Result<Option<Grant<Self::Token>>, Failure>> + Send;

    /// Gives the token back.
    fn logout(&self, api: &Api, token: &Self::Token) -> impl Future<Output = ()> + Send;
}

/// Why a token is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Its time has come.
    Due,
    /// The vendor no longer accepts it.
    Refused,
}

/// A token and its times.
#[derive(Debug)]
pub struct Grant<T> {
    /// The token.
    pub token: T,
    /// Renew it from then on.
    pub renew_after: Duration,
    /// It is worthless from then on.
    pub valid_for: Duration,
    /// It can still be renewed until then.
    pub renewable_for: Duration,
}

struct Held<T> {
    token: Arc<T>,
    generation: u64,
    renew_at: Instant,
    expires_at: Instant,
    renewable_until: Instant,
    /// The login that was to follow it early did not succeed: used to its end, even while logins
    /// are held back.
    outlasts_hold_off: bool,
}

struct Inner<T> {
    held: Option<Held<T>>,
    generation: u64,
    hold_off: HoldOff,
    hash_key: HashKey,
}

/// Key of the keyed hash of conference ids. Derived from the login's secret, so that the few
/// thousand possible conference numbers cannot simply be tried.
pub type HashKey = Zeroizing<[u8; 32]>;

/// What is known about the login without asking anybody: for metrics and the status page.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoginState {
    /// Logins are held back until then.
    pub blocked_until: Option<Instant>,
    /// The token held expires then.
    pub token_expiry: Option<SystemTime>,
}

/// How long after a failed renewal of a token that is still good the next one is tried.
const NEXT_RENEWAL: Duration = Duration::from_secs(60);

/// The session of one source.
pub struct Session<D: Dialect> {
    dialect: D,
    inner: Mutex<Inner<D::Token>>,
    state: RwLock<LoginState>,
}

/// One collection's use of the session: at most one refused token is replaced in it.
pub struct Visit<'a, D: Dialect> {
    session: &'a Session<D>,
    api: &'a Api,
    replaced: AtomicBool,
}

impl<D: Dialect> Session<D> {
    /// A session that has not logged in yet.
    pub fn new(dialect: D) -> Self {
        Self::with_hold_off(dialect, HoldOff::new(D::LONGEST_HOLD_OFF))
    }

    fn with_hold_off(dialect: D, hold_off: HoldOff) -> Self {
        Self {
            dialect,
            inner: Mutex::new(Inner {
                held: None,
                generation: 0,
                hold_off,
                hash_key: HashKey::default(),
            }),
            state: RwLock::default(),
        }
    }

    /// The session after a reload: the same one where nothing about the login changed, else a
    /// new one that remembers what was refused.
    pub async fn succeeded_by(self: &Arc<Self>, dialect: D, same_way: bool) -> Arc<Self>
    where
        D: PartialEq,
    {
        if same_way && self.dialect == dialect {
            return Arc::clone(self);
        }
        let hold_off = self.inner.lock().await.hold_off.reconfigured(D::LONGEST_HOLD_OFF);
        Arc::new(Self::with_hold_off(dialect, hold_off))
    }

    /// How this session logs in.
    pub const fn dialect(&self) -> &D {
        &self.dialect
    }

    /// Starts one collection's use of the session.
    pub const fn visit<'a>(&'a self, api: &'a Api) -> Visit<'a, D> {
        Visit { session: self, api, replaced: AtomicBool::new(false) }
    }

    /// The key for conference ids. Known since the first login.
    pub async fn hash_key(&self) -> HashKey {
        self.inner.lock().await.hash_key.clone()
    }

    /// What is known about the login.
    pub fn state(&self) -> LoginState {
        let state = *self.state.read().unwrap_or_else(PoisonError::into_inner);
        LoginState {
            blocked_until: state.blocked_until.filter(|until| *until > Instant::now()),
            token_expiry: state.token_expiry.filter(|expiry| *expiry > SystemTime::now()),
        }
    }

    /// Gives the token back, if there is one.
    pub async fn logout(&self, api: &Api) {
        let held = {
            let mut inner = self.inner.lock().await;
            let held = inner.held.take();
            self.publish(&inner);
            held
        };
        if let Some(held) = held.filter(|held| held.expires_at > Instant::now()) {
            self.dialect.logout(api, &held.token).await;
        }
    }

    /// Before a call with other credentials of this login's configuration: refused, it would count
    /// as a refused login.
    ///
    /// # Errors
    /// [`Failure::HeldBack`] while logins are held back, or a secret file that cannot be read.
    pub async fn may_log_in(&self) -> Result<(), Failure> {
        let secrets = self.dialect.secrets().await?;
        self.check_hold_off(&mut *self.inner.lock().await, D::fingerprint(&secrets))
    }

    /// Another call was refused for credentials of this login's configuration (a meeting's host
    /// password, say): hold the next one back as well.
    ///
    /// # Errors
    /// A secret file that cannot be read.
    pub async fn refused(&self, fault: &ApiError) -> Result<(), Failure> {
        let secrets = self.dialect.secrets().await?;
        let mut inner = self.inner.lock().await;
        if let Some(held) = &mut inner.held {
            // All it would lead to is the next call of that kind.
            held.outlasts_hold_off = false;
        }
        let Fault { reason, consequence, .. } = fault.fault;
        self.note_refusal(&mut inner, D::fingerprint(&secrets), reason, consequence);
        Ok(())
    }

    fn check_hold_off(
        &self,
        inner: &mut Inner<D::Token>,
        fingerprint: Fingerprint,
    ) -> Result<(), Failure> {
        let held_off = inner.hold_off.remaining(fingerprint, Instant::now());
        self.publish(inner);
        match held_off {
            Some((remaining, reason)) => Err(Failure::HeldBack { reason, remaining }),
            None => Ok(()),
        }
    }

    fn publish(&self, inner: &Inner<D::Token>) {
        let now = Instant::now();
        let token_expiry = inner
            .held
            .as_ref()
            .map(|held| SystemTime::now() + held.expires_at.saturating_duration_since(now));
        *self.state.write().unwrap_or_else(PoisonError::into_inner) =
            LoginState { blocked_until: inner.hold_off.blocked_until(now), token_expiry };
    }

    fn note_refusal(
        &self,
        inner: &mut Inner<D::Token>,
        refused: Fingerprint,
        reason: Reason,
        consequence: Consequence,
    ) {
        let now = Instant::now();
        match consequence {
            Consequence::LoginRejected => inner.hold_off.rejected(refused, now),
            Consequence::LockedOut(pause) => {
                inner.held = None;
                inner.hold_off.wait(pause, Reason::LockedOut, now);
            }
            Consequence::HoldLogin(pause) => inner.hold_off.wait(pause, reason, now),
            Consequence::None | Consequence::RenewToken | Consequence::HoldRequests(_) => {}
        }
        self.publish(inner);
    }

    fn store(&self, inner: &mut Inner<D::Token>, grant: Grant<D::Token>) -> (Arc<D::Token>, u64) {
        let now = Instant::now();
        inner.generation += 1;
        let token = Arc::new(grant.token);
        inner.held = Some(Held {
            token: Arc::clone(&token),
            generation: inner.generation,
            renew_at: now + grant.renew_after,
            expires_at: now + grant.valid_for,
            renewable_until: now + grant.renewable_for,
            outlasts_hold_off: false,
        });
        self.publish(inner);
        (token, inner.generation)
    }
}

fn hash_key((identity, secret): (String, &SecretString)) -> HashKey {
    let mut hash = Sha256::new();
    hash.update(b"conferencing_exporter conference id\0");
    hash.update(identity.as_bytes());
    hash.update([0]);
    hash.update(secret.expose_secret().as_bytes());
    Zeroizing::new(hash.finalize().into())
}

/// Reads a secret for a login.
///
/// # Errors
/// A secret file that cannot be read.
pub async fn read(secret: &SecretSource) -> Result<SecretString, Failure> {
    secret.read().await.map_err(|error| Failure::Secret(error.to_string()))
}

/// The fingerprint of `secrets`.
pub fn fingerprint<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Fingerprint {
    let mut hash = Sha256::new();
    for secret in secrets {
        let secret = secret.expose_secret().as_bytes();
        hash.update((secret.len() as u64).to_be_bytes());
        hash.update(secret);
    }
    hash.finalize().into()
}

impl<'a, D: Dialect> Visit<'a, D> {
    /// The session that is used.
    pub const fn session(&self) -> &'a Session<D> {
        self.session
    }

    /// The way to the source.
    pub const fn api(&self) -> &'a Api {
        self.api
    }

    /// Sends the call that `build` makes with the token, and lets `judge` make of the answer what
    /// it is. If the vendor no longer accepts the token, renews it once and sends once more.
    ///
    /// # Errors
    /// What the call, or the login it needed, failed with; [`Failure::HeldBack`] without a
    /// request while logins are held back.
    pub async fn send<T>(
        &self,
        build: impl Fn(&D::Token) -> Call,
        judge: impl Fn(&Answer) -> Result<T, Fault>,
    ) -> Result<T, Failure> {
        let (token, generation) = self.token().await?;
        let error = match self.api.send(build(&token), &judge).await {
            Err(Failure::Request(error)) => error,
            settled => return settled,
        };
        if error.fault.consequence != Consequence::RenewToken {
            self.note_lock_out(error.fault.consequence).await;
            return Err(error.into());
        }
        let Some(token) = self.replace(generation).await? else { return Err(error.into()) };
        let outcome = self.api.send(build(&token), &judge).await;
        if let Err(Failure::Request(again)) = &outcome {
            if again.fault.consequence == Consequence::RenewToken {
                self.drop_token().await;
            } else {
                self.note_lock_out(again.fault.consequence).await;
            }
        }
        outcome
    }

    /// A lock-out counts whatever call it is the answer to.
    async fn note_lock_out(&self, told: Consequence) {
        if matches!(told, Consequence::LockedOut(_)) {
            let mut inner = self.session.inner.lock().await;
            self.session.note_refusal(&mut inner, [0; 32], Reason::LockedOut, told);
        }
    }

    /// Prolongs `token`. `None`: log in anew.
    async fn renewed(
        &self,
        inner: &mut Inner<D::Token>,
        token: &D::Token,
        cause: Renewal,
    ) -> Result<Option<Grant<D::Token>>, Failure> {
        let outcome = self.session.dialect.renew(self.api, token, cause).await;
        if let Err(Failure::Request(error)) = &outcome
            && matches!(error.fault.consequence, Consequence::LockedOut(_))
        {
            let Fault { reason, consequence, .. } = error.fault;
            self.session.note_refusal(inner, [0; 32], reason, consequence);
        }
        outcome
    }

    /// A token that is good as far as is known, logging in or renewing where that is due.
    async fn token(&self) -> Result<(Arc<D::Token>, u64), Failure> {
        let mut inner = self.session.inner.lock().await;
        let now = Instant::now();
        if inner.hold_off.blocked_until(now).is_some() {
            let checked = self.session.dialect.secrets().await.and_then(|secrets| {
                self.session.check_hold_off(&mut inner, D::fingerprint(&secrets))
            });
            if let Err(held_back) = checked {
                let good = |held: &&Held<_>| held.outlasts_hold_off && now < held.expires_at;
                let held = inner.held.as_ref().filter(good).ok_or(held_back)?;
                return Ok((Arc::clone(&held.token), held.generation));
            }
        }
        if let Some(held) = &mut inner.held {
            if now < held.renew_at {
                return Ok((Arc::clone(&held.token), held.generation));
            }
            // At once: a collection that waits for the answer in vain is not followed by another.
            held.renew_at = (now + NEXT_RENEWAL).min(held.expires_at);
        }
        let failure = match self.next_token(&mut inner, now).await {
            Err(failure) => failure,
            token => return token,
        };
        match &mut inner.held {
            // What was to be renewed early is still good; after a lock-out there is nothing.
            Some(held) if Instant::now() < held.expires_at => {
                held.outlasts_hold_off = true;
                Ok((Arc::clone(&held.token), held.generation))
            }
            Some(_) | None => Err(failure),
        }
    }

    /// The token that follows the one held: prolonged where that can be done, else of a new login.
    async fn next_token(
        &self,
        inner: &mut Inner<D::Token>,
        now: Instant,
    ) -> Result<(Arc<D::Token>, u64), Failure> {
        let due = inner.held.as_ref().filter(|held| now < held.renewable_until);
        if let Some(token) = due.map(|held| Arc::clone(&held.token)) {
            if let Some(grant) = self.renewed(inner, &token, Renewal::Due).await? {
                return Ok(self.session.store(inner, grant));
            }
            if let Some(held) = &mut inner.held {
                // Not to be asked a second time, should the login fail.
                held.renewable_until = now;
            }
        }
        self.login(inner).await
    }

    /// A token instead of the one of `refused`, which the vendor no longer accepts. `None`: this
    /// collection has had its new token.
    async fn replace(&self, refused: u64) -> Result<Option<Arc<D::Token>>, Failure> {
        let mut inner = self.session.inner.lock().await;
        match &inner.held {
            // Another call of this collection has seen to it already.
            Some(held) if held.generation != refused => return Ok(Some(Arc::clone(&held.token))),
            Some(_) | None => {}
        }
        let old = inner.held.take();
        self.session.publish(&inner);
        if self.replaced.swap(true, Ordering::Relaxed) {
            return Ok(None);
        }
        if let Some(old) = old
            && let Some(grant) = self.renewed(&mut inner, &old.token, Renewal::Refused).await?
        {
            return Ok(Some(self.session.store(&mut inner, grant).0));
        }
        self.login(&mut inner).await.map(|(token, _)| Some(token))
    }

    /// Forgets the token: the next collection logs in anew.
    pub async fn drop_token(&self) {
        let mut inner = self.session.inner.lock().await;
        inner.held = None;
        self.session.publish(&inner);
    }

    async fn login(&self, inner: &mut Inner<D::Token>) -> Result<(Arc<D::Token>, u64), Failure> {
        let session = self.session;
        let secrets = session.dialect.secrets().await?;
        let fingerprint = D::fingerprint(&secrets);
        session.check_hold_off(inner, fingerprint)?;
        let mut attempt = Attempt::new(&self.api.meters);
        match session.dialect.login(self.api, &secrets).await {
            Ok(grant) => {
                attempt.succeeded = true;
                inner.hold_off.accepted();
                inner.hash_key = hash_key(session.dialect.identity(&secrets));
                Ok(session.store(inner, grant))
            }
            Err(failure) => {
                if let Failure::Request(error) = &failure {
                    let consequence = match error.fault.consequence {
                        // A login that is refused in any other way (HTTP 401, say) is refused.
                        Consequence::RenewToken => Consequence::LoginRejected,
                        told @ (Consequence::None
                        | Consequence::LoginRejected
                        | Consequence::LockedOut(_)
                        | Consequence::HoldLogin(_)
                        | Consequence::HoldRequests(_)) => told,
                    };
                    if let Consequence::LockedOut(pause) = consequence {
                        inner.held = None;
                        inner.hold_off.locked_out(pause, Instant::now());
                    } else {
                        session.note_refusal(inner, fingerprint, error.fault.reason, consequence);
                    }
                }
                session.publish(inner);
                Err(failure)
            }
        }
    }
}

/// A login under way: failed, unless it is said to have succeeded. One that is given up because
/// the time ended has failed as well.
struct Attempt<'a> {
    meters: &'a SourceMeters,
    succeeded: bool,
}

impl<'a> Attempt<'a> {
    fn new(meters: &'a SourceMeters) -> Self {
        meters.logins.inc();
        Self { meters, succeeded: false }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.succeeded {
            self.meters.login_failures.inc();
        }
    }
}
