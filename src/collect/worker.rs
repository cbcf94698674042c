//! Threads that collect, each with a runtime of its own.
//!
//! A source always belongs to the same one. With one runtime on all threads, tasks move between
//! them at each answer: what one has allocated the other frees, so that both wait for each other's
//! heap, and neither finds in its caches what it worked with a moment ago.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::Arc,
    thread,
};

use tokio::{
    runtime::{Builder, Handle},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::turns::{MOST_TURNS, Turns};

/// Threads of one worker that wait for name servers, of whom there are 64 in all at most, and for
/// files, which are not to wait for those. All workers together stay below the unit's `TasksMax`:
/// a runtime that could not start any would fail whoever needs one.
const MOST_BLOCKED: usize = 80;

/// The threads that collect. They end when this is dropped.
pub struct Workers {
    workers: Vec<Arc<Worker>>,
    stop: CancellationToken,
}

impl Workers {
    /// Starts `count` threads, at least one.
    ///
    /// # Errors
    /// The operating system does not allow it.
    pub fn start(count: usize) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let workers = (0..count.max(1)).map(|number| Worker::start(number, stop.clone()));
        Ok(Self { workers: workers.collect::<io::Result<_>>()?, stop })
    }

    /// No threads: sources are collected on the runtime of whoever asks.
    pub fn none() -> Self {
        let worker = Worker { runtime: None, turns: Turns::new(MOST_TURNS) };
        Self { workers: vec![Arc::new(worker)], stop: CancellationToken::new() }
    }

    /// Which one the source `name` belongs to: always the same, whatever else is configured.
    pub(super) fn place(&self, name: &str) -> usize {
        let mut hash = DefaultHasher::new();
        name.hash(&mut hash);
        (hash.finish() % self.workers.len() as u64) as usize
    }

    pub(super) fn at(&self, place: usize) -> Arc<Worker> {
        Arc::clone(&self.workers[place])
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// One of the threads.
pub(super) struct Worker {
    /// `None`: that of whoever asks.
    runtime: Option<Handle>,
    pub(super) turns: Turns,
}

impl Worker {
    fn start(number: usize, stop: CancellationToken) -> io::Result<Arc<Self>> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(MOST_BLOCKED)
            .build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name(format!("collect-{number}")).spawn(move || {
            runtime.block_on(stop.cancelled());
            // What is still blocked in a system call must not keep the thread.
            runtime.shutdown_background();
        })?;
        Ok(Arc::new(Self { runtime: Some(handle), turns: Turns::new(MOST_TURNS) }))
    }

    /// Lets the thread do `future`.
    pub(super) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        match &self.runtime {
            Some(runtime) => runtime.spawn(future),
            None => tokio::spawn(future),
        }
    }
}
