//! One login for many scrapes: the token, its renewal, and the hold-off after a refused login.
//!
//! Three things hold, whatever callers, reloads and answers do:
//!
//! - **Every login is accounted for.** A login is a task of its own, one at a time for each
//!   session, that ends by itself within the source's `timeout`. Whoever asked for it may leave
//!   before the answer comes: if the login went with them, a system that refuses it after they
//!   left would have counted a refusal that we had not, and one that accepts it would have issued a
//!   token that nobody gives back. This is the one exception to "nothing is detached"; such a task
//!   ends with the process at the latest.
//! - **Every token is given back once,** where the system has a call for that: the one held when the
//!   session is closed, one that a login replaced before it had expired, and a fresh one that was
//!   refused at once. Closing waits for the login under way, so that its token is given back too.
//! - **Nothing is asked after closing.** A closed session refuses to log in, and the scrapes that
//!   may still use it are counted ([`Users`]), so that it is closed after the last of them.

pub mod hold_off;
mod users;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::{
    api::{Answer, Api, ApiError, Call, Consequence, Deadline, Failure, Fault},
    config::secret::SecretSource,
    metrics::own::SourceMeters,
    model::Reason,
};
use hold_off::{Fingerprint, HoldOff, doubled};
pub use users::{User, Users};

/// How one kind of system logs in.
pub trait Login: Send + Sync + 'static {
    /// What a login yields.
    type Token: Send + Sync + 'static;
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
    ) -> impl Future<Output = Result<Option<Grant<Self::Token>>, Failure>> + Send;

    /// Gives the token back.
    fn logout(&self, api: &Api, token: &Self::Token) -> impl Future<Output = ()> + Send;
}

/// Why a token is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Its time has come.
    Due,
    /// The system no longer accepts it, or seems not to.
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

/// The token in use.
struct Held<T> {
    token: Arc<T>,
    generation: u64,
    /// Whether a call with it was accepted. One that never worked and is refused is no better than
    /// a refused login: another one would be refused as well.
    has_worked: bool,
    renew_at: Instant,
    expires_at: Instant,
    renewable_until: Instant,
    /// The login that was to follow it early did not succeed: used to its end, even while logins
    /// are held back.
    outlasts_hold_off: bool,
}

impl<T> Held<T> {
    fn current(&self) -> Current<T> {
        Current { token: Arc::clone(&self.token), generation: self.generation }
    }
}

/// The token a call is sent with. Generations tell one token from the next.
struct Current<T> {
    token: Arc<T>,
    generation: u64,
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self { token: Arc::clone(&self.token), generation: self.generation }
    }
}

/// The login or renewal under way: the same for all who wait for it.
type Change<T> = Shared<BoxFuture<'static, Result<Current<T>, Failure>>>;

struct State<T> {
    held: Option<Held<T>>,
    generation: u64,
    hold_off: HoldOff,
    hash_key: HashKey,
    change: Option<Change<T>>,
    /// Tokens that are to be given back at the end of the collection under way, when no call with
    /// them is in flight any more.
    discarded: Vec<Arc<T>>,
    /// Of the secrets of the last login.
    fingerprint: Option<Fingerprint>,
    doubts: Doubts,
    is_closed: bool,
}

/// New logins because of answers that may or may not mean that the token was refused.
#[derive(Default)]
struct Doubts {
    /// How many did not help, since one did or none was needed.
    in_vain: u32,
    /// No further one before then.
    next: Option<Instant>,
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

/// The longest pause between two logins because of doubtful answers.
const LONGEST_DOUBT: Duration = Duration::from_secs(15 * 60);

/// Longest it may take to give a token back: it expires by itself.
pub const LOGOUT_TIME: Duration = Duration::from_secs(3);

/// The session of one source.
pub struct Session<L: Login> {
    login: L,
    state: Mutex<State<L::Token>>,
    users: Arc<Users>,
    /// Logins and logouts under way.
    tasks: TaskTracker,
}

/// One collection's use of the session: at most one refused token is replaced in it.
pub struct Visit<'a, L: Login> {
    session: &'a Arc<Session<L>>,
    api: &'a Api,
    has_replaced: AtomicBool,
}

/// What the rest of the exporter needs of a session, however it logs in.
pub trait Access: Send + Sync {
    /// Who uses the session.
    fn users(&self) -> &Arc<Users>;

