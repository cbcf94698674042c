// SPDX-License-Identifier: Apache-2.0
//! BigBlueButton: `getMeetings` of one server.
//!
//! Every answer but that of a wrong path is HTTP 200 with XML. Breakout rooms, meetings nobody has joined yet and people
//! who have just left are in the list too, as on a real server. Source: bbb-web's template of the answer (2.4 to 3.0), and
//! `docs.bigbluebutton.org/development/api`.
//!
//! [`Behaviour::other`](crate::Behaviour::other): `checksums` names the algorithms that are allowed, all four by default.

use crate::activity::Activity;
use crate::call::{Answer, Call};
use crate::fault::Fault;
use crate::instance::Instance;
use crate::model::{Conference, Participant, Population, Presence};
use crate::registry::{Codes, Description, HttpSystem, Protocol, SimulatedSystem};
use crate::rng::{self, Rng};
use crate::truth::{Truth, joined};
use hyper::Method;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::fmt::Write as _;

mod damage;
mod population;

const SHARED_SECRET: &str = "demo-shared-secret-not-secret";
const XML: &str = "text/xml;charset=utf-8";
/// Meetings of more people than this have a breakout room.
const WITH_BREAKOUT: usize = 6;

pub(super) const DESCRIPTION: Description = Description {
    name: "bigbluebutton",
    calls: &["getMeetings"],
    logins: &[],
    with_token: &["getMeetings"],
    credentials: &[&[("shared_secret", SHARED_SECRET)]],
    codes: Codes {
        token_refused: "checksumError",
        login_refused: "checksumError",
        locked_out: None,
        throttled: None,
    },
};

pub(super) struct BigBlueButton;

impl SimulatedSystem for BigBlueButton {
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

    fn begin(&self, _population: &mut Population, random: &mut Rng, now: i64) -> Option<Conference> {
        Some(population::conference(random, now))
    }

    fn secrets(&self) -> Vec<String> {
        let checksums = ALGORITHMS.map(|(_, checksum)| checksum("getMeetings", SHARED_SECRET));
        checksums.into_iter().chain([SHARED_SECRET.to_owned()]).collect()
    }

    fn secrets_of(&self, population: &Population) -> Vec<String> {
        let secrets = population.conferences.iter().map(secrets_of_meeting);
        secrets.flatten().collect()
    }
}

type Checksum = fn(&str, &str) -> String;

const ALGORITHMS: [(&str, Checksum); 4] = [
    ("sha1", checksum::<Sha1>),
    ("sha256", checksum::<Sha256>),
    ("sha384", checksum::<Sha384>),
    ("sha512", checksum::<Sha512>),
];

