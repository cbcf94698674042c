// SPDX-License-Identifier: Apache-2.0
//! Prometheus exporter for conferencing systems.
//!
//! A scrape enters at the top of this table, passes down through the modules, and the answer is
//! built on the way back. Each module uses only those that stand below it. ARCHITECTURE.md has the
//! whole table.
//!
//! | Module | Does |
//! |---|---|
//! | [`commands`] | `serve`, `check`, `schema`, `healthcheck`, `completions`, `man` |
//! | [`web`] | the HTTP server: connections, authentication, handlers, the text of a scrape |
//! | [`collect`] | sources at run time: one collection of a source at a time, snapshots, deadlines, reload |
//! | [`systems`] | one folder for each system: which calls, what their answers mean, what to do about a failure |
//! | [`session`] | token, renewal, login hold-off |
//! | [`recording`] | what a system answered, made anonymous, and its replay |
//! | [`net`] | bounded JSON over HTTP: size, time, no redirects; every failure has one reason |
//! | [`metrics`] | the table of metrics, the text writer, the exporter's own registry |
//! | [`config`] | from the file to the configuration, once; no other module parses or validates it |
//! | `pem` | certificates and keys, for both sides of TLS |
//! | `files` | reading the files that a configuration names: bounded, without waiting for a pipe or a device |
//! | [`model`] | the vendor-neutral vocabulary; imports no other module |

pub mod cli;
pub mod collect;
pub mod commands;
pub mod config;
mod files;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod limits;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod net;
mod pem;
pub mod recording;
pub mod session;
pub mod systems;
pub mod web;
