// SPDX-License-Identifier: Apache-2.0
//! The table of `check --live` and `check --replay`: one row for each source.

use std::{
    env,
    fmt::Write as _,
    io::{self, IsTerminal},
    time::Duration,
};

use crate::{
    collect::Report,
    model::{Measure, Observation},
    systems::advice,
};

const HEADINGS: [&str; 6] = ["SOURCE", "VENDOR", "RESULT", "TIME", "REQUESTS", "NUMBERS"];

/// The table: a row for each source, below it what the source can report, or what to look at, and the lines
/// that `more` has of it.
pub(super) fn table(reports: &[Report], more: impl Fn(usize) -> Vec<String>) -> String {
    let colour = is_coloured();
    let rows: Vec<[String; 6]> = reports.iter().map(row).collect();
    let mut widths = HEADINGS.map(|heading| heading.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    push_line(&mut out, &HEADINGS.map(str::to_owned), &widths, None);
    for (index, (report, cells)) in reports.iter().zip(&rows).enumerate() {
        let shade = colour.then_some(if report.outcome.is_ok() { "32" } else { "31" });
        push_line(&mut out, cells, &widths, shade);
        let indent = " ".repeat(widths[0] + 2);
        for line in below(report).into_iter().chain(more(index)) {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{indent}{line}");
        }
    }
    out
}

/// Only for people: on a terminal, unless they do not want it (<https://no-color.org>).
fn is_coloured() -> bool {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes one row; `shade` colours its result.
fn push_line(out: &mut String, cells: &[String; 6], widths: &[usize; 6], shade: Option<&str>) {
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let padding = " ".repeat(width - cell.chars().count());
        let last = index + 1 == cells.len();
        // Times and counts line up at their right ends.
        let right = matches!(index, 3 | 4);
        if right {
            out.push_str(&padding);
        }
        match shade.filter(|_| index == 2) {
            Some(shade) => {
                let _ = write!(out, "\x1b[{shade}m{cell}\x1b[0m");
            }
            None => out.push_str(cell),
        }
        if !right && !last {
            out.push_str(&padding);
        }
        out.push_str(if last { "\n" } else { "  " });
    }
}

fn row(report: &Report) -> [String; 6] {
    let source = &report.source;
    let (result, numbers) = match &report.outcome {
        Ok(snapshot) => ("ok".to_owned(), numbers(&snapshot.observation)),
        Err(failure) => (format!("FAILED ({})", failure.reason()), failure.to_string()),
    };
    let requests: u64 = source.meters.requests().map(|(_, count)| count).sum();
    [
        source.name().to_owned(),
        source.profile().name.to_owned(),
        result,
        seconds(report.duration),
        requests.to_string(),
        numbers,
    ]
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

/// The numbers people look for first; those the source does not report are left out.
fn numbers(observation: &Observation) -> String {
    let shown: [(Measure, &str); 7] = [
        (Measure::ConferencesActive, "conferences"),
        (Measure::ConferencesScheduled, "scheduled"),
        (Measure::ParticipantsJoined, "participants"),
        (Measure::ParticipantsWaiting, "waiting"),
        (Measure::ParticipantsMuted, "muted"),
        (Measure::Rooms, "rooms"),
        (Measure::RoomsPinProtected, "with a PIN"),
    ];
    let parts: Vec<_> = shown
        .into_iter()
        .filter_map(|(measure, name)| Some(format!("{} {name}", observation.value(measure)?)))
        .collect();
    parts.join(", ")
}

fn below(report: &Report) -> Vec<String> {
    if let Err(failure) = &report.outcome {
        return vec![format!("look at: {}", advice(report.source.profile(), failure))];
    }
    let reported = report.reported();
    let (can, cannot): (Vec<_>, Vec<_>) =
        Measure::capabilities().partition(|capability| reported.contains(*capability));
    let configured = report.source.configured();
    let (untold, cannot): (Vec<_>, Vec<_>) =
        cannot.into_iter().partition(|capability| configured.contains(*capability));
    let mut lines = vec![format!("reports {}", grouped(&can))];
    if !untold.is_empty() {
        lines.push(format!("absent  {} (an older firmware?)", grouped(&untold)));
    }
    lines.push(format!("not     {}", grouped(&cannot)));
    lines
}

/// Capabilities by what they are about: `participants: joined, waiting; rooms: number, moderated`.
fn grouped(capabilities: &[Measure]) -> String {
    let of = |subject: &str| {
        let aspects: Vec<_> = capabilities
            .iter()
            .filter_map(|capability| capability.as_str().strip_prefix(subject))
            .map(|aspect| aspect.strip_prefix('_').unwrap_or("number"))
            .collect();
        (!aspects.is_empty()).then(|| format!("{subject}: {}", aspects.join(", ")))
    };
    let groups: Vec<_> =
        ["conferences", "participants", "invitees", "rooms"].into_iter().filter_map(of).collect();
    groups.join("; ")
}
