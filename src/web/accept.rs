// SPDX-License-Identifier: Apache-2.0
//! Connections: how many, how long, and how they end.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{either::Either, io::InspectReader, sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error};

use super::{
    Site,
    listen::{Listener, Stream},
    respond::Answer,
    routes,
};

/// Connections open at once.
const MOST_CONNECTIONS: usize = 1024;

/// Idle connections are closed while fewer than this many further ones could be accepted.
const IDLE_NEEDS_FREE: usize = 128;

/// From the first byte of a request's head to its last; also for the first byte of a connection.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long a connection may do nothing between requests: longer than the usual scrape interval.
const IDLE_TIME: Duration = Duration::from_secs(150);

/// Longest request line and headers, in bytes.
const MOST_HEAD_BYTES: usize = 32 * 1024;

/// Requests of one HTTP/2 connection at once.
const MOST_STREAMS: u32 = 64;

/// After what silence an HTTP/2 client is sent a ping, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Pauses after a failed `accept`, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts connections and serves them, until it is told to stop.
pub struct Server {
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

struct Shared {
    site: Arc<Site>,
    connections: Arc<Semaphore>,
    /// No new connections; the present ones finish what they do.
    stop: CancellationToken,
    /// The present ones end at once.
    abort: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// A server of `site` that listens nowhere yet.
    pub fn new(site: Arc<Site>) -> Self {
        let tasks = TaskTracker::new();
        let shared = Shared {
            site,
            connections: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            tasks: tasks.clone(),
        };
        Self { shared: Arc::new(shared), tasks }
    }

    /// Accepts connections of `listener` from now on.
    pub fn serve(&self, listener: Listener) {
        self.tasks.spawn(accept(listener, Arc::clone(&self.shared)));
    }

    /// Stops accepting; returns when every request under way is answered. Dropping the future
    /// leaves them to [`Server::abort`].
    pub async fn drain(&self) {
        self.shared.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Ends what is still under way.
    pub fn abort(&self) {
        self.shared.abort.cancel();
    }
}

async fn accept(listener: Listener, shared: Arc<Shared>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let permit = tokio::select! {
            () = shared.stop.cancelled() => return,
            permit = Arc::clone(&shared.connections).acquire_owned() => permit,
        };
        let Ok(permit) = permit else { return };
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
                pause = FIRST_PAUSE;
                shared.tasks.spawn(connection(stream, permit, Arc::clone(&shared)));
            }
            // The client closed the connection before it was accepted.
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                // No descriptors or no memory: another try at once would fail again.
                drop(permit);
                if pause == FIRST_PAUSE {
                    error!(%error, "cannot accept connections");
                }
                tokio::select! {
                    () = shared.stop.cancelled() => return,
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, TimedOut,
    };
    // Not a `match`: clippy refuses `_`, and the enum has some forty variants.
    [ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, TimedOut]
        .contains(&error.kind())
}

async fn connection(stream: Stream, _permit: OwnedSemaphorePermit, shared: Arc<Shared>) {
    if let Either::Left(stream) = &stream {
        let _ = stream.set_nodelay(true);
    }
    let served = serve(stream, &shared);
    tokio::select! {
        () = shared.abort.cancelled() => {}
        () = served => {}
    }
}

async fn serve(stream: Stream, shared: &Shared) {
    let Some(acceptor) = shared.site.security.in_force().tls.clone() else {
        return http1(stream, shared, false).await;
    };
    let handshake = timeout(HEAD_TIME, shake_hands(stream, &acceptor));
    let stream = tokio::select! {
        () = shared.stop.cancelled() => return,
        shaken = handshake => match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return debug!(%error, "TLS handshake failed"),
            Err(_) => return debug!("TLS handshake took too long"),
        },
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2(stream, shared).await;
    } else {
        http1(stream, shared, true).await;
    }
}

async fn shake_hands(mut stream: Stream, acceptor: &TlsAcceptor) -> io::Result<TlsStream<Stream>> {
    const HANDSHAKE: u8 = 22;
    let mut first = [0];
    if let Either::Left(socket) = &stream
        && socket.peek(&mut first).await? == 1
        && first[0] != HANDSHAKE
    {
        // The answer of Go's servers: without it, the cause would be hard to find.
        let answer = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n\
                      Client sent an HTTP request to an HTTPS server.\n";
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        return Err(io::Error::other("not TLS"));
    }
    acceptor.accept(stream).await
}

