// SPDX-License-Identifier: Apache-2.0
//! DingTalk video conferences.
//!
//! Source: `open.dingtalk.com/document/development`: obtain-the-access-token-of-an-internal-app,
//! obtain-the-access-token-of-the-authorized-enterprise-1, api-gettoken,
//! api-queryorgconferencelist, batch-query-of-video-conference-information,
//! server-api-error-codes-1, call-frequency-limit. Calls are metered by the month: none is made
//! that is not needed.

mod codes;
mod discovery;
mod ids;
mod login;
mod people;
mod query;
mod shown;
mod tally;

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use super::{
    System,
    watched::{DISCOVER, ID_MARKS, check_anything_to_ask},
};
use crate::{
    config::{
        self, Advice, Conferences, OwnSettings, Profile, RELATIVE_PATHS, Reading, Section,
        Transport, is_loopback,
        keys::{self, Key, Kind, MIN_INTERVAL},
        secret::SecretSource,
    },
    model::{CallName, MeasureSet, Observation, Reason, Sizes},
    net::Failure,
    recording::Shown,
    session::Authorized,
};
use discovery::{Listing, discover};
use login::Login;
use query::{Learnt, Queries};
use tally::{MEASURES, Tally};

const ACCESS_TOKEN: CallName = CallName("access_token");
const LIST: CallName = CallName("orgConferences");
const QUERY: CallName = CallName("videoConferences/query");

/// The header that carries the token, without a prefix.
const TOKEN_HEADER: &str = "x-acs-dingtalk-access-token";

/// The header by which the vendor's own SDK asks for JSON. Gateways of its kind may answer XML to a client that does not.
const ACCEPT_JSON: (&str, &str) = ("accept", "application/json");

/// A refused id is not asked for again for at least that long.
const SHORTEST_PAUSE: Duration = Duration::from_secs(60 * 60);

const APP_KEY: Key = Key::new("app_key", Kind::Text, "App key of an internal application.");
const APP_SECRET: Key = Key::new("app_secret", Kind::Secret, "Its app secret.");
const CORP_ID: Key = Key::new("corp_id", Kind::Text, "Enterprise, for the unified token call.");
const CLIENT_ID: Key = Key::new("client_id", Kind::Text, "Client ID of the application.");
const CLIENT_SECRET: Key = Key::new("client_secret", Kind::Secret, "Its client secret.");
const SUITE_KEY: Key = Key::new("suite_key", Kind::Text, "Suite key of a third-party application.");
const SUITE_SECRET: Key = Key::new("suite_secret", Kind::Secret, "Its suite secret.");
const AUTH_CORP_ID: Key =
    Key::new("auth_corp_id", Kind::Text, "Enterprise that authorised the suite.");
const SUITE_TICKET: Key = Key::new(
    "suite_ticket",
    Kind::Secret,
    "Ticket that DingTalk pushes every few hours; best kept current in a file.",
);
const CONFERENCE_IDS: Key =
    Key::new("conference_ids", Kind::Ids(ID_MARKS, 128), "Conferences to watch.");
const CONFERENCE_IDS_FILE: Key = Key::new(
    "conference_ids_file",
    Kind::File,
    "More of them, one a line, read at each collection.",
);
const BATCH_SIZE: Key =
    Key::new("batch_size", Kind::Integer(1, 200), "Conferences asked for in one call.")
        .by_default("50");

/// The keys of an organisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How to get an access token.
    pub login: Credentials,
    /// Whether to list the organisation's ongoing meetings.
    pub discover: bool,
    /// Meetings to watch.
    pub conference_ids: Vec<String>,
    /// More of them, one a line, read at each collection.
    pub conference_ids_file: Option<PathBuf>,
    /// Ids per query; at least 1.
    pub batch_size: usize,
}

/// How to get a DingTalk access token.
#[derive(Clone, Debug, PartialEq)]
pub enum Credentials {
    /// Internal application.
    Internal {
        /// App key.
        app_key: String,
        /// Its secret.
        app_secret: SecretSource,
    },
    /// The unified token call, for an enterprise and a client ID.
    Unified {
        /// Corporation.
        corp_id: String,
        /// Client ID.
        client_id: String,
        /// Its secret.
        client_secret: SecretSource,
    },
    /// Third-party enterprise application.
    ThirdParty {
        /// Suite key.
        suite_key: String,
        /// Its secret.
        suite_secret: SecretSource,
        /// The corporation that authorised the suite.
        auth_corp_id: String,
        /// The ticket DingTalk pushes every few hours.
        suite_ticket: SecretSource,
    },
}

/// One organisation's DingTalk.
pub struct Dingtalk {
    discover: bool,
    conference_ids: Vec<String>,
    conference_ids_file: Option<PathBuf>,
    batch_size: usize,
    /// How long an id that was refused is not asked for.
    pause: Duration,
    conferences: Conferences,
    learnt: Arc<Learnt>,
}

