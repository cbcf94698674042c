//! Prometheus exporter for conferencing systems.
