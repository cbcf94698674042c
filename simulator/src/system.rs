//! One simulated system: its population, its tokens, its faults, what it was asked.

use crate::fault::{Fault, Injected};
use crate::model::{Population, Vendor};
use crate::record::Request;
use crate::session::{Kind, Sessions};
use crate::{
    Options, dingtalk, huawei_meeting, life, openvox_uc, populate, rng, yeastar_p, yeastar_s,
};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Answers kept ready; beyond it (odd queries of a hostile test) the cache starts anew.
const CACHED: usize = 1_000;

/// Planted strings remembered of people who have left a living system.
const PLANTED: usize = 50_000;

/// A request as a vendor sees it.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Without the instance's prefix.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) now: Instant,
    pub(crate) wall: SystemTime,
}

impl Call {
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as a JSON object; `None` if it is none or is not announced as JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        let kind = self.header("content-type")?.to_ascii_lowercase();
        let value: Value = kind
            .starts_with("application/json")
            .then(|| serde_json::from_slice(&self.body).ok())??;
        value.is_object().then_some(value)
    }

    pub(crate) fn unix(&self) -> i64 {
        unix(self.wall)
    }
}

pub(crate) fn unix(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// A vendor's right answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(crate) forbidden: bool,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string().into(), forbidden: false }
    }

    pub(crate) fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }

    pub(crate) fn bytes(body: Bytes) -> Self {
        Self { status: 200, body, forbidden: false }
    }
}

pub(crate) struct System {
    pub(crate) vendor: Vendor,
    pub(crate) population: Population,
    pub(crate) sessions: Sessions,
    pub(crate) options: Arc<Options>,
    /// Bad host passwords by conference (Huawei).
    pub(crate) bad_host_passwords: HashMap<String, u32>,
    faults: Vec<Injected>,
    requests: VecDeque<Request>,
    cache: HashMap<String, Bytes>,
    planted: BTreeSet<String>,
    life: Option<life::Life>,
}

impl System {
    pub(crate) fn new(vendor: Vendor, instance: &str, options: Arc<Options>) -> Self {
        let seed = rng::hash(options.seed, &[vendor.as_str(), instance]);
        let now = unix(SystemTime::now());
        let population = populate::population(vendor, seed, now, options.quirks);
        Self {
            vendor,
            population,
            sessions: Sessions::new(rng::hash(seed, &["tokens"])),
            bad_host_passwords: HashMap::new(),
            faults: Vec::new(),
            requests: VecDeque::new(),
            cache: HashMap::new(),
            planted: BTreeSet::new(),
            life: options.living.then(|| life::Life::new(rng::hash(seed, &["life"]))),
            options,
        }
    }

    /// Lets time pass up to now.
    pub(crate) fn live_on(&mut self) {
        let Some(life) = &mut self.life else { return };
        if life.advance(self.vendor, &mut self.population, self.options.tick) {
            self.cache.clear();
            if self.options.record && self.planted.len() < PLANTED {
                let planted = planted(&self.population);
                self.planted.extend(planted);
            }
        }
    }

    pub(crate) fn endpoint(&self, call: &Call) -> Option<&'static str> {
        match self.vendor {
            Vendor::OpenvoxUc => openvox_uc::endpoint(self, call),
            Vendor::YeastarS => yeastar_s::endpoint(self, call),
            Vendor::YeastarP => yeastar_p::endpoint(self, call),
            Vendor::HuaweiMeeting => huawei_meeting::endpoint(self, call),
            Vendor::Dingtalk => dingtalk::endpoint(self, call),
        }
    }

    pub(crate) fn answer(&mut self, endpoint: Option<&'static str>, call: &Call) -> Answer {
        match self.vendor {
            Vendor::OpenvoxUc => openvox_uc::answer(self, endpoint, call),
            Vendor::YeastarS => yeastar_s::answer(self, endpoint, call),
            Vendor::YeastarP => yeastar_p::answer(self, endpoint, call),
            Vendor::HuaweiMeeting => huawei_meeting::answer(self, endpoint, call),
            Vendor::Dingtalk => dingtalk::answer(self, endpoint, call),
        }
    }

    /// The call's path below the vendor's prefix.
    pub(crate) fn below<'a>(&self, prefix: &str, call: &'a Call) -> Option<&'a str> {
        let prefix = self.population.behaviour.api_path.as_deref().unwrap_or(prefix);
        call.path.strip_prefix(prefix)
    }

    /// The answer kept under that key, or made now.
    pub(crate) fn cached(&mut self, key: String, make: impl FnOnce(&Population) -> Value) -> Bytes {
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

    pub(crate) fn token_life(&self, vendors: Duration) -> Duration {
        self.options.token_life.unwrap_or(vendors)
    }

    /// Changes the population by hand; from then on it lives no life of its own.
    pub(crate) fn edit<R>(&mut self, change: impl FnOnce(&mut Population) -> R) -> R {
        self.life = None;
        let before = planted(&self.population);
        self.planted.extend(before);
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
    pub(crate) fn take_fault(&mut self, endpoint: &str) -> Option<Fault> {
        let at = self
            .faults
            .iter()
            .position(|f| f.endpoint.as_deref().is_none_or(|name| name == endpoint))?;
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
        self.sessions.expire(|kind| *kind != Kind::Refresh);
    }

    pub(crate) fn expire_refresh_tokens(&mut self) {
        self.sessions.expire(|kind| *kind == Kind::Refresh);
    }

    pub(crate) fn live_tokens(&self) -> usize {
        self.sessions.good(&Kind::Access, Instant::now())
    }

    pub(crate) fn unlock(&mut self) {
        self.sessions.unlock();
        self.bad_host_passwords.clear();
    }

    pub(crate) fn record(&mut self, request: Request) {
        if self.requests.len() >= self.options.record_limit {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.iter().cloned().collect()
    }

    pub(crate) fn clear_requests(&mut self) {
        self.requests.clear();
    }

    pub(crate) fn canaries(&self, into: &mut BTreeSet<String>) {
        into.extend(planted(&self.population));
        into.extend(self.planted.iter().cloned());
        into.extend(self.sessions.issued().map(str::to_owned));
    }
}

/// Everything secret or personal in a population.
fn planted(population: &Population) -> Vec<String> {
    let mut all = Vec::new();
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
        all.extend(huawei_meeting::secrets_of(&conference.id));
        all.extend(dingtalk::secrets_of(&conference.id));
        for participant in &conference.participants {
            all.extend([
                participant.name.clone(),
                participant.number.clone(),
                participant.id.clone(),
            ]);
        }
    }
    for scheduled in &population.scheduled {
        all.extend(huawei_meeting::secrets_of(&scheduled.id));
    }
    // Shorter ones would be found by accident in any text with numbers.
    all.retain(|text| text.chars().count() >= 8);
    all
}
