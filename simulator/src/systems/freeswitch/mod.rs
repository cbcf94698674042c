// SPDX-License-Identifier: Apache-2.0
//! FreeSWITCH's `mod_conference`, by the event socket.
//!
//! Source: the answers of a FreeSWITCH 1.10.12 (`tests/data/freeswitch`), whose words and keys these have. The user
//! may use the command `conference`, as with `esl-allowed-api`; every other command is refused.

use crate::activity::Activity;
use crate::call::Answer;
use crate::instance::{Instance, unix};
use crate::model::{Conference, Participant, Population, Presence, Role};
use crate::registry::{
    Codes, Conversation, Description, Message, Protocol, SimulatedSystem, TextSystem,
};
use crate::rng::Rng;
use crate::sessions::TokenKind;
use crate::systems::pbx::{mixer, population};
use crate::truth::{Truth, joined, people};
use serde_json::{Value, json};
use std::time::Duration;

/// A user of the directory.
pub const FREESWITCH_USERNAME: &str = "exporter@pbx.example";
/// Its password, and that of the event socket.
pub const FREESWITCH_PASSWORD: &str = "demo-password-not-secret";

const REFUSED: &str = "-ERR invalid";
const DENIED: &str = "-ERR permission denied";

/// A login ends with its connection.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) const DESCRIPTION: Description = Description {
    name: "freeswitch",
    calls: &["auth", "json_list", "exit"],
    logins: &["auth"],
    with_token: &["json_list"],
    credentials: &[
        &[("password", FREESWITCH_PASSWORD)],
        &[("username", FREESWITCH_USERNAME), ("password", FREESWITCH_PASSWORD)],
    ],
    codes: Codes {
        token_refused: DENIED,
        login_refused: REFUSED,
        locked_out: None,
        throttled: None,
    },
};

pub(super) struct FreeSwitch;

impl SimulatedSystem for FreeSwitch {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn protocol(&self) -> Protocol {
        Protocol::Text(&Self)
    }

    fn populate(&self, population: &mut Population, random: &mut Rng, now: i64) {
        mixer::populate(population, random, now, (10, 900));
        for (index, conference) in population.conferences.iter_mut().enumerate() {
            conference.locked = index == 2;
            conference.recorded = index == 0;
        }
    }

    fn truth(&self, population: &Population) -> Truth {
        let all: Vec<_> = population.conferences.iter().map(as_told).collect();
        let live: Vec<_> = all.iter().collect();
        Truth {
            participants_camera_on: Some(people(&live, |p| joined(p) && p.camera_on == Some(true))),
            conferences_recording: mixer::conferences(&live, |conference| conference.recorded),
            ..mixer::truth(&live, |conference| Some(conference.start_unix))
        }
    }

    fn activity(&self) -> Activity {
        population::activity()
    }

    fn begin(&self, population: &mut Population, random: &mut Rng, now: i64) -> Option<Conference> {
        mixer::begin(population, random, now)
    }

    fn tick(&self, population: &mut Population, random: &mut Rng, _now: i64) {
        for conference in &mut population.conferences {
            conference.locked ^= random.percent(2);
            conference.recorded ^= random.percent(2);
        }
    }

    fn secrets(&self) -> Vec<String> {
        vec![FREESWITCH_PASSWORD.to_owned()]
    }
}

/// Whether all of a conference wait for a moderator.
fn waits(conference: &Conference) -> bool {
    conference.participants.iter().any(|p| p.presence == Presence::Waiting)
}

/// A conference whose people all wait, if one of them does: FreeSWITCH tells it of the conference alone.
fn as_told(conference: &Conference) -> Conference {
    let mut told = conference.clone();
    if waits(conference) {
        for person in told.participants.iter_mut().filter(|p| joined(p)) {
            person.presence = Presence::Waiting;
        }
    }
    told
}

impl TextSystem for FreeSwitch {
    fn connect(&self, _instance: &mut Instance) -> Box<dyn Conversation> {
        Box::new(EventSocket { token: None })
    }
}

/// One connection of the event socket.
struct EventSocket {
    token: Option<String>,
}

fn reply(text: &str) -> String {
    format!("Content-Type: command/reply\nReply-Text: {text}\n\n")
}

fn response(body: &str) -> String {
    format!("Content-Type: api/response\nContent-Length: {}\n\n{body}", body.len())
}

