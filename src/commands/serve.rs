// SPDX-License-Identifier: Apache-2.0
//! The serving process: start, reload, stop.

use std::{
    io,
    num::NonZero,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{mpsc, oneshot},
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval, interval_at, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use super::{
    healthcheck::status,
    signals::{Demand, Signals},
};
use crate::{
    cli::{Exit, Here, Options},
    collect::{CollectorThread, Engine},
    config::{Config, Loaded, fingerprint},
    limits,
    logging::Log,
    metrics::own::Own,
    systems,
    web::{
        LastLoad, Reload, Site,
        accept::Server,
        listen::{self, ListenError, Listener},
        security::Security,
    },
};

/// How long requests under way may take when the exporter stops.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Serves until told to stop.
pub fn serve(options: &Options, log: &Log) -> Exit {
    let fail = |problem: &str, exit| {
        log.fail(problem);
        exit
    };
    limits::raise_open_files();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}"), Exit::Failed),
    };
    let collector = match CollectorThread::start() {
        Ok(collector) => collector,
        Err(error) => return fail(&format!("cannot start: {error}"), Exit::Failed),
    };
    let exit = match runtime.block_on(run(options, &collector)) {
        Ok(exit) => exit,
        Err((problem, exit)) => fail(&problem, exit),
    };
    // What is still blocked in a system call must not keep the process.
    runtime.shutdown_background();
    exit
}

/// Most threads that serve HTTP. A text of several megabytes occupies one of them for some milliseconds; the other one
/// answers health checks meanwhile.
const MOST_SERVING: usize = 2;

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(thread::available_parallelism().map_or(1, NonZero::get).min(MOST_SERVING))
        .thread_name("serve")
        .enable_all()
        .build()
}

/// Serves until told to stop; `Err`: why it cannot, and the exit status.
async fn run(options: &Options, collector: &CollectorThread) -> Result<Exit, (String, Exit)> {
    info!(
        version = env!("CARGO_PKG_VERSION"),
        revision = env!("BUILD_REVISION"),
        "starting conferencing_exporter"
    );
    let failed = |problem: &dyn std::fmt::Display| (problem.to_string(), Exit::Failed);
    let own = Own::new().map_err(|error| failed(&error))?;
    let engine = Engine::new(Arc::clone(&own), systems::catalogue())
        .collecting_on(collector.runtime().clone());
    let engine = Arc::new(engine);
    let security = Security::new(options.web_config_file.0.as_deref(), Arc::clone(&own));
    let configuration = Arc::new(Configuration {
        paths: options.config_files.clone(),
        watched: options.config_files.iter().chain(&options.web_config_file.0).cloned().collect(),
        loaded: Mutex::default(),
        engine: Arc::clone(&engine),
        own: Arc::clone(&own),
        security: Arc::clone(&security),
        last_load: LastLoad::default(),
    });
    let last_load = configuration.last_load.clone();
    let mut signals = Signals::new()
        .map_err(|error| (format!("cannot handle signals: {error}"), Exit::Failed))?;
    configuration.load().await.map_err(|problems| (problems, Exit::Unusable))?;
    let listeners = bind(options).map_err(|error| failed(&error))?;
    let (reload, reloads) = mpsc::channel(1);
    let site = Site::new(
        options,
        Arc::clone(&engine),
        own,
        Arc::clone(&security),
        reload.clone(),
        last_load,
    );
    let server = Server::new(Arc::clone(&site));
    let here = listeners.first().map(|listener| listener.address().from_here());
    for listener in listeners {
        info!(address = %listener.address(), tls = security.is_tls(), "listening");
        server.serve(listener);
    }
    let tasks = [
        tokio::spawn(reload_on_demand(Arc::clone(&configuration), reloads)),
        tokio::spawn(reload_on_change(configuration, reload.clone(), options.auto_reload_interval)),
        tokio::spawn(security.follow()),
        tokio::spawn(answer_watchdog(here, options.clone(), collector.runtime().clone())),
    ]
    .map(AbortOnDropHandle::new);
    tell_systemd(&[NotifyState::Ready]);
    while signals.next().await == Demand::Reload {
        // If the channel is full, a reload is waiting already and will read the present file.
        let _ = reload.try_send(oneshot::channel().0);
    }
    info!("stopping");
    tell_systemd(&[NotifyState::Stopping]);
    site.stop();
    drop(tasks);
    let stopped = async {
        if timeout(DRAIN_TIME, server.drain()).await.is_err() {
            warn!("requests under way did not finish in time");
            server.abort();
        }
        engine.shutdown().await;
    };
    tokio::select! {
        () = stopped => {
            info!("stopped");
            Ok(Exit::Done)
        }
        () = signals.stop() => {
            warn!("stopped at once by a second signal");
            Ok(Exit::Failed)
        }
    }
}

