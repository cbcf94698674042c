//! Every key of the configuration file, once: the reader, the unknown-key hints, the JSON Schema
//! and the key reference of the README all come from these tables.

use std::time::Duration;

use crate::model::Vendor;

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
    /// One of [`Vendor::ALL`].
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
    /// A list of such mappings.
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

/// What is particular to one vendor.
#[derive(Debug)]
pub struct VendorKeys {
    /// Whose keys these are.
    pub vendor: Vendor,
    /// Default of `base_url`; `None`: it must be given.
    pub base_url: Option<&'static str>,
    /// Default of `api_path`.
    pub api_path: &'static str,
    /// Default of `min_interval`.
    pub min_interval: &'static str,
    /// Exactly one of these.
    pub logins: &'static [Login],
    /// The vendor's other keys.
    pub keys: &'static [&'static Key],
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Characters of a Huawei or DingTalk meeting id besides letters and digits.
const ID: &str = "_-";

/// As [`ID`], of a source's name.
const NAME_MARKS: &str = "_.-";

macro_rules! keys {
    ($($const:ident = $name:literal $kind:expr, $default:expr, $doc:literal;)*) => {
        $(pub(super) const $const: Key =
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
        "Address of the system, http or https; may carry a path prefix (a PBX behind a reverse proxy).";
    API_PATH = "api_path" Kind::ApiPath, None, "Path prefix of the vendor's API version.";
    LABELS = "labels" Kind::Labels, None,
        "Static labels for all series of the source; not one the exporter sets itself.";
    TIMEOUT = "timeout" Kind::Duration(Duration::from_millis(1), DAY), Some("10s"),
        "Longest a collection of this source may take.";
    MIN_INTERVAL = "min_interval" Kind::Duration(Duration::ZERO, Duration::from_secs(31 * 24 * 3600)), None,
        "A younger snapshot is served instead of asking again; `0s` asks at every scrape.";
    MAX_CONCURRENCY = "max_concurrency" Kind::Integer(1, 256), Some("4"),
        "Requests of one collection in flight at once.";
    MAX_RESPONSE_BYTES = "max_response_bytes" Kind::Size(1, 1 << 30), Some("8MiB"),
        "A larger answer, after decompression, is an error.";
    TLS = "tls" Kind::Section(TLS_KEYS), None,
        "How to verify the system and how to present ourselves; without it the system's roots are trusted.";
    PROXY_URL = "proxy_url" Kind::ProxyUrl, None,
        "Proxy to use, http, https or socks5; may carry credentials. Without it the usual environment variables hold.";
    CAPACITY = "capacity" Kind::Section(CAPACITY_KEYS), None,
        "What the system is licensed or sized for; shown as metrics, for panels and alerts that tell how full it is.";
    CONFERENCES = "conferences" Kind::Section(CONFERENCE_KEYS), None, "Series of their own for each conference.";

    CA_FILE = "ca_file" Kind::File, None,
        "PEM certificates to trust instead of the system's roots, for a private CA or a self-signed certificate.";
    CERT_FILE = "cert_file" Kind::File, None, "PEM client certificate chain; needs `key_file`.";
    KEY_FILE = "key_file" Kind::File, None, "PEM key of the client certificate; needs `cert_file`.";
    SERVER_NAME = "server_name" Kind::Id("._:-", 253), None,
        "Name to verify and to announce instead of the host of `base_url`.";
    INSECURE_SKIP_VERIFY = "insecure_skip_verify" Kind::Flag, Some("false"),
        "Accept any certificate. Anybody on the way can then read the credentials; prefer `ca_file`.";

    CAPACITY_CONFERENCES = "conferences" Kind::Integer(1, 1_000_000_000), None, "Conferences at once.";
    CAPACITY_PARTICIPANTS = "participants" Kind::Integer(1, 1_000_000_000), None, "People in all conferences together.";

    ENABLED = "enabled" Kind::Flag, Some("false"), "Whether there are any.";
    LIMIT = "limit" Kind::Integer(1, 10_000), Some("100"), "Only that many, the largest, are shown.";
    IDENTIFY = "identify" Kind::Choice(&["hash", "number", "name"]), Some("hash"),
        "What the `conference` label shows: a keyed hash of the vendor's id, the number, or the name.";

    USERNAME = "username" Kind::Text, None, "API user.";
    PASSWORD = "password" Kind::Secret, None, "API password, plain; the exporter hashes it.";
    EVENT_PORT = "event_port" Kind::Integer(1, 65_535), Some("8260"),
        "Port the login call demands for events; nothing listens there.";
    LIVE = "live" Kind::Flag, Some("true"), "Ask for the conferences in session.";

    CLIENT_ID = "client_id" Kind::Text, None, "Client ID of the API application.";
    CLIENT_SECRET = "client_secret" Kind::Secret, None, "Its client secret.";
    PAGE_SIZE = "page_size" Kind::Integer(1, 1000), Some("100"), "Rooms per page of conference/list.";
    ROOM_DETAILS = "room_details" Kind::Flag, Some("false"),
        "Ask for each room's settings too, one call a room.";
    ROOM_DETAILS_INTERVAL = "room_details_interval" Kind::Duration(Duration::ZERO, DAY), Some("30m"),
        "How often to ask for them; `0s` asks at every collection.";

    APP_ID = "app_id" Kind::Text, None, "App ID of the application.";
    APP_ID_KEY = "app_key" Kind::Secret, None, "Key of the App ID.";
    USER_ID = "user_id" Kind::Text, None,
        "Act as this user; without it as the enterprise's default administrator. An unknown one is created by the vendor!";
    SP_CORP_ID = "corp_id" Kind::Text, None, "Enterprise to act for; for service providers only.";
    ACCOUNT = "account" Kind::Text, None, "Account of a person, instead of an App ID.";
    ACCOUNT_PASSWORD = "password" Kind::Secret, None, "Password of the account.";
    SCOPE = "scope" Kind::Choice(&["enterprise", "own"]), Some("enterprise"),
        "All meetings of the enterprise (needs an administrator) or the user's own.";
    DISCOVER = "discover" Kind::Flag, Some("true"),
        "List the meetings; if false, only `conference_ids` are asked for.";
    HUAWEI_IDS = "conference_ids" Kind::Ids(ID, 64), None, "Meetings to watch, quoted: \"987654321\".";
    ATTENDEES = "attendees" Kind::Flag, Some("false"),
        "Ask for the attendees of each active meeting: moderators.";
    DETAILS = "details" Kind::Flag, Some("false"),
        "Ask for the details of each active meeting: people invited.";
    HOSTS = "hosts" Kind::Sections(HOST_KEYS), None,
        "Meetings whose host password is known: live mute state, raised hands.";
    HOST_CONFERENCE_ID = "conference_id" Kind::Id(ID, 64), None, "Meeting ID, quoted.";
    HOST_PASSWORD = "password" Kind::Secret, None, "Host password of the meeting.";

    APP_KEY = "app_key" Kind::Text, None, "App key of an internal application.";
    APP_SECRET = "app_secret" Kind::Secret, None, "Its app secret.";
    CORP_ID = "corp_id" Kind::Text, None, "Enterprise, for the unified token call.";
    DINGTALK_CLIENT_ID = "client_id" Kind::Text, None, "Client ID of the application.";
    DINGTALK_CLIENT_SECRET = "client_secret" Kind::Secret, None, "Its client secret.";
    SUITE_KEY = "suite_key" Kind::Text, None, "Suite key of a third-party application.";
    SUITE_SECRET = "suite_secret" Kind::Secret, None, "Its suite secret.";
    AUTH_CORP_ID = "auth_corp_id" Kind::Text, None, "Enterprise that authorised the suite.";
    SUITE_TICKET = "suite_ticket" Kind::Secret, None,
        "Ticket DingTalk pushes every few hours; best kept current in a file.";
    DINGTALK_IDS = "conference_ids" Kind::Ids(ID, 128), None, "Conferences to watch.";
    CONFERENCE_IDS_FILE = "conference_ids_file" Kind::File, None,
        "More of them, one a line, read at each collection.";
    BATCH_SIZE = "batch_size" Kind::Integer(1, 200), Some("50"), "Conferences asked for in one call.";
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

/// Keys of an entry of `hosts`.
pub const HOST_KEYS: &[&Key] = &[&HOST_CONFERENCE_ID, &HOST_PASSWORD];

const OPENVOX_UC: VendorKeys = VendorKeys {
    vendor: Vendor::OpenvoxUc,
    base_url: None,
    api_path: "/api/v0.0.1",
    min_interval: "0s",
    logins: &[Login { required: &[&USERNAME, &PASSWORD], optional: &[] }],
    keys: &[&EVENT_PORT, &LIVE],
};

const YEASTAR_S: VendorKeys = VendorKeys {
    vendor: Vendor::YeastarS,
    base_url: None,
    api_path: "/api/v2.0.0",
    min_interval: "0s",
    logins: &[Login { required: &[&USERNAME, &PASSWORD], optional: &[] }],
    keys: &[&EVENT_PORT, &LIVE],
};

const YEASTAR_P: VendorKeys = VendorKeys {
    vendor: Vendor::YeastarP,
    base_url: None,
    api_path: "/openapi/v1.0",
    min_interval: "0s",
    logins: &[Login { required: &[&CLIENT_ID, &CLIENT_SECRET], optional: &[] }],
    keys: &[&PAGE_SIZE, &LIVE, &ROOM_DETAILS, &ROOM_DETAILS_INTERVAL],
};

const HUAWEI_MEETING: VendorKeys = VendorKeys {
    vendor: Vendor::HuaweiMeeting,
    base_url: Some("https://api.meeting.huaweicloud.com"),
    api_path: "",
    min_interval: "30s",
    logins: &[
        Login { required: &[&APP_ID, &APP_ID_KEY], optional: &[&USER_ID, &SP_CORP_ID] },
        Login { required: &[&ACCOUNT, &ACCOUNT_PASSWORD], optional: &[] },
    ],
    keys: &[&SCOPE, &DISCOVER, &HUAWEI_IDS, &ATTENDEES, &DETAILS, &HOSTS],
};

const DINGTALK: VendorKeys = VendorKeys {
    vendor: Vendor::Dingtalk,
    base_url: Some("https://api.dingtalk.com"),
    api_path: "",
    min_interval: "15m",
    logins: &[
        Login { required: &[&APP_KEY, &APP_SECRET], optional: &[] },
        Login {
            required: &[&CORP_ID, &DINGTALK_CLIENT_ID, &DINGTALK_CLIENT_SECRET],
            optional: &[],
        },
        Login {
            required: &[&SUITE_KEY, &SUITE_SECRET, &AUTH_CORP_ID, &SUITE_TICKET],
            optional: &[],
        },
    ],
    keys: &[&DISCOVER, &DINGTALK_IDS, &CONFERENCE_IDS_FILE, &BATCH_SIZE],
};

impl VendorKeys {
    /// The keys of a vendor.
    pub const fn of(vendor: Vendor) -> &'static Self {
        match vendor {
            Vendor::OpenvoxUc => &OPENVOX_UC,
            Vendor::YeastarS => &YEASTAR_S,
            Vendor::YeastarP => &YEASTAR_P,
            Vendor::HuaweiMeeting => &HUAWEI_MEETING,
            Vendor::Dingtalk => &DINGTALK,
        }
    }

    /// The vendor's own keys: those of the logins first, then the others.
    pub fn own(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.logins.iter().flat_map(Login::keys).chain(self.keys.iter().copied())
    }

    /// Default of a common key, which may depend on the vendor.
    pub fn default_of(&self, key: &Key) -> Option<&'static str> {
        if key.name == BASE_URL.name {
            self.base_url
        } else if key.name == API_PATH.name {
            Some(self.api_path)
        } else if key.name == MIN_INTERVAL.name {
            Some(self.min_interval)
        } else {
            key.default
        }
    }
}

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
    /// The names it may be written with: one, or three for a secret.
    pub fn names(&self) -> Vec<String> {
        if matches!(self.kind, Kind::Secret) {
            secret_names(self.name).into()
        } else {
            vec![self.name.to_owned()]
        }
    }
}

