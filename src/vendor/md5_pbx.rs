//! What OpenVox UC and the Yeastar S-Series really share: the MD5 login, the heartbeat, the
//! envelope of an answer and its error numbers.
//!
//! Sources: `help.yeastar.com/en/s-series-developer-v2/api-v2/` (login, heartbeat, logout,
//! `api_error_code`), `help.openvox.cn/docs/uc-series-ippbx/api-documentation/`. OpenVox's own
//! table of error numbers is not published; its API was modelled on Yeastar's.

use std::{fmt::Write as _, time::Duration};

use md5::{Digest, Md5};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    api::{Answer, Api, Call, Consequence, Endpoint, Failure, Fault, Reason, lenient::Text},
    config::{self, Pbx, secret::SecretSource},
    session::{self, Grant, Renewal, hold_off::Fingerprint},
};

pub(super) const LOGIN: Endpoint = Endpoint("login");
pub(super) const HEARTBEAT: Endpoint = Endpoint("heartbeat");
pub(super) const LOGOUT: Endpoint = Endpoint("logout");
pub(super) const QUERY: Endpoint = Endpoint("conference/query");
pub(super) const IN_SESSION: Endpoint = Endpoint("conference/query_in_session");
pub(super) const ENDPOINTS: &[Endpoint] = &[LOGIN, HEARTBEAT, LOGOUT, QUERY, IN_SESSION];

/// A token lives for half an hour after the last heartbeat.
const TOKEN_LIFE: Duration = Duration::from_secs(30 * 60);

/// The vendors advise a heartbeat every 10 to 15 minutes.
const HEARTBEAT_AFTER: Duration = Duration::from_secs(10 * 60);

/// Five refused logins lock the caller's address out for that long.
const LOCK_OUT: Duration = Duration::from_secs(10 * 60);

/// What differs between the two.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flavour {
    /// `version` of the login.
    pub(super) version: &'static str,
    /// Whether the heartbeat carries the version as well.
    pub(super) heartbeat_has_version: bool,
    /// Whether each call says `type=json`.
    pub(super) says_type: bool,
    /// Error numbers of a login that say nothing about the credentials.
    pub(super) not_about_credentials: &'static [&'static str],
}

/// The login of one PBX.
#[derive(PartialEq)]
pub(super) struct Md5Login {
    flavour: &'static Flavour,
    identity: String,
    username: String,
    password: SecretSource,
    event_port: u16,
}

impl Md5Login {
    pub(super) fn new(flavour: &'static Flavour, source: &config::Source, settings: &Pbx) -> Self {
        Self {
            flavour,
            identity: format!("{} {} {}", source.vendor(), source.base_url, settings.username),
            username: settings.username.clone(),
            password: settings.password.clone(),
            event_port: settings.event_port,
        }
    }

    /// A call with the token, the way this flavour wants it.
    pub(super) fn call(&self, endpoint: Endpoint, token: &SecretString) -> Call {
        let call = Call::post(endpoint, format!("/{}", endpoint.as_str()))
            .query("token", token.expose_secret());
        self.typed(call)
    }

    fn typed(&self, call: Call) -> Call {
        if self.flavour.says_type { call.query("type", "json") } else { call }
    }

    fn login_fault(&self, errno: &str) -> Fault {
        let fault = match errno {
            "20002" => Fault::new(Reason::LockedOut).then(Consequence::LockedOut(LOCK_OUT)),
            errno if self.flavour.not_about_credentials.contains(&errno) => {
                Fault::new(Reason::Vendor)
            }
            // Anything else counts as refused: five of those lock the address out.
            _ => Fault::new(Reason::Auth).then(Consequence::LoginRejected),
        };
        fault.with_code(errno)
    }
}

/// What an error number means on any call but the login.
pub(super) fn query_fault(errno: &str) -> Fault {
    let fault = match errno {
        "20004" | "20005" | "20006" => Fault::new(Reason::Auth).then(Consequence::RenewToken),
        "20002" => Fault::new(Reason::LockedOut).then(Consequence::LockedOut(LOCK_OUT)),
        "20003" => Fault::new(Reason::Auth),
        "20015" => Fault::new(Reason::Forbidden),
        // After a restart, tokens that are no longer known are answered with 10001, 10002 and
        // 30003 as well.
        _ => Fault::new(Reason::Vendor).then(Consequence::DoubtToken),
    };
    fault.with_code(errno)
}