fn bind(options: &Options) -> Result<Vec<Listener>, ListenError> {
    if options.systemd_socket {
        listen::from_systemd()
    } else {
        listen::bind(&options.listen_addresses)
    }
}

/// Carries out reloads one after the other.
async fn reload_on_demand(configuration: Arc<Configuration>, mut reloads: mpsc::Receiver<Reload>) {
    while let Some(reply) = reloads.recv().await {
        let mut states = vec![NotifyState::Reloading];
        states.extend(NotifyState::monotonic_usec_now().ok());
        tell_systemd(&states);
        let outcome = configuration.load().await;
        tell_systemd(&[NotifyState::Ready]);
        if let Err(problems) = &outcome {
            for problem in problems.lines().filter(|line| !line.starts_with(' ')) {
                error!(problem, "configuration not loaded, the old one stays");
            }
        }
        // The client may have disconnected; the reload is done all the same.
        let _ = reply.send(outcome);
    }
}

/// Asks for a reload when the configuration files are not those of the last load, whatever came of
/// that: a broken change is one failed reload.
async fn reload_on_change(
    configuration: Arc<Configuration>,
    reload: mpsc::Sender<Reload>,
    every: Duration,
) {
    if every.is_zero() {
        return;
    }
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let watched = configuration.watched.clone();
        let now = spawn_blocking(move || fingerprint(&watched)).await;
        if now.is_ok_and(|now| now != *configuration.loaded()) {
            info!("configuration files have changed, reloading");
            let (reply, done) = oneshot::channel();
            if reload.send(reply).await.is_err() {
                return;
            }
            // The next look compares with what this one loads.
            let _ = done.await;
        }
    }
}

/// Tells systemd, where it asks for that, that the exporter is alive: as long as a client is
/// answered, and the thread that collects takes up new work.
async fn answer_watchdog(here: Option<Here>, options: Options, collector: Handle) {
    let (Some(here), Some(patience)) = (here, sd_notify::watchdog_enabled()) else { return };
    let mut ticks = interval(patience / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answered = status(&here, &options).await;
        let is_collecting = timeout(patience / 3, collector.spawn(async {})).await.is_ok();
        match answered {
            Ok(200) if is_collecting => tell_systemd(&[NotifyState::Watchdog]),
            Ok(status) => {
                warn!(status, is_collecting, "not healthy: systemd's watchdog is not notified")
            }
            Err(error) => {
                warn!(%error, "own health check failed: systemd's watchdog is not notified");
            }
        }
    }
}

/// The configuration files, and the engine that they configure.
struct Configuration {
    paths: Vec<PathBuf>,
    /// These, and the web configuration file: what is wrong with that one has a reload fail as well.
    watched: Vec<PathBuf>,
    /// What the files were like when they were last read.
    loaded: Mutex<[u8; 32]>,
    engine: Arc<Engine>,
    own: Arc<Own>,
    security: Arc<Security>,
    last_load: LastLoad,
}

impl Configuration {
    fn loaded(&self) -> MutexGuard<'_, [u8; 32]> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads both files and puts them into effect, or returns all that is wrong. The sources then
    /// stay unchanged, and an invalid web configuration is not used.
    async fn load(&self) -> Result<(), String> {
        let outcome = self.try_load().await;
        self.own.config_loaded(outcome.is_ok());
        self.last_load.note(&outcome);
        outcome
    }

    async fn try_load(&self) -> Result<(), String> {
        let (paths, watched) = (self.paths.clone(), self.watched.clone());
        let security = Arc::clone(&self.security);
        let load = move || {
            // Before they are read: a change in between is one more reload.
            let seen = fingerprint(&watched);
            let loaded = Config::load_all(&paths, systems::catalogue().profiles());
            (seen, loaded, security.load())
        };
        let (seen, loaded, secured) = spawn_blocking(load)
            .await
            .map_err(|_| "internal error: loading the configuration panicked".to_owned())?;
        *self.loaded() = seen;
        let Loaded { config, warnings, unready } = match (loaded, secured) {
            (Ok(loaded), Ok(())) => loaded,
            (Ok(_), Err(problems)) => return Err(problems.to_string()),
            (Err(problems), Ok(())) => return Err(problems.to_string()),
            (Err(one), Err(other)) => return Err(format!("{one}\n{other}")),
        };
        for mut warning in warnings {
            warning.excerpt = None;
            warn!(%warning, "configuration warning");
        }
        for mut problem in unready {
            problem.excerpt = None;
            warn!(%problem, "the source is down until this can be read");
        }
        self.engine.apply(config).map_err(|error| error.to_string())
    }
}

fn tell_systemd(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot notify systemd");
    }
}
