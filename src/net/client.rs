//! HTTP clients, one for all sources with equal TLS and proxy settings, so that a root store
//! is parsed once and not for each source.
//!
//! A client follows the certificate files of its settings. While they cannot be used, or the
//! machine has no root certificates, the sources that need them fail and all others do not notice.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Proxy, redirect::Policy};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tokio::{sync::Mutex, task::spawn_blocking, time::Instant};
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::{
    resolver::Resolver,
    tls::{self, Accept, Identity},
};
use crate::{
    config::{ProxyUrl, Source, Tls, io_reason},
    files::Stamp,
    pem,
};

/// Connections kept for the next request to a host. All tenants of a cloud share one host: with
/// fewer, most of them would connect anew each time.
const MOST_IDLE: usize = 256;

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
    /// The proxy URL cannot be used.
    #[error("proxy_url cannot be used")]
    Proxy,
    /// There is nothing to verify certificates with.
    #[error("this machine has no root certificates")]
    NoRoots,
    /// The TLS library refused the client certificate.
    #[error("the client certificate and its key cannot be used")]
    Identity,
    /// The HTTP library refused the settings, which it does for none that a configuration can have.
    #[error("the HTTP client cannot be made")]
    Library,
}

/// The client of a source.
#[derive(Clone)]
pub struct SharedClient {
    client: Arc<Client>,
    connect_timeout: Duration,
    /// The `Host` header to send, where the URL's host is replaced by `tls.server_name`.
    pub host_header: Option<String>,
    /// The host to put into URLs instead of the base URL's.
    pub url_host: Option<String>,
}

