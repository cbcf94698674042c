// SPDX-License-Identifier: Apache-2.0
//! All sources of a configuration, and the change from one configuration to the next.

use std::{
    collections::HashMap,
    future::pending,
    panic::resume_unwind,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use futures_util::future::{join, join_all};
use tokio::{
    runtime::Handle,
    task::JoinError,
    time::{Instant, timeout},
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{debug, info};
use url::Url;

use super::{Budget, Report, Source};
use crate::{
    config::{self, Config},
    metrics::own::{Own, SourceMeters},
    net::{
        Api, Observer,
        client::{self, SharedClient},
    },
    session::{Account, LOGOUT_TIME, User},
    systems::{Catalogue, Running},
};

/// Why a configuration cannot take effect.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
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

/// The sources of a scrape. As long as it is kept, none of them is logged out.
pub struct Selected {
    sources: Vec<Arc<Source>>,
    _users: Vec<User>,
}

impl Selected {
    /// The sources, in the order of the file.
    pub fn sources(&self) -> &[Arc<Source>] {
        &self.sources
    }
}

/// What only changes of the configuration need.
#[derive(Default)]
struct Changing {
    /// The engine has stopped: no change comes after that.
    has_stopped: bool,
    /// The accounts of all sources, and those of former ones that something is still held against.
    accounts: HashMap<AccountKey, Arc<Account>>,
}

/// An account: the kind of system, its address, and the user of the login.
type AccountKey = (&'static str, Url, String);

/// Wraps the handle through which a source is asked, to record its answers or to replace them by
/// recorded ones.
pub type Adapter = dyn Fn(&config::Source, Api) -> Api + Send + Sync;

/// All sources.
pub struct Engine {
    sources: ArcSwap<Vec<Arc<Source>>>,
    own: Arc<Own>,
    catalogue: Catalogue,
    /// Where sources are collected; `None`: on the runtime of the caller.
    runtime: Option<Handle>,
    /// How the handle of each source is wrapped; `None`: not at all.
    adapter: Option<Box<Adapter>>,
    /// One change at a time.
    changing: Mutex<Changing>,
    /// Sessions that were dropped and are still in use, or log out.
    closing: TaskTracker,
}

impl Engine {
    /// An engine without sources, which are to be of the kinds in `catalogue`.
    pub fn new(own: Arc<Own>, catalogue: Catalogue) -> Self {
        Self {
            sources: ArcSwap::default(),
            own,
            catalogue,
            runtime: None,
            adapter: None,
            changing: Mutex::default(),
            closing: TaskTracker::new(),
        }
    }

    /// The same, which collects on `runtime`.
    #[must_use]
    pub fn collecting_on(self, runtime: Handle) -> Self {
        Self { runtime: Some(runtime), ..self }
    }

    /// The same, which sends the requests of each source with what `adapter` makes of its handle: to
    /// record answers, or to take them from a recording.
    #[must_use]
    pub fn adapting(self, adapter: Box<Adapter>) -> Self {
        Self { adapter: Some(adapter), ..self }
    }

    /// The sources as configured now, in the order of the file.
    pub fn sources(&self) -> Arc<Vec<Arc<Source>>> {
        self.sources.load_full()
    }

    /// The sources of `selection`, for one scrape; `Err` names the first unknown one.
    ///
    /// # Errors
    /// A name no source has.
    pub fn select(&self, selection: Selection<'_>) -> Result<Selected, String> {
        loop {
            let configured = self.sources.load();
            let sources: Vec<_> = match selection {
                Selection::All => configured.to_vec(),
                Selection::Named(names) => {
                    let is_known = |name: &&String| {
                        configured.iter().any(|source| source.name() == name.as_str())
                    };
                    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
                        return Err(unknown.clone());
                    }
                    let is_wanted =
                        |source: &&Arc<Source>| names.iter().any(|name| name == source.name());
                    configured.iter().filter(is_wanted).cloned().collect()
                }
            };
            let users: Option<Vec<_>> =
                sources.iter().map(|source| source.system.session().users().enter()).collect();
            // A session is only dropped after the sources that no longer have it are in place.
            if let Some(users) = users {
                return Ok(Selected { sources, _users: users });
            }
        }
    }

    /// Collects what is selected, all sources at once; the reports come in the order of the
    /// sources. Dropping the future ends what it started.
    pub async fn collect(&self, selected: &Selected, budget: Budget) -> Vec<Report> {
        self.collect_observed(selected, budget, None).await
    }

    /// The same; `observer` sees the calls of collections that start for this.
    pub async fn collect_observed(
        &self,
        selected: &Selected,
        budget: Budget,
        observer: Option<Arc<dyn Observer>>,
    ) -> Vec<Report> {
        let sources = selected.sources.clone();
        // One task starts them all: each task that comes from another thread wakes the one that
        // collects.
        let collections = async move {
            let collections: Vec<_> = sources
                .into_iter()
                .map(|source| source.collect_observed(budget, observer.clone()))
                .map(|collection| AbortOnDropHandle::new(tokio::spawn(collection)))
                .collect();
            let mut reports = Vec::with_capacity(collections.len());
            for collection in collections {
                reports.push(collection.await?);
            }
            Ok::<_, JoinError>(reports)
        };
        let runtime = self.runtime.clone().unwrap_or_else(Handle::current);
        let collected = AbortOnDropHandle::new(runtime.spawn(collections)).await;
        match collected.and_then(|reports| reports).map_err(JoinError::try_into_panic) {
            Ok(reports) => reports,
            Err(Ok(panic)) => resume_unwind(panic),
            // The runtime stops because the process ends: an answer without a source would look
            // complete.
            Err(Err(_)) => pending().await,
        }
    }

    /// Puts `config` into effect: unchanged sources stay as they are, changed ones keep their
    /// counters and, where their login did not change, their session; where nothing changed about
    /// what is asked of whom, their snapshot as well. It does not wait: scrapes under way finish on
    /// the sources they started with, and sessions that were dropped are closed after them.
    ///
    /// # Errors
    /// A source of a kind that is not in the catalogue, or a broken table of metrics. Nothing has
    /// changed then.
    pub fn apply(&self, config: Config) -> Result<(), EngineError> {
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if changing.has_stopped {
            return Ok(());
        }
        let old = self.sources.load_full();
        let by_name: HashMap<&str, &Arc<Source>> =
            old.iter().map(|source| (source.name(), source)).collect();
        let clients = client::clients(&config.sources);
        let mut sources = Vec::with_capacity(config.sources.len());
        for (config, client) in config.sources.into_iter().zip(clients) {
            let old = by_name.get(config.name.as_str()).copied();
            let is_same_way =
                old.is_some_and(|old| old.api.client_fingerprint() == client.fingerprint());
            sources.push(match old {
                Some(old) if is_same_way && old.config == config => Arc::clone(old),
                old => {
                    let source = self.source(config, client, old, is_same_way)?;
                    changing.count_with_others(&source, old);
                    source
                }
            });
        }
        changing.forget_idle_accounts();
        let sources = Arc::new(sources);
        self.sources.store(Arc::clone(&sources));
        info!(sources = sources.len(), "configuration loaded");
        for gone in old.iter().filter(|old| !sources.iter().any(|new| new.shares_session(old))) {
            let gone = Arc::clone(gone);
            self.closing.spawn(async move {
                let session = gone.system.session();
                session.users().drain().await;
                session.close(&gone.api).await;
            });
        }
        Ok(())
    }

    fn source(
        &self,
        config: config::Source,
        client: SharedClient,
        old: Option<&Arc<Source>>,
        is_same_way: bool,
    ) -> Result<Arc<Source>, EngineError> {
        let profile = config.profile;
        let meters = match old.filter(|old| old.profile() == profile) {
            Some(old) => Arc::clone(&old.meters),
            None => SourceMeters::new(&self.own, profile.name, profile.calls)?,
        };
        let mut api = Api::new(&config, client, meters);
        if let Some(adapter) = &self.adapter {
            api = adapter(&config, api);
        }
        let (system, memory) = match old {
            Some(old) if is_same_way && config.asks_like(&old.config) => {
                api = api.reaching_like(&old.api);
                (Some(Arc::clone(&old.system)), old.handed_over())
            }
            Some(old) => {
                let old = (&old.config, &*old.system);
                (self.catalogue.succeed(&config, old), Arc::default())
            }
            None => (self.catalogue.start(&config), Arc::default()),
        };
        let system = system.ok_or_else(|| EngineError::Unknown {
            name: config.name.clone(),
            vendor: profile.name,
        })?;
        // Quotas belong to an account: another login may have another one.
        if let Some(old) = old.filter(|old| is_shared(&*system, &*old.system)) {
            api = api.succeeding(&old.api);
        }
        Ok(Source::new(config, api, system, memory))
    }

    /// Gives all tokens back, those of sources dropped a moment ago among them, and takes no new
    /// configuration. Takes [`LOGOUT_TIME`] at most, also where a login is still under way: its
    /// token is lost if it comes later.
    pub async fn shutdown(&self) {
        let sources = {
            let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            changing.has_stopped = true;
            self.sources.swap(Arc::default())
        };
        self.closing.close();
        let closed = join_all(sources.iter().map(|source| async {
            source.system.session().close(&source.api).await;
        }));
        if timeout(LOGOUT_TIME, join(closed, self.closing.wait())).await.is_err() {
            debug!("not every token could be given back in time");
        }
    }
}

impl Changing {
    /// Lets `source`, which follows `old` under its name, count its logins with all that were made
    /// with its account, under whatever name.
    fn count_with_others(&mut self, source: &Source, old: Option<&Arc<Source>>) {
        let config = &source.config;
        let account = config.settings.account().to_owned();
        let key = (config.profile.name, config.base_url.clone(), account);
        let account = self.accounts.entry(key).or_insert_with(|| match old {
            Some(old) => Arc::new(old.system.session().account().succeeded()),
            None => Arc::default(),
        });
        source.system.session().count_with(Arc::clone(account));
    }

    fn forget_idle_accounts(&mut self) {
        let now = Instant::now();
        // Nobody else takes up an account meanwhile: that is a change as well.
        self.accounts.retain(|_, account| Arc::strong_count(account) > 1 || !account.is_idle(now));
    }
}

impl Source {
    fn shares_session(&self, other: &Self) -> bool {
        is_shared(&*self.system, &*other.system)
    }
}

fn is_shared(one: &dyn Running, other: &dyn Running) -> bool {
    Arc::ptr_eq(&one.session(), &other.session())
}
