//! Prometheus exporter for conferencing systems.
//!
//! A scrape comes in at the top and goes down through these modules; the answer is built on the way
//! back. Each of them uses only those that stand below it.
//!
//! | Module | Does |
//! |---|---|
//! | [`commands`] | `serve`, `check`, `schema`, `healthcheck` |
//! | [`web`] | accepts, routes, authenticates: HTTP in, text out |
//! | [`collect`] | every source at once, each in its budget; one collection a source at a time; young snapshots served again |
//! | [`systems`] | a folder a system: which calls, what their answers mean, what to do about a failure |
//! | [`session`] | token, renewal, login hold-off |
//! | [`net`] | bounded JSON over HTTP: size, time, no redirects; every failure has one reason |
//! | [`metrics`] | the table of metrics, the text writer, the exporter's own registry |
//! | [`config`] | file to configuration, once; nobody else parses or validates |
//! | `pem` | certificates and keys, for both sides of TLS |
//! | [`model`] | the vendor-neutral vocabulary; knows nobody |

pub mod cli;
pub mod collect;
pub mod commands;
pub mod config;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod limits;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod net;
mod pem;
pub mod session;
pub mod systems;
pub mod web;
