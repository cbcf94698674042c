// SPDX-License-Identifier: Apache-2.0
//! Yeastar S-Series (also K2, S1000), `api/v2.0.0`.
//!
//! Source: help.yeastar.com/en/s-series-developer-v2/api-v2.

use crate::model::{Behaviour, Conference, Idle, Line, Moderator, Participant, Population, Presence, Room};
use crate::activity::Activity;
use crate::call::{Answer, Call};
use crate::instance::Instance;
use crate::registry::{Description, HttpSystem, Protocol, SimulatedSystem};
use crate::rng::Rng;
use crate::systems::pbx::{self, NO_SUCH_CONFERENCE, failed, yes_no};
use crate::truth::{Truth, has_pin, is_moderated, setting};
use serde_json::{Map, Value, json};

const API_PATH: &str = "/api/v2.0.0";

pub(super) const DESCRIPTION: Description = pbx::description("yeastar_s");

pub(super) struct YeastarS;

impl SimulatedSystem for YeastarS {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn protocol(&self) -> Protocol {
        Protocol::Http(&Self)
    }

    fn populate(&self, population: &mut Population, random: &mut Rng, now: i64) {
        pbx::population::populate(population, random, now, pbx::population::extension, true);
    }

    fn truth(&self, population: &Population) -> Truth {
        let rooms = &population.rooms;
        let mut truth = Truth {
            rooms: Some(rooms.len() as u64),
            rooms_mute_on_join: setting(rooms, |room| room.mute_on_join),
            rooms_wait_for_moderator: setting(rooms, |room| room.wait_for_moderator),
            rooms_allow_invite: setting(rooms, |room| room.allow_invite),
            rooms_music_on_hold: setting(rooms, |room| room.music_on_hold),
            rooms_moderated: setting(rooms, is_moderated),
            rooms_pin_protected: setting(rooms, has_pin),
            ..Truth::default()
        };
        let live: Vec<_> = population.conferences.iter().collect();
        pbx::population::count_live(&mut truth, population, &live);
        truth
    }

    fn behaviour(&self) -> Behaviour {
        Behaviour { idle: Idle::Failed, ..Behaviour::default() }
    }

    fn activity(&self) -> Activity {
        pbx::population::activity()
    }

    fn begin(&self, population: &mut Population, random: &mut Rng, now: i64) -> Option<Conference> {
        pbx::population::begin(population, random, now, true)
    }

    fn secrets(&self) -> Vec<String> {
        pbx::secrets()
    }
}

impl HttpSystem for YeastarS {
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
        if name == "login" {
            return pbx::login(instance, call, Some("TCP"));
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
        &[pbx::CLOSE, ("server", "Boa/0.94.14rc21")]
    }

    fn announces_length(&self, quirks: bool) -> bool {
        !quirks
    }
}

fn rooms(instance: &mut Instance, call: &Call) -> Answer {
    let number = match pbx::number(call) {
        Ok(number) => number,
        Err(refusal) => return refusal,
    };
    let known = |n: &str| instance.population.rooms.iter().any(|room| room.number == n);
    if number != "all" && !number.split(',').all(known) {
        return failed(NO_SUCH_CONFERENCE);
    }
    Answer::bytes(instance.cached(format!("rooms {number}"), |population| {
        let wanted = |room: &&Room| number == "all" || number.split(',').any(|n| n == room.number);
        let quirks = population.behaviour.quirks;
        let rooms: Vec<_> = population
            .rooms
            .iter()
            .filter(wanted)
            .enumerate()
            .map(|(n, room)| room_json(quirks, n, room))
            .collect();
        json!({ "status": "Success", "conferences": rooms })
    }))
}

fn room_json(quirks: bool, index: usize, room: &Room) -> Value {
    let mut object = Map::new();
    object.insert("number".into(), json!(room.number));
    // Samples carry names such as " 6466".
    let blank = if quirks && index.is_multiple_of(3) { " " } else { "" };
    object.insert("name".into(), json!(format!("{blank}{}", room.name)));
    object.insert("moderatorpassword".into(), json!(room.moderator_pin));
    if let Some(pin) = &room.participant_pin {
        object.insert("participantepassword".into(), json!(pin));
    }
    let settings = [
        ("waitformoderator", room.wait_for_moderator),
        ("allowinvite", room.allow_invite),
        ("musiconhold", room.music_on_hold),
        ("mute", room.mute_on_join),
    ];
    for (key, setting) in settings {
        if let Some(on) = setting {
            object.insert(key.into(), json!(yes_no(on)));
        }
    }
    if room.mute_on_join.is_some() {
        object.insert(
            "prompt".into(),
            if quirks && index == 1 { Value::Null } else { json!("default") },
        );
    }
    if let Some(moderators) = &room.moderators {
        object.insert("moderators".into(), moderators_json(quirks, moderators));
    }
    if quirks {
        object.insert("recordmode".into(), json!({ "auto": 0, "list": [null] }));
    }
    Value::Object(object)
}

