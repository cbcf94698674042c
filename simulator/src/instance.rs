// SPDX-License-Identifier: Apache-2.0
//! One simulated system in motion: its population, its tokens, its faults, what it was asked.

use crate::activity::Timeline;
use crate::fault::{Fault, Injected};
use crate::model::Population;
use crate::record::{Recorded, Request};
use crate::registry::SimulatedSystem;
use crate::rng::{self, Rng};
use crate::sessions::{LOGIN, Sessions, TokenKind};
use crate::{Options, Truth};
use hyper::body::Bytes;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

/// Answers kept ready; beyond it (odd queries of a hostile test) the cache starts anew.
const CACHED: usize = 1_000;

/// Secret or personal texts remembered of people who have left a living system.
const FORMER_SECRETS: usize = 50_000;

/// Shorter secrets would be found by accident in any text with numbers.
const SHORTEST_SECRET: usize = 8;

/// Seconds since 1970.
pub(crate) fn unix(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// One system of a kind: what a base URL leads to.
pub struct Instance {
    /// What it holds and how it behaves.
    pub population: Population,
    /// Its tokens and lock-outs.
    pub sessions: Sessions,
    system: &'static dyn SimulatedSystem,
    options: Arc<Options>,
    faults: Vec<Injected>,
    recorded: Recorded,
    cache: HashMap<String, Bytes>,
    former_secrets: BTreeSet<String>,
    timeline: Option<Timeline>,
    /// Cancelled by a restart: connections of text protocols end with it.
    restarted: CancellationToken,
}

impl Instance {
    pub(crate) fn new(
        system: &'static dyn SimulatedSystem,
        name: &str,
        options: Arc<Options>,
    ) -> Self {
        let seed = rng::hash(options.seed, &[system.description().name, name]);
        let mut population = Population { behaviour: system.behaviour(), ..Population::default() };
        population.behaviour.quirks = options.quirks;
        system.populate(&mut population, &mut Rng::new(seed), unix(SystemTime::now()));
        Self {
            population,
            sessions: Sessions::new(rng::hash(seed, &["tokens"])),
            system,
            faults: Vec::new(),
            recorded: Recorded::new(options.record_limit),
            cache: HashMap::new(),
            former_secrets: BTreeSet::new(),
            timeline: options.living.then(|| Timeline::new(rng::hash(seed, &["activity"]))),
            restarted: CancellationToken::new(),
            options,
        }
    }

    /// The call's path below the system's API path, or below the one the population's behaviour sets instead.
    pub fn below<'a>(&self, api_path: &str, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(self.population.behaviour.api_path.as_deref().unwrap_or(api_path))
    }

    /// The answer kept under that key, or made now. Every change of the population empties the cache.
    pub fn cached(&mut self, key: String, make: impl FnOnce(&Population) -> Value) -> Bytes {
        if let Some(bytes) = self.cache.get(&key) {
            return bytes.clone();
        }
        let bytes = Bytes::from(make(&self.population).to_string());
        if self.cache.len() >= CACHED {
            self.cache.clear();
        }
        self.cache.insert(key, bytes.clone());
        bytes
    }

    /// How long a token lives: as the options say, else as documented.
    pub fn token_life(&self, documented: Duration) -> Duration {
        self.options.token_life.unwrap_or(documented)
    }

    /// How long a refresh token lives: as the options say, else as documented.
    pub fn refresh_life(&self, documented: Duration) -> Duration {
        self.options.refresh_life.unwrap_or(documented)
    }

    /// One more bad login; the `limit`th in a row locks for `documented` (`None`: until unlocked), unless the
    /// population's behaviour sets another time.
    pub fn login_failed(&mut self, limit: u32, documented: Option<Duration>, now: Instant) {
        let lock = self.population.behaviour.lock_time.or(documented);
        self.sessions.failed(LOGIN, limit, lock, now);
    }

    /// The code for a token the system does not know: as the population's behaviour says, else as documented.
    pub fn unknown_token(&self, documented: &str) -> String {
        self.population.behaviour.unknown_token.clone().unwrap_or_else(|| documented.to_owned())
    }

    /// Lets a living population change up to now.
    pub(crate) fn advance(&mut self) {
        let Some(timeline) = &mut self.timeline else { return };
        if timeline.advance(self.system, &mut self.population, self.options.tick) {
            self.cache.clear();
            if self.options.record && self.former_secrets.len() < FORMER_SECRETS {
                let secrets = self.secrets();
                self.former_secrets.extend(secrets);
            }
        }
    }

    pub(crate) fn truth(&self) -> Truth {
        self.system.truth(&self.population)
    }

    /// Changes the population by hand; from then on it does not change by itself.
    pub(crate) fn edit<R>(&mut self, change: impl FnOnce(&mut Population) -> R) -> R {
        self.timeline = None;
        let before = self.secrets();
        self.former_secrets.extend(before);
        let result = change(&mut self.population);
        self.cache.clear();
        result
    }

    pub(crate) fn inject(&mut self, injected: Injected) {
        self.faults.push(injected);
    }

    pub(crate) fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// The fault for this call, the one injected first; counts it.
    pub(crate) fn take_fault(&mut self, name: &str) -> Option<Fault> {
        let description = self.system.description();
        let at = self.faults.iter().position(|f| f.concerns(name, description))?;
        let injected = &mut self.faults[at];
        let fault = injected.fault.clone();
        if let Some(times) = &mut injected.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.faults.remove(at);
            }
        }
        Some(fault)
    }

    pub(crate) fn expire_tokens(&mut self) {
        self.sessions.expire(|kind| *kind != TokenKind::Refresh);
    }

    pub(crate) fn expire_refresh_tokens(&mut self) {
        self.sessions.expire(|kind| *kind == TokenKind::Refresh);
    }

    pub(crate) fn restart(&mut self) {
        self.sessions.forget_tokens();
        std::mem::take(&mut self.restarted).cancel();
    }

    /// Cancelled when this instance restarts.
    pub(crate) fn restarted(&self) -> CancellationToken {
        self.restarted.clone()
    }

    pub(crate) fn live_tokens(&self) -> usize {
        self.sessions.good(&TokenKind::Access, Instant::now())
    }

    pub(crate) fn recorded(&mut self) -> &mut Recorded {
        &mut self.recorded
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.recorded.requests()
    }

    pub(crate) fn clear_requests(&mut self) {
        self.recorded.clear();
    }

    pub(crate) fn canaries(&self, into: &mut BTreeSet<String>) {
        into.extend(self.secrets());
        into.extend(self.former_secrets.iter().cloned());
        into.extend(self.sessions.issued().map(str::to_owned));
    }

    /// Everything secret or personal in the population and in what is answered about it.
    fn secrets(&self) -> Vec<String> {
        let population = &self.population;
        let mut all = self.system.secrets_of(population);
        for room in &population.rooms {
            all.extend(room.participant_pin.clone());
            all.push(room.moderator_pin.clone());
            for moderator in room.moderators.iter().flatten() {
                all.push(moderator.name.clone());
                all.push(moderator.id.clone());
            }
        }
        for conference in &population.conferences {
            all.extend(conference.host_password.clone());
            for participant in &conference.participants {
                all.extend([
                    participant.name.clone(),
                    participant.number.clone(),
                    participant.id.clone(),
                ]);
            }
        }
        all.retain(|text| text.chars().count() >= SHORTEST_SECRET);
        all
    }
}
