// SPDX-License-Identifier: Apache-2.0
//! The two ways to log in: a signed App ID, or the account of a person.
//!
//! Source: `support.huaweicloud.com/api-meeting/`: `meeting_21_0311` (App ID), `meeting_21_0306`
//! (account), `meeting_21_0307` (tokens), and the vendor's Python SDK for what they leave open.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    Credentials, Host, Settings,
    codes::{self, Content},
};
use crate::{
    model::{CallName, Reason},
    net::{
        Answer, Api, Call, Failure, Fault,
        lenient::{Lifetime, Number, Object, Text},
    },
    session::{self, Grant},
};

pub(super) const APPAUTH: CallName = CallName("appauth");
pub(super) const ACCOUNT_LOGIN: CallName = CallName("account_login");
pub(super) const TOKEN_LOGOUT: CallName = CallName("token_logout");

/// `clientType` of a program that calls the API. With this one a user may have 64 valid tokens at once;
/// with those of the vendor's client programs only one, and the person would be logged out.
const API_CLIENT: u8 = 72;

/// How long a signature may be used: what the vendor's SDK takes.
const SIGNATURE_LIFETIME: i64 = 600;

/// Lifetime of a token whose answer does not say: the shortest that is documented.
const TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// No token lives longer, whatever the answer says: the documented maximum is a day.
const LONGEST_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Renew a token that long before it expires, or a tenth of its lifetime where that is shorter.
const MARGIN: Duration = Duration::from_secs(10 * 60);

/// `adminType` of an ordinary user.
const ORDINARY_USER: i64 = 2;

const JSON: &str = "application/json; charset=UTF-8";

/// What a login yields.
pub struct Token {
    /// The access token.
    pub(super) access: SecretString,
    /// The login said that it is no administrator's: it sees its own meetings only.
    pub(super) ordinary_user: bool,
}

/// What it takes: the key or the password, and the host passwords. The latter are not needed to
/// log in, but a refused one holds logins back until it changes.
pub struct Secrets {
    credential: SecretString,
    hosts: Vec<SecretString>,
}

/// The login of one tenant. There is a call to prolong a token; the vendor's own SDKs log in again instead.
#[derive(PartialEq)]
pub struct Login {
    way: Credentials,
    hosts: Vec<Host>,
}

impl Login {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { way: settings.login.clone(), hosts: settings.hosts.clone() }
    }
}

impl Credentials {
    /// As whom they log in.
    pub(super) fn who(&self) -> String {
        match self {
            Self::AppId { app_id, user_id, corp_id, .. } => {
                format!("{app_id} {} {}", filled(corp_id), filled(user_id))
            }
            Self::Account { account, .. } => account.clone(),
        }
    }
}

fn filled(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

impl session::Secrets for Secrets {
    fn all(&self) -> Vec<&SecretString> {
        std::iter::once(&self.credential).chain(&self.hosts).collect()
    }
}

impl session::Login for Login {
    type Token = Token;
    type Secrets = Secrets;

    async fn secrets(&self) -> Result<Secrets, Failure> {
        let credential = match &self.way {
            Credentials::AppId { app_key, .. } => app_key,
            Credentials::Account { password, .. } => password,
        };
        let credential = session::read(credential).await?;
        let mut hosts = Vec::with_capacity(self.hosts.len());
        for host in &self.hosts {
            hosts.push(session::read(&host.password).await?);
        }
        Ok(Secrets { credential, hosts })
    }

    async fn login(&self, api: &Api, secrets: &Secrets) -> Result<Grant<Token>, Failure> {
        let now = Timestamp::now().as_second();
        let call = match &self.way {
            Credentials::AppId { app_id, user_id, corp_id, .. } => {
                let signed = Signed {
                    app_id,
                    corp_id: filled(corp_id),
                    user_id: filled(user_id),
                    expire_time: now + SIGNATURE_LIFETIME,
                    nonce: nonce()?,
                };
                signed.call(secrets.credential.expose_secret())
            }
            Credentials::Account { account, .. } => {
                account_call(account, secrets.credential.expose_secret())
            }
        };
        api.send(call, granted).await
    }

    async fn logout(&self, api: &Api, token: &Token) {
        let call = Call::delete(TOKEN_LOGOUT, "/v1/usg/acs/token")
            .secret_header("x-access-token", token.access.expose_secret());
        // A token that is not given back expires by itself.
        let _ = api.send(call, Answer::check_status).await;
    }
}

/// What an App ID login signs.
struct Signed<'a> {
    app_id: &'a str,
    corp_id: &'a str,
    user_id: &'a str,
    expire_time: i64,
    nonce: String,
}

