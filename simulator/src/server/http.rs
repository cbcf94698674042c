// SPDX-License-Identifier: Apache-2.0
//! Systems that speak HTTP: the way of a request to its instance, and of the answer back.

use super::socket::Socket;
use super::{LARGEST_REQUEST, Shared, lock};
use crate::KeepAlive;
use crate::body::{FaultyBody, Payload};
use crate::call::{Answer, Call};
use crate::fault::{Fault, Reply};
use crate::instance::Instance;
use crate::record::Request;
use crate::registry::{Description, HttpSystem, Vendor};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// One connection, kept as `keep_alive` says; `answer` gets the flag that makes it end with a reset.
pub(crate) async fn serve<A, F>(socket: Socket, keep_alive: KeepAlive, answer: A)
where
    A: Fn(Arc<AtomicBool>, hyper::Request<Incoming>) -> F,
    F: Future<Output = io::Result<Response<FaultyBody>>>,
{
    let reset = socket.reset();
    // Since when there is nothing to answer; `None`: there is.
    let idle_since = Mutex::new(Some(Instant::now()));
    let service = service_fn(|request| {
        *lock(&idle_since) = None;
        let answered = answer(reset.clone(), request);
        async {
            let answered = answered.await;
            *lock(&idle_since) = Some(Instant::now());
            answered
        }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
    let patience = async {
        let KeepAlive::For(keep_alive) = keep_alive else { return std::future::pending().await };
        loop {
            let idle = lock(&idle_since).map_or(Duration::ZERO, |since| since.elapsed());
            let Some(left) = keep_alive.checked_sub(idle).filter(|left| !left.is_zero()) else {
                return;
            };
            tokio::time::sleep(left).await;
        }
    };
    tokio::select! {
        // How a connection ended is for the client to report.
        _ = connection => {}
        () = patience => {}
    }
}

/// Answers for one system.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    vendor: Vendor,
    system: &'static dyn HttpSystem,
    reset: Arc<AtomicBool>,
    request: hyper::Request<Incoming>,
) -> io::Result<Response<FaultyBody>> {
    let (parts, body) = request.into_parts();
    let body =
        Limited::new(body, LARGEST_REQUEST).collect().await.map_err(io::Error::other)?.to_bytes();
    let (instance, path) = split_instance(parts.uri.path());
    let instance = shared.instance(vendor, instance);
    let mut call = Call {
        method: parts.method.clone(),
        path: path.to_owned(),
        query: decode(parts.uri.query().unwrap_or_default()),
        headers: parts.headers.clone(),
        body,
        now: Instant::now(),
        wall: SystemTime::now(),
    };
    let (name, fault, number) = {
        let mut instance = lock(&instance);
        instance.advance();
        let name = system.name(&instance, &call);
        let fault = instance.take_fault(name.unwrap_or("other"));
        let record = || instance.recorded().begin(recorded(&parts, &call, name));
        let number = shared.options.record.then(record);
        (name, fault, number)
    };
    if matches!(fault, Some(Fault::RepeatPages)) {
        call.query = first_page(call.query);
    }
    let description = shared.description(vendor);
    let judgement = Judgement { description, system, instance, call, name, fault, number };
    let reply = match judgement.fault {
        Some(Fault::JudgeLater(delay)) => {
            // In a task of its own: this one ends when the client leaves.
            let (stop, quirks) = (shared.stop.clone(), shared.options.quirks);
            let later = async move {
                tokio::time::sleep(delay).await;
                judgement.reply(quirks).await
            };
            tokio::spawn(async move { stop.run_until_cancelled(later).await })
                .await
                .map_err(io::Error::other)?
                .unwrap_or_else(|| Err(io::Error::other("the simulator has stopped")))?
        }
        _ => judgement.reply(shared.options.quirks).await?,
    };
    let delay = shared.options.latency + reply.delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    send(system, shared.options.keep_alive, reply, &reset).await
}

/// A request that has arrived and is to be judged.
struct Judgement {
    description: &'static Description,
    system: &'static dyn HttpSystem,
    instance: Arc<Mutex<Instance>>,
    call: Call,
    name: Option<&'static str>,
    fault: Option<Fault>,
    /// Of the recorded request.
    number: Option<u64>,
}

impl Judgement {
    /// Lets the call have its effect, unless the fault says otherwise, and makes what goes out.
    async fn reply(self, quirks: bool) -> io::Result<Reply> {
        let Self { description, system, instance, mut call, name, fault, number } = self;
        // Tokens live from when they are issued, not from when they were asked for.
        if matches!(fault, Some(Fault::JudgeLater(_))) {
            (call.now, call.wall) = (Instant::now(), SystemTime::now());
        }
        let right = fault
            .as_ref()
            .is_none_or(Fault::needs_answer)
            .then(|| system.answer(&mut lock(&instance), name, &call));
        let forbidden = right.as_ref().is_some_and(|answer| answer.forbidden);
        let reply = match (fault, right) {
            (Some(fault), right) => {
                // Compressing a very large body takes a while, and other connections share this thread.
                let reply = move || {
                    let main_keys = name.map_or(&[][..], |name| system.main_keys(name));
                    let failure = |code: &str| system.failure(code);
                    let damaged = right
                        .as_ref()
                        .and_then(|right| Some((right, system.damaged(&fault, &right.body)?)));
                    if let Some((right, damaged)) = damaged {
                        return Reply::to(right, Payload::Whole(damaged.into()));
                    }
                    fault.reply(right, &failure, main_keys, description)
                };
                tokio::task::spawn_blocking(reply).await.map_err(io::Error::other)?
            }
            (None, Some(right)) => plain(system, quirks, right),
            (None, None) => return Err(io::Error::other("no fault and no answer")),
        };
        if let Some(number) = number {
            lock(&instance).recorded().complete(number, forbidden, reply.begun());
        }
        Ok(reply)
    }
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

fn plain(system: &dyn HttpSystem, quirks: bool, right: Answer) -> Reply {
    let body = right.body.clone();
    let payload = if system.announces_length(quirks) {
        Payload::Whole(body)
    } else {
        Payload::UntilClose(body)
    };
    Reply::to(&right, payload)
}

fn recorded(parts: &Parts, call: &Call, name: Option<&'static str>) -> Request {
    let header = |(name, value): (&hyper::header::HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Request {
        at: call.wall,
        call: name.unwrap_or("other"),
        method: parts.method.to_string(),
        path: call.path.clone(),
        query: call.query.clone(),
        headers: parts.headers.iter().map(header).collect(),
        body: String::from_utf8_lossy(&call.body).into_owned(),
        forbidden: name.is_none(),
        status: 0,
    }
}

async fn send(
    system: &dyn HttpSystem,
    keep_alive: KeepAlive,
    reply: Reply,
    reset: &Arc<AtomicBool>,
) -> io::Result<Response<FaultyBody>> {
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
    let is_kept = keep_alive != KeepAlive::AsVendor;
    let payload = match reply.payload {
        // With its length, or the connection could not be kept.
        Payload::UntilClose(body) if is_kept => Payload::Whole(body),
        Payload::Never
        | Payload::Close
        | Payload::Whole(_)
        | Payload::UntilClose(_)
        | Payload::Drip(_)
        | Payload::Half { .. }
        | Payload::Endless => reply.payload,
    };
    let mut response = Response::new(FaultyBody::new(payload, reset));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if until_close && !is_kept {
        *response.version_mut() = Version::HTTP_10;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.kind));
    for (name, value) in reply.headers {
        headers.insert(name, HeaderValue::from_str(&value).map_err(io::Error::other)?);
    }
    for (name, value) in system.headers() {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    if is_kept {
        headers.remove(CONNECTION);
    }
    Ok(response)
}
