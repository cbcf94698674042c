// SPDX-License-Identifier: Apache-2.0
//! How long a collection may take.

use std::time::Duration;

/// What a scrape allows a collection: the configured offset and, where Prometheus said so, its
/// own timeout.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    /// Prometheus' own timeout, from `X-Prometheus-Scrape-Timeout-Seconds`.
    pub scrape_timeout: Option<Duration>,
    /// Subtracted from that, so that the answer still arrives in time.
    pub offset: Duration,
}

impl Budget {
    /// The budget that follows from the header `X-Prometheus-Scrape-Timeout-Seconds`. A value
    /// that is not a positive number of seconds is ignored.
    pub fn from_header(header: Option<&str>, offset: Duration) -> Self {
        let scrape_timeout = header
            .and_then(|value| value.trim().parse::<f64>().ok())
            .filter(|seconds| *seconds > 0.0)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Self { scrape_timeout, offset }
    }

    /// The time for a source with the configured `timeout`: the smaller of the two. Where the
    /// offset would leave nothing of Prometheus' timeout, half of it is used instead.
    pub fn for_timeout(self, timeout: Duration) -> Duration {
        let Some(scrape) = self.scrape_timeout else { return timeout };
        let usable =
            scrape.checked_sub(self.offset).filter(|rest| !rest.is_zero()).unwrap_or(scrape / 2);
        usable.min(timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFSET: Duration = Duration::from_millis(500);

    fn budget(header: &str) -> u128 {
        Budget::from_header(Some(header), OFFSET).for_timeout(Duration::from_secs(10)).as_millis()
    }

    #[test]
    fn is_the_smaller_of_timeout_and_header_less_offset() {
        assert_eq!(budget("5"), 4_500);
        assert_eq!(budget("2.25"), 1_750);
        assert_eq!(budget("30"), 10_000);
        assert_eq!(Budget::default().for_timeout(OFFSET), OFFSET);
    }

    #[test]
    fn never_vanishes_and_ignores_nonsense() {
        assert_eq!(budget("0.4"), 200);
        assert_eq!(budget("0.5"), 250);
        for nonsense in ["", "0", "-3", "NaN", "inf", "soon", "1e300"] {
            assert_eq!(budget(nonsense), 10_000, "{nonsense}");
        }
    }
}
