// SPDX-License-Identifier: Apache-2.0
//! Which systems are simulated, and what each of them must say about itself.

use crate::activity::Activity;
use crate::call::{Answer, Call};
use crate::fault::Fault;
use crate::instance::Instance;
use crate::model::{Behaviour, Conference, Population};
use crate::rng::Rng;
use crate::systems;
use crate::truth::Truth;
use std::fmt;
use std::time::{Instant, SystemTime};

/// What never changes about a system, as data.
#[derive(Clone, Debug)]
pub struct Description {
    /// The name the exporter's configuration and its `vendor` label use.
    pub name: &'static str,
    /// The calls the system answers, by the names of the exporter's label `call`.
    pub calls: &'static [&'static str],
    /// Those of `calls` that take credentials and give a token or open a session.
    pub logins: &'static [&'static str],
    /// Those of `calls` that need what a login gave, log-outs excepted: a log-out must work even where every other
    /// call is refused, or a test could not see that a refused token was given back.
    pub with_token: &'static [&'static str],
    /// The ways to log in: (configuration key of the exporter, value), the usual way first; the same for every
    /// instance.
    pub credentials: &'static [&'static [(&'static str, &'static str)]],
    /// The system's own codes for failures that every system knows.
    pub codes: Codes,
}

/// A system's own codes for failures that every system knows; what [`crate::Fault::VendorError`] takes.
#[derive(Clone, Copy, Debug)]
pub struct Codes {
    /// The token is not, or no longer, accepted.
    pub token_refused: &'static str,
    /// The credentials are wrong.
    pub login_refused: &'static str,
    /// Too many logins failed; `None`: the system documents no lock-out.
    pub locked_out: Option<&'static str>,
    /// Asked too often; `None`: the system documents no such answer, a proxy in front of it would say HTTP 429.
    pub throttled: Option<&'static str>,
}

/// A system that can be simulated.
///
/// One unit struct a system; everything that changes belongs to the [`Instance`] it is given.
pub trait SimulatedSystem: Send + Sync {
    /// What never changes about it.
    fn description(&self) -> &'static Description;

    /// How it is spoken to.
    fn protocol(&self) -> Protocol;

    /// Fills an empty population, the same for the same random numbers, with some of everything the system can
    /// report. `now` is in seconds since 1970.
    fn populate(&self, population: &mut Population, random: &mut Rng, now: i64);

    /// What a perfect exporter reports of this population.
    fn truth(&self, population: &Population) -> Truth;

    /// How a fresh instance behaves where the system's documentation leaves a choice.
    fn behaviour(&self) -> Behaviour {
        Behaviour::default()
    }

    /// How a living population of this system moves. By default nothing begins; people come and go.
    fn activity(&self) -> Activity {
        Activity::default()
    }

    /// A conference that begins now, in a living population; `None` if there is no room for one.
    fn begin(
        &self,
        _population: &mut Population,
        _random: &mut Rng,
        _now: i64,
    ) -> Option<Conference> {
        None
    }

    /// What else changes with each tick of a living population.
    fn tick(&self, _population: &mut Population, _random: &mut Rng, _now: i64) {}

    /// The secrets among the credentials, in every form in which they could leak.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    /// Secret or personal texts the answers carry beyond what the population holds, made up from its ids.
    fn secrets_of(&self, _population: &Population) -> Vec<String> {
        Vec::new()
    }
}

