//! What OpenVox UC and the Yeastar S-Series share: MD5 login, tokens that die of inactivity, `errno` failures.
//!
//! Every answer is HTTP 200; failures are `{"status":"Failed","errno":"…"}`.
//! Facts: help.yeastar.com/en/s-series-developer-v2 and help.openvox.cn, "API Authentication" and "Error Code".

use crate::credentials::{PBX_PASSWORD, PBX_USERNAME};
use crate::session::{Kind, Standing};
use crate::system::{Answer, Call, System};
use md5::{Digest, Md5};
use serde_json::{Value, json};
use std::time::Duration;

/// Without any interaction for this long a token is dropped.
const TOKEN_LIFE: Duration = Duration::from_secs(30 * 60);
/// Bad logins until the caller's address is locked, and for how long.
const BAD_LOGINS: u32 = 5;
const LOCK: Duration = Duration::from_secs(10 * 60);

pub(crate) const UNSUPPORTED: &str = "10003";
pub(crate) const BLANK_PARAMETER: &str = "10004";
pub(crate) const NO_SUCH_CONFERENCE: &str = "10110";
const JSON_ONLY: &str = "20000";
const POST_ONLY: &str = "20001";
const LOCKED_OUT: &str = "20002";
const BAD_CREDENTIALS: &str = "20003";
const NO_SUCH_TOKEN: &str = "20004";
const TOKEN_BLANK: &str = "20005";
const TOKEN_TIMED_OUT: &str = "20006";
const EMPTY_REQUEST: &str = "20009";

pub(crate) const ENDPOINTS: [&str; 5] =
    ["login", "heartbeat", "logout", "conference/query", "conference/query_in_session"];

/// The read call this is, if it is one.
pub(crate) fn endpoint(system: &System, prefix: &str, call: &Call) -> Option<&'static str> {
    let path = system.below(prefix, call)?.strip_prefix('/')?;
    if call.method != hyper::Method::POST {
        return None;
    }
    ENDPOINTS.into_iter().find(|endpoint| *endpoint == path)
}

pub(crate) fn failed(errno: &str) -> Answer {
    Answer::ok(&json!({ "status": "Failed", "errno": errno }))
}

/// The answer to anything that is no read call.
pub(crate) fn unsupported(call: &Call) -> Answer {
    failed(if call.method == hyper::Method::POST { UNSUPPORTED } else { POST_ONLY })
}

pub(crate) fn md5_hex(text: &str) -> String {
    crate::hex(&Md5::digest(text.as_bytes()))
}

/// `transport` is what the S-Series adds to the answer.
pub(crate) fn login(system: &mut System, call: &Call, transport: Option<&str>) -> Answer {
    let body = match object(call) {
        Ok(body) => body,
        Err(errno) => return failed(errno),
    };
    if system.sessions.locked(call.now) {
        return failed(LOCKED_OUT);
    }
    if ["username", "password", "port"].iter().any(|key| text(&body, key).is_empty()) {
        return failed(BLANK_PARAMETER);
    }
    if text(&body, "username") != PBX_USERNAME || text(&body, "password") != md5_hex(PBX_PASSWORD) {
        system.sessions.failed(BAD_LOGINS, Some(LOCK), call.now);
        return failed(BAD_CREDENTIALS);
    }
    system.sessions.succeeded();
    let life = system.token_life(TOKEN_LIFE);
    let token = system.sessions.issue(Kind::Access, life, call.now);
    let mut answer = json!({ "status": "Success", "token": token });
    if let Some(transport) = transport {
        answer["transport"] = json!(transport);
    }
    Answer::ok(&answer)
}

/// Any call with a good token counts as interaction and prolongs it.
pub(crate) fn authorise(system: &mut System, call: &Call) -> Result<(), Answer> {
    let token = call.query("token").unwrap_or_default();
    if token.is_empty() {
        return Err(failed(TOKEN_BLANK));
    }
    match system.sessions.standing(&Kind::Access, token, call.now) {
        Standing::Good => {
            let life = system.token_life(TOKEN_LIFE);
            system.sessions.extend(token, life, call.now);
            Ok(())
        }
        Standing::Expired => Err(failed(TOKEN_TIMED_OUT)),
        Standing::KickedOut | Standing::Unknown => Err(failed(NO_SUCH_TOKEN)),
    }
}

pub(crate) fn heartbeat(call: &Call) -> Answer {
    match object(call) {
        Err(errno) => failed(errno),
        Ok(body) if text(&body, "ipaddr").is_empty() || text(&body, "port").is_empty() => {
            failed(BLANK_PARAMETER)
        }
        Ok(_) => Answer::ok(&json!({ "status": "Success" })),
    }
}

pub(crate) fn logout(system: &mut System, call: &Call) -> Answer {
    system.sessions.revoke(call.query("token").unwrap_or_default());
    Answer::ok(&json!({ "status": "Success" }))
}

/// The `number` parameter of a query.
pub(crate) fn number(call: &Call) -> Result<String, Answer> {
    match object(call) {
        Err(errno) => Err(failed(errno)),
        Ok(body) => match text(&body, "number") {
            blank if blank.is_empty() => Err(failed(BLANK_PARAMETER)),
            number => Ok(number),
        },
    }
}

fn object(call: &Call) -> Result<Value, &'static str> {
    if call.body.is_empty() {
        return Err(EMPTY_REQUEST);
    }
    call.json().ok_or(JSON_ONLY)
}

/// A value as text: the documentation types ports as strings and shows integers.
fn text(body: &Value, key: &str) -> String {
    match body.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

pub(crate) fn yes_no(on: bool) -> &'static str {
    if on { "yes" } else { "no" }
}
