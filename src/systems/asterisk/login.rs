// SPDX-License-Identifier: Apache-2.0
//! Logging in to an Asterisk, and off: the login belongs to its connection.

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{
    Settings,
    ami::{Action, Ami},
    answers::Nothing,
    codes::{Code, unwrap},
};
use crate::{
    config::secret::SecretSource,
    model::{CallName, Reason},
    net::{Api, Failure, Fault, lines::Lines},
    session::{self, Grant},
    systems::pbx::md5_hex,
};

pub(super) const CHALLENGE: CallName = CallName("challenge");
pub(super) const LOGIN: CallName = CallName("login");
pub(super) const LOGOFF: CallName = CallName("logoff");

/// The login of one Asterisk.
#[derive(PartialEq)]
pub struct Login {
    username: String,
    password: SecretSource,
}

impl Login {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { username: settings.username.clone(), password: settings.password.clone() }
    }
}

impl session::Login for Login {
    /// A connection that is logged in.
    type Token = Mutex<Lines<Ami>>;
    type Secrets = SecretString;

    async fn secrets(&self) -> Result<SecretString, Failure> {
        session::read(&self.password).await
    }

    async fn login(
        &self,
        api: &Api,
        password: &SecretString,
    ) -> Result<Grant<Self::Token>, Failure> {
        let mut lines = Lines::<Ami>::default();
        let action = Action::new("Challenge").with("AuthType", "MD5");
        let challenge = lines
            .ask(api, (CHALLENGE, ""), &action, |answer| {
                let answered = unwrap::<Nothing>(answer, Code::on_challenge)?;
                let challenge = answered.response.challenge.0;
                if challenge.is_empty() {
                    return Err(Fault::new(Reason::Decode));
                }
                Ok(challenge.into_owned())
            })
            .await?;
        // The password itself is not sent.
        let key = Zeroizing::new(challenge + password.expose_secret());
        let action = Action::new("Login")
            .with("AuthType", "MD5")
            .with("Username", &self.username)
            .with("Key", &md5_hex(&key))
            .with("Events", "off");
        let accepted = |answer: &_| Ok(unwrap::<Nothing>(answer, Code::on_login).map(drop)?);
        lines.ask(api, (LOGIN, ""), &action, accepted).await?;
        Ok(Grant::once(Mutex::new(lines)))
    }

    async fn logout(&self, api: &Api, token: &Self::Token) {
        let mut lines = token.lock().await;
        if lines.is_open() {
            let done = |answer: &_| Ok(unwrap::<Nothing>(answer, Code::on_query).map(drop)?);
            let _ = lines.ask(api, (LOGOFF, ""), &Action::new("Logoff"), done).await;
        }
    }
}
