// SPDX-License-Identifier: Apache-2.0
//! One source at run time: one collection at a time, snapshots, and what the status page shows.
//!
//! All scrapes of a source at the same time wait for the same collection. It is a shared future that
//! runs as long as one of them waits. When the last one stops waiting the future is dropped, and
//! with it its sockets and permits. The source keeps only a weak reference, which does not keep the
//! collection alive.
//!
//! The deadline of one scrape does not change what the others get: a scrape that joins with more
//! time extends the collection, and one with less time leaves it. A collection that ended before
//! the source had most of its configured `timeout` is no failure of the source: neither log, status
//! page nor back-off take notice of it.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::{Budget, Rows};
use crate::{
    config::{self, Profile, duration::format_duration},
    metrics::{own::SourceMeters, text::Labels},
    model::{MeasureSet, Observation, Reason},
    net::{Api, Deadline, Failure, Observer},
    session::{LoginState, hold_off::doubled},
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
    /// The same on the monotonic clock, which ages are measured with.
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
    /// When the first of the failures in a row came, of which the last is `last_failure`; `None` while it is up.
    pub down_since: Option<SystemTime>,
    /// The login.
    pub login: LoginState,
    /// Requests held back after a throttling answer: why and for how much longer.
    pub held_back: Option<(Reason, Duration)>,
    /// A source with a `min_interval` that failed is not asked again for that long.
    pub backing_off: Option<Duration>,
}

type Outcome = Result<Arc<Snapshot>, Failure>;
type Collection = Shared<BoxFuture<'static, Outcome>>;

struct UnderWay {
    collection: WeakShared<BoxFuture<'static, Outcome>>,
    deadline: Arc<Deadline>,
    started: Instant,
}

/// After a failed collection, a source with a `min_interval` is not asked for a while: its calls
/// are limited or cost money, and one that fails costs as much as one that works.
#[derive(Clone)]
struct BackOff {
    failure: Arc<Failure>,
    since: Instant,
    /// Which certificates it failed with; see [`Api::client_fingerprint`].
    certificates: [u8; 32],
    /// Failed collections in a row before this one.
    times: u32,
}

impl BackOff {
    /// A minute, then twice as long each time, up to `min_interval`. `None`: it is over.
    fn remaining(&self, min_interval: Duration) -> Option<Duration> {
        let until = self.since + doubled(self.times, min_interval);
        until.checked_duration_since(Instant::now()).filter(|remaining| !remaining.is_zero())
    }
}

#[derive(Default)]
pub(super) struct Memory {
    under_way: Option<UnderWay>,
    snapshot: Option<Arc<Snapshot>>,
    last_failure: Option<LastFailure>,
    up: Option<bool>,
    down_since: Option<SystemTime>,
    back_off: Option<BackOff>,
}

impl Memory {
    /// Whether a scrape waits for a collection.
    fn is_under_way(&self) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| under_way.collection.upgrade().is_some())
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
    /// The handle for requests to it.
    pub api: Api,
    /// How it is asked, its session, and what was learnt about it.
    pub system: Arc<dyn Running>,
    /// What was found. Shared with the source before a reload that changed nothing about the
    /// questions: a snapshot that is young enough is served after it as well.
    memory: Arc<Mutex<Memory>>,
}

