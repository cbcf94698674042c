// SPDX-License-Identifier: Apache-2.0
//! Simulated conferencing systems in one process, for the demo, the tests and the benchmarks.
//!
//! A [`Simulator`] listens on one port a system. Each path prefix `/i/<instance>` of a port is an independent instance
//! with its own [`Population`], tokens, faults and recorded requests; no prefix is the instance `""`. A system that
//! speaks a text protocol instead of HTTP has no paths: there each instance but `""` gets a free port of its own when
//! its address is first asked for.
//! [`Simulator::truth`] counts the model, so that a test compares the exporter with the model and not with
//! what was sent. Calls the exporter must never make get the system's own refusal and are recorded as
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
//!
//! # Adding a system
//!
//! A system is one type that implements [`SimulatedSystem`] and [`HttpSystem`] or [`TextSystem`]. A built-in one is a
//! folder in `simulator/src/systems/` and one line in that folder's `mod.rs`, which says more. One that a test
//! invents is added at run time:
//!
//! ```text
//! let vendor = Vendor::new(&INVENTED_DESCRIPTION);
//! let registry = Registry::default().with(&Invented);
//! let simulator = Simulator::start(Options { registry, ..Options::default() }).await?;
//! let base_url = simulator.base_url(vendor);
//! ```
//!
//! `simulator/tests/invented.rs` is a whole example, a line protocol over TCP.

mod activity;
mod body;
mod call;
mod control;
mod damage;
mod fault;
mod instance;
mod model;
pub mod populate;
mod record;
mod registry;
mod rng;
mod server;
mod sessions;
mod systems;
mod truth;

pub use activity::Activity;
pub use call::{Answer, Call};
pub use fault::Fault;
pub use instance::Instance;
pub use model::{
    Behaviour, Conference, Idle, Line, Moderator, Participant, Population, Presence, Role, Room,
    Scheduled, UnknownIds,
};
pub use record::Request;
pub use registry::{
    Codes, Conversation, Credentials, Description, HttpSystem, Message, Protocol, Registry,
    SimulatedSystem, TextSystem, Vendor, credentials,
};
pub use rng::Rng;
pub use sessions::{LOGIN, Sessions, TokenKind, TokenState};
pub use systems::*;
pub use truth::{ConferenceTruth, Truth};

use crate::fault::{GREETING, Injected};
use crate::server::{Shared, lock};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};

/// How to simulate.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on.
    pub listen: IpAddr,
    /// The systems to simulate.
    pub registry: Registry,
    /// The port of the first system; each other one has the next, in the order of the registry. `None`: any free
    /// ones.
    pub first_port: Option<u16>,
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
    /// How long connections of HTTP are kept.
    pub keep_alive: KeepAlive,
    /// How long access and control tokens live; `None`: as the vendor documents.
    pub token_life: Option<Duration>,
    /// How long refresh tokens live; `None`: as the vendor documents.
    pub refresh_life: Option<Duration>,
    /// The vendors' quirks on the wire; also [`Behaviour::quirks`] of each new population.
    pub quirks: bool,
    /// Requests are recorded.
    pub record: bool,
    /// Recorded requests kept of each system, the newest.
    pub record_limit: usize,
}

/// How long a connection of HTTP is kept after an answer. It is closed without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// As the vendors do: the PBXs close it, and say so; the clouds keep it.
    AsVendor,
    /// As long as the client wants.
    Always,
    /// Until no request has come for so long.
    For(Duration),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: Ipv4Addr::LOCALHOST.into(),
            registry: Registry::default(),
            first_port: None,
            control_port: None,
            seed: 1,
            living: false,
            tick: Duration::from_secs(3),
            latency: Duration::ZERO,
            keep_alive: KeepAlive::AsVendor,
            token_life: None,
            refresh_life: None,
            quirks: true,
            record: true,
            record_limit: 10_000,
        }
    }
}

