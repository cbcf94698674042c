//! The thread that collects.
//!
//! One is enough for thousands of sources a second, and all that is allocated and freed for a
//! collection stays with it. On a runtime of several threads tasks move between them at each
//! answer, and the threads wait for each other's heaps.

use std::{io, thread};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// Threads that wait for name servers, of whom there are 64 at most, and for files, which are not
/// to wait for those.
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
