//! Prometheus exporter for conferencing systems.

pub mod api;
pub mod check;
pub mod cli;
pub mod collect;
pub mod config;
pub mod healthcheck;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod remedy;
pub mod schema;
pub mod serve;
pub mod session;
pub mod vendor;
pub mod web;
