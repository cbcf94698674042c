// SPDX-License-Identifier: Apache-2.0
//! Huawei Cloud Meeting.
//!
//! Failures are HTTP 4xx with `{"error_code":"MMC.111070005","error_msg":"…"}`.
//! Source: support.huaweicloud.com/api-meeting (pages `meeting_21_0311`, `_0306`, `_0017`, `_0018`, `_0025`, `_0027`,
//! `_0029` and "querying online attendees").

mod login;
mod meetings;
mod population;

use crate::sessions::{TokenKind, TokenState};
use crate::Simulator;
use crate::activity::Activity;
use crate::call::{Answer, Call};
use crate::instance::Instance;
use crate::model::{Conference, Population};
use crate::registry::{Codes, Description, HttpSystem, Protocol, SimulatedSystem, Vendor};
use crate::rng::Rng;
use crate::truth::Truth;
use hyper::Method;
use serde_json::{Value, json};

/// Huawei App ID.
pub const HUAWEI_APP_ID: &str = "demo-app-id";
/// Huawei App key.
pub const HUAWEI_APP_KEY: &str = "demo-app-key-not-secret";
/// Huawei account.
pub const HUAWEI_ACCOUNT: &str = "demo@example.com";
/// Password of the Huawei account.
pub const HUAWEI_PASSWORD: &str = "demo-password-not-secret";
/// Huawei meetings with a host password, (conferenceID, password), going on in every fresh population and, where it
/// changes, never ending: a configuration can name them in advance.
pub const HUAWEI_HOSTED: [(&str, &str); 2] =
    [("900000001", "demo-host-password-1"), ("900000002", "demo-host-password-2")];

const BAD_REQUEST: &str = "MMC.111070001";
const CONTROL_TOKEN_INVALID: &str = "MMC.111070004";
const NO_SUCH_MEETING: &str = "MMC.111070005";
const NOT_STARTED_OR_OVER: &str = "MMC.111072005";
const CONTROL_LOCKED: &str = "MMC.111072064";
const CONTROL_REFUSED: &str = "MMC.111072065";
const TOKEN_NULL: &str = "MMC.111070111";
const TOKEN_INVALID: &str = "USG.206020000";
const TOKEN_KICKED_OUT: &str = "USG.206020002";

pub(super) const DESCRIPTION: Description = Description {
    name: "huawei_meeting",
    calls: &[
        "appauth",
        "account_login",
        "token_logout",
        "conferences",
        "conferences/online",
        "confDetail",
        "online/conf-attendee",
        "control_token",
        "realTimeInfo",
    ],
    logins: &["appauth", "account_login"],
    with_token: &["conferences", "conferences/online", "confDetail", "online/conf-attendee"],
    credentials: &[
        &[("app_id", HUAWEI_APP_ID), ("app_key", HUAWEI_APP_KEY)],
        &[("account", HUAWEI_ACCOUNT), ("password", HUAWEI_PASSWORD)],
    ],
    codes: Codes {
        token_refused: TOKEN_INVALID,
        login_refused: "USG.206010025",
        locked_out: Some("USG.206030015"),
        throttled: Some("APIG.0308"),
    },
};

pub(super) struct HuaweiMeeting;

impl SimulatedSystem for HuaweiMeeting {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn protocol(&self) -> Protocol {
        Protocol::Http(&Self)
    }

    fn populate(&self, population: &mut Population, random: &mut Rng, now: i64) {
        population::populate(population, random, now);
    }

    fn truth(&self, population: &Population) -> Truth {
        population::truth(population)
    }

    fn activity(&self) -> Activity {
        Activity { conferences: 5..=25, largest: 39, lists_absent: true }
    }

    fn begin(&self, population: &mut Population, random: &mut Rng, now: i64) -> Option<Conference> {
        Some(population::begin(population, random, now))
    }

    fn tick(&self, population: &mut Population, random: &mut Rng, now: i64) {
        population::schedule(population, random, now);
    }

    fn secrets(&self) -> Vec<String> {
        vec![HUAWEI_APP_KEY.to_owned(), HUAWEI_PASSWORD.to_owned()]
    }

    fn secrets_of(&self, population: &Population) -> Vec<String> {
        let live = population.conferences.iter().map(|conference| &conference.id);
        let to_come = population.scheduled.iter().map(|scheduled| &scheduled.id);
        live.chain(to_come).flat_map(|id| meetings::secrets_of(id)).collect()
    }
}

