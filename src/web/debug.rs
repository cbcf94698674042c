// SPDX-License-Identifier: Apache-2.0
//! What a collection did, for people: `/probe?source=NAME&debug=true`.
//!
//! It shows what any reader of the status page may see: names of calls, times, sizes, statuses, reasons and codes, and the
//! numbers that became metrics. Never a value out of an answer.

use std::fmt::Write;

use tokio::time::Instant;

use crate::{
    collect::Report,
    metrics::measured,
    net::{Failure, Trace, Traced},
    systems::advice,
};

/// The text about `report`, whose collection was to be observed by `trace` from `started` on.
pub(super) fn describe(report: &Report, trace: &Trace, started: Instant) -> String {
    let mut out = String::new();
    let (source, profile) = (&report.source, report.source.profile());
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(out, "source   {} ({})", source.name(), profile.name);
    match &report.outcome {
        Ok(_) => out.push_str("result   up\n"),
        Err(failure) => {
            let _ = writeln!(out, "result   down, reason {}: {failure}", failure.reason());
            let _ = writeln!(out, "look at  {}", advice(profile, failure));
        }
    }
    let (took, allowed) = (report.duration.as_secs_f64(), report.budget.as_secs_f64());
    let _ = writeln!(out, "took     {took:.3} s of {allowed:.3} s");
    calls(&mut out, report, &trace.calls(), started);
    counted(&mut out, report);
    out.push_str("\nNo value of an answer is shown, only what was counted in it.");
    out
}

fn calls(out: &mut String, report: &Report, calls: &[Traced], started: Instant) {
    out.push_str("\nCalls, in the order in which they were sent\n");
    if calls.is_empty() {
        let _ = writeln!(out, "  none: {}", why_none(report, started));
        return;
    }
    let width = calls.iter().map(|traced| traced.call.as_str().len()).max().unwrap_or(0);
    for (number, Traced { call, after, took, answer, error }) in (1..).zip(calls) {
        let after = after.as_secs_f64();
        let _ = write!(out, "  {number:>3}  at {after:.3} s  {:<width$}  ", call.as_str());
        match took {
            Some(took) => {
                let _ = write!(out, "{:.3} s", took.as_secs_f64());
            }
            None => out.push_str("no answer"),
        }
        if let Some((status, bytes)) = answer {
            let _ = write!(out, ", status {}, {bytes} bytes", status.as_u16());
        }
        if let Some(error) = error {
            let error = error.to_string();
            let why = error.split_once(" failed: ").map_or(error.as_str(), |(_, why)| why);
            let _ = write!(out, ": {why}");
        }
        out.push('\n');
    }
}

/// Why nothing was sent, or nothing is known of it.
fn why_none(report: &Report, started: Instant) -> String {
    match &report.outcome {
        Ok(snapshot) if snapshot.fetched < started => {
            let age = snapshot.fetched.elapsed().as_secs_f64();
            let interval = report.source.config.min_interval.as_secs_f64();
            format!(
                "the values are {age:.0} s old, and younger than min_interval ({interval:.0} s)"
            )
        }
        Err(
            failure @ (Failure::HeldBack { .. }
            | Failure::BackingOff { .. }
            | Failure::Secret(_)
            | Failure::Certificate(_)
            | Failure::File(_)),
        ) => failure.to_string(),
        Ok(_) | Err(Failure::Request(_) | Failure::Timeout | Failure::Panic) => {
            "another scrape was asking the source already, and this one waited for its result. Try again to see the calls"
                .to_owned()
        }
    }
}

fn counted(out: &mut String, report: &Report) {
    let Ok(snapshot) = &report.outcome else { return };
    out.push_str("\nCounted\n");
    for (family, series) in measured() {
        for measure in series {
            let Some(value) = snapshot.observation.value(*measure) else { continue };
            let label = family.labels.first().zip(measure.label_value());
            let label = label.map(|(name, value)| format!("{{{name}=\"{value}\"}}"));
            let _ = writeln!(out, "  {}{} {value}", family.name, label.unwrap_or_default());
        }
    }
    if let Some(rows) = &snapshot.rows {
        let (shown, dropped) = (rows.shown.len(), rows.dropped);
        let _ = writeln!(out, "  {shown} conferences with series of their own, {dropped} without");
    }
}
