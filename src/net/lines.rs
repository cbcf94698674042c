// SPDX-License-Identifier: Apache-2.0
//! Exchanges of text over TCP or TLS, within the same bounds of size and time as those over HTTP.
//!
//! A system that speaks such a protocol logs in on a connection, and the login ends with it. So there
//! is one connection for each collection: [`Lines`]. What a protocol says, and where an answer of it
//! ends, is its [`Protocol`]. An answer is passed on as JSON, so that it is decoded, recorded and
//! replayed like that of any other system.

use std::{
    borrow::Cow,
    fmt, io,
    sync::{Arc, PoisonError},
    time::Duration,
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    Answer, Api, ApiError, Failure, Fault,
    broken::{Broken, CUT, of_io},
    connect::{Stream, tcp},
    host::bare,
    wiped::Wiped,
};
use crate::model::{CallName, Reason};

/// Said of a server that took the connection and did not greet. The advice of `systems/advice.rs`
/// follows from these words.
const SILENT: &str = "connected, but no greeting";

/// What a protocol says, and where its answers end.
pub trait Protocol: Send {
    /// A request, without what tells it from the others of its connection.
    type Request: Send + Sync;

    /// Reads what the server says first, and fails where that is another service, so that no
    /// credentials are sent to it.
    fn greeted(&mut self, wire: &mut Wire) -> impl Future<Output = Result<(), Problem>> + Send;

    /// Sends `request`, and returns the whole answer as a JSON object.
    fn exchange(
        &mut self,
        wire: &mut Wire,
        request: &Self::Request,
    ) -> impl Future<Output = Result<Wiped, Problem>> + Send;
}

/// The connection of one collection, from its first call to its last.
#[derive(Debug, Default)]
pub struct Lines<P> {
    protocol: P,
    /// `None`: not connected yet, or an exchange did not come to its end.
    wire: Option<Wire>,
}

impl<P: Protocol> Lines<P> {
    /// Makes the call `name`, with the first one on a new connection, and lets `judge` make of the
    /// answer what it is. `about` tells which of several calls of this name it is.
    ///
    /// # Errors
    /// Whatever kept the answer from coming, or what `judge` found in it.
    pub async fn ask<T>(
        &mut self,
        api: &Api,
        (name, about): (CallName, &str),
        request: &P::Request,
        judge: impl FnOnce(&Answer) -> Result<T, Fault>,
    ) -> Result<T, Failure> {
        let Self { protocol, wire } = self;
        let exchange = |tls| async move {
            let failed = |may_have_arrived| {
                move |problem: Problem| ApiError {
                    call: name,
                    fault: problem.fault,
                    detail: problem.detail,
                    may_have_arrived,
                }
            };
            // One that is given up here is closed: nobody could tell what of it belongs to which call.
            let mut connected = match wire.take() {
                Some(connected) => connected,
                None => {
                    let limit = api.host().connect_timeout;
                    let connected = within(limit, Wire::connect(api, tls), "no connection").await;
                    let mut new = connected.map_err(failed(false))?;
                    // It comes at once, or never: from a server that waits for TLS to begin, say.
                    let greeted = within(limit, protocol.greeted(&mut new), SILENT).await;
                    greeted.map_err(failed(false))?;
                    new
                }
            };
            connected.left = api.max_response_bytes();
            api.note_asked();
            let answer = protocol.exchange(&mut connected, request).await.map_err(failed(true))?;
            *wire = Some(connected);
            Ok(Answer::of_text(answer))
        };
        api.perform((name, about), |client| Ok(exchange(client.tls()?)), judge).await
    }

    /// Whether a further request can be sent on this connection.
    pub const fn is_open(&self) -> bool {
        self.wire.is_some()
    }
}

/// Why an exchange did not come to its end.
#[derive(Debug)]
pub struct Problem {
    fault: Fault,
    /// More about it in fixed words, never text from the peer.
    detail: Option<&'static str>,
}

impl Problem {
    /// A problem for `reason`, with more about it in fixed words.
    pub const fn new(reason: Reason, detail: &'static str) -> Self {
        Self { fault: Fault::new(reason), detail: Some(detail) }
    }

    fn of(error: &io::Error, has_shown_certificate: bool) -> Self {
        let (reason, detail) = of_io(error, has_shown_certificate);
        Self::new(reason, detail)
    }
}

impl From<Broken> for Problem {
    fn from(broken: Broken) -> Self {
        Self { fault: Fault::new(broken.reason), detail: broken.detail }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::of(&error, true)
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self { fault, detail: None }
    }
}

