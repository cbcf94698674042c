// SPDX-License-Identifier: Apache-2.0
//! What the configuration, and the code that uses it, must know of a kind of system. The modules of
//! the systems stand above this one; they pass their profiles in as a list.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use url::Url;

use super::{
    Kept,
    keys::{API_PATH, BASE_URL, Key, Login, MIN_INTERVAL},
    section::Section,
};
use crate::model::{CallName, Reason};

/// What a kind of system is, before one is asked.
#[derive(Debug)]
pub struct Profile {
    /// The value of the `vendor` label and of the configuration's `vendor` key.
    pub name: &'static str,
    /// The name people use for the system.
    pub title: &'static str,
    /// Address of the cloud, the default of `base_url`; `None`: the user runs the system,
    /// and must give its address.
    pub base_url: Option<&'static str>,
    /// How it is spoken to.
    pub transport: Transport,
    /// The TCP port it usually answers on, for advice.
    pub usual_port: u16,
    /// Default of `api_path`; nothing where there are no paths.
    pub api_path: &'static str,
    /// Default of `min_interval`.
    pub min_interval: &'static str,
    /// Exactly one of these.
    pub logins: &'static [Login],
    /// The system's other keys.
    pub keys: &'static [&'static Key],
    /// Makes settings of the keys; `None` if a problem was reported.
    pub read: fn(&Reading<'_, '_>) -> Option<OwnSettings>,
    /// Every call that is ever made: the values of the label `call`. None of them changes
    /// anything but the exporter's own session.
    pub calls: &'static [CallName],
    /// The `User-Agent` the system demands; `None`: any will do.
    pub user_agent: Option<&'static str>,
    /// What to check when this system fails, where that differs from the advice for all systems. The
    /// first entry that matches is used.
    pub advice: &'static [Advice],
}

/// How a system is spoken to: which addresses its configuration takes, and how long its
/// connections last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Requests over HTTP.
    Http {
        /// As below.
        tls_port: Option<u16>,
    },
    /// Lines of text over TCP. There is no path and no proxy, a login belongs to its connection, and
    /// a connection lasts one collection.
    Lines {
        /// The port that such systems usually offer TLS on; `None`: they do not offer it themselves.
        tls_port: Option<u16>,
    },
}

impl Transport {
    /// The schemes of `base_url`: in clear text, and over TLS.
    pub const fn schemes(self) -> [&'static str; 2] {
        match self {
            Self::Http { .. } => ["http", "https"],
            Self::Lines { .. } => ["tcp", "tls"],
        }
    }
}

/// What a person should look at when a call failed.
#[derive(Debug)]
pub struct Advice {
    reason: Reason,
    call: Option<CallName>,
    text: &'static str,
}

impl Advice {
    /// Whatever call failed for `reason`. The text is one line without a full stop.
    pub const fn new(reason: Reason, text: &'static str) -> Self {
        Self { reason, call: None, text }
    }

    /// The same, but only where `call` failed.
    #[must_use]
    pub const fn at(mut self, call: CallName) -> Self {
        self.call = Some(call);
        self
    }
}

/// What a system's settings are read from.
pub struct Reading<'a, 't> {
    /// The keys of the source.
    pub section: &'a Section<'t>,
    /// Position of the login in [`Profile::logins`]; `None`: none is complete, and that has been
    /// reported.
    pub login: Option<usize>,
    /// Address of the system, if it could be read.
    pub base_url: Option<&'a Url>,
    /// A younger snapshot is served instead of asking again.
    pub min_interval: Duration,
}

/// What only one kind of system needs. Equality tells whether a reload changed it.
pub trait Settings: Any + fmt::Debug + Send + Sync {
    /// Whether `other` is of the same type and says the same.
    fn equals(&self, other: &dyn Settings) -> bool;
}

impl<T: Any + fmt::Debug + PartialEq + Send + Sync> Settings for T {
    fn equals(&self, other: &dyn Settings) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<T>().is_some_and(|other| self == other)
    }
}

/// The [`Settings`] of one source, of whichever type they are.
#[derive(Clone, Debug)]
pub struct OwnSettings {
    account: String,
    settings: Arc<dyn Settings>,
    kept: Kept,
}

impl OwnSettings {
    /// Settings with which the exporter logs in as `account`.
    pub fn new(account: impl Into<String>, settings: impl Settings) -> Self {
        Self { account: account.into(), settings: Arc::new(settings), kept: Kept::default() }
    }

    /// The same, with what a recording keeps of the keys.
    pub(super) fn keeping(self, kept: Kept) -> Self {
        Self { kept, ..self }
    }

    /// What a recording keeps of the keys.
    pub const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// As whom the exporter logs in: what tells one account of a system from another.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The settings, if they are of the type `T`.
    pub fn of<T: Settings>(&self) -> Option<&T> {
        let settings: &dyn Any = &*self.settings;
        settings.downcast_ref()
    }
}

impl PartialEq for OwnSettings {
    fn eq(&self, other: &Self) -> bool {
        self.settings.equals(&*other.settings)
    }
}

impl Profile {
    /// Whether the vendor runs the system, somewhere on the internet.
    pub const fn is_cloud(&self) -> bool {
        self.base_url.is_some()
    }

    /// The port of TLS, where it is known.
    pub const fn tls_port(&self) -> Option<u16> {
        match self.transport {
            Transport::Http { tls_port } | Transport::Lines { tls_port } => tls_port,
        }
    }

    /// The system's own keys: those of the logins first, then the others.
    pub fn own(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.logins.iter().flat_map(Login::keys).chain(self.keys.iter().copied())
    }

    /// What a person should look at where the system failed for `reason`, and at which call.
    pub fn advice_for(&self, reason: Reason, call: Option<CallName>) -> Option<&'static str> {
        let fits = |advice: &&Advice| {
            advice.reason == reason && (advice.call.is_none() || advice.call == call)
        };
        self.advice.iter().find(fits).map(|advice| advice.text)
    }

    /// Default of a common key, which may depend on the system.
    pub fn default_of(&self, key: &Key) -> Option<&'static str> {
        if key.name == BASE_URL.name {
            self.base_url
        } else if key.name == API_PATH.name {
            matches!(self.transport, Transport::Http { .. }).then_some(self.api_path)
        } else if key.name == MIN_INTERVAL.name {
            Some(self.min_interval)
        } else {
            key.default
        }
    }
}

impl PartialEq for Profile {
    /// Names are unique.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
