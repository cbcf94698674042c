// SPDX-License-Identifier: Apache-2.0
//! The table of metrics: name, type, labels and help of everything the exporter emits.
//!
//! The metrics of the measures come from [`model::MEASURED`], all others from the table here. The text writer, the README,
//! the reserved labels of the configuration and the checks of dashboards and rules follow it.

pub mod own;
pub mod process;
pub mod text;

use crate::model::{self, Measure};

/// The type of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only ever goes up.
    Counter,
    /// Buckets, sum and count.
    Histogram,
}

impl Kind {
    /// The word of the `# TYPE` line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Labels besides `source`, `vendor` and the configured ones (which every family of a source
    /// carries), or all labels of a family of the exporter's own.
    pub labels: &'static [&'static str],
    /// Whether every series carries `source`, `vendor` and the configured labels.
    pub per_source: bool,
    /// Help.
    pub help: &'static str,
    /// Its index in [`FAMILIES`].
    place: usize,
}

impl Family {
    /// The unit of its values, where they have one: a base unit, which ends the name.
    pub fn unit(&self) -> Option<&'static str> {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        let (_, last) = name.rsplit_once('_')?;
        ["bytes", "seconds"].contains(&last).then_some(last)
    }
}

macro_rules! families {
    ($($id:ident: $kind:ident $name:literal [$($label:literal),*] $scope:ident $help:literal;)*) => {
        /// Counts the families.
        #[allow(clippy::upper_case_acronyms, reason = "the names of the constants")]
        #[allow(non_camel_case_types, reason = "the names of the constants")]
        enum Place { $($id,)* }

        $(
            #[doc = $help]
            pub const $id: Family = Family {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                per_source: families!(@$scope),
                help: $help,
                place: model::MEASURED.len() + Place::$id as usize,
            };
        )*

        /// The families besides those of the measures.
        const OTHERS: &[Family] = &[$($id,)*];
    };
    (@source) => { true };
    (@exporter) => { false };
}

/// Every family the exporter can emit, in the order of the documentation: those of the measures first.
pub static FAMILIES: [Family; model::MEASURED.len() + OTHERS.len()] = {
    let mut families = [OTHERS[0]; model::MEASURED.len() + OTHERS.len()];
    let mut place = 0;
    while place < families.len() {
        families[place] = if place < model::MEASURED.len() {
            let measured = model::MEASURED[place];
            Family {
                name: measured.name,
                kind: Kind::Gauge,
                labels: measured.labels,
                per_source: true,
                help: measured.help,
                place,
            }
        } else {
            OTHERS[place - model::MEASURED.len()]
        };
        place += 1;
    }
    families
};

/// The families of the measures, each with the measures that are its series.
pub fn measured() -> impl Iterator<Item = (&'static Family, &'static [Measure])> {
    FAMILIES.iter().zip(model::MEASURED.iter().map(|measured| measured.series))
}

/// Labels that Prometheus sets on everything it scrapes.
pub const LABELS_OF_TARGETS: [&str; 2] = ["instance", "job"];

/// Every label a series of the exporter may carry, each once, besides those configured for a source.
pub fn label_names() -> Vec<&'static str> {
    // The last two belong to the types histogram and summary.
    let mut names = vec!["source", "vendor"];
    for label in FAMILIES.iter().flat_map(|family| family.labels).chain(&["le", "quantile"]) {
        if !names.contains(label) {
            names.push(label);
        }
    }
    names
}

