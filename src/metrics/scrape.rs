//! Reports of a scrape, and the exporter's own metrics, as text.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    API_ERRORS, API_REQUESTS, CONFERENCE_PARTICIPANTS, CONFERENCE_PARTICIPANTS_MUTED,
    CONFERENCE_SERIES_DROPPED, CONFERENCE_START_TIMESTAMP, DATA_TIMESTAMP, Family, LOGIN_BLOCKED,
    LOGIN_FAILURES, LOGINS, MEASURED, SCRAPE_DURATION, SCRAPE_TIMEOUT, SNAPSHOT_HITS,
    SNAPSHOT_REQUESTS, SOURCE_CAPABILITY, TOKEN_EXPIRY, UP,
    own::{Own, unix_seconds},
    process,
    text::{Value, Writer},
};
use crate::{
    collect::{Report, Row, Source},
    model::Capability,
};

/// A family of per-conference series, and its value of one row.
type RowFamily = (Family, fn(&Row) -> Option<Value>);

/// A family of counters, and its value of one source.
type SourceCounter = (Family, fn(&Source) -> u64);

/// The per-conference families.
const ROW_FAMILIES: [RowFamily; 3] = [
    (CONFERENCE_PARTICIPANTS, |row| row.participants.map(Value::Whole)),
    (CONFERENCE_PARTICIPANTS_MUTED, |row| row.muted.map(Value::Whole)),
    (CONFERENCE_START_TIMESTAMP, |row| row.started_at.map(|at| Value::Float(at as f64))),
];

/// Writes what `reports` found: values of sources that worked, collection metrics of all.
pub fn write_reports(writer: &mut Writer, reports: &[Report]) {
    for (family, series) in MEASURED {
        for report in reports {
            let Ok(snapshot) = &report.outcome else { continue };
            for (measure, state) in *series {
                if let Some(value) = snapshot.observation.value(*measure) {
                    let state = state.map(|state| ("state", state));
                    writer.sample(*family, &report.source.labels, state, value);
                }
            }
        }
    }
    let rows = || {
        reports.iter().filter_map(|report| {
            let rows = report.outcome.as_ref().ok()?.rows.as_ref()?;
            Some((&report.source.labels, rows))
        })
    };
    for (family, value) in ROW_FAMILIES {
        for (labels, rows) in rows() {
            for row in &rows.shown {
                if let Some(value) = value(row) {
                    writer.sample(family, labels, Some(("conference", &row.label)), value);
                }
            }
        }
    }
    for (labels, rows) in rows() {
        writer.sample(CONFERENCE_SERIES_DROPPED, labels, None, rows.dropped);
    }
    for report in reports {
        writer.sample(UP, &report.source.labels, None, report.outcome.is_ok());
    }
    for report in reports {
        writer.sample(SCRAPE_DURATION, &report.source.labels, None, report.duration.as_secs_f64());
    }
    for report in reports {
        writer.sample(SCRAPE_TIMEOUT, &report.source.labels, None, report.budget.as_secs_f64());
    }
    for report in reports {
        if let Ok(snapshot) = &report.outcome {
            let fetched = unix_seconds(snapshot.fetched_at);
            writer.sample(DATA_TIMESTAMP, &report.source.labels, None, fetched);
        }
    }
    for report in reports {
        let reported = report.reported();
        for &capability in Capability::ALL {
            let label = Some(("capability", capability.as_str()));
            let supported = reported.supports(capability);
            writer.sample(SOURCE_CAPABILITY, &report.source.labels, label, supported);
        }
    }
}

/// Writes the exporter's own metrics, those of `sources` among them. Asks no source.
pub fn write_own(writer: &mut Writer, own: &Own, sources: &[Arc<Source>]) {
    for source in sources {
        for (endpoint, count) in source.meters.requests() {
            let label = Some(("endpoint", endpoint.as_str()));
            writer.sample(API_REQUESTS, &source.labels, label, count);
        }
    }
    for source in sources {
        for (reason, count) in source.meters.errors() {
            let label = Some(("reason", reason.as_str()));
            writer.sample(API_ERRORS, &source.labels, label, count);
        }
    }
    let counters: [SourceCounter; 4] = [
        (LOGINS, |source| source.meters.logins.get()),
        (LOGIN_FAILURES, |source| source.meters.login_failures.get()),
        (SNAPSHOT_REQUESTS, |source| source.meters.snapshot_requests.get()),
        (SNAPSHOT_HITS, |source| source.meters.snapshot_hits.get()),
    ];
    for (family, count) in counters {
        for source in sources {
            writer.sample(family, &source.labels, None, count(source));
        }
    }
    let now = Instant::now();
    let logins: Vec<_> = sources.iter().map(|source| source.system.login_state()).collect();
    for (source, login) in sources.iter().zip(&logins) {
        let blocked = login.blocked_until.is_some_and(|until| until > now);
        writer.sample(LOGIN_BLOCKED, &source.labels, None, blocked);
    }
    for (source, login) in sources.iter().zip(&logins) {
        if let Some(expiry) = login.token_expiry {
            writer.sample(TOKEN_EXPIRY, &source.labels, None, unix_seconds(expiry));
        }
    }
    writer.gathered(&own.registry().gather());
    process::write(writer);
}