impl System for Dingtalk {
    const PROFILE: &'static Profile = &Profile {
        name: "dingtalk",
        title: "DingTalk",
        base_url: Some("https://api.dingtalk.com"),
        transport: Transport::Http { tls_port: Some(443) },
        usual_port: 443,
        api_path: "",
        min_interval: "15m",
        logins: &[
            keys::Login { required: &[&APP_KEY, &APP_SECRET], optional: &[] },
            keys::Login { required: &[&CORP_ID, &CLIENT_ID, &CLIENT_SECRET], optional: &[] },
            keys::Login {
                required: &[&SUITE_KEY, &SUITE_SECRET, &AUTH_CORP_ID, &SUITE_TICKET],
                optional: &[],
            },
        ],
        keys: &[&DISCOVER, &CONFERENCE_IDS, &CONFERENCE_IDS_FILE, &BATCH_SIZE],
        read,
        calls: &[ACCESS_TOKEN, LIST, QUERY],
        user_agent: None,
        advice: &[
            Advice::new(
                Reason::Auth,
                "check app key and secret, and that the application is published",
            ),
            Advice::new(
                Reason::LockedOut,
                "the address is banned for some minutes: scrape less often",
            ),
            Advice::new(
                Reason::Forbidden,
                "grant the application the video conference permissions, and allow this machine's address",
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
            discover: settings.discover,
            conference_ids: settings.conference_ids.clone(),
            conference_ids_file: settings.conference_ids_file.clone(),
            batch_size: settings.batch_size,
            pause: source.min_interval.saturating_mul(4).max(SHORTEST_PAUSE),
            conferences: source.conferences,
            learnt: Arc::default(),
        }
    }

    fn inherit(&mut self, old: &Self) {
        self.learnt = Arc::clone(&old.learnt);
    }

    fn configured(&self) -> MeasureSet {
        MeasureSet::of(Sizes::MEASURES).with(MEASURES)
    }

    async fn collect(&self, authorized: &Authorized<'_, Login>) -> Result<Observation, Failure> {
        let from_file = match &self.conference_ids_file {
            Some(path) => ids::read(path).await?,
            None => Vec::new(),
        };
        let listing = if self.discover {
            discover(authorized, self.conferences).await?
        } else {
            Listing::default()
        };
        let configured: HashSet<&str> =
            self.conference_ids.iter().chain(&from_file).map(String::as_str).collect();
        let mut seen = HashSet::new();
        let ids = listing
            .ids()
            .chain(self.conference_ids.iter().chain(&from_file).map(String::as_str))
            .filter(|id| seen.insert(*id))
            .collect();
        let queries = Queries {
            authorized,
            learnt: &self.learnt,
            configured: &configured,
            pause: self.pause,
            batch_size: self.batch_size,
            shown: self.conferences,
        };
        let mut tally = Tally::new(self.conferences);
        for meeting in queries.meetings(ids).await? {
            tally.add(meeting, &listing);
        }
        Ok(tally.observation())
    }
}

fn read(reading: &Reading<'_, '_>) -> Option<OwnSettings> {
    let section = reading.section;
    let text = |key| section.text(key);
    let secret = |key| section.secret(key);
    let (app_key, app_secret) = (text(&APP_KEY), secret(&APP_SECRET));
    let corp_id = text(&CORP_ID);
    let (client_id, client_secret) = (text(&CLIENT_ID), secret(&CLIENT_SECRET));
    let (suite_key, suite_secret) = (text(&SUITE_KEY), secret(&SUITE_SECRET));
    let (auth_corp_id, suite_ticket) = (text(&AUTH_CORP_ID), secret(&SUITE_TICKET));
    let discover = section.flag(&DISCOVER);
    let conference_ids = section.ids(&CONFERENCE_IDS);
    let conference_ids_file = read_ids_file(section);
    let batch_size = section.integer(&BATCH_SIZE);
    let listed = section.has_items(&CONFERENCE_IDS) || section.is_given(&CONFERENCE_IDS_FILE);
    check_anything_to_ask(section, discover, listed);
    let login = match reading.login? {
        0 => Credentials::Internal { app_key: app_key?, app_secret: app_secret? },
        1 => Credentials::Unified {
            corp_id: corp_id?,
            client_id: client_id?,
            client_secret: client_secret?,
        },
        _ => Credentials::ThirdParty {
            suite_key: suite_key?,
            suite_secret: suite_secret?,
            auth_corp_id: auth_corp_id?,
            suite_ticket: suite_ticket?,
        },
    };
    if discover {
        warn_of_quota(reading);
    }
    let (who, batch_size) = (login.who(), usize::try_from(batch_size).ok()?);
    let settings = Settings { login, discover, conference_ids, conference_ids_file, batch_size };
    Some(OwnSettings::new(who, settings))
}

/// The file is read at each collection; that it is there is checked now.
fn read_ids_file(section: &Section<'_>) -> Option<PathBuf> {
    let path = section.file(&CONFERENCE_IDS_FILE)?;
    if let Err(problem) = ids::read_now(&path) {
        section.unready(&CONFERENCE_IDS_FILE, &problem, Some(RELATIVE_PATHS));
    }
    Some(path)
}

/// The free tier allows 5,000 calls a month, for all applications of the enterprise.
fn warn_of_quota(reading: &Reading<'_, '_>) {
    const LEAST: Duration = Duration::from_secs(600);
    if reading.min_interval >= LEAST || reading.base_url.is_none_or(is_loopback) {
        return;
    }
    let message = "asking more often than every 10m can use up the free tier's 5,000 calls a month";
    let remedy = Some("leave it at 15m unless the enterprise has a larger quota");
    reading.section.warning(&MIN_INTERVAL, message, remedy);
}
