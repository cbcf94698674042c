//! Huawei Cloud Meeting.
//!
//! The list of ongoing meetings has the head counts; everything else costs a call a meeting and
//! is opt-in. `isMute` and `isAutoMute` are settings for those who join: live mute comes only
//! from [`control`], for meetings whose host password is configured. Nothing but the calls of
//! [`ENDPOINTS`] is ever made, and each of them only reads.

mod control;
mod fault;
mod login;
mod meetings;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{future::try_join_all, try_join};
use tracing::warn;

use super::{Dialogue, live::Setting};
use crate::{
    api::{Api, Endpoint, Failure},
    config::{self, Conferences},
    model::{Conference, Measure, MeasureSet, Observation, Sizes},
    session::{Access, Session, Visit},
};
use control::{Hosts, Live};
use login::{Login, Token};
use meetings::Active;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    login::APPAUTH,
    login::ACCOUNT_LOGIN,
    login::TOKEN_LOGOUT,
    meetings::CONFERENCES,
    meetings::ONLINE,
    meetings::DETAIL,
    meetings::ATTENDEES,
    control::CONTROL_TOKEN,
    control::REAL_TIME_INFO,
];

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
    session: Arc<Session<Login>>,
    source: String,
    enterprise: bool,
    /// The meetings that count; `None`: all.
    watched: Option<HashSet<String>>,
    attendees: bool,
    details: bool,
    hosts: Hosts,
    conferences: Conferences,
    /// The scope asks for more than the login may see, and the log says so.
    warned: AtomicBool,
}

impl Dialogue for HuaweiMeeting {
    type Settings = config::HuaweiMeeting;

    fn new(source: &config::Source, settings: &config::HuaweiMeeting) -> Self {
        let session = Session::new(Login::new(source, settings));
        Self::with_session(source, settings, Arc::new(session))
    }

    fn succeeding(
        source: &config::Source,
        settings: &config::HuaweiMeeting,
        old: &Self,
        same_way: bool,
    ) -> Self {
        let session = old.session.succeeded_by(Login::new(source, settings), same_way);
        Self::with_session(source, settings, session)
    }

    fn configured(&self) -> MeasureSet {
        let hosts = !self.hosts.is_empty();
        MeasureSet::of(Sizes::MEASURES)
            .with(LISTED)
            .with_if(self.details, &[Measure::Invitees])
            .with_if(self.attendees, &[Measure::ParticipantsModerators])
            .with_if(hosts, HOSTED)
    }

    async fn collect(&self, api: &Api) -> Result<Observation, Failure> {
        let visit = self.session.visit(api);
        // First and alone: this is where an expired token shows.
        let active = self.active(&visit).await?;
        // What the live views are to tell is not asked for twice.
        let attendees = self.attendees && self.hosts.is_empty();
        let (scheduled, invited, moderators, views) = try_join!(
            self.scheduled(&visit, &active),
            invited(&visit, &active, self.details),
            hosts_present(&visit, &active, attendees),
            self.views(api, &active),
        )?;
        let mut observation = Observation::new();
        observation.set(Measure::ConferencesScheduled, scheduled);
        observation.set_if_reported(Measure::Invitees, invited);
        observation.set_if_reported(Measure::ParticipantsModerators, moderators);
        let views = match views {
            Some(views) => {
                let told = report_live(&views, &mut observation);
                if !told && self.attendees {
                    let moderators = hosts_present(&visit, &active, true).await?;
                    observation.set_if_reported(Measure::ParticipantsModerators, moderators);
                }
                views
            }
            None => HashMap::new(),
        };
        self.report_lists(active, &views, &mut observation);
        Ok(observation)
    }

    fn session(&self) -> Arc<dyn Access> {
        Arc::clone(&self.session) as Arc<dyn Access>
    }
}

impl HuaweiMeeting {
    fn with_session(
        source: &config::Source,
        settings: &config::HuaweiMeeting,
        session: Arc<Session<Login>>,
    ) -> Self {
        let watched = || settings.conference_ids.iter().cloned().collect();
        Self {
            session,
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

    fn watches(&self, id: &str) -> bool {
        self.watched.as_ref().is_none_or(|watched| watched.contains(id))
    }

    async fn active(&self, visit: &Visit<'_, Login>) -> Result<Active, Failure> {
        let noted = |token: &Token| self.check_scope(token);
        let mut active = meetings::online(visit, self.enterprise, self.conferences, noted).await?;
        active.retain(|id, _| self.watches(id));
        Ok(active)
    }

    /// Warns once where the lists will hold less than the configuration asks for.
    fn check_scope(&self, token: &Token) {
        let too_wide = self.enterprise && token.ordinary_user;
        if too_wide && !self.warned.swap(true, Ordering::Relaxed) {
            warn!(
                source = self.source.as_str(),
                "scope is enterprise, but the login is no administrator's: \
                 only meetings of its own user are counted"
            );
        }
    }

    /// How many meetings are to come.
    async fn scheduled(&self, visit: &Visit<'_, Login>, active: &Active) -> Result<u64, Failure> {
        let listed = meetings::listed(visit, self.enterprise).await?;
        let to_come = |id: &&String| self.watches(id) && !active.contains_key(*id);
        Ok(listed.iter().filter(to_come).count() as u64)
    }

    /// The live views by meeting; `None`: no host password is configured.
    async fn views(
        &self,
        api: &Api,
        active: &Active,
    ) -> Result<Option<HashMap<&str, Live>>, Failure> {
        if self.hosts.is_empty() {
            return Ok(None);
        }
        self.hosts.live(api, &self.session, active).await.map(Some)
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
    visit: &Visit<'_, Login>,
    active: &Active,
    asked: bool,
) -> Result<Option<u64>, Failure> {
    if !asked {
        return Ok(None);
    }
    let counts = try_join_all(active.keys().map(|id| meetings::invited(visit, id))).await?;
    Ok(Some(counts.into_iter().sum()))
}

/// How many people host the active meetings and are in; `None`: not asked.
async fn hosts_present(
    visit: &Visit<'_, Login>,
    active: &Active,
    asked: bool,
) -> Result<Option<u64>, Failure> {
    if !asked {
        return Ok(None);
    }
    let counts = try_join_all(active.keys().map(|id| meetings::hosts_present(visit, id))).await?;
    Ok(Some(counts.into_iter().sum()))
}

/// Sets the measures of the live views and tells whether the moderators are among them: where no
/// answer says who they are, they are not.
fn report_live(views: &HashMap<&str, Live>, observation: &mut Observation) -> bool {
    let sum = |of: fn(&Live) -> u64| views.values().map(of).sum();
    observation.set(Measure::ParticipantsJoining, sum(|live| live.joining));
    observation.set(Measure::ParticipantsInvited, sum(|live| live.ringing));
    observation.set(Measure::ParticipantsMuted, sum(|live| live.muted));
    observation.set(Measure::ParticipantsMuteReported, sum(|live| live.mute_reported));
    observation.set(Measure::ParticipantsHandRaised, sum(|live| live.hand_raised));
    let told = views.is_empty() || views.values().any(|live| live.moderators.is_some());
    let moderators = sum(|live| live.moderators.unwrap_or(0));
    observation.set_if_reported(Measure::ParticipantsModerators, told.then_some(moderators));
    told
}
