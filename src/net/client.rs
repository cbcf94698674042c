//! HTTP clients, one for all sources with equal TLS and proxy settings, so that a root store
//! is parsed once and not for each source.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Proxy, redirect::Policy};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    resolver::Resolver,
    tls::{self, Accept, Identity},
};
use crate::{config::Source, pem};

/// Connections kept for the next request to a host. All tenants of a cloud share one host: with
/// fewer, most of them would connect anew each time.
const MOST_IDLE: usize = 256;

/// Why no HTTP client could be made for a source.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A PEM file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A PEM file does not hold what it should.
    #[error("{} holds no usable {what}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// The proxy URL cannot be used.
    #[error("proxy_url cannot be used")]
    Proxy,
    /// The TLS library refused the settings, or the system has no root certificates.
    #[error("the TLS settings cannot be used (are the system's root certificates installed?)")]
    Tls,
}

/// An HTTP client and the fingerprint of all that went into it.
#[derive(Clone)]
pub struct SharedClient {
    /// The client.
    pub http: reqwest::Client,
    /// Equal for equal settings and equal contents of the certificate files.
    pub fingerprint: [u8; 32],
    /// The `Host` header to send, where the URL's host is replaced by `tls.server_name`.
    pub host_header: Option<String>,
    /// The host to put into URLs instead of the base URL's.
    pub url_host: Option<String>,
}

/// The clients of `sources`, in their order: sources with equal settings share one. Certificates
/// are read anew with each call.
///
/// # Errors
/// Certificates or keys that cannot be read or used, and the position of the source they belong to.
pub fn clients(sources: &[Source]) -> Result<Vec<SharedClient>, (usize, ClientError)> {
    let mut groups: HashMap<[u8; 32], Group<'_>> = HashMap::new();
    let mut fingerprints = Vec::with_capacity(sources.len());
    // What the HTTP client itself makes of it.
    let environment = Matcher::from_system();
    for (position, source) in sources.iter().enumerate() {
        let material = Material::read(source, &environment).map_err(|error| (position, error))?;
        let fingerprint = material.fingerprint(source);
        fingerprints.push(fingerprint);
        let group = groups.entry(fingerprint).or_insert_with(|| Group {
            position,
            source,
            material,
            tls_hosts: HashSet::new(),
            connect_timeouts: HashSet::new(),
        });
        group.connect_timeouts.insert(connect_timeout(source));
        if source.base_url.scheme() == "https" {
            group.tls_hosts.extend(source.base_url.host_str());
        }
    }
    let mut built = HashMap::with_capacity(groups.len());
    for (fingerprint, group) in groups {
        let failed = |error| (group.position, error);
        // Once: a root store is large.
        let tls =
            tls_config(group.source, &group.material, group.tls_hosts.len()).map_err(failed)?;
        for connect_timeout in group.connect_timeouts {
            let http = build(group.source, tls.clone(), connect_timeout).map_err(failed)?;
            built.insert((fingerprint, connect_timeout), http);
        }
    }
    let shared = sources.iter().zip(fingerprints).filter_map(|(source, fingerprint)| {
        let renamed = source.tls.server_name.is_some();
        Some(SharedClient {
            http: built.get(&(fingerprint, connect_timeout(source)))?.clone(),
            fingerprint,
            host_header: renamed.then(|| authority(source)),
            url_host: source.tls.server_name.clone(),
        })
    });
    Ok(shared.collect())
}

/// Sources that share a client.
struct Group<'a> {
    /// Position and settings of the first of them.
    position: usize,
    source: &'a Source,
    material: Material,
    /// The hosts they reach by TLS.
    tls_hosts: HashSet<&'a str>,
    /// How long they wait for a connection.
    connect_timeouts: HashSet<Duration>,
}

/// How long to wait for a connection: half of the time for a collection. What then failed is known
/// to have sent nothing, which matters for logins, and a second address of the host still has a
/// chance.
fn connect_timeout(source: &Source) -> Duration {
    source.timeout / 2
}

