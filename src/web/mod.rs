// SPDX-License-Identifier: Apache-2.0
//! HTTP in, text out: accept, authenticate, route.
//!
//! ```text
//! listen   addresses -> sockets
//! config   the web configuration file, read as the other one is: `crate::config`
//! tls, san, auth, security   what follows from it
//! accept   sockets -> connections, with limits on number and time; the drain at the end
//! routes   a request -> its handler, counted; what every answer carries
//! scrape, sd, status_page   the handlers
//! debug                     what a collection did, for people
//! render                    reports and counters -> the text of a scrape
//! query, negotiate, respond what they share
//! ```

pub mod accept;
mod auth;
mod config;
mod debug;
pub mod listen;
mod negotiate;
mod query;
pub mod render;
mod respond;
mod routes;
mod san;
mod scrape;
mod sd;
pub mod security;
mod status_page;
mod tls;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use tokio::sync::{Semaphore, mpsc, oneshot};
use url::Url;

use self::security::Security;
use crate::{cli::Options, collect::Engine, config::LoadError, metrics::own::Own};

/// A request to load the configuration again, and where to send what came of it: `Err` carries
/// the problems.
pub type Reload = oneshot::Sender<Result<(), String>>;

/// The last load of the configuration, if it failed and an older configuration is still in force.
#[derive(Clone, Default)]
pub struct LastLoad(Arc<ArcSwapOption<FailedLoad>>);

/// A load of the configuration that failed.
pub struct FailedLoad {
    /// When.
    at: SystemTime,
    /// All that was wrong.
    problems: String,
}

impl LastLoad {
    /// Notes how a load ended: `Err` carries the problems.
    pub fn note(&self, outcome: &Result<(), String>) {
        let failed = outcome.as_ref().err().map(|problems| {
            Arc::new(FailedLoad { at: SystemTime::now(), problems: problems.clone() })
        });
        self.0.store(failed);
    }
}

/// What the handlers share.
pub struct Site {
    engine: Arc<Engine>,
    own: Arc<Own>,
    security: Arc<Security>,
    /// Scrapes in flight.
    scrapes: Arc<Semaphore>,
    /// `None`: clients may not reload the configuration.
    reload: Option<mpsc::Sender<Reload>>,
    last_load: LastLoad,
    telemetry_path: String,
    prefix: String,
    external_url: Option<Url>,
    timeout_offset: Duration,
    stopping: AtomicBool,
}

/// Checks the web configuration at `path` and the files it names.
///
/// # Errors
/// All that is wrong with it.
pub fn check_config(path: &Path) -> Result<(), LoadError> {
    security::check(path)
}

impl Site {
    /// The site of `engine`. `reload` takes what `POST /-/reload` asks for; the status page shows `last_load`.
    pub fn new(
        options: &Options,
        engine: Arc<Engine>,
        own: Arc<Own>,
        security: Arc<Security>,
        reload: mpsc::Sender<Reload>,
        last_load: LastLoad,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine,
            own,
            security,
            scrapes: Arc::new(Semaphore::new(options.max_requests as usize)),
            reload: options.enable_lifecycle.then_some(reload),
            last_load,
            telemetry_path: options.telemetry_path.clone(),
            prefix: options.prefix().to_owned(),
            external_url: options.external_url.0.clone(),
            timeout_offset: options.timeout_offset,
            stopping: AtomicBool::new(false),
        })
    }

    /// From now on the exporter is not ready: it stops.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    fn is_ready(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
    }
}

/// Entries for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    use std::path::Path;

    /// Reads a query string; answers the values of `source`.
    pub fn query(text: &str) -> Option<Vec<String>> {
        super::query::parameters(Some(text), &[super::query::SOURCE])
            .ok()
            .map(|parameters| parameters.sources)
    }

    /// Reads a web configuration file with this text; answers the problems.
    pub fn web_config(text: &str) -> Option<String> {
        let path = Path::new("/nonexistent/web.yml");
        super::config::parse(path, text, &mut Vec::new()).err().map(|error| error.to_string())
    }
}
