// SPDX-License-Identifier: Apache-2.0
//! One login for many scrapes: the token, its renewal, and the hold-off after a refused login.
//!
//! Four invariants hold, whatever callers, reloads and answers do (`orders.rs` tests them):
//!
//! - **Every login is accounted for.** A login is a task of its own, one at a time for each
//!   session, that ends by itself within the source's `timeout`. Whoever asked for it may leave
//!   before the answer comes: if the login went with them, a system that refuses it after they
//!   left would have counted a refusal that the exporter had not, and one that accepts it would have
//!   issued a token that is never given back. This is the one exception to the rule that dropping a future
//!   ends all it started; such a task ends with the process at the latest.
//! - **Every refusal is known to all.** Logins with one [`Account`] take turns and are counted together,
//!   whatever the sources are called that make them.
//! - **Every token is given back once,** where the system has a call for that: the one held when the
//!   session is closed, one that a login replaced before it had expired, and a fresh one that was
//!   refused at once. Closing waits for the login under way, so that its token is given back too.
//! - **Nothing is asked after closing.** A closed session refuses to log in, and the scrapes that
//!   may still use it are counted ([`Users`]), so that it is closed after the last of them.

mod account;
mod authorized;
pub mod each_call;
pub mod hold_off;
#[cfg(test)]
mod orders;
mod state;
mod users;

use std::{
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use futures_util::{FutureExt, future::BoxFuture};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::{
    config::secret::SecretSource,
    metrics::own::SourceMeters,
    model::Reason,
    net::{Api, ApiError, Deadline, Failure},
};
pub use account::Account;
pub use authorized::Authorized;
use hold_off::{Fingerprint, HoldOff};
use state::{Change, Current, Held, State};
pub use users::{User, Users};

/// How one kind of system logs in.
pub trait Login: Send + Sync + 'static {
    /// What a login yields.
    type Token: Send + Sync + 'static;
    /// What it takes besides the configuration.
    type Secrets: Secrets;

    /// The pause after the second refused login. A quarter of an hour stays below the lock-outs
    /// that are documented for most systems.
    const LONGEST_HOLD_OFF: Duration = Duration::from_secs(15 * 60);

    /// Whether the system gives a token. One that does not takes the secret with each call
    /// ([`each_call`]): nothing expires, and a call refused for the secret is a failed login.
    const HAS_TOKEN: bool = true;

    /// The secrets as they are now.
    ///
    /// # Errors
    /// A secret file that cannot be read.
    fn secrets(&self) -> impl Future<Output = Result<Self::Secrets, Failure>> + Send;

    /// Logs in.
    ///
    /// # Errors
    /// What the system answered.
    fn login(
        &self,
        api: &Api,
        secrets: &Self::Secrets,
    ) -> impl Future<Output = Result<Grant<Self::Token>, Failure>> + Send;

    /// Prolongs the token where the system has a call for that. `Ok(None)`: it has none, or it
    /// did not work; log in anew.
    ///
    /// # Errors
    /// A source that does not answer: logging in would not help either.
    fn renew(
        &self,
        api: &Api,
        token: &Self::Token,
        cause: Renewal,
    ) -> impl Future<Output = Result<Option<Grant<Self::Token>>, Failure>> + Send {
        let _ = (api, token, cause);
        ready(Ok(None))
    }

    /// Gives the token back.
    fn logout(&self, api: &Api, token: &Self::Token) -> impl Future<Output = ()> + Send;
}

/// The secrets of a login.
pub trait Secrets: Send + Sync {
    /// All of them. The first is the one that outlives token rotations: the keyed hash of
    /// conference ids depends on it.
    fn all(&self) -> Vec<&SecretString>;
}

impl Secrets for SecretString {
    fn all(&self) -> Vec<&SecretString> {
        vec![self]
    }
}

/// Why a token is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It is about to expire.
    Due,
    /// The system no longer accepts it, or seems not to.
    Refused,
}

