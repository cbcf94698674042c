// SPDX-License-Identifier: Apache-2.0
//! One request to be sent, as the module of a system describes it.

use std::borrow::Cow;

use hyper::{
    Method,
    header::{HeaderName, HeaderValue},
};
use serde::Serialize;

use super::wiped::Wiped;
use crate::model::CallName;

/// One request to be sent.
pub struct Call {
    pub(super) name: CallName,
    pub(super) about: String,
    pub(super) method: Method,
    pub(super) path: Cow<'static, str>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Option<Wiped>,
}

impl Call {
    /// A GET of `path` below the source's API path.
    pub fn get(name: CallName, path: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, Method::GET, path)
    }

    /// A POST without a body.
    pub fn post(name: CallName, path: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, Method::POST, path)
    }

    /// A DELETE, only ever of the exporter's own token.
    pub fn delete(name: CallName, path: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, Method::DELETE, path)
    }

    fn new(name: CallName, method: Method, path: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name,
            about: String::new(),
            method,
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// Says which of several calls of this name it is, by the one meeting or room it is about:
    /// their answers come in any order, and a recording must tell them apart.
    #[must_use]
    pub fn about(mut self, id: impl ToString) -> Self {
        self.about = id.to_string();
        self
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// Adds a header whose value is not shown by anything that prints requests. A value no header
    /// can carry is left out: the vendor then says what is missing.
    #[must_use]
    pub fn secret_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    /// Adds a header with a fixed value.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
        self
    }

    /// Sets a JSON body. Its type is said to be JSON in UTF-8, unless a header says something else.
    #[must_use]
    pub fn json(mut self, body: &impl Serialize) -> Self {
        let mut written = Wiped::default();
        // Bodies are of texts and numbers, which can all be written.
        let _ = serde_json::to_writer(&mut written, body);
        self.body = Some(written);
        self
    }
}
