// SPDX-License-Identifier: Apache-2.0
//! DingTalk video conferences.
//!
//! Failures are HTTP 4xx with `{"code":"…","requestid":"…","message":"…"}`; an unknown path is HTTP 200 with
//! `{"errcode":404,…}`.
//! Source: open.dingtalk.com/document/development, `batch-query-of-video-conference-information`,
//! `api-queryorgconferencelist`, `obtain-the-access-token-of-an-internal-app` and its neighbours.

use crate::model::{Conference, Participant, Population, Presence, UnknownIds};
use crate::rng;
use crate::sessions::{TokenKind, TokenState};
use crate::activity::Activity;
use crate::call::{Answer, Call};
use crate::instance::Instance;
use crate::registry::{Codes, Description, HttpSystem, Protocol, SimulatedSystem};
use crate::rng::Rng;
use crate::truth::Truth;
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;

mod population;

/// DingTalk internal application: key.
pub const DINGTALK_APP_KEY: &str = "demo-app-key";
/// DingTalk internal application: secret.
pub const DINGTALK_APP_SECRET: &str = "demo-app-secret-not-secret";
/// DingTalk unified token call and third-party applications: the corporation.
pub const DINGTALK_CORP_ID: &str = "dingdemo";
/// DingTalk third-party application: key.
pub const DINGTALK_SUITE_KEY: &str = "demo-suite-key";
/// DingTalk third-party application: secret.
pub const DINGTALK_SUITE_SECRET: &str = "demo-suite-secret-not-secret";
/// DingTalk third-party application: ticket.
pub const DINGTALK_SUITE_TICKET: &str = "demo-suite-ticket-not-secret";
/// Unified token call: client ID and secret.
const CLIENT_ID: &str = "demo-client-id";
const CLIENT_SECRET: &str = "demo-client-secret-not-secret";

const TOKEN_REFUSED: &str = "InvalidAuthentication";
const REQUEST_ID: &str = "5C2D5E4F-0000-7000-8000-9A1B2C3D4E5F";
const TOKEN_LIFE: Duration = Duration::from_secs(7200);
const PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

pub(super) const DESCRIPTION: Description = Description {
    name: "dingtalk",
    calls: &["access_token", "orgConferences", "videoConferences/query"],
    logins: &["access_token"],
    with_token: &["orgConferences", "videoConferences/query"],
    credentials: &[
        &[("app_key", DINGTALK_APP_KEY), ("app_secret", DINGTALK_APP_SECRET)],
        &[
            ("corp_id", DINGTALK_CORP_ID),
            ("client_id", CLIENT_ID),
            ("client_secret", CLIENT_SECRET),
        ],
        &[
            ("suite_key", DINGTALK_SUITE_KEY),
            ("suite_secret", DINGTALK_SUITE_SECRET),
            ("auth_corp_id", DINGTALK_CORP_ID),
            ("suite_ticket", DINGTALK_SUITE_TICKET),
        ],
    ],
    codes: Codes {
        token_refused: TOKEN_REFUSED,
        login_refused: "invalidClientIdOrSecret",
        locked_out: None,
        throttled: Some("Forbidden.AccessDenied.QpsLimitForAppkeyAndApi"),
    },
};

pub(super) struct Dingtalk;

impl SimulatedSystem for Dingtalk {
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

    fn begin(&self, _population: &mut Population, random: &mut Rng, now: i64) -> Option<Conference> {
        let mut new = population::conference(random, now);
        new.all_muted = random.percent(15);
        Some(new)
    }

    fn secrets(&self) -> Vec<String> {
        [CLIENT_SECRET, DINGTALK_APP_SECRET, DINGTALK_SUITE_SECRET, DINGTALK_SUITE_TICKET]
            .map(str::to_owned)
            .into()
    }

    fn secrets_of(&self, population: &Population) -> Vec<String> {
        population.conferences.iter().flat_map(|c| [creator(&c.id), link(&c.id)]).collect()
    }
}

impl HttpSystem for Dingtalk {
    fn name(&self, instance: &Instance, call: &Call) -> Option<&'static str> {
        let path = instance.below("", &call.path)?;
        match (&call.method, path) {
            (&Method::GET, "/v1.0/conference/orgConferences") => Some("orgConferences"),
            (&Method::POST, "/v1.0/conference/videoConferences/query") => {
                Some("videoConferences/query")
            }
            (&Method::POST, "/v1.0/oauth2/accessToken" | "/v1.0/oauth2/corpAccessToken") => {
                Some("access_token")
            }
            (&Method::POST, path) if corporation(path).is_some() => Some("access_token"),
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
            None => Answer::ok(&json!({ "errcode": 404, "errmsg": "请求的URI地址不存在" })),
            Some("access_token") => login(instance, call),
            Some(name) => {
                let Some(token) = call.header("x-acs-dingtalk-access-token") else {
                    return failed("AuthenticationFailed.MissingParameter");
                };
                match instance.sessions.state(&TokenKind::Access, token, call.now) {
                    TokenState::Good => {}
                    TokenState::Unknown => return failed(&instance.unknown_token(TOKEN_REFUSED)),
                    TokenState::Expired | TokenState::KickedOut => return failed(TOKEN_REFUSED),
                }
                if name == "orgConferences" { list(instance, call) } else { batch(instance, call) }
            }
        }
    }

    fn failure(&self, code: &str) -> Answer {
        failed(code)
    }

    fn main_keys(&self, name: &str) -> &'static [&'static str] {
        match name {
            "access_token" => &["accessToken", "access_token"],
            "orgConferences" => &["onGoingConfList"],
            _ => &["infos"],
        }
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("x-acs-request-id", REQUEST_ID)]
    }
}

