// SPDX-License-Identifier: Apache-2.0
//! Access tokens: three ways to one, none to prolong it or to give it back.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;

use super::{
    ACCEPT_JSON, ACCESS_TOKEN, Credentials, Settings,
    codes::{On, Reply, unwrap},
};
use crate::{
    model::Reason,
    net::{
        Api, Call, Failure, Fault,
        lenient::{Lifetime, Number, Text, present},
    },
    session::{self, Grant},
};

/// Lifetime where an answer does not say, as documented.
const LIFETIME: Duration = Duration::from_secs(7200);

/// No token is taken to live shorter: one that does is refused and replaced once a collection.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(60);

/// A token is replaced so long before it ends, as documented.
const EARLY: Duration = Duration::from_secs(5 * 60);

/// How one organisation's token is asked for.
#[derive(PartialEq)]
pub struct Login {
    way: Credentials,
}

impl Credentials {
    /// As whom they log in.
    pub(super) fn who(&self) -> String {
        match self {
            Self::Internal { app_key, .. } => app_key.clone(),
            Self::Unified { corp_id, client_id, .. } => format!("{corp_id} {client_id}"),
            Self::ThirdParty { suite_key, auth_corp_id, .. } => {
                format!("{suite_key} {auth_corp_id}")
            }
        }
    }
}

/// The secrets of a login.
pub struct Secrets {
    lasting: SecretString,
    /// Pushed to the suite's owner every few hours; third-party applications only.
    ticket: Option<SecretString>,
}

impl Login {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { way: settings.login.clone() }
    }

    fn call(&self, secrets: &Secrets) -> Call {
        let secret = secrets.lasting.expose_secret();
        let (path, body) = match &self.way {
            Credentials::Internal { app_key, .. } => (
                "/v1.0/oauth2/accessToken".to_owned(),
                json!({ "appKey": app_key, "appSecret": secret }),
            ),
            Credentials::Unified { corp_id, client_id, .. } => (
                format!("/v1.0/oauth2/{}/token", utf8_percent_encode(corp_id, UNRESERVED)),
                json!({
                    "client_id": client_id,
                    "client_secret": secret,
                    "grant_type": "client_credentials",
                }),
            ),
            Credentials::ThirdParty { suite_key, auth_corp_id, .. } => (
                "/v1.0/oauth2/corpAccessToken".to_owned(),
                json!({
                    "suiteKey": suite_key,
                    "suiteSecret": secret,
                    "authCorpId": auth_corp_id,
                    "suiteTicket": secrets.ticket.as_ref().map_or("", |t| t.expose_secret()),
                }),
            ),
        };
        Call::post(ACCESS_TOKEN, path).header(ACCEPT_JSON.0, ACCEPT_JSON.1).json(&body)
    }
}

/// What is left as it is in one segment of a path.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl session::Secrets for Secrets {
    /// A new ticket is worth a new try just as a new secret is.
    fn all(&self) -> Vec<&SecretString> {
        [&self.lasting].into_iter().chain(&self.ticket).collect()
    }
}

impl session::Login for Login {
    type Token = SecretString;
    type Secrets = Secrets;

    async fn secrets(&self) -> Result<Secrets, Failure> {
        let (lasting, ticket) = match &self.way {
            Credentials::Internal { app_secret, .. } => (app_secret, None),
            Credentials::Unified { client_secret, .. } => (client_secret, None),
            Credentials::ThirdParty { suite_secret, suite_ticket, .. } => {
                (suite_secret, Some(suite_ticket))
            }
        };
        let lasting = session::read(lasting).await?;
        let ticket = match ticket {
            Some(ticket) => Some(session::read(ticket).await?),
            None => None,
        };
        Ok(Secrets { lasting, ticket })
    }

    async fn login(&self, api: &Api, secrets: &Secrets) -> Result<Grant<SecretString>, Failure> {
        api.send(self.call(secrets), |answer| unwrap::<Granted<'_>>(answer, On::Token)?.grant())
            .await
    }

    async fn logout(&self, _: &Api, _: &SecretString) {
        // There is no call for it, and other replicas share the token.
    }
}

/// The spelling depends on the way, and the documentation's samples mix them.
#[derive(Deserialize)]
struct Granted<'a> {
    #[serde(borrow, default, rename = "accessToken")]
    access_token: Text<'a>,
    #[serde(borrow, default, rename = "access_token")]
    access_token_unified: Text<'a>,
    #[serde(default, rename = "expireIn")]
    expire_in: Lifetime,
    #[serde(default, rename = "expires_in")]
    expires_in: Lifetime,
    #[serde(default)]
    errcode: Number,
    #[serde(default, deserialize_with = "present")]
    punish: Option<IgnoredAny>,
}

impl Granted<'_> {
    fn token(&self) -> &str {
        [&self.access_token, &self.access_token_unified]
            .into_iter()
            .map(Text::as_str)
            .find(|token| !token.is_empty())
            .unwrap_or_default()
    }

    fn grant(self) -> Result<Grant<SecretString>, Fault> {
        let token = self.token();
        if token.is_empty() {
            return Err(Fault::new(Reason::Decode));
        }
        let valid_for = self
            .expire_in
            .0
            .or(self.expires_in.0)
            .map_or(LIFETIME, Duration::from_secs)
            .max(SHORTEST_LIFETIME);
        Ok(Grant {
            token: SecretString::from(token),
            renew_after: valid_for.saturating_sub(EARLY).max(SHORTEST_LIFETIME),
            valid_for,
            renewable_for: valid_for,
        })
    }
}

impl Reply for Granted<'_> {
    fn is_answer(&self) -> bool {
        self.errcode.0.unwrap_or(0) == 0 && self.punish.is_none() && !self.token().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(json: &str) -> Option<(String, u64, u64)> {
        let granted: Granted<'_> = serde_json::from_str(json).unwrap();
        let grant = granted.grant().ok()?;
        let seconds = (grant.renew_after.as_secs(), grant.valid_for.as_secs());
        Some((grant.token.expose_secret().to_owned(), seconds.0, seconds.1))
    }

    #[test]
    fn a_token_is_renewed_early_but_never_at_once() {
        let token = |renew, valid| Some(("t".to_owned(), renew, valid));
        assert_eq!(grant(r#"{"accessToken":"t","expireIn":7200}"#), token(6900, 7200));
        assert_eq!(grant(r#"{"access_token":"t","expires_in":7200}"#), token(6900, 7200));
        assert_eq!(grant(r#"{"accessToken":"t","expires_in":"3600"}"#), token(3300, 3600));
        assert_eq!(grant(r#"{"accessToken":"t"}"#), token(6900, 7200));
        for odd in ["0", "-1", "null", "\"soon\"", "[1]"] {
            let json = format!(r#"{{"accessToken":"t","expireIn":{odd}}}"#);
            assert_eq!(grant(&json), token(6900, 7200), "{odd}");
        }
        assert_eq!(grant(r#"{"accessToken":"t","expireIn":1}"#), token(60, 60));
        assert_eq!(grant(r#"{"accessToken":"t","expireIn":200}"#), token(60, 200));
        assert_eq!(grant(r#"{"accessToken":"","expireIn":7200}"#), None);
        assert_eq!(grant("{}"), None);
    }

    #[test]
    fn a_corporation_stays_one_segment() {
        let segment = |corp_id| utf8_percent_encode(corp_id, UNRESERVED).to_string();
        assert_eq!(segment("ding0a1B-_"), "ding0a1B-_");
        assert_eq!(segment("a/b?c%d é"), "a%2Fb%3Fc%25d%20%C3%A9");
    }
}
