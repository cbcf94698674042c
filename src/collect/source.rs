//! One source at run time: single flight, snapshots, and what is remembered for people.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info, warn};

use super::{Budget, Rows, turns::Turn, worker::Worker};
use crate::{
    api::{Api, Deadline, Failure},
    config::{self, Profile},
    metrics::{own::SourceMeters, text::Labels},
    model::{MeasureSet, Observation, Reason},
    session::LoginState,
    systems::Running,
};

/// What one successful collection found, and when.
#[derive(Debug)]
pub struct Snapshot {
    /// The numbers.
    pub observation: Observation,
    /// The conferences one by one; `None`: not configured.
    pub rows: Option<Rows>,
    /// When they were fetched.
    pub fetched_at: SystemTime,
    /// The same on the clock that cannot be set.
    pub fetched: Instant,
    /// How long that took.
    pub duration: Duration,
}

/// What one scrape gets of one source.
pub struct Report {
    /// Which source.
    pub source: Arc<Source>,
    /// The snapshot, fresh or young enough, or why there is none.
    pub outcome: Result<Arc<Snapshot>, Failure>,
    /// How long the collection took, or was waited for.
    pub duration: Duration,
    /// How long it was allowed to take.
    pub budget: Duration,
}

impl Report {
    /// What the source reports: as found this time, else when it last worked, else as configured.
    pub fn reported(&self) -> MeasureSet {
        match &self.outcome {
            Ok(snapshot) => snapshot.observation.reported(),
            Err(_) => self.source.last_reported(),
        }
    }
}

/// Why and when the source last failed.
#[derive(Clone, Debug)]
pub struct LastFailure {
    /// Why.
    pub failure: Failure,
    /// When.
    pub at: SystemTime,
}

/// What is known about a source without asking it.
pub struct SourceStatus {
    /// The last good snapshot.
    pub snapshot: Option<Arc<Snapshot>>,
    /// The last failure, also after a recovery.
    pub last_failure: Option<LastFailure>,
    /// Whether the last collection worked; `None`: there was none yet.
    pub up: Option<bool>,
    /// The login.
    pub login: LoginState,
    /// Requests held back after a throttling answer: why and for how much longer.
    pub held_back: Option<(Reason, Duration)>,
}

type Outcome = Result<Arc<Snapshot>, Failure>;
type Flight = Shared<BoxFuture<'static, Outcome>>;

struct UnderWay {
    flight: WeakShared<BoxFuture<'static, Outcome>>,
    deadline: Arc<Deadline>,
    started: Instant,
}

#[derive(Default)]
struct State {
    under_way: Option<UnderWay>,
    snapshot: Option<Arc<Snapshot>>,
    last_failure: Option<LastFailure>,
    up: Option<bool>,
}

impl State {
    /// Whether somebody waits for a collection.
    fn is_under_way(&self) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| under_way.flight.upgrade().is_some())
    }
}

/// One configured source.
pub struct Source {
    /// Its configuration.
    pub config: config::Source,
    /// `source`, `vendor` and the configured labels, rendered.
    pub labels: Labels,
    /// Its own counters.
    pub meters: Arc<SourceMeters>,
    /// The way to it.
    pub api: Api,
    /// How it is asked, its session and what was learnt about it.
    pub system: Box<dyn Running>,
    /// Identifies the TLS and proxy settings including the certificates' contents.
    pub(super) client_fingerprint: [u8; 32],
    /// Where it is collected.
    pub(super) worker: Arc<Worker>,
    state: Mutex<State>,
}

impl Source {
    pub(super) fn new(
        config: config::Source,
        api: Api,
        system: Box<dyn Running>,
        client_fingerprint: [u8; 32],
        worker: Arc<Worker>,
    ) -> Arc<Self> {
        let vendor = config.profile.name;
        let fixed = [("source", config.name.as_str()), ("vendor", vendor)];
        let configured = config.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Arc::new(Self {
            labels: Labels::new(fixed.into_iter().chain(configured)),
            meters: Arc::clone(&api.meters),
            config,
            api,
            system,
            client_fingerprint,
            worker,
            state: Mutex::default(),
        })
    }

    /// The source's name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The kind of system.
    pub const fn profile(&self) -> &'static Profile {
        self.config.profile
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known about the source without asking it.
    pub fn status(&self) -> SourceStatus {
        let state = self.state();
        SourceStatus {
            snapshot: state.snapshot.clone(),
            last_failure: state.last_failure.clone(),
            up: state.up,
            login: self.system.login_state(),
            held_back: self.api.held_back(),
        }
    }

    fn last_reported(&self) -> MeasureSet {
        let snapshot = self.state().snapshot.clone();
        snapshot
            .map_or_else(|| self.system.configured(), |snapshot| snapshot.observation.reported())
    }

    /// Collects the source within `budget`, joins the collection under way, or serves the last
    /// snapshot while it is young enough. Nothing is left running when the budget ends or the
    /// future is dropped, unless somebody else waits for the same collection.
    pub async fn collect(self: Arc<Self>, budget: Budget) -> Report {
        let started = Instant::now();
        let turn = self.turn(started, budget).await;
        self.collect_in(turn, started, budget).await
    }

    /// Waits for the turn to be collected; `None`: it does not come in time, or none is needed.
    pub(super) async fn turn(&self, started: Instant, budget: Budget) -> Option<Turn> {
        if self.young_snapshot(started).is_some() || self.state().is_under_way() {
            return None;
        }
        let end = started + budget.for_timeout(self.config.timeout);
        self.worker.turns.next(end).await
    }

