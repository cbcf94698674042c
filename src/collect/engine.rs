//! All sources of a configuration, and the change from one configuration to the next.

use std::{collections::HashMap, panic::resume_unwind, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures_util::future::{join, join_all};
use tokio::{
    sync::Mutex,
    task::JoinError,
    time::{Instant, timeout},
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{debug, info};

use super::{Budget, Report, Source, Workers, worker::Worker};
use crate::{
    api::{
        Api, Deadline,
        client::{self, ClientError},
    },
    config::Config,
    metrics::own::{Own, SourceMeters},
    systems::Catalogue,
};

/// Longest a logout may take at shutdown or reload.
const LOGOUT_TIME: Duration = Duration::from_secs(3);

/// Why a configuration cannot be put to work.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No HTTP client can be made for a source.
    #[error("source {name}: {error}")]
    Client {
        /// Which source.
        name: String,
        /// Why.
        error: ClientError,
    },
    /// The kind of a source is not in the catalogue.
    #[error("source {name}: no system is known by the name {vendor}")]
    Unknown {
        /// Which source.
        name: String,
        /// The kind of system it names.
        vendor: &'static str,
    },
    /// The table of metrics is broken.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Which sources a scrape is about.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// All of them.
    All,
    /// Those with these names, each once.
    Named(&'a [String]),
}

/// All sources.
pub struct Engine {
    sources: ArcSwap<Vec<Arc<Source>>>,
    own: Arc<Own>,
    workers: Workers,
    catalogue: Catalogue,
    /// One change at a time.
    changing: Mutex<()>,
    /// Sources that were dropped and still log out.
    retiring: TaskTracker,
}

impl Engine {
    /// An engine without sources, which are to be of the kinds in `catalogue` and are collected by
    /// `workers`.
    pub fn new(own: Arc<Own>, workers: Workers, catalogue: Catalogue) -> Self {
        Self {
            sources: ArcSwap::default(),
            own,
            workers,
            catalogue,
            changing: Mutex::default(),
            retiring: TaskTracker::new(),
        }
    }

    /// The sources as configured now, in the order of the file.
    pub fn sources(&self) -> Arc<Vec<Arc<Source>>> {
        self.sources.load_full()
    }

    /// The sources of `selection`; `Err` names the first unknown one.
    ///
    /// # Errors
    /// A name no source has.
    pub fn select(&self, selection: Selection<'_>) -> Result<Vec<Arc<Source>>, String> {
        let sources = self.sources.load();
        match selection {
            Selection::All => Ok(sources.to_vec()),
            Selection::Named(names) => {
                if let Some(unknown) =
                    names.iter().find(|name| !sources.iter().any(|source| source.name() == *name))
                {
                    return Err(unknown.clone());
                }
                let wanted = |source: &&Arc<Source>| names.iter().any(|name| name == source.name());
                Ok(sources.iter().filter(wanted).cloned().collect())
            }
        }
    }

    /// Collects `sources`, all at once, each where it belongs; the reports come in the order of
    /// `sources`. Dropping the future ends what it started.
    pub async fn collect(sources: Vec<Arc<Source>>, budget: Budget) -> Vec<Report> {
        let mut order = Vec::with_capacity(sources.len());
        let mut shares: Vec<(Arc<Worker>, Vec<Arc<Source>>)> = Vec::new();
        for source in sources {
            let known = shares.iter().position(|(worker, _)| Arc::ptr_eq(worker, &source.worker));
            let place = known.unwrap_or_else(|| {
                shares.push((Arc::clone(&source.worker), Vec::new()));
                shares.len() - 1
            });
            order.push(place);
            shares[place].1.push(source);
        }
        let shares: Vec<_> = shares
            .into_iter()
            .map(|(worker, share)| AbortOnDropHandle::new(worker.spawn(each(share, budget))))
            .collect();
        let mut reports = Vec::with_capacity(shares.len());
        for share in shares {
            reports.push(landed(share.await).unwrap_or_default().into_iter());
        }
        order.into_iter().filter_map(|place| reports[place].next()).collect()
    }

    /// Puts `config` to work: unchanged sources stay as they are, changed ones keep their
    /// counters and, where their login did not change, their session; dropped sessions log out.
    /// Scrapes under way finish on the sources they started with.
    ///
    /// # Errors
    /// A source no HTTP client can be made for. Nothing has changed then.
    pub async fn apply(&self, config: Config) -> Result<(), EngineError> {
        let _one_at_a_time = self.changing.lock().await;
        let old = self.sources.load_full();
        let by_name: HashMap<&str, &Arc<Source>> =
            old.iter().map(|source| (source.name(), source)).collect();
        let places: Vec<_> =
            config.sources.iter().map(|source| self.workers.place(&source.name)).collect();
        let clients = client::clients(&config.sources, &places).map_err(|(position, error)| {
            let name = config.sources.get(position).map(|source| source.name.clone());
            EngineError::Client { name: name.unwrap_or_default(), error }
        })?;
        let mut sources = Vec::with_capacity(config.sources.len());
        for ((config, client), place) in config.sources.into_iter().zip(clients).zip(places) {
            let old = by_name.get(config.name.as_str()).copied();
            if let Some(old) = old
                && old.config == config
                && old.client_fingerprint == client.fingerprint
            {
                sources.push(Arc::clone(old));
                continue;
            }
            let profile = config.profile;
            let meters = match old.filter(|old| old.profile() == profile) {
                Some(old) => Arc::clone(&old.meters),
                None => SourceMeters::new(&self.own, profile.name, profile.calls)?,
            };
            let fingerprint = client.fingerprint;
            let mut api = Api::new(&config, client, meters);
            let system = match old {
                Some(old) => self.catalogue.succeed(&config, (&old.config, &*old.system)).await,
                None => self.catalogue.start(&config),
            };
            let system = system.ok_or_else(|| EngineError::Unknown {
                name: config.name.clone(),
                vendor: profile.name,
            })?;
            // Quotas belong to an account: another login may have another one.
            if let Some(old) = old.filter(|old| system.shares_session(&*old.system)) {
                api = api.succeeding(&old.api);
            }
            sources.push(Source::new(config, api, system, fingerprint, self.workers.at(place)));
        }
        for source in &sources {
            source.system.configuration_loaded();
        }
        let sources = Arc::new(sources);
        self.sources.store(Arc::clone(&sources));
        let gone: Vec<_> = old
            .iter()
            .filter(|old| !sources.iter().any(|new| new.system.shares_session(&*old.system)))
            .cloned()
            .collect();
        info!(sources = sources.len(), "configuration loaded");
        if !gone.is_empty() {
            // Scrapes under way still need these tokens; they end within their own budgets.
            self.retiring.spawn(retire(gone));
        }
        Ok(())
    }

    /// Gives all tokens back, those of sources dropped a moment ago among them.
    pub async fn shutdown(&self) {
        let sources = self.sources.swap(Arc::default());
        self.retiring.close();
        let retired = timeout(LOGOUT_TIME, self.retiring.wait());
        let _ = join(join_all(sources.iter().map(|source| log_out(source))), retired).await;
    }
}

/// Collects `sources` here, all at once as far as there are turns. A task each, and none before its
/// turn: thousands that wait would fill the memory with what they do not need yet.
async fn each(sources: Vec<Arc<Source>>, budget: Budget) -> Vec<Report> {
    let started = Instant::now();
    let mut flying = Vec::with_capacity(sources.len());
    for source in sources {
        let turn = source.turn(started, budget).await;
        let flight = tokio::spawn(source.collect_in(turn, started, budget));
        flying.push(AbortOnDropHandle::new(flight));
    }
    let mut reports = Vec::with_capacity(flying.len());
    for flight in flying {
        reports.extend(landed(flight.await));
    }
    reports
}

/// What a task returned; `None`: its runtime is shutting down.
fn landed<T>(outcome: Result<T, JoinError>) -> Option<T> {
    match outcome.map_err(JoinError::try_into_panic) {
        Ok(returned) => Some(returned),
        Err(Ok(panic)) => resume_unwind(panic),
        Err(Err(_)) => None,
    }
}

async fn retire(sources: Vec<Arc<Source>>) {
    join_all(sources.into_iter().map(|source| async move {
        source.quiet().await;
        log_out(&source).await;
    }))
    .await;
}

async fn log_out(source: &Source) {
    source.api.start_collection(Deadline::new(Instant::now() + LOGOUT_TIME));
    if timeout(LOGOUT_TIME, source.system.logout(&source.api)).await.is_err() {
        debug!(source = source.name(), "logout was not answered in time");
    }
}