/// Whether the vendors' tables have the number. They were seen in parts only: the gaps count as
/// documented.
fn is_documented(errno: &str) -> bool {
    matches!(errno.parse(), Ok(10_002..=10_110_u32 | 20_000..=20_021 | 30_001 | 30_003))
}

/// The part all answers have.
pub(super) trait Enveloped {
    /// `status` and `errno`.
    fn envelope(&self) -> (&str, &str);
}

/// An answer of which only the envelope matters.
#[derive(Deserialize)]
struct Bare<'a> {
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow, default)]
    errno: Text<'a>,
}

impl Enveloped for Bare<'_> {
    fn envelope(&self) -> (&str, &str) {
        (self.status.as_str(), self.errno.as_str())
    }
}

/// Decodes a success; a failure becomes what `fault` makes of its `errno`.
///
/// The systems answer HTTP 200 to everything; other statuses come from what stands before them,
/// unless the body says otherwise.
pub(super) fn unwrap<'a, T: Deserialize<'a> + Enveloped>(
    answer: &'a Answer,
    fault: impl Fn(&str) -> Fault,
) -> Result<T, Fault> {
    if let Err(status) = answer.check_status() {
        return match answer.decode::<Bare<'_>>() {
            Ok(bare) if failed(&bare) && is_documented(bare.errno.as_str()) => {
                Err(Answer::weigh(status, fault(bare.errno.as_str())))
            }
            Ok(_) | Err(_) => Err(status),
        };
    }
    let decoded = answer.decode::<T>()?;
    let (status, errno) = decoded.envelope();
    if status.eq_ignore_ascii_case("success") {
        Ok(decoded)
    } else if failed(&decoded) {
        Err(fault(errno))
    } else {
        Err(Fault::new(Reason::Decode))
    }
}

fn failed(answer: &impl Enveloped) -> bool {
    let (status, _) = answer.envelope();
    // The old guide's table says "Failure" where the answers say "Failed".
    status.eq_ignore_ascii_case("failed") || status.eq_ignore_ascii_case("failure")
}

impl session::Login for Md5Login {
    type Token = SecretString;
    type Secrets = SecretString;

    const LONGEST_HOLD_OFF: Duration = Duration::from_secs(15 * 60);

    async fn secrets(&self) -> Result<SecretString, Failure> {
        session::read(&self.password).await
    }

    fn identity<'a>(&self, secrets: &'a SecretString) -> (String, &'a SecretString) {
        (self.identity.clone(), secrets)
    }

    fn fingerprint(secrets: &SecretString) -> Fingerprint {
        session::fingerprint([secrets])
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
        let call = self.typed(Call::post(LOGIN, "/login")).json(&body);
        let token = api
            .send(call, |answer| {
                #[derive(Deserialize)]
                struct LoggedIn<'a> {
                    #[serde(borrow)]
                    status: Text<'a>,
                    #[serde(borrow, default)]
                    errno: Text<'a>,
                    #[serde(borrow, default)]
                    token: Text<'a>,
                }
                impl Enveloped for LoggedIn<'_> {
                    fn envelope(&self) -> (&str, &str) {
                        (self.status.as_str(), self.errno.as_str())
                    }
                }
                let answer: LoggedIn<'_> = unwrap(answer, |errno| self.login_fault(errno))?;
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
        let call = self.call(HEARTBEAT, token).json(&body);
        match api.send(call, |answer| unwrap::<Bare<'_>>(answer, query_fault).map(drop)).await {
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
        let _ = api
            .send(self.call(LOGOUT, token), |answer| {
                unwrap::<Bare<'_>>(answer, query_fault).map(drop)
            })
            .await;
    }
}

fn grant(token: SecretString) -> Grant<SecretString> {
    Grant { token, renew_after: HEARTBEAT_AFTER, valid_for: TOKEN_LIFE, renewable_for: TOKEN_LIFE }
}

fn md5_hex(password: &str) -> Zeroizing<String> {
    let mut hex = Zeroizing::new(String::with_capacity(32));
    for byte in Md5::digest(password.as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
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
