// SPDX-License-Identifier: Apache-2.0
//! The systems that can be watched: one folder each, with everything about it.
//!
//! ```text
//! mod      what it is: name, keys, logins, calls, what it reports; and which calls one collection makes
//! login    how it logs in, renews its token and gives it back
//! answers  what its answers look like, and what is counted in them
//! codes    its error codes: what they mean, what follows from them, what a person can do
//! ```
//!
//! [`catalogue`] lists them, one line each. Configuration, schema, documentation, metrics and tests
//! follow from that list; nothing outside this folder knows the name of a system.
//! `docs/adding-a-system.md` shows how to add one.

mod advice;
pub mod asterisk;
pub mod bigbluebutton;
pub mod dingtalk;
pub mod freeswitch;
pub mod huawei_meeting;
pub mod janus;
mod logged_in;
mod missing;
pub mod openvox_uc;
pub mod pbx;
mod setting;
mod watched;
pub mod yeastar_p;
pub mod yeastar_s;

pub use advice::advice;
pub use logged_in::Running;
pub use setting::Setting;

use std::{future::Future, sync::Arc};

use crate::{
    config::{self, Profile, Settings},
    model::{MeasureSet, Observation, Reason},
    net::{Answer, Failure, Fault},
    recording::Shown,
    session::{Authorized, Login},
};
use logged_in::Start;
use missing::Missing;

/// The systems this exporter knows, in the order of the documentation.
pub fn catalogue() -> Catalogue {
    Catalogue::default()
        .with::<openvox_uc::OpenvoxUc>()
        .with::<yeastar_s::YeastarS>()
        .with::<yeastar_p::YeastarP>()
        .with::<huawei_meeting::HuaweiMeeting>()
        .with::<dingtalk::Dingtalk>()
        .with::<asterisk::Asterisk>()
        .with::<freeswitch::FreeSwitch>()
        .with::<janus::Janus>()
        .with::<bigbluebutton::BigBlueButton>()
}

/// A kind of system: its profile, and how a system of this kind is asked.
///
/// What is the same for all of them (the session, what is kept over a reload, the logout) is in
/// [`Running`], so that an implementation has nothing but its settings and what it has learnt.
///
/// [`System::collect`] is all or nothing: it returns a whole observation, or the first failure of a
/// required call. It may be dropped at any `await`, when no scrape waits for it any more.
pub trait System: Sized + Send + Sync + 'static {
    /// What it is.
    const PROFILE: &'static Profile;

    /// What a recording of its answers may show: nothing else of them is kept.
    const SHOWN: &'static Shown = &Shown::NOTHING;

    /// What [`Profile::read`] makes of its keys.
    type Settings: Settings;

    /// How it logs in.
    type Login: Login + PartialEq;

    /// The login of a source with these settings.
    fn login(settings: &Self::Settings) -> Self::Login;

    /// A system that was never asked anything.
    fn new(source: &config::Source, settings: &Self::Settings) -> Self;

    /// Takes over what `old` has learnt from answers: a reload changed the source, but not its address
    /// nor as whom it is asked.
    fn inherit(&mut self, old: &Self) {
        let _ = old;
    }

    /// What it reports as configured.
    fn configured(&self) -> MeasureSet;

    /// Asks it.
    ///
    /// # Errors
    /// The first required request that failed: a collection is all or nothing.
    fn collect(
        &self,
        authorized: &Authorized<'_, Self::Login>,
    ) -> impl Future<Output = Result<Observation, Failure>> + Send;
}

/// The kinds of systems that may be configured.
#[derive(Clone, Default)]
pub struct Catalogue {
    profiles: Vec<&'static Profile>,
    starts: Vec<Start>,
    shown: Vec<&'static Shown>,
}

impl Catalogue {
    /// The same catalogue and one kind of system more.
    #[must_use]
    pub fn with<S: System>(mut self) -> Self {
        self.profiles.push(S::PROFILE);
        self.starts.push(logged_in::start::<S>);
        self.shown.push(S::SHOWN);
        self
    }

    /// What each kind of system is, in order.
    pub fn profiles(&self) -> &[&'static Profile] {
        &self.profiles
    }

    /// What a recording of a system of this kind may show.
    pub fn shown(&self, profile: &Profile) -> &'static Shown {
        let position = self.profiles.iter().position(|known| *known == profile);
        position.map_or(&Shown::NOTHING, |position| self.shown[position])
    }

    /// The system of `source`, which was never asked anything; `None`: its kind is in another
    /// catalogue.
    pub fn start(&self, source: &config::Source) -> Option<Arc<dyn Running>> {
        let position = self.profiles.iter().position(|known| *known == source.profile)?;
        self.starts[position](source)
    }

    /// The system of `source` after a reload that found another configuration, and its system,
    /// under the same name. Where the login did not change, the session goes on.
    pub fn succeed(
        &self,
        source: &config::Source,
        old: (&config::Source, &dyn Running),
    ) -> Option<Arc<dyn Running>> {
        let (before, running) = old;
        let successor = running.succeeded_by(source, source.is_reached_like(before));
        successor.or_else(|| self.start(source))
    }
}

/// An answer that is not the one asked for: what it means, and the system's own code where the code
/// decides what it means.
pub struct Refusal<C> {
    /// The system's code, where it decides.
    pub code: Option<C>,
    /// What it means.
    pub fault: Fault,
}

impl<C> Refusal<C> {
    /// What the answer means if its HTTP status says `status`: of the two, the reason that comes
    /// first in the documentation's table.
    #[must_use]
    pub fn with_status(self, status: Fault) -> Self {
        if Answer::overrules(&status, &self.fault) { status.into() } else { self }
    }

    /// What the answer means if its code is not documented and its HTTP status says `status`. A login that is
    /// refused is so for whatever reason: an account that may be locked out is not tried on and on. On
    /// other calls the code may be about the token, and the status tells the reason.
    #[must_use]
    pub fn undocumented(self, status: Fault) -> Self {
        match (status.reason, self.fault.reason) {
            (Reason::Http4xx, Reason::Auth) => self,
            (Reason::Http4xx, _) => status.then(self.fault.consequence).into(),
            // Trouble of the system's, or what has its consequence already.
            _ => status.into(),
        }
    }
}

impl<C> From<Fault> for Refusal<C> {
    fn from(fault: Fault) -> Self {
        Self { code: None, fault }
    }
}

impl<C> From<Refusal<C>> for Fault {
    fn from(refusal: Refusal<C>) -> Self {
        refusal.fault
    }
}
