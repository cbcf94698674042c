// SPDX-License-Identifier: Apache-2.0
//! BigBlueButton, also behind Scalelite, b3lb or b3scale.
//!
//! Source: `docs.bigbluebutton.org/development/api`, bbb-web of 2.4 to 3.0 and its templates, Scalelite 1.8.5, b3lb 3.3.2,
//! b3scale. The shared secret grants everything, and some calls of this API create or end a meeting with a GET: nothing
//! but `getMeetings` is ever sent. Its checksum never changes, so that the URL is as good as a password.

mod answers;
mod checksum;
mod codes;
mod shown;

use super::System;
use crate::{
    config::{
        self, Advice, Conferences, OwnSettings, Profile, Reading, Transport,
        keys::{self, Key, Kind},
        secret::SecretSource,
    },
    model::{CallName, MeasureSet, Observation, Reason, Sizes},
    net::{Call, Failure},
    recording::Shown,
    session::{Authorized, each_call::SecretInEachCall},
};
use answers::OF_PEOPLE;
pub use checksum::Algorithm;
use codes::unwrap;

const GET_MEETINGS: CallName = CallName("getMeetings");

/// What to look at where something else than the API answers.
const PATHS: &str =
    "base_url is the address without /bigbluebutton/api, which is the default of api_path";

const SHARED_SECRET: Key =
    Key::new("shared_secret", Kind::Secret, "The shared secret, as `bbb-conf --secret` shows it.");
const CHECKSUM: Key = Key::new(
    "checksum",
    Kind::Choice(Algorithm::WORDS),
    "How requests are signed; the server must allow it.",
)
.by_default("sha256");

/// The login of a BigBlueButton: its shared secret.
type Login = SecretInEachCall<0>;

/// The keys of a BigBlueButton.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The shared secret.
    pub shared_secret: SecretSource,
    /// How requests are signed.
    pub checksum: Algorithm,
}

/// One BigBlueButton server, or a load balancer before several.
pub struct BigBlueButton {
    checksum: Algorithm,
    conferences: Conferences,
}

impl System for BigBlueButton {
    const PROFILE: &'static Profile = &Profile {
        name: "bigbluebutton",
        title: "BigBlueButton",
        base_url: None,
        transport: Transport::Http { tls_port: Some(443) },
        usual_port: 443,
        api_path: "/bigbluebutton/api",
        min_interval: "0s",
        logins: &[keys::Login { required: &[&SHARED_SECRET], optional: &[] }],
        keys: &[&CHECKSUM],
        read,
        calls: &[GET_MEETINGS],
        user_agent: None,
        advice: &[
            Advice::new(
                Reason::Auth,
                "shared_secret is not the server's (bbb-conf --secret), or it does not allow this `checksum`",
            ),
            Advice::new(Reason::Http4xx, PATHS),
            Advice::new(Reason::Decode, PATHS),
            Advice::new(
                Reason::Http5xx,
                "the server restarts, or the proxy before it has trouble; look at its log",
            ),
        ],
    };

    const SHOWN: &Shown = &shown::SHOWN;

    type Settings = Settings;
    type Login = Login;

    fn login(settings: &Settings) -> Login {
        SecretInEachCall { secret: settings.shared_secret.clone(), keys: [] }
    }

    fn new(source: &config::Source, settings: &Settings) -> Self {
        Self { checksum: settings.checksum, conferences: source.conferences }
    }

    fn configured(&self) -> MeasureSet {
        MeasureSet::of(Sizes::MEASURES).with(OF_PEOPLE)
    }

    async fn collect(&self, authorized: &Authorized<'_, Login>) -> Result<Observation, Failure> {
        authorized
            .send(
                |secrets| {
                    let name = GET_MEETINGS.as_str();
                    let checksum = self.checksum.checksum(name, "", &secrets.secret);
                    Call::get(GET_MEETINGS, format!("/{name}")).query("checksum", &*checksum)
                },
                |answer| unwrap(answer, self.conferences).map(|meetings| meetings.observation()),
            )
            .await
    }
}

fn read(reading: &Reading<'_, '_>) -> Option<OwnSettings> {
    let section = reading.section;
    let shared_secret = section.secret(&SHARED_SECRET);
    let checksum = section.choice(&CHECKSUM).and_then(Algorithm::of);
    reading.login?;
    let settings = Settings { shared_secret: shared_secret?, checksum: checksum? };
    // There are no accounts: one secret a server, or a tenant of a balancer.
    Some(OwnSettings::new("", settings))
}