/// A token and its times.
#[derive(Debug)]
pub struct Grant<T> {
    /// The token.
    pub token: T,
    /// Time from now after which it is renewed.
    pub renew_after: Duration,
    /// Time from now after which it has expired and is not used.
    pub valid_for: Duration,
    /// Time from now for which it can be renewed, which may be longer than it is valid.
    pub renewable_for: Duration,
}

impl<T> Grant<T> {
    /// A token for one collection: see [`Authorized::log_in`].
    pub const fn once(token: T) -> Self {
        let now = Duration::ZERO;
        Self { token, renew_after: now, valid_for: now, renewable_for: now }
    }
}

/// Key of the keyed hash of conference ids. Derived from the login's secret, so that the few
/// thousand possible conference numbers cannot simply be tried.
pub type HashKey = Zeroizing<[u8; 32]>;

/// What is known about the login without a request: for metrics and the status page.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoginState {
    /// When the next login may be tried, while logins are held back.
    pub blocked_until: Option<Instant>,
    /// When the token that is held expires.
    pub token_expiry: Option<SystemTime>,
}

/// Longest time for giving a token back; one that is not given back expires by itself.
pub const LOGOUT_TIME: Duration = Duration::from_secs(3);

/// The session of one source.
pub struct Session<L: Login> {
    login: L,
    identity: String,
    state: Mutex<State<L::Token>>,
    users: Arc<Users>,
    /// Logins and logouts under way.
    tasks: TaskTracker,
}

/// What the rest of the exporter needs of a session, however it logs in.
pub trait Access: Send + Sync {
    /// The scrapes that use the session.
    fn users(&self) -> &Arc<Users>;

    /// What is known about the login.
    fn state(&self) -> LoginState;

    /// The key for conference ids. Known since the first login.
    fn hash_key(&self) -> HashKey;

    /// A collection with this session succeeded.
    fn collection_succeeded(&self);

    /// The account whose logins are counted and take turns.
    fn account(&self) -> Arc<Account>;

    /// Counts the logins with those that others make, or made, with the same account.
    fn count_with(&self, account: Arc<Account>);

    /// Whether the secrets are others than those of the last login.
    fn has_new_secrets(&self) -> BoxFuture<'_, bool>;

    /// Logs in no more, and gives all tokens back: also that of the login under way, once it comes.
    fn close<'a>(&'a self, api: &'a Api) -> BoxFuture<'a, ()>;
}

impl<L: Login> Access for Session<L> {
    fn users(&self) -> &Arc<Users> {
        &self.users
    }

    fn state(&self) -> LoginState {
        let state = self.lock();
        let now = Instant::now();
        let expiry = |held: &Held<_>| {
            let remaining = held.expires_at.saturating_duration_since(now);
            (!remaining.is_zero()).then(|| SystemTime::now() + remaining)
        };
        LoginState {
            blocked_until: state.hold_off.blocked_until(now),
            token_expiry: state.held.as_ref().filter(|_| L::HAS_TOKEN).and_then(expiry),
        }
    }

    fn hash_key(&self) -> HashKey {
        self.lock().hash_key.clone()
    }

    fn collection_succeeded(&self) {
        let mut state = self.lock();
        state.hold_off.token_worked();
        state.doubts = Default::default();
        if let Some(held) = &mut state.held {
            held.has_worked |= !L::HAS_TOKEN;
        }
    }

    fn account(&self) -> Arc<Account> {
        Arc::clone(self.lock().hold_off.account())
    }

    fn count_with(&self, account: Arc<Account>) {
        self.lock().hold_off.count_with(account);
    }

    fn has_new_secrets(&self) -> BoxFuture<'_, bool> {
        async {
            let Some(last) = self.lock().fingerprint else { return false };
            let secrets = self.login.secrets().await;
            secrets.is_ok_and(|secrets| fingerprint(&secrets) != last)
        }
        .boxed()
    }

    fn close<'a>(&'a self, api: &'a Api) -> BoxFuture<'a, ()> {
        async {
            self.lock().is_closed = true;
            self.give_everything_back(api).await;
            self.tasks.close();
            self.tasks.wait().await;
            self.give_everything_back(api).await;
        }
        .boxed()
    }
}

