// SPDX-License-Identifier: Apache-2.0
//! Huawei Cloud Meeting.
//!
//! The list of ongoing meetings has the head counts; everything else costs a call a meeting and
//! is opt-in. `isMute` and `isAutoMute` are settings for those who join: live mute comes only
//! from `control`, for meetings whose host password is configured. Nothing but the calls of
//! its profile is ever made, and each of them only reads.

mod codes;
mod control;
mod login;
mod meetings;
mod shown;

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::{future::try_join_all, try_join};
use tracing::warn;

use super::{
    Setting, System,
    watched::{DISCOVER, ID_MARKS, check_anything_to_ask},
};
use crate::{
    config::{
        self, Advice, Conferences, OwnSettings, Profile, Reading, Section, Transport,
        keys::{self, Key, Kind},
        secret::SecretSource,
    },
    model::{Conference, Measure, MeasureSet, Observation, Reason, Sizes},
    net::Failure,
    recording::Shown,
    session::Authorized,
};
use control::{Hosts, Live};
use login::{Login, Token};
use meetings::Active;

const APP_ID: Key = Key::new("app_id", Kind::Text, "App ID of the application.");
const APP_KEY: Key = Key::new("app_key", Kind::Secret, "Key of the App ID.");
const USER_ID: Key = Key::new(
    "user_id",
    Kind::Text,
    "Act as this user; without it as the enterprise's default administrator. The vendor creates a user that it does not know.",
);
const CORP_ID: Key =
    Key::new("corp_id", Kind::Text, "Enterprise to act for; for service providers only.");
const ACCOUNT: Key = Key::new("account", Kind::Text, "Account of a person, instead of an App ID.");
const PASSWORD: Key = Key::new("password", Kind::Secret, "Password of the account.");
const SCOPE: Key = Key::new(
    "scope",
    Kind::Choice(&["enterprise", "own"]),
    "All meetings of the enterprise (needs an administrator) or the user's own.",
)
.by_default("enterprise");
const CONFERENCE_IDS: Key = Key::new(
    "conference_ids",
    Kind::Ids(ID_MARKS, 64),
    "Meetings to watch, quoted: \"987654321\".",
);
const ATTENDEES: Key =
    Key::new("attendees", Kind::Flag, "Ask for the attendees of each active meeting: moderators.")
        .by_default("false");
const DETAILS: Key =
    Key::new("details", Kind::Flag, "Ask for the details of each active meeting: people invited.")
        .by_default("false");
const HOSTS: Key = Key::new(
    "hosts",
    Kind::Sections(&[&HOST_CONFERENCE_ID, &HOST_PASSWORD]),
    "Meetings whose host password is known: live mute state, raised hands.",
);
const HOST_CONFERENCE_ID: Key =
    Key::new("conference_id", Kind::Id(ID_MARKS, 64), "Meeting ID, quoted.");
const HOST_PASSWORD: Key = Key::new("password", Kind::Secret, "Host password of the meeting.");

/// The keys of a tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How to log in.
    pub login: Credentials,
    /// Whether to ask for all meetings of the enterprise (administrators) or the user's own.
    pub enterprise: bool,
    /// Whether all listed meetings count, or only `conference_ids`.
    pub discover: bool,
    /// Meetings to watch.
    pub conference_ids: Vec<String>,
    /// `conf-attendee` per active meeting.
    pub attendees: bool,
    /// `confDetail` per active meeting.
    pub details: bool,
    /// Meetings whose host password is known: live mute state.
    pub hosts: Vec<Host>,
}

/// How to log in to Huawei Cloud Meeting.
#[derive(Clone, Debug, PartialEq)]
pub enum Credentials {
    /// App ID authentication.
    AppId {
        /// App ID.
        app_id: String,
        /// Its key.
        app_key: SecretSource,
        /// Act as this user; `None`: the default administrator.
        user_id: Option<String>,
        /// Corporation, for service providers only.
        corp_id: Option<String>,
    },
    /// The account of a person.
    Account {
        /// Account.
        account: String,
        /// Its password.
        password: SecretSource,
    },
}

