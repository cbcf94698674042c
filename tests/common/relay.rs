// SPDX-License-Identifier: Apache-2.0
//! A relay before a server, which sees each request as it passes and may do something to it.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is passed on.
    Passed,
    /// The connection is closed instead.
    Closed,
    /// The connection is reset instead.
    Reset,
}

/// A request that has arrived at a relay.
pub struct Passing<'a> {
    /// Its number on its connection, from 1.
    pub number: usize,
    /// The bytes that came together.
    pub bytes: &'a [u8],
}

impl Passing<'_> {
    /// Whether it asks for something whose path has this in it.
    pub fn asks_for(&self, path: &str) -> bool {
        let line = self.bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        String::from_utf8_lossy(line).contains(path)
    }
}

/// What decides about each request.
type Judge = dyn Fn(&Passing<'_>) -> Fate + Send + Sync;

/// A relay; it ends when this is dropped.
pub struct Relay {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    muted: watch::Sender<usize>,
    lost: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// Passes on to `to` whatever `judge` lets pass.
    pub async fn start(
        to: SocketAddr,
        judge: impl Fn(&Passing<'_>) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let muted = watch::Sender::new(0);
        let judge: Arc<Judge> = Arc::new(judge);
        let lost = Arc::new(AtomicUsize::new(0));
        let (counted, listening) = (Arc::clone(&connections), muted.subscribe());
        let known_lost = Arc::clone(&lost);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = counted.fetch_add(1, Ordering::Relaxed) + 1;
                let mut listening = listening.clone();
                let (judge, known_lost) = (Arc::clone(&judge), Arc::clone(&known_lost));
                tokio::spawn(async move {
                    let judge = move |passing: &Passing<'_>| {
                        let is_lost = number <= known_lost.load(Ordering::Relaxed);
                        if is_lost { Fate::Reset } else { judge(passing) }
                    };
                    let passing = pass_on(client, to, &judge);
                    tokio::pin!(passing);
                    let is_silent = tokio::select! {
                        () = &mut passing => false,
                        _ = listening.wait_for(|muted| *muted >= number) => true,
                    };
                    if is_silent {
                        // The connection stays, and nothing comes over it any more.
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { address, connections, muted, lost, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections came.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// The connections there are get reset at the next request on each, as by a network that does not
    /// know them any more.
    pub fn lose(&self) {
        self.lost.store(self.connections(), Ordering::Relaxed);
    }

    /// From now on nothing passes over the connections there are; they stay open.
    pub fn silence(&self) {
        self.muted.send_replace(self.connections());
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass_on(client: TcpStream, to: SocketAddr, judge: &Judge) {
    let server = TcpStream::connect(to).await.unwrap();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut from_client, mut to_client) = client.into_split();
    let answers = async {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    let requests = async {
        let fate = pass_requests(&mut from_client, &mut to_server, judge).await;
        let _ = to_server.shutdown().await;
        fate
    };
    tokio::pin!(answers);
    let fate = tokio::select! {
        fate = requests => fate,
        () = &mut answers => return,
    };
    match fate {
        Fate::Passed => answers.await,
        Fate::Closed => {}
        Fate::Reset => {
            let client = from_client.as_ref();
            socket2::SockRef::from(client).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        }
    }
}

async fn pass_requests(
    client: &mut OwnedReadHalf,
    server: &mut OwnedWriteHalf,
    judge: &Judge,
) -> Fate {
    let mut buffer = vec![0; 64 * 1024];
    let mut number = 0;
    while let Ok(read @ 1..) = client.read(&mut buffer).await {
        let bytes = &buffer[..read];
        if [&b"GET "[..], b"POST ", b"DELETE "].iter().any(|method| bytes.starts_with(method)) {
            number += 1;
            let fate = judge(&Passing { number, bytes });
            if fate != Fate::Passed {
                return fate;
            }
        }
        if server.write_all(bytes).await.is_err() {
            break;
        }
    }
    Fate::Passed
}
