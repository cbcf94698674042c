// SPDX-License-Identifier: Apache-2.0
//! Logging in to a FreeSWITCH, and off: the login belongs to its connection.

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{
    Settings,
    answers::{Replied, Reply},
    codes::Code,
    event_socket::{Command, EventSocket},
};
use crate::{
    config::secret::SecretSource,
    model::CallName,
    net::{Api, Failure, lines::Lines},
    session::{self, Grant},
};

pub(super) const AUTH: CallName = CallName("auth");
pub(super) const EXIT: CallName = CallName("exit");

/// The login of one FreeSWITCH.
#[derive(PartialEq)]
pub struct Login {
    /// `None`: with the password of the event socket itself.
    username: Option<String>,
    password: SecretSource,
}

impl Login {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { username: settings.username.clone(), password: settings.password.clone() }
    }
}

impl session::Login for Login {
    /// A connection that is logged in.
    type Token = Mutex<Lines<EventSocket>>;
    type Secrets = SecretString;

    async fn secrets(&self) -> Result<SecretString, Failure> {
        session::read(&self.password).await
    }

    async fn login(
        &self,
        api: &Api,
        password: &SecretString,
    ) -> Result<Grant<Self::Token>, Failure> {
        let password = password.expose_secret();
        // What follows a line break would be a command of its own.
        if password.contains(char::is_control) {
            let problem = "the password holds a line break or another control character";
            return Err(Failure::Secret(problem.to_owned()));
        }
        let command = Zeroizing::new(match &self.username {
            Some(username) => format!("userauth {username}:{password}"),
            None => format!("auth {password}"),
        });
        let mut lines = Lines::<EventSocket>::default();
        lines
            .ask(api, (AUTH, ""), &Command(command), |answer| {
                match answer.decode::<Replied<'_>>()?.reply()? {
                    Reply::Accepted => Ok(()),
                    Reply::Refused(_) => Err(Code::on_login()),
                }
            })
            .await?;
        Ok(Grant::once(Mutex::new(lines)))
    }

    async fn logout(&self, api: &Api, token: &Self::Token) {
        let mut lines = token.lock().await;
        if lines.is_open() {
            let command = Command(Zeroizing::new("exit".to_owned()));
            let done =
                |answer: &crate::net::Answer| answer.decode::<Replied<'_>>()?.reply().map(drop);
            let _ = lines.ask(api, (EXIT, ""), &command, done).await;
        }
    }
}
