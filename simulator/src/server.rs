//! Listeners, connections, and the way of a request to its system.

use crate::Options;
use crate::body::{Out, Payload};
use crate::fault::{Fault, JSON, Reply};
use crate::model::Vendor;
use crate::record::Request;
use crate::system::{Answer, Call, System};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, SERVER};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const LARGEST_REQUEST: usize = 1 << 20;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) options: Arc<Options>,
    pub(crate) open: AtomicUsize,
    pub(crate) stop: CancellationToken,
    systems: [RwLock<HashMap<String, Arc<Mutex<System>>>>; 5],
}

impl Shared {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options: Arc::new(options),
            open: AtomicUsize::new(0),
            stop: CancellationToken::new(),
            systems: std::array::from_fn(|_| RwLock::default()),
        }
    }

    /// The system of that name, created when first asked for.
    pub(crate) fn system(&self, vendor: Vendor, instance: &str) -> Arc<Mutex<System>> {
        let systems = &self.systems[vendor.index()];
        if let Some(system) = systems.read().unwrap_or_else(PoisonError::into_inner).get(instance) {
            return system.clone();
        }
        let new = || Arc::new(Mutex::new(System::new(vendor, instance, self.options.clone())));
        systems
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(instance.to_owned())
            .or_insert_with(new)
            .clone()
    }

    pub(crate) fn every_system(&self) -> Vec<Arc<Mutex<System>>> {
        let read = |systems: &RwLock<HashMap<_, Arc<_>>>| -> Vec<_> {
            systems.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
        };
        self.systems.iter().flat_map(read).collect()
    }
}

/// A test that panicked while editing a population has failed already; the others go on.
pub(crate) fn lock(system: &Mutex<System>) -> MutexGuard<'_, System> {
    system.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Accepts until stopped; `answer` gets the flag that makes its connection end with a reset.
pub(crate) async fn accept<A, F>(
    listener: TcpListener,
    shared: Arc<Shared>,
    counted: bool,
    answer: A,
) where
    A: Fn(Arc<AtomicBool>, hyper::Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = io::Result<Response<Out>>> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely; some will come back.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let reset = Arc::new(AtomicBool::new(false));
        let socket = Socket::new(stream, reset.clone(), counted.then(|| shared.clone()));
        let stop = shared.stop.clone();
        let answer = answer.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(reset.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service);
            // What a client makes of a broken connection is the client's affair.
            tokio::select! {
                _ = connection => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// Answers for one vendor.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    vendor: Vendor,
    reset: Arc<AtomicBool>,
    request: hyper::Request<Incoming>,
) -> io::Result<Response<Out>> {
    let (parts, body) = request.into_parts();
    let body =
        Limited::new(body, LARGEST_REQUEST).collect().await.map_err(io::Error::other)?.to_bytes();
    let (instance, path) = split_instance(parts.uri.path());
    let system = shared.system(vendor, instance);
    let mut call = Call {
        method: parts.method.clone(),
        path: path.to_owned(),
        query: decode(parts.uri.query().unwrap_or_default()),
        headers: parts.headers.clone(),
        body,
        now: Instant::now(),
        wall: SystemTime::now(),
    };
    let (endpoint, fault, right, forbidden) = {
        let mut system = lock(&system);
        system.live_on();
        let endpoint = system.endpoint(&call);
        let fault = system.take_fault(endpoint.unwrap_or("other"));
        if matches!(fault, Some(Fault::RepeatPages)) {
            call.query = first_page(call.query);
        }
        let right =
            fault.as_ref().is_none_or(Fault::needs_answer).then(|| system.answer(endpoint, &call));
        let forbidden = endpoint.is_none() || right.as_ref().is_some_and(|answer| answer.forbidden);
        (endpoint.unwrap_or("other"), fault, right, forbidden)
    };
    let reply = match (fault, right) {
        (Some(fault), right) => {
            // Packing a bomb takes a while, and other connections share this thread.
            let reply = tokio::task::spawn_blocking(move || fault.reply(vendor, endpoint, right));
            reply.await.map_err(io::Error::other)?
        }
        (None, Some(right)) => plain(&shared.options, vendor, right),
        (None, None) => return Err(io::Error::other("no fault and no answer")),
    };
    if shared.options.record {
        lock(&system).record(recorded(&parts, call, endpoint, forbidden, &reply));
    }
    let delay = shared.options.latency + reply.delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    send(vendor, reply, &reset).await
}

/// `/i/<instance>/rest` is the system of that name.
fn split_instance(path: &str) -> (&str, &str) {
    match path.strip_prefix("/i/") {
        None => ("", path),
        Some(rest) => rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash)),
    }
}

