// SPDX-License-Identifier: Apache-2.0
//! The login of OpenVox UC and of the Yeastar S-Series: the password as MD5, a token that a
//! heartbeat keeps alive.
//!
//! Sources: `help.yeastar.com/en/s-series-developer-v2/api-v2/` (login, heartbeat, logout),
//! `help.openvox.cn/docs/uc-series-ippbx/api-documentation/`.

use std::time::Duration;

use data_encoding::HEXLOWER;
use md5::{Digest, Md5};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Flavour, Settings,
    codes::{Bare, Code, enveloped, unwrap},
};
use crate::{
    config::secret::SecretSource,
    model::{CallName, Reason},
    net::{Answer, Api, Call, Failure, Fault, lenient::Text},
    session::{self, Grant, Renewal},
};

pub(super) const LOGIN: CallName = CallName("login");
pub(super) const HEARTBEAT: CallName = CallName("heartbeat");
pub(super) const LOGOUT: CallName = CallName("logout");

/// A token lives for half an hour after the last heartbeat.
const TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// The vendors advise a heartbeat every 10 to 15 minutes.
const HEARTBEAT_AFTER: Duration = Duration::from_secs(10 * 60);

/// The login of one PBX.
#[derive(PartialEq)]
pub struct Md5Login {
    flavour: &'static Flavour,
    username: String,
    password: SecretSource,
    event_port: u16,
}

impl Md5Login {
    pub(in crate::systems) fn new(flavour: &'static Flavour, settings: &Settings) -> Self {
        Self {
            flavour,
            username: settings.username.clone(),
            password: settings.password.clone(),
            event_port: settings.event_port,
        }
    }
}

#[derive(Deserialize)]
struct LoggedIn<'a> {
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    errno: Text<'a>,
    #[serde(borrow, default)]
    token: Text<'a>,
}

enveloped!(LoggedIn);

impl session::Login for Md5Login {
    type Token = SecretString;
    type Secrets = SecretString;

    async fn secrets(&self) -> Result<SecretString, Failure> {
        session::read(&self.password).await
    }

    async fn login(
        &self,
        api: &Api,
        password: &SecretString,
    ) -> Result<Grant<SecretString>, Failure> {
        let digest = md5_hex(password.expose_secret());
        let body = json!({
            "username": self.username,
            "password": digest.as_str(),
            "port": self.event_port.to_string(),
            "version": self.flavour.version,
        });
        let call = self.flavour.typed(Call::post(LOGIN, "/login")).json(&body);
        let token = api
            .send(call, |answer| {
                let meaning = |code: Code| code.on_login(self.flavour.tells_other_faults);
                let answer: LoggedIn<'_> = unwrap(answer, meaning)?;
                if answer.token.is_empty() {
                    return Err(Fault::new(Reason::Decode));
                }
                Ok(SecretString::from(answer.token.as_str()))
            })
            .await?;
        Ok(grant(token))
    }

    async fn renew(
        &self,
        api: &Api,
        token: &SecretString,
        cause: Renewal,
    ) -> Result<Option<Grant<SecretString>>, Failure> {
        if cause == Renewal::Refused {
            return Ok(None);
        }
        let mut body = json!({
            "ipaddr": api.local_address().await.map_or_else(|| "127.0.0.1".to_owned(), |ip| ip.to_string()),
            "port": self.event_port.to_string(),
        });
        if self.flavour.heartbeat_has_version {
            body["version"] = self.flavour.version.into();
        }
        let call = self.flavour.call(HEARTBEAT, token).json(&body);
        match api.send(call, done).await {
            Ok(()) => Ok(Some(grant(token.clone()))),
            // The PBX is there and does not want this token prolonged: log in anew.
            Err(Failure::Request(error))
                if matches!(error.fault.reason, Reason::Auth | Reason::Vendor) =>
            {
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn logout(&self, api: &Api, token: &SecretString) {
        // A token that is not given back expires by itself.
        let _ = api.send(self.flavour.call(LOGOUT, token), done).await;
    }
}

fn done(answer: &Answer) -> Result<(), Fault> {
    Ok(unwrap::<Bare<'_>>(answer, Code::on_query).map(drop)?)
}

fn grant(token: SecretString) -> Grant<SecretString> {
    Grant {
        token,
        renew_after: HEARTBEAT_AFTER,
        valid_for: TOKEN_LIFETIME,
        renewable_for: TOKEN_LIFETIME,
    }
}

/// MD5 in lower-case hexadecimal digits.
pub(in crate::systems) fn md5_hex(text: &str) -> Zeroizing<String> {
    Zeroizing::new(HEXLOWER.encode(&Md5::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_sent_as_lower_case_md5() {
        assert_eq!(md5_hex("password").as_str(), "5f4dcc3b5aa765d61d8327deb882cf99");
        assert_eq!(md5_hex("").as_str(), "d41d8cd98f00b204e9800998ecf8427e");
    }
}
