//! Whose turn it is to be collected, on one thread.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// Collections that may be under way on one thread. With more, each would only wait longer for the
/// processor, and what it keeps in memory would be gone from the caches by then.
pub const MOST_TURNS: usize = 512;

/// Whoever has waited that long for an answer gives its turn back and goes on without. Some systems
/// are slow and some do not answer at all; the others shall not wait for them.
const PATIENCE: Duration = Duration::from_millis(500);

/// A turn never takes longer: nor shall the others wait for a system that is asked hundreds of
/// questions.
const LONGEST_TURN: Duration = Duration::from_secs(2);

/// The turns of one thread, given in the order of asking.
pub(super) struct Turns(Arc<Semaphore>);

impl Turns {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    /// The next turn; `None` if it does not come before `end`.
    pub(super) async fn next(&self, end: Instant) -> Option<Turn> {
        let permit = timeout_at(end, Arc::clone(&self.0).acquire_owned()).await;
        // Nobody closes the semaphore.
        Some(Turn { _permit: permit.ok()?.ok()? })
    }
}

/// A turn, until it is given back or dropped.
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Turn {
    /// Does `collection`, and gives the turn back at its end or before: see [`PATIENCE`] and
    /// [`LONGEST_TURN`]. `landed` tells when an answer last came in.
    pub(super) async fn hold<F: Future>(
        self,
        collection: F,
        landed: impl Fn() -> Option<Instant>,
    ) -> F::Output {
        let mut collection = pin!(collection);
        let begun = Instant::now();
        let mut end = begun + PATIENCE;
        while end > Instant::now() {
            if let Ok(done) = timeout_at(end, collection.as_mut()).await {
                return done;
            }
            let progress = landed().map_or(begun, |landed| landed.max(begun));
            end = (progress + PATIENCE).min(begun + LONGEST_TURN);
        }
        drop(self);
        collection.await
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future};

    use futures_util::FutureExt as _;

    use super::*;

    fn next(turns: &Turns) -> Option<Turn> {
        turns.next(Instant::now()).now_or_never().flatten()
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_no_answer_lets_others_in() {
        let turns = Turns::new(2);
        let silent = |turn: Turn| Box::pin(turn.hold(future::pending::<()>(), || None));
        let (mut first, mut second) =
            (silent(next(&turns).unwrap()), silent(next(&turns).unwrap()));
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        tokio::time::advance(PATIENCE - Duration::from_millis(1)).await;
        assert!((&mut first).now_or_never().is_none());
        assert!(next(&turns).is_none(), "nobody has waited for long");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!((&mut first).now_or_never().is_none());
        assert_eq!(turns.0.available_permits(), 1);
        drop(second);
        assert_eq!(turns.0.available_permits(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_answers_keeps_its_turn_but_not_for_ever() {
        let turns = Turns::new(1);
        let landed = Cell::new(None);
        let busy = next(&turns).unwrap().hold(future::pending::<()>(), || landed.get());
        let mut busy = Box::pin(busy);
        assert!((&mut busy).now_or_never().is_none());
        let started = Instant::now();
        while turns.0.available_permits() == 0 {
            landed.set(Some(Instant::now()));
            tokio::time::advance(PATIENCE / 2).await;
            assert!((&mut busy).now_or_never().is_none());
        }
        assert_eq!(started.elapsed(), LONGEST_TURN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_does_not_come_in_time_is_not_waited_for() {
        let turns = Turns::new(1);
        let kept = next(&turns);
        let started = Instant::now();
        assert!(turns.next(started + Duration::from_secs(8)).await.is_none());
        assert_eq!(started.elapsed().as_secs(), 8);
        drop(kept);
        assert!(next(&turns).is_some());
    }
}
