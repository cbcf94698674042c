// SPDX-License-Identifier: Apache-2.0
//! The recorded requests, for tests that check how the exporter asks.

use std::collections::VecDeque;
use std::time::SystemTime;

/// One recorded request.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it arrived.
    pub at: SystemTime,
    /// The name of the call, as in [`crate::Vendor::calls`]; `other` for anything else.
    pub call: &'static str,
    /// The HTTP method; empty for text protocols.
    pub method: String,
    /// The path without the instance's prefix; empty for text protocols.
    pub path: String,
    /// The decoded query parameters in their order.
    pub query: Vec<(String, String)>,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, bytes that are not UTF-8 replaced; the whole message of a text protocol.
    pub body: String,
    /// Not one of the read calls the exporter may use, or one used so that it writes.
    pub forbidden: bool,
    /// The HTTP status sent; 0 if no answer was begun. Of a text protocol, 200 if one was.
    pub status: u16,
}

impl Request {
    /// The first query parameter of that name.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first header of that name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The newest requests of an instance.
///
/// A request is recorded when it arrives and completed when it has been judged: a test that waits for a request to
/// be under way must see it before its answer is decided.
pub(crate) struct Recorded {
    requests: VecDeque<(u64, Request)>,
    limit: usize,
    next: u64,
}

impl Recorded {
    pub(crate) fn new(limit: usize) -> Self {
        Self { requests: VecDeque::new(), limit, next: 0 }
    }

    /// Records a request that has arrived; its number is for [`Recorded::complete`].
    pub(crate) fn begin(&mut self, request: Request) -> u64 {
        if self.requests.len() >= self.limit {
            self.requests.pop_front();
        }
        self.next += 1;
        self.requests.push_back((self.next, request));
        self.next
    }

    /// Adds what is known once the request has been judged, unless it has been forgotten meanwhile.
    pub(crate) fn complete(&mut self, number: u64, forbidden: bool, status: u16) {
        if let Some((_, request)) = self.requests.iter_mut().rev().find(|(n, _)| *n == number) {
            request.forbidden |= forbidden;
            request.status = status;
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.iter().map(|(_, request)| request.clone()).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.requests.clear();
    }
}
