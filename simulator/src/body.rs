// SPDX-License-Identifier: Apache-2.0
//! Bodies that misbehave on the wire.

use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// What is to be sent, or not.
pub(crate) enum Payload {
    Whole(Bytes),
    /// The same, its length not announced: the end of the connection is the end of the body.
    UntilClose(Bytes),
    Drip(Bytes),
    Half {
        body: Bytes,
        reset: bool,
    },
    Endless,
    /// No answer, the connection stays.
    Never,
    /// No answer, the connection is closed.
    Close,
}

/// What an answer that never ends goes on with.
pub(crate) static ENDLESS: [u8; 16_384] = [b'0'; 16_384];
/// A byte a second.
pub(crate) const DRIP: Duration = Duration::from_secs(1);
/// Time for the first half to leave before the connection breaks.
pub(crate) const SETTLE: Duration = Duration::from_millis(30);

pub(crate) struct FaultyBody {
    state: State,
    sleep: Option<Pin<Box<Sleep>>>,
}

enum State {
    Whole { left: Bytes, announced: bool },
    Drip(Bytes),
    Half { left: Bytes, announced: u64, reset: Option<Arc<AtomicBool>> },
    Endless { begun: bool },
}

impl FaultyBody {
    /// `reset` is set to make the connection end with a reset.
    pub(crate) fn new(payload: Payload, reset: &Arc<AtomicBool>) -> Self {
        let state = match payload {
            Payload::Whole(left) => State::Whole { left, announced: true },
            Payload::UntilClose(left) => State::Whole { left, announced: false },
            Payload::Drip(body) => State::Drip(body),
            Payload::Half { body, reset: with_reset } => State::Half {
                left: body.slice(..body.len() / 2),
                announced: body.len() as u64,
                reset: with_reset.then(|| reset.clone()),
            },
            Payload::Endless => State::Endless { begun: false },
            Payload::Never | Payload::Close => State::Whole { left: Bytes::new(), announced: true },
        };
        Self { state, sleep: None }
    }

    fn wait(&mut self, time: Duration, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(time)));
        let ready = sleep.as_mut().poll(context);
        if ready.is_ready() {
            self.sleep = None;
        }
        ready
    }
}

impl Body for FaultyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        match &mut this.state {
            State::Whole { left, .. } => {
                let left = std::mem::take(left);
                Poll::Ready((!left.is_empty()).then(|| Ok(Frame::data(left))))
            }
            State::Drip(left) if left.is_empty() => Poll::Ready(None),
            State::Drip(_) => {
                if this.wait(DRIP, context).is_pending() {
                    return Poll::Pending;
                }
                let State::Drip(left) = &mut this.state else { return Poll::Ready(None) };
                Poll::Ready(Some(Ok(Frame::data(left.split_to(1)))))
            }
            State::Half { left, .. } if !left.is_empty() => {
                let left = std::mem::take(left);
                Poll::Ready(Some(Ok(Frame::data(left))))
            }
            State::Half { reset, .. } => {
                if let Some(reset) = reset {
                    reset.store(true, Ordering::Release);
                }
                if this.wait(SETTLE, context).is_pending() {
                    return Poll::Pending;
                }
                Poll::Ready(Some(Err(io::Error::other("the body is to end here"))))
            }
            State::Endless { begun } => {
                let block = if *begun {
                    Bytes::from_static(&ENDLESS)
                } else {
                    Bytes::from_static(b"{\"padding\":\"")
                };
                *begun = true;
                Poll::Ready(Some(Ok(Frame::data(block))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.state, State::Whole { left, .. } if left.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Whole { left, announced: true } | State::Drip(left) => {
                SizeHint::with_exact(left.len() as u64)
            }
            State::Half { announced, .. } => SizeHint::with_exact(*announced),
            State::Whole { announced: false, .. } | State::Endless { .. } => SizeHint::default(),
        }
    }
}