/// A meeting whose host password is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// Meeting ID.
    pub conference_id: String,
    /// Host password.
    pub password: SecretSource,
}

/// The measures of the two lists besides [`Sizes::MEASURES`].
const LISTED: &[Measure] = &[Measure::ConferencesScheduled, Measure::ConferencesMuteOnJoin];

/// The measures of the live views.
const HOSTED: &[Measure] = &[
    Measure::ParticipantsJoining,
    Measure::ParticipantsInvited,
    Measure::ParticipantsMuted,
    Measure::ParticipantsMuteReported,
    Measure::ParticipantsHandRaised,
    Measure::ParticipantsModerators,
];

/// One tenant of Huawei Cloud Meeting.
pub struct HuaweiMeeting {
    source: String,
    enterprise: bool,
    /// The meetings that count; `None`: all.
    watched: Option<HashSet<String>>,
    attendees: bool,
    details: bool,
    hosts: Hosts,
    conferences: Conferences,
    /// Whether the log has been told that the scope asks for more than the login may see.
    warned: AtomicBool,
}

impl System for HuaweiMeeting {
    const PROFILE: &'static Profile = &Profile {
        name: "huawei_meeting",
        title: "Huawei Cloud Meeting",
        base_url: Some("https://api.meeting.huaweicloud.com"),
        transport: Transport::Http { tls_port: Some(443) },
        usual_port: 443,
        api_path: "",
        min_interval: "30s",
        logins: &[
            keys::Login { required: &[&APP_ID, &APP_KEY], optional: &[&USER_ID, &CORP_ID] },
            keys::Login { required: &[&ACCOUNT, &PASSWORD], optional: &[] },
        ],
        keys: &[&SCOPE, &DISCOVER, &CONFERENCE_IDS, &ATTENDEES, &DETAILS, &HOSTS],
        read,
        calls: &[
            login::APPAUTH,
            login::ACCOUNT_LOGIN,
            login::TOKEN_LOGOUT,
            meetings::CONFERENCES,
            meetings::ONLINE,
            meetings::DETAIL,
            meetings::ATTENDEES,
            control::CONTROL_TOKEN,
            control::REAL_TIME_INFO,
        ],
        user_agent: None,
        advice: &[
            Advice::new(
                Reason::Auth,
                "check app_id and app_key (or account and password), and this machine's clock: logins are signed with the time",
            ),
            Advice::new(
                Reason::LockedOut,
                "the account is locked: wait, or let the administrator unlock it",
            ),
            Advice::new(
                Reason::Forbidden,
                "only an enterprise administrator sees all meetings: use such a user, or scope: own",
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
        let watched = || settings.conference_ids.iter().cloned().collect();
        Self {
            source: source.name.clone(),
            enterprise: settings.enterprise,
            watched: (!settings.discover).then(watched),
            attendees: settings.attendees,
            details: settings.details,
            hosts: Hosts::new(settings.hosts.clone()),
            conferences: source.conferences,
            warned: AtomicBool::new(false),
        }
    }

    fn inherit(&mut self, old: &Self) {
        self.hosts.inherit(&old.hosts);
        self.warned = AtomicBool::new(old.warned.load(Ordering::Relaxed));
    }

    fn configured(&self) -> MeasureSet {
        let hosts = !self.hosts.is_empty();
        MeasureSet::of(Sizes::MEASURES)
            .with(LISTED)
            .with_if(self.details, &[Measure::Invitees])
            .with_if(self.attendees, &[Measure::ParticipantsModerators])
            .with_if(hosts, HOSTED)
    }

    async fn collect(&self, authorized: &Authorized<'_, Login>) -> Result<Observation, Failure> {
        // Sent before the others: if the token has expired, only this call fails for it.
        let active = self.active(authorized).await?;
        // What the live views are to tell is not asked for twice.
        let others = active.keys().filter(|id| self.attendees && !self.hosts.knows(id));
        let (scheduled, invited, hosts, views) = try_join!(
            self.scheduled(authorized, &active),
            invited(authorized, &active, self.details),
            hosts_present(authorized, others),
            self.hosts.live(authorized.api(), authorized.session(), &active),
        )?;
        let mut observation = Observation::new();
        observation.set(Measure::ConferencesScheduled, scheduled);
        observation.set_if_reported(Measure::Invitees, invited);
        let told = if self.hosts.is_empty() { None } else { report_live(&views, &mut observation) };
        let moderators = if self.attendees {
            let untold = views.iter().filter(|(_, live)| live.moderators.is_none());
            let untold = hosts_present(authorized, untold.map(|(id, _)| *id)).await?;
            Some(hosts + untold + told.unwrap_or(0))
        } else {
            told
        };
        observation.set_if_reported(Measure::ParticipantsModerators, moderators);
        self.report_lists(active, &views, &mut observation);
        Ok(observation)
    }
}

fn read(reading: &Reading<'_, '_>) -> Option<OwnSettings> {
    let section = reading.section;
    let app_id = section.text(&APP_ID);
    let app_key = section.secret(&APP_KEY);
    let user_id = section.text(&USER_ID);
    let corp_id = section.text(&CORP_ID);
    let account = section.text(&ACCOUNT);
    let password = section.secret(&PASSWORD);
    let enterprise = section.choice(&SCOPE) != Some("own");
    let discover = section.flag(&DISCOVER);
    let conference_ids = section.ids(&CONFERENCE_IDS);
    let attendees = section.flag(&ATTENDEES);
    let details = section.flag(&DETAILS);
    let hosts = read_hosts(section, discover, &conference_ids);
    check_anything_to_ask(section, discover, section.has_items(&CONFERENCE_IDS));
    let login = match reading.login? {
        0 => Credentials::AppId { app_id: app_id?, app_key: app_key?, user_id, corp_id },
        _ => Credentials::Account { account: account?, password: password? },
    };
    let who = login.who();
    let hosts = hosts?;
    let settings =
        Settings { login, enterprise, discover, conference_ids, attendees, details, hosts };
    Some(OwnSettings::new(who, settings))
}

fn read_hosts(section: &Section<'_>, discover: bool, watched: &[String]) -> Option<Vec<Host>> {
    let mut hosts: Vec<Host> = Vec::new();
    let mut seen = HashSet::new();
    let mut complete = true;
    for entry in section.sections(&HOSTS) {
        let Some((host, entry)) = entry.and_then(|entry| Some((read_host(&entry)?, entry))) else {
            complete = false;
            continue;
        };
        if !seen.insert(host.conference_id.clone()) {
            let remedy = Some("keep one entry for each meeting");
            entry.error(&HOST_CONFERENCE_ID, "a second entry for this meeting", remedy);
        }
        if !discover && !watched.contains(&host.conference_id) {
            let message = "this meeting is never asked for";
            let remedy = Some("add it to `conference_ids`, or turn `discover` on");
            entry.warning(&HOST_CONFERENCE_ID, message, remedy);
        }
        hosts.push(host);
    }
    complete.then_some(hosts)
}

fn read_host(entry: &Section<'_>) -> Option<Host> {
    if !entry.is_given(&HOST_CONFERENCE_ID) {
        entry.missing(&HOST_CONFERENCE_ID, "missing");
    }
    if !entry.is_given(&HOST_PASSWORD) {
        entry.missing(&HOST_PASSWORD, "missing credential");
    }
    let conference_id = entry.text(&HOST_CONFERENCE_ID);
    let password = entry.secret(&HOST_PASSWORD);
    Some(Host { conference_id: conference_id?, password: password? })
}

impl HuaweiMeeting {
    fn watches(&self, id: &str) -> bool {
        self.watched.as_ref().is_none_or(|watched| watched.contains(id))
    }

