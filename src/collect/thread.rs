// SPDX-License-Identifier: Apache-2.0
//! The thread that collects.
//!
//! One thread is enough for thousands of sources a second, and it allocates and frees all memory of
//! a collection itself. On a runtime of several threads tasks move between them at each answer, and
//! the threads contend for the allocator.

use std::{io, thread};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// Most threads for blocking calls. Up to 64 of them wait for name servers; the others are left for
/// reading files, which must not wait behind lookups.
const MOST_BLOCKED: usize = 80;

/// A thread with a runtime of its own. It ends when this is dropped.
pub struct CollectorThread {
    runtime: Handle,
    stop: CancellationToken,
}

impl CollectorThread {
    /// Starts it.
    ///
    /// # Errors
    /// The operating system does not allow it.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(MOST_BLOCKED)
            .build()?;
        let (handle, stop) = (runtime.handle().clone(), CancellationToken::new());
        let stopped = stop.clone();
        thread::Builder::new().name("collect".to_owned()).spawn(move || {
            runtime.block_on(stopped.cancelled());
            // What is still blocked in a system call must not keep the thread.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, stop })
    }

    /// Its runtime.
    pub const fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

impl Drop for CollectorThread {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
