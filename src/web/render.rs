//! Reports of a scrape, and the exporter's own metrics, as text.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    collect::{Report, Row, Source},
    metrics::{
        API_ERRORS, API_REQUESTS, CONFERENCE_PARTICIPANTS, CONFERENCE_PARTICIPANTS_MUTED,
        CONFERENCE_SERIES_DROPPED, CONFERENCE_START_TIMESTAMP, DATA_TIMESTAMP, Family,
        LOGIN_BLOCKED, LOGIN_FAILURES, LOGINS, MEASURED, SCRAPE_DURATION, SCRAPE_TIMEOUT,
        SNAPSHOT_HITS, SNAPSHOT_REQUESTS, SOURCE_CAPABILITY, TOKEN_EXPIRY, UP,
        own::{Own, unix_seconds},
        process,
        text::{Value, Writer},
    },
    model::Capability,
};

/// A family of per-conference series, and its value of one row.
type RowFamily = (Family, fn(&Row) -> Option<Value>);

/// The per-conference families.
const ROW_FAMILIES: [RowFamily; 3] = [
    (CONFERENCE_PARTICIPANTS, |row| row.participants.map(Value::Whole)),
    (CONFERENCE_PARTICIPANTS_MUTED, |row| row.muted.map(Value::Whole)),
    (CONFERENCE_START_TIMESTAMP, |row| row.started_at.map(|at| Value::Float(at as f64))),
];

/// Writes what `reports` found: values of sources that worked, collection metrics of all.
pub fn write_reports(writer: &mut Writer, reports: &[Report]) {
    // A source at a time: going through thousands of sources for each family would fetch all of them from memory again.
    for report in reports {
        let labels = &report.source.labels;
        if let Ok(snapshot) = &report.outcome {
            for (family, series) in MEASURED {
                for (measure, state) in *series {
                    if let Some(value) = snapshot.observation.value(*measure) {
                        let state = state.map(|state| ("state", state));
                        writer.sample(*family, labels, state, value);
                    }
                }
            }
            if let Some(rows) = &snapshot.rows {
                for row in &rows.shown {
                    for (family, value) in ROW_FAMILIES {
                        if let Some(value) = value(row) {
                            writer.sample(family, labels, Some(("conference", &row.label)), value);
                        }
                    }
                }
                writer.sample(CONFERENCE_SERIES_DROPPED, labels, None, rows.dropped);
            }
            writer.sample(DATA_TIMESTAMP, labels, None, unix_seconds(snapshot.fetched_at));
        }
        writer.sample(UP, labels, None, report.outcome.is_ok());
        writer.sample(SCRAPE_DURATION, labels, None, report.duration.as_secs_f64());
        writer.sample(SCRAPE_TIMEOUT, labels, None, report.budget.as_secs_f64());
        let reported = report.reported();
        for &capability in Capability::ALL {
            let label = Some(("capability", capability.as_str()));
            writer.sample(SOURCE_CAPABILITY, labels, label, reported.supports(capability));
        }
    }
}

/// Writes the exporter's own metrics, those of `sources` among them. Asks no source.
pub fn write_own(writer: &mut Writer, own: &Own, sources: &[Arc<Source>]) {
    let now = Instant::now();
    for source in sources {
        let (labels, meters) = (&source.labels, &source.meters);
        for (endpoint, count) in meters.requests() {
            writer.sample(API_REQUESTS, labels, Some(("endpoint", endpoint.as_str())), count);
        }
        for (reason, count) in meters.errors() {
            writer.sample(API_ERRORS, labels, Some(("reason", reason.as_str())), count);
        }
        writer.sample(LOGINS, labels, None, meters.logins.get());
        writer.sample(LOGIN_FAILURES, labels, None, meters.login_failures.get());
        writer.sample(SNAPSHOT_REQUESTS, labels, None, meters.snapshot_requests.get());
        writer.sample(SNAPSHOT_HITS, labels, None, meters.snapshot_hits.get());
        let login = source.system.login_state();
        let blocked = login.blocked_until.is_some_and(|until| until > now);
        writer.sample(LOGIN_BLOCKED, labels, None, blocked);
        if let Some(expiry) = login.token_expiry {
            writer.sample(TOKEN_EXPIRY, labels, None, unix_seconds(expiry));
        }
    }
    writer.gathered(&own.registry().gather());
    process::write(writer);
}
