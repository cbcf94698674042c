// SPDX-License-Identifier: Apache-2.0
//! Yeastar P-Series, OpenAPI v1.0.
//!
//! Source: `help.yeastar.com`, P-Series developer guide: get-access-token,
//! query-scheduled-conference-list, query-ongoing-conferences,
//! query-information-of-a-scheduled-conference. Deletes are GETs in this API and
//! `conference/viewpassword` answers a PIN in clear: nothing but the calls below is ever made.

mod answers;
mod codes;
mod login;
mod shown;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::try_join_all;
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::{
    Missing, Refusal, Setting, System,
    pbx::{
        LIVE,
        live::{self, Live},
    },
};
use crate::{
    config::{
        self, Advice, Conferences, OwnSettings, Profile, Reading, Transport,
        keys::{self, Key, Kind},
        secret::SecretSource,
    },
    model::{CallName, Measure, MeasureSet, Observation, Reason, Sizes},
    net::{Call, Failure, Fault},
    recording::Shown,
    session::Authorized,
};
use answers::{DETAILS, Detail, DetailData, Ongoing, Page, RoomPage, RoomSettings, ongoing};
use codes::{Code, unwrap};
use login::Login;

const LIST: CallName = CallName("conference/list");
const ONGOING: CallName = CallName("conference/query_ongoing_conference");
const GET: CallName = CallName("conference/get");

/// Most pages that are read. No PBX has rooms for more; it ends a list whose last page never comes.
const MOST_PAGES: u32 = 10_000;

const CLIENT_ID: Key = Key::new("client_id", Kind::Text, "Client ID of the API application.");
const CLIENT_SECRET: Key = Key::new("client_secret", Kind::Secret, "Its client secret.");
const PAGE_SIZE: Key =
    Key::new("page_size", Kind::Integer(1, 1000), "Rooms per page of conference/list.")
        .by_default("100");
const ROOM_DETAILS: Key =
    Key::new("room_details", Kind::Flag, "Ask for each room's settings too, one call a room.")
        .by_default("false");
const ROOM_DETAILS_INTERVAL: Key = Key::new(
    "room_details_interval",
    Kind::Duration(Duration::ZERO, Duration::from_secs(24 * 60 * 60)),
    "How often to ask for them; `0s` asks at every collection.",
)
.by_default("30m");

/// The keys of a Yeastar P-Series.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Client ID of the API application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretSource,
    /// Rooms per page of `conference/list`.
    pub page_size: u32,
    /// Whether to ask for ongoing conferences.
    pub live: bool,
    /// How often to ask for each room's settings; `None`: never.
    pub room_details: Option<Duration>,
}

/// One Yeastar P-Series.
pub struct YeastarP {
    source: String,
    page_size: u32,
    live: bool,
    room_details: Option<Duration>,
    conferences: Conferences,
    learnt: Arc<Learnt>,
}

/// What was found out about one PBX, and survives a reload that does not change which one and as
/// whom it is asked.
#[derive(Default)]
struct Learnt {
    no_live: Missing,
    no_details: Missing,
    details: Mutex<Option<Details>>,
}

/// Room settings, asked for rarely: one call a room.
#[derive(Clone, Copy)]
struct Details {
    fetched: Instant,
    settings: RoomSettings,
}

