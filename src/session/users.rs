// SPDX-License-Identifier: Apache-2.0
//! Which scrapes still use a session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The scrapes that may use a session. When a reload drops it, those under way finish with it, and
/// only then its token is given back; no further scrape begins to use it meanwhile.
#[derive(Debug, Default)]
pub struct Users {
    count: Mutex<Count>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Count {
    now: usize,
    is_dropped: bool,
}

/// One scrape's use of a session, until this is dropped.
#[derive(Debug)]
pub struct User(Arc<Users>);

impl Users {
    /// One more; `None`: the configuration no longer has the session.
    pub fn enter(self: &Arc<Self>) -> Option<User> {
        let mut count = self.count();
        if count.is_dropped {
            return None;
        }
        count.now += 1;
        Some(User(Arc::clone(self)))
    }

    /// Refuses further users, and waits until the last one has ended.
    pub async fn drain(&self) {
        self.count().is_dropped = true;
        loop {
            let left = self.left.notified();
            if self.count().now == 0 {
                return;
            }
            left.await;
        }
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut count = self.0.count();
        count.now -= 1;
        if count.now == 0 {
            // There is at most one who waits; where none does yet, it will not wait.
            self.0.left.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_last_to_leave_ends_it_and_nobody_enters_meanwhile() {
        let users = Arc::new(Users::default());
        let (one, two) = (users.enter().unwrap(), users.enter().unwrap());
        let mut drained = Box::pin(users.drain());
        assert!((&mut drained).now_or_never().is_none());
        assert!(users.enter().is_none());
        drop(one);
        assert!((&mut drained).now_or_never().is_none());
        drop(two);
        assert!(drained.now_or_never().is_some());
    }
}