families! {
    CAPACITY_CONFERENCES: Gauge "conferencing_capacity_conferences" [] source
        "Conferences the source is licensed or sized for, as configured; also while it is down.";
    CAPACITY_PARTICIPANTS: Gauge "conferencing_capacity_participants" [] source
        "Participants the source is licensed or sized for, as configured; also while it is down.";

    CONFERENCE_PARTICIPANTS: Gauge "conferencing_conference_participants" ["conference"] source
        "Joined participants of one active conference.";
    CONFERENCE_PARTICIPANTS_MUTED: Gauge "conferencing_conference_participants_muted" ["conference"] source
        "Joined participants of one active conference whose microphone is off.";
    CONFERENCE_START_TIMESTAMP: Gauge "conferencing_conference_start_timestamp_seconds" ["conference"] source
        "When the conference started, in seconds since the epoch.";
    CONFERENCE_SERIES_DROPPED: Gauge "conferencing_conference_series_dropped" [] source
        "Active conferences without series of their own, because there are more than the configured limit; 0 if all have some.";

    UP: Gauge "conferencing_up" [] source
        "1 if every required call of this collection worked, else 0.";
    SCRAPE_DURATION: Gauge "conferencing_scrape_duration_seconds" [] source
        "How long the collection took, in seconds.";
    SCRAPE_TIMEOUT: Gauge "conferencing_scrape_timeout_seconds" [] source
        "How long the collection was allowed to take, in seconds.";
    DATA_TIMESTAMP: Gauge "conferencing_data_timestamp_seconds" [] source
        "When the values were fetched, in seconds since the epoch.";
    SOURCE_MIN_INTERVAL: Gauge "conferencing_source_min_interval_seconds" [] source
        "How old the values may be before the source is asked again, as configured, in seconds.";
    CERTIFICATE_EXPIRY: Gauge "conferencing_tls_certificate_expiry_timestamp_seconds" [] source
        "When the certificate that the system showed last expires, in seconds since the epoch; absent without TLS.";
    SOURCE_FAILURE: Gauge "conferencing_source_failure" ["reason"] source
        "1, with the reason why the source is down; absent while it is up.";
    SOURCE_CAPABILITY: Gauge "conferencing_source_capability" ["capability"] source
        "1 if this source, as configured and as found, reports it, else 0.";

    API_REQUESTS: Counter "conferencing_api_requests_total" ["call"] source
        "Requests sent to the source, by call.";
    API_ERRORS: Counter "conferencing_api_errors_total" ["reason"] source
        "Requests to the source that failed, by reason.";
    LOGINS: Counter "conferencing_logins_total" [] source
        "Logins tried.";
    LOGIN_FAILURES: Counter "conferencing_login_failures_total" [] source
        "Logins that failed.";
    LOGIN_BLOCKED: Gauge "conferencing_login_blocked" [] source
        "1 while logins are held back so that the account is not locked out, else 0.";
    TOKEN_EXPIRY: Gauge "conferencing_token_expiry_timestamp_seconds" [] source
        "When the token held for the source expires, in seconds since the epoch; absent without one.";
    SNAPSHOT_REQUESTS: Counter "conferencing_snapshot_requests_total" [] source
        "Collections asked for.";
    SNAPSHOT_HITS: Counter "conferencing_snapshot_hits_total" [] source
        "Collections answered by a young snapshot or by a collection already under way.";
    API_REQUEST_DURATION: Histogram "conferencing_api_request_duration_seconds" ["vendor", "call"] exporter
        "How long requests took until the whole answer was read or given up, in seconds.";

    BUILD_INFO: Gauge "conferencing_exporter_build_info" ["version", "revision", "rustversion"] exporter
        "Always 1; the labels say what was built.";
    RELOAD_SUCCESSFUL: Gauge "conferencing_exporter_config_last_reload_successful" [] exporter
        "1 if the last load of the configuration succeeded, else 0.";
    RELOAD_SUCCESS_TIMESTAMP: Gauge "conferencing_exporter_config_last_reload_success_timestamp_seconds" [] exporter
        "When the configuration was last loaded successfully, in seconds since the epoch.";
    WEB_CONFIG_RELOAD_SUCCESSFUL: Gauge "conferencing_exporter_web_config_last_reload_successful" [] exporter
        "1 if the web configuration and its certificates could be used when last read, else 0; absent without one.";
    HTTP_REQUESTS: Counter "conferencing_exporter_http_requests_total" ["handler", "code"] exporter
        "Requests answered by the exporter, by handler and HTTP status.";
    LOG_LINES_DROPPED: Counter "conferencing_exporter_log_lines_dropped_total" [] exporter
        "Log lines that were not written because nobody read standard error.";

    PROCESS_CPU_SECONDS: Counter "process_cpu_seconds_total" [] exporter
        "Total user and system CPU time spent in seconds.";
    PROCESS_OPEN_FDS: Gauge "process_open_fds" [] exporter
        "Number of open file descriptors.";
    PROCESS_MAX_FDS: Gauge "process_max_fds" [] exporter
        "Maximum number of open file descriptors.";
    PROCESS_VIRTUAL_MEMORY: Gauge "process_virtual_memory_bytes" [] exporter
        "Virtual memory size in bytes.";
    PROCESS_RESIDENT_MEMORY: Gauge "process_resident_memory_bytes" [] exporter
        "Resident memory size in bytes.";
    PROCESS_START_TIME: Gauge "process_start_time_seconds" [] exporter
        "Start time of the process since unix epoch in seconds.";
    PROCESS_THREADS: Gauge "process_threads" [] exporter
        "Number of OS threads in the process.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_index_of_a_family_is_its_position_in_the_table() {
        for (place, family) in FAMILIES.iter().enumerate() {
            assert_eq!(family.place, place, "{}", family.name);
        }
    }

    #[test]
    fn names_follow_the_conventions() {
        let mut names = HashSet::new();
        for family in &FAMILIES {
            assert!(names.insert(family.name), "{} twice", family.name);
            assert_eq!(
                family.kind == Kind::Counter,
                family.name.ends_with("_total"),
                "{}",
                family.name
            );
            assert!(family.help.ends_with('.'), "{}", family.name);
            // The formats escape them differently.
            assert!(!family.help.contains(['"', '\\', '\n']), "{}", family.name);
        }
    }

    #[test]
    fn each_label_is_named_once() {
        let names = label_names();
        assert_eq!(names.len(), names.iter().collect::<HashSet<_>>().len(), "{names:?}");
        for name in
            ["source", "vendor", "state", "participants", "conference", "call", "reason", "le"]
        {
            assert!(names.contains(&name), "{name}");
        }
    }
}
