//! Huawei Cloud Meeting.
//!
//! Failures are HTTP 4xx with `{"error_code":"MMC.111070005","error_msg":"…"}`.
//! Source: support.huaweicloud.com/api-meeting (pages `meeting_21_0311`, `_0306`, `_0017`, `_0018`, `_0025`, `_0027`,
//! `_0029` and "querying online attendees").

mod login;
mod meetings;

use crate::session::{Kind, Standing};
use crate::system::{Answer, Call, System};
use hyper::Method;
use serde_json::{Value, json};

pub(crate) use meetings::secrets_of;

const BAD_REQUEST: &str = "MMC.111070001";
const CONTROL_TOKEN_INVALID: &str = "MMC.111070004";
const NO_SUCH_MEETING: &str = "MMC.111070005";
const NOT_STARTED_OR_OVER: &str = "MMC.111072005";
const CONTROL_LOCKED: &str = "MMC.111072064";
const CONTROL_REFUSED: &str = "MMC.111072065";
const TOKEN_NULL: &str = "MMC.111070111";
const TOKEN_INVALID: &str = "USG.206020000";
const TOKEN_KICKED_OUT: &str = "USG.206020002";

pub(crate) fn endpoint(system: &System, call: &Call) -> Option<&'static str> {
    let path = system.below("", call)?;
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

pub(crate) fn answer(system: &mut System, endpoint: Option<&'static str>, call: &Call) -> Answer {
    match endpoint {
        None => Answer::json(
            404,
            &failure("APIG.0101", "The API does not exist or has not been published"),
        ),
        Some("appauth") => login::appauth(system, call),
        Some("account_login") => login::account(system, call),
        Some("control_token") => meetings::control_token(system, call),
        Some("realTimeInfo") => meetings::real_time_info(system, call),
        Some(endpoint) => match authorise(system, call) {
            Err(refusal) => refusal,
            Ok(token) => match endpoint {
                "token_logout" => {
                    system.sessions.revoke(&token);
                    // No body is documented for this one.
                    Answer::bytes(hyper::body::Bytes::new())
                }
                "conferences" => meetings::list(system, call, false),
                "conferences/online" => meetings::list(system, call, true),
                "confDetail" => meetings::detail(system, call),
                _ => meetings::attendees(system, call),
            },
        },
    }
}

fn authorise(system: &System, call: &Call) -> Result<String, Answer> {
    let token = call.header("x-access-token").unwrap_or_default();
    if token.is_empty() {
        return Err(failed(401, TOKEN_NULL));
    }
    match system.sessions.standing(&Kind::Access, token, call.now) {
        Standing::Good => Ok(token.to_owned()),
        Standing::KickedOut => Err(failed(401, TOKEN_KICKED_OUT)),
        Standing::Expired | Standing::Unknown => Err(failed(401, TOKEN_INVALID)),
    }
}

/// The failure shape.
pub(crate) fn failure(code: &str, text: &str) -> Value {
    json!({ "error_code": code, "error_msg": text })
}

fn failed(status: u16, code: &str) -> Answer {
    Answer::json(status, &failure(code, "the request was refused"))
}

/// The HTTP status that goes with a code.
pub(crate) fn status_of(code: &str) -> u16 {
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
