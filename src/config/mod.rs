//! The configuration: `exporter.yaml` to [`Config`], once. Nobody else parses or validates.
//!
//! ```text
//! file     bytes -> YAML tree with the place of every node
//! keys     every key: name, kind, default, meaning; drives the reader and the schema
//! section  typed reading of one mapping; complains to the report and goes on
//! source, vendor, tls   sections -> the types below
//! error    the problems found, and excerpts that show no secret
//! ```

pub mod duration;
mod error;
pub(crate) mod file;
pub mod keys;
mod load;
mod report;
mod schema;
pub mod secret;
mod section;
mod source;
mod tls;
mod vendor;

pub use error::{LoadError, Problem};
pub use file::Position;
pub use load::Loaded;
pub use schema::{reference, schema};

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use secrecy::SecretString;
use url::Url;

use crate::model::Vendor;
use secret::SecretSource;

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
    /// Where the system answers: http or https, maybe with a path prefix; no userinfo, query or
    /// fragment.
    pub base_url: Url,
    /// Path prefix of the vendor's API version: empty, or starting with `/` and not ending with it.
    pub api_path: String,
    /// Static labels for all series of the source.
    pub labels: BTreeMap<String, String>,
    /// Longest a collection may take.
    pub timeout: Duration,
    /// A younger snapshot is served instead of asking again.
    pub min_interval: Duration,
    /// Requests of one collection in flight at once; at least 1.
    pub max_concurrency: usize,
    /// Longest answer accepted, in bytes after decompression.
    pub max_response_bytes: u64,
    /// How to verify the system and how to present ourselves.
    pub tls: Tls,
    /// Explicit proxy; may carry credentials, so it is kept as a secret.
    pub proxy_url: Option<ProxyUrl>,
    /// What the system is licensed or sized for.
    pub capacity: Capacity,
    /// Per-conference series.
    pub conferences: Conferences,
    /// What only this vendor needs.
    pub system: System,
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
            && self.system == other.system
            && self.conferences == other.conferences
    }

    /// Which kind of system this is.
    pub const fn vendor(&self) -> Vendor {
        match self.system {
            System::OpenvoxUc(_) => Vendor::OpenvoxUc,
            System::YeastarS(_) => Vendor::YeastarS,
            System::YeastarP(_) => Vendor::YeastarP,
            System::HuaweiMeeting(_) => Vendor::HuaweiMeeting,
            System::Dingtalk(_) => Vendor::Dingtalk,
        }
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
    /// Whether there are any.
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
    /// The conference number (DingTalk: the room code).
    Number,
    /// The trimmed name.
    Name,
}

/// What only one vendor needs.
#[derive(Clone, Debug, PartialEq)]
pub enum System {
    /// OpenVox UC.
    OpenvoxUc(Pbx),
    /// Yeastar S-Series.
    YeastarS(Pbx),
    /// Yeastar P-Series.
    YeastarP(YeastarP),
    /// Huawei Cloud Meeting.
    HuaweiMeeting(HuaweiMeeting),
    /// DingTalk.
    Dingtalk(Dingtalk),
}