impl HttpSystem for HuaweiMeeting {
    fn name(&self, instance: &Instance, call: &Call) -> Option<&'static str> {
        let path = instance.below("", &call.path)?;
        match (&call.method, path) {
            (&Method::POST, "/v2/usg/acs/auth/appauth") => Some("appauth"),
            (&Method::POST, "/v1/usg/acs/auth/account") => Some("account_login"),
            (&Method::DELETE, "/v1/usg/acs/token") => Some("token_logout"),
            (&Method::GET, "/v1/mmc/management/conferences") => Some("conferences"),
            (&Method::GET, "/v1/mmc/management/conferences/online") => Some("conferences/online"),
            (&Method::GET, "/v1/mmc/management/conferences/confDetail") => Some("confDetail"),
            (&Method::GET, "/v1/mmc/management/conferences/online/conf-attendee") => {
                Some("online/conf-attendee")
            }
            (&Method::GET, "/v1/mmc/control/conferences/token") => Some("control_token"),
            (&Method::GET, "/v1/mmc/control/conferences/realTimeInfo") => Some("realTimeInfo"),
            _ => None,
        }
    }

    fn answer(
        &self,
        instance: &mut Instance,
        name: Option<&'static str>,
        call: &Call,
    ) -> Answer {
        match name {
            None => Answer::json(
                404,
                &failure("APIG.0101", "The API does not exist or has not been published"),
            ),
            Some("appauth") => login::appauth(instance, call),
            Some("account_login") => login::account(instance, call),
            Some("control_token") => meetings::control_token(instance, call),
            Some("realTimeInfo") => meetings::real_time_info(instance, call),
            Some(name) => match authorise(instance, call) {
                Err(refusal) => refusal,
                Ok(token) => match name {
                    "token_logout" => {
                        instance.sessions.revoke(&token);
                        // No body is documented for this one.
                        Answer::bytes(hyper::body::Bytes::new())
                    }
                    "conferences" => meetings::list(instance, call, false),
                    "conferences/online" => meetings::list(instance, call, true),
                    "confDetail" => meetings::detail(instance, call),
                    _ => meetings::attendees(instance, call),
                },
            },
        }
    }

    fn failure(&self, code: &str) -> Answer {
        failed(status_of(code), code)
    }

    fn main_keys(&self, name: &str) -> &'static [&'static str] {
        match name {
            "appauth" | "account_login" => &["accessToken"],
            "realTimeInfo" => &["participants"],
            _ => &["data"],
        }
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("server", "api-gateway")]
    }
}

impl Simulator {
    /// The live Huawei meetings with a host password: (conferenceID, password).
    pub fn host_passwords(&self, instance: &str) -> Vec<(String, String)> {
        self.population(Vendor::HuaweiMeeting, instance).host_passwords()
    }
}

fn authorise(instance: &Instance, call: &Call) -> Result<String, Answer> {
    let token = call.header("x-access-token").unwrap_or_default();
    if token.is_empty() {
        return Err(failed(401, TOKEN_NULL));
    }
    match instance.sessions.state(&TokenKind::Access, token, call.now) {
        TokenState::Good => Ok(token.to_owned()),
        TokenState::KickedOut => Err(failed(401, TOKEN_KICKED_OUT)),
        TokenState::Expired => Err(failed(401, TOKEN_INVALID)),
        TokenState::Unknown => Err(HuaweiMeeting.failure(&instance.unknown_token(TOKEN_INVALID))),
    }
}

/// The failure shape.
fn failure(code: &str, text: &str) -> Value {
    json!({ "error_code": code, "error_msg": text })
}

fn failed(status: u16, code: &str) -> Answer {
    Answer::json(status, &failure(code, "the request was refused"))
}

/// The HTTP status that goes with a code.
fn status_of(code: &str) -> u16 {
    match code.rsplit('.').next().unwrap_or(code) {
        "206020000" | "206020001" | "206020002" | "111070111" | "206010000" | "206010025"
        | "206010057" | "206010058" => 401,
        "111070002" | "111070010" => 403,
        "206010007" => 412,
        "206030015" => 423,
        "0308" | "100000429" => 429,
        "111070003" => 500,
        _ => 400,
    }
}
