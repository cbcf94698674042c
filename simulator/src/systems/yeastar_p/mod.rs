// SPDX-License-Identifier: Apache-2.0
//! Yeastar P-Series, `openapi/v1.0`.
//!
//! HTTP 200 throughout; failures are `{"errcode":<int>,"errmsg":"…"}`.
//! Source: help.yeastar.com/en/p-series-software-edition/developer-guide.

use crate::model::{Conference, Idle, Line, Population, Presence, Room};
use crate::sessions::{LOGIN, TokenKind, TokenState};
use crate::activity::Activity;
use crate::call::{Answer, Call};
use crate::instance::Instance;
use crate::registry::{Codes, Description, HttpSystem, Protocol, SimulatedSystem};
use crate::rng::Rng;
use crate::systems::pbx;
use crate::truth::{Truth, has_pin, is_moderated, setting};
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Client ID of the P-Series application.
pub const CLIENT_ID: &str = "demo-client-id";
/// Client secret of the P-Series application.
pub const CLIENT_SECRET: &str = "demo-client-secret-not-secret";

const API_PATH: &str = "/openapi/v1.0";
const TOKEN_LIFE: Duration = Duration::from_secs(1800);
const REFRESH_LIFE: Duration = Duration::from_secs(86_400);
/// Live access tokens an application may hold.
const TOKENS: usize = 8;
/// Bad authentications until the caller's address is blocked for good.
const BAD_LOGINS: u32 = 5;

const FAILURE: i64 = -1;
const NOT_EXISTED: i64 = 10001;
const TOKEN_EXPIRED: i64 = 10004;
const PARAMETER_SYNTAX: i64 = 40001;
const PARAMETER: i64 = 40002;
const NOT_FOUND: i64 = 60001;
const MAX_LIMITATION: i64 = 60002;
const IP_BLOCKED: i64 = 70004;

