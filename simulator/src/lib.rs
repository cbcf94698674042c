//! The five vendors' HTTP APIs in one process, for the demo, the tests and the benchmarks.
//!
//! A [`Simulator`] listens on one port a vendor. Each path prefix `/i/<instance>` of a port is an independent system
//! with its own [`Population`], tokens, faults and recorded requests; no prefix is the instance `""`.
//! [`Simulator::truth`] counts the model, so that a test compares the exporter with what there is and not with what
//! was sent. Calls the exporter must never make get the vendor's own refusal and are recorded as
//! [`Request::forbidden`].
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use simulator::{Fault, Options, Simulator, Vendor};
//! let simulator = Simulator::start(Options::default()).await?;
//! let base_url = simulator.instance_url(Vendor::YeastarS, "hq");
//! simulator.inject(Vendor::YeastarS, "hq", Some("conference/query"), Fault::Hang, Some(1));
//! let truth = simulator.truth(Vendor::YeastarS, "hq");
//! # Ok(())
//! # }
//! ```

mod body;
mod control;
mod credentials;
mod dingtalk;
mod fault;
mod huawei_meeting;
mod life;
mod mangle;
mod md5_pbx;
mod model;
mod openvox_uc;
mod populate;
mod record;
mod rng;
mod server;
mod session;
mod system;
mod truth;
mod yeastar_p;
mod yeastar_s;

pub use credentials::{
    CLIENT_ID, CLIENT_SECRET, Credentials, DINGTALK_APP_KEY, DINGTALK_APP_SECRET, DINGTALK_CORP_ID,
    DINGTALK_SUITE_KEY, DINGTALK_SUITE_SECRET, DINGTALK_SUITE_TICKET, HUAWEI_ACCOUNT,
    HUAWEI_APP_ID, HUAWEI_APP_KEY, HUAWEI_HOSTED, HUAWEI_PASSWORD, PBX_PASSWORD, PBX_USERNAME,
    credentials,
};
pub use fault::Fault;
pub use model::{
    Behaviour, Conference, Idle, Line, Moderator, Participant, Population, Presence, Role, Room,
    Scheduled, UnknownIds, Vendor,
};
pub use record::Request;
pub use truth::{ConferenceTruth, Truth};

use crate::fault::Injected;
use crate::server::{Shared, lock};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// How to simulate.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on.
    pub listen: IpAddr,
    /// A port for each vendor in the order of [`Vendor::ALL`]; `None`: any free ones.
    pub ports: Option<[u16; 5]>,
    /// The control port; `None`: any free one.
    pub control_port: Option<u16>,
    /// What populations and tokens are derived from.
    pub seed: u64,
    /// Populations change over time; else they stand still.
    pub living: bool,
    /// How often a living population changes.
    pub tick: Duration,
    /// Time before each answer.
    pub latency: Duration,
    /// How long access and control tokens live; `None`: as the vendor documents.
    pub token_life: Option<Duration>,
    /// How long the P-Series' refresh tokens live; `None`: as documented, a day.
    pub refresh_life: Option<Duration>,
    /// The vendors' quirks on the wire; also [`Behaviour::quirks`] of each new population.
    pub quirks: bool,
    /// Requests are recorded.
    pub record: bool,
    /// Recorded requests kept of each system, the newest.
    pub record_limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: Ipv4Addr::LOCALHOST.into(),
            ports: None,
            control_port: None,
            seed: 1,
            living: false,
            tick: Duration::from_secs(3),
            latency: Duration::ZERO,
            token_life: None,
            refresh_life: None,
            quirks: true,
            record: true,
            record_limit: 10_000,
        }
    }
}

impl Options {
    /// The demo: fixed ports 19681 to 19685 and 19690, living populations.
    pub fn demo() -> Self {
        Self {
            ports: Some([19681, 19682, 19683, 19684, 19685]),
            control_port: Some(19690),
            living: true,
            record_limit: 1_000,
            ..Self::default()
        }
    }
}

/// The running simulator; stops and frees its ports when dropped.
pub struct Simulator {
    shared: Arc<Shared>,
    addresses: [SocketAddr; 5],
    control: SocketAddr,
    /// Of a simulator that was not started inside somebody else's.
    runtime: Option<Runtime>,
}

impl Simulator {
    /// Starts inside the caller's tokio runtime.
    pub async fn start(options: Options) -> io::Result<Self> {
        let ports = options.ports.unwrap_or_default();
        let listen = options.listen;
        let control_port = options.control_port.unwrap_or_default();
        let shared = Arc::new(Shared::new(options));
        let mut addresses = [SocketAddr::new(listen, 0); 5];
        for vendor in Vendor::ALL {
            let listener = TcpListener::bind((listen, ports[vendor.index()])).await?;
            addresses[vendor.index()] = reachable(listener.local_addr()?);
            let for_all = shared.clone();
            let answer =
                move |reset, request| server::answer(for_all.clone(), vendor, reset, request);
            tokio::spawn(server::accept(listener, shared.clone(), true, answer));
        }
        let listener = TcpListener::bind((listen, control_port)).await?;
        let control = reachable(listener.local_addr()?);
        let for_all = shared.clone();
        let answer = move |_, request| control::answer(for_all.clone(), request);
        tokio::spawn(server::accept(listener, shared.clone(), false, answer));
        Ok(Self { shared, addresses, control, runtime: None })
    }

