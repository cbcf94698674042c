// SPDX-License-Identifier: Apache-2.0
//! Calls that a firmware was found not to have.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tracing::warn;

use crate::model::CallName;

/// How long a call that the firmware does not have is not tried again.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// A call that the firmware was found not to have. After an hour it is tried again: an update may
/// have brought it.
#[derive(Default)]
pub(super) struct Missing(Mutex<Option<Instant>>);

impl Missing {
    /// Whether it is not worth asking now.
    pub(super) fn is_known(&self) -> bool {
        let noted = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.is_some_and(|noted| noted.elapsed() < REMEMBERED)
    }

    /// Notes that `call` is missing; the log says so the first time.
    pub(super) fn note(&self, source: &str, call: CallName) {
        let before = self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
        if before.is_none() {
            warn!(
                source,
                call = call.as_str(),
                "this firmware has no such call: the metrics that need it are absent"
            );
        }
    }
}
