// SPDX-License-Identifier: Apache-2.0
//! Which proxy stands between the exporter and a system, and what it answers.

use std::{env, net::IpAddr};

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use url::Url;

use crate::config::Source;

/// Longest status line that is read of a proxy.
const LONGEST_LINE: u64 = 1024;

/// How requests come to a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Without a proxy.
    Direct,
    /// An HTTP proxy reads and forwards them.
    Forwarded,
    /// An HTTP proxy opens a connection to the system, and what goes over it is TLS.
    Tunnelled,
    /// A SOCKS proxy opens a connection to the system.
    Socks,
}

/// The proxy before a system.
#[derive(Clone)]
pub(super) struct Proxy {
    intercept: Intercept,
    /// How requests come to the system.
    pub(super) route: Route,
}

impl Proxy {
    /// The proxy for `source`: that of its `proxy_url`, else that of the environment. With
    /// `tls.server_name` only the former: the latter would be asked for the announced name instead
    /// of the real host.
    pub(super) fn of(source: &Source, environment: &Environment) -> Option<Self> {
        let url = &source.base_url;
        let intercept = match &source.proxy_url {
            Some(proxy) => {
                let configured = Matcher::builder().all(proxy.0.expose_secret()).build();
                configured.intercept(&url.as_str().parse().ok()?)
            }
            None if source.tls.server_name.is_some() => None,
            None => environment.proxy_for(url),
        }?;
        let route = match intercept.uri().scheme_str() {
            Some("http" | "https") if url.scheme() == "https" => Route::Tunnelled,
            Some("http" | "https") => Route::Forwarded,
            _ => Route::Socks,
        };
        Some(Self { intercept, route })
    }

    /// Whether the proxy itself is reached by TLS.
    pub(super) fn has_tls(&self) -> bool {
        self.intercept.uri().scheme_str() == Some("https")
    }

    /// The HTTP status with which the proxy refuses a connection to `url`: it is asked once more,
    /// because the HTTP client does not tell. `None`: it cannot be found out, or the connection is
    /// not refused any more.
    pub(super) async fn refusal(&self, url: &Url) -> Option<StatusCode> {
        let proxy = self.intercept.uri();
        if self.has_tls() {
            return None;
        }
        let port = proxy.port_u16().unwrap_or(80);
        let mut connection =
            TcpStream::connect((proxy.host()?.trim_matches(['[', ']']), port)).await.ok()?;
        let target = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(credentials) = self.intercept.basic_auth() {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(credentials.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        connection.write_all(&request).await.ok()?;
        status(connection).await.filter(|status| !status.is_success())
    }
}

/// The status of the answer that begins `stream`.
async fn status(stream: TcpStream) -> Option<StatusCode> {
    let mut line = Vec::with_capacity(64);
    let mut stream = stream.take(LONGEST_LINE);
    while !line.contains(&b'\n') {
        if stream.read_buf(&mut line).await.ok()? == 0 {
            return None;
        }
    }
    let status = line.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    StatusCode::from_bytes(status).ok()
}

/// The proxies that the environment of the process names.
pub(super) struct Environment {
    proxies: Matcher,
    /// `NO_PROXY`.
    without: String,
}

impl Environment {
    /// What the process was started with.
    pub(super) fn read() -> Self {
        let without = ["NO_PROXY", "no_proxy"].iter().find_map(|name| env::var(name).ok());
        Self { proxies: Matcher::from_system(), without: without.unwrap_or_default() }
    }

    fn proxy_for(&self, url: &Url) -> Option<Intercept> {
        let uri = url.as_str().parse().ok()?;
        let proxy = self.proxies.intercept(&uri)?;
        // The client's own matcher knows neither `*` for addresses nor `*.` before a name nor ports nor
        // brackets.
        let port = url.port_or_known_default();
        let mut without = Vec::new();
        for entry in self.without.split(',').map(str::trim) {
            if entry == "*" {
                return None;
            }
            // An IPv6 address has colons of its own.
            let has_port = entry.parse::<IpAddr>().is_err() && !entry.ends_with(']');
            let (host, is_for_port) = match entry.rsplit_once(':') {
                Some((host, digits)) if has_port => (host, digits.parse().ok() == port),
                _ => (entry, true),
            };
            if is_for_port {
                let host =
                    host.strip_prefix('*').filter(|name| name.starts_with('.')).unwrap_or(host);
                without.push(host.trim_matches(['[', ']']));
            }
        }
        let matched = Matcher::builder().all("http://proxy.invalid").no(without.join(",")).build();
        matched.intercept(&uri).map(|_| proxy)
    }
}