/// Whether a certificate may have to be verified: the source's, or that of a proxy before it.
fn meets_tls(source: &Source, environment: &Matcher) -> bool {
    if source.base_url.scheme() == "https" || source.proxy_url.is_some() {
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

/// The contents of the files a source's TLS settings name, and whether they matter.
struct Material {
    ca: Option<Zeroizing<Vec<u8>>>,
    /// Of `cert_file` and `key_file`. Either may hold what belongs into the other.
    identity: Option<[Zeroizing<Vec<u8>>; 2]>,
    /// See [`meets_tls`]. Part of the fingerprint, or the first source of a group would decide for
    /// the others that no certificate is trusted.
    meets_tls: bool,
}

impl Material {
    fn read(source: &Source, environment: &Matcher) -> Result<Self, ClientError> {
        let ca = source.tls.ca_file.as_deref().map(read).transpose()?;
        let identity = match &source.tls.client_certificate {
            None => None,
            Some(files) => Some([read(&files.cert_file)?, read(&files.key_file)?]),
        };
        Ok(Self { ca, identity, meets_tls: meets_tls(source, environment) })
    }

    fn fingerprint(&self, source: &Source) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(self.ca.as_ref().map_or(&[][..], |pem| pem.as_slice()));
        for pem in self.identity.iter().flatten() {
            part(pem);
        }
        part(&[
            u8::from(source.tls.insecure_skip_verify),
            u8::from(self.ca.is_some()),
            u8::from(self.identity.is_some()),
            u8::from(source.profile.transport.keeps_connections()),
            u8::from(self.meets_tls),
        ]);
        part(source.proxy_url.as_ref().map_or("", |url| url.0.expose_secret()).as_bytes());
        if let Some(name) = &source.tls.server_name {
            part(name.as_bytes());
            // The name is resolved to this source's own host: no other source may share that.
            part(authority(source).as_bytes());
        }
        hash.finalize().into()
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    pem::read(path).map_err(|source| ClientError::Unreadable { path: path.to_owned(), source })
}

fn build(
    source: &Source,
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
        .pool_max_idle_per_host(if source.profile.transport.keeps_connections() {
            MOST_IDLE
        } else {
            0
        })
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::new(Resolver {
            host: source.tls.server_name.as_ref().map(|_| resolvable(source)),
        }));
    if let Some(url) = &source.proxy_url {
        builder = builder.proxy(Proxy::all(url.0.expose_secret()).map_err(|_| ClientError::Proxy)?);
    } else if source.tls.server_name.is_some() {
        // A proxy would be asked for the announced name instead of the real host.
        builder = builder.no_proxy();
    }
    builder.build().map_err(|_| ClientError::Tls)
}

fn tls_config(
    source: &Source,
    material: &Material,
    hosts: usize,
) -> Result<rustls::ClientConfig, ClientError> {
    let settings = &source.tls;
    let unusable = |path: &PathBuf, what| ClientError::Unusable { path: path.clone(), what };
    let accept = match (&material.ca, &settings.ca_file) {
        _ if settings.insecure_skip_verify => Accept::Anyone,
        (Some(pem), Some(path)) => tls::only(pem).ok_or(unusable(path, "CA certificate"))?,
        // No certificate is ever verified: do without the system's root store, which a minimal
        // container may not even have.
        _ if !material.meets_tls => Accept::Nobody,
        _ => Accept::System,
    };
    let identity = match (&material.identity, &settings.client_certificate) {
        (Some([certificate, key]), Some(files)) => Some(Identity {
            chain: pem::certificates(certificate)
                .map_err(|_| unusable(&files.cert_file, "client certificate"))?,
            key: pem::private_key(key).map_err(|_| unusable(&files.key_file, "key"))?,
        }),
        _ => None,
    };
    tls::config(accept, identity, hosts).map_err(|_| ClientError::Tls)
}

fn resolvable(source: &Source) -> String {
    let host = source.base_url.host_str().unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}