    async fn active(&self, authorized: &Authorized<'_, Login>) -> Result<Active, Failure> {
        let noted = |token: &Token| self.check_scope(token);
        let mut active =
            meetings::online(authorized, self.enterprise, self.conferences, noted).await?;
        active.retain(|id, _| self.watches(id));
        Ok(active)
    }

    /// Warns once where the lists will hold less than the configuration asks for.
    fn check_scope(&self, token: &Token) {
        let too_wide = self.enterprise && token.ordinary_user;
        if too_wide && !self.warned.swap(true, Ordering::Relaxed) {
            warn!(
                source = self.source.as_str(),
                "scope is enterprise, but the account is not an administrator's: \
                 only its own meetings are counted"
            );
        }
    }

    /// How many meetings are to come.
    async fn scheduled(
        &self,
        authorized: &Authorized<'_, Login>,
        active: &Active,
    ) -> Result<u64, Failure> {
        let listed = meetings::listed(authorized, self.enterprise).await?;
        let to_come = |id: &&String| self.watches(id) && !active.contains_key(*id);
        Ok(listed.iter().filter(to_come).count() as u64)
    }

    fn report_lists(
        &self,
        active: Active,
        views: &HashMap<&str, Live>,
        observation: &mut Observation,
    ) {
        let mut sizes = Sizes::default();
        let mut mute_on_join = Setting::default();
        for meeting in active.values() {
            sizes.add(meeting.attendees);
            mute_on_join.add(meeting.mute_on_join);
        }
        sizes.report(observation);
        mute_on_join.report(sizes.conferences(), Measure::ConferencesMuteOnJoin, observation);
        if self.conferences.enabled {
            observation.conferences = active
                .into_iter()
                .map(|(id, meeting)| Conference {
                    participants: meeting.attendees,
                    muted: views
                        .get(id.as_str())
                        .filter(|live| live.mute_reported > 0)
                        .map(|live| live.muted),
                    started_at: meeting.started_at,
                    label: meeting.label,
                    id,
                })
                .collect();
        }
    }
}

/// How many people are invited to the active meetings; `None`: not asked.
async fn invited(
    authorized: &Authorized<'_, Login>,
    active: &Active,
    asked: bool,
) -> Result<Option<u64>, Failure> {
    if !asked {
        return Ok(None);
    }
    let counts = try_join_all(active.keys().map(|id| meetings::invited(authorized, id))).await?;
    Ok(Some(counts.into_iter().sum()))
}

/// How many people host these meetings and are in.
async fn hosts_present(
    authorized: &Authorized<'_, Login>,
    ids: impl Iterator<Item = impl AsRef<str>>,
) -> Result<u64, Failure> {
    let ids: Vec<_> = ids.collect();
    let ask = |id| meetings::hosts_present(authorized, id);
    let counts = try_join_all(ids.iter().map(|id| ask(id.as_ref()))).await?;
    Ok(counts.into_iter().sum())
}

/// Sets the measures of the live views but for the moderators, and tells how many of these the
/// hosts know of; `None`: no answer says who they are.
fn report_live(views: &HashMap<&str, Live>, observation: &mut Observation) -> Option<u64> {
    let sum = |of: fn(&Live) -> u64| views.values().map(of).sum();
    observation.set(Measure::ParticipantsJoining, sum(|live| live.joining));
    observation.set(Measure::ParticipantsInvited, sum(|live| live.ringing));
    observation.set(Measure::ParticipantsMuted, sum(|live| live.muted));
    observation.set(Measure::ParticipantsMuteReported, sum(|live| live.mute_reported));
    observation.set(Measure::ParticipantsHandRaised, sum(|live| live.hand_raised));
    let told = views.is_empty() || views.values().any(|live| live.moderators.is_some());
    told.then(|| sum(|live| live.moderators.unwrap_or(0)))
}