impl Signed<'_> {
    fn call(&self, app_key: &str) -> Call {
        let mut body = json!({
            "appId": self.app_id,
            "clientType": API_CLIENT,
            "expireTime": self.expire_time,
            "nonce": self.nonce,
        });
        // Names, addresses and the like are never sent: they are written into the directory.
        for (key, value) in [("userId", self.user_id), ("corpId", self.corp_id)] {
            if !value.is_empty() {
                body[key] = value.into();
            }
        }
        let authorization = Zeroizing::new(format!(
            "HMAC-SHA256 signature={},access={}",
            self.signature(app_key).as_str(),
            STANDARD.encode(self.app_id),
        ));
        Call::post(APPAUTH, "/v2/usg/acs/auth/appauth")
            .secret_header("authorization", &authorization)
            .header("x-token-type", "LongTicket")
            .header("content-type", JSON)
            .json(&body)
    }

    /// The colon before an empty user stays; only service providers sign a corporation.
    fn signature(&self, app_key: &str) -> Zeroizing<String> {
        let expire_time = self.expire_time.to_string();
        if self.corp_id.is_empty() {
            sign(app_key, &[self.app_id, self.user_id, &expire_time, &self.nonce])
        } else {
            sign(app_key, &[self.app_id, self.corp_id, self.user_id, &expire_time, &self.nonce])
        }
    }
}

/// HMAC-SHA256 of the parts joined with colons, in lower case hexadecimal.
fn sign(app_key: &str, parts: &[&str]) -> Zeroizing<String> {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(app_key.as_bytes()) else {
        return Zeroizing::default();
    };
    mac.update(parts.join(":").as_bytes());
    Zeroizing::new(HEXLOWER.encode(&mac.finalize().into_bytes()))
}

/// 36 characters in the form of a version 4 UUID, never the same twice.
fn nonce() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_| Failure::Secret("the system has no random numbers for a nonce".to_owned()))?;
    let bits = u128::from_be_bytes(bytes) & !(0xf000 << 64) & !(0xc000 << 48)
        | (0x4000 << 64)
        | (0x8000 << 48);
    let hex = format!("{bits:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Ok(parts.join("-"))
}

fn account_call(account: &str, password: &str) -> Call {
    let pair = Zeroizing::new(format!("{account}:{password}"));
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    let basic = Zeroizing::new(format!("Basic {}", encoded.as_str()));
    Call::post(ACCOUNT_LOGIN, "/v1/usg/acs/auth/account")
        .secret_header("authorization", &basic)
        .header("content-type", JSON)
        .json(&json!({ "account": account, "clientType": API_CLIENT, "createTokenType": 0 }))
}

/// The answer of both logins.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoggedIn<'a> {
    #[serde(borrow)]
    access_token: Text<'a>,
    #[serde(default)]
    valid_period: Lifetime,
    #[serde(default)]
    expire_time: Lifetime,
    user: Option<Object<User>>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default, rename = "adminType")]
    admin_type: Number,
}

impl Content for LoggedIn<'_> {
    fn is_empty(&self) -> bool {
        self.access_token.is_empty()
    }
}

fn granted(answer: &Answer) -> Result<Grant<Token>, Fault> {
    let now = answer.sent_at().as_second();
    codes::unwrap::<LoggedIn<'_>>(answer, codes::login)?.grant(now)
}