/// The settings for TLS, and the name that the certificate is to be for.
type Tls = (ClientConfig, ServerName<'static>);

/// A connection, and how much of an answer it may still bring.
pub struct Wire {
    stream: BufReader<Box<dyn Stream>>,
    left: usize,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Wire {
    /// A connection over `stream`, which may bring `left` bytes.
    fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
        left: usize,
    ) -> Self {
        Self { stream: BufReader::new(Box::new(stream)), left }
    }

    async fn connect(api: &Api, tls: Tls) -> Result<Self, Problem> {
        let host = api.host();
        let port = host.url.port().unwrap_or_default();
        let tcp = tcp(bare(&host.url), port, &host.peer, host.connect_timeout).await?;
        *host.peer.lock().unwrap_or_else(PoisonError::into_inner) = tcp.peer_addr().ok();
        let left = api.max_response_bytes();
        if host.url.scheme() != "tls" {
            return Ok(Self::over(tcp, left));
        }
        let certificates = host.peer_certificate.times();
        let (config, name) = tls;
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
        let has_shown_certificate = || host.peer_certificate.times() != certificates;
        let failed = |error: io::Error| Problem::of(&error, has_shown_certificate());
        Ok(Self::over(tls.map_err(failed)?, left))
    }

    /// Sends `text`.
    ///
    /// # Errors
    /// A connection that has ended.
    pub async fn send(&mut self, text: &[u8]) -> Result<(), Problem> {
        self.stream.write_all(text).await?;
        Ok(self.stream.flush().await?)
    }

    /// The next line, without its end.
    ///
    /// # Errors
    /// A connection that has ended, a line longer than the answer may be, or one that is not text.
    async fn line(&mut self) -> Result<Wiped, Problem> {
        let mut line = Wiped::default();
        loop {
            let part = self.stream.fill_buf().await?;
            if part.is_empty() {
                return Err(Problem::new(Reason::Connect, CUT));
            }
            let end = part.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(part.len(), |at| at + 1);
            if length > self.left {
                return Err(Fault::new(Reason::TooLarge).into());
            }
            line.extend(&part[..end.unwrap_or(length)]);
            self.left -= length;
            self.stream.consume(length);
            if end.is_none() {
                continue;
            }
            if line.contains(&0) {
                return Err(Problem::new(Reason::Decode, "not text"));
            }
            return Ok(line);
        }
    }

    /// The next line as text, without blanks around it; what is not UTF-8 in it is replaced.
    ///
    /// # Errors
    /// A connection that has ended, a line longer than the answer may be, or one that is not text.
    pub async fn text(&mut self) -> Result<String, Problem> {
        let line = self.line().await?;
        Ok(String::from_utf8_lossy(&line).trim().to_owned())
    }

    /// The next lines of the form `Key: Value`, up to an empty one. Empty ones before them do not
    /// count.
    ///
    /// # Errors
    /// A connection that has ended, more than the answer may have, or a line of another form.
    pub async fn block(&mut self) -> Result<Block, Problem> {
        let mut block = Wiped::default();
        loop {
            let line = self.line().await?;
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            match (line.is_empty(), block.is_empty()) {
                (true, true) => {}
                (true, false) => return Ok(Block(block)),
                (false, _) if !line.contains(&b':') => {
                    return Err(Problem::new(Reason::Decode, "not a line of the protocol"));
                }
                (false, _) => {
                    block.extend(line);
                    block.extend(b"\n");
                }
            }
        }
    }

    /// The next `length` bytes, whatever they are.
    ///
    /// # Errors
    /// A connection that has ended, or more bytes than the answer may have.
    pub async fn bytes(&mut self, length: usize) -> Result<Wiped, Problem> {
        if length > self.left {
            return Err(Fault::new(Reason::TooLarge).into());
        }
        self.left -= length;
        let mut bytes = Wiped::default();
        while bytes.len() < length {
            let part = self.stream.fill_buf().await?;
            if part.is_empty() {
                return Err(Problem::new(Reason::Connect, CUT));
            }
            let part = &part[..part.len().min(length - bytes.len())];
            bytes.extend(part);
            let used = part.len();
            self.stream.consume(used);
        }
        Ok(bytes)
    }
}

/// Lines of the form `Key: Value`.
pub struct Block(Wiped);

impl Block {
    /// The value of `key`, if it is there, without blanks around it; what is not UTF-8 in it is replaced.
    pub fn value(&self, key: &str) -> Option<Cow<'_, str>> {
        let mut fields = self.fields();
        let (_, value) = fields.find(|(known, _)| *known == key.as_bytes())?;
        Some(String::from_utf8_lossy(value.trim_ascii()))
    }

    /// Appends the lines to `json`, as an object whose values are texts. Blanks around a value stay: they
    /// may be part of a name.
    pub fn write_to(&self, json: &mut Wiped) {
        for (at, (key, value)) in self.fields().enumerate() {
            json.extend(if at == 0 { b"{" } else { b"," });
            json.append(&String::from_utf8_lossy(key));
            json.extend(b":");
            json.append(&String::from_utf8_lossy(value));
        }
        json.extend(b"}");
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.split(|byte| *byte == b'\n').filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let value = &line[colon + 1..];
            // The first blank belongs to the form.
            Some((line[..colon].trim_ascii(), value.strip_prefix(b" ").unwrap_or(value)))
        })
    }
}

/// What comes of `step`, or, if it takes longer than `limit`, a problem with `late` as its words.
async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, Problem>>,
    late: &'static str,
) -> Result<T, Problem> {
    timeout(limit, step).await.unwrap_or_else(|_| Err(Problem::new(Reason::Timeout, late)))
}
