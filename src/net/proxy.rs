// SPDX-License-Identifier: Apache-2.0
//! Which proxy stands between the exporter and a system, and what it answers.

use std::{env, net::IpAddr};

use hyper::{StatusCode, header::HeaderValue};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use memchr::memmem;
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

use super::{
    broken::{Broken, NOT_CONNECTING},
    connect::Stream,
};
use crate::config::Source;

/// Longest answer of a proxy that is asked to connect to a system, in bytes.
const LONGEST_ANSWER: usize = 8 * 1024;

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

    /// Its name or address.
    pub(super) fn host(&self) -> &str {
        self.intercept.uri().host().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// Its port.
    pub(super) fn port(&self) -> u16 {
        let uri = self.intercept.uri();
        uri.port_u16().unwrap_or(match uri.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            _ => 1080,
        })
    }

    /// What a proxy that speaks HTTP is shown for `user:password`.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.intercept.basic_auth()
    }

    /// The user and the password for a SOCKS proxy.
    pub(super) fn credentials(&self) -> Option<(&str, &str)> {
        self.intercept.raw_auth()
    }

    /// Whether it speaks version 4 of SOCKS.
    pub(super) fn is_socks_4(&self) -> bool {
        matches!(self.intercept.uri().scheme_str(), Some("socks4" | "socks4a"))
    }

    /// Whether a SOCKS proxy is told the name of the host, and looks it up itself.
    pub(super) fn looks_names_up(&self) -> bool {
        matches!(self.intercept.uri().scheme_str(), Some("socks4a" | "socks5h"))
    }
}

/// Asks `proxy`, to which `stream` leads, for a connection to `target`.
///
/// # Errors
/// It does not connect, or is no HTTP proxy.
pub(super) async fn open_tunnel(
    proxy: &Proxy,
    stream: &mut impl Stream,
    target: &str,
) -> Result<(), Broken> {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(credentials) = proxy.authorization() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(credentials.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let at_proxy = |error| Broken { at_proxy: true, ..Broken::not_connected(&error, true) };
    stream.write_all(&request).await.map_err(at_proxy)?;
    stream.flush().await.map_err(at_proxy)?;
    let mut answer = Vec::with_capacity(256);
    // A refusal may have a page for people behind it; the system says nothing before it is asked.
    while memmem::find(&answer, b"\r\n\r\n").is_none() {
        if answer.len() >= LONGEST_ANSWER {
            return Err(Broken::refused_tunnel(None, NO_PROXY));
        }
        if stream.read_buf(&mut answer).await.map_err(at_proxy)? == 0 {
            break;
        }
    }
    match status(&answer) {
        Some(status) if status.is_success() => Ok(()),
        Some(status) => Err(Broken::refused_tunnel(Some(status), NOT_CONNECTING)),
        None if answer.is_empty() => Err(Broken::refused_tunnel(None, "it closed the connection")),
        None => Err(Broken::refused_tunnel(None, NO_PROXY)),
    }
}

const NO_PROXY: &str = "it is no HTTP proxy";

/// The status of an answer in HTTP/1.
fn status(answer: &[u8]) -> Option<StatusCode> {
    StatusCode::from_bytes(answer.strip_prefix(b"HTTP/1.")?.get(2..5)?).ok()
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
