// SPDX-License-Identifier: Apache-2.0
//! The text writer: Prometheus' exposition format 0.0.4 or OpenMetrics 1.0.0, into one growing text.
//!
//! The `prometheus` crate's own encoder costs an allocation for almost every label, at thousands of series most of the time
//! of a scrape, and does not know OpenMetrics.

use std::{fmt::Write as _, mem};

use prometheus::{Registry, proto::Metric};

use super::{FAMILIES, Family, Kind};

/// Above that a block of the text is full. One buffer of many megabytes would be copied whenever it grows, and once freed
/// its memory would stay reserved by the allocator, in each thread that ever wrote a scrape.
const BLOCK: usize = 64 * 1024;

/// What the last line of a block may need beyond [`BLOCK`] before its buffer has to grow.
const LINE: usize = 1024;

/// How the text is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0.0: families of counters are named without `_total`, units are stated, the text has an end. Without
    /// `_created`, which Prometheus would store as one series more for each counter.
    OpenMetrics,
}

impl Format {
    /// The content type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Labels rendered once, as they stand between the braces: `source="hq",vendor="some_pbx"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(String);

impl Labels {
    /// Renders `labels` in their order; values are escaped.
    pub fn new<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut rendered = String::new();
        for (name, value) in labels {
            push_label(&mut rendered, name, value);
        }
        Self(rendered)
    }

    /// The rendered labels.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn push_label(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() && !out.ends_with('{') {
        out.push(',');
    }
    out.push_str(name);
    out.push_str("=\"");
    escape(out, value);
    out.push('"');
}

fn escape(out: &mut String, value: &str) {
    if !value.bytes().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        out.push_str(value);
        return;
    }
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            _ => out.push(c),
        }
    }
}

/// A value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Whole(u64),
    /// Any number.
    Float(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(u64::from(value))
    }
}

/// Writes series in any order: each family has a text of its own, so that all of a source can be written while it is at
/// hand. A family without series is not written at all.
pub struct Writer {
    format: Format,
    /// By [`Family::place`].
    families: Vec<Lines>,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new(Format::default())
    }
}

impl Writer {
    /// Without series.
    pub fn new(format: Format) -> Self {
        Self { format, families: FAMILIES.iter().map(|_| Lines::default()).collect() }
    }

    /// How it writes.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// What was written, in the table's order and in blocks that end with a line.
    pub fn finish(self) -> Vec<String> {
        let mut blocks: Vec<String> = Vec::new();
        let written = self.families.into_iter().flat_map(|Lines { full, last }| {
            full.into_iter().chain((!last.is_empty()).then_some(last))
        });
        let end = (self.format == Format::OpenMetrics).then(|| "# EOF\n".to_owned());
        let written = written.chain(end);
        for block in written {
            match blocks.last_mut() {
                Some(last) if last.len() + block.len() <= BLOCK => last.push_str(&block),
                _ => blocks.push(block),
            }
        }
        blocks
    }

    /// Writes one series of `family`.
    pub fn sample(
        &mut self,
        family: Family,
        labels: &Labels,
        extra: Option<(&str, &str)>,
        value: impl Into<Value>,
    ) {
        self.lines(family).series(family.name, labels.as_str(), extra, value.into());
    }

    fn lines(&mut self, family: Family) -> &mut Lines {
        let lines = &mut self.families[family.place];
        if lines.last.is_empty() {
            header(&mut lines.last, self.format, family);
        }
        lines
    }

    /// Writes what `registry` holds of the table's families; it has no others.
    pub fn registry(&mut self, registry: &Registry) {
        for held in &registry.gather() {
            let Some(family) = FAMILIES.iter().find(|family| family.name == held.name()) else {
                continue;
            };
            for metric in held.get_metric() {
                let labels = metric.get_label().iter();
                let labels = Labels::new(labels.map(|label| (label.name(), label.value())));
                match family.kind {
                    Kind::Gauge => {
                        self.sample(*family, &labels, None, metric.get_gauge().get_value());
                    }
                    Kind::Counter => {
                        self.sample(*family, &labels, None, metric.get_counter().get_value());
                    }
                    Kind::Histogram => self.histogram(*family, &labels, metric),
                }
            }
        }
    }

