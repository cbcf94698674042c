// SPDX-License-Identifier: Apache-2.0
//! The connections to one host, and when they are no longer used.
//!
//! Those of HTTP/1 are kept for the next request one by one; one of HTTP/2 is shared by all. No request is sent over a
//! connection that is older than [`MAX_CONNECTION_AGE`], that was made with other settings, or that may have fallen silent:
//! when a request waited in vain, none of those that were there is used again, unless others were answered meanwhile.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
};
use rustls::ClientConfig;
use tokio::{task::yield_now, time::Instant};

use super::{
    broken::Broken,
    connect::{Opened, Sender, connect},
    host::Host,
};

/// How long connections are used. A name may stand for another address by then, and the old one may still answer: clouds
/// move their services like that.
pub(super) const MAX_CONNECTION_AGE: Duration = Duration::from_secs(5 * 60);

/// With which settings connections are made.
pub(super) struct ConnectionSettings {
    pub(super) tls: Arc<ClientConfig>,
    /// What they were made of: connections with others are not used.
    pub(super) fingerprint: [u8; 32],
}

/// The connections to one host.
#[derive(Default)]
pub(super) struct Connections {
    state: Mutex<State>,
    /// Connections of HTTP/1 that are kept for the next request.
    most_idle: AtomicUsize,
    /// Held while a connection is made to a host that speaks HTTP/2, so that all others wait for that one.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Of HTTP/1, the one that was used last at the end.
    idle: Vec<Connection<Http1>>,
    /// Of HTTP/2.
    shared: Option<Connection<Http2>>,
    /// Whether the host spoke HTTP/2 the last time.
    speaks_http2: bool,
    /// When an answer last came.
    answered: Option<Instant>,
    /// How often all connections were given up. Those of earlier rounds are not kept.
    round: u64,
}

pub(super) type Http1 = http1::SendRequest<Full<Bytes>>;
pub(super) type Http2 = http2::SendRequest<Full<Bytes>>;

/// A connection, and until when it is used.
#[derive(Clone)]
pub(super) struct Connection<S> {
    sender: S,
    /// The address it leads to.
    peer: Option<SocketAddr>,
    fingerprint: [u8; 32],
    round: u64,
    since: Instant,
    ends: Instant,
    /// Whether an answer has come over it.
    was_used: bool,
}

/// The connection of one request.
pub(super) enum InUse {
    Http1(Box<Connection<Http1>>),
    Http2(Box<Connection<Http2>>),
}

impl Connections {
    /// Keeps so many connections of HTTP/1 for the next requests.
    pub(super) fn keep(&self, most_idle: usize) {
        self.most_idle.store(most_idle, Ordering::Relaxed);
    }

    /// How often all connections were given up: see [`note_unanswered`](Self::note_unanswered).
    pub(super) fn round(&self) -> u64 {
        self.lock().round
    }

    /// A connection to `host` for one request: one that was kept, or a new one. `opened_after`: only one
    /// that was opened after that.
    ///
    /// # Errors
    /// What kept a new connection from coming about.
    pub(super) async fn take(
        &self,
        host: &Host,
        settings: &ConnectionSettings,
        opened_after: Option<Instant>,
    ) -> Result<InUse, Broken> {
        let speaks_http2 = {
            let mut state = self.lock();
            if let Some(kept) = state.kept(settings.fingerprint, opened_after) {
                return Ok(kept);
            }
            state.speaks_http2
        };
        let _turn = if speaks_http2 { Some(self.connecting.lock().await) } else { None };
        let round = {
            let mut state = self.lock();
            if speaks_http2 && let Some(kept) = state.kept(settings.fingerprint, opened_after) {
                return Ok(kept);
            }
            state.round
        };
        // In a box: it needs kilobytes, which every request would carry along, and few requests connect.
        let opened = Box::pin(connect(host, Arc::clone(&settings.tls))).await?;
        let Opened { sender, peer } = opened;
        let fingerprint = settings.fingerprint;
        let mut state = self.lock();
        state.speaks_http2 = matches!(sender, Sender::Http2(_));
        Ok(match sender {
            Sender::Http1(sender) => {
                InUse::Http1(Box::new(Connection::new(sender, peer, fingerprint, round)))
            }
            Sender::Http2(sender) => match state.kept(fingerprint, opened_after) {
                // At first nobody knows that one is enough, and several requests connect at once.
                Some(kept) => kept,
                None => {
                    let new = Connection::new(sender, peer, fingerprint, round);
                    state.shared = Some(new.clone());
                    InUse::Http2(Box::new(new))
                }
            },
        })
    }