/// `X`, `X_file`, `X_env`.
pub(super) fn secret_names(name: &str) -> [String; 3] {
    [name.to_owned(), format!("{name}_file"), format!("{name}_env")]
}

/// Every key of every table.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    let vendors = Vendor::ALL.into_iter().flat_map(|vendor| VendorKeys::of(vendor).own());
    [TOP, COMMON, TLS_KEYS, CAPACITY_KEYS, CONFERENCE_KEYS, HOST_KEYS]
        .into_iter()
        .flatten()
        .copied()
        .chain(vendors)
}

/// Whether any table has a key that can be written so.
pub(super) fn is_known(name: &str) -> bool {
    all().any(|key| key.names().iter().any(|known| known == name))
}

/// Whether a key of that name holds further keys.
pub(super) fn is_structure(name: &str) -> bool {
    all().any(|key| {
        key.name == name && matches!(key.kind, Kind::Labels | Kind::Section(_) | Kind::Sections(_))
    })
}

/// Whether a value of that name may be shown: some table knows it and none lets it hold a secret
/// or a person's account.
pub(super) fn is_safe(name: &str) -> bool {
    is_known(name)
        && all().filter(|key| key.names().iter().any(|known| known == name)).all(|key| {
            match key.kind {
                Kind::Name(..)
                | Kind::Vendor
                | Kind::ApiPath
                | Kind::Duration(..)
                | Kind::Size(..)
                | Kind::Integer(..)
                | Kind::Flag
                | Kind::Choice(_)
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
            }
        })
}