    /// The same as [`collect`](Self::collect), for a scrape that began at `started` and has waited
    /// for the turn.
    pub(super) async fn collect_in(
        self: Arc<Self>,
        turn: Option<Turn>,
        started: Instant,
        budget: Budget,
    ) -> Report {
        let budget = budget.for_timeout(self.config.timeout);
        self.meters.snapshot_requests.inc();
        if let Some(snapshot) = self.young_snapshot(started) {
            self.meters.snapshot_hits.inc();
            let duration = snapshot.duration;
            return Report { source: self, outcome: Ok(snapshot), duration, budget };
        }
        let outcome = match self.outcome(turn, started + budget).await {
            Some(outcome) => outcome,
            None => {
                self.note_timeout();
                Err(Failure::Timeout)
            }
        };
        let duration = match &outcome {
            Ok(snapshot) => snapshot.duration,
            Err(_) => started.elapsed(),
        };
        Report { source: self, outcome, duration, budget }
    }

    fn young_snapshot(&self, now: Instant) -> Option<Arc<Snapshot>> {
        let state = self.state();
        let snapshot = state.snapshot.as_ref()?;
        let age = now.saturating_duration_since(snapshot.fetched);
        (age < self.config.min_interval).then(|| Arc::clone(snapshot))
    }

    /// What comes of the collection under way, or of a new one; `None`: nothing before `end`.
    async fn outcome(self: &Arc<Self>, turn: Option<Turn>, end: Instant) -> Option<Outcome> {
        if end <= Instant::now() {
            // All of the time went into waiting for the turn: nothing is begun.
            return None;
        }
        let (flight, end) = self.board(turn, end);
        timeout_at(end, flight).await.ok()
    }

    /// The collection under way, or a new one, and until when to wait for it.
    fn board(self: &Arc<Self>, turn: Option<Turn>, end: Instant) -> (Flight, Instant) {
        let mut state = self.state();
        if let Some(under_way) = &state.under_way
            && let Some(flight) = under_way.flight.upgrade()
        {
            self.meters.snapshot_hits.inc();
            let end = end.min(under_way.started + self.config.timeout);
            under_way.deadline.extend(end);
            return (flight, end);
        }
        let deadline = Deadline::new(end);
        self.api.start_collection(Arc::clone(&deadline));
        let source = Arc::clone(self);
        let flight = async move {
            match turn {
                Some(turn) => turn.hold(source.fly(), || source.api.last_landed()).await,
                None => source.fly().await,
            }
        };
        let flight = flight.boxed().shared();
        state.under_way =
            flight.downgrade().map(|flight| UnderWay { flight, deadline, started: Instant::now() });
        (flight, end)
    }

    /// Waits until no collection is under way; at most as long as one may take.
    pub(super) async fn quiet(&self) {
        let flight = {
            let state = self.state();
            state.under_way.as_ref().and_then(|u| Some((u.flight.upgrade()?, u.deadline.end())))
        };
        if let Some((flight, end)) = flight {
            let _ = timeout_at(end, flight).await;
        }
    }

    /// A scrape gave up waiting. Others may have more time; only the last one to leave ends the
    /// collection. In one step: meanwhile another scrape may start the next one.
    fn note_timeout(&self) {
        let state = self.state();
        if !state.is_under_way() {
            self.note_failed(state, &Failure::Timeout);
        }
    }

    async fn fly(&self) -> Outcome {
        let started = Instant::now();
        let collected = AssertUnwindSafe(self.system.collect(&self.api)).catch_unwind().await;
        match collected.unwrap_or(Err(Failure::Panic)) {
            Ok(mut observation) => {
                let conferences = std::mem::take(&mut observation.conferences);
                let rows = if self.config.conferences.enabled {
                    let key = self.system.hash_key().await;
                    Some(Rows::new(conferences, self.config.conferences, &key))
                } else {
                    None
                };
                let snapshot = Arc::new(Snapshot {
                    observation,
                    rows,
                    fetched_at: SystemTime::now(),
                    fetched: Instant::now(),
                    duration: started.elapsed(),
                });
                self.note_success(Arc::clone(&snapshot));
                Ok(snapshot)
            }
            Err(failure) => {
                self.note_failure(&failure);
                Err(failure)
            }
        }
    }

    fn note_success(&self, snapshot: Arc<Snapshot>) {
        let mut state = self.state();
        state.under_way = None;
        state.snapshot = Some(snapshot);
        if state.up.replace(true) == Some(false) {
            info!(source = self.name(), vendor = self.profile().name, "source is back");
        }
    }

    fn note_failure(&self, failure: &Failure) {
        self.note_failed(self.state(), failure);
    }

    fn note_failed(&self, mut state: MutexGuard<'_, State>, failure: &Failure) {
        state.under_way = None;
        let last = LastFailure { failure: failure.clone(), at: SystemTime::now() };
        let before = state.last_failure.replace(last).map(|last| last.failure.reason());
        let first = state.up.replace(false) != Some(false);
        drop(state);
        let (source, vendor, reason) =
            (self.name(), self.profile().name, failure.reason().as_str());
        // The first failure is news; a source that stays down would fill the log.
        if first {
            warn!(source, vendor, reason, error = %failure, "source failed");
        } else if before != Some(failure.reason()) {
            info!(source, vendor, reason, error = %failure, "source fails for another reason");
        } else {
            debug!(source, vendor, reason, error = %failure, "source still fails");
        }
    }
}
