// SPDX-License-Identifier: Apache-2.0
//! FreeSWITCH's `mod_conference`, also under FusionPBX, by the event socket.
//!
//! Source: the documentation of `mod_conference` and `mod_event_socket`
//! (developer.signalwire.com/freeswitch), and the answers of a FreeSWITCH 1.10.12. The event socket can do
//! anything: only the commands below are ever sent.

mod answers;
mod codes;
mod event_socket;
mod login;
mod shown;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::System;
use crate::{
    config::{
        self, Advice, Conferences, OwnSettings, Profile, Reading, Transport,
        keys::{self, Key, Kind},
        secret::SecretSource,
    },
    model::{CallName, MeasureSet, Observation, Reason, Sizes},
    net::Failure,
    recording::Shown,
    session::Authorized,
};
use answers::{PEOPLE, conferences, observation};
use event_socket::Command;
use login::Login;

const JSON_LIST: CallName = CallName("json_list");

const PASSWORD: Key = Key::new(
    "password",
    Kind::Secret,
    "Password of the event socket, or of `username`; the default one must go.",
);
const USERNAME: Key = Key::new(
    "username",
    Kind::Text,
    "User of the directory and its domain, `exporter@pbx.example`, with an `esl-password`; `esl-allowed-api` may be `conference` alone.",
);

/// The keys of a FreeSWITCH.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// User of the directory; `None`: the event socket's own password.
    pub username: Option<String>,
    /// Its password.
    pub password: SecretSource,
}

/// One FreeSWITCH.
pub struct FreeSwitch {
    conferences: Conferences,
}

impl System for FreeSwitch {
    const PROFILE: &'static Profile = &Profile {
        name: "freeswitch",
        title: "FreeSWITCH",
        base_url: None,
        transport: Transport::Lines { tls_port: None },
        usual_port: 8021,
        api_path: "",
        min_interval: "0s",
        logins: &[keys::Login { required: &[&PASSWORD], optional: &[&USERNAME] }],
        keys: &[],
        read,
        calls: &[login::AUTH, JSON_LIST, login::EXIT],
        user_agent: None,
        advice: &[
            Advice::new(
                Reason::Connect,
                "check host and port of base_url (usually 8021), and listen-ip in event_socket.conf.xml",
            ),
            Advice::new(
                Reason::Auth,
                "check the password in event_socket.conf.xml, or the esl-password of the user",
            ),
            Advice::new(
                Reason::Forbidden,
                "let this machine in by apply-inbound-acl, and the user by esl-allowed-api: conference",
            ),
            Advice::new(Reason::Vendor, "FreeSWITCH refused the command: look at its log"),
            Advice::new(
                Reason::Decode,
                "is base_url the event socket (usually port 8021), and not another service?",
            ),
        ],
    };

    const SHOWN: &Shown = &shown::SHOWN;

    type Settings = Settings;
    type Login = Login;

    fn login(settings: &Settings) -> Login {
        Login::new(settings)
    }

    fn new(source: &config::Source, _: &Settings) -> Self {
        Self { conferences: source.conferences }
    }

    fn configured(&self) -> MeasureSet {
        MeasureSet::of(Sizes::MEASURES).with(PEOPLE)
    }

    async fn collect(&self, authorized: &Authorized<'_, Login>) -> Result<Observation, Failure> {
        let connection = authorized.log_in().await?;
        let mut lines = connection.lock().await;
        let command = Command(Zeroizing::new("api conference json_list".to_owned()));
        lines
            .ask(authorized.api(), (JSON_LIST, ""), &command, |answer| {
                let now = Timestamp::now().as_second();
                observation(conferences(answer)?, self.conferences, now)
            })
            .await
    }
}

/// Whether `userauth` can take it for a user and a domain: a colon in it would begin the password.
fn has_domain(username: &str) -> bool {
    let parts = username.split_once('@');
    parts.is_some_and(|(user, domain)| !user.is_empty() && !domain.is_empty())
        && !username.contains(':')
}

fn read(reading: &Reading<'_, '_>) -> Option<OwnSettings> {
    let section = reading.section;
    let password = section.secret(&PASSWORD);
    let username = section.is_given(&USERNAME).then(|| section.text(&USERNAME));
    reading.login?;
    let username = match username {
        Some(text) => Some(text?),
        None => None,
    };
    if username.as_deref().is_some_and(|username| !has_domain(username)) {
        let remedy =
            "write it like `exporter@pbx.example`, with the domain as the directory names it";
        section.warning(&USERNAME, "FreeSWITCH refuses a user without its domain", Some(remedy));
    }
    let account = username.clone().unwrap_or_default();
    Some(OwnSettings::new(account, Settings { username, password: password? }))
}
