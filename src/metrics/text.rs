//! The text writer: Prometheus' exposition format 0.0.4 into one growing text.
//!
//! The `prometheus` crate's own encoder costs an allocation for almost every label; at thousands of series a scrape that
//! would take most of the time. It writes what does not grow with the number of sources: [`Writer::registry`].

use std::{fmt::Write as _, mem};

use prometheus::{Registry, TextEncoder};

use super::{FAMILIES, Family};

/// Above that a block of the text is full. One buffer of many megabytes would be copied whenever it grows, and once freed
/// its memory would stay reserved by the allocator, in each thread that ever wrote a scrape.
const BLOCK: usize = 64 * 1024;

/// What the last line of a block may need beyond [`BLOCK`] before its buffer has to grow.
const LINE: usize = 1024;

/// Content type of what [`Writer`] writes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

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
    /// By [`Family::place`].
    families: Vec<Lines>,
    /// What registries held.
    gathered: String,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            families: FAMILIES.iter().map(|_| Lines::default()).collect(),
            gathered: String::new(),
        }
    }
}

impl Writer {
    /// What was written, in the table's order and in blocks that end with a line.
    pub fn finish(self) -> Vec<String> {
        let mut blocks: Vec<String> = Vec::new();
        let written = self.families.into_iter().flat_map(|Lines { full, last }| {
            full.into_iter().chain((!last.is_empty()).then_some(last))
        });
        let written = written.chain((!self.gathered.is_empty()).then_some(self.gathered));
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
            header(&mut lines.last, family.name, family.kind.as_str(), family.help);
        }
        lines
    }

    /// Writes everything `registry` holds, behind the families of the table.
    ///
    /// # Errors
    /// A collector of the registry that is broken.
    pub fn registry(&mut self, registry: &Registry) -> prometheus::Result<()> {
        TextEncoder::new().encode_utf8(&registry.gather(), &mut self.gathered)
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

fn header(out: &mut String, name: &str, kind: &str, help: &str) {
    for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"] {
        out.push_str(part);
    }
}

fn number(out: &mut String, value: Value) {
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Whole(value) => write!(out, "{value}"),
        Value::Float(value) if value.is_nan() => write!(out, "NaN"),
        Value::Float(value) if value == f64::INFINITY => write!(out, "+Inf"),
        Value::Float(value) if value == f64::NEG_INFINITY => write!(out, "-Inf"),
        Value::Float(value) => write!(out, "{value}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{SOURCE_CAPABILITY, UP};

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
}