impl Options {
    /// The demo: fixed ports from 19681 on and 19690 for control, living populations.
    pub fn demo() -> Self {
        Self {
            first_port: Some(19681),
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
    /// Of the instance `""` of each system.
    addresses: HashMap<Vendor, SocketAddr>,
    /// Of other instances of systems that speak a text protocol.
    own_addresses: Mutex<HashMap<(Vendor, String), SocketAddr>>,
    control: SocketAddr,
    /// Where connections are served.
    handle: Handle,
    /// The runtime, unless the simulator was started inside the caller's.
    runtime: Option<Runtime>,
}

impl Simulator {
    /// Starts inside the caller's tokio runtime.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listen = options.listen;
        let first_port = options.first_port;
        let control_port = options.control_port.unwrap_or_default();
        let vendors = options.registry.vendors();
        let shared = Arc::new(Shared::new(options));
        let mut addresses = HashMap::new();
        for (index, vendor) in vendors.into_iter().enumerate() {
            let port = first_port.map_or(0, |first| first.saturating_add(index as u16));
            let listener = TcpListener::bind((listen, port)).await?;
            addresses.insert(vendor, reachable(listener.local_addr()?));
            serve(&shared, vendor, "", listener);
        }
        let listener = TcpListener::bind((listen, control_port)).await?;
        let control = reachable(listener.local_addr()?);
        let for_all = shared.clone();
        tokio::spawn(server::accept(listener, shared.clone(), false, move |socket| {
            let shared = for_all.clone();
            server::http::serve(socket, KeepAlive::AsVendor, move |_, request| {
                control::answer(shared.clone(), request)
            })
        }));
        let own_addresses = Mutex::default();
        let handle = Handle::current();
        Ok(Self { shared, addresses, own_addresses, control, handle, runtime: None })
    }

    /// Starts with a runtime of its own, for callers that have none.
    pub fn start_blocking(options: Options) -> io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let mut simulator = runtime.block_on(Self::start(options))?;
        simulator.runtime = Some(runtime);
        Ok(simulator)
    }

    /// Where the system's instance `""` is: `http://127.0.0.1:PORT`, of a text protocol `tcp://127.0.0.1:PORT`.
    ///
    /// # Panics
    ///
    /// As each call that takes a vendor: if the registry does not have it.
    pub fn base_url(&self, vendor: Vendor) -> String {
        let scheme = if self.shared.speaks_http(vendor) { "http" } else { "tcp" };
        format!("{scheme}://{}", self.addresses[&vendor])
    }

    /// Where another instance of the system is; `""` is [`Simulator::base_url`].
    ///
    /// # Panics
    ///
    /// If no port is free for a system that speaks a text protocol.
    pub fn instance_url(&self, vendor: Vendor, instance: &str) -> String {
        if instance.is_empty() {
            return self.base_url(vendor);
        }
        if self.shared.speaks_http(vendor) {
            return format!("{}/i/{instance}", self.base_url(vendor));
        }
        let mut addresses = lock(&self.own_addresses);
        let address = addresses.entry((vendor, instance.to_owned())).or_insert_with(|| {
            self.listen_for(vendor, instance)
                .unwrap_or_else(|error| panic!("no port for {vendor:?} {instance}: {error}"))
        });
        format!("tcp://{address}")
    }

    /// Where the control port is.
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// What a perfect exporter reports of the system now.
    pub fn truth(&self, vendor: Vendor, instance: &str) -> Truth {
        let instance = self.shared.instance(vendor, instance);
        let mut instance = lock(&instance);
        instance.advance();
        instance.truth()
    }

    /// What the system was asked, the oldest first.
    pub fn requests(&self, vendor: Vendor, instance: &str) -> Vec<Request> {
        lock(&self.shared.instance(vendor, instance)).requests()
    }

    /// Forgets the recorded requests of every system.
    pub fn clear_requests(&self) {
        self.each(Instance::clear_requests);
    }

    /// Lets calls go wrong: of one call (`None`: every call), so many times (`None`: until cleared). Of several
    /// faults for one call the one injected first is used until its times are up.
    ///
    /// # Panics
    ///
    /// If the system has no such call, or speaks a text protocol and the fault needs HTTP. `other` stands for
    /// whatever is no call, `greeting` for what a text protocol begins with.
    pub fn inject(
        &self,
        vendor: Vendor,
        instance: &str,
        name: Option<&str>,
        fault: Fault,
        times: Option<u32>,
    ) {
        let http = self.shared.speaks_http(vendor);
        let known = |name: &str| {
            name == "other"
                || self.shared.description(vendor).calls.contains(&name)
                || (name == GREETING && !http)
        };
        assert!(name.is_none_or(known), "{vendor:?} has no call {name:?}");
        assert!(http || !fault.needs_http(), "{vendor:?} does not speak HTTP: {fault:?}");
        let injected = Injected { name: name.map(str::to_owned), fault, times };
        if times != Some(0) {
            lock(&self.shared.instance(vendor, instance)).inject(injected);
        }
    }