fn checksum<D: Digest>(call: &str, secret: &str) -> String {
    let hash = D::digest(format!("{call}{secret}").as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl HttpSystem for BigBlueButton {
    fn name(&self, instance: &Instance, call: &Call) -> Option<&'static str> {
        let path = instance.below("/bigbluebutton/api", &call.path)?;
        (call.method == Method::GET && path == "/getMeetings").then_some("getMeetings")
    }

    fn answer(&self, instance: &mut Instance, name: Option<&'static str>, call: &Call) -> Answer {
        let Some(name) = name else {
            let text = "<Map><timestamp>1</timestamp><status>404</status><error>Not Found</error></Map>";
            return Answer { status: 404, ..Answer::bytes(text).announced(XML) };
        };
        let allowed = instance.population.behaviour.other.get("checksums");
        let is_right = |given: &str| {
            ALGORITHMS.iter().any(|(word, checksum)| {
                allowed.is_none_or(|allowed| allowed.contains(word))
                    && checksum(name, SHARED_SECRET) == given
            })
        };
        match &call.query[..] {
            [(key, given)] if key == "checksum" && is_right(given) => {
                Answer::bytes(meetings(&instance.population)).announced(XML)
            }
            _ => self.failure("checksumError"),
        }
    }

    fn failure(&self, code: &str) -> Answer {
        Answer::bytes(format!(
            "<response><returncode>FAILED</returncode><messageKey>{}</messageKey><message>Checksums do not match</message></response>",
            escaped(code)
        ))
        .announced(XML)
    }

    fn damaged(&self, fault: &Fault, right: &[u8]) -> Option<Vec<u8>> {
        damage::damaged(fault, std::str::from_utf8(right).ok()?)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Elements one after the other, as the server writes them.
#[derive(Default)]
struct Xml(String);

impl Xml {
    fn element(&mut self, name: &str, content: impl ToString) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "<{name}>{}</{name}>", escaped(&content.to_string()));
    }

    fn start(&mut self, name: &str) {
        let _ = writeln!(self.0, "<{name}>");
    }

    fn end(&mut self, name: &str) {
        let _ = writeln!(self.0, "</{name}>");
    }
}

fn meetings(population: &Population) -> String {
    let mut xml = Xml(String::from("<response>\n"));
    xml.element("returncode", "SUCCESS");
    if population.conferences.is_empty() {
        xml.0.push_str("<meetings/>\n");
        xml.element("messageKey", "noMeetings");
        xml.element("message", "no meetings were found on this server");
        return xml.0 + "</response>";
    }
    xml.start("meetings");
    for conference in &population.conferences {
        let people: Vec<_> = conference.participants.iter().filter(|p| is_listed(p)).collect();
        meeting(&mut xml, population, conference, &people, Kind::Main);
        let inside: Vec<_> = people.iter().copied().filter(|p| joined(p)).collect();
        if inside.len() > WITH_BREAKOUT {
            let some = &inside[..inside.len() / 2];
            meeting(&mut xml, population, conference, some, Kind::Breakout);
        }
    }
    // Created, and nobody has come yet.
    let nobody = Conference::new("0000000000000000000000000000000000000000", "70000000", "Later");
    meeting(&mut xml, population, &nobody, &[], Kind::NotRunning);
    xml.end("meetings");
    xml.0 + "</response>"
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Main,
    /// Its people are in the main meeting as well, and all of them are moderators here.
    Breakout,
    NotRunning,
}

fn is_listed(participant: &Participant) -> bool {
    matches!(participant.presence, Presence::Joined | Presence::Left)
}

/// Passwords, the number that callers dial, a link.
fn secrets_of_meeting(conference: &Conference) -> [String; 4] {
    let secret = |what: &str| format!("{what}-{:016x}", rng::hash(5, &[what, &conference.id]));
    let link = format!("https://meet.example.org/ended?token={}", secret("cb"));
    [secret("ap"), secret("mp"), conference.number.clone(), link]
}

fn meeting(
    xml: &mut Xml,
    population: &Population,
    conference: &Conference,
    people: &[&Participant],
    kind: Kind,
) {
    let [attendee_pw, moderator_pw, voice, link] = secrets_of_meeting(conference);
    let id = match kind {
        Kind::Breakout => format!("{:040x}", rng::hash(6, &[&conference.id])),
        Kind::Main | Kind::NotRunning => conference.id.clone(),
    };
    let created = conference.start_unix * 1_000;
    let inside = people.iter().filter(|p| joined(p)).count();
    let moderators = match kind {
        Kind::Breakout => inside,
        Kind::Main | Kind::NotRunning => {
            people.iter().filter(|p| population::moderates(p)).count()
        }
    };
    let grouped = |count: usize| grouped(population, count);
    xml.start("meeting");
    xml.element("meetingName", &conference.name);
    xml.element("meetingID", &id);
    xml.element("internalMeetingID", format!("{:040x}-{created}", rng::hash(7, &[&id])));
    xml.element("createTime", created);
    xml.element("voiceBridge", voice);
    xml.element("dialNumber", "613-555-1234");
    xml.element("attendeePW", attendee_pw);
    xml.element("moderatorPW", moderator_pw);
    xml.element("running", kind != Kind::NotRunning);
    xml.element("duration", 0);
    xml.element("recording", true);
    xml.element("hasBeenForciblyEnded", false);
    xml.element("startTime", created + 27);
    xml.element("endTime", 0);
    xml.element("participantCount", grouped(inside));
    xml.element("listenerCount", grouped(inside / 2));
    xml.element("videoCount", grouped(2 * inside));
    xml.element("moderatorCount", grouped(moderators));
    xml.start("attendees");
    for participant in people {
        xml.start("attendee");
        xml.element("userID", &participant.id);
        xml.element("fullName", &participant.name);
        xml.element("role", if population::moderates(participant) { "MODERATOR" } else { "VIEWER" });
        xml.element("isListeningOnly", participant.muted == Some(true));
        xml.element("hasVideo", population::has_camera(participant));
        xml.element("clientType", "HTML5");
        xml.start("customdata");
        if population.behaviour.quirks {
            xml.element("hasVideo", true);
            xml.element("attendee", "x");
        }
        xml.end("customdata");
        xml.end("attendee");
    }
    xml.end("attendees");
    xml.start("metadata");
    xml.element("endcallbackurl", link);
    if population.behaviour.quirks {
        xml.element("running", false);
        xml.element("participantcount", 4711);
        xml.element("isbreakout", true);
    }
    xml.end("metadata");
    xml.element("isBreakout", kind == Kind::Breakout);
    xml.end("meeting");
}

/// Until 2025 numbers are written as the server's language groups them.
fn grouped(population: &Population, count: usize) -> String {
    if population.behaviour.quirks && count >= 1_000 {
        format!("{},{:03}", count / 1_000, count % 1_000)
    } else {
        count.to_string()
    }
}
