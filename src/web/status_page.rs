// SPDX-License-Identifier: Apache-2.0
//! The status page: plain HTML without JavaScript and without resources from other hosts. Asks no
//! source.

use std::{
    fmt::{self, Display, Write},
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{
    HeaderMap, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
        X_FRAME_OPTIONS,
    },
};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{
    FailedLoad, Site,
    respond::{Answer, encoded, with},
};
use crate::{
    collect::{Source, SourceStatus},
    model::{Measure, Reason},
    net::Failure,
    systems::advice,
};

const STYLE: &str = include_str!("status_page.css");

/// Nothing but the page's own style, told by its hash.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

/// Where the documentation says what to do about each reason.
const RUNBOOKS: &str =
    "https://github.com/conferencing-exporter/conferencing_exporter/blob/main/docs/runbooks.md";

const COLUMNS: [&str; 10] = [
    "State",
    "Source",
    "Vendor",
    "Conferences",
    "Participants",
    "Muted",
    "Age",
    "Duration",
    "Last error",
    "Login, certificate",
];

/// `/`: what is known of every source.
pub(super) async fn status(site: &Site, headers: &HeaderMap) -> Answer {
    let mut rows: Vec<_> = site.engine.sources().iter().map(Row::new).collect();
    // Stable: equals stay in the order of the configuration.
    rows.sort_by_key(|row| row.state);
    let page = page(site, &rows);
    let answer = encoded(headers, StatusCode::OK, "text/html; charset=utf-8", [page]).await;
    let answer = with(answer, CONTENT_SECURITY_POLICY, &POLICY);
    let answer = with(answer, X_CONTENT_TYPE_OPTIONS, "nosniff");
    let answer = with(answer, X_FRAME_OPTIONS, "deny");
    let answer = with(answer, REFERRER_POLICY, "no-referrer");
    with(answer, CACHE_CONTROL, "no-store")
}

/// The state of a source, in the order of the page: first what needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Down,
    Held,
    New,
    Up,
}

impl State {
    /// Class and word.
    const fn show(self) -> (&'static str, &'static str) {
        match self {
            Self::Down => ("down", "● down"),
            Self::Held => ("held", "◐ held back"),
            Self::New => ("new", "○ not asked yet"),
            Self::Up => ("up", "● up"),
        }
    }
}

struct Row {
    source: Arc<Source>,
    status: SourceStatus,
    state: State,
}

impl Row {
    fn new(source: &Arc<Source>) -> Self {
        let status = source.status();
        let is_held = status.login.blocked_until.is_some() || status.held_back.is_some();
        let state = match status.up {
            Some(false) => State::Down,
            Some(true) | None if is_held => State::Held,
            None => State::New,
            Some(true) => State::Up,
        };
        Self { source: Arc::clone(source), status, state }
    }

    fn value(&self, measure: Measure) -> Option<u64> {
        self.status.snapshot.as_ref().and_then(|snapshot| snapshot.observation.value(measure))
    }

    /// Values of a source that is down are old and do not count.
    fn current(&self, measure: Measure) -> Option<u64> {
        self.value(measure).filter(|_| self.state != State::Down)
    }
}

fn page(site: &Site, rows: &[Row]) -> String {
    let mut out = String::with_capacity(STYLE.len() + 2048 + rows.len() * 1024);
    let metrics = site.telemetry_path.trim_start_matches('/');
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"refresh\" content=\"10\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>conferencing_exporter</h1>\n<nav>\
         <a href=\"{metrics}\">Metrics</a> <a href=\"{metrics}/self\">Own metrics</a> \
         <a href=\"sd\">Service discovery</a></nav>\n</header>\n<main>\n",
        title = title(rows),
    );
    if let Some(failed) = &*site.last_load.0.load() {
        failed_load(&mut out, failed);
    }
    totals(&mut out, rows);
    if rows.is_empty() {
        out.push_str("<p class=\"empty\">No source is configured.</p>\n");
    } else {
        out.push_str("<table>\n<thead><tr>");
        for column in COLUMNS {
            let class = if is_number(column) { " class=\"n\"" } else { "" };
            let _ = write!(out, "<th scope=\"col\"{class}>{column}</th>");
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for row in rows {
            table_row(&mut out, row);
        }
        out.push_str("</tbody>\n</table>\n");
    }
    let _ = write!(
        out,
        "</main>\n<footer>Version {} ({}). As of {:.0}; the page asks no source and renews itself \
         every 10 seconds.</footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        env!("BUILD_REVISION"),
        jiff::Timestamp::now(),
    );
    out
}

