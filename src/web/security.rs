// SPDX-License-Identifier: Apache-2.0
//! The web configuration at work: what is in force now, and how it is replaced.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use hyper::header::{HeaderName, HeaderValue};
use rustls::crypto::aws_lc_rs;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tracing::{error, info};

use super::{
    auth::Users,
    config::{self, WebConfig},
};
use crate::{
    config::{LoadError, Problem},
    metrics::own::Own,
};

/// How often the files are looked at.
const POLL: Duration = Duration::from_secs(1);

/// Who may connect and how.
pub struct Security {
    path: Option<PathBuf>,
    own: Arc<Own>,
    current: ArcSwap<InForce>,
    /// The files of the last attempt to load, as they were just before it.
    seen: Mutex<Vec<Stamp>>,
}

/// A loaded web configuration.
#[derive(Default)]
pub(super) struct InForce {
    /// `None`: plain HTTP.
    pub(super) tls: Option<TlsAcceptor>,
    /// Headers of every answer.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// `None`: requests need no password.
    pub(super) users: Option<Users>,
}

/// What tells one version of a file from another; `None`: not there.
type Stamp = (PathBuf, Option<(u64, u64, i64, i64)>);

impl Security {
    /// Follows the file at `path`, which is not read yet. Without one the exporter
    /// serves plain HTTP and asks for no password.
    pub fn new(path: Option<&Path>, own: Arc<Own>) -> Arc<Self> {
        Arc::new(Self {
            path: path.map(Path::to_owned),
            own,
            current: ArcSwap::default(),
            seen: Mutex::default(),
        })
    }

    /// Reads the file, whether or not it has changed: connections and requests from now on are
    /// treated by it.
    ///
    /// # Errors
    /// A web configuration that cannot be used: all that is wrong with it. What is in force stays.
    pub fn load(&self) -> Result<(), LoadError> {
        let Some(path) = &self.path else { return Ok(()) };
        // The stamps are taken before the contents: a change in between is seen later.
        let before: Vec<_> = self.seen().iter().map(|(path, _)| stamp(path)).collect();
        let mut files = Vec::new();
        let outcome = config::load(path, &mut files).and_then(|config| InForce::new(path, config));
        let stamps = files.iter().map(|file| {
            let known = before.iter().find(|(path, _)| path == file);
            known.cloned().unwrap_or_else(|| stamp(file))
        });
        *self.seen() = stamps.collect();
        self.own.web_config_loaded(outcome.is_ok());
        self.current.store(Arc::new(outcome?));
        Ok(())
    }

    /// Whether clients are to use https.
    pub fn is_tls(&self) -> bool {
        self.current.load().tls.is_some()
    }

    /// Follows changes of the files: replaced certificates are used without a reload. What cannot
    /// be used is logged once and changes nothing.
    pub async fn follow(self: Arc<Self>) {
        if self.path.is_none() {
            return;
        }
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pending = None;
        loop {
            ticks.tick().await;
            let security = Arc::clone(&self);
            let look = move || security.look(pending);
            match tokio::task::spawn_blocking(look).await {
                Ok(next) => pending = next,
                Err(_) => pending = None,
            }
        }
    }

    /// Loads changed files, once they have stopped changing: certificate and key are written one
    /// after the other. Returns the change that is not loaded yet.
    fn look(&self, pending: Option<Vec<Stamp>>) -> Option<Vec<Stamp>> {
        let seen = self.seen().clone();
        let now: Vec<_> = seen.iter().map(|(path, _)| stamp(path)).collect();
        if now == seen {
            return None;
        }
        if pending.as_ref() != Some(&now) {
            return Some(now);
        }
        match self.load() {
            Ok(()) => info!("web configuration or certificates changed and loaded"),
            Err(problems) => {
                for problem in problems.problems {
                    // One line each: without the excerpt.
                    let problem = Problem { excerpt: None, ..problem };
                    error!(%problem, "web configuration not loaded, the old one stays");
                }
            }
        }
        None
    }

    pub(super) fn in_force(&self) -> Arc<InForce> {
        self.current.load_full()
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Vec<Stamp>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the file at `path` and does everything with it but put it in force.
pub(super) fn check(path: &Path) -> Result<(), LoadError> {
    InForce::new(path, config::load(path, &mut Vec::new())?).map(drop)
}

impl InForce {
    fn new(path: &Path, config: WebConfig) -> Result<Self, LoadError> {
        let mut salt = [0; 32];
        aws_lc_rs::default_provider().secure_random.fill(&mut salt).map_err(|_| {
            let message = "the system gives no random numbers".to_owned();
            LoadError::of_file(path, message, None)
        })?;
        let users = (!config.users.is_empty()).then(|| Users::new(config.users, salt));
        Ok(Self { tls: config.tls.map(TlsAcceptor::from), headers: config.headers, users })
    }
}

fn stamp(path: &Path) -> Stamp {
    let stamp = fs::metadata(path)
        .ok()
        .map(|metadata| (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()));
    (path.to_owned(), stamp)
}