    /// Takes back the faults of every system.
    pub fn clear_faults(&self) {
        self.each(Instance::clear_faults);
    }

    /// From now on the tokens issued so far are expired; refresh tokens stay good.
    pub fn expire_tokens(&self, vendor: Vendor, instance: &str) {
        lock(&self.shared.instance(vendor, instance)).expire_tokens();
    }

    /// From now on the refresh tokens issued so far are expired.
    pub fn expire_refresh_tokens(&self, vendor: Vendor, instance: &str) {
        lock(&self.shared.instance(vendor, instance)).expire_refresh_tokens();
    }

    /// From now on the tokens issued so far are unknown, as after a restart of the system; connections of a text
    /// protocol end. [`Behaviour::unknown_token`] is the answer.
    pub fn restart(&self, vendor: Vendor, instance: &str) {
        lock(&self.shared.instance(vendor, instance)).restart();
    }

    /// Logins are locked out as after too many failures: for this time, or until [`Simulator::reset_lockouts`].
    pub fn lock_out(&self, vendor: Vendor, instance: &str, time: Option<Duration>) {
        let instance = self.shared.instance(vendor, instance);
        lock(&instance).sessions.lock(LOGIN, time, Instant::now());
    }

    /// Access tokens that are valid now: none after every session has logged out.
    pub fn live_tokens(&self, vendor: Vendor, instance: &str) -> usize {
        lock(&self.shared.instance(vendor, instance)).live_tokens()
    }

    /// Ends every lock-out and forgets every failed login.
    pub fn reset_lockouts(&self) {
        self.each(|instance| instance.sessions.unlock());
    }

    /// Changes a population; from then on it does not change by itself.
    pub fn edit<R>(
        &self,
        vendor: Vendor,
        instance: &str,
        change: impl FnOnce(&mut Population) -> R,
    ) -> R {
        lock(&self.shared.instance(vendor, instance)).edit(change)
    }

    /// A copy of the population as it is now.
    pub fn population(&self, vendor: Vendor, instance: &str) -> Population {
        let instance = self.shared.instance(vendor, instance);
        let mut instance = lock(&instance);
        instance.advance();
        instance.population.clone()
    }

    /// Client connections open now, at the ports of the systems.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Every secret or personal text planted so far: people, their numbers and ids, PINs, links, tokens, passwords.
    /// None may ever be seen in what the exporter exposes or logs.
    pub fn canaries(&self) -> Vec<String> {
        let systems = self.shared.options.registry.systems().iter();
        let mut all: BTreeSet<_> = systems.flat_map(|system| system.secrets()).collect();
        for instance in self.shared.every_instance() {
            lock(&instance).canaries(&mut all);
        }
        all.into_iter().collect()
    }

    fn each(&self, change: impl Fn(&mut Instance)) {
        for instance in self.shared.every_instance() {
            change(&mut lock(&instance));
        }
    }

    /// Opens a port for one instance of a system that speaks a text protocol.
    fn listen_for(&self, vendor: Vendor, instance: &str) -> io::Result<SocketAddr> {
        let listener = std::net::TcpListener::bind((self.shared.options.listen, 0))?;
        listener.set_nonblocking(true)?;
        let address = reachable(listener.local_addr()?);
        // The caller may be outside of any runtime.
        let _entered = self.handle.enter();
        serve(&self.shared, vendor, instance, TcpListener::from_std(listener)?);
        Ok(address)
    }
}

/// Serves what connects to this listener, in a task that ends with the simulator.
fn serve(shared: &Arc<Shared>, vendor: Vendor, instance: &str, listener: TcpListener) {
    let for_all = shared.clone();
    match shared.protocol(vendor) {
        Protocol::Http(system) => {
            let serve = move |socket| {
                let shared = for_all.clone();
                server::http::serve(socket, shared.options.keep_alive, move |reset, request| {
                    server::http::answer(shared.clone(), vendor, system, reset, request)
                })
            };
            tokio::spawn(server::accept(listener, shared.clone(), true, serve));
        }
        Protocol::Text(system) => {
            let name = instance.to_owned();
            let serve = move |socket| {
                let instance = for_all.instance(vendor, &name);
                server::text::serve(for_all.clone(), vendor, system, instance, socket)
            };
            tokio::spawn(server::accept(listener, shared.clone(), true, serve));
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