impl System for YeastarP {
    const PROFILE: &'static Profile = &Profile {
        name: "yeastar_p",
        title: "Yeastar P-Series",
        base_url: None,
        transport: Transport::Http { tls_port: Some(8088) },
        usual_port: 8088,
        api_path: "/openapi/v1.0",
        min_interval: "0s",
        logins: &[keys::Login { required: &[&CLIENT_ID, &CLIENT_SECRET], optional: &[] }],
        keys: &[&PAGE_SIZE, &LIVE, &ROOM_DETAILS, &ROOM_DETAILS_INTERVAL],
        read,
        calls: &[login::GET_TOKEN, login::REFRESH_TOKEN, login::DEL_TOKEN, LIST, ONGOING, GET],
        user_agent: Some("OpenAPI"),
        advice: &[
            Advice::new(
                Reason::Connect,
                "check host and port of base_url (usually https and 8088), and that the API is switched on: Integrations > API",
            ),
            Advice::new(Reason::Auth, "check client_id and client_secret: Integrations > API"),
            Advice::new(
                Reason::LockedOut,
                "wait, or remove this machine from Security > Security Rules > Blocked IPs; some blocks do not end by themselves",
            ),
            Advice::new(
                Reason::Forbidden,
                "allow this machine's address in Integrations > API, and conferences among its permissions",
            ),
            Advice::new(
                Reason::Vendor,
                "look the code up in the API documentation; an older firmware may need live: false",
            ),
        ],
    };

    const SHOWN: &Shown = &shown::SHOWN;

    type Settings = Settings;
    type Login = Login;

    fn login(settings: &Settings) -> Login {
        Login::new(settings)
    }

    fn new(source: &config::Source, settings: &Settings) -> Self {
        Self {
            source: source.name.clone(),
            page_size: settings.page_size,
            live: settings.live,
            room_details: settings.room_details,
            conferences: source.conferences,
            learnt: Arc::default(),
        }
    }

    fn inherit(&mut self, old: &Self) {
        self.learnt = Arc::clone(&old.learnt);
    }

    fn configured(&self) -> MeasureSet {
        MeasureSet::of(&[Measure::Rooms, Measure::RoomsModerated])
            .with_if(self.live, Sizes::MEASURES)
            .with_if(self.live, live::WAITING)
            .with_if(self.room_details.is_some(), DETAILS)
    }

    async fn collect(&self, authorized: &Authorized<'_, Login>) -> Result<Observation, Failure> {
        let mut observation = Observation::new();
        let rooms = self.rooms(authorized, &mut observation).await?;
        if let Some(interval) = self.room_details
            && let Some(settings) = self.details(authorized, &rooms, interval).await?
        {
            settings.report(&mut observation);
        }
        if self.live
            && let Some(live) = self.ongoing(authorized).await?
        {
            observation.merge(live);
        }
        Ok(observation)
    }
}

fn read(reading: &Reading<'_, '_>) -> Option<OwnSettings> {
    let section = reading.section;
    let client_id = section.text(&CLIENT_ID);
    let client_secret = section.secret(&CLIENT_SECRET);
    let page_size = section.integer(&PAGE_SIZE);
    let live = section.flag(&LIVE);
    let room_details = section.flag(&ROOM_DETAILS);
    let interval = section.duration(&ROOM_DETAILS_INTERVAL);
    reading.login?;
    let client_id = client_id?;
    Some(OwnSettings::new(
        client_id.clone(),
        Settings {
            client_id,
            client_secret: client_secret?,
            page_size: u32::try_from(page_size).ok()?,
            live,
            room_details: room_details.then_some(interval),
        },
    ))
}

impl YeastarP {
    /// Lists the rooms page by page and returns their ids.
    async fn rooms(
        &self,
        authorized: &Authorized<'_, Login>,
        observation: &mut Observation,
    ) -> Result<Vec<i64>, Failure> {
        let mut ids = Vec::new();
        let mut seen = HashSet::new();
        let mut moderated = Setting::default();
        for page in 1..=MOST_PAGES {
            let answer = authorized
                .send(
                    |token| {
                        Call::get(LIST, "/conference/list")
                            .query("page", page)
                            .query("page_size", self.page_size)
                            .query("sort_by", "number")
                            .query("order_by", "asc")
                            .query("access_token", token.access.expose_secret())
                    },
                    |answer| match unwrap::<Page>(answer, Code::on_query) {
                        Ok(page) => page.rooms().map(Some),
                        // "Data not found": there is no room.
                        Err(Refusal { code: Some(Code::NotFound), .. }) => Ok(None),
                        Err(refusal) => Err(refusal.into()),
                    },
                )
                .await?;
            let Some(RoomPage { rooms, total }) = answer else { break };
            let received = rooms.len();
            let before = ids.len();
            for (id, has_moderator) in rooms {
                if seen.insert(id) {
                    ids.push(id);
                    moderated.add(has_moderator);
                }
            }
            let short = received < self.page_size as usize;
            let complete = match total.and_then(|total| usize::try_from(total).ok()) {
                // A total below what is there already is wrong: only a short page ends the list.
                Some(total) => ids.len() == total || (short && ids.len() > total),
                None => short,
            };
            if complete || ids.len() == before {
                break;
            }
        }
        let rooms = ids.len() as u64;
        observation.set(Measure::Rooms, rooms);
        moderated.report(rooms, Measure::RoomsModerated, observation);
        Ok(ids)
    }