/// The `corpId` of the unified token call `/v1.0/oauth2/{corpId}/token`.
fn corporation(path: &str) -> Option<&str> {
    let id = path.strip_prefix("/v1.0/oauth2/")?.strip_suffix("/token")?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

/// The HTTP status that goes with a code.
fn status_of(code: &str) -> u16 {
    match code {
        "waterLimitError" | "permissionError" | "roomNotFound" => 404,
        "systemError" | "instance.error" | "server.error" | "unknownError" => 500,
        "instance.busy" | "systemBusy" => 429,
        "unauthorized.client" => 401,
        "noPermission" => 403,
        _ if code.starts_with("Forbidden.") => 403,
        _ => 400,
    }
}

fn failed(code: &str) -> Answer {
    Answer::json(
        status_of(code),
        &json!({ "code": code, "requestid": REQUEST_ID, "message": "请求被拒绝" }),
    )
}

fn login(instance: &mut Instance, call: &Call) -> Answer {
    let Some(body) = call.json() else { return failed("paramsError") };
    let path = instance.below("", &call.path).unwrap_or_default();
    if path == "/v1.0/oauth2/accessToken" {
        if body["appKey"] != DINGTALK_APP_KEY || body["appSecret"] != DINGTALK_APP_SECRET {
            return failed("invalidClientIdOrSecret");
        }
        let (token, valid) = same_token(instance, call);
        return Answer::ok(&json!({ "accessToken": token, "expireIn": valid }));
    }
    if path == "/v1.0/oauth2/corpAccessToken" {
        if body["suiteKey"] != DINGTALK_SUITE_KEY || body["suiteSecret"] != DINGTALK_SUITE_SECRET {
            return failed("invalidSuiteKey");
        }
        if body["suiteTicket"] != DINGTALK_SUITE_TICKET {
            return failed("invalidSuiteTicket");
        }
        if body["authCorpId"] != DINGTALK_CORP_ID {
            return failed("invalidAuthInfo");
        }
        // Unlike the internal application's, this call gives a new token each time.
        let life = instance.token_life(TOKEN_LIFE);
        let token = instance.sessions.issue(TokenKind::Access, life, call.now);
        return Answer::ok(&json!({ "accessToken": token, "expireIn": crate::seconds(life) }));
    }
    if corporation(path) != Some(DINGTALK_CORP_ID) {
        // A wrong corpId shows as a failure of the server.
        return failed("unknownError");
    }
    if body["grant_type"] != "client_credentials" {
        return failed("unsupported.grant.type");
    }
    if body["client_id"] != CLIENT_ID || body["client_secret"] != CLIENT_SECRET {
        return failed("invalid.client");
    }
    let (token, valid) = same_token(instance, call);
    Answer::ok(&json!({ "access_token": token, "expires_in": valid }))
}

/// Within its lifetime the same token, prolonged.
fn same_token(instance: &mut Instance, call: &Call) -> (String, u64) {
    let life = instance.token_life(TOKEN_LIFE);
    let token = match instance.sessions.current(&TokenKind::Access, call.now) {
        Some(token) => token.to_owned(),
        None => instance.sessions.issue(TokenKind::Access, life, call.now),
    };
    instance.sessions.extend(&token, life, call.now);
    (token, crate::seconds(life))
}

fn list(instance: &mut Instance, call: &Call) -> Answer {
    let size = call.query("maxResults").map_or(Some(PAGE), |text| text.parse().ok());
    let Some(size) = size.filter(|size| (1..=LARGEST_PAGE).contains(size)) else {
        return failed("paramError");
    };
    let offset = match call.query("nextToken") {
        None | Some("" | "0") => Some(0),
        Some(token) => token.strip_prefix("page-").and_then(|text| text.parse::<usize>().ok()),
    };
    let Some(offset) = offset else { return failed("paramError") };
    Answer::bytes(instance.cached(format!("list {offset} {size}"), |population| {
        let all = &population.conferences;
        let quirks = population.behaviour.quirks;
        let page: Vec<_> = all.iter().skip(offset).take(size).map(|c| listed(quirks, c)).collect();
        let end = offset.saturating_add(size);
        let mut answer =
            json!({ "totalCount": all.len(), "hasMore": end < all.len(), "onGoingConfList": page });
        if end < all.len() {
            answer["nextToken"] = json!(format!("page-{end}"));
        } else if !quirks {
            answer["nextToken"] = json!("");
        }
        answer
    }))
}

fn listed(quirks: bool, conference: &Conference) -> Value {
    let code = &conference.number;
    // Room codes come as "838 722 190" as well as without blanks.
    let code = if quirks && code.len() == 9 && code.is_ascii() {
        format!("{} {} {}", &code[..3], &code[3..6], &code[6..])
    } else {
        code.clone()
    };
    let mut object = json!({
        "conferenceId": conference.id,
        "title": conference.name,
        "roomCode": code,
        "status": 2,
        "startTime": conference.start_unix * 1000,
        "creatorId": format!("union-{:016x}", rng::hash(5, &[&conference.id])),
        "creatorNick": creator(&conference.id),
        "bizType": "0",
    });
    if quirks {
        object["endTime"] = Value::Null;
        object["bizType"] = json!(0);
        object["externalLinkUrl"] = json!(link(&conference.id));
    }
    object
}

fn creator(id: &str) -> String {
    format!("Creator {:012x}", rng::hash(6, &[id]) >> 16)
}

fn link(id: &str) -> String {
    format!(
        "https://meeting.dingtalk.com/j/{:016x}?token={:016x}",
        rng::hash(8, &[id]),
        rng::hash(9, &[id])
    )
}

fn batch(instance: &mut Instance, call: &Call) -> Answer {
    let Some(body) = call.json() else { return failed("paramsError") };
    let list = body["conferenceIdList"].as_array();
    let ids: Option<Vec<&str>> = list.and_then(|ids| ids.iter().map(Value::as_str).collect());
    let Some(ids) = ids.filter(|ids| !ids.is_empty()) else { return failed("paramsError") };
    let population = &instance.population;
    if population.behaviour.batch_limit.is_some_and(|limit| ids.len() > limit) {
        return failed("sizeTooLarge");
    }
    let running = |id: &str| population.conferences.iter().any(|c| c.id == id);
    if population.behaviour.unknown_ids == UnknownIds::FailBatch
        && !ids.iter().all(|id| running(id))
    {
        return failed("resourceClose");
    }
    Answer::bytes(instance.cached(format!("batch {}", ids.join(" ")), |population| {
        let mut infos = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            if ids[..index].contains(id) {
                continue;
            }
            match population.conferences.iter().find(|c| c.id == *id) {
                Some(conference) => infos.push(conference_json(population, conference)),
                None if population.behaviour.unknown_ids == UnknownIds::Ended => {
                    infos.push(
                        json!({ "conferenceId": id, "title": "", "status": 1, "userList": [] }),
                    );
                }
                None => {}
            }
        }
        json!({ "infos": infos })
    }))
}