impl LoggedIn<'_> {
    fn grant(&self, now: i64) -> Result<Grant<Token>, Fault> {
        if self.access_token.is_empty() {
            return Err(Fault::new(Reason::Decode));
        }
        let (renew_after, valid_for) = self.lifetime(u64::try_from(now).unwrap_or(0));
        Ok(Grant {
            token: Token {
                access: SecretString::from(self.access_token.as_str()),
                ordinary_user: self
                    .user
                    .as_ref()
                    .is_some_and(|user| user.0.admin_type.0 == Some(ORDINARY_USER)),
            },
            renew_after,
            valid_for,
            renewable_for: valid_for,
        })
    }

    /// When to log in again, and how long the token is valid. `expireTime` is the server's clock:
    /// it only ever shortens, and where it has passed at `now` that cannot be meant.
    fn lifetime(&self, now: u64) -> (Duration, Duration) {
        let lifetime =
            |seconds: Option<u64>| seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let until_expiry = lifetime(self.expire_time.0.map(|at| at.saturating_sub(now)));
        let valid_for = lifetime(self.valid_period.0).or(until_expiry).unwrap_or(TOKEN_LIFETIME);
        let valid_for = valid_for.min(LONGEST_LIFETIME);
        let remaining = until_expiry.unwrap_or(valid_for).min(valid_for);
        let margin = MARGIN.min(remaining / 10);
        ((valid_for * 9 / 10).min(remaining - margin), valid_for)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed<'a>(corp_id: &'a str, user_id: &'a str) -> Signed<'a> {
        Signed {
            app_id: "fdb8e4699586458bbd10c834872dcc62",
            corp_id,
            user_id,
            expire_time: 1_627_722_929,
            nonce: "EycLQsHwxhzK9OW8UEKWNfH2I3CGR2nINuU1EBpv162d42d92s".to_owned(),
        }
    }

    const KEY: &str = "example-app-key-not-real";

    #[test]
    fn signatures_are_those_calculated_independently() {
        let vectors = [
            (
                signed("", "testuser@mycorp.com"),
                "d8e1459a46b42f61fad0192351bf2a6dfc91e3df616a654ff50e70edf1852af6",
            ),
            (signed("", ""), "bbbc213cd8dfd15db630449488e56037dd1ee6468297648d83c6e80a1c94d9c2"),
            (
                signed("807074304", ""),
                "d578b2ce4a926fc49c644c50b1a9e27cca7891f46b8ed27098bfad4daddc2950",
            ),
            (
                signed("807074304", "alice@ent01"),
                "0b452c533570e7f0a466a6b1d65994aa6dd0ee87517181052ccf1f7f0dd7484d",
            ),
        ];
        for (signed, expected) in vectors {
            assert_eq!(signed.signature(KEY).as_str(), expected);
        }
        // A service provider's own administrator; no configuration asks for this one.
        let Signed { app_id, nonce, .. } = signed("", "");
        assert_eq!(
            sign(KEY, &[app_id, "", "", "1627722929", &nonce]).as_str(),
            "e678724ed2724181229c2882e222984f330433172fcf6613d7c690ec5abd835d"
        );
        assert_eq!(STANDARD.encode(app_id), "ZmRiOGU0Njk5NTg2NDU4YmJkMTBjODM0ODcyZGNjNjI=");
    }

    #[test]
    fn nonces_are_uuids() {
        let (one, two) = (nonce().unwrap(), nonce().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 36);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&one.as_bytes()[19]), "{one}");
        assert!(one.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        }));
    }

    #[test]
    fn tokens_are_renewed_before_they_expire() {
        let now = 1_627_712_287;
        let lifetime = |json: &str| {
            let answer: LoggedIn<'_> = serde_json::from_str(json).unwrap();
            let (renew_after, valid_for) = answer.lifetime(now);
            (renew_after.as_secs(), valid_for.as_secs())
        };
        // The vendor's own example: 90 % comes before ten minutes to the end.
        assert_eq!(
            lifetime(r#"{"accessToken":"a","validPeriod":56326,"expireTime":1627768613}"#),
            (50_693, 56_326)
        );
        // The server's clock says that it ends earlier.
        assert_eq!(
            lifetime(r#"{"accessToken":"a","validPeriod":56326,"expireTime":1627732287}"#),
            (19_400, 56_326)
        );
        // Ours is far ahead.
        assert_eq!(
            lifetime(r#"{"accessToken":"a","validPeriod":1000,"expireTime":1}"#),
            (900, 1_000)
        );
        for zero in ["0", "-1", "null", "\"\"", "\"soon\"", "[1]"] {
            let json = format!(
                r#"{{"accessToken":"a","validPeriod":{zero},"expireTime":{}}}"#,
                now + 40_000
            );
            assert_eq!(lifetime(&json), (36_000, 40_000), "{zero}");
        }
        assert_eq!(lifetime(r#"{"accessToken":"a"}"#), (38_880, 43_200));
        assert_eq!(lifetime(r#"{"accessToken":"a","validPeriod":2,"expireTime":1627712289}"#).1, 2);
        assert_eq!(
            lifetime(r#"{"accessToken":"a","validPeriod":9007199254740992}"#).1,
            LONGEST_LIFETIME.as_secs()
        );
    }
}
