// SPDX-License-Identifier: Apache-2.0
//! OpenVox UC Series IPPBX, `api/v0.0.1`.
//!
//! Source: help.openvox.cn, "UC Series IPPBX / API Documentation".

use crate::model::{Conference, Idle, Population, Presence, Room};
use crate::activity::Activity;
use crate::call::{Answer, Call};
use crate::instance::Instance;
use crate::registry::{Description, HttpSystem, Protocol, SimulatedSystem};
use crate::rng::Rng;
use crate::systems::pbx::{self, NO_SUCH_CONFERENCE, failed, yes_no};
use crate::truth::{Truth, has_pin, setting};
use serde_json::{Map, Value, json};

const API_PATH: &str = "/api/v0.0.1";

pub(super) const DESCRIPTION: Description = pbx::description("openvox_uc");

pub(super) struct OpenvoxUc;

impl SimulatedSystem for OpenvoxUc {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn protocol(&self) -> Protocol {
        Protocol::Http(&Self)
    }

    fn populate(&self, population: &mut Population, random: &mut Rng, now: i64) {
        pbx::population::populate(population, random, now, pbx::population::extension, false);
    }

    fn truth(&self, population: &Population) -> Truth {
        let rooms = &population.rooms;
        let mut truth = Truth {
            rooms: Some(rooms.len() as u64),
            rooms_wait_for_moderator: setting(rooms, |room| room.wait_for_moderator),
            rooms_pin_protected: setting(rooms, has_pin),
            ..Truth::default()
        };
        // Only numbers of rooms can be asked for, so nothing else can be seen.
        let has_room = |c: &&Conference| rooms.iter().any(|room| room.number == c.number);
        let live: Vec<_> = population.conferences.iter().filter(has_room).collect();
        pbx::population::count_live(&mut truth, population, &live);
        truth
    }

    fn activity(&self) -> Activity {
        pbx::population::activity()
    }

    fn begin(&self, population: &mut Population, random: &mut Rng, now: i64) -> Option<Conference> {
        pbx::population::begin(population, random, now, false)
    }

    fn secrets(&self) -> Vec<String> {
        pbx::secrets()
    }
}

impl HttpSystem for OpenvoxUc {
    fn name(&self, instance: &Instance, call: &Call) -> Option<&'static str> {
        pbx::name(instance, &DESCRIPTION, API_PATH, call)
    }

    fn answer(
        &self,
        instance: &mut Instance,
        name: Option<&'static str>,
        call: &Call,
    ) -> Answer {
        let Some(name) = name else { return pbx::unsupported(call) };
        // `type=xml` asks for another format; without it JSON is the default.
        if call.query("type").is_some_and(|kind| kind != "json") {
            return failed("10002");
        }
        if name == "login" {
            return pbx::login(instance, call, None);
        }
        if let Err(refusal) = pbx::authorise(instance, call) {
            return refusal;
        }
        match name {
            "heartbeat" => pbx::heartbeat(call),
            "logout" => pbx::logout(instance, call),
            "conference/query" => rooms(instance, call),
            _ => live(instance, call),
        }
    }

    fn failure(&self, code: &str) -> Answer {
        failed(code)
    }

    fn main_keys(&self, name: &str) -> &'static [&'static str] {
        pbx::main_keys(name)
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[pbx::CLOSE]
    }
}

fn rooms(instance: &mut Instance, call: &Call) -> Answer {
    let number = match pbx::number(call) {
        Ok(number) => number,
        Err(refusal) => return refusal,
    };
    if number != "all" && !all_rooms(&instance.population, &number) {
        return failed(NO_SUCH_CONFERENCE);
    }
    Answer::bytes(instance.cached(format!("rooms {number}"), |population| {
        let wanted = |room: &&Room| number == "all" || number.split(',').any(|n| n == room.number);
        let rooms: Vec<_> = population
            .rooms
            .iter()
            .filter(wanted)
            .enumerate()
            .map(|(n, room)| room_json(population, n, room))
            .collect();
        json!({ "status": "Success", "conferences": rooms })
    }))
}

fn all_rooms(population: &Population, numbers: &str) -> bool {
    numbers.split(',').all(|number| population.rooms.iter().any(|room| room.number == number))
}

fn room_json(population: &Population, index: usize, room: &Room) -> Value {
    let mut object = Map::new();
    object.insert("number".into(), json!(room.number));
    object.insert("name".into(), json!(room.name));
    object.insert("moderatorpassword".into(), json!(room.moderator_pin));
    if let Some(pin) = &room.participant_pin {
        object.insert("participantepassword".into(), json!(pin));
    }
    if let Some(wait) = room.wait_for_moderator {
        object.insert("waitformoderator".into(), json!(yes_no(wait)));
    }
    if population.behaviour.quirks {
        // Another edition's key, now null, now blank.
        object.insert(
            "recordin".into(),
            if index.is_multiple_of(2) { Value::Null } else { json!("") },
        );
    }
    Value::Object(object)
}

fn live(instance: &mut Instance, call: &Call) -> Answer {
    let number = match pbx::number(call) {
        Ok(number) => number,
        Err(refusal) => return refusal,
    };
    let population = &instance.population;
    if !population.behaviour.live_call {
        return failed(pbx::UNSUPPORTED);
    }
    // "all" is documented for conference/query only.
    if !all_rooms(population, &number) {
        return failed(NO_SUCH_CONFERENCE);
    }
    let wanted = |conference: &&Conference| number.split(',').any(|n| n == conference.number);
    let live = population.conferences.iter().filter(wanted).count();
    let idle_room = number.split(',').any(|n| population.conferences.iter().all(|c| c.number != n));
    if (live == 0 && population.behaviour.idle == Idle::Failed)
        || (idle_room && population.behaviour.idle_number_fails)
    {
        return failed(NO_SUCH_CONFERENCE);
    }
    Answer::bytes(instance.cached(format!("live {number}"), |population| {
        let behaviour = &population.behaviour;
        if live == 0 && behaviour.idle == Idle::NoList {
            return json!({ "status": "Success" });
        }
        let list: Vec<_> = population
            .conferences
            .iter()
            .filter(wanted)
            .map(|c| conference_json(population, c))
            .collect();
        json!({ "status": "Success", pbx::list_key(population): list })
    }))
}

fn conference_json(population: &Population, conference: &Conference) -> Value {
    let members: Vec<_> = conference
        .participants
        .iter()
        .filter_map(|p| {
            let status = match p.presence {
                Presence::Joined => "Up",
                Presence::Waiting => "HOLD",
                Presence::Joining
                | Presence::Invited
                | Presence::Failed
                | Presence::Removed
                | Presence::Left => {
                    return None;
                }
            };
            let channel = format!("PJSIP/{}-{}", p.number, p.id);
            Some(json!({ "number": p.number, "channelid": channel, "memberstatus": status }))
        })
        .collect();
    // The sample says `member`, the tables say `members`.
    let key = if population.behaviour.other_members_key { "members" } else { "member" };
    let mut object = json!({ "conferencenumber": conference.number, key: members });
    if population.behaviour.quirks {
        object["conferencename"] = json!(format!(" {}", conference.name));
        object["trunkname"] = Value::Null;
    }
    object
}