    /// Notes that an answer begins.
    pub(super) fn note_answer(&self, connection: &InUse) {
        let mut state = self.lock();
        state.answered = Some(Instant::now());
        if let (InUse::Http2(used), Some(shared)) = (connection, &mut state.shared)
            && shared.since == used.since
        {
            shared.was_used = true;
        }
    }

    /// Keeps `connection` for the next request, now that the answer has come as a whole.
    pub(super) async fn give_back(&self, connection: InUse) {
        let InUse::Http1(mut connection) = connection else { return };
        if !connection.sender.is_ready() {
            // The task of the connection has its turn before this one goes on, and sees that the answer is over:
            // the next request would otherwise find the connection still in use.
            yield_now().await;
        }
        let most_idle = self.most_idle.load(Ordering::Relaxed);
        let mut state = self.lock();
        let round = state.round;
        if !connection.is_good(connection.fingerprint, round) {
            return;
        }
        if state.idle.len() >= most_idle {
            state.idle.retain(|idle| idle.is_good(idle.fingerprint, round));
        }
        if state.idle.len() < most_idle {
            connection.was_used = true;
            state.idle.push(*connection);
        }
    }

    /// Notes that a request which began at `since`, in this `round`, was lost, or waited for an answer
    /// in vain: from now on requests get new connections. Not if others were answered meanwhile, which
    /// may be those of a thousand tenants of one cloud: then it is not the network, and new connections
    /// for all would be no better.
    pub(super) fn note_unanswered(&self, round: u64, since: Instant) {
        let mut state = self.lock();
        if state.round == round && state.answered.is_none_or(|at| at <= since) {
            state.round += 1;
            state.idle.clear();
            state.shared = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn kept(&mut self, fingerprint: [u8; 32], opened_after: Option<Instant>) -> Option<InUse> {
        let round = self.round;
        self.shared = self.shared.take().filter(|shared| shared.is_good(fingerprint, round));
        if let Some(shared) = &self.shared
            && opened_after.is_none_or(|after| shared.since > after)
        {
            return Some(InUse::Http2(Box::new(shared.clone())));
        }
        if opened_after.is_some() {
            return None;
        }
        for at in (0..self.idle.len()).rev() {
            if !self.idle[at].is_good(fingerprint, round) {
                self.idle.remove(at);
            } else if self.idle[at].sender.is_ready() {
                return Some(InUse::Http1(Box::new(self.idle.remove(at))));
            }
        }
        None
    }
}

/// What tells whether a connection has ended.
pub(super) trait Ending {
    fn has_ended(&self) -> bool;
}

impl Ending for Http1 {
    fn has_ended(&self) -> bool {
        self.is_closed()
    }
}

impl Ending for Http2 {
    fn has_ended(&self) -> bool {
        self.is_closed()
    }
}

impl<S: Ending> Connection<S> {
    fn new(sender: S, peer: Option<SocketAddr>, fingerprint: [u8; 32], round: u64) -> Self {
        let since = Instant::now();
        Self { sender, peer, fingerprint, round, since, ends: since + age_limit(), was_used: false }
    }

    fn is_good(&self, fingerprint: [u8; 32], round: u64) -> bool {
        self.fingerprint == fingerprint
            && self.round == round
            && Instant::now() < self.ends
            && !self.sender.has_ended()
    }
}

impl InUse {
    /// Whether an answer came over it before.
    pub(super) const fn was_used(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.was_used,
            Self::Http2(connection) => connection.was_used,
        }
    }

    /// The address it leads to, which may be that of a proxy.
    pub(super) const fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Http1(connection) => connection.peer,
            Self::Http2(connection) => connection.peer,
        }
    }

    /// Whether HTTP/2 is spoken over it.
    pub(super) const fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Sends `request`, and waits for the head of its answer.
    ///
    /// # Errors
    /// What came instead.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(connection) => connection.sender.send_request(request).await,
            Self::Http2(connection) => connection.sender.send_request(request).await,
        }
    }
}

