// SPDX-License-Identifier: Apache-2.0
//! Bounded exchanges, JSON over HTTP or lines of text over TCP: size, time, no redirects; every
//! failure has one [`Reason`](crate::model::Reason).
//!
//! Nothing in this module ever prints a URL, a header value or a body: all three may carry tokens.

mod answer;
mod body;
mod broken;
mod call;
pub mod client;
mod connect;
mod connections;
mod error;
mod exchange;
mod host;
mod http1;
pub(crate) mod json;
pub mod lenient;
pub mod lines;
mod observe;
mod proxy;
mod request;
mod resolver;
mod throttle;
pub(crate) mod tls;
mod trace;
mod trust;
mod wiped;
pub mod xml;

pub use answer::Answer;
pub(crate) use broken::causes;
pub use call::Call;
pub use error::{ApiError, Consequence, Failure, Fault};
pub use exchange::{Api, Deadline};
pub use observe::{Observer, StandIn, StandInAnswer};
pub use throttle::retry_after;
pub use trace::{Trace, Traced};
pub use wiped::Wiped;