    /// The rooms' settings, asked for again after `interval`. `None`: this firmware has no such
    /// call.
    async fn details(
        &self,
        authorized: &Authorized<'_, Login>,
        rooms: &[i64],
        interval: Duration,
    ) -> Result<Option<RoomSettings>, Failure> {
        if self.learnt.no_details.is_known() {
            return Ok(None);
        }
        let known = *self.learnt.details.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.filter(|known| known.fetched.elapsed() < interval) {
            return Ok(Some(known.settings));
        }
        let answers = try_join_all(rooms.iter().map(|id| self.detail(authorized, *id))).await?;
        let mut settings = RoomSettings::default();
        for answer in answers {
            match answer {
                RoomAnswer::Settings(room) => settings.add(&room),
                RoomAnswer::Gone => {}
                RoomAnswer::NoSuchCall => {
                    self.learnt.no_details.note(&self.source, GET);
                    return Ok(None);
                }
            }
        }
        let details = Details { fetched: Instant::now(), settings };
        *self.learnt.details.lock().unwrap_or_else(PoisonError::into_inner) = Some(details);
        Ok(Some(settings))
    }

    async fn detail(
        &self,
        authorized: &Authorized<'_, Login>,
        id: i64,
    ) -> Result<RoomAnswer, Failure> {
        authorized
            .send(
                |token| {
                    Call::get(GET, "/conference/get")
                        .about(id)
                        .query("id", id)
                        .query("access_token", token.access.expose_secret())
                },
                |answer| match unwrap::<Detail>(answer, Code::on_query) {
                    Ok(Detail { data: Some(room), .. }) => Ok(RoomAnswer::Settings(room)),
                    Ok(Detail { data: None, .. }) => Err(Fault::new(Reason::Decode)),
                    Err(refusal) => match refusal.code {
                        Some(Code::NotFound) => Ok(RoomAnswer::Gone),
                        Some(Code::NoSuchCall) => Ok(RoomAnswer::NoSuchCall),
                        _ => Err(refusal.into()),
                    },
                },
            )
            .await
    }

    /// The ongoing conferences. `None`: this firmware has no such call.
    async fn ongoing(
        &self,
        authorized: &Authorized<'_, Login>,
    ) -> Result<Option<Observation>, Failure> {
        if self.learnt.no_live.is_known() {
            return Ok(None);
        }
        let live = authorized
            .send(
                |token| {
                    Call::get(ONGOING, "/conference/query_ongoing_conference")
                        .query("number", "all")
                        .query("access_token", token.access.expose_secret())
                },
                |answer| {
                    let mut live = Observation::new();
                    match unwrap::<Ongoing<'_>>(answer, Code::on_query) {
                        Ok(entries) => ongoing(entries, self.conferences)?.report(&mut live),
                        Err(refusal) => match refusal.code {
                            // No conference is active.
                            Some(Code::NotFound) => {
                                Live::new(self.conferences).report(&mut live);
                            }
                            Some(Code::NoSuchCall) => return Ok(None),
                            _ => return Err(refusal.into()),
                        },
                    }
                    Ok(Some(live))
                },
            )
            .await?;
        if live.is_none() {
            self.learnt.no_live.note(&self.source, ONGOING);
        }
        Ok(live)
    }
}

enum RoomAnswer {
    Settings(DetailData),
    Gone,
    NoSuchCall,
}
