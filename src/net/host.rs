// SPDX-License-Identifier: Apache-2.0
//! How one host is reached: through which proxy, with which settings of TLS, over which connections.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    ClientConfig,
    pki_types::{IpAddr, ServerName},
};
use tokio::time::Instant;
use url::Url;

use super::{
    connections::Connections,
    proxy::{Environment, Proxy, Route},
    resolver::Peer,
    tls::{self, PeerCertificate},
};
use crate::config::Source;

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
    /// The proxy before it.
    pub(super) proxy: Option<Proxy>,
    /// The address that last answered.
    pub(super) peer: Peer,
    /// The certificate it showed last.
    pub(super) peer_certificate: Arc<PeerCertificate>,
    /// How long to wait for a connection, with all addresses of the host together.
    pub(super) connect_timeout: Duration,
    pub(super) connections: Connections,
    /// They outlive the connections, because sessions are resumed only with the same ones.
    tls: Mutex<Option<TlsConfig>>,
}

/// TLS settings for one host.
struct TlsConfig {
    config: Arc<ClientConfig>,
    /// What they were made of.
    fingerprint: [u8; 32],
    since: Instant,
}

impl Host {
    /// The host of `source`.
    pub(super) fn new(source: &Source, environment: &Environment) -> Self {
        Self {
            url: source.base_url.clone(),
            server_name: source.tls.server_name.clone(),
            proxy: Proxy::of(source, environment),
            peer: Peer::default(),
            peer_certificate: Arc::default(),
            connect_timeout: connect_timeout(source),
            connections: Connections::default(),
            tls: Mutex::default(),
        }
    }

    /// How requests come to it.
    pub(super) fn route(&self) -> Route {
        self.proxy.as_ref().map_or(Route::Direct, |proxy| proxy.route)
    }

    /// The settings for TLS, and the name that the certificate is to be for, where HTTP is not spoken.
    pub(super) fn tls_without_http(
        &self,
        settings: &tls::Settings,
        fingerprint: [u8; 32],
    ) -> (ClientConfig, ServerName<'static>) {
        let mut config = ClientConfig::clone(&self.tls(settings, fingerprint));
        config.alpn_protocols.clear();
        (config, self.certified_name())
    }

    /// The settings for TLS, which `fingerprint` stands for.
    pub(super) fn tls(&self, settings: &tls::Settings, fingerprint: [u8; 32]) -> Arc<ClientConfig> {
        let mut current = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |known: &TlsConfig| {
            known.fingerprint == fingerprint && known.since.elapsed() < MAX_SESSIONS_AGE
        };
        if let Some(known) = current.as_ref().filter(|known| is_good(known)) {
            return Arc::clone(&known.config);
        }
        let mut config = settings.for_host(self.certified_name(), &self.peer_certificate);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let known = TlsConfig { config: Arc::clone(&config), fingerprint, since: Instant::now() };
        *current = Some(known);
        config
    }

    /// The name that its certificate is to be for.
    pub(super) fn certified_name(&self) -> ServerName<'static> {
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
