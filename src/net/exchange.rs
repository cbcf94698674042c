// SPDX-License-Identifier: Apache-2.0
//! One request and its answer, within bounds of size and time.

use std::{
    future::pending,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::Either;
use hyper::{
    StatusCode,
    header::{CONTENT_TYPE, DATE, RETRY_AFTER},
};
use tokio::{sync::Semaphore, time::Instant};

use super::{
    Answer, ApiError, Call, Consequence, Failure, Fault, Observer, StandIn, StandInAnswer, body,
    broken::{Broken, RequestState, Stage},
    client::{ClientError, SharedClient},
    connections::ConnectionSettings,
    host::Host,
    json,
    proxy::Route,
    request::Requests,
    wiped::Wiped,
};
use crate::{
    config, limits,
    metrics::own::{CallMeters, SourceMeters},
    model::{CallName, Reason},
};

/// The end of the collection under way, shared between those who wait for it.
///
/// It is only ever moved to a later time: a scrape that joins may have more time than the one that
/// started.
#[derive(Debug)]
pub struct Deadline(Mutex<Instant>);

impl Deadline {
    /// A collection that ends at `end`.
    pub fn new(end: Instant) -> Arc<Self> {
        Arc::new(Self(Mutex::new(end)))
    }

    /// Lets the collection under way last until `end`, if that is later than it would.
    pub fn extend(&self, end: Instant) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *current = end.max(*current);
    }

    /// When the collection under way ends.
    pub fn end(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Requests held back after an answer that asked for a pause.
#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    reason: Reason,
}

/// The requests to one source that belong together, and the deadline they share: those of a
/// collection, or of a login.
///
/// A cheap handle: all handles of a source share its client, its limits and its counters, and
/// [`until`](Self::until) makes one with another deadline.
#[derive(Clone)]
pub struct Api {
    access: Arc<Access>,
    pause: Arc<Mutex<Option<Pause>>>,
    started: Instant,
    deadline: Arc<Deadline>,
    has_asked: Arc<AtomicBool>,
    /// Whether its requests may change something, and are not to be sent twice.
    is_for_login: bool,
    /// The source's own counters.
    pub meters: Arc<SourceMeters>,
    observer: Option<Arc<dyn Observer>>,
    stand_in: Option<Arc<dyn StandIn>>,
}

/// How a source is reached, and within which limits.
struct Access {
    client: SharedClient,
    requests: Requests,
    max_response_bytes: usize,
    timeout: Duration,
    in_flight: Semaphore,
}

impl Api {
    /// The handle for requests to `source`.
    pub fn new(source: &config::Source, client: SharedClient, meters: Arc<SourceMeters>) -> Self {
        let host = client.host();
        let access = Access {
            requests: Requests::new(source, host),
            max_response_bytes: usize::try_from(source.max_response_bytes).unwrap_or(usize::MAX),
            timeout: source.timeout,
            in_flight: Semaphore::new(source.max_concurrency),
            client,
        };
        Self {
            access: Arc::new(access),
            pause: Arc::default(),
            started: Instant::now(),
            deadline: Deadline::new(Instant::now() + source.timeout),
            has_asked: Arc::default(),
            is_for_login: false,
            meters,
            observer: None,
            stand_in: None,
        }
    }

    /// The same handle, with answers from within the process.
    #[must_use]
    pub fn answered_by(mut self, stand_in: Arc<dyn StandIn>) -> Self {
        self.stand_in = Some(stand_in);
        self
    }

    /// The same handle, whose answers `observer` sees as well.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// The same handle, which shares its pauses with `old`: a reload does not end one.
    #[must_use]
    pub fn succeeding(mut self, old: &Self) -> Self {
        self.pause = Arc::clone(&old.pause);
        self
    }

    /// The same handle for requests that go the same way as those of `old`: the certificate shown last
    /// is still the one that `old` was shown.
    #[must_use]
    pub fn reaching_like(self, old: &Self) -> Self {
        self.host().peer_certificate.succeed(&old.host().peer_certificate);
        self
    }

    /// Equal as long as requests go the same way: with the same TLS and proxy settings and the same
    /// contents of the certificate files.
    pub fn client_fingerprint(&self) -> [u8; 32] {
        self.access.client.fingerprint()
    }

    /// Looks at the certificate files and uses them from now on if they have changed.
    pub async fn follow_certificates(&self) {
        self.access.client.follow().await;
    }

    /// When the certificate that the source showed last expires, in seconds since 1970; `None`: it
    /// showed none, or is reached without TLS.
    pub fn certificate_expiry(&self) -> Option<i64> {
        self.access.client.host().peer_certificate.expires()
    }

    /// A handle for requests that end at `deadline`.
    #[must_use]
    pub fn until(&self, deadline: Arc<Deadline>) -> Self {
        Self { started: Instant::now(), deadline, has_asked: Arc::default(), ..self.clone() }
    }

    /// Whether a request was sent with this handle, whatever came of it.
    pub fn has_asked(&self) -> bool {
        self.has_asked.load(Ordering::Relaxed)
    }

    /// Notes that a request goes out.
    pub(super) fn note_asked(&self) {
        self.has_asked.store(true, Ordering::Relaxed);
    }

    /// Most bytes of an answer.
    pub(super) fn max_response_bytes(&self) -> usize {
        self.access.max_response_bytes
    }

    /// How the host is reached.
    pub(super) fn host(&self) -> &Host {
        self.access.client.host()
    }

    /// A handle for a login that this handle's collection needs, and that goes on without it.
    ///
    /// It ends within the configured `timeout`, and if it was started early, shortly before the
    /// collection would: then the scrapes that wait still get its result. One that is started
    /// late gets half of the `timeout`, because it would otherwise be cut off without need.
    #[must_use]
    pub fn for_login(&self) -> Self {
        let timeout = self.access.timeout;
        let moment = (timeout / 20).min(Duration::from_millis(100));
        let end = (self.started + timeout - moment).max(Instant::now() + timeout / 2);
        // Asked for once more, after a wait, it still ends before the collection where it can.
        Self { started: self.started, is_for_login: true, ..self.until(Deadline::new(end)) }
    }

    /// Notes that the collection is over, and no request follows soon.
    pub fn rest(&self) {
        self.host().connections.rest();
    }

    /// When the requests of this handle end.
    pub fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// Whether requests are held back now, why and for how much longer.
    pub fn held_back(&self) -> Option<(Reason, Duration)> {
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let Pause { until, reason } = (*pause)?;
        let remaining = until.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            *pause = None;
            return None;
        }
        Some((reason, remaining))
    }

    /// The local address the source was last reached from: the login of the PBXs carries it.
    pub async fn local_address(&self) -> Option<IpAddr> {
        let host = self.access.client.host();
        let peer = (*host.peer.lock().unwrap_or_else(PoisonError::into_inner))?;
        let any: SocketAddr = if peer.is_ipv4() {
            (IpAddr::from([0, 0, 0, 0]), 0).into()
        } else {
            (IpAddr::from([0_u16; 8]), 0).into()
        };
        // Connecting a UDP socket sends nothing; it only asks the system for the route.
        let socket = tokio::net::UdpSocket::bind(any).await.ok()?;
        socket.connect(peer).await.ok()?;
        Some(socket.local_addr().ok()?.ip())
    }

    /// Sends `call` and lets `judge` make of the answer what it is.
    ///
    /// Every failure is counted once, here, by its reason; a pause the answer asks for starts.
    ///
    /// # Errors
    /// Whatever kept the answer from coming, or what `judge` found in it.
    pub async fn send<T>(
        &self,
        call: Call,
        judge: impl FnOnce(&Answer) -> Result<T, Fault>,
    ) -> Result<T, Failure> {
        let exchange = |client: &SharedClient| Ok(self.exchange(client.settings()?, &call));
        self.perform((call.name, &call.about), exchange, judge).await
    }

    /// What [`send`](Self::send) does, with any `exchange` that sends the call of that name and, where
    /// there are several of it, about that.
    pub(super) async fn perform<T, E>(
        &self,
        call: (CallName, &str),
        exchange: impl FnOnce(&SharedClient) -> Result<E, Arc<ClientError>>,
        judge: impl FnOnce(&Answer) -> Result<T, Fault>,
    ) -> Result<T, Failure>
    where
        E: Future<Output = Result<Answer, ApiError>>,
    {
        if self.stand_in.is_some() {
            return self.perform_now(call, exchange, judge).await;
        }
        let Ok(_permit) = self.access.in_flight.acquire().await else {
            return Err(Failure::Timeout);
        };
        // In this order: a source waits here with its few at most, whatever it has to ask.
        let _in_flight = limits::request().await;
        self.perform_now(call, exchange, judge).await
    }

    async fn perform_now<T, E>(
        &self,
        (name, about): (CallName, &str),
        exchange: impl FnOnce(&SharedClient) -> Result<E, Arc<ClientError>>,
        judge: impl FnOnce(&Answer) -> Result<T, Fault>,
    ) -> Result<T, Failure>
    where
        E: Future<Output = Result<Answer, ApiError>>,
    {
        // Only now: the answer to a request that was under way may have asked for a pause.
        if let Some((reason, remaining)) = self.held_back() {
            return Err(Failure::HeldBack { reason, remaining });
        }
        // Pinned where it is made: it would be in this future twice if it was moved to where it is waited for.
        let exchange = pin!(match &self.stand_in {
            Some(stand_in) => Either::Left(self.stand_in_for(&**stand_in, (name, about))),
            None => {
                let exchange = exchange(&self.access.client);
                Either::Right(exchange.map_err(|error| Failure::Certificate(error.to_string()))?)
            }
        });
        let meters = self.meters.call(name);
        if let Some(meters) = meters {
            meters.request_sent();
        }
        let mut request =
            InFlight { api: self, started: Instant::now(), meters, is_answered: false };
        let observer =
            self.observer.as_ref().map(|observer| (observer, observer.call_sent(name, about)));
        let answer = exchange.await;
        if let Some((observer, number)) = observer {
            observer.call_ended(number, answer.as_ref());
        }
        let outcome = answer.and_then(|answer| {
            let failed =
                |fault| ApiError { call: name, fault, detail: None, may_have_arrived: true };
            judge(&answer).map_err(failed)
        });
        request.is_answered = true;
        if let Some((observer, number)) = observer {
            observer.call_judged(number, outcome.as_ref().err());
        }
        outcome.map_err(|error| {
            self.meters.request_failed(error.fault.reason);
            if let Consequence::HoldRequests(pause) = error.fault.consequence {
                self.hold_back(error.fault.reason, pause);
            }
            error.into()
        })
    }

    /// What `stand_in` answers to a call.
    async fn stand_in_for(
        &self,
        stand_in: &dyn StandIn,
        (name, about): (CallName, &str),
    ) -> Result<Answer, ApiError> {
        self.note_asked();
        match stand_in.answer(name, about) {
            StandInAnswer::Answer(status, body) => {
                Ok(Answer { status, ..Answer::of_text(Wiped::from(body)) })
            }
            StandInAnswer::Failure(reason) => Err(Broken::answered(reason).into_error(name)),
            StandInAnswer::Nothing => pending().await,
        }
    }

    fn hold_back(&self, reason: Reason, pause: Duration) {
        let until = Instant::now() + pause;
        let mut current = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_none_or(|current| current.until < until) {
            *current = Some(Pause { until, reason });
        }
    }

    /// Sends `call`, and once more where it was lost and may be repeated.
    async fn exchange(
        &self,
        settings: ConnectionSettings,
        call: &Call,
    ) -> Result<Answer, ApiError> {
        self.note_asked();
        let connections = &self.access.client.host().connections;
        let (round, since) = (connections.round(), Instant::now());
        let mut waiting = Waiting { api: self, round, since, is_settled: false };
        let mut outcome = self.attempt(&settings, None, call).await;
        if let Err(broken) = &outcome {
            // All calls only read, but those of a login: what was lost with a connection that others
            // used before is asked once more. A new connection that ends has its reasons.
            let is_repeated = match broken.state {
                RequestState::NotBegun => true,
                RequestState::Lost => !self.is_for_login && broken.on_used_connection,
                RequestState::NotSent | RequestState::Answered => false,
            };
            if is_repeated {
                connections.note_unanswered(round, since);
                (waiting.round, waiting.since) = (connections.round(), Instant::now());
                if let Some(meters) = self.meters.call(call.name) {
                    meters.request_sent();
                }
                outcome = self.attempt(&settings, Some(since), call).await;
            }
        }
        waiting.is_settled = true;
        outcome.map_err(|broken| broken.into_error(call.name))
    }

    /// Sends `call` once. `opened_after`: over a connection that was opened after that.
    async fn attempt(
        &self,
        settings: &ConnectionSettings,
        opened_after: Option<Instant>,
        call: &Call,
    ) -> Result<Answer, Broken> {
        let access = &self.access;
        let host = access.client.host();
        let (connections, route) = (&host.connections, host.route());
        let connection = connections.take(host, settings, opened_after).await?;
        let request = access.requests.of(call, connection.is_http2())?;
        let (on_used_connection, peer) = (connection.was_used(), connection.peer());
        let sent = connection.send(request).await;
        let (head, mut answering) = sent.map_err(|error| Broken {
            on_used_connection,
            ..Broken::of(&error, Stage::Asked, route)
        })?;
        connections.note_answer(&answering);
        *host.peer.lock().unwrap_or_else(PoisonError::into_inner) = peer;
        let status = head.status;
        if status.is_redirection() {
            return Err(Broken::answered(Reason::Redirect));
        }
        let headers = &head.headers;
        let retry_after =
            headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let date = headers.get(DATE).cloned();
        let content_type = headers.get(CONTENT_TYPE).cloned();
        let read =
            body::read(head.version, headers, &mut answering, access.max_response_bytes).await;
        let body = match read {
            Ok(body) => {
                connections.give_back(answering);
                body
            }
            Err(body::Unread::TooLarge) if status.is_success() => {
                return Err(Broken::answered(Reason::TooLarge));
            }
            Err(body::Unread::BadlyCompressed) if status.is_success() => {
                return Err(Broken::badly_compressed());
            }
            // The status says more than an error page that is badly packed.
            Err(body::Unread::TooLarge | body::Unread::BadlyCompressed) => Wiped::default(),
            Err(body::Unread::Broken(error)) => {
                let broken = Broken::of(&error, Stage::Read, route);
                if broken.reason != Reason::Decode || status.is_success() {
                    return Err(broken);
                }
                Wiped::default()
            }
        };
        if route == Route::Forwarded && is_a_proxys(status, &body) {
            return Err(Broken::refused_by_proxy(status));
        }
        Ok(Answer { status, content_type, retry_after, date, body: json::readable(body) })
    }
}

/// Whether it was the proxy that answered, of an answer that came through it: what the systems
/// answer has a body that says more.
fn is_a_proxys(status: StatusCode, body: &[u8]) -> bool {
    status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
        || (matches!(status.as_u16(), 401 | 403 | 429 | 502 | 503 | 504) && !body::is_of_api(body))
}

/// A request under way. Dropped without an answer, it counts as timed out if the time is up;
/// otherwise its collection was given up for another reason and it did not fail.
struct InFlight<'a> {
    api: &'a Api,
    started: Instant,
    meters: Option<&'a CallMeters>,
    is_answered: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(meters) = self.meters {
            meters.request_took(self.started.elapsed());
        }
        if !self.is_answered && Instant::now() >= self.api.deadline.end() {
            self.api.meters.request_failed(Reason::Timeout);
        }
    }
}

/// A request that waits for its answer. If it does so until the time is up, no other one uses its
/// connection, nor those that were there with it.
struct Waiting<'a> {
    api: &'a Api,
    round: u64,
    since: Instant,
    is_settled: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_settled && Instant::now() >= self.api.deadline.end() {
            self.api.access.client.host().connections.note_unanswered(self.round, self.since);
        }
    }
}
