// SPDX-License-Identifier: Apache-2.0
//! Clients: settings for TLS, one for all sources with equal ones, so that a root store is parsed once
//! and not for each source; and the host of each source, with its connections.
//!
//! A client follows the certificate files of its settings. While they cannot be used, or the
//! machine has no root certificates, the sources that need them fail and all others do not notice.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{ClientConfig, pki_types::ServerName};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tokio::{sync::Mutex, task::spawn_blocking, time::Instant};
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::{
    connections::ConnectionSettings,
    host::Host,
    proxy::{Environment, Proxy},
    tls::{self, Accept, Identity},
};
use crate::{
    config::{ProxyUrl, Source, Tls, io_reason},
    files::Stamp,
    limits, pem,
};

/// Why no request can be sent to a source.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A PEM file cannot be read.
    #[error("cannot read {}: {}", path.display(), io_reason(source))]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A PEM file does not hold what it should.
    #[error("{} {problem}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is nothing to verify certificates with.
    #[error("this machine has no root certificates")]
    NoRoots,
    /// The TLS library refused the client certificate.
    #[error("the client certificate and its key cannot be used")]
    Identity,
}

/// The client of a source.
#[derive(Clone)]
pub struct SharedClient {
    client: Arc<Client>,
    host: Arc<Host>,
}

impl SharedClient {
    /// The settings for connections, made of the files as they were when they were last looked at.
    ///
    /// # Errors
    /// Certificates or keys that cannot be read or used, or no root certificates.
    pub(super) fn settings(&self) -> Result<ConnectionSettings, Arc<ClientError>> {
        let built = self.client.built.load();
        let tls = built.tls.as_ref().map_err(Arc::clone)?;
        let fingerprint = built.fingerprint;
        Ok(ConnectionSettings { tls: self.host.tls(tls, fingerprint), fingerprint })
    }

    /// The settings for TLS, and the name that the certificate is to be for, where HTTP is not spoken.
    ///
    /// # Errors
    /// As those of [`settings`](Self::settings).
    pub(super) fn tls(&self) -> Result<(ClientConfig, ServerName<'static>), Arc<ClientError>> {
        let built = self.client.built.load();
        let tls = built.tls.as_ref().map_err(Arc::clone)?;
        Ok(self.host.tls_without_http(tls, built.fingerprint))
    }

    /// How the host is reached.
    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// Equal for equal settings and equal contents of the certificate files.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.client.built.load().fingerprint
    }

    /// Looks at the certificate files, and uses them from now on if they have changed. Files that
    /// have become unusable are not used; what was in use before stays in use. A file that cannot be
    /// read to its end keeps one thread waiting, however many sources name it.
    pub async fn follow(&self) {
        let client = &self.client;
        if client.settings.files().next().is_none() && client.built.load().tls.is_ok() {
            return;
        }
        let asked = Instant::now();
        let mut looked = Arc::clone(&client.looked).lock_owned().await;
        // Another source, which waited for the same turn, has looked since.
        if looked.is_some_and(|looked| looked >= asked) {
            return;
        }
        *looked = Some(Instant::now());
        let client = Arc::clone(client);
        let look = spawn_blocking(move || {
            client.look();
            drop(looked);
        });
        // It fails only when the process ends.
        let _ = look.await;
    }
}

/// The clients of `sources`, in their order: sources with equal settings share one. Certificates
/// are read anew with each call.
pub fn clients(sources: &[Source]) -> Vec<SharedClient> {
    let environment = Environment::read();
    let mut groups: HashMap<[u8; 32], Arc<Client>> = HashMap::new();
    let mut hosts: HashMap<_, Shared> = HashMap::new();
    let shared = sources.iter().map(|source| {
        let settings = Settings::of(source, &environment);
        let key = settings.hash().finalize().into();
        let client = groups.entry(key).or_insert_with(|| Arc::new(Client::new(settings)));
        let origin = (key, source.base_url.origin(), source.timeout);
        let shared = hosts.entry(origin).or_insert_with(|| Shared {
            host: Arc::new(Host::new(source, &environment)),
            sources: 0,
            requests: 0,
        });
        shared.sources += 1;
        shared.requests += source.max_concurrency;
        SharedClient { client: Arc::clone(client), host: Arc::clone(&shared.host) }
    });
    let clients = shared.collect();
    for Shared { host, sources: of_host, requests } in hosts.into_values() {
        host.connections.keep(requests.min(limits::kept_connections(of_host, sources.len())));
    }
    clients
}

/// A host, and what its sources need of it: all tenants of a cloud share one.
struct Shared {
    host: Arc<Host>,
    sources: usize,
    /// Requests that they may have in flight together.
    requests: usize,
}

/// What sources with equal settings have in common.
struct Client {
    settings: Settings,
    built: ArcSwap<Built>,
    /// When the files were last looked at. Locked meanwhile.
    looked: Arc<Mutex<Option<Instant>>>,
}

impl Client {
    fn new(settings: Settings) -> Self {
        let built = ArcSwap::from_pointee(settings.build());
        Self { settings, built, looked: Arc::default() }
    }

