// SPDX-License-Identifier: Apache-2.0
//! Janus: AudioBridge and VideoRoom behind `message_plugin` of the admin API.
//!
//! Every answer is HTTP 200. The server refuses with `{"janus":"error","error":{"code":…}}`, a plug-in inside of a
//! success with `error_code`. Source: the answers of Janus 1.1.2 and 1.4.1 in `tests/data/janus`, and `src/apierror.h`.
//!
//! [`Behaviour::other`](crate::Behaviour::other): `without` names the plug-ins that are not loaded; `string_ids` makes
//! the ids of rooms texts.

use crate::activity::Activity;
use crate::call::{Answer, Call};
use crate::instance::Instance;
use crate::model::{Conference, Participant, Population, Presence, Room};
use crate::registry::{Codes, Description, HttpSystem, Protocol, SimulatedSystem};
use crate::rng::{self, Rng};
use crate::truth::Truth;
use hyper::Method;
use serde_json::{Value, json};

mod population;

const ADMIN_SECRET: &str = "demo-admin-secret-not-secret";
const AUDIOBRIDGE_KEY: &str = "demo-audiobridge-key-not-secret";
const VIDEOROOM_KEY: &str = "demo-videoroom-key-not-secret";

const SECRET_REFUSED: i64 = 403;
const MISSING_ELEMENT: i64 = 456;
const INVALID_JSON: i64 = 454;
const UNKNOWN_REQUEST: i64 = 453;
const PLUGIN_NOT_FOUND: i64 = 460;

pub(super) const DESCRIPTION: Description = Description {
    name: "janus",
    calls: &[
        "audiobridge/list",
        "audiobridge/listparticipants",
        "videoroom/list",
        "videoroom/listparticipants",
    ],
    logins: &[],
    with_token: &[
        "audiobridge/list",
        "audiobridge/listparticipants",
        "videoroom/list",
        "videoroom/listparticipants",
    ],
    credentials: &[&[
        ("admin_secret", ADMIN_SECRET),
        ("audiobridge_admin_key", AUDIOBRIDGE_KEY),
        ("videoroom_admin_key", VIDEOROOM_KEY),
    ]],
    codes: Codes {
        token_refused: "403",
        login_refused: "403",
        locked_out: None,
        throttled: None,
    },
};

pub(super) struct Janus;

impl SimulatedSystem for Janus {
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
        population::activity()
    }

    fn begin(&self, population: &mut Population, random: &mut Rng, now: i64) -> Option<Conference> {
        population::begin(population, random, now)
    }

    fn secrets(&self) -> Vec<String> {
        [ADMIN_SECRET, AUDIOBRIDGE_KEY, VIDEOROOM_KEY].map(str::to_owned).into()
    }

    fn secrets_of(&self, population: &Population) -> Vec<String> {
        let people = population.conferences.iter().flat_map(|c| &c.participants);
        people.map(|participant| id_of(participant).to_string()).collect()
    }
}

/// A plug-in, and what differs between the two.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plugin {
    Audiobridge,
    Videoroom,
}

impl Plugin {
    fn of(name: &str) -> Option<Self> {
        match name {
            "janus.plugin.audiobridge" => Some(Self::Audiobridge),
            "janus.plugin.videoroom" => Some(Self::Videoroom),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Audiobridge => "audiobridge",
            Self::Videoroom => "videoroom",
        }
    }

    fn has(self, number: &str) -> bool {
        population::is_audiobridge(number) == (self == Self::Audiobridge)
    }

    fn admin_key(self) -> &'static str {
        match self {
            Self::Audiobridge => AUDIOBRIDGE_KEY,
            Self::Videoroom => VIDEOROOM_KEY,
        }
    }

    /// (unauthorized, no such room, missing element)
    fn codes(self) -> (i64, i64, i64) {
        match self {
            Self::Audiobridge => (489, 485, 482),
            Self::Videoroom => (433, 426, 428),
        }
    }

    fn is_loaded(self, population: &Population) -> bool {
        let without = population.behaviour.other.get("without");
        !without.is_some_and(|without| without.contains(self.word()))
    }

    fn failed(self, code: i64, error: &str) -> Value {
        json!({ self.word(): "event", "error_code": code, "error": error })
    }
}

