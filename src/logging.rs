// SPDX-License-Identifier: Apache-2.0
//! Log messages, which go to standard error. Nothing ever waits for them: a thread of its own writes
//! them, and where nobody reads what it writes, further lines are dropped and counted.

use std::{
    fmt::{self, Write as _},
    io::{self, Write},
    panic,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use tracing::{
    Event, Subscriber, error,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::{
    cli::{LogFormat, LogLevel},
    metrics::own::Counter,
};

/// Lines that wait to be written, at most: what a reader that falls behind for a moment needs.
const MOST_WAITING: usize = 8_192;

/// How long the last lines may take to be written when the process ends.
const LAST_LINES: Duration = Duration::from_secs(1);

static DROPPED: Counter = Counter::new();

/// How many lines were dropped.
pub fn dropped_lines() -> u64 {
    DROPPED.get()
}

/// Starts logging. A second call changes nothing but where [`Log::fail`] writes.
///
/// Only this crate's own messages are ever logged: those of the HTTP and TLS libraries carry URLs
/// with tokens in them.
///
/// # Errors
/// The operating system starts no thread.
pub fn start(level: LogLevel, format: LogFormat) -> io::Result<Log> {
    let level = match level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
    };
    let (sender, waiting) = sync_channel(MOST_WAITING);
    thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&waiting))?;
    let log = Log { sender, is_json: format == LogFormat::Json };
    let lines = Lines { is_json: log.is_json };
    let writer = log.clone();
    let layer =
        tracing_subscriber::fmt::layer().with_writer(move || writer.clone()).event_format(lines);
    let own = Targets::new().with_target(env!("CARGO_PKG_NAME"), level);
    let _ = tracing_subscriber::registry().with(layer.with_filter(own)).try_init();
    // The usual hook writes to standard error itself, and what the panic says may come from an
    // answer.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(place, "internal error: a panic");
    }));
    Ok(log)
}

/// Where log lines are written.
#[derive(Clone)]
pub struct Log {
    sender: SyncSender<Message>,
    is_json: bool,
}

enum Message {
    Text(Vec<u8>),
    /// Everything before it is written when this is answered.
    Flush(SyncSender<()>),
}

impl Log {
    /// Reports why the process ends: the text as it is, or, where the log is JSON for programs, one
    /// message for each problem. Lines that begin with a blank are excerpts that only illustrate a
    /// problem, and are left out of such messages.
    pub fn fail(&self, problems: &str) {
        if !self.is_json {
            return self.send(format!("{problems}\n").into_bytes());
        }
        for problem in problems.lines().filter(|line| !line.starts_with(' ')) {
            error!(problem, "fatal error");
        }
    }

    /// Waits until all lines are written, if somebody reads them.
    pub fn end(self) {
        let end = Instant::now() + LAST_LINES;
        let (written, all_written) = sync_channel(1);
        let mut flush = Message::Flush(written);
        while let Err(TrySendError::Full(back)) = self.sender.try_send(flush) {
            if Instant::now() >= end {
                return;
            }
            flush = back;
            thread::sleep(Duration::from_millis(10));
        }
        let _ = all_written.recv_timeout(end.saturating_duration_since(Instant::now()));
    }

    fn send(&self, text: Vec<u8>) {
        if self.sender.try_send(Message::Text(text)).is_err() {
            DROPPED.inc();
        }
    }
}

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.send(text.to_vec());
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(waiting: &Receiver<Message>) {
    while let Ok(message) = waiting.recv() {
        match message {
            Message::Text(text) => {
                if io::stderr().lock().write_all(&text).is_err() {
                    DROPPED.inc();
                }
            }
            // Whoever asked may have stopped waiting.
            Message::Flush(written) => drop(written.try_send(())),
        }
    }
}

/// One line an event: `ts`, `level`, `msg`, then the event's own fields. Spans are not used.
struct Lines {
    is_json: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let now = jiff::Timestamp::now();
        let Fields { message, others } = fields;
        let text = |name, text| (name, Value { text, is_number: false });
        let own = [text("ts", format!("{now:.3}")), text("level", level), text("msg", message)];
        let all = own.iter().chain(&others);
        let mut line = String::new();
        for (name, value) in all {
            let separator = match (self.is_json, line.is_empty()) {
                (true, true) => "{",
                (true, false) => ",",
                (false, true) => "",
                (false, false) => " ",
            };
            line.push_str(separator);
            if self.is_json {
                quote(&mut line, name);
                line.push(':');
                if value.is_number {
                    line.push_str(&value.text);
                } else {
                    quote(&mut line, &value.text);
                }
            } else {
                line.push_str(name);
                line.push('=');
                if *name != "msg" && is_bare(&value.text) {
                    line.push_str(&value.text);
                } else {
                    quote(&mut line, &value.text);
                }
            }
        }
        if self.is_json {
            line.push('}');
        }
        writeln!(writer, "{line}")
    }
}

/// The fields of an event as text.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

struct Value {
    text: String,
    /// Or a boolean: JSON writes it without quotes.
    is_number: bool,
}

impl Fields {
    fn add(&mut self, field: &Field, text: String, is_number: bool) {
        match field.name() {
            "message" => self.message = text,
            name => self.others.push((name, Value { text, is_number })),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned(), false);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.to_string(), true);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.to_string(), true);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.to_string(), true);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"), false);
    }
}

fn is_bare(value: &str) -> bool {
    !value.is_empty()
        && value.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\'))
}

/// Quotes as JSON does: logfmt knows the same escapes. One line stays one line.
fn quote(line: &mut String, value: &str) {
    line.push('"');
    for c in value.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            // Line separators, and what moves the cursor of a terminal.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                // Writing to a String cannot fail.
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_stays_one_line() {
        let mut line = String::new();
        quote(&mut line, "a \"b\"\\\n\u{1b}[31m\u{7f}é");
        assert_eq!(line, r#""a \"b\"\\\n\u001b[31m\u007fé""#);
        let read: String = serde_json::from_str(&line).expect("JSON");
        assert_eq!(read, "a \"b\"\\\n\u{1b}[31m\u{7f}é");
    }

    #[test]
    fn only_plain_words_go_without_quotes() {
        for bare in ["127.0.0.1:80", "[::]:1", "a/b"] {
            assert!(is_bare(bare), "{bare}");
        }
        for quoted in ["", "a b", "a=b", "\"", "\\", "é", "\n"] {
            assert!(!is_bare(quoted), "{quoted}");
        }
    }
}
