// SPDX-License-Identifier: Apache-2.0
//! How one host is reached: through which proxy, with which settings of the HTTP client.

use std::{
    net::{self, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::{redirect::Policy, retry};
use rustls::{
    ClientConfig,
    pki_types::{IpAddr, ServerName},
};
use secrecy::ExposeSecret;
use tokio::time::Instant;
use url::Url;

use super::{
    client::ClientError,
    connections::{Connections, Lease, MAX_CONNECTION_AGE},
    proxy::{Environment, Proxy, Route},
    resolver::{Peer, Resolver},
    tls::{self, PeerCertificate},
};
use crate::config::{ProxyUrl, Source};

/// How long TLS sessions are resumed. The server shows no certificate when it resumes one, and many
/// keep doing so after their certificate was replaced, which would never be noticed.
const MAX_SESSIONS_AGE: Duration = Duration::from_secs(60 * 60);

/// A host, or a host behind a proxy, and the connections to it. Sources of the same host with the
/// same settings share them.
pub(super) struct Host {
    /// The address of one of its sources.
    pub(super) url: Url,
    /// `tls.server_name`.
    server_name: Option<String>,
    /// The same if it is a name. An address is verified, but not announced: TLS announces names only.
    announced: Option<String>,
    /// The proxy before it.
    pub(super) proxy: Option<Proxy>,
    /// The address that last answered.
    pub(super) peer: Peer,
    /// The certificate it showed last.
    pub(super) peer_certificate: Arc<PeerCertificate>,
    proxy_url: Option<ProxyUrl>,
    /// How long to wait for a connection, with all addresses of the host together.
    pub(super) connect_timeout: Duration,
    /// Connections kept for the next request.
    most_idle: AtomicUsize,
    connections: Connections,
    /// They outlive the connections, because sessions are resumed only with the same ones.
    tls: Mutex<Option<TlsConfig>>,
}

/// TLS settings for one host.
struct TlsConfig {
    config: ClientConfig,
    /// What they were made of.
    fingerprint: [u8; 32],
    since: Instant,
}

impl Host {
    /// The host of `source`.
    pub(super) fn new(source: &Source, environment: &Environment) -> Self {
        let server_name = source.tls.server_name.clone();
        Self {
            url: source.base_url.clone(),
            announced: server_name.clone().filter(|name| name.parse::<net::IpAddr>().is_err()),
            server_name,
            proxy: Proxy::of(source, environment),
            peer: Peer::default(),
            peer_certificate: Arc::default(),
            proxy_url: source.proxy_url.clone(),
            connect_timeout: connect_timeout(source),
            most_idle: AtomicUsize::new(0),
            connections: Connections::default(),
            tls: Mutex::default(),
        }
    }

    /// Keeps so many connections for the next requests, from its next client on.
    pub(super) fn keep(&self, connections: usize) {
        self.most_idle.store(connections, Ordering::Relaxed);
    }

    /// What the URLs of requests below `api_path` of `base` begin with. The name to announce stands for
    /// the host in them.
    pub(super) fn root(&self, base: &Url, api_path: &str) -> Url {
        let mut root = base.clone();
        if let Some(host) = &self.announced {
            // An unusable name was refused with the configuration.
            let _ = root.set_host(Some(host));
        }
        root.set_path(&below(base, api_path));
        root
    }

    /// The `Host` header to send, where URLs do not have the configured host.
    pub(super) fn header(&self) -> Option<String> {
        self.announced.as_ref()?;
        let host = self.url.host_str()?;
        Some(match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        })
    }

    /// How requests come to it.
    pub(super) fn route(&self) -> Route {
        self.proxy.as_ref().map_or(Route::Direct, |proxy| proxy.route)
    }

    /// The client for a request, with the settings `tls` that `fingerprint` stands for.
    ///
    /// # Errors
    /// Settings the HTTP client refuses.
    pub(super) fn lease(
        &self,
        tls: &tls::Settings,
        fingerprint: [u8; 32],
    ) -> Result<Lease, ClientError> {
        self.connections.lease(fingerprint, || self.client(tls, fingerprint))
    }

    /// The client for the same request once more, on a new connection.
    ///
    /// # Errors
    /// Settings the HTTP client refuses.
    pub(super) fn lease_anew(
        &self,
        lease: &Lease,
        tls: &tls::Settings,
        fingerprint: [u8; 32],
    ) -> Result<Lease, ClientError> {
        self.connections.lease_anew(lease, fingerprint, || self.client(tls, fingerprint))
    }

    /// Notes that an answer came over the connection from the address `local`.
    pub(super) fn answered(&self, lease: &Lease, local: Option<SocketAddr>) {
        self.connections.answered(lease, local);
    }

    /// Notes that a request waited for an answer in vain.
    pub(super) fn note_unanswered(&self, lease: &Lease) {
        self.connections.note_unanswered(lease);
    }

    /// The settings for TLS, and the name that the certificate is to be for, where HTTP is not spoken.
    pub(super) fn tls_without_http(
        &self,
        settings: &tls::Settings,
        fingerprint: [u8; 32],
    ) -> (ClientConfig, ServerName<'static>) {
        let mut config = self.tls(settings, fingerprint);
        config.alpn_protocols.clear();
        (config, self.certified_name())
    }

    fn client(
        &self,
        tls: &tls::Settings,
        fingerprint: [u8; 32],
    ) -> Result<reqwest::Client, ClientError> {
        // Half of the time for a connection is left for its answer to a ping.
        let silence = self.connect_timeout / 2;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(self.connect_timeout)
            // Redirects would carry tokens in headers and queries to another origin.
            .redirect(Policy::none())
            .referer(false)
            // `exchange.rs` knows which requests may be sent again.
            .retry(retry::never().max_retries_per_request(0))
            .tcp_nodelay(true)
            // As in the vendors' samples: not every embedded server treats header names as
            // case-insensitive.
            .http1_title_case_headers()
            // Nor does every one of them write headers as it should.
            .http1_ignore_invalid_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            // All requests to a host share one connection of HTTP/2: one that went silent would fail
            // them all.
            .http2_keep_alive_interval(silence)
            .http2_keep_alive_timeout(silence)
            .pool_idle_timeout(MAX_CONNECTION_AGE)
            .pool_max_idle_per_host(self.most_idle.load(Ordering::Relaxed))
            .tls_backend_preconfigured(self.tls(tls, fingerprint))
            .dns_resolver(Arc::new(Resolver {
                host: self.announced.as_ref().map(|_| bare(&self.url).to_owned()),
                peer: Arc::clone(&self.peer),
                connect_timeout: self.connect_timeout,
            }));
        match (&self.proxy, &self.proxy_url) {
            (None, _) => builder = builder.no_proxy(),
            (Some(_), Some(url)) => {
                let proxy = reqwest::Proxy::all(url.0.expose_secret());
                builder = builder.proxy(proxy.map_err(|_| ClientError::Proxy)?);
            }
            // The client finds the same one in the environment.
            (Some(_), None) => {}
        }
        builder.build().map_err(|_| ClientError::Library)
    }

    fn tls(&self, settings: &tls::Settings, fingerprint: [u8; 32]) -> ClientConfig {
        let mut current = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |known: &TlsConfig| {
            known.fingerprint == fingerprint && known.since.elapsed() < MAX_SESSIONS_AGE
        };
        if let Some(known) = current.as_ref().filter(|known| is_good(known)) {
            return known.config.clone();
        }
        let has_own_name = self.server_name.is_some();
        let mut config =
            settings.for_host(self.certified_name(), has_own_name, &self.peer_certificate);
        // With an announced name, the URL and the `Host` header differ. HTTP/2 sends both, and servers
        // refuse that.
        if self.announced.is_none() {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config.alpn_protocols.push(b"http/1.1".to_vec());
        *current = Some(TlsConfig { config: config.clone(), fingerprint, since: Instant::now() });
        config
    }

    /// The name that its certificate is to be for.
    fn certified_name(&self) -> ServerName<'static> {
        let name = self.server_name.as_deref().unwrap_or(bare(&self.url)).to_owned();
        // A host that is no name for TLS fails with its first connection.
        ServerName::try_from(name).unwrap_or(ServerName::IpAddress(IpAddr::V4([0; 4].into())))
    }
}

/// How long to wait for a connection: half of the time for a collection. What then failed is known
/// to have sent nothing, which matters for logins, and a second address of the host still has a
/// chance.
fn connect_timeout(source: &Source) -> Duration {
    source.timeout / 2
}

/// The path that `path` is below the one of `url`.
pub(super) fn below(url: &Url, path: &str) -> String {
    [url.path().trim_end_matches('/'), path].concat()
}

/// The host of `url` as a resolver wants it.
pub(super) fn bare(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_matches(['[', ']'])
}
