// SPDX-License-Identifier: Apache-2.0
//! Reports of a scrape, and the exporter's own metrics, as text.

use std::{sync::Arc, time::SystemTime};

use tokio::time::Instant;

use crate::{
    collect::{Report, Row, Source},
    logging,
    metrics::{
        API_ERRORS, API_REQUESTS, CAPACITY_CONFERENCES, CAPACITY_PARTICIPANTS, CERTIFICATE_EXPIRY,
        CONFERENCE_PARTICIPANTS, CONFERENCE_PARTICIPANTS_MUTED, CONFERENCE_SERIES_DROPPED,
        CONFERENCE_START_TIMESTAMP, DATA_TIMESTAMP, Family, LOG_LINES_DROPPED, LOGIN_BLOCKED,
        LOGIN_FAILURES, LOGINS, SCRAPE_DURATION, SCRAPE_TIMEOUT, SNAPSHOT_HITS, SNAPSHOT_REQUESTS,
        SOURCE_CAPABILITY, SOURCE_FAILURE, SOURCE_MIN_INTERVAL, TOKEN_EXPIRY, UP, measured,
        own::{Own, unix_seconds},
        process,
        text::{Labels, Value, Writer},
    },
    model::Measure,
    session::LoginState,
};

/// How the value of a series comes from what it is about; `None`: there is no such series.
type Compute<T> = fn(&T) -> Option<Value>;

/// The same, from a source and what is known about its login.
type ComputeOwn = fn(&Source, &LoginState) -> Option<Value>;

/// The families with one series for each report.
const OF_REPORT: [(Family, Compute<Report>); 9] = [
    (CAPACITY_CONFERENCES, |report| report.source.config.capacity.conferences.map(Value::Whole)),
    (CAPACITY_PARTICIPANTS, |report| report.source.config.capacity.participants.map(Value::Whole)),
    (CONFERENCE_SERIES_DROPPED, |report| {
        report.outcome.as_ref().ok()?.rows.as_ref().map(|rows| Value::Whole(rows.dropped))
    }),
    (UP, |report| Some(report.outcome.is_ok().into())),
    (SCRAPE_DURATION, |report| Some(report.duration.as_secs_f64().into())),
    (SCRAPE_TIMEOUT, |report| Some(report.budget.as_secs_f64().into())),
    (DATA_TIMESTAMP, |report| Some(timestamp(report.outcome.as_ref().ok()?.fetched_at))),
    (SOURCE_MIN_INTERVAL, |report| Some(report.source.config.min_interval.as_secs_f64().into())),
    (CERTIFICATE_EXPIRY, |report| {
        Some(Value::Float(report.source.api.certificate_expiry()? as f64))
    }),
];

/// The families with one series for each conference.
const OF_CONFERENCE: [(Family, Compute<Row>); 3] = [
    (CONFERENCE_PARTICIPANTS, |row| row.participants.map(Value::Whole)),
    (CONFERENCE_PARTICIPANTS_MUTED, |row| row.muted.map(Value::Whole)),
    (CONFERENCE_START_TIMESTAMP, |row| row.started_at.map(|at| Value::Float(at as f64))),
];

/// The families with one series for each source among the exporter's own.
const OF_SOURCE: [(Family, ComputeOwn); 6] = [
    (LOGINS, |source, _| Some(source.meters.logins.get().into())),
    (LOGIN_FAILURES, |source, _| Some(source.meters.login_failures.get().into())),
    (SNAPSHOT_REQUESTS, |source, _| Some(source.meters.snapshot_requests.get().into())),
    (SNAPSHOT_HITS, |source, _| Some(source.meters.snapshot_hits.get().into())),
    (LOGIN_BLOCKED, |_, login| {
        Some(login.blocked_until.is_some_and(|until| until > Instant::now()).into())
    }),
    (TOKEN_EXPIRY, |_, login| login.token_expiry.map(timestamp)),
];

fn timestamp(time: SystemTime) -> Value {
    Value::Float(unix_seconds(time))
}

/// Writes what `reports` found: values of sources that worked, collection metrics of all.
pub fn write_reports(writer: &mut Writer, reports: &[Report]) {
    // A source at a time: going through thousands of sources for each family would fetch all of them from memory again.
    for report in reports {
        let labels = &report.source.labels;
        match &report.outcome {
            Ok(snapshot) => {
                for (family, series) in measured() {
                    for measure in series {
                        if let Some(value) = snapshot.observation.value(*measure) {
                            let label = family.labels.first().copied().zip(measure.label_value());
                            writer.sample(*family, labels, label, value);
                        }
                    }
                }
                for row in snapshot.rows.iter().flat_map(|rows| &rows.shown) {
                    for (family, value) in OF_CONFERENCE {
                        if let Some(value) = value(row) {
                            writer.sample(family, labels, Some(("conference", &row.label)), value);
                        }
                    }
                }
            }
            Err(failure) => {
                let reason = Some(("reason", failure.reason().as_str()));
                writer.sample(SOURCE_FAILURE, labels, reason, true);
            }
        }
        for (family, value) in OF_REPORT {
            if let Some(value) = value(report) {
                writer.sample(family, labels, None, value);
            }
        }
        let reported = report.reported();
        for capability in Measure::capabilities() {
            let label = Some(("capability", capability.as_str()));
            writer.sample(SOURCE_CAPABILITY, labels, label, reported.contains(capability));
        }
    }
}

/// Writes the exporter's own metrics, those of `sources` among them. Asks no source.
pub fn write_own(writer: &mut Writer, own: &Own, sources: &[Arc<Source>]) {
    for source in sources {
        let labels = &source.labels;
        for (call, count) in source.meters.requests() {
            writer.sample(API_REQUESTS, labels, Some(("call", call.as_str())), count);
        }
        for (reason, count) in source.meters.errors() {
            writer.sample(API_ERRORS, labels, Some(("reason", reason.as_str())), count);
        }
        let login = source.system.session().state();
        for (family, value) in OF_SOURCE {
            if let Some(value) = value(source, &login) {
                writer.sample(family, labels, None, value);
            }
        }
    }
    writer.registry(own.registry());
    writer.sample(LOG_LINES_DROPPED, &Labels::default(), None, logging::dropped_lines());
    process::write(writer);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::metrics::FAMILIES;

    #[test]
    fn each_family_of_a_source_is_written_in_one_way() {
        let labelled = [API_ERRORS, API_REQUESTS, SOURCE_CAPABILITY, SOURCE_FAILURE];
        let written: Vec<_> = measured()
            .map(|(family, _)| *family)
            .chain(OF_REPORT.map(|(family, _)| family))
            .chain(OF_CONFERENCE.map(|(family, _)| family))
            .chain(OF_SOURCE.map(|(family, _)| family))
            .chain(labelled)
            .map(|family| family.name)
            .collect();
        let once: HashSet<_> = written.iter().copied().collect();
        assert_eq!(written.len(), once.len(), "{written:?}");
        let families = FAMILIES.iter().filter(|family| family.per_source);
        assert_eq!(once, families.map(|family| family.name).collect());
    }
}
