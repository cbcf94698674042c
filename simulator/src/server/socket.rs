// SPDX-License-Identifier: Apache-2.0
//! A connection that counts itself and can end with a reset.

use super::Shared;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection that counts itself and can end with a reset.
pub(crate) struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
    shared: Option<Arc<Shared>>,
}

impl Socket {
    /// Counted among the open connections of `shared`, if given.
    pub(super) fn new(stream: TcpStream, shared: Option<Arc<Shared>>) -> Self {
        if let Some(shared) = &shared {
            shared.open.fetch_add(1, Ordering::Relaxed);
        }
        Self { stream, reset: Arc::default(), shared }
    }

    /// Set this to make the connection end with a reset (RST).
    pub(super) fn reset(&self) -> Arc<AtomicBool> {
        self.reset.clone()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Acquire) {
            let _ = self.stream.set_zero_linger();
        }
        if let Some(shared) = &self.shared {
            shared.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
