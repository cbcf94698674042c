// SPDX-License-Identifier: Apache-2.0
//! The calls of one collection, as a person wants to see them: in which order, how long, what came.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hyper::StatusCode;
use tokio::time::Instant;

use super::{Answer, ApiError, Observer};
use crate::model::CallName;

/// Notes each call of a handle that it observes. Nothing of what was sent or answered is in it.
pub struct Trace {
    started: Instant,
    calls: Mutex<Vec<Traced>>,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Traced {
    /// Which.
    pub call: CallName,
    /// How long after the beginning of the trace it was sent.
    pub after: Duration,
    /// How long its answer took; `None`: there is none, or none yet.
    pub took: Option<Duration>,
    /// The status of the answer and the bytes of its body, decompressed.
    pub answer: Option<(StatusCode, usize)>,
    /// Why no answer came, or what the system's module found in it.
    pub error: Option<ApiError>,
}

impl Default for Trace {
    fn default() -> Self {
        Self { started: Instant::now(), calls: Mutex::default() }
    }
}

impl Trace {
    /// The calls so far, in the order in which they were sent.
    pub fn calls(&self) -> Vec<Traced> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, number: usize, note: impl FnOnce(&mut Traced)) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(traced) = calls.get_mut(number) {
            note(traced);
        }
    }
}

impl Observer for Trace {
    fn call_sent(&self, call: CallName, _about: &str) -> usize {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let after = self.started.elapsed();
        calls.push(Traced { call, after, took: None, answer: None, error: None });
        calls.len() - 1
    }

    fn call_ended(&self, number: usize, outcome: Result<&Answer, &ApiError>) {
        self.note(number, |traced| {
            traced.took = Some(self.started.elapsed().saturating_sub(traced.after));
            traced.answer = outcome.ok().map(|answer| (answer.status, answer.bytes().len()));
        });
    }

    fn call_judged(&self, number: usize, error: Option<&ApiError>) {
        self.note(number, |traced| traced.error = error.cloned());
    }
}