/// Documented as an integer, seen as a string, blank for none.
fn moderators_json(quirks: bool, moderators: &[Moderator]) -> Value {
    match moderators {
        [only] if quirks && only.id.len() < 19 => {
            only.id.parse::<u64>().map_or(json!(only.id), |id| json!(id))
        }
        many => json!(many.iter().map(|m| m.id.as_str()).collect::<Vec<_>>().join(",")),
    }
}

fn live(instance: &mut Instance, call: &Call) -> Answer {
    let number = match pbx::number(call) {
        Ok(number) => number,
        Err(refusal) => return refusal,
    };
    let population = &instance.population;
    let behaviour = &population.behaviour;
    if !behaviour.live_call {
        return failed(pbx::UNSUPPORTED);
    }
    let wanted = |conference: &&Conference| {
        number == "all" || number.split(',').any(|n| n == conference.number)
    };
    let live = population.conferences.iter().filter(wanted).count();
    if live == 0 && behaviour.idle == Idle::Failed {
        return failed(NO_SUCH_CONFERENCE);
    }
    if number != "all" {
        let running = |n: &str| population.conferences.iter().any(|c| c.number == n);
        let known = |n: &str| running(n) || population.rooms.iter().any(|room| room.number == n);
        if !number.split(',').all(|n| known(n) && (running(n) || !behaviour.idle_number_fails)) {
            return failed(NO_SUCH_CONFERENCE);
        }
    }
    Answer::bytes(instance.cached(format!("live {number}"), |population| {
        if live == 0 && population.behaviour.idle == Idle::NoList {
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
    let behaviour = &population.behaviour;
    let listed = conference.participants.iter().filter_map(|p| status(p).map(|status| (p, status)));
    let members =
        if behaviour.quirks { wrapped_variously(listed) } else { wrapped_plainly(listed) };
    let key = if behaviour.other_members_key { "member" } else { "members" };
    // Typed Integer in the table, a string in the event sample.
    let number = match conference.number.parse::<u64>() {
        Ok(number) if behaviour.quirks && number.is_multiple_of(2) => json!(number),
        _ => json!(conference.number),
    };
    let blank = if behaviour.quirks { " " } else { "" };
    json!({
        "callid": conference.id,
        "conferencenumber": number,
        "conferencename": format!("{blank}{}", conference.name),
        key: members,
    })
}

fn status(participant: &Participant) -> Option<&'static str> {
    match participant.presence {
        // Accepted an invitation, or dialled in.
        Presence::Joined if participant.invited => Some("ANSWER"),
        Presence::Joined => Some("ANSWERED"),
        Presence::Waiting => Some("HOLD"),
        Presence::Joining
        | Presence::Invited
        | Presence::Failed
        | Presence::Removed
        | Presence::Left => None,
    }
}

fn member(participant: &Participant, status: &str) -> (&'static str, Value) {
    let Participant { number, id, .. } = participant;
    match participant.line {
        Line::Extension => {
            let channel = format!("PJSIP/{number}-{id}");
            ("ext", json!({ "number": number, "channelid": channel, "memberstatus": status }))
        }
        Line::Inbound | Line::Outbound => {
            let inbound = participant.line == Line::Inbound;
            let (from, to) =
                if inbound { (number.as_str(), "6400") } else { ("6400", number.as_str()) };
            let value = json!({
                "from": from, "to": to, "trunkname": format!("trunk {number}"),
                "channelid": format!("PJSIP/trunk-{id}"), "memberstatus": status,
            });
            (if inbound { "inbound" } else { "outbound" }, value)
        }
    }
}

fn wrapped_plainly<'a>(
    listed: impl Iterator<Item = (&'a Participant, &'static str)>,
) -> Vec<Value> {
    listed
        .map(|(participant, status)| {
            let (wrapper, value) = member(participant, status);
            json!({ wrapper: value })
        })
        .collect()
}

/// The table types the wrapped value as an array, the event sample shows an object: some of each, and where two
/// neighbours share a wrapper, an array of both.
fn wrapped_variously<'a>(
    listed: impl Iterator<Item = (&'a Participant, &'static str)>,
) -> Vec<Value> {
    let mut members: Vec<Value> = Vec::new();
    for (index, (participant, status)) in listed.enumerate() {
        let (wrapper, value) = member(participant, status);
        if index % 4 == 3
            && let Some(Value::Array(pair)) =
                members.last_mut().and_then(|last| last.get_mut(wrapper))
        {
            pair.push(value);
            continue;
        }
        members.push(if index % 4 == 2 {
            json!({ wrapper: [value] })
        } else {
            json!({ wrapper: value })
        });
    }
    members
}
