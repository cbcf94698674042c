//! OpenVox UC Series IPPBX, `api/v0.0.1`.
//!
//! Source: help.openvox.cn, "UC Series IPPBX / API Documentation".

use crate::md5_pbx::{self, NO_SUCH_CONFERENCE, failed, yes_no};
use crate::model::{Conference, Idle, Population, Presence, Room};
use crate::system::{Answer, Call, System};
use serde_json::{Map, Value, json};

const PREFIX: &str = "/api/v0.0.1";

pub(crate) fn endpoint(system: &System, call: &Call) -> Option<&'static str> {
    md5_pbx::endpoint(system, PREFIX, call)
}

pub(crate) fn answer(system: &mut System, endpoint: Option<&'static str>, call: &Call) -> Answer {
    let Some(endpoint) = endpoint else { return md5_pbx::unsupported(call) };
    // `type=xml` asks for another dialect; without it JSON is the default.
    if call.query("type").is_some_and(|kind| kind != "json") {
        return failed("10002");
    }
    if endpoint == "login" {
        return md5_pbx::login(system, call, None);
    }
    if let Err(refusal) = md5_pbx::authorise(system, call) {
        return refusal;
    }
    match endpoint {
        "heartbeat" => md5_pbx::heartbeat(call),
        "logout" => md5_pbx::logout(system, call),
        "conference/query" => rooms(system, call),
        _ => live(system, call),
    }
}

fn rooms(system: &mut System, call: &Call) -> Answer {
    let number = match md5_pbx::number(call) {
        Ok(number) => number,
        Err(refusal) => return refusal,
    };
    if number != "all" && !all_rooms(&system.population, &number) {
        return failed(NO_SUCH_CONFERENCE);
    }
    Answer::bytes(system.cached(format!("rooms {number}"), |population| {
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

fn live(system: &mut System, call: &Call) -> Answer {
    let number = match md5_pbx::number(call) {
        Ok(number) => number,
        Err(refusal) => return refusal,
    };
    let population = &system.population;
    if !population.behaviour.live_call {
        return failed(md5_pbx::UNSUPPORTED);
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
    Answer::bytes(system.cached(format!("live {number}"), |population| {
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
        json!({ "status": "Success", list_key(population): list })
    }))
}

pub(crate) fn list_key(population: &Population) -> &'static str {
    if population.behaviour.plural_conferences { "conferences" } else { "conference" }
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
