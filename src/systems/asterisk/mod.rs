// SPDX-License-Identifier: Apache-2.0
//! Asterisk's ConfBridge, also under FreePBX and Issabel, by the Asterisk Manager Interface.
//!
//! Source: the manager interface's documentation (docs.asterisk.org: `ConfbridgeListRooms`,
//! `ConfbridgeList`), `apps/app_confbridge.c`, and the answers of an Asterisk 16.28 and a 22.10. A user
//! with `write = reporting` alone may make every call below; the interface can do anything else to
//! those who may more.

mod ami;
mod answers;
mod codes;
mod login;
mod shown;

use super::{Refusal, System};
use crate::{
    config::{
        self, Advice, Conferences, OwnSettings, Profile, Reading, Transport,
        keys::{self, Key, Kind},
        secret::SecretSource,
    },
    model::{CallName, MeasureSet, Observation, Reason, Sizes},
    net::{Failure, lines::Lines},
    recording::Shown,
    session::Authorized,
};
use ami::{Action, Ami};
use answers::{Found, PEOPLE, People, Person, Room, observation};
use codes::{Code, unwrap};
use login::Login;

const LIST_ROOMS: CallName = CallName("confbridge_list_rooms");
const LIST: CallName = CallName("confbridge_list");

const USERNAME: Key =
    Key::new("username", Kind::Text, "User of manager.conf; `write = reporting` is enough.");
const PASSWORD: Key = Key::new("password", Kind::Secret, "Its secret; it is not sent itself.");

/// The keys of an Asterisk.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// User of the manager interface.
    pub username: String,
    /// Its secret.
    pub password: SecretSource,
}

/// One Asterisk.
pub struct Asterisk {
    conferences: Conferences,
}

impl System for Asterisk {
    const PROFILE: &'static Profile = &Profile {
        name: "asterisk",
        title: "Asterisk",
        base_url: None,
        transport: Transport::Lines { tls_port: Some(5039) },
        usual_port: 5038,
        api_path: "",
        min_interval: "0s",
        logins: &[keys::Login { required: &[&USERNAME, &PASSWORD], optional: &[] }],
        keys: &[],
        read,
        calls: &[login::CHALLENGE, login::LOGIN, LIST_ROOMS, LIST, login::LOGOFF],
        user_agent: None,
        advice: &[
            Advice::new(
                Reason::Connect,
                "check host and port of base_url (usually 5038), and that manager.conf says enabled = yes",
            ),
            Advice::new(
                Reason::Auth,
                "check user and secret in manager.conf, and that permit and deny let this machine in",
            ),
            Advice::new(Reason::Forbidden, "give the user write = reporting in manager.conf"),
            Advice::new(Reason::Vendor, "Asterisk refused the request: look at its log"),
            Advice::new(
                Reason::Decode,
                "is base_url the manager interface (usually port 5038), and not another service?",
            ),
        ],
    };

    const SHOWN: &Shown = &shown::SHOWN;

    type Settings = Settings;
    type Login = Login;

    fn login(settings: &Settings) -> Login {
        Login::new(settings)
    }

    fn new(source: &config::Source, _: &Settings) -> Self {
        Self { conferences: source.conferences }
    }

    fn configured(&self) -> MeasureSet {
        MeasureSet::of(Sizes::MEASURES).with(PEOPLE)
    }

    async fn collect(&self, authorized: &Authorized<'_, Login>) -> Result<Observation, Failure> {
        let connection = authorized.log_in().await?;
        let mut lines = connection.lock().await;
        let mut conferences = Vec::new();
        for room in rooms(authorized, &mut lines).await? {
            let people = people(authorized, &mut lines, &room.name).await?;
            conferences.push((room, people));
        }
        Ok(observation(conferences, self.conferences))
    }
}

fn read(reading: &Reading<'_, '_>) -> Option<OwnSettings> {
    let section = reading.section;
    let username = section.text(&USERNAME);
    let password = section.secret(&PASSWORD);
    reading.login?;
    let username = username?;
    Some(OwnSettings::new(username.clone(), Settings { username, password: password? }))
}

/// The conferences that are going on, each once.
async fn rooms(
    authorized: &Authorized<'_, Login>,
    lines: &mut Lines<Ami>,
) -> Result<Vec<Found>, Failure> {
    let action = Action::new("ConfbridgeListRooms");
    lines
        .ask(authorized.api(), (LIST_ROOMS, ""), &action, |answer| {
            let rooms = match unwrap::<Room<'_>>(answer, Code::on_query) {
                Ok(answered) => answered.items()?,
                Err(Refusal { code: Some(Code::NoConferences), .. }) => Vec::new(),
                Err(refusal) => return Err(refusal.into()),
            };
            let mut rooms = rooms.into_iter().map(Room::found).collect::<Result<Vec<_>, _>>()?;
            rooms.sort_unstable_by(|one, other| one.name.cmp(&other.name));
            rooms.dedup_by(|one, other| one.name == other.name);
            Ok(rooms)
        })
        .await
}

/// Who is in `room`, if that is told; nobody if it has ended meanwhile.
async fn people(
    authorized: &Authorized<'_, Login>,
    lines: &mut Lines<Ami>,
    room: &str,
) -> Result<Option<People>, Failure> {
    let action = Action::new("ConfbridgeList").with("Conference", room);
    lines
        .ask(authorized.api(), (LIST, room), &action, |answer| {
            match unwrap::<Person<'_>>(answer, Code::on_query) {
                Ok(answered) => People::of(&answered.items()?),
                Err(Refusal {
                    code: Some(Code::NoConferences | Code::NoSuchConference), ..
                }) => Ok(Some(People::default())),
                Err(refusal) => Err(refusal.into()),
            }
        })
        .await
}
