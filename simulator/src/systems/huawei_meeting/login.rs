// SPDX-License-Identifier: Apache-2.0
//! The two logins: signed App ID, account and password.

use super::{
    BAD_REQUEST, HUAWEI_ACCOUNT, HUAWEI_APP_ID, HUAWEI_APP_KEY, HUAWEI_PASSWORD, failed,
};
use crate::sessions::{LOGIN, TokenKind};
use crate::call::{Answer, Call};
use crate::instance::Instance;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::Duration;

/// Tokens live 12 to 24 hours; the figure of the documented example.
const TOKEN_LIFE: Duration = Duration::from_secs(56_326);
const REFRESH_LIFE: u64 = 2_592_000;
/// Live tokens a user may have with clientType 72; one more ends the oldest.
const TOKENS: usize = 64;
/// The threshold is not published; the 60 seconds are (error table of the client SDK).
const BAD_LOGINS: u32 = 5;
const LOCK: Duration = Duration::from_secs(60);
/// `clientType` of API callers.
const API_CLIENT: i64 = 72;

const BAD_ACCOUNT: &str = "USG.206010000";
const BAD_APP: &str = "USG.206010025";
const SIGNATURE_EXPIRED: &str = "USG.206010057";
const LOCKED: &str = "USG.206030015";

/// The hexadecimal signature of an App ID login: HMAC-SHA256 of the parts joined with colons.
fn signature(app_key: &str, parts: &[&str]) -> String {
    // An HMAC takes a key of any length, the empty one included.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(app_key.as_bytes()) else {
        return String::new();
    };
    mac.update(parts.join(":").as_bytes());
    crate::hex(&mac.finalize().into_bytes())
}

pub(super) fn appauth(instance: &mut Instance, call: &Call) -> Answer {
    if instance.sessions.locked(LOGIN, call.now) {
        return failed(423, LOCKED);
    }
    let Some(body) = call.json() else { return failed(400, BAD_REQUEST) };
    // Documented as required; the vendor's own SDK does without it.
    if call.header("x-token-type").is_some_and(|kind| kind != "LongTicket")
        || body["clientType"].as_i64() != Some(API_CLIENT)
    {
        return failed(400, BAD_REQUEST);
    }
    let nonce = body["nonce"].as_str().unwrap_or_default();
    let Some(expire_time) = body["expireTime"].as_i64() else { return failed(400, BAD_REQUEST) };
    if !(32..=64).contains(&nonce.len()) {
        return failed(400, BAD_REQUEST);
    }
    if !signed(call, &body, expire_time, nonce) {
        instance.login_failed(BAD_LOGINS, Some(LOCK), call.now);
        return failed(401, BAD_APP);
    }
    // 0 means never, which no client should sign.
    if expire_time <= call.unix() {
        return failed(401, SIGNATURE_EXPIRED);
    }
    if !instance.sessions.fresh_nonce(nonce) {
        return failed(401, BAD_APP);
    }
    let mut answer = issue(instance, call);
    // These are written into the corporate directory: more than reading.
    answer.forbidden = ["userName", "userEmail", "userPhone", "deptCode"]
        .iter()
        .any(|key| !body[key].is_null());
    answer
}

fn signed(call: &Call, body: &Value, expire_time: i64, nonce: &str) -> bool {
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    let (app, user, corp) = (text("appId"), text("userId"), text("corpId"));
    let Some((given, access)) = call
        .header("authorization")
        .and_then(|header| header.strip_prefix("HMAC-SHA256 signature="))
        .and_then(|rest| rest.split_once(",access="))
    else {
        return false;
    };
    let expire_time = expire_time.to_string();
    let forms: Vec<Vec<&str>> = match (corp, user) {
        // The default administrator of an enterprise, or of a service provider with all its enterprises.
        ("", "") => {
            vec![vec![app, "", &expire_time, nonce], vec![app, "", "", &expire_time, nonce]]
        }
        ("", user) => vec![vec![app, user, &expire_time, nonce]],
        (corp, user) => vec![vec![app, corp, user, &expire_time, nonce]],
    };
    app == HUAWEI_APP_ID
        && access == STANDARD.encode(app)
        // The documentation writes lower case, the vendor's SDK upper case.
        && forms.iter().any(|parts| signature(HUAWEI_APP_KEY, parts).eq_ignore_ascii_case(given))
}

