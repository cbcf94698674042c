// SPDX-License-Identifier: Apache-2.0
//! How long no request is sent to a source that throttles.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};

/// The pause after HTTP 429 without a usable `Retry-After`: no vendor documents one.
const DEFAULT: Duration = Duration::from_secs(60);

/// Longest pause that a header can ask for: a wrong value must not keep a source down for days.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The pause a `Retry-After` header asks for (seconds or an HTTP date, RFC 9110 section 10.2.3),
/// a minute without a usable one.
pub fn retry_after(header: Option<&str>, now: Timestamp) -> Duration {
    let Some(value) = header.map(str::trim) else { return DEFAULT };
    let seconds = value.parse::<u64>().ok().or_else(|| {
        let at = http_date(value)?;
        Some(u64::try_from(at.as_second() - now.as_second()).unwrap_or(0))
    });
    seconds.map_or(DEFAULT, |seconds| {
        Duration::from_secs(seconds).clamp(Duration::from_secs(1), LONGEST)
    })
}

/// The time of a header (RFC 9110 section 5.6.7).
pub(super) fn http_date(value: &str) -> Option<Timestamp> {
    Some(rfc2822::parse(value).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_dates_and_survives_nonsense() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let seconds = |header| retry_after(header, now).as_secs();
        assert_eq!(seconds(Some("7")), 7);
        assert_eq!(seconds(Some(" Fri, 20 Nov 2026 12:02:00 GMT ")), 120);
        assert_eq!(seconds(Some("Fri, 20 Nov 2026 11:00:00 GMT")), 1);
        assert_eq!(seconds(Some("0")), 1);
        assert_eq!(seconds(Some("86400")), 3_600);
        assert_eq!(seconds(Some("99999999999")), 3_600);
        assert_eq!(seconds(Some("Sat, 21 Nov 2026 12:00:00 GMT")), 3_600);
        for nonsense in [None, Some(""), Some("soon"), Some("-5")] {
            assert_eq!(seconds(nonsense), 60, "{nonsense:?}");
        }
    }
}