/// How a system is spoken to.
#[derive(Clone, Copy)]
pub enum Protocol {
    /// HTTP/1.1. Instances are told apart by the path prefix `/i/<instance>`.
    Http(&'static dyn HttpSystem),
    /// Messages of text over a TCP connection that stays open. Such a connection has no path, so each instance
    /// listens on a port of its own.
    Text(&'static dyn TextSystem),
}

/// What a system that speaks HTTP adds.
pub trait HttpSystem: Send + Sync {
    /// Which of the described calls this is; `None`: one the exporter must never make.
    fn name(&self, instance: &Instance, call: &Call) -> Option<&'static str>;

    /// The right answer, or the system's own refusal.
    fn answer(&self, instance: &mut Instance, name: Option<&'static str>, call: &Call) -> Answer;

    /// The system's failure answer with this code and the HTTP status documented for it.
    fn failure(&self, code: &str) -> Answer;

    /// The key of the call's JSON answer that a client cannot do without, by each name it can have. Faults that
    /// damage a part of an answer damage this one. Empty for answers that are not JSON objects.
    fn main_keys(&self, _call: &str) -> &'static [&'static str] {
        &[]
    }

    /// The right answer as this fault damages it, where answers are not JSON; `None`: as JSON would be, or the fault is
    /// not about what an answer holds.
    fn damaged(&self, _fault: &Fault, _right: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// Headers every answer of this system carries.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Whether answers announce their length; else the end of the connection is the end of the body. `quirks` as in
    /// [`crate::Options::quirks`].
    fn announces_length(&self, _quirks: bool) -> bool {
        true
    }
}

/// What a system that speaks a text protocol adds.
pub trait TextSystem: Send + Sync {
    /// A client has connected.
    fn connect(&self, instance: &mut Instance) -> Box<dyn Conversation>;
}

/// One connection of a text protocol, and what it remembers: most of these protocols log in once a connection.
pub trait Conversation: Send {
    /// What the system sends before it is asked anything; `None`: the client speaks first. Not a call: only a
    /// fault injected for the name `greeting` changes it.
    fn greeting(&mut self, _instance: &mut Instance) -> Option<Answer> {
        None
    }

    /// How long the first whole message is, its end mark included; `None` as long as none has arrived.
    fn message_end(&self, received: &[u8]) -> Option<usize>;

    /// Which of the described calls this message is; `None`: one the exporter must never make.
    fn name(&self, message: &Message) -> Option<&'static str>;

    /// The right answer, or the system's own refusal. [`Answer::hang_up`] ends the connection.
    fn answer(
        &mut self,
        instance: &mut Instance,
        name: Option<&'static str>,
        message: &Message,
    ) -> Answer;

    /// The system's failure answer with this code; the message may hold an id that has to come back with it.
    fn failure(&self, code: &str, message: &Message) -> Answer;

    /// The connection has ended, from either side.
    fn closed(&mut self, _instance: &mut Instance) {}
}

/// A message of a text protocol, as it arrived.
#[derive(Clone, Debug)]
pub struct Message {
    /// The text with its end mark; bytes that are not UTF-8 replaced.
    pub text: String,
    /// When it arrived, to compare with lifetimes.
    pub now: Instant,
    /// The same by the wall clock.
    pub wall: SystemTime,
}

/// A simulated system's name, to ask the simulator about it.
///
/// The built-in ones have constants such as [`Vendor::YeastarS`], which also work as patterns. For that it holds the
/// name alone: a constant that held the whole description would be compared field by field in each pattern, and the
/// compiler takes minutes and gigabytes to check a match over a few of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vendor(&'static str);

impl Vendor {
    /// The handle of the system described so.
    pub const fn new(description: &Description) -> Self {
        Self(description.name)
    }

    /// The name the exporter's configuration and its `vendor` label use.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The built-in system of that name; others are found by [`Registry::find`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vendor| vendor.as_str() == name)
    }

    /// The names of the calls this built-in system answers, as [`crate::Request::call`] has them.
    ///
    /// # Panics
    ///
    /// If the system is not built in: whoever added it has its [`Description`].
    pub fn calls(self) -> &'static [&'static str] {
        self.built_in().calls
    }

    /// Those of [`Vendor::calls`] that take credentials and give a token.
    ///
    /// # Panics
    ///
    /// As [`Vendor::calls`].
    pub fn logins(self) -> &'static [&'static str] {
        self.built_in().logins
    }

    /// Whether this built-in system speaks HTTP, or else a text protocol whose logins last as long as their connection.
    ///
    /// # Panics
    ///
    /// As [`Vendor::calls`].
    pub fn speaks_http(self) -> bool {
        matches!(self.system().protocol(), Protocol::Http(_))
    }

    fn built_in(self) -> &'static Description {
        self.system().description()
    }

    fn system(self) -> &'static dyn SimulatedSystem {
        match systems::BUILT_IN.iter().find(|system| system.description().name == self.0) {
            Some(system) => *system,
            None => panic!("{self:?} is not built in"),
        }
    }
}

impl fmt::Debug for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A system's credentials by the exporter's configuration keys, one set for each way to log in.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The system.
    pub vendor: Vendor,
    /// The ways to log in: (configuration key, value), the usual way first.
    pub ways: &'static [&'static [(&'static str, &'static str)]],
}

/// The credentials of a built-in system, the same for every instance.
///
/// # Panics
///
/// As [`Vendor::calls`].
pub fn credentials(vendor: Vendor) -> Credentials {
    Credentials { vendor, ways: vendor.built_in().credentials }
}

/// The systems a simulator simulates, in the order of their ports. The built-in ones by default.
#[derive(Clone)]
pub struct Registry(Vec<&'static dyn SimulatedSystem>);

impl Registry {
    /// The same and one system more, which gets the next port.
    ///
    /// # Panics
    ///
    /// If there is one of that name already.
    #[must_use]
    pub fn with(mut self, system: &'static dyn SimulatedSystem) -> Self {
        let name = system.description().name;
        assert!(self.find(name).is_none(), "there is a system named {name} already");
        self.0.push(system);
        self
    }

    /// Only these of its systems, in the same order.
    #[must_use]
    pub fn only(mut self, vendors: &[Vendor]) -> Self {
        self.0.retain(|system| vendors.contains(&Vendor::new(system.description())));
        self
    }

    /// The system of that name.
    pub fn find(&self, name: &str) -> Option<Vendor> {
        self.vendors().into_iter().find(|vendor| vendor.as_str() == name)
    }

    /// Every system, in the order of their ports.
    pub fn vendors(&self) -> Vec<Vendor> {
        self.0.iter().map(|system| Vendor::new(system.description())).collect()
    }

    pub(crate) fn systems(&self) -> &[&'static dyn SimulatedSystem] {
        &self.0
    }

    pub(crate) fn system(&self, vendor: Vendor) -> Option<&'static dyn SimulatedSystem> {
        self.0.iter().find(|system| system.description().name == vendor.as_str()).copied()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self(systems::BUILT_IN.to_vec())
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.vendors()).finish()
    }
}
