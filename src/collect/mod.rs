// SPDX-License-Identifier: Apache-2.0
//! Collects all sources concurrently, each with its own deadline.
//!
//! - **One collection of a source at a time.** Scrapes that arrive while a collection is under way
//!   wait for the same one; a snapshot younger than `min_interval` is served without one.
//! - **Cancellation is dropping the future.** A scrape that ends drops its future. The collection
//!   it waited for is dropped with the last scrape that waits, and with it the sockets, the permits
//!   of requests in flight, and everything the system's module was about to do. So a module needs no
//!   code for cancellation, but must not rely on code after an `await` being run. What has to be
//!   completed in any case, a login above all, is a task of [`crate::session`].
//! - **All or nothing.** A collection yields a whole observation or a failure. A part of one would
//!   be a number that looks valid and is wrong.

mod budget;
mod engine;
mod rows;
mod source;
mod thread;

pub use budget::Budget;
pub use engine::{Adapter, Engine, EngineError, Selected, Selection};
pub use rows::{Row, Rows};
pub use source::{LastFailure, Report, Snapshot, Source, SourceStatus};
pub use thread::CollectorThread;