const DISCONNECT: &str = "Content-Type: text/disconnect-notice\nContent-Length: 67\n\n\
                          Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n";

fn member(person: &Participant, number: usize) -> Value {
    json!({
        "type": "caller",
        "id": number,
        "flags": {
            "can_hear": true,
            "can_see": true,
            "can_speak": person.muted != Some(true),
            "hold": false,
            "mute_detect": false,
            "talking": false,
            "has_video": person.camera_on == Some(true),
            "video_bridge": false,
            "has_floor": number == 1,
            "is_moderator": person.role == Role::Host,
            "end_conference": false,
        },
        "uuid": person.id,
        "caller_id_name": person.name,
        "caller_id_number": person.number,
        "join_time": 61,
        "last_talking": 0,
        "energy": 100,
    })
}

fn list(population: &Population, now: i64) -> Value {
    let conference = |conference: &Conference| {
        let is_here = |p: &&Participant| matches!(p.presence, Presence::Joined | Presence::Waiting);
        let here = conference.participants.iter().filter(is_here);
        let mut members: Vec<_> = here.zip(1..).map(|(p, number)| member(p, number)).collect();
        let count = members.len();
        if conference.recorded {
            members.insert(
                0,
                json!({ "type": "recording_node", "record_path": "/tmp/a.wav", "join_time": 1 }),
            );
        }
        json!({
            "conference_name": conference.number,
            "member_count": count,
            "ghost_count": 0,
            "rate": 8000,
            "run_time": now - conference.start_unix,
            "conference_uuid": format!("uuid-{}", conference.id),
            "locked": conference.locked,
            "wait_mod": waits(conference),
            "running": true,
            "recording": conference.recorded,
            "variables": {},
            "members": members,
        })
    };
    population.conferences.iter().map(conference).collect()
}

impl Conversation for EventSocket {
    fn greeting(&mut self, _instance: &mut Instance) -> Option<Answer> {
        Some(Answer::bytes("Content-Type: auth/request\n\n"))
    }

    fn message_end(&self, received: &[u8]) -> Option<usize> {
        Some(received.windows(2).position(|two| two == b"\n\n")? + 2)
    }

    fn name(&self, message: &Message) -> Option<&'static str> {
        match message.text.trim_end() {
            "api conference json_list" => Some("json_list"),
            "exit" => Some("exit"),
            text if text.starts_with("auth ") || text.starts_with("userauth ") => Some("auth"),
            _ => None,
        }
    }

    fn answer(
        &mut self,
        instance: &mut Instance,
        name: Option<&'static str>,
        message: &Message,
    ) -> Answer {
        match (name, &self.token) {
            (Some("auth"), _) => {
                let right = [
                    format!("auth {FREESWITCH_PASSWORD}"),
                    format!("userauth {FREESWITCH_USERNAME}:{FREESWITCH_PASSWORD}"),
                ];
                if !right.iter().any(|right| right == message.text.trim_end()) {
                    return Answer::bytes(reply(REFUSED) + DISCONNECT).then_hang_up();
                }
                self.token = Some(instance.sessions.issue(TokenKind::Access, LIFE, message.now));
                let mut text = reply("+OK accepted");
                if instance.population.behaviour.quirks {
                    // A line of the log, which nobody asked for.
                    text += "Content-Type: log/data\nContent-Length: 4\nLog-Level: 7\n\nlog\n";
                }
                Answer::bytes(text)
            }
            (Some("exit"), _) => Answer::bytes(reply("+OK bye") + DISCONNECT).then_hang_up(),
            (Some(_), Some(_)) => {
                let list = list(&instance.population, unix(message.wall));
                Answer::bytes(response(&list.to_string()))
            }
            (None, _) | (_, None) => self.failure(DENIED, message),
        }
    }

    /// What is refused before it is run is answered in the header, anything else in the body.
    fn failure(&self, code: &str, _message: &Message) -> Answer {
        let is_reply = [REFUSED, DENIED].contains(&code);
        Answer::bytes(if is_reply { reply(code) } else { response(&format!("{code}\n")) })
    }

    fn closed(&mut self, instance: &mut Instance) {
        if let Some(token) = &self.token {
            instance.sessions.revoke(token);
        }
    }
}