impl System {
    /// As whom the exporter logs in, to tell one account of a system from another.
    pub fn account(&self) -> String {
        match self {
            Self::OpenvoxUc(pbx) | Self::YeastarS(pbx) => pbx.username.clone(),
            Self::YeastarP(pbx) => pbx.client_id.clone(),
            Self::HuaweiMeeting(HuaweiMeeting { login, .. }) => match login {
                HuaweiLogin::AppId { app_id, user_id, corp_id, .. } => {
                    format!("{app_id} {} {}", text(user_id), text(corp_id))
                }
                HuaweiLogin::Account { account, .. } => account.clone(),
            },
            Self::Dingtalk(Dingtalk { login, .. }) => match login {
                DingtalkLogin::Internal { app_key, .. } => app_key.clone(),
                DingtalkLogin::Unified { corp_id, client_id, .. } => {
                    format!("{corp_id} {client_id}")
                }
                DingtalkLogin::ThirdParty { suite_key, auth_corp_id, .. } => {
                    format!("{suite_key} {auth_corp_id}")
                }
            },
        }
    }
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

/// OpenVox UC and Yeastar S-Series.
#[derive(Clone, Debug, PartialEq)]
pub struct Pbx {
    /// API user.
    pub username: String,
    /// API password, plain: the exporter hashes it.
    pub password: SecretSource,
    /// The port the login call demands for events nobody listens to.
    pub event_port: u16,
    /// Whether to ask for conferences in session.
    pub live: bool,
}

/// Yeastar P-Series.
#[derive(Clone, Debug, PartialEq)]
pub struct YeastarP {
    /// Client ID of the API application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretSource,
    /// Rooms per page of `conference/list`.
    pub page_size: u32,
    /// Whether to ask for ongoing conferences.
    pub live: bool,
    /// How often to ask for each room's settings; `None`: never.
    pub room_details: Option<Duration>,
}

/// Huawei Cloud Meeting.
#[derive(Clone, Debug, PartialEq)]
pub struct HuaweiMeeting {
    /// How to log in.
    pub login: HuaweiLogin,
    /// Whether to ask for all meetings of the enterprise (administrators) or the user's own.
    pub enterprise: bool,
    /// Whether all listed meetings count, or only `conference_ids`.
    pub discover: bool,
    /// Meetings to watch.
    pub conference_ids: Vec<String>,
    /// `conf-attendee` per active meeting.
    pub attendees: bool,
    /// `confDetail` per active meeting.
    pub details: bool,
    /// Meetings whose host password is known: live mute state.
    pub hosts: Vec<HuaweiHost>,
}

/// How to log in to Huawei Cloud Meeting.
#[derive(Clone, Debug, PartialEq)]
pub enum HuaweiLogin {
    /// App ID authentication.
    AppId {
        /// App ID.
        app_id: String,
        /// Its key.
        app_key: SecretSource,
        /// Act as this user; `None`: the default administrator.
        user_id: Option<String>,
        /// Corporation, for service providers only.
        corp_id: Option<String>,
    },
    /// A human's account.
    Account {
        /// Account.
        account: String,
        /// Its password.
        password: SecretSource,
    },
}

/// A meeting whose host password is known.
#[derive(Clone, Debug, PartialEq)]
pub struct HuaweiHost {
    /// Meeting ID.
    pub conference_id: String,
    /// Host password.
    pub password: SecretSource,
}

/// DingTalk.
#[derive(Clone, Debug, PartialEq)]
pub struct Dingtalk {
    /// How to get an access token.
    pub login: DingtalkLogin,
    /// Whether to list the organisation's ongoing meetings.
    pub discover: bool,
    /// Meetings to watch.
    pub conference_ids: Vec<String>,
    /// More of them, one a line, read at each collection.
    pub conference_ids_file: Option<PathBuf>,
    /// Ids per query; at least 1.
    pub batch_size: usize,
}

/// How to get a DingTalk access token.
#[derive(Clone, Debug, PartialEq)]
pub enum DingtalkLogin {
    /// Internal application.
    Internal {
        /// App key.
        app_key: String,
        /// Its secret.
        app_secret: SecretSource,
    },
    /// Unified endpoint.
    Unified {
        /// Corporation.
        corp_id: String,
        /// Client ID.
        client_id: String,
        /// Its secret.
        client_secret: SecretSource,
    },
    /// Third-party enterprise application.
    ThirdParty {
        /// Suite key.
        suite_key: String,
        /// Its secret.
        suite_secret: SecretSource,
        /// The corporation that authorised the suite.
        auth_corp_id: String,
        /// The ticket DingTalk pushes every few hours.
        suite_ticket: SecretSource,
    },
}
