// SPDX-License-Identifier: Apache-2.0
//! Every key of the configuration file, once: the reader, the unknown-key hints, the JSON Schema
//! and the key reference of the README all come from tables of keys. Those that every source takes
//! are here; a system's own are in its [`Profile`].

use std::time::Duration;

use super::Profile;

/// A key, what it takes and what it means.
#[derive(Debug)]
pub struct Key {
    /// Its name. A [`Kind::Secret`] also stands for `<name>_file` and `<name>_env`.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds without it, written as in the file; `None`: see `doc`, or nothing.
    pub default: Option<&'static str>,
    /// One sentence for people.
    pub doc: &'static str,
}

/// What a key takes.
#[derive(Debug)]
pub enum Kind {
    /// Name of a source: as [`Kind::Id`], but no secret.
    Name(&'static str, usize),
    /// The name of a [`Profile`].
    Vendor,
    /// Address of a system.
    BaseUrl,
    /// Address of a proxy.
    ProxyUrl,
    /// Path prefix.
    ApiPath,
    /// Label names and values.
    Labels,
    /// A duration within these bounds.
    Duration(Duration, Duration),
    /// A size in bytes within these bounds.
    Size(u64, u64),
    /// A whole number within these bounds.
    Integer(u64, u64),
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of some of these words; all of them by default.
    Choices(&'static [&'static str]),
    /// Any text but the empty one.
    Text,
    /// An identifier: these characters besides letters and digits, at most that many in all.
    Id(&'static str, usize),
    /// A list of identifiers.
    Ids(&'static str, usize),
    /// Path of a file.
    File,
    /// A secret: literal, `_file` or `_env`.
    Secret,
    /// A mapping of these keys.
    Section(&'static [&'static Key]),
    /// A list of such mappings, each of which has all of these keys.
    Sections(&'static [&'static Key]),
}

/// One way to log in: these keys together.
#[derive(Debug)]
pub struct Login {
    /// Must all be given.
    pub required: &'static [&'static Key],
    /// May be given with them.
    pub optional: &'static [&'static Key],
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Characters of a source's name besides letters and digits.
const NAME_MARKS: &str = "_.-";

macro_rules! keys {
    ($($const:ident = $name:literal $kind:expr, $default:expr, $doc:literal;)*) => {
        $(#[doc = $doc] pub const $const: Key =
            Key { name: $name, kind: $kind, default: $default, doc: $doc };)*
    };
}

keys! {
    DEFAULTS = "defaults" Kind::Section(DEFAULT_KEYS), None,
        "Common keys for all sources. A source's own value wins; labels, tls, capacity and conferences are merged key by key.";
    SOURCES = "sources" Kind::Sections(COMMON), None,
        "The conferencing systems to watch. An empty list is valid.";

    NAME = "name" Kind::Name(NAME_MARKS, 63), None,
        "Unique name of the source: the `source` label of all its series.";
    VENDOR = "vendor" Kind::Vendor, None, "Kind of system.";
    BASE_URL = "base_url" Kind::BaseUrl, None,
        "Address of the system, http or https, which may carry a path prefix (a PBX behind a reverse proxy); tcp or tls, host and port for systems that speak a text protocol.";
    API_PATH = "api_path" Kind::ApiPath, None, "Path prefix of the vendor's API version, where it speaks HTTP.";
    LABELS = "labels" Kind::Labels, None,
        "Static labels for all series of the source; not one the exporter sets itself.";
    TIMEOUT = "timeout" Kind::Duration(Duration::from_millis(1), DAY), Some("10s"),
        "Longest time a collection of this source may take.";
    MIN_INTERVAL = "min_interval" Kind::Duration(Duration::ZERO, Duration::from_secs(31 * 24 * 3600)), None,
        "A younger snapshot is served instead of asking again; `0s` asks at every scrape.";
    MAX_CONCURRENCY = "max_concurrency" Kind::Integer(1, 256), Some("4"),
        "Requests of one collection in flight at once.";
    MAX_RESPONSE_BYTES = "max_response_bytes" Kind::Size(1, 1 << 30), Some("8MiB"),
        "A larger answer, after decompression, is an error.";
    TLS = "tls" Kind::Section(TLS_KEYS), None,
        "How to verify the system's certificate, and the client certificate; without it this machine's root certificates are trusted.";
    PROXY_URL = "proxy_url" Kind::ProxyUrl, None,
        "Proxy to use, http, https or socks5; may carry credentials. Without it the usual environment variables hold. Not for tcp and tls.";
    CAPACITY = "capacity" Kind::Section(CAPACITY_KEYS), None,
        "What the system is licensed or sized for; shown as metrics, for panels and alerts that tell how full it is.";
    CONFERENCES = "conferences" Kind::Section(CONFERENCE_KEYS), None, "Per-conference series.";

    CA_FILE = "ca_file" Kind::File, None,
        "PEM certificates to trust instead of the system's roots, for a private CA or a self-signed certificate.";
    CERT_FILE = "cert_file" Kind::File, None, "PEM client certificate chain; needs `key_file`.";
    KEY_FILE = "key_file" Kind::File, None, "PEM key of the client certificate; needs `cert_file`.";
    SERVER_NAME = "server_name" Kind::Id("._:-", 253), None,
        "Name to verify and to announce instead of the host of `base_url`.";
    INSECURE_SKIP_VERIFY = "insecure_skip_verify" Kind::Flag, Some("false"),
        "Accept any certificate. Whoever intercepts the connection can then read the credentials; prefer `ca_file`.";

    CAPACITY_CONFERENCES = "conferences" Kind::Integer(1, 1_000_000_000), None, "Conferences at once.";
    CAPACITY_PARTICIPANTS = "participants" Kind::Integer(1, 1_000_000_000), None, "People in all conferences together.";

    ENABLED = "enabled" Kind::Flag, Some("false"), "Whether there are per-conference series.";
    LIMIT = "limit" Kind::Integer(1, 10_000), Some("100"), "Most conferences that have series of their own; the largest are shown.";
    IDENTIFY = "identify" Kind::Choice(&["hash", "number", "name"]), Some("hash"),
        "What the `conference` label shows: a keyed hash of the vendor's id, the number, or the name.";
}