    fn look(&self) {
        let current = self.built.load_full();
        if current.tls.is_ok() && current.stamps == self.settings.stamps() {
            return;
        }
        let next = self.settings.build();
        let next = match (&current.tls, &next.tls) {
            (Ok(in_use), Err(error)) => {
                warn!(%error, "changed certificate files cannot be used, the old ones stay in use");
                // With the new stamps, so that this is said and tried once for each change.
                Built { tls: Ok(Arc::clone(in_use)), fingerprint: current.fingerprint, ..next }
            }
            (_, Ok(_)) => {
                info!("certificate files have changed and are in use");
                next
            }
            (Err(_), Err(_)) => next,
        };
        self.built.store(Arc::new(next));
    }
}

/// What was made of the settings and of the files they name.
struct Built {
    /// The files as they were just before they were read.
    stamps: Vec<Option<Stamp>>,
    fingerprint: [u8; 32],
    tls: Result<Arc<tls::Settings>, Arc<ClientError>>,
}

/// All that a client is made of.
struct Settings {
    tls: Tls,
    proxy_url: Option<ProxyUrl>,
    /// See [`meets_tls`]. Part of the hash, or the first source of a group would decide for
    /// the others that no certificate is trusted.
    meets_tls: bool,
}

impl Settings {
    /// Those of `source`.
    fn of(source: &Source, environment: &Environment) -> Self {
        Self {
            tls: source.tls.clone(),
            proxy_url: source.proxy_url.clone(),
            meets_tls: meets_tls(source, environment),
        }
    }

    /// The hash of what tells one group of sources from another.
    fn hash(&self) -> Sha256 {
        let mut hash = Sha256::new();
        for path in self.files() {
            add(&mut hash, path.as_os_str().as_encoded_bytes());
        }
        add(
            &mut hash,
            &[
                u8::from(self.tls.insecure_skip_verify),
                u8::from(self.tls.ca_file.is_some()),
                u8::from(self.tls.client_certificate.is_some()),
                u8::from(self.meets_tls),
            ],
        );
        let proxy = self.proxy_url.as_ref().map_or("", |url| url.0.expose_secret());
        add(&mut hash, proxy.as_bytes());
        add(&mut hash, self.tls.server_name.as_deref().unwrap_or_default().as_bytes());
        hash
    }

    /// The files, in a fixed order.
    fn files(&self) -> impl Iterator<Item = &Path> {
        let identity = self.tls.client_certificate.iter();
        let identity = identity.flat_map(|files| [&*files.cert_file, &*files.key_file]);
        self.tls.ca_file.as_deref().into_iter().chain(identity)
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        self.files().map(Stamp::of).collect()
    }

    fn build(&self) -> Built {
        // Before the contents are read: a change in between is seen the next time.
        let stamps = self.stamps();
        let mut hash = self.hash();
        let tls = Material::read(&self.tls).and_then(|material| {
            material.add_to(&mut hash);
            self.tls_settings(&material)
        });
        add(&mut hash, &[u8::from(tls.is_ok())]);
        let fingerprint = hash.finalize().into();
        Built { stamps, fingerprint, tls: tls.map(Arc::new).map_err(Arc::new) }
    }

    fn tls_settings(&self, material: &Material) -> Result<tls::Settings, ClientError> {
        let unusable =
            |path: &Path, problem| ClientError::Unusable { path: path.to_owned(), problem };
        let accept = match (&material.ca, &self.tls.ca_file) {
            _ if self.tls.insecure_skip_verify => Accept::Anyone,
            (Some(pem), Some(path)) => tls::only(pem).map_err(|problem| unusable(path, problem))?,
            // No certificate is ever verified: do without the system's root store, which a minimal
            // container may not even have.
            _ if !self.meets_tls => Accept::Nobody,
            _ => tls::system().map_err(|_| ClientError::NoRoots)?,
        };
        let identity = match (&material.identity, &self.tls.client_certificate) {
            (Some([certificate, key]), Some(files)) => Some(Identity {
                chain: pem::certificates(certificate)
                    .map_err(|problem| unusable(&files.cert_file, problem))?,
                key: pem::private_key(key).map_err(|problem| unusable(&files.key_file, problem))?,
            }),
            _ => None,
        };
        tls::Settings::new(accept, identity).map_err(|_| ClientError::Identity)
    }
}

fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_be_bytes());
    hash.update(part);
}

/// Whether a certificate may have to be verified: the source's, or that of a proxy before it.
fn meets_tls(source: &Source, environment: &Environment) -> bool {
    matches!(source.base_url.scheme(), "https" | "tls")
        || Proxy::of(source, environment).is_some_and(|proxy| proxy.has_tls())
}

/// The contents of the files that TLS settings name.
struct Material {
    ca: Option<Zeroizing<Vec<u8>>>,
    /// Of `cert_file` and `key_file`. Either may hold what belongs into the other.
    identity: Option<[Zeroizing<Vec<u8>>; 2]>,
}

impl Material {
    fn read(tls: &Tls) -> Result<Self, ClientError> {
        let read = |path: &Path| {
            pem::read(path)
                .map_err(|source| ClientError::Unreadable { path: path.to_owned(), source })
        };
        let ca = tls.ca_file.as_deref().map(read).transpose()?;
        let identity = match &tls.client_certificate {
            None => None,
            Some(files) => Some([read(&files.cert_file)?, read(&files.key_file)?]),
        };
        Ok(Self { ca, identity })
    }

    fn add_to(&self, hash: &mut Sha256) {
        for pem in self.ca.iter().chain(self.identity.iter().flatten()) {
            add(hash, pem);
        }
    }
}