impl HttpSystem for Janus {
    fn name(&self, instance: &Instance, call: &Call) -> Option<&'static str> {
        if call.method != Method::POST || !instance.below("/admin", &call.path)?.is_empty() {
            return None;
        }
        let body: Value = serde_json::from_slice(&call.body).ok()?;
        if body["janus"] != "message_plugin" {
            return None;
        }
        let plugin = Plugin::of(body["plugin"].as_str()?)?;
        match (plugin, body["request"]["request"].as_str()?) {
            (Plugin::Audiobridge, "list") => Some("audiobridge/list"),
            (Plugin::Audiobridge, "listparticipants") => Some("audiobridge/listparticipants"),
            (Plugin::Videoroom, "list") => Some("videoroom/list"),
            (Plugin::Videoroom, "listparticipants") => Some("videoroom/listparticipants"),
            _ => None,
        }
    }

    fn answer(
        &self,
        instance: &mut Instance,
        _name: Option<&'static str>,
        call: &Call,
    ) -> Answer {
        // The admin API itself asks for no content type; a client that sends another one is no client for JSON.
        let Some(body) = call.json() else { return failed(INVALID_JSON, None) };
        let Some(transaction) = body["transaction"].as_str() else {
            return failed(MISSING_ELEMENT, None);
        };
        let refused = |code| failed(code, Some(transaction));
        if body["janus"] == "ping" {
            return Answer::ok(&json!({ "janus": "pong", "transaction": transaction }));
        }
        if body["admin_secret"] != ADMIN_SECRET {
            return refused(SECRET_REFUSED);
        }
        if body["janus"] != "message_plugin" {
            return refused(UNKNOWN_REQUEST);
        }
        let plugin = body["plugin"].as_str().and_then(Plugin::of);
        let Some(plugin) = plugin.filter(|plugin| plugin.is_loaded(&instance.population)) else {
            return refused(PLUGIN_NOT_FOUND);
        };
        let request = &body["request"];
        let response = match request["request"].as_str() {
            Some("list") => list(&instance.population, plugin, request),
            Some("listparticipants") => participants(&instance.population, plugin, request),
            _ => plugin.failed(plugin.codes().2, "Unknown request"),
        };
        Answer::ok(
            &json!({ "janus": "success", "transaction": transaction, "response": response }),
        )
    }

    fn failure(&self, code: &str) -> Answer {
        failed(code.parse().unwrap_or_default(), None)
    }

    fn main_keys(&self, _name: &str) -> &'static [&'static str] {
        &["response"]
    }
}

/// A refusal of the server, which gives the transaction back where it could read it.
fn failed(code: i64, transaction: Option<&str>) -> Answer {
    let mut answer = json!({ "janus": "error", "error": { "code": code, "reason": "Refused" } });
    if let Some(transaction) = transaction {
        answer["transaction"] = transaction.into();
    }
    Answer::ok(&answer)
}

fn room_id(population: &Population, number: &str) -> Value {
    match number.parse::<u64>() {
        Ok(number) if !population.behaviour.other.contains_key("string_ids") => json!(number),
        _ => json!(number),
    }
}

/// Of 53 bits, as the server makes them.
fn id_of(participant: &Participant) -> u64 {
    rng::hash(3, &[&participant.id]) >> 11
}

fn list(population: &Population, plugin: Plugin, request: &Value) -> Value {
    let has_key = !request["admin_key"].is_null();
    if has_key && request["admin_key"] != plugin.admin_key() {
        return plugin.failed(plugin.codes().0, "Unauthorized (wrong admin_key)");
    }
    let is_shown = |room: &&Room| plugin.has(&room.number) && (has_key || !room.private);
    let rooms: Vec<_> =
        population.rooms.iter().filter(is_shown).map(|room| entry(population, plugin, room)).collect();
    json!({ plugin.word(): "success", "list": rooms })
}

fn entry(population: &Population, plugin: Plugin, room: &Room) -> Value {
    let live = population.conferences.iter().find(|c| c.number == room.number);
    let people = live.map_or(0, |c| {
        c.participants.iter().filter(|p| population::is_listed(c, p)).count()
    });
    let mut entry = json!({
        "room": room_id(population, &room.number),
        "description": room.name,
        "pin_required": room.participant_pin.as_ref().is_some_and(|pin| !pin.is_empty()),
        "record": live.is_some_and(|c| c.recorded),
        "num_participants": people,
    });
    match plugin {
        Plugin::Audiobridge => {
            entry["sampling_rate"] = json!(16_000);
            entry["spatial_audio"] = json!(false);
            entry["muted"] = json!(live.is_some_and(|c| c.all_muted));
        }
        Plugin::Videoroom => {
            entry["is_private"] = json!(room.private);
            entry["max_publishers"] = json!(6);
            entry["bitrate"] = json!(0);
            entry["videocodec"] = json!("vp8");
        }
    }
    entry
}

fn participants(population: &Population, plugin: Plugin, request: &Value) -> Value {
    let (_, gone, missing) = plugin.codes();
    let room = &request["room"];
    if room.is_null() {
        return plugin.failed(missing, "Missing element (room)");
    }
    let number = room.as_str().map_or_else(|| room.to_string(), str::to_owned);
    let is_it = |room: &&Room| plugin.has(&room.number) && room.number == number;
    let Some(room) = population.rooms.iter().find(is_it) else {
        return plugin.failed(gone, "No such room");
    };
    // The id goes back as it came, or the plug-in does not take it.
    if room_id(population, &room.number) != request["room"] {
        return plugin.failed(missing, "Invalid element type (room)");
    }
    let live = population.conferences.iter().find(|c| c.number == number);
    let people: Vec<_> = live
        .into_iter()
        .flat_map(|c| c.participants.iter().filter(|p| population::is_listed(c, p)))
        .map(|participant| person(population, plugin, participant))
        .collect();
    let room = room_id(population, &room.number);
    json!({ plugin.word(): "participants", "room": room, "participants": people })
}

fn person(population: &Population, plugin: Plugin, participant: &Participant) -> Value {
    let mut person = json!({ "id": id_of(participant), "display": participant.name });
    let has_joined = participant.presence == Presence::Joined;
    match plugin {
        Plugin::Audiobridge => {
            person["setup"] = json!(has_joined);
            if let Some(muted) = participant.muted {
                person["muted"] = json!(muted);
            }
        }
        Plugin::Videoroom => person["publisher"] = json!(participant.camera_on == Some(true)),
    }
    if population.behaviour.quirks && has_joined {
        person["talking"] = json!(false);
    }
    person
}