    fn histogram(&mut self, family: Family, labels: &Labels, metric: &Metric) {
        let format = self.format;
        let lines = self.lines(family);
        let held = metric.get_histogram();
        let bucket = format!("{}_bucket", family.name);
        let mut le = String::new();
        let bounds = held.get_bucket().iter().map(|b| (b.upper_bound(), b.cumulative_count()));
        for (bound, count) in bounds.chain([(f64::INFINITY, held.get_sample_count())]) {
            le.clear();
            number(&mut le, Value::Float(bound));
            // OpenMetrics writes a whole number as one with a fraction.
            if format == Format::OpenMetrics && bound.fract() == 0.0 {
                le.push_str(".0");
            }
            lines.series(&bucket, labels.as_str(), Some(("le", &le)), Value::Whole(count));
        }
        let (sum, count) = (held.get_sample_sum().into(), held.get_sample_count().into());
        for (suffix, value) in [("_sum", sum), ("_count", count)] {
            lines.series(&format!("{}{suffix}", family.name), labels.as_str(), None, value);
        }
    }
}

/// The text of one family.
#[derive(Default)]
struct Lines {
    full: Vec<String>,
    /// Only empty before the first line: a full block makes room when the next line is there.
    last: String,
}

impl Lines {
    fn series(&mut self, name: &str, labels: &str, extra: Option<(&str, &str)>, value: Value) {
        if self.last.len() >= BLOCK {
            self.full.push(mem::replace(&mut self.last, String::with_capacity(BLOCK + LINE)));
        }
        let out = &mut self.last;
        out.push_str(name);
        if !labels.is_empty() || extra.is_some() {
            out.push('{');
            out.push_str(labels);
            if let Some((name, value)) = extra {
                push_label(out, name, value);
            }
            out.push('}');
        }
        out.push(' ');
        number(out, value);
        out.push('\n');
    }
}

fn header(out: &mut String, format: Format, family: Family) {
    let Family { name, kind, help, .. } = family;
    let (name, unit) = match format {
        Format::Text => (name, None),
        Format::OpenMetrics => (name.strip_suffix("_total").unwrap_or(name), family.unit()),
    };
    for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind.as_str(), "\n"] {
        out.push_str(part);
    }
    if let Some(unit) = unit {
        for part in ["# UNIT ", name, " ", unit, "\n"] {
            out.push_str(part);
        }
    }
}