/// Keys at the top of the file.
pub const TOP: &[&Key] = &[&DEFAULTS, &SOURCES];

/// Keys every source takes.
pub const COMMON: &[&Key] = &[
    &NAME,
    &VENDOR,
    &BASE_URL,
    &API_PATH,
    &LABELS,
    &TIMEOUT,
    &MIN_INTERVAL,
    &MAX_CONCURRENCY,
    &MAX_RESPONSE_BYTES,
    &TLS,
    &PROXY_URL,
    &CAPACITY,
    &CONFERENCES,
];

/// Keys of `defaults`: the common ones but `name`, which is unique.
pub const DEFAULT_KEYS: &[&Key] = &[
    &VENDOR,
    &BASE_URL,
    &API_PATH,
    &LABELS,
    &TIMEOUT,
    &MIN_INTERVAL,
    &MAX_CONCURRENCY,
    &MAX_RESPONSE_BYTES,
    &TLS,
    &PROXY_URL,
    &CAPACITY,
    &CONFERENCES,
];

/// Keys of `tls`.
pub const TLS_KEYS: &[&Key] =
    &[&CA_FILE, &CERT_FILE, &KEY_FILE, &SERVER_NAME, &INSECURE_SKIP_VERIFY];

/// Keys of `capacity`.
pub const CAPACITY_KEYS: &[&Key] = &[&CAPACITY_CONFERENCES, &CAPACITY_PARTICIPANTS];

/// Keys of `conferences`.
pub const CONFERENCE_KEYS: &[&Key] = &[&ENABLED, &LIMIT, &IDENTIFY];

impl Login {
    /// Required and optional keys.
    pub fn keys(&'static self) -> impl Iterator<Item = &'static Key> {
        self.required.iter().chain(self.optional).copied()
    }

    /// As `app_id` + `app_key` (optionally `user_id` + `corp_id`).
    pub fn describe(&self) -> String {
        let names = |keys: &[&Key]| {
            keys.iter().map(|key| format!("`{}`", key.name)).collect::<Vec<_>>().join(" + ")
        };
        match self.optional {
            [] => names(self.required),
            optional => format!("{} (optionally {})", names(self.required), names(optional)),
        }
    }
}

impl Key {
    /// A key without a default.
    pub const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, default: None, doc }
    }

    /// The same key with what holds where it is absent, written as in the file.
    #[must_use]
    pub const fn by_default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    /// The names it may be written with: one, or three for a secret.
    pub fn names(&self) -> Vec<String> {
        if matches!(self.kind, Kind::Secret) {
            secret_names(self.name).into()
        } else {
            vec![self.name.to_owned()]
        }
    }

    /// The keys of an entry, if it takes a list of mappings; else none.
    pub const fn entry_keys(&self) -> &'static [&'static Self] {
        if let Kind::Sections(keys) = self.kind { keys } else { &[] }
    }

    /// Whether it is a mapping with a key that can be written so.
    pub(super) fn has_below(&self, name: &str) -> bool {
        matches!(self.kind, Kind::Section(keys) if keys.iter().any(|key| key.is_named(name)))
    }

    /// Whether it can be written so.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.names().iter().any(|known| known == name)
    }
}

/// `X`, `X_file`, `X_env`.
pub(super) fn secret_names(name: &str) -> [String; 3] {
    [name.to_owned(), format!("{name}_file"), format!("{name}_env")]
}

/// Every key of every table, those of the entries of a list included.
pub(super) fn all(profiles: &[&'static Profile]) -> impl Iterator<Item = &'static Key> {
    let common =
        [TOP, COMMON, TLS_KEYS, CAPACITY_KEYS, CONFERENCE_KEYS].into_iter().flatten().copied();
    let own = profiles.iter().copied().flat_map(Profile::own);
    common.chain(own.flat_map(|key| [key].into_iter().chain(key.entry_keys().iter().copied())))
}

/// Whether any table has a key that can be written so.
pub(super) fn is_known(profiles: &[&'static Profile], name: &str) -> bool {
    all(profiles).any(|key| key.is_named(name))
}

/// Whether a key of that name holds further keys.
pub(super) fn is_structure(profiles: &[&'static Profile], name: &str) -> bool {
    all(profiles).any(|key| {
        key.name == name && matches!(key.kind, Kind::Labels | Kind::Section(_) | Kind::Sections(_))
    })
}

/// Whether a value of that name may be shown: some table knows it and none lets it hold a secret
/// or a person's account.
pub(super) fn is_safe(profiles: &[&'static Profile], name: &str) -> bool {
    is_known(profiles, name)
        && all(profiles).filter(|key| key.is_named(name)).all(|key| match key.kind {
            Kind::Name(..)
            | Kind::Vendor
            | Kind::ApiPath
            | Kind::Duration(..)
            | Kind::Size(..)
            | Kind::Integer(..)
            | Kind::Flag
            | Kind::Choice(_)
            | Kind::Choices(_)
            | Kind::File => true,
            Kind::BaseUrl
            | Kind::ProxyUrl
            | Kind::Labels
            | Kind::Text
            | Kind::Id(..)
            | Kind::Ids(..)
            | Kind::Secret
            | Kind::Section(_)
            | Kind::Sections(_) => false,
        })
}
