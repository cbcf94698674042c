// SPDX-License-Identifier: Apache-2.0
//! Asterisk's ConfBridge, by the Asterisk Manager Interface.
//!
//! Source: the answers of an Asterisk 16.28 and a 22.10 (`tests/data/asterisk`), whose messages and order of lines
//! these have. A user with `write = reporting` logs in: every other action is refused.

use crate::activity::Activity;
use crate::call::Answer;
use crate::instance::Instance;
use crate::model::{Conference, Participant, Population, Presence, Role};
use crate::registry::{
    Codes, Conversation, Description, Message, Protocol, SimulatedSystem, TextSystem,
};
use crate::rng::Rng;
use crate::sessions::TokenKind;
use crate::systems::pbx::{mixer, population};
use crate::truth::Truth;
use md5::{Digest, Md5};
use std::fmt::Write as _;
use std::time::Duration;

/// User of the manager interface.
pub const ASTERISK_USERNAME: &str = "exporter";
/// Its secret.
pub const ASTERISK_PASSWORD: &str = "demo-password-not-secret";

const REFUSED: &str = "Authentication failed";
const DENIED: &str = "Permission denied";
const NO_CONFERENCES: &str = "No active conferences.";

/// A login ends with its connection.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) const DESCRIPTION: Description = Description {
    name: "asterisk",
    calls: &["challenge", "login", "confbridge_list_rooms", "confbridge_list", "logoff"],
    logins: &["login"],
    with_token: &["confbridge_list_rooms", "confbridge_list"],
    credentials: &[&[("username", ASTERISK_USERNAME), ("password", ASTERISK_PASSWORD)]],
    codes: Codes {
        token_refused: DENIED,
        login_refused: REFUSED,
        locked_out: None,
        throttled: None,
    },
};

pub(super) struct Asterisk;

impl SimulatedSystem for Asterisk {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn protocol(&self) -> Protocol {
        Protocol::Text(&Self)
    }

    fn populate(&self, population: &mut Population, random: &mut Rng, now: i64) {
        mixer::populate(population, random, now, (100, 30));
        for (index, conference) in population.conferences.iter_mut().enumerate() {
            conference.locked = index == 1;
            conference.all_muted = index == 2;
        }
    }

    fn truth(&self, population: &Population) -> Truth {
        let live: Vec<_> = population.conferences.iter().collect();
        Truth {
            conferences_all_muted: mixer::conferences(&live, |conference| conference.all_muted),
            ..mixer::truth(&live, |_| None)
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
            conference.all_muted ^= random.percent(2);
        }
    }

    fn secrets(&self) -> Vec<String> {
        vec![ASTERISK_PASSWORD.to_owned()]
    }
}

impl TextSystem for Asterisk {
    fn connect(&self, _instance: &mut Instance) -> Box<dyn Conversation> {
        Box::new(Manager { challenge: None, token: None })
    }
}

/// One connection of the manager interface.
struct Manager {
    challenge: Option<String>,
    token: Option<String>,
}

/// The value of a line of an action.
fn field<'a>(message: &'a Message, key: &str) -> &'a str {
    let fields = message.text.lines().filter_map(|line| line.split_once(':'));
    fields
        .map(|(name, value)| (name, value.trim()))
        .find(|(name, _)| name.eq_ignore_ascii_case(key))
        .map_or("", |(_, value)| value)
}

/// A block with the id of the action it answers.
fn block(first: &str, message: &Message, lines: &[(&str, &str)]) -> String {
    let mut text = format!("{first}\r\n");
    let id = field(message, "ActionID");
    if !id.is_empty() {
        let _ = write!(text, "ActionID: {id}\r\n");
    }
    for (key, value) in lines {
        let _ = write!(text, "{key}: {value}\r\n");
    }
    text + "\r\n"
}

fn yes_no(on: bool) -> &'static str {
    if on { "Yes" } else { "No" }
}

/// What comes at any time to users with `system` among what they may read.
const EVENT: &str = "Event: FullyBooted\r\nPrivilege: system,all\r\nUptime: 4711\r\nLastReload: 4711\r\n\
                     Status: Fully Booted\r\n\r\n";

/// A list: how it begins, its items, its end with their number. `quirks`: events come in between.
fn list(
    message: &Message,
    says: &str,
    event: &str,
    items: &[Vec<(&str, &str)>],
    quirks: bool,
) -> Answer {
    let start = [("EventList", "start"), ("Message", says)];
    let mut text = block("Response: Success", message, &start);
    for item in items {
        if quirks {
            text += EVENT;
        }
        text += &block(&format!("Event: {event}"), message, item);
    }
    let number = items.len().to_string();
    let end = [("EventList", "Complete"), ("ListItems", number.as_str())];
    Answer::bytes(text + &block(&format!("Event: {event}Complete"), message, &end))
}

impl Manager {
    fn log_in(&mut self, instance: &mut Instance, message: &Message) -> Answer {
        let challenge = self.challenge.take().unwrap_or_default();
        let key = crate::hex(&Md5::digest(format!("{challenge}{ASTERISK_PASSWORD}").as_bytes()));
        let is_right = !challenge.is_empty()
            && field(message, "AuthType").eq_ignore_ascii_case("MD5")
            && field(message, "Username") == ASTERISK_USERNAME
            && field(message, "Key") == key;
        if !is_right {
            return self.failure(REFUSED, message).then_hang_up();
        }
        self.token = Some(instance.sessions.issue(TokenKind::Access, LIFE, message.now));
        let accepted = [("Message", "Authentication accepted")];
        let mut text = block("Response: Success", message, &accepted);
        if instance.population.behaviour.quirks {
            text += EVENT;
        }
        // Events would pour in.
        let forbidden = !field(message, "Events").eq_ignore_ascii_case("off");
        Answer { forbidden, ..Answer::bytes(text) }
    }
}