async fn http1<S>(stream: S, shared: &Shared, over_tls: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new(&shared.connections));
    let reading = Arc::clone(&activity);
    let stream = InspectReader::new(stream, move |bytes: &[u8]| {
        if !bytes.is_empty() {
            reading.bytes_came();
        }
    });
    let service = service_fn(|request| answer(&shared.site, &activity, request, over_tls));
    let connection = http1::Builder::new()
        // The watch tells a slow head from an idle connection; hyper's timer does not.
        .header_read_timeout(None)
        .max_header_size(MOST_HEAD_BYTES)
        .max_buf_size(MOST_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    drive(connection, &activity, shared, |connection| connection.graceful_shutdown()).await;
}

async fn http2<S>(stream: S, shared: &Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new(&shared.connections));
    let (site, service_activity) = (Arc::clone(&shared.site), Arc::clone(&activity));
    // Each request is a task of its own, which ends when its client gives it up.
    let service = service_fn(move |request| {
        let (site, activity) = (Arc::clone(&site), Arc::clone(&service_activity));
        async move { answer(&site, &activity, request, true).await }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(MOST_HEAD_BYTES as u32)
        .serve_connection(TokioIo::new(stream), service);
    drive(connection, &activity, shared, |connection| connection.graceful_shutdown()).await;
}

/// Lets `connection` run until it ends, has done nothing for too long, or has finished its
/// requests after the exporter was told to stop.
async fn drive<C>(connection: C, activity: &Activity, shared: &Shared, shut_down: fn(Pin<&mut C>))
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut stopping = pin!(shared.stop.cancelled());
    let mut is_stopping = false;
    let mut watch = pin!(sleep_until(Instant::now() + HEAD_TIME));
    let ended_well = std::future::poll_fn(|context| {
        if !is_stopping && stopping.as_mut().poll(context).is_ready() {
            is_stopping = true;
            shut_down(connection.as_mut());
        }
        if let Poll::Ready(outcome) = connection.as_mut().poll(context) {
            return Poll::Ready(outcome.is_ok());
        }
        activity.poll_expired(watch.as_mut(), context).map(|()| false)
    })
    .await;
    if !ended_well {
        // A client that closes early is nothing unusual: not a warning.
        debug!("connection ended early");
    }
}

async fn answer(
    site: &Site,
    activity: &Arc<Activity>,
    request: hyper::Request<Incoming>,
    over_tls: bool,
) -> Result<Answer, Infallible> {
    let _busy = Busy::new(activity);
    Ok(routes::respond(site, request, over_tls).await)
}

/// What a connection does, to decide when to close it.
struct Activity {
    connections: Arc<Semaphore>,
    doing: Mutex<Doing>,
}

struct Doing {
    /// Requests being answered.
    requests: usize,
    /// When the first byte of the next request came.
    head_since: Option<Instant>,
    /// Until when the connection may stay idle.
    idle_until: Instant,
}

impl Activity {
    fn new(connections: &Arc<Semaphore>) -> Self {
        Self {
            connections: Arc::clone(connections),
            doing: Mutex::new(Doing {
                requests: 0,
                head_since: None,
                idle_until: Instant::now() + HEAD_TIME,
            }),
        }
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes_came(&self) {
        let mut doing = self.doing();
        if doing.requests == 0 && doing.head_since.is_none() {
            doing.head_since = Some(Instant::now());
        }
    }

    /// Ready when the connection has been idle, or its request incomplete, for too long.
    fn poll_expired(
        &self,
        mut watch: Pin<&mut tokio::time::Sleep>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let deadline = {
            let doing = self.doing();
            match doing.head_since {
                _ if doing.requests > 0 => return Poll::Pending,
                Some(since) => since + HEAD_TIME,
                None => doing.idle_until,
            }
        };
        if watch.deadline() != deadline {
            watch.as_mut().reset(deadline);
        }
        watch.poll(context)
    }
}

/// A request being answered.
struct Busy<'a>(&'a Activity);

impl<'a> Busy<'a> {
    fn new(activity: &'a Activity) -> Self {
        let mut doing = activity.doing();
        doing.requests += 1;
        doing.head_since = None;
        Self(activity)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let crowded = self.0.connections.available_permits() < IDLE_NEEDS_FREE;
        let mut doing = self.0.doing();
        doing.requests -= 1;
        doing.idle_until = Instant::now() + if crowded { HEAD_TIME } else { IDLE_TIME };
    }
}