    /// Starts with a runtime of its own, for callers that have none.
    pub fn start_blocking(options: Options) -> io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let mut simulator = runtime.block_on(Self::start(options))?;
        simulator.runtime = Some(runtime);
        Ok(simulator)
    }

    /// Where the vendor's instance `""` is: `http://127.0.0.1:PORT`.
    pub fn base_url(&self, vendor: Vendor) -> String {
        format!("http://{}", self.addresses[vendor.index()])
    }

    /// Where another system of the vendor is; `""` is [`Simulator::base_url`].
    pub fn instance_url(&self, vendor: Vendor, instance: &str) -> String {
        match instance {
            "" => self.base_url(vendor),
            instance => format!("{}/i/{instance}", self.base_url(vendor)),
        }
    }

    /// Where the control port is.
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// What a perfect exporter reports of the system now.
    pub fn truth(&self, vendor: Vendor, instance: &str) -> Truth {
        let system = self.shared.system(vendor, instance);
        let mut system = lock(&system);
        system.live_on();
        Truth::of(vendor, &system.population)
    }

    /// The live Huawei meetings with a host password: (conferenceID, password).
    pub fn host_passwords(&self, instance: &str) -> Vec<(String, String)> {
        let system = self.shared.system(Vendor::HuaweiMeeting, instance);
        let system = lock(&system);
        system.population.host_passwords()
    }

    /// What the system was asked, the oldest first.
    pub fn requests(&self, vendor: Vendor, instance: &str) -> Vec<Request> {
        lock(&self.shared.system(vendor, instance)).requests()
    }

    /// Forgets the recorded requests of every system.
    pub fn clear_requests(&self) {
        self.each(system::System::clear_requests);
    }

    /// Lets calls go wrong: of one endpoint (`None`: every call), so many times (`None`: until cleared). Of several
    /// faults for one call the one injected first is used until its times are up.
    ///
    /// # Panics
    ///
    /// If the vendor has no such endpoint; `other` stands for whatever is none.
    pub fn inject(
        &self,
        vendor: Vendor,
        instance: &str,
        endpoint: Option<&str>,
        fault: Fault,
        times: Option<u32>,
    ) {
        let known = |name: &str| name == "other" || vendor.endpoints().contains(&name);
        assert!(endpoint.is_none_or(known), "{} has no endpoint {endpoint:?}", vendor.as_str());
        let injected = Injected { endpoint: endpoint.map(str::to_owned), fault, times };
        if times != Some(0) {
            lock(&self.shared.system(vendor, instance)).inject(injected);
        }
    }

    /// Takes back the faults of every system.
    pub fn clear_faults(&self) {
        self.each(system::System::clear_faults);
    }

    /// From now on the tokens issued so far are expired; refresh tokens stay good.
    pub fn expire_tokens(&self, vendor: Vendor, instance: &str) {
        lock(&self.shared.system(vendor, instance)).expire_tokens();
    }

    /// From now on the refresh tokens issued so far are expired (P-Series).
    pub fn expire_refresh_tokens(&self, vendor: Vendor, instance: &str) {
        lock(&self.shared.system(vendor, instance)).expire_refresh_tokens();
    }

    /// Access tokens that are good now: none after an orderly goodbye.
    pub fn live_tokens(&self, vendor: Vendor, instance: &str) -> usize {
        lock(&self.shared.system(vendor, instance)).live_tokens()
    }

    /// Ends every lock-out and forgets every failed login.
    pub fn reset_lockouts(&self) {
        self.each(system::System::unlock);
    }

    /// Changes a population; from then on it lives no life of its own.
    pub fn edit<R>(
        &self,
        vendor: Vendor,
        instance: &str,
        change: impl FnOnce(&mut Population) -> R,
    ) -> R {
        lock(&self.shared.system(vendor, instance)).edit(change)
    }

    /// A copy of the population as it is now.
    pub fn population(&self, vendor: Vendor, instance: &str) -> Population {
        let system = self.shared.system(vendor, instance);
        let mut system = lock(&system);
        system.live_on();
        system.population.clone()
    }

    /// Client connections open now, at the ports of the vendors.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Every secret or personal text planted so far: people, their numbers and ids, PINs, links, tokens, passwords.
    /// None may ever be seen in what the exporter exposes or logs.
    pub fn canaries(&self) -> Vec<String> {
        let mut all = BTreeSet::new();
        for secret in credentials::SECRETS {
            all.insert(secret.to_owned());
            // Equivalent to the password at a PBX.
            all.insert(md5_pbx::md5_hex(secret));
        }
        for system in self.shared.every_system() {
            lock(&system).canaries(&mut all);
        }
        all.into_iter().collect()
    }

    fn each(&self, change: impl Fn(&mut system::System)) {
        for system in self.shared.every_system() {
            change(&mut lock(&system));
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An address of this machine for one that means all of its interfaces.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    SocketAddr::new(ip, address.port())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whole seconds, rounded up: a lifetime of 0 would mean something else.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
