// SPDX-License-Identifier: Apache-2.0
//! A request as a system sees it, and its answer.

use crate::fault::JSON;
use crate::instance::unix;
use hyper::body::Bytes;
use hyper::{HeaderMap, Method};
use serde_json::Value;
use std::time::{Instant, SystemTime};

/// An HTTP request as a system sees it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path without the instance's prefix.
    pub path: String,
    /// The decoded query parameters in their order.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When it arrived, to compare with lifetimes.
    pub now: Instant,
    /// The same by the wall clock.
    pub wall: SystemTime,
}

impl Call {
    /// The first query parameter of that name.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as a JSON object; `None` if it is none or is not announced as JSON.
    pub fn json(&self) -> Option<Value> {
        let kind = self.header("content-type")?.to_ascii_lowercase();
        let value: Value = kind
            .starts_with("application/json")
            .then(|| serde_json::from_slice(&self.body).ok())??;
        value.is_object().then_some(value)
    }

    /// When it arrived, in seconds since 1970.
    pub fn unix(&self) -> i64 {
        unix(self.wall)
    }
}

/// A system's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status; text protocols have none and leave it at 200.
    pub status: u16,
    /// The `Content-Type`; text protocols have none.
    pub kind: &'static str,
    /// The body, or the whole message of a text protocol.
    pub body: Bytes,
    /// The call wrote something, or would have: the exporter must never make it.
    pub forbidden: bool,
    /// A text protocol's connection ends after this answer.
    pub hang_up: bool,
}

impl Answer {
    /// This HTTP status with this JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, ..Self::bytes(body.to_string()) }
    }

    /// HTTP 200 with this JSON.
    pub fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }

    /// HTTP 200 with this text, announced as JSON; or a message of a text protocol.
    pub fn bytes(body: impl Into<Bytes>) -> Self {
        Self { status: 200, kind: JSON, body: body.into(), forbidden: false, hang_up: false }
    }

    /// The same, announced as this `Content-Type`.
    #[must_use]
    pub fn announced(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    /// The same, after which a text protocol's connection ends.
    #[must_use]
    pub fn then_hang_up(self) -> Self {
        Self { hang_up: true, ..self }
    }
}