/// That what is in force is not what is in the files, and why.
fn failed_load(out: &mut String, failed: &FailedLoad) {
    let (at, problems) = (At::past(failed.at), Escaped(&failed.problems));
    let _ = writeln!(
        out,
        "<section class=\"failed\">\n<p class=\"bad\">The configuration could not be loaded at {at}. The one before it is \
         still in force.</p>\n<pre>{problems}</pre>\n<p>Correct it, then reload: <code>POST /-/reload</code> or SIGHUP. \
         <a href=\"{RUNBOOKS}#conferencingreloadfailed\">More</a></p>\n</section>",
    );
}

fn title(rows: &[Row]) -> String {
    let down = rows.iter().filter(|row| row.state == State::Down).count();
    match down {
        0 => "conferencing_exporter".to_owned(),
        down => format!("({down} down) conferencing_exporter"),
    }
}

fn is_number(column: &str) -> bool {
    matches!(column, "Conferences" | "Participants" | "Muted" | "Age" | "Duration")
}

fn totals(out: &mut String, rows: &[Row]) {
    let up = rows.iter().filter(|row| row.state == State::Up).count();
    let sum = |measure| sum(rows.iter().filter_map(|row| row.current(measure)));
    let muted_of = sum(Measure::ParticipantsMuteReported);
    let muted_of = muted_of.map(|of| format!(" <small>of {of} reported</small>"));
    let _ = write!(
        out,
        "<dl>\n<div><dt>Sources up</dt><dd>{up} <small>of {}</small></dd></div>\n\
         <div><dt>Active conferences</dt><dd>{}</dd></div>\n\
         <div><dt>Participants</dt><dd>{}</dd></div>\n\
         <div><dt>Muted</dt><dd>{}{}</dd></div>\n</dl>\n",
        rows.len(),
        OrDash(sum(Measure::ConferencesActive)),
        OrDash(sum(Measure::ParticipantsJoined)),
        OrDash(sum(Measure::ParticipantsMuted)),
        muted_of.unwrap_or_default(),
    );
}

/// The sum of what is reported; `None`: no source reports it.
fn sum(values: impl Iterator<Item = u64>) -> Option<u64> {
    values.fold(None, |sum, value| Some(sum.unwrap_or(0_u64).saturating_add(value)))
}

fn table_row(out: &mut String, row: &Row) {
    let (class, word) = row.state.show();
    let snapshot = row.status.snapshot.as_deref();
    let is_old = row.state == State::Down;
    let _ = writeln!(out, "<tr class=\"{class}\">");
    cell(out, 0, "s", word);
    let name = Escaped(row.source.name());
    let probe = format_args!("<a href=\"probe?source={name}\">{name}</a>");
    let calls =
        format_args!("<a class=\"calls\" href=\"probe?source={name}&amp;debug=true\">calls</a>");
    cell(out, 1, "w", format_args!("<span>{probe} {calls}</span>"));
    cell(out, 2, "w", row.source.profile().title);
    let measures =
        [Measure::ConferencesActive, Measure::ParticipantsJoined, Measure::ParticipantsMuted];
    for (column, measure) in (3..).zip(measures) {
        number(out, column, is_old, row.value(measure));
    }
    let age = snapshot.map(|snapshot| Span(snapshot.fetched.elapsed()));
    number(out, 6, is_old, age);
    let duration = snapshot.map(|snapshot| Span(snapshot.duration));
    number(out, 7, is_old, duration);
    last_error(out, row);
    login(out, row);
    out.push_str("</tr>\n");
}

fn last_error(out: &mut String, row: &Row) {
    const COLUMN: usize = 8;
    let Some(last) = &row.status.last_failure else { return cell(out, COLUMN, "blank", "") };
    let what = match &last.failure {
        Failure::HeldBack { .. } => "held back after this answer".to_owned(),
        failure @ (Failure::Request(_)
        | Failure::Timeout
        | Failure::BackingOff { .. }
        | Failure::Secret(_)
        | Failure::Certificate(_)
        | Failure::File(_)
        | Failure::Panic) => failure.to_string(),
    };
    let (reason, what) = (Runbook(last.failure.reason()), Escaped(&what));
    match row.status.down_since {
        Some(since) => {
            let since = At::past(since);
            let remedy = advice(row.source.profile(), &last.failure);
            let remedy = Escaped(&remedy);
            let text = format_args!(
                "<p class=\"bad\">{reason} {what}</p><p>down since {since}</p><p>{remedy}</p>"
            );
            cell(out, COLUMN, "", format_args!("<div>{text}</div>"));
        }
        None => {
            let at = At::past(last.at);
            cell(out, COLUMN, "", format_args!("<p class=\"dim\">{reason} {what}, {at}</p>"));
        }
    }
}

