// SPDX-License-Identifier: Apache-2.0
//! The connections to one host, and when they are no longer used.
//!
//! Those of HTTP/1 are kept for the next request one by one; one of HTTP/2 is shared by all. No request is sent over a
//! connection that is older than [`MAX_CONNECTION_AGE`], that was made with other settings, or that may have fallen silent:
//! when a request waited in vain, none of those that were there is used again, unless others were answered meanwhile.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::{TryFutureExt, future::Either};
use http_body_util::Full;
use hyper::{
    Request,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    http::response::Parts,
};
use rustls::ClientConfig;
use tokio::time::Instant;

use super::{
    broken::Broken,
    connect::{Http2, Opened, Over, Stream, connect},
    host::Host,
    http1::{Exchange, is_silent},
};

/// How long connections are used. A name may stand for another address by then, and the old one may still answer: clouds
/// move their services like that.
pub(super) const MAX_CONNECTION_AGE: Duration = Duration::from_secs(5 * 60);

/// The least time between two looks for connections that the system has ended.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(10);

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
    /// Of HTTP/1, the one that was used last, ready for the next request, which often is of the same collection.
    ready: Option<(Box<Exchange>, About)>,
    /// Of HTTP/1, all others, in the order of their last use.
    idle: Vec<(Box<dyn Stream>, About)>,
    /// When those that had ended were last looked for.
    swept: Option<Instant>,
    /// Of HTTP/2.
    shared: Option<(Http2, About)>,
    /// Whether the host spoke HTTP/2 the last time.
    speaks_http2: bool,
    /// When an answer last came.
    answered: Option<Instant>,
    /// How often all connections were given up. Those of earlier rounds are not kept.
    round: u64,
}

/// What is known of a connection.
#[derive(Clone, Copy)]
struct About {
    /// The address it leads to.
    peer: Option<SocketAddr>,
    fingerprint: [u8; 32],
    round: u64,
    since: Instant,
    /// Until when it is used.
    ends: Instant,
    /// Whether an answer has come over it.
    was_used: bool,
}

/// The connection of one request that is not sent yet.
pub(super) struct Taken {
    over: Carrier,
    about: About,
}

enum Carrier {
    Http1(Box<Exchange>),
    Http2(Http2),
}

/// A connection that was kept.
enum Kept {
    /// Nothing has to be made for it.
    Ready(Carrier),
    Stream(Box<dyn Stream>),
}

