//! Prometheus exporter for conferencing systems.

pub mod api;
pub mod collect;
pub mod config;
pub mod metrics;
pub mod model;
pub mod session;
pub mod vendor;
