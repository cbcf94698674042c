//! Prometheus exporter for conferencing systems.
//!
//! A scrape comes in at the top and falls through the house once, floor by floor; the answer is
//! built on the way back. No floor knows the one above it.
//!
//! | Module | Does |
//! |---|---|
//! | [`serve`], [`check`], [`healthcheck`], [`schema`] | the commands of [`cli`] |
//! | [`web`] | accepts, routes, authenticates: HTTP in, text out |
//! | [`collect`] | every source at once, each in its budget; one flight a source; young snapshots served again |
//! | [`vendor`] | one system's dialect each: which calls, what their answers mean |
//! | [`session`] | token, renewal, login hold-off |
//! | [`api`] | bounded JSON over HTTP: size, time, no redirects; every failure has one reason |
//! | [`metrics`] | the table of metrics, the text writer, the exporter's own registry |
//! | [`config`] | file to configuration, once; nobody else parses or validates |
//! | `pem` | certificates and keys, for both sides of TLS |
//! | [`model`] | the vendor-neutral vocabulary; knows nobody |
//! | [`remedy`] | what to look at when a source fails |

pub mod api;
pub mod check;
pub mod cli;
pub mod collect;
pub mod config;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod healthcheck;
pub mod limits;
pub mod logging;
pub mod metrics;
pub mod model;
mod pem;
pub mod remedy;
pub mod schema;
pub mod serve;
pub mod session;
pub mod vendor;
pub mod web;
