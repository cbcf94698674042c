//! DingTalk video conferences.
//!
//! Source: `open.dingtalk.com/document/development`: obtain-the-access-token-of-an-internal-app,
//! obtain-the-access-token-of-the-authorized-enterprise-1, api-gettoken,
//! api-queryorgconferencelist, batch-query-of-video-conference-information,
//! server-api-error-codes-1, call-frequency-limit. Calls are metered by the month: none is made
//! that is not needed.

mod discovery;
mod fault;
mod ids;
mod login;
mod people;
mod query;
mod tally;

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use super::Dialogue;
use crate::{
    api::{Api, Endpoint, Failure},
    config::{self, Conferences},
    model::{MeasureSet, Observation, Sizes},
    session::{Access, Session},
};
use discovery::{Listing, discover};
use login::Login;
use query::{Learnt, Queries};
use tally::{MEASURES, Tally};

const ACCESS_TOKEN: Endpoint = Endpoint("access_token");
const LIST: Endpoint = Endpoint("orgConferences");
const QUERY: Endpoint = Endpoint("videoConferences/query");

pub(super) const ENDPOINTS: &[Endpoint] = &[ACCESS_TOKEN, LIST, QUERY];

/// The header of the token, which stands in it as it is.
const TOKEN_HEADER: &str = "x-acs-dingtalk-access-token";

/// A refused id is left alone for at least that long.
const SHORTEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// One organisation's DingTalk.
pub struct Dingtalk {
    session: Arc<Session<Login>>,
    discover: bool,
    conference_ids: Vec<String>,
    conference_ids_file: Option<PathBuf>,
    batch_size: usize,
    /// How long an id that was refused is left alone.
    pause: Duration,
    conferences: Conferences,
    learnt: Arc<Learnt>,
}

impl Dialogue for Dingtalk {
    type Settings = config::Dingtalk;

    fn new(source: &config::Source, settings: &config::Dingtalk) -> Self {
        let session = Arc::new(Session::new(Login::new(source, settings)));
        Self::with_session(source, settings, session, Arc::default())
    }

    fn succeeding(
        source: &config::Source,
        settings: &config::Dingtalk,
        old: &Self,
        same_way: bool,
    ) -> Self {
        let session = old.session.succeeded_by(Login::new(source, settings), same_way);
        let learnt = if Arc::ptr_eq(&session, &old.session) {
            Arc::clone(&old.learnt)
        } else {
            // Another application may be allowed to see more.
            Arc::default()
        };
        Self::with_session(source, settings, session, learnt)
    }

    fn configured(&self) -> MeasureSet {
        MeasureSet::of(Sizes::MEASURES).with(MEASURES)
    }

    async fn collect(&self, api: &Api) -> Result<Observation, Failure> {
        let from_file = match &self.conference_ids_file {
            Some(path) => ids::read(path).await?,
            None => Vec::new(),
        };
        let visit = self.session.visit(api);
        let listing = if self.discover {
            discover(&visit, self.conferences).await?
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
            api,
            visit: &visit,
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

    fn session(&self) -> Arc<dyn Access> {
        Arc::clone(&self.session) as Arc<dyn Access>
    }
}

impl Dingtalk {
    fn with_session(
        source: &config::Source,
        settings: &config::Dingtalk,
        session: Arc<Session<Login>>,
        learnt: Arc<Learnt>,
    ) -> Self {
        Self {
            session,
            discover: settings.discover,
            conference_ids: settings.conference_ids.clone(),
            conference_ids_file: settings.conference_ids_file.clone(),
            batch_size: settings.batch_size,
            pause: source.min_interval.saturating_mul(4).max(SHORTEST_PAUSE),
            conferences: source.conferences,
            learnt,
        }
    }
}
