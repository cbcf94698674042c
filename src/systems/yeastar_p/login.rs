// SPDX-License-Identifier: Apache-2.0
//! Logging in to a Yeastar P-Series: a pair of tokens, both new after each refresh.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{
    Settings,
    codes::{Bare, Code, enveloped, unwrap},
};
use crate::{
    config::secret::SecretSource,
    model::{CallName, Reason},
    net::{
        Answer, Api, Call, Failure, Fault,
        lenient::{Lifetime, Number, Text},
    },
    session::{self, Grant, Renewal},
};

pub(super) const GET_TOKEN: CallName = CallName("get_token");
pub(super) const REFRESH_TOKEN: CallName = CallName("refresh_token");
pub(super) const DEL_TOKEN: CallName = CallName("del_token");

/// Token lifetimes where an answer does not say, as documented.
const ACCESS_LIFETIME: Duration = Duration::from_secs(30 * 60);
const REFRESH_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The pause after the second refused login: after five, the PBX blocks our address.
const REFUSED: Duration = Duration::from_secs(6 * 60 * 60);

/// Whether a refresh that failed says nothing about a login: the PBX answered, and did not ask for a
/// pause. Then a login follows. Without one the same failure could last for a day, because a refresh token
/// outlives its access token by that much. Where nobody at this address is allowed to do anything, the
/// login finds that out, and is held back.
const fn is_only_about_the_refresh(reason: Reason) -> bool {
    match reason {
        Reason::Auth
        | Reason::Forbidden
        | Reason::Http4xx
        | Reason::Http5xx
        | Reason::Vendor
        | Reason::Decode
        | Reason::TooLarge => true,
        Reason::Timeout
        | Reason::Dns
        | Reason::Connect
        | Reason::Tls
        | Reason::LockedOut
        | Reason::RateLimited
        | Reason::Quota
        | Reason::Redirect => false,
    }
}

/// The pair of tokens.
pub struct Tokens {
    pub(super) access: SecretString,
    refresh: Option<SecretString>,
}

#[derive(Deserialize)]
struct Granted<'a> {
    errcode: Number,
    #[serde(borrow, default)]
    access_token: Text<'a>,
    #[serde(default)]
    access_token_expire_time: Lifetime,
    #[serde(borrow, default)]
    refresh_token: Text<'a>,
    #[serde(default)]
    refresh_token_expire_time: Lifetime,
}

enveloped!(Granted<'_>);

impl Granted<'_> {
    fn grant(self) -> Result<Grant<Tokens>, Fault> {
        if self.access_token.is_empty() {
            return Err(Fault::new(Reason::Decode));
        }
        let lifetime = |Lifetime(seconds), default| seconds.map_or(default, Duration::from_secs);
        let valid_for = lifetime(self.access_token_expire_time, ACCESS_LIFETIME);
        let refresh = (!self.refresh_token.is_empty())
            .then(|| SecretString::from(self.refresh_token.as_str()));
        let renewable_for = match refresh {
            Some(_) => lifetime(self.refresh_token_expire_time, REFRESH_LIFETIME).max(valid_for),
            None => valid_for,
        };
        Ok(Grant {
            token: Tokens { access: SecretString::from(self.access_token.as_str()), refresh },
            renew_after: valid_for * 4 / 5,
            valid_for,
            renewable_for,
        })
    }
}

/// The login of one P-Series.
#[derive(PartialEq)]
pub struct Login {
    client_id: String,
    client_secret: SecretSource,
}

impl session::Login for Login {
    type Token = Tokens;
    type Secrets = SecretString;

    const LONGEST_HOLD_OFF: Duration = REFUSED;

    async fn secrets(&self) -> Result<SecretString, Failure> {
        session::read(&self.client_secret).await
    }

    async fn login(&self, api: &Api, secret: &SecretString) -> Result<Grant<Tokens>, Failure> {
        let body = json!({ "username": self.client_id, "password": secret.expose_secret() });
        let call = Call::post(GET_TOKEN, "/get_token").json(&body);
        api.send(call, |answer| unwrap::<Granted<'_>>(answer, Code::on_login)?.grant()).await
    }

    async fn renew(
        &self,
        api: &Api,
        token: &Tokens,
        _cause: Renewal,
    ) -> Result<Option<Grant<Tokens>>, Failure> {
        let Some(refresh) = &token.refresh else { return Ok(None) };
        let body = json!({ "refresh_token": refresh.expose_secret() });
        let call = Call::post(REFRESH_TOKEN, "/refresh_token").json(&body);
        // Both tokens of the answer are new.
        let renewed =
            api.send(call, |answer| unwrap::<Granted<'_>>(answer, Code::on_query)?.grant()).await;
        match renewed {
            Ok(grant) => Ok(Some(grant)),
            Err(Failure::Request(error)) if is_only_about_the_refresh(error.fault.reason) => {
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn logout(&self, api: &Api, token: &Tokens) {
        let call =
            Call::get(DEL_TOKEN, "/del_token").query("access_token", token.access.expose_secret());
        // A token that is not given back expires by itself.
        let done = |answer: &Answer| Ok(unwrap::<Bare>(answer, Code::on_query).map(drop)?);
        let _ = api.send(call, done).await;
    }
}

impl Login {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            client_id: settings.client_id.clone(),
            client_secret: settings.client_secret.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_whatever_is_said_of_its_lifetime() {
        let lifetimes = |seconds: &str| {
            let json = format!(
                r#"{{"errcode":0,"access_token":"a","access_token_expire_time":{seconds},
                    "refresh_token":"r","refresh_token_expire_time":{seconds}}}"#
            );
            let granted: Granted<'_> = serde_json::from_str(&json).unwrap();
            let grant = granted.grant().unwrap();
            (grant.valid_for.as_secs(), grant.renewable_for.as_secs())
        };
        assert_eq!(lifetimes("600"), (600, 600));
        for odd in ["0", "-1", "null", "\"soon\"", "[1]", "18446744073709551615"] {
            assert_eq!(lifetimes(odd), (30 * 60, 24 * 60 * 60), "{odd}");
        }
    }
}
