// SPDX-License-Identifier: Apache-2.0
//! What can go wrong with one request, and with one collection.

use std::{fmt, sync::Arc, time::Duration};

use crate::model::{CallName, Reason};

/// What a system's module makes of an answer that is not the one asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Why.
    pub reason: Reason,
    /// The vendor's code, never its message: messages carry addresses and names.
    pub code: Option<String>,
    /// What it means for the requests that would follow.
    pub consequence: Consequence,
    /// What a person should look at, where the code says more than the reason.
    pub advice: Option<&'static str>,
    /// Whether it comes from the proxy before the system.
    pub at_proxy: bool,
}

/// What a failed request means for the ones that would follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing.
    None,
    /// The token is no longer good: renew it once and try once more.
    RenewToken,
    /// The system refused with an answer that is not documented, or that only sometimes means a
    /// refused token (a PBX that was restarted answers unknown tokens with several
    /// numbers): if the token worked before, one new login is worth trying.
    DoubtToken,
    /// The credentials were refused: hold the next login back.
    LoginRejected,
    /// The vendor has locked us out: send nothing for that long.
    LockedOut(Duration),
    /// No login for that long: it would fail again (because no token slot is free, for example).
    HoldLogin(Duration),
    /// The vendor asks for a pause: send nothing for that long.
    HoldRequests(Duration),
}

/// Stands for a code that has not the form of the vendor's.
const UNKNOWN_CODE: &str = "unknown code";

impl Fault {
    /// A fault without consequence.
    pub const fn new(reason: Reason) -> Self {
        Self { reason, code: None, consequence: Consequence::None, advice: None, at_proxy: false }
    }

    /// The same fault with the vendor's code, reduced to what a code may consist of.
    #[must_use]
    pub fn with_code(mut self, code: &str) -> Self {
        let code: String = code
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
            .take(64)
            .collect();
        self.code = (!code.is_empty()).then_some(code);
        self
    }

    /// The same fault with the vendor's code if it `has_form`, the form and length of the vendor's
    /// codes. What stands in its place otherwise may be anything, a token or a name, and is not
    /// shown.
    #[must_use]
    pub fn with_code_if(self, has_form: bool, code: &str) -> Self {
        if has_form || code.is_empty() {
            self.with_code(code)
        } else {
            Self { code: Some(UNKNOWN_CODE.to_owned()), ..self }
        }
    }

    /// The same fault with what a person should look at.
    #[must_use]
    pub const fn advise(mut self, advice: Option<&'static str>) -> Self {
        self.advice = advice;
        self
    }

    /// The same fault with a consequence.
    #[must_use]
    pub const fn then(mut self, consequence: Consequence) -> Self {
        self.consequence = consequence;
        self
    }
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// Which call.
    pub call: CallName,
    /// What happened.
    pub fault: Fault,
    /// More about it in fixed words ("connection refused"), never text from the peer.
    pub detail: Option<&'static str>,
    /// Whether the system may have received the request: false only where no connection came
    /// about. What may have arrived may have been acted upon: a login that was never answered
    /// counts towards the lock-out all the same.
    pub may_have_arrived: bool,
}

/// Why a collection failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A required request failed.
    Request(ApiError),
    /// The budget ended, with or without a request under way.
    Timeout,
    /// Requests are held back after an earlier answer; nothing was sent.
    HeldBack {
        /// Why they are.
        reason: Reason,
        /// For how much longer.
        remaining: Duration,
    },
    /// The last collection failed a moment ago, and the source has a `min_interval`: it is not
    /// asked again before some time has passed.
    BackingOff {
        /// Why the last collection failed.
        failure: Arc<Failure>,
        /// How much longer it is not asked.
        remaining: Duration,
    },
    /// A secret could not be read; nothing was sent.
    Secret(String),
    /// The certificates to connect with, or to verify the system's with, could not be read or used;
    /// nothing was sent.
    Certificate(String),
    /// A file of ids could not be read; nothing was sent.
    File(String),
    /// The collection panicked: a bug, contained.
    Panic,
}

impl Failure {
    /// The kind of the failure, as in the `reason` label.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Request(error) => error.fault.reason,
            Self::BackingOff { failure, .. } => failure.reason(),
            Self::Timeout => Reason::Timeout,
            Self::HeldBack { reason, .. } => *reason,
            Self::Secret(_) => Reason::Auth,
            Self::Certificate(_) => Reason::Tls,
            Self::File(_) | Self::Panic => Reason::Vendor,
        }
    }

    /// Which call failed, where one did.
    pub fn call(&self) -> Option<CallName> {
        match self {
            Self::Request(error) => Some(error.call),
            Self::BackingOff { failure, .. } => failure.call(),
            Self::Timeout
            | Self::HeldBack { .. }
            | Self::Secret(_)
            | Self::Certificate(_)
            | Self::File(_)
            | Self::Panic => None,
        }
    }

    /// The vendor's code, where it gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Request(error) => error.fault.code.as_deref(),
            Self::BackingOff { failure, .. } => failure.code(),
            Self::Timeout
            | Self::HeldBack { .. }
            | Self::Secret(_)
            | Self::Certificate(_)
            | Self::File(_)
            | Self::Panic => None,
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Request(error)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.fault.at_proxy { " at the proxy" } else { "" };
        write!(f, "{} failed{place}: {}", self.call.as_str(), self.fault.reason)?;
        if let Some(detail) = self.detail {
            write!(f, " ({detail})")?;
        }
        match self.fault.code.as_deref() {
            Some(UNKNOWN_CODE) => write!(f, " ({UNKNOWN_CODE})"),
            Some(code) => write!(f, " (code {code})"),
            // A login may itself be named `auth`: "auth failed: auth" would tell nobody anything.
            None if self.fault.reason == Reason::Auth && self.detail.is_none() => {
                f.write_str(" (refused)")
            }
            None => Ok(()),
        }
    }
}

/// Rounded up: "for 0 s" would be no wait.
fn seconds(remaining: Duration) -> u128 {
    remaining.as_millis().div_ceil(1_000)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::Timeout => f.write_str("the time for this collection ended"),
            Self::HeldBack { reason, remaining } => {
                let seconds = seconds(*remaining);
                write!(
                    f,
                    "requests are held back for {seconds} s after an earlier failure ({reason})"
                )
            }
            Self::BackingOff { failure, remaining } => {
                write!(f, "asked again in {} s; last failure: {failure}", seconds(*remaining))
            }
            Self::Secret(problem) | Self::Certificate(problem) | Self::File(problem) => {
                f.write_str(problem)
            }
            Self::Panic => f.write_str("internal error: the collection panicked"),
        }
    }
}
