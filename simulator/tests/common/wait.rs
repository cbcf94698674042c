// SPDX-License-Identifier: Apache-2.0
//! Waiting with an end: what is waited for in vain fails, and says what was seen instead.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::expect_used, reason = "a failure here is a failed test")]

use std::fmt::Debug;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// Nothing here takes longer, or the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// What comes of `what`, which comes soon.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it ends within 20 seconds")
}

/// Looks until it is `enough`, and answers what was seen last.
pub async fn until<T: Debug>(what: &str, look: impl Fn() -> T, enough: impl Fn(&T) -> bool) -> T {
    let begun = Instant::now();
    loop {
        let seen = look();
        if enough(&seen) {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}; last seen: {seen:?}");
        sleep(Duration::from_millis(2)).await;
    }
}