pub(super) fn account(instance: &mut Instance, call: &Call) -> Answer {
    if instance.sessions.locked(LOGIN, call.now) {
        return failed(423, LOCKED);
    }
    let Some(body) = call.json() else { return failed(400, BAD_REQUEST) };
    if body["account"].as_str().is_none_or(str::is_empty) || !body["clientType"].is_i64() {
        return failed(400, BAD_REQUEST);
    }
    let basic = format!("Basic {}", STANDARD.encode(format!("{HUAWEI_ACCOUNT}:{HUAWEI_PASSWORD}")));
    if call.header("authorization") != Some(basic.as_str()) || body["account"] != HUAWEI_ACCOUNT {
        instance.login_failed(BAD_LOGINS, Some(LOCK), call.now);
        return failed(401, BAD_ACCOUNT);
    }
    issue(instance, call)
}

fn issue(instance: &mut Instance, call: &Call) -> Answer {
    instance.sessions.succeeded(LOGIN);
    if instance.sessions.slots(&TokenKind::Access, call.now) >= TOKENS {
        instance.sessions.kick_oldest(&TokenKind::Access, call.now);
    }
    let life = instance.token_life(TOKEN_LIFE);
    let access = instance.sessions.issue(TokenKind::Access, life, call.now);
    let refresh = instance.sessions.issue(TokenKind::Refresh, Duration::from_secs(REFRESH_LIFE), call.now);
    let now = call.unix();
    let valid = crate::seconds(life);
    Answer::ok(&json!({
        "accessToken": access,
        "tokenIp": "192.0.2.10",
        "validPeriod": valid,
        "expireTime": now + valid as i64,
        "createTime": now * 1000,
        "refreshToken": refresh,
        "refreshValidPeriod": REFRESH_LIFE,
        "refreshExpireTime": now + REFRESH_LIFE as i64,
        "refreshCreateTime": now * 1000,
        "tokenType": 0,
        "clientType": API_CLIENT,
        "proxyToken": null,
        "firstLogin": false,
        "pwdExpired": false,
        // The documented example says so.
        "daysPwdAvailable": -19678,
        "forceLoginInd": null,
        "user": {
            "userId": "ff808081699b56cb0169be103500012b",
            "adminType": instance.population.behaviour.admin_type,
            "userType": 2,
            "companyId": "651543334",
            "realm": "huaweicloud.com",
            "name": "Default administrator",
            "status": 0,
            "freeUser": null,
            "password": null,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_calculated_independently() {
        let key = "example-app-key-not-real";
        let app = "fdb8e4699586458bbd10c834872dcc62";
        let (expire, nonce) = ("1627722929", "EycLQsHwxhzK9OW8UEKWNfH2I3CGR2nINuU1EBpv162d42d92s");
        let vectors: [(&[&str], &str); 5] = [
            (
                &[app, "testuser@mycorp.com", expire, nonce],
                "d8e1459a46b42f61fad0192351bf2a6dfc91e3df616a654ff50e70edf1852af6",
            ),
            (
                &[app, "", expire, nonce],
                "bbbc213cd8dfd15db630449488e56037dd1ee6468297648d83c6e80a1c94d9c2",
            ),
            (
                &[app, "", "", expire, nonce],
                "e678724ed2724181229c2882e222984f330433172fcf6613d7c690ec5abd835d",
            ),
            (
                &[app, "807074304", "", expire, nonce],
                "d578b2ce4a926fc49c644c50b1a9e27cca7891f46b8ed27098bfad4daddc2950",
            ),
            (
                &[app, "807074304", "alice@ent01", expire, nonce],
                "0b452c533570e7f0a466a6b1d65994aa6dd0ee87517181052ccf1f7f0dd7484d",
            ),
        ];
        for (parts, expected) in vectors {
            assert_eq!(signature(key, parts), expected);
        }
    }
}