pub(super) const DESCRIPTION: Description = Description {
    name: "yeastar_p",
    calls: &[
        "get_token",
        "refresh_token",
        "del_token",
        "conference/list",
        "conference/query_ongoing_conference",
        "conference/get",
    ],
    logins: &["get_token", "refresh_token"],
    with_token: &["conference/list", "conference/query_ongoing_conference", "conference/get"],
    credentials: &[&[("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)]],
    codes: Codes {
        token_refused: "10004",
        login_refused: "-1",
        locked_out: Some("70004"),
        throttled: None,
    },
};

pub(super) struct YeastarP;

impl SimulatedSystem for YeastarP {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn protocol(&self) -> Protocol {
        Protocol::Http(&Self)
    }

    fn populate(&self, population: &mut Population, random: &mut Rng, now: i64) {
        let moderator = |random: &mut Rng| random.below(500).to_string();
        pbx::population::populate(population, random, now, moderator, true);
    }

    fn truth(&self, population: &Population) -> Truth {
        let rooms = &population.rooms;
        let mut truth = Truth {
            rooms: Some(rooms.len() as u64),
            rooms_wait_for_moderator: setting(rooms, |room| room.wait_for_moderator),
            rooms_allow_invite: setting(rooms, |room| room.allow_invite),
            rooms_moderated: setting(rooms, is_moderated),
            rooms_pin_protected: setting(rooms, has_pin),
            ..Truth::default()
        };
        let live: Vec<_> = population.conferences.iter().collect();
        pbx::population::count_live(&mut truth, population, &live);
        truth
    }

    fn activity(&self) -> Activity {
        pbx::population::activity()
    }

    fn begin(&self, population: &mut Population, random: &mut Rng, now: i64) -> Option<Conference> {
        pbx::population::begin(population, random, now, true)
    }

    fn secrets(&self) -> Vec<String> {
        vec![CLIENT_SECRET.to_owned()]
    }
}

impl HttpSystem for YeastarP {
    fn name(&self, instance: &Instance, call: &Call) -> Option<&'static str> {
        let path = instance.below(API_PATH, &call.path)?;
        match (&call.method, path) {
            (&Method::POST, "/get_token") => Some("get_token"),
            (&Method::POST, "/refresh_token") => Some("refresh_token"),
            (&Method::GET, "/del_token") => Some("del_token"),
            (&Method::GET, "/conference/list") => Some("conference/list"),
            (&Method::GET, "/conference/query_ongoing_conference") => {
                Some("conference/query_ongoing_conference")
            }
            (&Method::GET, "/conference/get") => Some("conference/get"),
            _ => None,
        }
    }

    fn answer(
        &self,
        instance: &mut Instance,
        name: Option<&'static str>,
        call: &Call,
    ) -> Answer {
        let Some(name) = name else { return failed(NOT_EXISTED) };
        // Compulsory on every request; the code for its absence is not documented.
        if call.header("user-agent").is_none_or(str::is_empty) {
            return failed(PARAMETER);
        }
        match name {
            "get_token" => get_token(instance, call),
            "refresh_token" => refresh_token(instance, call),
            _ => with_token(instance, name, call),
        }
    }

    fn failure(&self, code: &str) -> Answer {
        match code.parse() {
            Ok(code) => failed(code),
            Err(_) => Answer::ok(&json!({ "errcode": code, "errmsg": "FAILURE" })),
        }
    }

    fn main_keys(&self, name: &str) -> &'static [&'static str] {
        match name {
            "get_token" | "refresh_token" => &["access_token"],
            "del_token" => &["errcode"],
            _ => &["data"],
        }
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[pbx::CLOSE]
    }
}

fn with_token(instance: &mut Instance, name: &'static str, call: &Call) -> Answer {
    let token = call.query("access_token").unwrap_or_default();
    // No code of its own for a missing or unknown token is documented.
    match instance.sessions.state(&TokenKind::Access, token, call.now) {
        TokenState::Good => {}
        TokenState::Unknown => {
            return YeastarP.failure(&instance.unknown_token(DESCRIPTION.codes.token_refused));
        }
        TokenState::Expired | TokenState::KickedOut => return failed(TOKEN_EXPIRED),
    }
    match name {
        "del_token" => {
            instance.sessions.revoke(token);
            Answer::ok(&json!({ "errcode": 0, "errmsg": "SUCCESS" }))
        }
        "conference/list" => list(instance, call),
        "conference/get" => get(instance, call),
        _ => ongoing(instance, call),
    }
}

/// The failure shape with the documented text of the code.
fn failure(errcode: i64) -> Value {
    json!({ "errcode": errcode, "errmsg": message(errcode) })
}

fn failed(errcode: i64) -> Answer {
    Answer::ok(&failure(errcode))
}

fn message(errcode: i64) -> &'static str {
    match errcode {
        -2 => "INTERNAL SERVER ERROR",
        -1 => "FAILURE",
        0 => "SUCCESS",
        1 => "PARTIAL SUCCESS",
        2 => "PROCESSING",
        10001 => "INTERFACE NOT EXISTED",
        10002 => "API VERSION OUT OF MAINTENANCE",
        10003 => "API VERSION UNSUPPORTED",
        10004 => "TOKEN EXPIRED",
        10005 => "ACCESS DENIED",
        40001 => "PARAMETER SYNTAX ERROR",
        40002 => "PARAMETER ERROR",
        60001 => "DATA NOT FOUND",
        60002 => "MAX LIMITATION EXCEEDED",
        70004 => "ACCOUNT IP BLOCKED",
        70082 => "OVERLOAD_TASK_RUNNING",
        70087 => "IP FORBIDDEN",
        70123 => "API UNAVAILABLE",
        _ => "FAILURE",
    }
}