pub(crate) fn decode(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn first_page(query: Vec<(String, String)>) -> Vec<(String, String)> {
    let first = |(key, value): (String, String)| match key.as_str() {
        "page" => (key, "1".to_owned()),
        "offset" | "nextToken" => (key, "0".to_owned()),
        _ => (key, value),
    };
    query.into_iter().map(first).collect()
}

/// The S-Series' server announces no length: the end of the connection is the end of the body.
fn plain(options: &Options, vendor: Vendor, right: Answer) -> Reply {
    let until_close = vendor == Vendor::YeastarS && options.quirks;
    let payload =
        if until_close { Payload::UntilClose(right.body) } else { Payload::Whole(right.body) };
    Reply { payload, ..Reply::of(right.status, "") }
}

fn recorded(
    parts: &Parts,
    call: Call,
    endpoint: &'static str,
    forbidden: bool,
    reply: &Reply,
) -> Request {
    let header = |(name, value): (&hyper::header::HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Request {
        at: call.wall,
        endpoint,
        method: parts.method.to_string(),
        path: call.path,
        // Not the call's: that may have been sent back to page one.
        query: decode(parts.uri.query().unwrap_or_default()),
        headers: parts.headers.iter().map(header).collect(),
        body: String::from_utf8_lossy(&call.body).into_owned(),
        forbidden,
        status: if matches!(reply.payload, Payload::Never | Payload::Close) {
            0
        } else {
            reply.status
        },
    }
}

async fn send(vendor: Vendor, reply: Reply, reset: &Arc<AtomicBool>) -> io::Result<Response<Out>> {
    match reply.payload {
        Payload::Never => std::future::pending().await,
        Payload::Close => return Err(io::Error::other("no answer is to be given")),
        Payload::Whole(_)
        | Payload::UntilClose(_)
        | Payload::Drip(_)
        | Payload::Half { .. }
        | Payload::Endless => {}
    }
    let until_close = matches!(reply.payload, Payload::UntilClose(_));
    let mut response = Response::new(Out::new(reply.payload, reset));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if until_close {
        *response.version_mut() = Version::HTTP_10;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.kind));
    for (name, value) in reply.headers {
        headers.insert(name, HeaderValue::from_str(&value).map_err(io::Error::other)?);
    }
    match vendor {
        // One connection a request, say the documents of all three.
        Vendor::OpenvoxUc | Vendor::YeastarP => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Vendor::YeastarS => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
            headers.insert(SERVER, HeaderValue::from_static("Boa/0.94.14rc21"));
        }
        Vendor::HuaweiMeeting => {
            headers.insert(SERVER, HeaderValue::from_static("api-gateway"));
        }
        Vendor::Dingtalk => {
            headers.insert(
                "x-acs-request-id",
                HeaderValue::from_static("5C2D5E4F-0000-7000-8000-9A1B2C3D4E5F"),
            );
        }
    }
    Ok(response)
}

/// A text or JSON answer of the control port.
pub(crate) fn text(status: StatusCode, json: bool, body: String) -> Response<Out> {
    let mut response = Response::new(Out::new(Payload::Whole(body.into()), &Arc::default()));
    *response.status_mut() = status;
    let kind = if json { JSON } else { "text/plain; charset=utf-8" };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A connection that counts itself and can end with a reset.
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
    shared: Option<Arc<Shared>>,
}

impl Socket {
    fn new(stream: TcpStream, reset: Arc<AtomicBool>, shared: Option<Arc<Shared>>) -> Self {
        if let Some(shared) = &shared {
            shared.open.fetch_add(1, Ordering::Relaxed);
        }
        Self { stream, reset, shared }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Acquire) {
            let _ = self.stream.set_zero_linger();
        }
        if let Some(shared) = &self.shared {
            shared.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