/// The answer to a request: its body, and the connection over which it comes.
pub(super) struct Answering {
    incoming: Incoming,
    /// Of HTTP/1.
    exchange: Option<Box<Exchange>>,
    about: About,
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
    ) -> Result<Taken, Broken> {
        let fingerprint = settings.fingerprint;
        let (kept, speaks_http2) = {
            let mut state = self.lock();
            (state.kept(fingerprint, opened_after), state.speaks_http2)
        };
        if let Some((kept, about)) = kept {
            return Taken::of(kept, about).await;
        }
        let _turn = if speaks_http2 { Some(self.connecting.lock().await) } else { None };
        let (kept, round) = {
            let mut state = self.lock();
            let kept = speaks_http2.then(|| state.kept(fingerprint, opened_after));
            (kept.flatten(), state.round)
        };
        if let Some((kept, about)) = kept {
            return Taken::of(kept, about).await;
        }
        // In a box: it needs kilobytes, which every request would carry along, and few requests connect.
        let Opened { over, peer } = Box::pin(connect(host, Arc::clone(&settings.tls))).await?;
        let (taken, about) = self.opened(over, About::new(peer, fingerprint, round), opened_after);
        Taken::of(taken, about).await
    }

    /// The connection to use, now that another one was opened.
    fn opened(&self, over: Over, about: About, opened_after: Option<Instant>) -> (Kept, About) {
        let mut state = self.lock();
        state.speaks_http2 = matches!(over, Over::Http2(_));
        match over {
            Over::Http1(stream) => (Kept::Stream(stream), about),
            // At first nobody knows that one is enough, and several requests connect at once.
            Over::Http2(sender) => {
                state.kept(about.fingerprint, opened_after).unwrap_or_else(|| {
                    state.shared = Some((sender.clone(), about));
                    (Kept::Ready(Carrier::Http2(sender)), about)
                })
            }
        }
    }

    /// Notes that an answer begins.
    pub(super) fn note_answer(&self, answering: &Answering) {
        let mut state = self.lock();
        state.answered = Some(Instant::now());
        if answering.exchange.is_none()
            && let Some((_, shared)) = &mut state.shared
            && shared.since == answering.about.since
        {
            shared.was_used = true;
        }
    }

    /// Keeps the connection for the next request, now that the answer has come as a whole.
    pub(super) fn give_back(&self, answering: Answering) {
        let Answering { exchange: Some(mut exchange), about, .. } = answering else { return };
        let most_idle = self.most_idle.load(Ordering::Relaxed);
        if most_idle == 0 || !exchange.is_idle() {
            return;
        }
        let mut state = self.lock();
        let now = Instant::now();
        if !about.is_good(about.fingerprint, state.round, now) {
            return;
        }
        let before = state.ready.replace((exchange, About { was_used: true, ..about }));
        state.rest(before, most_idle - 1, now);
    }

    /// Notes that a collection is over: the next request over the connection that was used last comes in the next scrape.
    pub(super) fn rest(&self) {
        let most_idle = self.most_idle.load(Ordering::Relaxed);
        let mut state = self.lock();
        let last = state.ready.take();
        state.rest(last, most_idle, Instant::now());
    }

    /// Notes that a request which began at `since`, in this `round`, was lost, or waited for an answer
    /// in vain: from now on requests get new connections. Not if others were answered meanwhile, which
    /// may be those of a thousand tenants of one cloud: then it is not the network, and new connections
    /// for all would be no better.
    pub(super) fn note_unanswered(&self, round: u64, since: Instant) {
        let mut state = self.lock();
        if state.round == round && state.answered.is_none_or(|at| at <= since) {
            state.round += 1;
            state.ready = None;
            state.idle.clear();
            state.shared = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn kept(
        &mut self,
        fingerprint: [u8; 32],
        opened_after: Option<Instant>,
    ) -> Option<(Kept, About)> {
        let round = self.round;
        let now = Instant::now();
        let is_good = |about: &About| about.is_good(fingerprint, round, now);
        self.shared =
            self.shared.take().filter(|(sender, about)| is_good(about) && !sender.is_closed());
        if let Some((sender, about)) = &self.shared
            && opened_after.is_none_or(|after| about.since > after)
        {
            return Some((Kept::Ready(Carrier::Http2(sender.clone())), *about));
        }
        if opened_after.is_some() {
            return None;
        }
        if let Some((mut exchange, about)) = self.ready.take()
            && is_good(&about)
            && exchange.is_idle()
        {
            return Some((Kept::Ready(Carrier::Http1(exchange)), about));
        }
        while let Some((mut stream, about)) = self.idle.pop() {
            if is_good(&about) && is_silent(&mut *stream) {
                return Some((Kept::Stream(stream), about));
            }
        }
        None
    }

    /// Keeps the stream of `used` alone, and of all streams the `most` that were used last. From time to time those are
    /// closed that are not used again: systems end theirs while nobody looks.
    fn rest(&mut self, used: Option<(Box<Exchange>, About)>, most: usize, now: Instant) {
        if let Some((exchange, about)) = used
            && let Some(stream) = exchange.into_stream()
        {
            self.idle.push((stream, about));
        }
        if self.swept.is_none_or(|swept| now >= swept + BETWEEN_SWEEPS) {
            let round = self.round;
            self.idle.retain_mut(|(stream, about)| {
                about.is_good(about.fingerprint, round, now) && is_silent(&mut **stream)
            });
            self.swept = Some(now);
        }
        let excess = self.idle.len().saturating_sub(most);
        self.idle.drain(..excess);
    }
}

impl About {
    fn new(peer: Option<SocketAddr>, fingerprint: [u8; 32], round: u64) -> Self {
        let since = Instant::now();
        Self { peer, fingerprint, round, since, ends: since + age_limit(), was_used: false }
    }

    fn is_good(&self, fingerprint: [u8; 32], round: u64, now: Instant) -> bool {
        self.fingerprint == fingerprint && self.round == round && now < self.ends
    }
}

impl Taken {
    async fn of(kept: Kept, about: About) -> Result<Self, Broken> {
        let over = match kept {
            Kept::Ready(carrier) => carrier,
            Kept::Stream(stream) => {
                let exchange = Exchange::over(stream).await;
                Carrier::Http1(exchange.map_err(|error| Broken::not_begun(&error))?)
            }
        };
        Ok(Self { over, about })
    }

    /// Whether an answer came over it before.
    pub(super) const fn was_used(&self) -> bool {
        self.about.was_used
    }

    /// The address it leads to, which may be that of a proxy.
    pub(super) const fn peer(&self) -> Option<SocketAddr> {
        self.about.peer
    }

    /// Whether HTTP/2 is spoken over it.
    pub(super) const fn is_http2(&self) -> bool {
        matches!(self.over, Carrier::Http2(_))
    }

    /// Sends `request`, and waits for the head of its answer.
    ///
    /// # Errors
    /// What came instead.
    pub(super) fn send(
        self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = hyper::Result<(Parts, Answering)>> {
        let about = self.about;
        let sent = match self.over {
            Carrier::Http1(exchange) => {
                let sent = exchange.send(request);
                Either::Left(sent.map_ok(|(response, exchange)| (response, Some(exchange))))
            }
            Carrier::Http2(mut sender) => {
                Either::Right(sender.send_request(request).map_ok(|response| (response, None)))
            }
        };
        sent.map_ok(move |(response, exchange)| {
            let (head, incoming) = response.into_parts();
            (head, Answering { incoming, exchange, about })
        })
    }
}

impl Body for Answering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Self { incoming, exchange, .. } = &mut *self;
        let Some(exchange) = exchange else { return Pin::new(incoming).poll_frame(context) };
        // Only what was read just now brings it: nobody has to be woken for it.
        let mut next =
            || Pin::new(&mut *incoming).poll_frame(&mut Context::from_waker(Waker::noop()));
        let frame = next();
        if frame.is_ready() {
            return frame;
        }
        exchange.go_on(context);
        next()
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
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

    use std::str::from_utf8;

    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const SETTINGS: [u8; 32] = [1; 32];

    /// A host of which one connection is kept, and its other end.
    async fn with_one() -> (Connections, DuplexStream) {
        let connections = Connections::default();
        connections.keep(8);
        let server = used(&connections).await;
        (connections, server)
    }

    /// Uses a new connection for one request, and gives it back. What is left is its other end.
    async fn used(connections: &Connections) -> DuplexStream {
        let (client, mut server) = duplex(1_024);
        let about = About::new(None, SETTINGS, connections.round());
        let new = Kept::Stream(Box::new(client));
        connections.give_back(answered((new, about), &mut server).await);
        server
    }

    /// The answer to a request over a connection, read as a whole.
    async fn answered((kept, about): (Kept, About), server: &mut DuplexStream) -> Answering {
        let taken = Taken::of(kept, about).await.unwrap_or_else(|_| panic!("not begun"));
        let sent = taken.send(Request::new(Full::default()));
        let answer = async {
            let mut asked = [0; 256];
            let length = server.read(&mut asked).await.unwrap();
            assert!(from_utf8(&asked[..length]).unwrap().starts_with("GET / HTTP/1.1\r\n"));
            server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        };
        let (sent, ()) = tokio::join!(sent, answer);
        let (head, mut answering) = sent.unwrap();
        assert_eq!(head.status, 200);
        assert_eq!((&mut answering).collect().await.unwrap().to_bytes(), "{}");
        answering
    }

    fn kept(connections: &Connections) -> Option<(Kept, About)> {
        connections.lock().kept(SETTINGS, None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_kept_for_the_next_request_until_it_is_old() {
        let (connections, mut server) = with_one().await;
        let again = kept(&connections).unwrap();
        assert!(again.1.was_used);
        assert!(kept(&connections).is_none(), "one request at a time");
        connections.give_back(answered(again, &mut server).await);
        tokio::time::advance(MAX_CONNECTION_AGE / 2 - Duration::from_secs(1)).await;
        let again = kept(&connections).unwrap();
        connections.give_back(answered(again, &mut server).await);
        tokio::time::advance(MAX_CONNECTION_AGE / 2 + Duration::from_secs(1)).await;
        assert!(kept(&connections).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_used_before_the_last_one_is_kept_as_well() {
        let (connections, mut first) = with_one().await;
        let _second = used(&connections).await;
        let last = kept(&connections).unwrap();
        assert!(matches!(last.0, Kept::Ready(_)));
        let before = kept(&connections).unwrap();
        assert!(matches!(before.0, Kept::Stream(_)));
        connections.give_back(answered(before, &mut first).await);
        assert!(kept(&connections).is_some());
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
    async fn between_collections_all_that_is_kept_are_streams() {
        let (connections, mut server) = with_one().await;
        connections.rest();
        let again = kept(&connections).unwrap();
        assert!(matches!(again.0, Kept::Stream(_)));
        connections.give_back(answered(again, &mut server).await);
        assert!(matches!(kept(&connections), Some((Kept::Ready(_), _))));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_kept_than_may_be() {
        for most in 0..3 {
            let connections = Connections::default();
            connections.keep(most);
            let mut servers = Vec::new();
            for _ in 0..3 {
                servers.push(used(&connections).await);
            }
            for _ in 0..most {
                assert!(kept(&connections).is_some());
            }
            assert!(kept(&connections).is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nor_are_more_kept_after_collections() {
        let connections = Connections::default();
        connections.keep(2);
        let mut servers = Vec::new();
        for _ in 0..4 {
            servers.push(used(&connections).await);
            connections.rest();
        }
        assert!(kept(&connections).is_some() && kept(&connections).is_some());
        assert!(kept(&connections).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_ended_is_not_used_again() {
        let (connections, first) = with_one().await;
        let second = used(&connections).await;
        drop((first, second));
        assert!(kept(&connections).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_over_which_something_came_unasked_is_not_used_again() {
        let (connections, mut first) = with_one().await;
        let mut second = used(&connections).await;
        for server in [&mut first, &mut second] {
            server.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
        }
        assert!(kept(&connections).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_ended_are_closed_before_they_are_needed() {
        let (connections, first) = with_one().await;
        let (second, third) = (used(&connections).await, used(&connections).await);
        drop((first, second));
        tokio::time::advance(BETWEEN_SWEEPS).await;
        let fourth = used(&connections).await;
        assert_eq!(connections.lock().idle.len(), 1, "of the third; the fourth is ready");
        drop((third, fourth));
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_ends_connections_unless_others_are_answered() {
        let (connections, mut server) = with_one().await;
        let (round, since) = (connections.round(), Instant::now());
        tokio::time::advance(Duration::from_secs(1)).await;
        let other = kept(&connections).unwrap();
        let other = answered(other, &mut server).await;
        connections.note_answer(&other);
        connections.note_unanswered(round, since);
        connections.give_back(other);
        let other = kept(&connections).expect("others were answered");

        let since = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        connections.note_unanswered(round, since);
        connections.give_back(answered(other, &mut server).await);
        assert!(kept(&connections).is_none(), "nor those that were in use");
        let _new = used(&connections).await;
        connections.note_unanswered(round, since);
        assert!(kept(&connections).is_some(), "once for all that waited in vain");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_lost_is_not_sent_over_a_connection_that_was_there() {
        let (connections, _server) = with_one().await;
        let now = Instant::now();
        assert!(connections.lock().kept(SETTINGS, Some(now)).is_none());
        assert!(kept(&connections).is_some(), "the others keep theirs");
    }

    #[tokio::test(start_paused = true)]
    async fn other_settings_get_other_connections() {
        let (connections, _server) = with_one().await;
        assert!(connections.lock().kept([2; 32], None).is_none());
    }
}