fn get_token(instance: &mut Instance, call: &Call) -> Answer {
    if instance.sessions.locked(LOGIN, call.now) {
        return blocked(instance, call);
    }
    let Some(body) = call.json() else { return failed(PARAMETER_SYNTAX) };
    if body["username"] != CLIENT_ID || body["password"] != CLIENT_SECRET {
        instance.login_failed(BAD_LOGINS, None, call.now);
        let mut refusal = failure(FAILURE);
        refusal["invalid_param_list"] =
            json!([{ "field": "username or password", "value": "error" }]);
        return Answer::ok(&refusal);
    }
    instance.sessions.succeeded(LOGIN);
    if instance.sessions.slots(&TokenKind::Access, call.now) >= TOKENS {
        return failed(MAX_LIMITATION);
    }
    issue(instance, call)
}

/// A block with an end tells it, in seconds since 1970; one without is for good.
fn blocked(instance: &Instance, call: &Call) -> Answer {
    let mut refusal = failure(IP_BLOCKED);
    if let Some(left) = instance.sessions.locked_for(LOGIN, call.now) {
        refusal["block_expire_time"] = json!(call.unix() + crate::seconds(left) as i64);
    }
    Answer::ok(&refusal)
}

fn refresh_token(instance: &mut Instance, call: &Call) -> Answer {
    let Some(body) = call.json() else { return failed(PARAMETER_SYNTAX) };
    let Some(refresh) = body["refresh_token"].as_str() else { return failed(PARAMETER) };
    if instance.sessions.state(&TokenKind::Refresh, refresh, call.now) != TokenState::Good {
        return failed(TOKEN_EXPIRED);
    }
    instance.sessions.supersede(refresh);
    // Which access token belongs to it is in the pair: the one issued just before. It opens nothing any more, yet
    // nothing says that its slot is free: the stricter reading.
    if let Some(access) = instance.sessions.partner(refresh) {
        instance.sessions.supersede(&access);
    }
    issue(instance, call)
}

fn issue(instance: &mut Instance, call: &Call) -> Answer {
    let life = instance.token_life(TOKEN_LIFE);
    let refresh_life = instance.refresh_life(REFRESH_LIFE);
    let access = instance.sessions.issue(TokenKind::Access, life, call.now);
    let refresh = instance.sessions.issue(TokenKind::Refresh, refresh_life, call.now);
    Answer::ok(&json!({
        "errcode": 0,
        "errmsg": "SUCCESS",
        "access_token": access,
        "access_token_expire_time": crate::seconds(life),
        "refresh_token": refresh,
        "refresh_token_expire_time": crate::seconds(refresh_life),
    }))
}

fn list(instance: &mut Instance, call: &Call) -> Answer {
    let positive = |name| {
        call.query(name).and_then(|text| text.parse::<usize>().ok()).filter(|number| *number > 0)
    };
    let (Some(page), Some(size)) = (positive("page"), positive("page_size")) else {
        return failed(PARAMETER);
    };
    let sort = call.query("sort_by").unwrap_or("number");
    let order = call.query("order_by").unwrap_or("asc");
    if !["number", "name"].contains(&sort) || !["asc", "desc"].contains(&order) {
        return failed(PARAMETER);
    }
    Answer::bytes(instance.cached(format!("list {page} {size} {sort} {order}"), |population| {
        let mut rooms: Vec<_> = population.rooms.iter().collect();
        rooms.sort_by(
            |a, b| if sort == "name" { a.name.cmp(&b.name) } else { a.number.cmp(&b.number) },
        );
        if order == "desc" {
            rooms.reverse();
        }
        let quirks = population.behaviour.quirks;
        let data: Vec<_> = rooms
            .iter()
            .skip((page - 1).saturating_mul(size))
            .take(size)
            .map(|room| room_json(quirks, room))
            .collect();
        json!({ "errcode": 0, "errmsg": "SUCCESS", "total_number": rooms.len(), "data": data })
    }))
}

fn room_json(quirks: bool, room: &Room) -> Value {
    let odd = quirks && room.id % 5 == 4;
    let mut object = json!({
        "id": if odd { json!(room.id.to_string()) } else { json!(room.id) },
        "name": room.name,
        "number": room.number,
    });
    if let Some(moderators) = &room.moderators {
        let list = moderators.iter().map(|m| {
            json!({ "id": m.id, "name": m.name, "type": if m.group { "ext_group" } else { "extension" } })
        });
        object["moderator_list"] = list.collect();
    }
    if quirks {
        object["remark"] = Value::Null;
    }
    object
}