impl SharedClient {
    /// The client, made of the files as they were when they were last looked at.
    ///
    /// # Errors
    /// Certificates or keys that cannot be read or used, or no root certificates.
    pub fn http(&self) -> Result<reqwest::Client, Arc<ClientError>> {
        let built = self.client.built.load();
        let clients = built.clients.as_ref().map_err(Arc::clone)?;
        clients.get(&self.connect_timeout).cloned().ok_or_else(|| Arc::new(ClientError::Library))
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
        if client.settings.files().next().is_none() && client.built.load().clients.is_ok() {
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
    // What the HTTP client itself makes of it.
    let environment = Matcher::from_system();
    let mut groups: HashMap<[u8; 32], Settings> = HashMap::new();
    let mut keys = Vec::with_capacity(sources.len());
    for source in sources {
        let settings = Settings::of(source, &environment);
        let key = settings.hash().finalize().into();
        let group = groups.entry(key).or_insert(settings);
        group.connect_timeouts.insert(connect_timeout(source));
        if is_tls(source) {
            group.tls_hosts.extend(source.base_url.host_str().map(str::to_owned));
        }
        keys.push(key);
    }
    let groups: HashMap<_, _> =
        groups.into_iter().map(|(key, settings)| (key, Arc::new(Client::new(settings)))).collect();
    let shared = sources.iter().zip(keys).filter_map(|(source, key)| {
        let renamed = source.tls.server_name.is_some();
        Some(SharedClient {
            client: Arc::clone(groups.get(&key)?),
            connect_timeout: connect_timeout(source),
            host_header: renamed.then(|| authority(source)),
            url_host: source.tls.server_name.clone(),
        })
    });
    shared.collect()
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
        if current.clients.is_ok() && current.stamps == self.settings.stamps() {
            return;
        }
        let next = self.settings.build();
        let next = match (&current.clients, &next.clients) {
            (Ok(in_use), Err(error)) => {
                warn!(%error, "changed certificate files cannot be used, the old ones stay in use");
                // With the new stamps, so that this is said and tried once for each change.
                Built { clients: Ok(in_use.clone()), fingerprint: current.fingerprint, ..next }
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
    /// A client for each time that a source of the group waits for a connection.
    clients: Result<HashMap<Duration, reqwest::Client>, Arc<ClientError>>,
}

/// All that a client is made of.
struct Settings {
    tls: Tls,
    proxy_url: Option<ProxyUrl>,
    keeps_connections: bool,
    /// See [`meets_tls`]. Part of the hash, or the first source of a group would decide for
    /// the others that no certificate is trusted.
    meets_tls: bool,
    /// Host and port that `tls.server_name` stands for: no other source may share that.
    renamed: Option<String>,
    /// The host of the same, as a resolver wants it.
    resolved: Option<String>,
    /// The hosts that the sources of the group reach by TLS.
    tls_hosts: HashSet<String>,
    /// How long the sources of the group wait for a connection.
    connect_timeouts: HashSet<Duration>,
}

impl Settings {
    /// Those of `source`, still without what its group has together.
    fn of(source: &Source, environment: &Matcher) -> Self {
        let is_renamed = source.tls.server_name.is_some();
        Self {
            tls: source.tls.clone(),
            proxy_url: source.proxy_url.clone(),
            keeps_connections: source.profile.transport.keeps_connections(),
            meets_tls: meets_tls(source, environment),
            renamed: is_renamed.then(|| authority(source)),
            resolved: is_renamed.then(|| resolvable(source)),
            tls_hosts: HashSet::new(),
            connect_timeouts: HashSet::new(),
        }
    }

    /// The hash of what tells one group of sources from another.
    fn hash(&self) -> Sha256 {
        let mut hash = Sha256::new();
        let text = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes();
        for path in self.files() {
            add(&mut hash, path.as_os_str().as_encoded_bytes());
        }
        add(
            &mut hash,
            &[
                u8::from(self.tls.insecure_skip_verify),
                u8::from(self.tls.ca_file.is_some()),
                u8::from(self.tls.client_certificate.is_some()),
                u8::from(self.keeps_connections),
                u8::from(self.meets_tls),
            ],
        );
        let proxy = self.proxy_url.as_ref().map_or("", |url| url.0.expose_secret());
        add(&mut hash, proxy.as_bytes());
        add(&mut hash, &text(&self.tls.server_name));
        add(&mut hash, &text(&self.renamed));
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
        let clients = Material::read(&self.tls).and_then(|material| {
            material.add_to(&mut hash);
            // Once: a root store is large.
            let tls = self.tls_config(&material)?;
            self.connect_timeouts
                .iter()
                .map(|time| Ok((*time, self.client(tls.clone(), *time)?)))
                .collect()
        });
        add(&mut hash, &[u8::from(clients.is_ok())]);
        let fingerprint = hash.finalize().into();
        Built { stamps, fingerprint, clients: clients.map_err(Arc::new) }
    }

    fn client(
        &self,
        tls: rustls::ClientConfig,
        connect_timeout: Duration,
    ) -> Result<reqwest::Client, ClientError> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(connect_timeout)
            // Redirects would carry tokens in headers and queries to another origin.
            .redirect(Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .tcp_nodelay(true)
            // As in the vendors' samples: not every embedded server treats header names as
            // case-insensitive.
            .http1_title_case_headers()
            .pool_idle_timeout(Duration::from_secs(75))
            .pool_max_idle_per_host(if self.keeps_connections { MOST_IDLE } else { 0 })
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(Resolver { host: self.resolved.clone() }));
        if let Some(url) = &self.proxy_url {
            let proxy = Proxy::all(url.0.expose_secret()).map_err(|_| ClientError::Proxy)?;
            builder = builder.proxy(proxy);
        } else if self.resolved.is_some() {
            // A proxy would be asked for the announced name instead of the real host.
            builder = builder.no_proxy();
        }
        builder.build().map_err(|_| ClientError::Library)
    }

    fn tls_config(&self, material: &Material) -> Result<rustls::ClientConfig, ClientError> {
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
        tls::config(accept, identity, self.tls_hosts.len()).map_err(|_| ClientError::Identity)
    }
}

fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_be_bytes());
    hash.update(part);
}

/// How long to wait for a connection: half of the time for a collection. What then failed is known
/// to have sent nothing, which matters for logins, and a second address of the host still has a
/// chance.
fn connect_timeout(source: &Source) -> Duration {
    source.timeout / 2
}

fn is_tls(source: &Source) -> bool {
    matches!(source.base_url.scheme(), "https" | "tls")
}

/// Whether a certificate may have to be verified: the source's, or that of a proxy before it.
fn meets_tls(source: &Source, environment: &Matcher) -> bool {
    if is_tls(source) || source.proxy_url.is_some() {
        return true;
    }
    let proxy = source.base_url.as_str().parse().ok().and_then(|url| environment.intercept(&url));
    // With `server_name`, the environment does not count.
    source.tls.server_name.is_none()
        && proxy.is_some_and(|proxy| proxy.uri().scheme_str() == Some("https"))
}

fn authority(source: &Source) -> String {
    let host = source.base_url.host_str().unwrap_or_default();
    match source.base_url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
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

fn resolvable(source: &Source) -> String {
    let host = source.base_url.host_str().unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}
