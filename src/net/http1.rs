// SPDX-License-Identifier: Apache-2.0
//! Requests and answers of HTTP/1 over a stream, one at a time.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Waker},
};

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::{io::ReadBuf, task::unconstrained};

use super::connect::Stream;

/// A stream, and what the library needs to send requests over it.
///
/// The library means that state to last as long as the connection, in a task of its own. It is 25 to 35 kB of queues and
/// buffers, of which a connection that waits for the next scrape needs nothing. So it is made when there is a request,
/// whoever waits for the answer drives it on, and it is dropped at the end of a collection, or when another connection to
/// the host was used after it. A connection is closed when it is dropped, in the middle of an answer as well.
pub(super) struct Exchange {
    sender: http1::SendRequest<Full<Bytes>>,
    connection: http1::Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>,
    has_ended: bool,
}

impl Exchange {
    /// One over `stream`, on which nothing is under way.
    ///
    /// # Errors
    /// None are known: nothing is sent yet.
    pub(super) async fn over(stream: Box<dyn Stream>) -> hyper::Result<Box<Self>> {
        let handshake = http1::Builder::new()
            // As in the vendors' samples: not every embedded server treats header names as case-insensitive.
            .title_case_headers(true)
            // Nor does every one of them write headers as it should.
            .ignore_invalid_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            // Requests are small: to copy their parts together takes less than to hand over a list of them.
            .writev(false)
            .handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await?;
        Ok(Box::new(Self { sender, connection, has_ended: false }))
    }

    /// Sends `request`, and waits for the head of its answer.
    ///
    /// # Errors
    /// What came instead.
    // No `async fn`: its future would hold the request twice.
    pub(super) fn send(
        mut self: Box<Self>,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = hyper::Result<(Response<Incoming>, Box<Self>)>> {
        // Polled with a waker that does nothing, it must not yield of its own accord.
        let answer = unconstrained(self.sender.send_request(request));
        async move {
            let mut answer = pin!(answer);
            let response = poll_fn(|context| {
                self.go_on(context);
                // Only what was read just now brings it, so nobody has to be woken for it.
                answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            })
            .await?;
            Ok((response, self))
        }
    }

    /// Reads and writes what can be read and written now. How the connection ended is told to whoever waits for the
    /// answer.
    pub(super) fn go_on(&mut self, context: &mut Context<'_>) {
        self.has_ended =
            self.has_ended || self.connection.poll_without_shutdown(context).is_ready();
    }

    /// Whether the next request may be sent: the last answer has come as a whole, and nothing after it, not even the
    /// end of the connection.
    pub(super) fn is_idle(&mut self) -> bool {
        self.go_on(&mut Context::from_waker(Waker::noop()));
        !self.has_ended && self.sender.is_ready()
    }

    /// The stream of an idle one.
    pub(super) fn into_stream(self) -> Option<Box<dyn Stream>> {
        let parts = self.connection.into_parts();
        parts.read_buf.is_empty().then(|| parts.io.into_inner())
    }
}

/// Whether nothing has come over `stream` since the last answer, not even its end.
pub(super) fn is_silent(stream: &mut dyn Stream) -> bool {
    let mut room = [0; 1];
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(stream).poll_read(&mut context, &mut ReadBuf::new(&mut room)).is_pending()
}