fn login(out: &mut String, Row { source, status, .. }: &Row) {
    const COLUMN: usize = 9;
    let now = Instant::now();
    let blocked = status.login.blocked_until.map(|until| until.saturating_duration_since(now));
    let token = status.login.token_expiry;
    let token = token.and_then(|expiry| expiry.duration_since(SystemTime::now()).ok());
    let waits = match (blocked, status.held_back, status.backing_off) {
        (Some(rest), _, _) => Some(format!("logins held back until {}", At::coming(rest))),
        (None, Some((reason, rest)), _) => {
            Some(format!("requests held back until {} ({})", At::coming(rest), Runbook(reason)))
        }
        (None, None, Some(rest)) => {
            let at = At::coming(rest);
            Some(format!("not asked again until {at}: it failed, and has a min_interval"))
        }
        (None, None, None) => None,
    };
    let login = match (waits, token) {
        (Some(waits), _) => format!("<p class=\"wait\">{waits}</p>"),
        (None, Some(rest)) => format!("<p>token expires in {}</p>", Span(rest)),
        (None, None) => "<p class=\"dim\">no token kept</p>".to_owned(),
    };
    let certificate = source.api.certificate_expiry().map(certificate).unwrap_or_default();
    cell(out, COLUMN, "", format_args!("<div>{login}{certificate}</div>"));
}

/// As the alert ConferencingCertificateExpires has it.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// When the certificate that the system showed last expires, in seconds since 1970.
fn certificate(expiry: i64) -> String {
    let expiry = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(expiry).unwrap_or(0));
    match expiry.duration_since(SystemTime::now()) {
        Ok(rest) => {
            let class = if rest < SOON { "wait" } else { "dim" };
            format!("<p class=\"{class}\">certificate expires {}</p>", At::coming(rest))
        }
        Err(_) => format!("<p class=\"bad\">certificate expired {}</p>", At::past(expiry)),
    }
}

fn number(out: &mut String, column: usize, is_old: bool, value: Option<impl Display>) {
    let class = match (&value, is_old) {
        (None, _) => "n blank",
        (Some(_), true) => "n old",
        (Some(_), false) => "n",
    };
    cell(out, column, class, OrDash(value));
}

/// `content` is HTML.
fn cell(out: &mut String, column: usize, class: &str, content: impl Display) {
    let label = COLUMNS[column];
    let _ = write!(out, "<td data-l=\"{label}\" class=\"{class}\">{content}</td>");
}

/// A value, or a dash where it is not reported.
struct OrDash<T>(Option<T>);

impl<T: Display> Display for OrDash<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("–"),
        }
    }
}

/// A span of time in its largest unit.
struct Span(Duration);

impl Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0 if self.0.as_millis() == 0 => f.write_str("0 s"),
            0 => write!(f, "{} ms", self.0.as_millis()),
            1..10 => write!(f, "{:.1} s", self.0.as_secs_f64()),
            10..120 => write!(f, "{seconds} s"),
            120..7200 => write!(f, "{} min", seconds / 60),
            7200..172_800 => write!(f, "{} h", seconds / 3600),
            _ => write!(f, "{} d", seconds / 86_400),
        }
    }
}

/// A moment, in words for people and for machines: to the second, and how far away.
struct At {
    moment: SystemTime,
    away: Duration,
    is_past: bool,
}

impl At {
    fn past(moment: SystemTime) -> Self {
        let away = SystemTime::now().duration_since(moment).unwrap_or_default();
        Self { moment, away, is_past: true }
    }

    fn coming(rest: Duration) -> Self {
        Self { moment: SystemTime::now() + rest, away: rest, is_past: false }
    }
}

impl Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(moment) = jiff::Timestamp::try_from(self.moment) {
            write!(f, "<time datetime=\"{moment:.0}\">{}</time> ", moment.strftime("%F %T UTC"))?;
        }
        let away = Span(self.away);
        if self.is_past { write!(f, "({away} ago)") } else { write!(f, "(in {away})") }
    }
}

/// A reason, linked to the section that says what to do about it.
struct Runbook(Reason);

impl Display for Runbook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.0;
        write!(f, "<a href=\"{RUNBOOKS}#{reason}\"><code>{reason}</code></a>")
    }
}

/// Text as HTML.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_escaped() {
        let text = Escaped("<script>alert(\"1\" & '2')</script>").to_string();
        assert_eq!(text, "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;");
    }

    #[test]
    fn spans_are_short() {
        for (millis, text) in [
            (0, "0 s"),
            (42, "42 ms"),
            (1_500, "1.5 s"),
            (59_000, "59 s"),
            (840_000, "14 min"),
            (21_600_000, "6 h"),
            (172_800_000, "2 d"),
        ] {
            assert_eq!(Span(Duration::from_millis(millis)).to_string(), text);
        }
    }

    #[test]
    fn what_nobody_reports_is_no_zero() {
        assert_eq!(sum([].into_iter()), None);
        assert_eq!(sum([0, 2].into_iter()), Some(2));
    }
}