fn rooms(population: &Population, message: &Message) -> Answer {
    let parties: Vec<_> = population.conferences.iter().map(|c| here(c).count().to_string()).collect();
    let items: Vec<_> = population
        .conferences
        .iter()
        .zip(&parties)
        .map(|(conference, parties)| {
            vec![
                ("Conference", conference.number.as_str()),
                ("Parties", parties),
                ("Marked", "0"),
                ("Locked", yes_no(conference.locked)),
                ("Muted", yes_no(conference.all_muted)),
            ]
        })
        .collect();
    let says = "Confbridge conferences will follow";
    list(message, says, "ConfbridgeListRooms", &items, population.behaviour.quirks)
}

/// Those who are listed: a caller who types a PIN is nowhere.
fn here(conference: &Conference) -> impl Iterator<Item = &Participant> {
    let is_here = |p: &&Participant| matches!(p.presence, Presence::Joined | Presence::Waiting);
    conference.participants.iter().filter(is_here)
}

fn room(population: &Population, conference: &Conference, message: &Message) -> Answer {
    let channels: Vec<_> =
        here(conference).map(|p| (format!("PJSIP/{}-{}", p.number, p.id), format!("1795869852.{}", p.id))).collect();
    let items: Vec<_> = here(conference)
        .zip(&channels)
        .map(|(person, (channel, unique))| {
            let waits = person.presence == Presence::Waiting;
            let is_host = person.role == Role::Host;
            vec![
                ("Conference", conference.number.as_str()),
                ("Admin", yes_no(is_host)),
                ("MarkedUser", yes_no(is_host)),
                ("WaitMarked", yes_no(waits)),
                ("EndMarked", "No"),
                ("EndMarkedAny", "No"),
                ("Waiting", yes_no(waits)),
                ("Muted", yes_no(person.muted == Some(true))),
                ("Talking", "No"),
                ("AnsweredTime", "61"),
                ("Channel", channel),
                ("ChannelState", "6"),
                ("ChannelStateDesc", "Up"),
                ("CallerIDNum", &person.number),
                ("CallerIDName", &person.name),
                ("ConnectedLineNum", "<unknown>"),
                ("ConnectedLineName", "<unknown>"),
                ("Language", "en"),
                ("AccountCode", ""),
                ("Context", "from-internal"),
                ("Exten", conference.number.as_str()),
                ("Priority", "2"),
                ("Uniqueid", unique),
                ("Linkedid", unique),
            ]
        })
        .collect();
    let says = "Confbridge user list will follow";
    list(message, says, "ConfbridgeList", &items, population.behaviour.quirks)
}

impl Conversation for Manager {
    fn greeting(&mut self, _instance: &mut Instance) -> Option<Answer> {
        Some(Answer::bytes("Asterisk Call Manager/11.0.0\r\n"))
    }

    fn message_end(&self, received: &[u8]) -> Option<usize> {
        let end = received.windows(4).position(|four| four == b"\r\n\r\n")?;
        Some(end + 4)
    }

    fn name(&self, message: &Message) -> Option<&'static str> {
        let action = field(message, "Action");
        let actions = ["Challenge", "Login", "ConfbridgeListRooms", "ConfbridgeList", "Logoff"];
        let at = actions.iter().position(|known| known.eq_ignore_ascii_case(action))?;
        Some(DESCRIPTION.calls[at])
    }

    fn answer(
        &mut self,
        instance: &mut Instance,
        name: Option<&'static str>,
        message: &Message,
    ) -> Answer {
        match (name, &self.token) {
            (Some("challenge"), _) if !field(message, "AuthType").eq_ignore_ascii_case("MD5") => {
                self.failure("Must specify AuthType", message)
            }
            (Some("challenge"), _) => {
                let token = instance.sessions.issue(TokenKind::Refresh, LIFE, message.now);
                let challenge = self.challenge.insert(token);
                let answer = [("Challenge", challenge.as_str())];
                Answer::bytes(block("Response: Success", message, &answer))
            }
            (Some("login"), _) => self.log_in(instance, message),
            (Some("logoff"), _) => {
                let thanks = [("Message", "Thanks for all the fish.")];
                Answer::bytes(block("Response: Goodbye", message, &thanks)).then_hang_up()
            }
            (Some(_), None) | (None, _) => self.failure(DENIED, message),
            (Some(_), Some(_)) if instance.population.conferences.is_empty() => {
                self.failure(NO_CONFERENCES, message)
            }
            (Some("confbridge_list_rooms"), Some(_)) => rooms(&instance.population, message),
            (Some(_), Some(_)) => {
                let wanted = field(message, "Conference");
                if wanted.is_empty() {
                    return self.failure("No Conference name provided.", message);
                }
                let population = &instance.population;
                match population.conferences.iter().find(|c| c.number == wanted) {
                    Some(conference) => room(population, conference, message),
                    None => self.failure("No Conference by that name found.", message),
                }
            }
        }
    }

    fn failure(&self, code: &str, message: &Message) -> Answer {
        Answer::bytes(block("Response: Error", message, &[("Message", code)]))
    }

    fn closed(&mut self, instance: &mut Instance) {
        if let Some(token) = &self.token {
            instance.sessions.revoke(token);
        }
    }
}
