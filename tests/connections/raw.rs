// SPDX-License-Identifier: Apache-2.0
//! A server of raw bytes: it answers each connection as it is told.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::common::{Bench, config, source};
use simulator::Vendor;

/// What a test sees of a source that was collected once.
pub(crate) struct Outcome {
    /// `up`, or what the log would say.
    pub(crate) said: String,
    /// What a person is told to do.
    pub(crate) advice: String,
}

/// Collects one source of the kind of `vendor` at `url` once.
pub(crate) async fn outcome(vendor: Vendor, url: &str, extra: &[&str]) -> Outcome {
    let has_timeout = extra.iter().any(|line| line.starts_with("timeout:"));
    let lines = if has_timeout { extra.to_vec() } else { [&["timeout: 5s"], extra].concat() };
    let bench = Bench::new(&config(&[source(vendor, url, &lines)])).await;
    let reports = bench.reports().await;
    match &reports[0].outcome {
        Ok(_) => Outcome { said: "up".to_owned(), advice: String::new() },
        Err(failure) => Outcome {
            said: failure.to_string(),
            advice: conferencing_exporter::systems::advice(reports[0].source.profile(), failure)
                .into_owned(),
        },
    }
}

/// A server that does the same with each connection; it ends when this is dropped.
pub(crate) struct Raw {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl Raw {
    /// Answers whatever arrives first on a connection with `answer`, and closes it.
    pub(crate) async fn answering(answer: &'static [u8]) -> Self {
        Self::start(move |mut socket: TcpStream, _| async move {
            let _ = socket.write_all(answer).await;
        })
        .await
    }

    /// Gives each connection, and what arrived first on it, to `serve`.
    pub(crate) async fn start<F>(
        serve: impl Fn(TcpStream, Vec<u8>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, seen) = (Arc::new(AtomicUsize::new(0)), Arc::<Mutex<Vec<_>>>::default());
        let (counted, noted) = (Arc::clone(&connections), Arc::clone(&seen));
        let accepting = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let request = first(&mut socket).await;
                noted.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
                tokio::spawn(serve(socket, request));
            }
        });
        Self { address, connections, seen, accepting }
    }

    /// As a base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections came.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// What arrived first on each connection.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What arrives at once on `stream`.
pub(crate) async fn first(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut buffer = vec![0; 64 * 1024];
    let read = stream.read(&mut buffer).await.unwrap_or(0);
    buffer.truncate(read);
    buffer
}