fn conference_json(population: &Population, conference: &Conference) -> Value {
    let quirks = population.behaviour.quirks;
    let odd = quirks && rng::hash(4, &[&conference.id]).is_multiple_of(2);
    let start = conference.start_unix * 1000;
    // 1 microphone closed, 2 cameras closed, 4 all muted by force, added up.
    let media = if conference.all_muted { 4 } else { 0 } + i32::from(odd);
    let people: Vec<_> = conference.participants.iter().map(|p| person(quirks, p)).collect();
    json!({
        "conferenceId": conference.id,
        "title": conference.name,
        "startTime": if odd { json!(start.to_string()) } else { json!(start) },
        "status": 2,
        "mediaStatus": media,
        "userList": people,
    })
}

fn person(quirks: bool, p: &Participant) -> Value {
    let attend = match p.presence {
        Presence::Waiting => 0,
        Presence::Invited => 1,
        Presence::Joining => 2,
        Presence::Joined => 3,
        Presence::Failed => 4,
        Presence::Removed => 5,
        Presence::Left => 6,
    };
    let device = |on: Option<bool>| match on {
        None => 0,
        Some(false) => 1,
        Some(true) => 2,
    };
    let odd = quirks && rng::hash(4, &[&p.id]).is_multiple_of(5);
    let mut object = json!({
        "userId": p.id,
        "nick": p.name,
        "attendStatus": if odd { json!(attend.to_string()) } else { json!(attend) },
        "cameraStatus": device(p.camera_on),
        "micStatus": device(p.muted.map(|muted| !muted)),
    });
    if quirks {
        if p.presence == Presence::Failed {
            object["rejectDescription"] = json!(format!("Sorry, {} is busy", p.name));
        }
        if odd {
            // Empty for members of another organisation.
            object["userId"] = json!("");
            object["outerOrgMember"] = json!(true);
            object["rejectDescription"] = Value::Null;
        }
    }
    object
}