fn number(out: &mut String, value: Value) {
    /// Most values are one of these, and none of them takes a formatter.
    const DIGITS: &str = "0123456789";
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Whole(value @ 0..10) => {
            out.push_str(&DIGITS[value as usize..=value as usize]);
            Ok(())
        }
        Value::Whole(value) => write!(out, "{value}"),
        Value::Float(value) if value.is_nan() => write!(out, "NaN"),
        Value::Float(value) if value == f64::INFINITY => write!(out, "+Inf"),
        Value::Float(value) if value == f64::NEG_INFINITY => write!(out, "-Inf"),
        Value::Float(value) => write!(out, "{value}"),
    };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

    use std::time::Duration;

    use super::*;
    use crate::{
        metrics::{
            API_REQUESTS, LOG_LINES_DROPPED, PROCESS_CPU_SECONDS, SCRAPE_DURATION,
            SOURCE_CAPABILITY, UP,
            own::{Own, SourceMeters},
        },
        model::CallName,
    };

    #[test]
    fn blocks_end_with_a_line() {
        let mut writer = Writer::default();
        let labels = Labels::new([("source", "a")]);
        for number in 0..10_000_u64 {
            writer.sample(UP, &labels, None, number);
        }
        let blocks = writer.finish();
        assert!(blocks.len() > 2, "{}", blocks.len());
        assert!(blocks.iter().all(|block| block.ends_with('\n') && block.len() < BLOCK + LINE));
        let text = blocks.concat();
        let (help, series) = text.lines().partition::<Vec<_>, _>(|line| line.starts_with('#'));
        assert_eq!((help.len(), series.len()), (2, 10_000));
    }

    #[test]
    fn writes_families_once_and_escapes_values() {
        let mut writer = Writer::default();
        let labels = Labels::new([("source", "a\"b\\c\nd"), ("vendor", "some_pbx")]);
        writer.sample(SOURCE_CAPABILITY, &labels, Some(("capability", "rooms")), 3_u64);
        writer.sample(SOURCE_CAPABILITY, &labels, Some(("capability", "invitees")), 0_u64);
        writer.sample(UP, &Labels::default(), None, f64::INFINITY);
        assert_eq!(
            writer.finish().concat(),
            "# HELP conferencing_up 1 if every required call of this collection worked, else 0.\n\
             # TYPE conferencing_up gauge\n\
             conferencing_up +Inf\n\
             # HELP conferencing_source_capability 1 if this source, as configured and as found, reports it, else 0.\n\
             # TYPE conferencing_source_capability gauge\n\
             conferencing_source_capability{source=\"a\\\"b\\\\c\\nd\",vendor=\"some_pbx\",capability=\"rooms\"} 3\n\
             conferencing_source_capability{source=\"a\\\"b\\\\c\\nd\",vendor=\"some_pbx\",capability=\"invitees\"} 0\n"
        );
    }

    #[test]
    fn open_metrics_has_units_and_an_end_and_names_counters_without_total() {
        let mut writer = Writer::new(Format::OpenMetrics);
        let labels = Labels::new([("source", "a")]);
        writer.sample(API_REQUESTS, &labels, Some(("call", "login")), 3_u64);
        writer.sample(SCRAPE_DURATION, &labels, None, 0.5);
        writer.sample(PROCESS_CPU_SECONDS, &Labels::default(), None, 1.25);
        assert_eq!(
            writer.finish().concat(),
            "# HELP conferencing_scrape_duration_seconds How long the collection took, in seconds.\n\
             # TYPE conferencing_scrape_duration_seconds gauge\n\
             # UNIT conferencing_scrape_duration_seconds seconds\n\
             conferencing_scrape_duration_seconds{source=\"a\"} 0.5\n\
             # HELP conferencing_api_requests Requests sent to the source, by call.\n\
             # TYPE conferencing_api_requests counter\n\
             conferencing_api_requests_total{source=\"a\",call=\"login\"} 3\n\
             # HELP process_cpu_seconds Total user and system CPU time spent in seconds.\n\
             # TYPE process_cpu_seconds counter\n\
             # UNIT process_cpu_seconds seconds\n\
             process_cpu_seconds_total 1.25\n\
             # EOF\n"
        );
        assert_eq!(Writer::new(Format::OpenMetrics).finish().concat(), "# EOF\n");
    }

    /// What `own` holds, all of it once and in both formats; and the bounds of a histogram as each format writes them.
    #[test]
    fn registries_are_written_whole() {
        let own = Own::new().unwrap();
        own.http_request("metrics", 200);
        own.web_config_loaded(true);
        SourceMeters::new(&own, "some_pbx", &[CallName("login")])
            .unwrap()
            .call(CallName("login"))
            .unwrap()
            .request_took(Duration::from_secs(2));
        for (format, bound) in [(Format::Text, "1"), (Format::OpenMetrics, "1.0")] {
            let mut writer = Writer::new(format);
            writer.registry(own.registry());
            let text = writer.finish().concat();
            // The others are no metric of a registry: the process and the log are asked.
            let own = FAMILIES.iter().filter(|family| {
                let elsewhere =
                    family.name.starts_with("process_") || **family == LOG_LINES_DROPPED;
                !family.per_source && !elsewhere
            });
            for Family { name, .. } in own {
                assert!(text.contains(&format!("\n{name}")), "{name}: {text}");
            }
            let name = "conferencing_api_request_duration_seconds";
            let labels = "call=\"login\",vendor=\"some_pbx\"";
            for line in [
                format!("{name}_bucket{{{labels},le=\"{bound}\"}} 0\n"),
                format!("{name}_bucket{{{labels},le=\"2.5\"}} 1\n"),
                format!("{name}_bucket{{{labels},le=\"+Inf\"}} 1\n"),
                format!("{name}_sum{{{labels}}} 2\n"),
                format!("{name}_count{{{labels}}} 1\n"),
            ] {
                assert!(text.contains(&line), "{line} {text}");
            }
        }
    }
}