impl Source {
    pub(super) fn new(
        config: config::Source,
        api: Api,
        system: Arc<dyn Running>,
        memory: Arc<Mutex<Memory>>,
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
            memory,
        })
    }

    /// What is remembered, for the source that follows this one. The back-off is
    /// not among it: after a change of the configuration a failed source is asked again at once.
    pub(super) fn handed_over(&self) -> Arc<Mutex<Memory>> {
        self.memory().back_off = None;
        Arc::clone(&self.memory)
    }

    /// The source's name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The kind of system.
    pub const fn profile(&self) -> &'static Profile {
        self.config.profile
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known about the source without asking it.
    pub fn status(&self) -> SourceStatus {
        let memory = self.memory();
        SourceStatus {
            snapshot: memory.snapshot.clone(),
            last_failure: memory.last_failure.clone(),
            up: memory.up,
            down_since: memory.down_since,
            login: self.system.session().state(),
            held_back: self.api.held_back(),
            backing_off: self.backing_off(&memory).map(|(_, remaining)| remaining),
        }
    }

    /// Why the source is not asked at present, and for how much longer; `None` also after a change of
    /// the certificate files. This source's own `min_interval` counts, because the collection that
    /// failed may have been made before a reload that changed it.
    fn backing_off<'a>(&self, memory: &'a Memory) -> Option<(&'a Arc<Failure>, Duration)> {
        let back_off = memory.back_off.as_ref()?;
        if back_off.certificates != self.api.client_fingerprint() {
            return None;
        }
        Some((&back_off.failure, back_off.remaining(self.config.min_interval)?))
    }

    /// What the source reports as configured, whether or not its system tells it.
    pub fn configured(&self) -> MeasureSet {
        self.system.configured()
    }

    fn last_reported(&self) -> MeasureSet {
        let snapshot = self.memory().snapshot.clone();
        snapshot
            .map_or_else(|| self.system.configured(), |snapshot| snapshot.observation.reported())
    }

    /// Collects the source within `budget`, joins the collection under way, or serves the last
    /// snapshot while it is young enough. Nothing is left running when the budget ends or the
    /// future is dropped, unless another scrape waits for the same collection; but a login under
    /// way ends by itself (see [`crate::session`]).
    pub async fn collect(self: Arc<Self>, budget: Budget) -> Report {
        self.collect_observed(budget, None).await
    }

    /// The same; if that takes a new collection, `observer` sees its calls.
    pub async fn collect_observed(
        self: Arc<Self>,
        budget: Budget,
        observer: Option<Arc<dyn Observer>>,
    ) -> Report {
        let started = Instant::now();
        let budget = budget.for_timeout(self.config.timeout);
        self.meters.snapshot_requests.inc();
        if let Some(snapshot) = self.young_snapshot(started) {
            self.meters.snapshot_hits.inc();
            let duration = snapshot.duration;
            return Report { source: self, outcome: Ok(snapshot), duration, budget };
        }
        let end = started + budget;
        let outcome = self.outcome(end, observer).await.unwrap_or_else(|| {
            self.note_cut_off();
            Err(Failure::Timeout)
        });
        let duration = match &outcome {
            Ok(snapshot) => snapshot.duration,
            Err(_) => started.elapsed(),
        };
        Report { source: self, outcome, duration, budget }
    }

    fn young_snapshot(&self, now: Instant) -> Option<Arc<Snapshot>> {
        let memory = self.memory();
        let snapshot = memory.snapshot.as_ref()?;
        let age = now.saturating_duration_since(snapshot.fetched);
        (age < self.config.min_interval).then(|| Arc::clone(snapshot))
    }

    /// What comes of the collection under way, or of a new one; `None`: nothing before `end`.
    async fn outcome(
        self: &Arc<Self>,
        end: Instant,
        observer: Option<Arc<dyn Observer>>,
    ) -> Option<Outcome> {
        // What is not read in half of the time is not waited for.
        let _ = timeout(half_until(end), self.api.follow_certificates()).await;
        let backing_off = self.backing_off(&self.memory()).map(|(failure, remaining)| {
            Failure::BackingOff { failure: Arc::clone(failure), remaining }
        });
        // A new secret ends the back-off.
        if let Some(failure) = backing_off
            && !self.has_new_secrets(end).await
        {
            return Some(Err(failure));
        }
        let (collection, end) = self.join_or_start(end, observer);
        timeout_at(end, collection).await.ok()
    }

    /// Whether there is another secret than at the last login. A file that cannot be read, or not
    /// in half of the time until `end`, says nothing.
    async fn has_new_secrets(&self, end: Instant) -> bool {
        timeout(half_until(end), self.system.session().has_new_secrets()).await.unwrap_or(false)
    }

    /// The collection under way, or a new one, and until when to wait for it.
    fn join_or_start(
        self: &Arc<Self>,
        end: Instant,
        observer: Option<Arc<dyn Observer>>,
    ) -> (Collection, Instant) {
        let mut memory = self.memory();
        if let Some(under_way) = &memory.under_way
            && let Some(collection) = under_way.collection.upgrade()
        {
            self.meters.snapshot_hits.inc();
            let end = end.min(under_way.started + self.config.timeout);
            under_way.deadline.extend(end);
            return (collection, end);
        }
        let deadline = Deadline::new(end);
        let source = Arc::clone(self);
        let mut api = self.api.until(Arc::clone(&deadline));
        if let Some(observer) = observer {
            api = api.observed_by(observer);
        }
        let collection = async move { source.collect_now(&api).await }.boxed().shared();
        memory.under_way = collection.downgrade().map(|collection| UnderWay {
            collection,
            deadline,
            started: Instant::now(),
        });
        (collection, end)
    }

    /// Notes that a scrape stopped waiting. If others still wait, the collection goes on. Otherwise
    /// it has ended, and it counts as a failure of the source if it had three quarters of the
    /// configured `timeout`: of the default of 10 s, Prometheus' own default leaves 9.5 s, and a
    /// source that does not answer for that long has failed. The lock is held from the check to the
    /// note, because another scrape may start the next collection at any time.
    fn note_cut_off(&self) {
        let mut memory = self.memory();
        if memory.is_under_way() {
            return;
        }
        let Some(under_way) = memory.under_way.take() else { return };
        let lasted = under_way.started.elapsed();
        if lasted >= self.config.timeout * 3 / 4 {
            self.note_failed(memory, &Failure::Timeout);
        } else {
            drop(memory);
            let (source, vendor) = (self.name(), self.profile().name);
            let lasted = format_duration(lasted);
            debug!(source, vendor, lasted, "collection cancelled: no scrape waits for it any more");
        }
    }

    async fn collect_now(&self, api: &Api) -> Outcome {
        let started = Instant::now();
        let collected = AssertUnwindSafe(self.system.collect(api)).catch_unwind().await;
        api.rest();
        match collected.unwrap_or(Err(Failure::Panic)) {
            Ok(mut observation) => {
                self.system.session().collection_succeeded();
                let conferences = std::mem::take(&mut observation.conferences);
                let rows = self.config.conferences.enabled.then(|| {
                    let key = self.system.session().hash_key();
                    Rows::new(conferences, self.config.conferences, &key)
                });
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
                self.note_failed(self.memory(), &failure);
                Err(failure)
            }
        }
    }

    fn note_success(&self, snapshot: Arc<Snapshot>) {
        let mut memory = self.memory();
        memory.under_way = None;
        memory.snapshot = Some(snapshot);
        memory.back_off = None;
        memory.down_since = None;
        if memory.up.replace(true) == Some(false) {
            info!(source = self.name(), vendor = self.profile().name, "source is back");
        }
    }

    fn note_failed(&self, mut memory: MutexGuard<'_, Memory>, failure: &Failure) {
        memory.under_way = None;
        self.back_off_after(&mut memory, failure);
        let last = LastFailure { failure: failure.clone(), at: SystemTime::now() };
        memory.down_since.get_or_insert(last.at);
        let before = memory.last_failure.replace(last).map(|last| last.failure.reason());
        let first = memory.up.replace(false) != Some(false);
        drop(memory);
        let (source, vendor, reason) =
            (self.name(), self.profile().name, failure.reason().as_str());
        // Only the first failure is a warning: a source that stays down would fill the log.
        if first {
            warn!(source, vendor, reason, error = %failure, "source failed");
        } else if before != Some(failure.reason()) {
            info!(source, vendor, reason, error = %failure, "source fails for another reason");
        } else {
            debug!(source, vendor, reason, error = %failure, "source still fails");
        }
    }

    /// Where nothing was sent there is nothing to spare: requests or logins are held back anyway,
    /// or a file could not be read and may be there the next time.
    fn back_off_after(&self, memory: &mut Memory, failure: &Failure) {
        let has_asked = match failure {
            Failure::Request(_) | Failure::Timeout | Failure::Panic => true,
            Failure::HeldBack { .. }
            | Failure::BackingOff { .. }
            | Failure::Secret(_)
            | Failure::Certificate(_)
            | Failure::File(_) => false,
        };
        if self.config.min_interval.is_zero() || !has_asked {
            return;
        }
        let times = memory.back_off.as_ref().map_or(0, |back_off| back_off.times.saturating_add(1));
        let failure = Arc::new(failure.clone());
        let certificates = self.api.client_fingerprint();
        memory.back_off = Some(BackOff { failure, since: Instant::now(), certificates, times });
    }
}

fn half_until(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now()) / 2
}
