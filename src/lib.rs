//! Prometheus exporter for conferencing systems.

pub mod config;
pub mod model;