impl<L: Login> Session<L> {
    /// A session that has not logged in yet. `identity` says where it logs in and as whom: the
    /// keyed hash of conference ids depends on it.
    pub fn new(login: L, identity: String) -> Self {
        Self::with_hold_off(login, identity, HoldOff::new(L::LONGEST_HOLD_OFF))
    }

    fn with_hold_off(login: L, identity: String, hold_off: HoldOff) -> Self {
        Self {
            login,
            identity,
            state: Mutex::new(State::new(hold_off)),
            users: Arc::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// The session after a reload: the same one where nothing about the login changed, else a
    /// new one that counts its logins with those of this one. `same_way`: nothing about the connection changed.
    pub fn succeeded_by(self: &Arc<Self>, login: L, identity: String, same_way: bool) -> Arc<Self>
    where
        L: PartialEq,
    {
        if same_way && self.login == login {
            return Arc::clone(self);
        }
        let hold_off = self.lock().hold_off.reconfigured(L::LONGEST_HOLD_OFF);
        Arc::new(Self::with_hold_off(login, identity, hold_off))
    }

    /// How this session logs in.
    pub const fn login(&self) -> &L {
        &self.login
    }

    /// Starts one collection's use of the session.
    pub fn authorized<'a>(self: &'a Arc<Self>, api: &'a Api) -> Authorized<'a, L> {
        Authorized::new(self, api)
    }

    /// Another call was refused for credentials of this login's configuration (a meeting's host
    /// password, say): hold the next one back as well.
    ///
    /// # Errors
    /// A secret file that cannot be read.
    pub async fn refused(&self, error: &ApiError) -> Result<(), Failure> {
        let secrets = self.login.secrets().await?;
        let mut state = self.lock();
        if let Some(held) = &mut state.held {
            // While logins are held back, a token that outlasts the hold-off would let the next
            // collection make the same call with the same wrong credentials.
            held.outlasts_hold_off = false;
        }
        state.note_refusal(Some(fingerprint(&secrets)), &error.fault);
        Ok(())
    }

    /// Makes `calls` with other credentials of this login's configuration, which count towards a
    /// lock-out as a login does. They run as a task that ends by itself within the source's `timeout`,
    /// so that their outcome is noted even if the collection that needed it was dropped, and never at
    /// the same time as a login with this account.
    ///
    /// # Errors
    /// [`Failure::HeldBack`] while logins are held back, those of `calls`, [`Failure::Timeout`], or
    /// a secret file that cannot be read.
    pub async fn run_to_completion<T, F>(
        self: &Arc<Self>,
        api: &Api,
        calls: impl FnOnce(Api) -> F + Send + 'static,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let api = api.for_login();
        let session = Arc::clone(self);
        let task = self.tasks.spawn(async move {
            let account = session.account();
            let _turn = in_time(&api, async { Ok(account.turn().await) }).await?;
            let api = api.for_login();
            let secrets = in_time(&api, session.login.secrets()).await?;
            session.check_hold_off(fingerprint(&secrets))?;
            in_time(&api, calls(api.clone())).await
        });
        task.await.unwrap_or(Err(Failure::Panic))
    }

    fn lock(&self) -> MutexGuard<'_, State<L::Token>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_hold_off(&self, fingerprint: Fingerprint) -> Result<(), Failure> {
        let mut state = self.lock();
        if state.is_closed {
            // The task that waited for it was dropped.
            return Err(Failure::Timeout);
        }
        match state.hold_off.remaining(fingerprint, Instant::now()) {
            Some((remaining, reason)) => Err(Failure::HeldBack { reason, remaining }),
            None => Ok(()),
        }
    }

    /// The login or renewal under way, or a new one that is to follow `old`. `None`: the session
    /// is closed.
    fn change(
        self: &Arc<Self>,
        state: &mut State<L::Token>,
        api: &Api,
        old: Option<(Arc<L::Token>, Renewal)>,
    ) -> Option<Change<L::Token>> {
        // A task that panicked did not clear `state.change`: its finished future is not joined.
        if let Some(under_way) = state.change.as_ref().filter(|change| change.peek().is_none()) {
            return Some(under_way.clone());
        }
        if state.is_closed {
            return None;
        }
        let api = api.for_login();
        let session = Arc::clone(self);
        let task = self.tasks.spawn(async move {
            let outcome = session.next_token(&api, old).await;
            let unused = {
                let mut state = session.lock();
                state.change = None;
                state.take_discarded()
            };
            // `take_discarded` yields them only when no collection uses the session; otherwise the
            // last collection gives them back.
            session.give_back(&api, unused).await;
            outcome
        });
        let change = async move { task.await.unwrap_or(Err(Failure::Panic)) }.boxed().shared();
        state.change = Some(change.clone());
        Some(change)
    }

    /// The token that follows `old`: prolonged where that can be done, else of a new login.
    async fn next_token(
        &self,
        api: &Api,
        old: Option<(Arc<L::Token>, Renewal)>,
    ) -> Result<Current<L::Token>, Failure> {
        if let Some((token, cause)) = old
            && let Some(grant) = self.renewed(api, &token, cause).await?
        {
            return Ok(self.lock().store(grant, true));
        }
        self.log_in(api).await
    }

    /// Prolongs `token`. `None`: log in anew.
    async fn renewed(
        &self,
        api: &Api,
        token: &L::Token,
        cause: Renewal,
    ) -> Result<Option<Grant<L::Token>>, Failure> {
        let outcome = match cause {
            // The token is still good: if this takes too long, there is time left to use it.
            Renewal::Due => {
                let now = Instant::now();
                let half = api.deadline().end().saturating_duration_since(now) / 2;
                let api = api.until(Deadline::new(now + half));
                in_time(&api, self.login.renew(&api, token, cause)).await
            }
            Renewal::Refused => in_time(api, self.login.renew(api, token, cause)).await,
        };
        let mut state = self.lock();
        if let Err(Failure::Request(error)) = &outcome {
            state.note_lock_out(&error.fault);
        }
        if let (Ok(None), Some(held)) = (&outcome, &mut state.held) {
            // The system refused to prolong it: should the login that follows fail, the next
            // collection must not try to prolong it again.
            held.renewable_until = Instant::now();
        }
        outcome
    }

    /// Logs in for one collection alone, as a task that ends by itself. The token is given back after
    /// the collections that use the session now, also if nobody waits for it any more.
    async fn log_in_once(self: &Arc<Self>, api: &Api) -> Result<Arc<L::Token>, Failure> {
        let api = api.for_login();
        let session = Arc::clone(self);
        let task = self.tasks.spawn(async move {
            let token = Arc::new(session.granted(&api).await?.token);
            let unused = {
                let mut state = session.lock();
                state.discarded.push(Arc::clone(&token));
                state.take_discarded()
            };
            session.give_back(&api, unused).await;
            Ok(token)
        });
        task.await.unwrap_or(Err(Failure::Panic))
    }

    async fn log_in(&self, api: &Api) -> Result<Current<L::Token>, Failure> {
        let grant = self.granted(api).await?;
        let now = Instant::now();
        let mut state = self.lock();
        // The system still knows the old token, and would count it among those in use until it
        // expires.
        if let Some(old) = state.held.take().filter(|held| now < held.expires_at) {
            state.discarded.push(old.token);
        }
        Ok(state.store(grant, false))
    }

    /// Makes one login, not at the same time as another with this account, and notes what came of it.
    async fn granted(&self, api: &Api) -> Result<Grant<L::Token>, Failure> {
        let account = self.account();
        let _turn = in_time(api, async { Ok(account.turn().await) }).await?;
        // A login that was sent is waited for: its answer may be a token, which must be given back.
        let api = &api.for_login();
        let secrets = in_time(api, self.login.secrets()).await?;
        let fingerprint = fingerprint(&secrets);
        self.check_hold_off(fingerprint)?;
        let mut attempt = Attempt::new(&api.meters);
        let outcome = in_time(api, self.login.login(api, &secrets)).await;
        let now = Instant::now();
        let mut state = self.lock();
        state.fingerprint = Some(fingerprint);
        match outcome {
            Ok(grant) => {
                attempt.has_succeeded = true;
                state.hold_off.accepted();
                state.hash_key = hash_key(&self.identity, &secrets);
                Ok(grant)
            }
            Err(failure) => {
                match &failure {
                    Failure::Request(error) if is_unanswered(error) => {
                        state.hold_off.unanswered(now);
                    }
                    Failure::Request(error) => state.note_refused_login(fingerprint, &error.fault),
                    Failure::Timeout if api.has_asked() => state.hold_off.unanswered(now),
                    Failure::Timeout
                    | Failure::HeldBack { .. }
                    | Failure::BackingOff { .. }
                    | Failure::Secret(_)
                    | Failure::Certificate(_)
                    | Failure::File(_)
                    | Failure::Panic => {}
                }
                Err(failure)
            }
        }
    }

    async fn give_everything_back(&self, api: &Api) {
        let now = Instant::now();
        let tokens = {
            let mut state = self.lock();
            let held = state.held.take().filter(|held| now < held.expires_at);
            let mut tokens = std::mem::take(&mut state.discarded);
            tokens.extend(held.map(|held| held.token));
            tokens
        };
        self.give_back(api, tokens).await;
    }

    async fn give_back(&self, api: &Api, tokens: Vec<Arc<L::Token>>) {
        for token in tokens {
            let api = api.until(Deadline::new(Instant::now() + LOGOUT_TIME));
            let _ = timeout(LOGOUT_TIME, self.login.logout(&api, &token)).await;
        }
    }
}

/// Ends `work` with the deadline of `api`.
async fn in_time<T>(
    api: &Api,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout_at(api.deadline().end(), work).await.unwrap_or(Err(Failure::Timeout))
}

/// Whether the system may have judged a login whose answer did not come.
fn is_unanswered(error: &ApiError) -> bool {
    error.may_have_arrived && matches!(error.fault.reason, Reason::Timeout | Reason::Connect)
}

fn hash_key(identity: &str, secrets: &impl Secrets) -> HashKey {
    let mut hash = Sha256::new();
    hash.update(b"conferencing_exporter conference id\0");
    hash.update(identity.as_bytes());
    hash.update([0]);
    if let Some(lasting) = secrets.all().first() {
        hash.update(lasting.expose_secret().as_bytes());
    }
    Zeroizing::new(hash.finalize().into())
}

/// Reads a secret for a login.
///
/// # Errors
/// A secret file that cannot be read.
pub async fn read(secret: &SecretSource) -> Result<SecretString, Failure> {
    secret.read().await.map_err(|error| Failure::Secret(error.to_string()))
}

/// Identifies `secrets` without holding them.
fn fingerprint(secrets: &impl Secrets) -> Fingerprint {
    let mut hash = Sha256::new();
    for secret in secrets.all() {
        let secret = secret.expose_secret().as_bytes();
        hash.update((secret.len() as u64).to_be_bytes());
        hash.update(secret);
    }
    hash.finalize().into()
}

/// A login under way: failed, unless it is said to have succeeded.
struct Attempt<'a> {
    meters: &'a SourceMeters,
    has_succeeded: bool,
}

impl<'a> Attempt<'a> {
    fn new(meters: &'a SourceMeters) -> Self {
        meters.logins.inc();
        Self { meters, has_succeeded: false }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.has_succeeded {
            self.meters.login_failures.inc();
        }
    }
}
