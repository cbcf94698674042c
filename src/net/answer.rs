// SPDX-License-Identifier: Apache-2.0
//! A whole answer, and what its HTTP status means.

use hyper::{StatusCode, header::HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Consequence, Fault,
    json::{self, Body},
    retry_after,
    throttle::http_date,
    wiped::Wiped,
};
use crate::model::Reason;

/// A whole answer. Its text is wiped when it is dropped: logins answer with tokens.
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    pub(super) content_type: Option<HeaderValue>,
    pub(super) retry_after: Option<String>,
    pub(super) date: Option<HeaderValue>,
    pub(super) body: Body,
}

impl Answer {
    /// An answer that came without HTTP.
    pub(super) fn of_text(body: Wiped) -> Self {
        let body = json::readable(body);
        let status = StatusCode::OK;
        Self { status, content_type: None, retry_after: None, date: None, body }
    }

    /// Decodes the answer.
    ///
    /// # Errors
    /// [`Reason::Decode`] for anything but a JSON object of the expected shape.
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Fault> {
        self.body.decode().ok_or(Fault::new(Reason::Decode))
    }

    /// The answer's `Content-Type`, if it is text.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_ref()?.to_str().ok()
    }

    /// The answer's raw bytes, for what is not JSON.
    pub fn bytes(&self) -> &[u8] {
        self.body.bytes()
    }

    /// What an HTTP status that is not a success means where the body has nothing documented to
    /// say about it.
    ///
    /// # Errors
    /// Any status but 2xx.
    pub fn check_status(&self) -> Result<(), Fault> {
        let status = self.status;
        if status.is_success() {
            return Ok(());
        }
        let reason = match status.as_u16() {
            401 => return Err(Fault::new(Reason::Auth).then(Consequence::RenewToken)),
            403 => {
                let fault = Fault::new(Reason::Forbidden).with_code(status.as_str());
                return Err(fault.then(Consequence::DoubtToken));
            }
            429 => {
                return Err(Fault::new(Reason::RateLimited).then(self.pause()));
            }
            400..=499 => Reason::Http4xx,
            500..=599 => Reason::Http5xx,
            _ => Reason::Vendor,
        };
        Err(Fault::new(reason).with_code(status.as_str()))
    }

    /// Whether the fault of an answer's status says what the answer means, and not that of its
    /// body: of the two, the reason that comes first in the documentation's table.
    pub fn overrules(status: &Fault, body: &Fault) -> bool {
        let says = |reasons: &[Reason]| reasons.contains(&status.reason);
        (body.reason == Reason::Vendor
            && says(&[Reason::Auth, Reason::RateLimited, Reason::Forbidden]))
            || (body.reason == Reason::Forbidden && says(&[Reason::Auth, Reason::RateLimited]))
    }

    /// The pause this answer asks for.
    pub fn pause(&self) -> Consequence {
        Consequence::HoldRequests(retry_after(self.retry_after.as_deref(), self.sent_at()))
    }

    /// When the answer was sent, for comparison with times in it: by its `Date`, on the clock that made
    /// these too. A PBX without a source of the time, or with the wrong time zone, is hours away from
    /// ours. Without one, now.
    pub fn sent_at(&self) -> Timestamp {
        let date = self.date.as_ref().and_then(|date| http_date(date.to_str().ok()?));
        date.unwrap_or_else(Timestamp::now)
    }
}
