// SPDX-License-Identifier: Apache-2.0
//! How many files the operating system allows the process to open, and how many requests at once
//! follow from that.

use std::sync::LazyLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::debug;

/// Requests to all sources in flight at once, where the operating system does not allow fewer.
///
/// This comes on top of the limit of each source. Permits are granted in the order of asking, and a
/// source waits for `max_concurrency` permits at most, so a source with many requests does not delay
/// the others.
const MOST_IN_FLIGHT: usize = 4096;

/// Descriptors kept for everything but requests to sources: clients, files, the runtime.
const RESERVED: u64 = 256;

/// Raises the limit of open files as far as the process may: a request takes a descriptor, and the
/// usual 1,024 are a limit of programs that use `select`.
pub fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => debug!(from = current, to = maximum, "raised the limit of open files"),
        Err(error) => debug!(%error, "the limit of open files stays as it is"),
    }
}

/// Waits until one more request may be in flight, which it is as long as the permit is kept. The
/// semaphore is never closed, so the result is always a permit.
pub async fn request() -> Option<SemaphorePermit<'static>> {
    static IN_FLIGHT: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(in_flight()));
    IN_FLIGHT.acquire().await.ok()
}

/// How many connections a host of so many `sources` may keep for their next requests, where there are
/// `all` of them: no more than may be in use at once, and all hosts together no more descriptors than
/// those that requests in flight leave.
pub fn kept_connections(sources: usize, all: usize) -> usize {
    (half_of_the_descriptors().saturating_mul(sources) / all.max(1)).min(in_flight())
}

/// How many requests may be in flight at once. A request may hold two descriptors: its own
/// connection, and one that is kept for the next.
fn in_flight() -> usize {
    half_of_the_descriptors().clamp(16, MOST_IN_FLIGHT)
}

fn half_of_the_descriptors() -> usize {
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(allowed.saturating_sub(RESERVED) / 2).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_requests_are_always_allowed_and_never_too_many() {
        raise_open_files();
        assert!((16..=MOST_IN_FLIGHT).contains(&in_flight()));
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
