//! What the operating system lets the process open, and how many requests that allows at once.

use std::{pin::Pin, sync::LazyLock, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{sync::Semaphore, time::timeout};
use tracing::debug;

/// Requests to all sources in flight at once, where the operating system does not allow fewer.
///
/// Besides the limit of each source. Whoever has to wait is served in the order of asking, and a
/// source asks for its few at a time only: none can get in front of the others with many.
const MOST_IN_FLIGHT: usize = 4096;

/// Of these, how many may be young. With more, each would only wait longer for its turn on the processor, and what it
/// keeps in memory would be gone from the caches by then: a source would cost half as much again.
const MOST_YOUNG: usize = 1024;

/// A request is young for so long. Some systems are slow and some do not answer at all; the others shall not wait for them.
const YOUNG: Duration = Duration::from_millis(500);

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

/// Does `request`, to any source, when it is its turn. `None`: its turn never comes.
pub async fn in_turn<F: Future>(request: Pin<&mut F>) -> Option<F::Output> {
    static TURNS: LazyLock<Turns> = LazyLock::new(|| Turns::new(MOST_YOUNG, in_flight()));
    TURNS.take(request).await
}

/// The requests in flight.
struct Turns {
    young: Semaphore,
    all: Semaphore,
}

impl Turns {
    fn new(young: usize, all: usize) -> Self {
        Self { young: Semaphore::new(young), all: Semaphore::new(all) }
    }

    async fn take<F: Future>(&self, mut request: Pin<&mut F>) -> Option<F::Output> {
        // Nobody closes them.
        let young = self.young.acquire().await.ok()?;
        let _one_of_all = self.all.acquire().await.ok()?;
        if let Ok(done) = timeout(YOUNG, request.as_mut()).await {
            return Some(done);
        }
        drop(young);
        Some(request.await)
    }
}

/// How many requests may be in flight at once. A request may hold two descriptors: its own
/// connection, and one that is kept for the next.
fn in_flight() -> usize {
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let half = allowed.saturating_sub(RESERVED) / 2;
    usize::try_from(half).unwrap_or(usize::MAX).clamp(16, MOST_IN_FLIGHT)
}

#[cfg(test)]
mod tests {
    use std::{future, pin::pin};

    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_lets_others_in_but_not_all() {
        let turns = Turns::new(2, 3);
        let silent = || async {
            turns.take(pin!(future::pending::<()>())).await;
        };
        let ready = async |value: u8| turns.take(pin!(future::ready(value))).await;
        let mut first = Box::pin(silent());
        let mut second = Box::pin(silent());
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        let mut third = Box::pin(ready(3));
        assert_eq!((&mut third).now_or_never(), None, "two are young");
        tokio::time::advance(YOUNG).await;
        assert!((&mut first).now_or_never().is_none());
        assert_eq!((&mut third).now_or_never(), Some(Some(3)), "only one is young");
        let mut fourth = Box::pin(silent());
        assert!((&mut second).now_or_never().is_none());
        assert!((&mut fourth).now_or_never().is_none());
        tokio::time::advance(YOUNG).await;
        assert!((&mut fourth).now_or_never().is_none());
        let mut fifth = Box::pin(ready(5));
        assert_eq!((&mut fifth).now_or_never(), None, "three are all there may be");
        drop(first);
        assert_eq!((&mut fifth).now_or_never(), Some(Some(5)));
    }

    #[test]
    fn some_requests_are_always_allowed_and_never_too_many() {
        raise_open_files();
        assert!((16..=MOST_IN_FLIGHT).contains(&in_flight()));
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