    /// What is known about the login.
    fn state(&self) -> LoginState;

    /// The key for conference ids. Known since the first login.
    fn hash_key(&self) -> HashKey;

    /// A collection with this session succeeded.
    fn collection_succeeded(&self);

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
            token_expiry: state.held.as_ref().and_then(expiry),
        }
    }

    fn hash_key(&self) -> HashKey {
        self.lock().hash_key.clone()
    }

    fn collection_succeeded(&self) {
        let mut state = self.lock();
        state.hold_off.token_worked();
        state.doubts = Doubts::default();
    }

    fn has_new_secrets(&self) -> BoxFuture<'_, bool> {
        async {
            let Some(last) = self.lock().fingerprint else { return false };
            let secrets = self.login.secrets().await;
            secrets.is_ok_and(|secrets| L::fingerprint(&secrets) != last)
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
    /// A session that has not logged in yet.
    pub fn new(login: L) -> Self {
        Self::with_hold_off(login, HoldOff::new(L::LONGEST_HOLD_OFF))
    }

    fn with_hold_off(login: L, hold_off: HoldOff) -> Self {
        Self {
            login,
            state: Mutex::new(State {
                held: None,
                generation: 0,
                hold_off,
                hash_key: HashKey::default(),
                change: None,
                discarded: Vec::new(),
                fingerprint: None,
                doubts: Doubts::default(),
                is_closed: false,
            }),
            users: Arc::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// The session after a reload: the same one where nothing about the login changed, else a
    /// new one that remembers what was refused. `same_way`: nothing about the connection changed.
    pub fn succeeded_by(self: &Arc<Self>, login: L, same_way: bool) -> Arc<Self>
    where
        L: PartialEq,
    {
        if same_way && self.login == login {
            return Arc::clone(self);
        }
        let hold_off = self.lock().hold_off.reconfigured(L::LONGEST_HOLD_OFF);
        Arc::new(Self::with_hold_off(login, hold_off))
    }

    /// How this session logs in.
    pub const fn login(&self) -> &L {
        &self.login
    }

    /// Starts one collection's use of the session.
    pub const fn visit<'a>(self: &'a Arc<Self>, api: &'a Api) -> Visit<'a, L> {
        Visit { session: self, api, has_replaced: AtomicBool::new(false) }
    }

    /// Before a call with other credentials of this login's configuration: refused, it would count
    /// as a refused login.
    ///
    /// # Errors
    /// [`Failure::HeldBack`] while logins are held back, or a secret file that cannot be read.
    pub async fn may_log_in(&self) -> Result<(), Failure> {
        let secrets = self.login.secrets().await?;
        self.check_hold_off(L::fingerprint(&secrets))
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
            // All it would lead to is the next call of that kind.
            held.outlasts_hold_off = false;
        }
        state.note_refusal(Some(L::fingerprint(&secrets)), &error.fault);
        Ok(())
    }

    /// Runs calls that count towards a lock-out as a task that ends by itself within the source's
    /// `timeout`, so that their outcome is noted even if whoever asked for it has left.
    ///
    /// # Errors
    /// Those of `calls`, and [`Failure::Timeout`].
    pub async fn to_the_end<T, F>(
        &self,
        api: &Api,
        calls: impl FnOnce(Api) -> F,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let api = api.for_login();
        let end = api.deadline().end();
        let task = self.tasks.spawn(timeout_at(end, calls(api)));
        task.await.unwrap_or(Ok(Err(Failure::Panic))).unwrap_or(Err(Failure::Timeout))
    }

    fn lock(&self) -> MutexGuard<'_, State<L::Token>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_hold_off(&self, fingerprint: Fingerprint) -> Result<(), Failure> {
        match self.lock().hold_off.remaining(fingerprint, Instant::now()) {
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
        // One that panicked has left itself behind.
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
            session.lock().change = None;
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
            // Not to be asked a second time, should the login fail.
            held.renewable_until = Instant::now();
        }
        outcome
    }

    async fn log_in(&self, api: &Api) -> Result<Current<L::Token>, Failure> {
        let secrets = in_time(api, self.login.secrets()).await?;
        let fingerprint = L::fingerprint(&secrets);
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
                state.hash_key = hash_key(self.login.identity(&secrets));
                // Still good for the system: it would hold a place until it expires.
                if let Some(old) = state.held.take().filter(|held| now < held.expires_at) {
                    state.discarded.push(old.token);
                }
                Ok(state.store(grant, false))
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

impl<T> State<T> {
    fn store(&mut self, grant: Grant<T>, has_worked: bool) -> Current<T> {
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
    fn still_good(&self, now: Instant) -> Option<&Held<T>> {
        self.held.as_ref().filter(|held| held.outlasts_hold_off && now < held.expires_at)
    }

    fn note_refused_login(&mut self, secrets: Fingerprint, fault: &Fault) {
        let now = Instant::now();
        match fault.consequence {
            Consequence::LockedOut(pause) => {
                self.held = None;
                self.hold_off.locked_out(pause, secrets, now);
            }
            // A login that is refused in any other way (HTTP 401, say) is refused.
            Consequence::RenewToken => self.hold_off.rejected(secrets, now),
            Consequence::DoubtToken if fault.reason == Reason::Auth => {
                self.hold_off.rejected(secrets, now);
            }
            Consequence::None
            | Consequence::DoubtToken
            | Consequence::LoginRejected
            | Consequence::HoldLogin(_)
            | Consequence::HoldRequests(_) => self.note_refusal(Some(secrets), fault),
        }
    }

    fn note_refusal(&mut self, secrets: Option<Fingerprint>, fault: &Fault) {
        let now = Instant::now();
        match fault.consequence {
            Consequence::LoginRejected => {
                self.hold_off.rejected(secrets.unwrap_or_default(), now);
            }
            Consequence::LockedOut(pause) => {
                self.held = None;
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
    fn note_lock_out(&mut self, fault: &Fault) {
        if matches!(fault.consequence, Consequence::LockedOut(_)) {
            self.note_refusal(self.fingerprint, fault);
        }
    }

    /// The token of `refused` never worked: to ask for another at once would only use them up.
    fn discard_fresh(&mut self, refused: u64) {
        if let Some(held) = self.held.take_if(|held| held.generation == refused) {
            self.discarded.push(held.token);
            self.hold_off.token_refused(self.fingerprint, Instant::now());
        }
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

impl<'a, L: Login> Visit<'a, L> {
    /// The session that is used.
    pub const fn session(&self) -> &'a Arc<Session<L>> {
        self.session
    }

    /// The way to the source.
    pub const fn api(&self) -> &'a Api {
        self.api
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
        if outcome.is_ok()
            && let Some(held) = &mut self.session.lock().held
            && held.generation == current.generation
        {
            held.has_worked = true;
        }
        outcome
    }

    /// A token that is good as far as is known, logging in or renewing where that is due.
    async fn token(&self) -> Result<Current<L::Token>, Failure> {
        let session = self.session;
        let is_blocked = session.lock().hold_off.blocked_until(Instant::now()).is_some();
        if is_blocked {
            let checked = session.login.secrets().await;
            let checked =
                checked.and_then(|secrets| session.check_hold_off(L::fingerprint(&secrets)));
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
                // At once: whoever comes while it is renewed uses the old one.
                held.renew_at = (now + NEXT_RENEWAL).min(held.expires_at);
                if now < held.renewable_until {
                    old = Some((Arc::clone(&held.token), Renewal::Due));
                }
            }
            session.change(&mut state, self.api, old)
        };
        // Closed: whoever asked is no longer waited for.
        let Some(change) = change else { return Err(Failure::Timeout) };
        let failure = match change.await {
            Ok(current) => return Ok(current),
            Err(failure) => failure,
        };
        match &mut session.lock().held {
            // What was to be renewed early is still good; after a lock-out there is nothing.
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
                        state.discard_fresh(refused.generation);
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
                // Something before the system may have refused it, which keeps its place.
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

    /// The call was refused again, with the token that was to help.
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
            let pause = doubled(state.doubts.in_vain, LONGEST_DOUBT);
            state.doubts.in_vain = state.doubts.in_vain.saturating_add(1);
            state.doubts.next = Some(Instant::now() + pause);
        } else if held.has_worked {
            // Prolonged, and refused all the same: the next collection logs in.
            state.held = None;
        } else {
            state.discard_fresh(current.generation);
        }
    }
}

impl<L: Login> Drop for Visit<'_, L> {
    fn drop(&mut self) {
        let tokens = std::mem::take(&mut self.session.lock().discarded);
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
