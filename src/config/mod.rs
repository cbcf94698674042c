// SPDX-License-Identifier: Apache-2.0
//! The configuration: `exporter.yaml` to [`Config`], once. No other module parses or validates it.
//!
//! ```text
//! paths    which files there are, and whether they have changed
//! file     bytes -> YAML tree with the place of every node
//! keys     every key: name, kind, default, meaning; drives the reader and the schema
//! profile  what a kind of system has of its own; a list of them is given to the reader
//! section  typed reading of one mapping; reports problems and goes on
//! choices, credentials  keys that take several words, or a secret
//! source, login, tls    sections -> the types below
//! error    the problems found, and excerpts that show no secret
//! ```

mod choices;
mod credentials;
pub mod duration;
mod error;
pub(crate) mod file;
mod kept;
pub mod keys;
pub(crate) mod load;
mod login;
mod paths;
mod profile;
pub(crate) mod report;
mod schema;
pub mod secret;
pub(crate) mod section;
mod source;
pub(crate) mod tls;

pub use error::{LoadError, Problem};
pub use file::Position;
pub use kept::{Kept, KeptValue};
pub use load::Loaded;
pub use paths::fingerprint;
pub use profile::{Advice, OwnSettings, Profile, Reading, Settings, Transport};
pub use schema::{reference, schema};
pub use section::Section;
pub(crate) use section::{RELATIVE_PATHS, io_reason};
pub(crate) use source::is_loopback;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use secrecy::SecretString;
use url::Url;

/// A valid configuration.
#[derive(Debug, Default)]
pub struct Config {
    /// The sources, in the order of the file. Names are unique.
    pub sources: Vec<Source>,
}

/// One conferencing system to watch: contract keys of a source, defaults applied.
///
/// Equality tells whether a reload changed the source: secrets compare by value.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Unique name, `[A-Za-z0-9_.-]{1,63}`: the `source` label.
    pub name: String,
    /// Which kind of system it is.
    pub profile: &'static Profile,
    /// Where the system answers: http or https, maybe with a path prefix; no userinfo, query or
    /// fragment.
    pub base_url: Url,
    /// Path prefix of the vendor's API version: empty, or starting with `/` and not ending with it.
    pub api_path: String,
    /// Static labels for all series of the source.
    pub labels: BTreeMap<String, String>,
    /// Longest time a collection may take.
    pub timeout: Duration,
    /// A younger snapshot is served instead of asking again.
    pub min_interval: Duration,
    /// Requests of one collection in flight at once; at least 1.
    pub max_concurrency: usize,
    /// Longest answer accepted, in bytes after decompression.
    pub max_response_bytes: u64,
    /// How to verify the system's certificate, and the client certificate.
    pub tls: Tls,
    /// Explicit proxy; may carry credentials, so it is kept as a secret.
    pub proxy_url: Option<ProxyUrl>,
    /// What the system is licensed or sized for.
    pub capacity: Capacity,
    /// Per-conference series.
    pub conferences: Conferences,
    /// What only this kind of system needs.
    pub settings: OwnSettings,
}

impl Source {
    /// Whether requests to both go the same way: to the same address, with the same TLS and proxy
    /// settings.
    pub fn is_reached_like(&self, other: &Self) -> bool {
        self.base_url == other.base_url
            && self.api_path == other.api_path
            && self.tls == other.tls
            && self.proxy_url == other.proxy_url
    }

    /// Whether both ask the same questions of the same system: what was found with the one is what
    /// the other would find.
    pub fn asks_like(&self, other: &Self) -> bool {
        self.is_reached_like(other)
            && self.profile == other.profile
            && self.settings == other.settings
            && self.conferences == other.conferences
    }
}

/// TLS settings of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// Trust these PEM certificates instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Client certificate chain and its key, both PEM.
    pub client_certificate: Option<ClientCertificate>,
    /// Name to verify and to announce instead of the URL's host.
    pub server_name: Option<String>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
}

/// A client certificate chain and its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// PEM chain.
    pub cert_file: PathBuf,
    /// PEM key.
    pub key_file: PathBuf,
}

/// An http, https or socks5 proxy URL, which may carry credentials.
#[derive(Clone)]
pub struct ProxyUrl(pub SecretString);

/// What a system is licensed or sized for: shown as it is, so that dashboards and alerts can tell how full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Conferences at once; at least 1.
    pub conferences: Option<u64>,
    /// People in them, in all; at least 1.
    pub participants: Option<u64>,
}

/// Per-conference series of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conferences {
    /// Whether there are per-conference series.
    pub enabled: bool,
    /// The largest that many are shown.
    pub limit: usize,
    /// What the `conference` label shows.
    pub identify: Identify,
}

/// What the `conference` label shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identify {
    /// A keyed hash of the vendor's id.
    Hash,
    /// The number people dial or type.
    Number,
    /// The trimmed name.
    Name,
}
