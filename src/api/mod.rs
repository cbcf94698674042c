//! Bounded JSON over HTTP: size, time, no redirects; every failure has one [`Reason`].
//!
//! Nothing in here ever prints a URL, a header value or a body: tokens travel in all three.

pub mod client;
mod error;
mod exchange;
pub(crate) mod json;
pub mod lenient;
mod nesting;
mod quick;
mod resolver;
mod throttle;
pub(crate) mod tls;
mod trust;
mod wiped;

pub use error::{ApiError, Consequence, Failure, Fault, Reason};
pub use exchange::{Answer, Api, Call, Deadline};
pub use throttle::retry_after;

/// One call of a vendor's API, by the fixed name that labels its metrics. Never a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(pub &'static str);

impl Endpoint {
    /// The value of the `call` label.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}