/// How long a new connection is used: those that are opened in one scrape are not all to be opened anew
/// in another one.
fn age_limit() -> Duration {
    static OPENED: AtomicU64 = AtomicU64::new(0);
    /// The golden ratio as a fraction of 2^64: its multiples are spread evenly over the range.
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    let spread = OPENED.fetch_add(STEP, Ordering::Relaxed) as f64 / u64::MAX as f64;
    MAX_CONNECTION_AGE / 2 + (MAX_CONNECTION_AGE / 2).mul_f64(spread)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

    use std::future::pending;

    use hyper_util::rt::TokioIo;
    use tokio::io::duplex;

    use super::*;

    const SETTINGS: [u8; 32] = [1; 32];

    /// A host of which one connection is kept.
    async fn with_one() -> Connections {
        let connections = Connections::default();
        connections.keep(8);
        connections.give_back(opened(&connections).await).await;
        connections
    }

    /// A new connection to a server that never says anything.
    async fn opened(connections: &Connections) -> InUse {
        let (client, server) = duplex(64);
        let (mut sender, connection) = http1::handshake(TokioIo::new(client)).await.unwrap();
        tokio::spawn(async move {
            let _server = server;
            tokio::select! {
                _ = connection => {}
                () = pending() => {}
            }
        });
        sender.ready().await.unwrap();
        let round = connections.round();
        InUse::Http1(Box::new(Connection::new(sender, None, SETTINGS, round)))
    }

    fn kept(connections: &Connections) -> Option<InUse> {
        connections.lock().kept(SETTINGS, None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_kept_for_the_next_request_until_it_is_old() {
        let connections = with_one().await;
        let again = kept(&connections).unwrap();
        assert!(again.was_used());
        assert!(kept(&connections).is_none(), "one request at a time");
        connections.give_back(again).await;
        tokio::time::advance(MAX_CONNECTION_AGE / 2 - Duration::from_secs(1)).await;
        let again = kept(&connections).unwrap();
        connections.give_back(again).await;
        tokio::time::advance(MAX_CONNECTION_AGE / 2 + Duration::from_secs(1)).await;
        assert!(kept(&connections).is_none());
    }

    #[test]
    fn connections_that_are_opened_at_once_do_not_end_at_once() {
        let mut limits: Vec<_> = (0..100).map(|_| age_limit()).collect();
        limits.sort_unstable();
        assert!(limits[0] >= MAX_CONNECTION_AGE / 2 && limits[99] <= MAX_CONNECTION_AGE);
        let widest = limits.windows(2).map(|two| two[1] - two[0]).max().unwrap();
        assert!(widest < MAX_CONNECTION_AGE / 20, "{widest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_kept_than_may_be() {
        let connections = Connections::default();
        connections.keep(2);
        for _ in 0..3 {
            connections.give_back(opened(&connections).await).await;
        }
        assert!(kept(&connections).is_some() && kept(&connections).is_some());
        assert!(kept(&connections).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_ended_is_not_used_again() {
        let connections = Connections::default();
        connections.keep(8);
        let (client, server) = duplex(64);
        let (mut sender, connection) = http1::handshake(TokioIo::new(client)).await.unwrap();
        let ending = tokio::spawn(connection);
        sender.ready().await.unwrap();
        let new = Connection::new(sender, None, SETTINGS, 0);
        connections.give_back(InUse::Http1(Box::new(new))).await;
        drop(server);
        let _ = ending.await;
        yield_now().await;
        assert!(kept(&connections).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_ends_connections_unless_others_are_answered() {
        let connections = with_one().await;
        let (round, since) = (connections.round(), Instant::now());
        tokio::time::advance(Duration::from_secs(1)).await;
        connections.note_answer(&opened(&connections).await);
        connections.note_unanswered(round, since);
        let other = kept(&connections).expect("others were answered");

        let since = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        connections.note_unanswered(round, since);
        connections.give_back(other).await;
        assert!(kept(&connections).is_none(), "nor those that were in use");
        connections.give_back(opened(&connections).await).await;
        connections.note_unanswered(round, since);
        assert!(kept(&connections).is_some(), "once for all that waited in vain");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_lost_is_not_sent_over_a_connection_that_was_there() {
        let connections = with_one().await;
        let now = Instant::now();
        assert!(connections.lock().kept(SETTINGS, Some(now)).is_none());
        assert!(kept(&connections).is_some(), "the others keep theirs");
    }

    #[tokio::test(start_paused = true)]
    async fn other_settings_get_other_connections() {
        let connections = with_one().await;
        assert!(connections.lock().kept([2; 32], None).is_none());
    }
}
