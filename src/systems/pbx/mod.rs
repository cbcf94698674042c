//! What the PBXs share: conferences with members who are in or wait (`live`), and for OpenVox UC
//! and the Yeastar S-Series, whose APIs differ in few details, also the MD5 login, the heartbeat, the
//! envelope of an answer and its error numbers, and the live query.

pub(super) mod codes;
pub(super) mod in_session;
pub(super) mod live;
pub(super) mod login;

use crate::{
    config::{
        Advice, OwnSettings, Reading,
        keys::{Key, Kind, Login},
        secret::SecretSource,
    },
    model::{CallName, Reason},
    net::Call,
};
use secrecy::{ExposeSecret, SecretString};

/// What differs between the two.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flavour {
    /// `version` of the login.
    pub(super) version: &'static str,
    /// Whether the heartbeat carries the version as well.
    pub(super) heartbeat_has_version: bool,
    /// Whether each call says `type=json`.
    pub(super) says_type: bool,
    /// Whether the vendor's table tells which error numbers say nothing about the credentials.
    pub(super) tells_other_faults: bool,
}

pub(super) const QUERY: CallName = CallName("conference/query");
pub(super) const IN_SESSION: CallName = CallName("conference/query_in_session");
pub(super) const CALLS: &[CallName] =
    &[login::LOGIN, login::HEARTBEAT, login::LOGOUT, QUERY, IN_SESSION];

/// Whether to ask for what goes on right now, of every PBX.
pub(super) const LIVE: Key =
    Key::new("live", Kind::Flag, "Ask for the conferences in session.").by_default("true");

const USERNAME: Key = Key::new("username", Kind::Text, "API user.");
const PASSWORD: Key =
    Key::new("password", Kind::Secret, "API password, plain; the exporter hashes it.");
const EVENT_PORT: Key = Key::new(
    "event_port",
    Kind::Integer(1, 65_535),
    "Port the login call demands for events; nothing listens there.",
)
.by_default("8260");

pub(super) const LOGINS: &[Login] = &[Login { required: &[&USERNAME, &PASSWORD], optional: &[] }];
pub(super) const KEYS: &[&Key] = &[&EVENT_PORT, &LIVE];

/// The keys of OpenVox UC and of the Yeastar S-Series.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// API user.
    pub username: String,
    /// API password, plain: the exporter hashes it.
    pub password: SecretSource,
    /// The port the login call demands for events; the exporter does not listen on it.
    pub event_port: u16,
    /// Whether to ask for conferences in session.
    pub live: bool,
}

pub(super) fn read(reading: &Reading<'_, '_>) -> Option<OwnSettings> {
    let section = reading.section;
    let username = section.text(&USERNAME);
    let password = section.secret(&PASSWORD);
    let event_port = section.integer(&EVENT_PORT);
    let live = section.flag(&LIVE);
    reading.login?;
    let username = username?;
    Some(OwnSettings::new(
        username.clone(),
        Settings {
            username,
            password: password?,
            event_port: u16::try_from(event_port).ok()?,
            live,
        },
    ))
}

impl Flavour {
    /// A call with the token, the way this system wants it.
    pub(super) fn call(&self, call: CallName, token: &SecretString) -> Call {
        let path = format!("/{}", call.as_str());
        self.typed(Call::post(call, path).query("token", token.expose_secret()))
    }

    fn typed(&self, call: Call) -> Call {
        if self.says_type { call.query("type", "json") } else { call }
    }
}

pub(super) const ADVICE: &[Advice] = &[
    Advice::new(
        Reason::Auth,
        "check username and password of the API user (not of the web interface), and that the API is switched on",
    )
    .at(login::LOGIN),
    Advice::new(
        Reason::Auth,
        "the token was refused: does something else log in with the same API user?",
    ),
    Advice::new(
        Reason::LockedOut,
        "too many refused logins: wait 10 minutes, or remove this machine from the blocked addresses of the PBX",
    ),
    Advice::new(
        Reason::Forbidden,
        "allow this machine's address in the API settings of the PBX",
    ),
    Advice::new(
        Reason::Vendor,
        "look the code up in the PBX' API documentation; does this firmware have conferences in its API?",
    ),
];
