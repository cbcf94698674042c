//! The serving process: start, reload, stop.

use std::{io, num::NonZero, path::PathBuf, sync::Arc, thread, time::Duration};

use sd_notify::NotifyState;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
    time::timeout,
};
use tracing::{error, info, warn};

use super::fail;
use crate::{
    cli::{Exit, Options},
    collect::{CollectorThread, Engine},
    config::{Config, Loaded},
    limits,
    metrics::own::Own,
    systems,
    web::{LastLoad, Reload, Site, accept::Server, listen, security::Security},
};

/// How long requests under way may take when the exporter stops.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Serves until told to stop.
pub fn serve(options: &Options) -> Exit {
    limits::raise_open_files();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}"), Exit::Failed),
    };
    let collector = match CollectorThread::start() {
        Ok(collector) => collector,
        Err(error) => return fail(&format!("cannot start: {error}"), Exit::Failed),
    };
    let exit = runtime.block_on(run(options, &collector));
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

async fn run(options: &Options, collector: &CollectorThread) -> Exit {
    info!(
        version = env!("CARGO_PKG_VERSION"),
        revision = env!("BUILD_REVISION"),
        "starting conferencing_exporter"
    );
    let own = match Own::new() {
        Ok(own) => own,
        Err(error) => return fail(&error.to_string(), Exit::Failed),
    };
    let engine = Engine::new(Arc::clone(&own), systems::catalogue())
        .collecting_on(collector.runtime().clone());
    let engine = Arc::new(engine);
    let security = Security::new(options.web_config_file.0.as_deref(), Arc::clone(&own));
    let configuration = Arc::new(Configuration {
        path: options.config_file.clone(),
        engine: Arc::clone(&engine),
        own: Arc::clone(&own),
        security: Arc::clone(&security),
        last_load: LastLoad::default(),
    });
    let last_load = configuration.last_load.clone();
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return fail(&format!("cannot handle signals: {error}"), Exit::Failed),
    };
    if let Err(problems) = configuration.load().await {
        return fail(&problems, Exit::Unusable);
    }
    let listeners = match bind(options) {
        Ok(listeners) => listeners,
        Err(error) => return fail(&error.to_string(), Exit::Failed),
    };
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
    for listener in listeners {
        if let Ok(address) = listener.local_addr() {
            info!(%address, tls = security.is_tls(), "listening");
        }
        server.serve(listener);
    }
    let reloader = tokio::spawn(reload_on_demand(configuration, reloads));
    let follower = tokio::spawn(security.follow());
    tell_systemd(&[NotifyState::Ready]);
    while signals.next().await == Demand::Reload {
        // If the channel is full, a reload is waiting already and will read the present file.
        let _ = reload.try_send(oneshot::channel().0);
    }
    info!("stopping");
    tell_systemd(&[NotifyState::Stopping]);
    site.stop();
    reloader.abort();
    follower.abort();
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
            Exit::Done
        }
        () = signals.stop() => {
            warn!("stopped at once by a second signal");
            Exit::Failed
        }
    }
}

fn bind(options: &Options) -> Result<Vec<TcpListener>, listen::ListenError> {
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

/// The configuration file, and the engine that it configures.
struct Configuration {
    path: PathBuf,
    engine: Arc<Engine>,
    own: Arc<Own>,
    security: Arc<Security>,
    last_load: LastLoad,
}

impl Configuration {
    /// Loads both files and puts them into effect, or returns all that is wrong. The sources then
    /// stay unchanged, and an invalid web configuration is not used.
    async fn load(&self) -> Result<(), String> {
        let outcome = self.try_load().await;
        self.own.config_loaded(outcome.is_ok());
        self.last_load.note(&outcome);
        outcome
    }

    async fn try_load(&self) -> Result<(), String> {
        let (path, security) = (self.path.clone(), Arc::clone(&self.security));
        let load = move || (Config::load(&path, systems::catalogue().profiles()), security.load());
        let (loaded, secured) = tokio::task::spawn_blocking(load)
            .await
            .map_err(|_| "internal error: loading the configuration panicked".to_owned())?;
        let Loaded { config, warnings, unready } = match (loaded, secured) {
            (Ok(loaded), Ok(())) => loaded,
            (Ok(_), Err(problems)) => return Err(problems.to_string()),
            (Err(problems), Ok(())) => return Err(problems.to_string()),
            (Err(one), Err(other)) => return Err(format!("{one}\n{other}")),
        };
        for mut warning in warnings {
            warning.excerpt = None;
            warn!(%warning, "configuration");
        }
        for mut problem in unready {
            problem.excerpt = None;
            warn!(%problem, "a source fails until this is there");
        }
        self.engine.apply(config).map_err(|error| error.to_string())
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    Stop,
    Reload,
}

/// The signals that stop or reload the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// The next signal.
    async fn next(&mut self) -> Demand {
        tokio::select! {
            _ = self.terminate.recv() => Demand::Stop,
            _ = self.interrupt.recv() => Demand::Stop,
            _ = self.hang_up.recv() => Demand::Reload,
        }
    }
}

fn tell_systemd(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot notify systemd");
    }
}
