// SPDX-License-Identifier: Apache-2.0
//! What PBXs share: rooms and their truth in [`population`], conferences without rooms in [`mixer`]; here the API of OpenVox UC and the Yeastar S-Series with
//! its MD5 login, tokens that expire after a time without use, and `errno` failures.
//!
//! Every answer is HTTP 200; failures are `{"status":"Failed","errno":"…"}`.
//! Facts: help.yeastar.com/en/s-series-developer-v2 and help.openvox.cn, "API Authentication" and "Error Code".

use crate::call::{Answer, Call};
use crate::instance::Instance;
use crate::model::Population;
use crate::registry::{Codes, Description};
use crate::sessions::{LOGIN, TokenKind, TokenState};
use md5::{Digest, Md5};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) mod mixer;
pub(super) mod population;

/// User of the OpenVox and S-Series API.
pub const PBX_USERNAME: &str = "api";
/// Password of the OpenVox and S-Series API.
pub const PBX_PASSWORD: &str = "demo-password-not-secret";

/// Without any interaction for this long a token is dropped.
const TOKEN_LIFE: Duration = Duration::from_secs(30 * 60);
/// Bad logins until the caller's address is locked, and for how long.
const BAD_LOGINS: u32 = 5;
const LOCK: Duration = Duration::from_secs(10 * 60);

pub(super) const UNSUPPORTED: &str = "10003";
pub(super) const BLANK_PARAMETER: &str = "10004";
pub(super) const NO_SUCH_CONFERENCE: &str = "10110";
const JSON_ONLY: &str = "20000";
const POST_ONLY: &str = "20001";
const LOCKED_OUT: &str = "20002";
const BAD_CREDENTIALS: &str = "20003";
const NO_SUCH_TOKEN: &str = "20004";
const TOKEN_BLANK: &str = "20005";
const TOKEN_TIMED_OUT: &str = "20006";
const EMPTY_REQUEST: &str = "20009";

/// The description of a system that speaks this API.
pub(super) const fn description(name: &'static str) -> Description {
    Description {
        name,
        calls: &["login", "heartbeat", "logout", "conference/query", "conference/query_in_session"],
        logins: &["login"],
        with_token: &["heartbeat", "conference/query", "conference/query_in_session"],
        credentials: &[&[("username", PBX_USERNAME), ("password", PBX_PASSWORD)]],
        codes: Codes {
            token_refused: NO_SUCH_TOKEN,
            login_refused: BAD_CREDENTIALS,
            locked_out: Some(LOCKED_OUT),
            throttled: None,
        },
    }
}

/// The key of a call's answer that a client cannot do without.
pub(super) fn main_keys(name: &str) -> &'static [&'static str] {
    match name {
        "login" => &["token"],
        "conference/query" | "conference/query_in_session" => &["conferences", "conference"],
        _ => &["status"],
    }
}

/// The password, and its hash, with which one can log in to such a PBX as well.
pub(super) fn secrets() -> Vec<String> {
    vec![PBX_PASSWORD.to_owned(), md5_hex(PBX_PASSWORD)]
}

/// One connection a request, say the documents of all PBXs.
pub(super) const CLOSE: (&str, &str) = ("connection", "close");

/// The read call this is, if it is one.
pub(super) fn name(
    instance: &Instance,
    description: &Description,
    api_path: &str,
    call: &Call,
) -> Option<&'static str> {
    let path = instance.below(api_path, &call.path)?.strip_prefix('/')?;
    if call.method != hyper::Method::POST {
        return None;
    }
    description.calls.iter().copied().find(|name| *name == path)
}

pub(super) fn failed(errno: &str) -> Answer {
    Answer::ok(&json!({ "status": "Failed", "errno": errno }))
}

/// The answer to anything that is no read call.
pub(super) fn unsupported(call: &Call) -> Answer {
    failed(if call.method == hyper::Method::POST { UNSUPPORTED } else { POST_ONLY })
}

fn md5_hex(text: &str) -> String {
    crate::hex(&Md5::digest(text.as_bytes()))
}

/// `transport` is what the S-Series adds to the answer.
pub(super) fn login(instance: &mut Instance, call: &Call, transport: Option<&str>) -> Answer {
    let body = match object(call) {
        Ok(body) => body,
        Err(errno) => return failed(errno),
    };
    if instance.sessions.locked(LOGIN, call.now) {
        return failed(LOCKED_OUT);
    }
    if ["username", "password", "port"].iter().any(|key| text(&body, key).is_empty()) {
        return failed(BLANK_PARAMETER);
    }
    if text(&body, "username") != PBX_USERNAME || text(&body, "password") != md5_hex(PBX_PASSWORD) {
        instance.login_failed(BAD_LOGINS, Some(LOCK), call.now);
        return failed(BAD_CREDENTIALS);
    }
    instance.sessions.succeeded(LOGIN);
    let life = instance.token_life(TOKEN_LIFE);
    let token = instance.sessions.issue(TokenKind::Access, life, call.now);
    let mut answer = json!({ "status": "Success", "token": token });
    if let Some(transport) = transport {
        answer["transport"] = json!(transport);
    }
    Answer::ok(&answer)
}

/// Any call with a good token counts as interaction and prolongs it.
pub(super) fn authorise(instance: &mut Instance, call: &Call) -> Result<(), Answer> {
    let token = call.query("token").unwrap_or_default();
    if token.is_empty() {
        return Err(failed(TOKEN_BLANK));
    }
    match instance.sessions.state(&TokenKind::Access, token, call.now) {
        TokenState::Good => {
            let life = instance.token_life(TOKEN_LIFE);
            instance.sessions.extend(token, life, call.now);
            Ok(())
        }
        TokenState::Expired => Err(failed(TOKEN_TIMED_OUT)),
        TokenState::KickedOut | TokenState::Unknown => {
            Err(failed(&instance.unknown_token(NO_SUCH_TOKEN)))
        }
    }
}

pub(super) fn heartbeat(call: &Call) -> Answer {
    match object(call) {
        Err(errno) => failed(errno),
        Ok(body) if text(&body, "ipaddr").is_empty() || text(&body, "port").is_empty() => {
            failed(BLANK_PARAMETER)
        }
        Ok(_) => Answer::ok(&json!({ "status": "Success" })),
    }
}

pub(super) fn logout(instance: &mut Instance, call: &Call) -> Answer {
    instance.sessions.revoke(call.query("token").unwrap_or_default());
    Answer::ok(&json!({ "status": "Success" }))
}

/// The `number` parameter of a query.
pub(super) fn number(call: &Call) -> Result<String, Answer> {
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

pub(super) fn yes_no(on: bool) -> &'static str {
    if on { "yes" } else { "no" }
}

/// The key of the live answer's list, which the documents write in two ways.
pub(super) fn list_key(population: &Population) -> &'static str {
    if population.behaviour.plural_conferences { "conferences" } else { "conference" }
}
