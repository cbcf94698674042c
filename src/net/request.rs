// SPDX-License-Identifier: Apache-2.0
//! Calls as requests in HTTP.

use http_body_util::Full;
use hyper::{
    Request, Uri,
    body::Bytes,
    header::{
        ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION,
        USER_AGENT,
    },
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::{Position, form_urlencoded::Serializer};

use super::{
    Call,
    broken::Broken,
    host::{Host, below},
    proxy::{Proxy, Route},
};
use crate::{config::Source, model::Reason};

/// `User-Agent` for systems that do not demand another one.
const OWN_NAME: &str = concat!("conferencing_exporter/", env!("CARGO_PKG_VERSION"));

/// What bodies are, unless a system wants another name for it.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// What a path cannot hold as it is, as the URL standard has it. The systems' modules escape what they put into one.
const NO_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What the requests to a source have in common, written once.
pub(super) struct Requests {
    /// Scheme, host and port, as a proxy is told and HTTP/2 has them.
    origin: String,
    /// Whether a proxy forwards the requests.
    are_forwarded: bool,
    /// What the paths begin with.
    root: String,
    /// Of HTTP/1. `Host` has the port where it is not the usual one.
    headers: HeaderMap,
    /// The same, of a request with a body.
    headers_with_body: HeaderMap,
}

impl Requests {
    /// Those to `source` at `host`.
    pub(super) fn new(source: &Source, host: &Host) -> Self {
        let are_forwarded = host.route() == Route::Forwarded;
        let user_agent = source.profile.user_agent.unwrap_or(OWN_NAME);
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(USER_AGENT, HeaderValue::from_static(user_agent));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        if are_forwarded
            && let Some(credentials) = host.proxy.as_ref().and_then(Proxy::authorization)
        {
            headers.insert(PROXY_AUTHORIZATION, credentials.clone());
        }
        let url = &source.base_url;
        let name = &url[Position::BeforeHost..Position::AfterPort];
        // A URL has nothing there that a header could not hold.
        let name = HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static(""));
        headers.insert(HOST, name);
        let mut headers_with_body = headers.clone();
        headers_with_body.insert(CONTENT_TYPE, JSON);
        Self {
            origin: url.origin().ascii_serialization(),
            are_forwarded,
            root: below(url, &source.api_path),
            headers,
            headers_with_body,
        }
    }

    /// The request for `call`.
    ///
    /// # Errors
    /// An address that is too long.
    pub(super) fn of(&self, call: &Call, is_http2: bool) -> Result<Request<Full<Bytes>>, Broken> {
        let mut target = String::with_capacity(128);
        if is_http2 || self.are_forwarded {
            target.push_str(&self.origin);
        }
        target.push_str(&self.root);
        target.extend(utf8_percent_encode(&call.path, NO_PATH));
        if self.root.is_empty() && call.path.is_empty() {
            target.push('/');
        }
        if !call.query.is_empty() {
            target.push('?');
            let length = target.len();
            let mut query = Serializer::for_suffix(target, length);
            target = query.extend_pairs(&call.query).finish();
        }
        let (headers, body) = match &call.body {
            None => (&self.headers, Bytes::new()),
            Some(body) => (&self.headers_with_body, Bytes::from(body.to_vec())),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = Uri::try_from(target).map_err(|_| Broken::answered(Reason::Vendor))?;
        *request.headers_mut() = headers.clone();
        // HTTP/2 has the host in the address.
        if is_http2 {
            request.headers_mut().remove(HOST);
        }
        for (name, value) in &call.headers {
            request.headers_mut().insert(name, value.clone());
        }
        Ok(request)
    }
}
