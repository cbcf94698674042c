// SPDX-License-Identifier: Apache-2.0
//! Who may see the answers of a source besides the module that asks, and who may give them in its
//! place: a recording that is made, or one that is replayed.

use hyper::StatusCode;

use super::{Answer, ApiError};
use crate::model::{CallName, Reason};

/// Sees every answer of a source, as it came.
pub trait Observer: Send + Sync {
    /// A call goes out; `about` tells which of several of its name it is, and is empty where there
    /// is one only. Returns the number to tell its outcome by. A call that is given up has none.
    fn call_sent(&self, call: CallName, about: &str) -> usize;

    /// What came of the call of that number.
    fn call_ended(&self, number: usize, outcome: Result<&Answer, &ApiError>);

    /// What the call of that number failed with in the end; `None`: its answer is the one asked for.
    fn call_judged(&self, _number: usize, _error: Option<&ApiError>) {}
}

/// What a stand-in has for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StandInAnswer {
    /// An answer: its status and body.
    Answer(StatusCode, Vec<u8>),
    /// A failure without an answer.
    Failure(Reason),
    /// Nothing ever: whoever asks waits until the time is up, or another call fails.
    Nothing,
}

/// Answers in place of a source. No request leaves the process.
pub trait StandIn: Send + Sync {
    /// What a call gets; `about` is as in [`Observer::call_sent`].
    fn answer(&self, call: CallName, about: &str) -> StandInAnswer;
}

impl<F: Fn(CallName) -> (StatusCode, Vec<u8>) + Send + Sync> StandIn for F {
    fn answer(&self, call: CallName, _: &str) -> StandInAnswer {
        let (status, body) = self(call);
        StandInAnswer::Answer(status, body)
    }
}
