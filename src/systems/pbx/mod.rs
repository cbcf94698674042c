// SPDX-License-Identifier: Apache-2.0
//! What the PBXs share: conferences with members who are in or wait (`live`), and for OpenVox UC
//! and the Yeastar S-Series, whose APIs differ in few details, also the MD5 login, the heartbeat, the
//! envelope of an answer and its error numbers, and all that is asked (`system`).

mod answers;
mod codes;
pub(super) mod live;
mod login;
mod shown;
mod system;

pub(super) use login::md5_hex;
pub(super) use system::{Pbx, Variant};

use crate::{
    config::{
        Advice, OwnSettings, Profile, Reading, Transport,
        keys::{Key, Kind, Login},
        secret::SecretSource,
    },
    model::{CallName, Measure, Reason},
    net::Call,
};
use secrecy::{ExposeSecret, SecretString};

/// What differs between the two.
#[derive(Debug, PartialEq, Eq)]
pub struct Flavour {
    /// `version` of the login.
    pub version: &'static str,
    /// Whether the heartbeat carries the version as well.
    pub heartbeat_has_version: bool,
    /// Whether each call says `type=json`.
    pub says_type: bool,
    /// Whether the vendor's table tells which error numbers say nothing about the credentials.
    pub tells_other_faults: bool,
    /// The settings that its rooms have.
    pub settings: &'static [Measure],
    /// Whether the live query takes `all` in place of the rooms' numbers.
    pub live_takes_all: bool,
}

/// The profile of a system with this API.
pub(super) const fn profile(
    name: &'static str,
    title: &'static str,
    usual_port: u16,
    tls_port: Option<u16>,
    api_path: &'static str,
) -> Profile {
    Profile {
        name,
        title,
        base_url: None,
        transport: Transport::Http { tls_port },
        usual_port,
        api_path,
        min_interval: "0s",
        logins: LOGINS,
        keys: &[&EVENT_PORT, &LIVE],
        read,
        calls: &[login::LOGIN, login::HEARTBEAT, login::LOGOUT, QUERY, IN_SESSION],
        user_agent: None,
        advice: ADVICE,
    }
}

const QUERY: CallName = CallName("conference/query");
const IN_SESSION: CallName = CallName("conference/query_in_session");

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

const LOGINS: &[Login] = &[Login { required: &[&USERNAME, &PASSWORD], optional: &[] }];

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

fn read(reading: &Reading<'_, '_>) -> Option<OwnSettings> {
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
    fn call(&self, call: CallName, token: &SecretString) -> Call {
        let path = format!("/{}", call.as_str());
        self.typed(Call::post(call, path).query("token", token.expose_secret()))
    }

    fn typed(&self, call: Call) -> Call {
        if self.says_type { call.query("type", "json") } else { call }
    }
}

const ADVICE: &[Advice] = &[
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
