// SPDX-License-Identifier: Apache-2.0
//! The exporter's own metrics: counters of each source, and one registry for the rest.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, register_gauge_with_registry, register_histogram_vec_with_registry,
    register_int_counter_vec_with_registry, register_int_gauge_vec_with_registry,
    register_int_gauge_with_registry,
};

use super::{
    API_REQUEST_DURATION, BUILD_INFO, Family, HTTP_REQUESTS, RELOAD_SUCCESS_TIMESTAMP,
    RELOAD_SUCCESSFUL, WEB_CONFIG_RELOAD_SUCCESSFUL,
};
use crate::model::{CallName, Reason};

/// Buckets of request durations, in seconds: from a PBX on the LAN to the longest usual timeout.
const DURATION_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The registry of everything that belongs to no source.
pub struct Own {
    registry: Registry,
    durations: HistogramVec,
    http_requests: IntCounterVec,
    reload_successful: IntGauge,
    reload_timestamp: Gauge,
    web_config_successful: IntGaugeVec,
}

impl Own {
    /// A registry that holds the table's families and nothing else.
    ///
    /// # Errors
    /// Only if the table itself is broken: two families of one name.
    pub fn new() -> prometheus::Result<Arc<Self>> {
        let registry = Registry::new();
        let build_info =
            register_int_gauge_vec_with_registry!(opts(BUILD_INFO), BUILD_INFO.labels, registry)?;
        build_info
            .with_label_values(&[
                env!("CARGO_PKG_VERSION"),
                env!("BUILD_REVISION"),
                env!("BUILD_RUSTVERSION"),
            ])
            .set(1);
        let durations =
            HistogramOpts::from(opts(API_REQUEST_DURATION)).buckets(DURATION_BUCKETS.to_vec());
        let durations = register_histogram_vec_with_registry!(
            durations,
            API_REQUEST_DURATION.labels,
            registry
        )?;
        let http_requests = register_int_counter_vec_with_registry!(
            opts(HTTP_REQUESTS),
            HTTP_REQUESTS.labels,
            registry
        )?;
        let reload_successful =
            register_int_gauge_with_registry!(opts(RELOAD_SUCCESSFUL), registry)?;
        let reload_timestamp =
            register_gauge_with_registry!(opts(RELOAD_SUCCESS_TIMESTAMP), registry)?;
        // Without labels, but absent until it is set.
        let web_config_successful = register_int_gauge_vec_with_registry!(
            opts(WEB_CONFIG_RELOAD_SUCCESSFUL),
            WEB_CONFIG_RELOAD_SUCCESSFUL.labels,
            registry
        )?;
        Ok(Arc::new(Self {
            registry,
            durations,
            http_requests,
            reload_successful,
            reload_timestamp,
            web_config_successful,
        }))
    }

    /// Counts an answered request.
    pub fn http_request(&self, handler: &str, code: u16) {
        self.http_requests.with_label_values(&[handler, &code.to_string()]).inc();
    }

    /// Records how a load of the configuration ended.
    pub fn config_loaded(&self, successful: bool) {
        self.reload_successful.set(i64::from(successful));
        if successful {
            self.reload_timestamp.set(unix_seconds(SystemTime::now()));
        }
    }

    /// Notes how a load of the web configuration ended. Never called without one.
    pub fn web_config_loaded(&self, successful: bool) {
        let none: &[&str] = &[];
        self.web_config_successful.with_label_values(none).set(i64::from(successful));
    }

    /// The registry.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }
}

fn opts(family: Family) -> Opts {
    Opts::new(family.name, family.help)
}

/// Seconds since the epoch, with fractions.
pub fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

/// A number that only increases.
///
/// A counter of the `prometheus` crate brings its own name, help and labels, some 250 bytes: with
/// the two dozen counters of each of thousands of sources, more than all else known of these.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// A counter at 0.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one more.
    pub fn inc(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were counted.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is counted of one call of one source.
pub struct CallMeters {
    name: CallName,
    requests: Counter,
    /// Shared by the sources of a vendor.
    durations: Histogram,
}

impl CallMeters {
    /// Counts a request that is about to be sent.
    pub fn request_sent(&self) {
        self.requests.inc();
    }

    /// Notes how long a request took, whatever came of it.
    pub fn request_took(&self, duration: Duration) {
        self.durations.observe(duration.as_secs_f64());
    }
}

/// The counters of one source. They are kept as long as a source is configured under its name,
/// over reloads that change it too.
pub struct SourceMeters {
    calls: Vec<CallMeters>,
    errors: [Counter; Reason::ALL.len()],
    /// Logins tried.
    pub logins: Counter,
    /// Logins that failed.
    pub login_failures: Counter,
    /// Collections asked for.
    pub snapshot_requests: Counter,
    /// Collections answered without asking the source again.
    pub snapshot_hits: Counter,
}

impl SourceMeters {
    /// Counters for a source of `vendor`, which makes these `calls`; all at 0.
    ///
    /// # Errors
    /// Only if the table itself is broken: other labels than the two of the durations.
    pub fn new(own: &Own, vendor: &str, calls: &[CallName]) -> prometheus::Result<Arc<Self>> {
        let calls = calls
            .iter()
            .map(|&name| {
                let durations =
                    own.durations.get_metric_with_label_values(&[vendor, name.as_str()])?;
                Ok(CallMeters { name, requests: Counter::default(), durations })
            })
            .collect::<prometheus::Result<_>>()?;
        Ok(Arc::new(Self {
            calls,
            errors: Default::default(),
            logins: Counter::default(),
            login_failures: Counter::default(),
            snapshot_requests: Counter::default(),
            snapshot_hits: Counter::default(),
        }))
    }

    /// The counters of `call`; `None`: it is none of this source's calls.
    pub fn call(&self, call: CallName) -> Option<&CallMeters> {
        self.calls.iter().find(|known| known.name == call)
    }

    /// Counts a failed request.
    pub fn request_failed(&self, reason: Reason) {
        self.errors[reason as usize].inc();
    }

    /// Requests sent, by call.
    pub fn requests(&self) -> impl Iterator<Item = (CallName, u64)> {
        self.calls.iter().map(|call| (call.name, call.requests.get()))
    }

    /// Failed requests, by reason.
    pub fn errors(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().map(|reason| (reason, self.errors[reason as usize].get()))
    }
}