fn get(instance: &mut Instance, call: &Call) -> Answer {
    let Some(id) = call.query("id").and_then(|text| text.parse::<u64>().ok()) else {
        return failed(PARAMETER);
    };
    if !instance.population.rooms.iter().any(|room| room.id == id) {
        return failed(NOT_FOUND);
    }
    Answer::bytes(instance.cached(format!("get {id}"), |population| {
        let quirks = population.behaviour.quirks;
        let details: Value = population
            .rooms
            .iter()
            .find(|room| room.id == id)
            .map(|room| details(quirks, room))
            .unwrap_or_default();
        json!({ "errcode": 0, "errmsg": "SUCCESS", "data": details })
    }))
}

fn details(quirks: bool, room: &Room) -> Value {
    let flag = |on: bool| {
        let flag = i32::from(on);
        if quirks && room.id % 3 == 2 { json!(flag.to_string()) } else { json!(flag) }
    };
    let mut object = room_json(quirks, room);
    object["has_moderator_password"] = flag(!room.moderator_pin.is_empty());
    object["sound_prompt"] = json!("default");
    let settings = [
        ("has_partic_password", room.participant_pin.as_ref().map(|pin| !pin.is_empty())),
        ("allow_partic_invite", room.allow_invite),
        ("enb_wait_moderator", room.wait_for_moderator),
    ];
    for (key, setting) in settings {
        if let Some(on) = setting {
            object[key] = flag(on);
        }
    }
    object
}

fn ongoing(instance: &mut Instance, call: &Call) -> Answer {
    if !instance.population.behaviour.live_call {
        return failed(NOT_EXISTED);
    }
    let Some(number) = call.query("number").filter(|number| !number.is_empty()) else {
        return failed(PARAMETER);
    };
    let wanted = |conference: &&Conference| {
        number == "all" || number.split(',').any(|n| n == conference.number)
    };
    let live = instance.population.conferences.iter().filter(wanted).count();
    if live == 0 {
        return match instance.population.behaviour.idle {
            Idle::Failed => failed(NOT_FOUND),
            Idle::EmptyList => {
                Answer::ok(&json!({ "errcode": 0, "errmsg": "SUCCESS", "data": [] }))
            }
            Idle::NoList => Answer::ok(&json!({ "errcode": 0, "errmsg": "SUCCESS" })),
        };
    }
    Answer::bytes(instance.cached(format!("ongoing {number}"), |population| {
        let data: Vec<_> = population
            .conferences
            .iter()
            .filter(wanted)
            .map(|c| conference_json(population, c))
            .collect();
        json!({ "errcode": 0, "errmsg": "SUCCESS", "data": data })
    }))
}

fn conference_json(population: &Population, conference: &Conference) -> Value {
    let members: Vec<_> = conference
        .participants
        .iter()
        .filter_map(|p| {
            let status = match p.presence {
                Presence::Joined => "ANSWERED",
                Presence::Waiting => "HOLD",
                Presence::Joining
                | Presence::Invited
                | Presence::Failed
                | Presence::Removed
                | Presence::Left => {
                    return None;
                }
            };
            let extension = p.line == Line::Extension;
            let trunk =
                if extension { "<no name>".to_owned() } else { format!("trunk {}", p.number) };
            Some(json!({
                "from": p.number,
                "trunk_name": trunk,
                "channel_id": format!("PJSIP/{}-{}", p.number, p.id),
                "member_type": if extension { "ext" } else { "trunk" },
                "member_status": status,
            }))
        })
        .collect();
    let mut object = json!({
        "call_id": conference.id,
        "conference_number": conference.number,
        "conference_name": conference.name,
        "members": members,
    });
    if population.behaviour.quirks {
        object["host_list"] = Value::Null;
        object["duration"] = json!("");
    }
    object
}
