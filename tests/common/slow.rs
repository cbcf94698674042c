// SPDX-License-Identifier: Apache-2.0
//! A way to a system on which answers take time: before their first byte, and in their middle.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};

/// When an answer pauses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pauses {
    /// Before its first byte.
    pub before: Duration,
    /// After half of what the system sends at once.
    pub inside: Duration,
}

/// Listens on this machine and passes everything on, until it is dropped.
pub struct SlowWay {
    pub address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl SlowWay {
    /// A way to `to`, an address as in `http://127.0.0.1:8088`.
    pub async fn to(to: &str, pauses: Pauses) -> Self {
        let to: SocketAddr = to.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, to, pauses));
            }
        });
        Self { address, accepting }
    }

    /// The base URL of the system's `instance` this way.
    pub fn url(&self, instance: &str) -> String {
        format!("http://{}/i/{instance}", self.address)
    }
}

impl Drop for SlowWay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What the client sends arrives at once, also if it does not wait for the answer.
async fn pass_on(client: TcpStream, to: SocketAddr, pauses: Pauses) {
    let Ok(server) = TcpStream::connect(to).await else { return };
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let asking = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
        sleep(pauses.before).await;
        let (one, other) = buffer[..read].split_at(read / 2);
        let sent = to_client.write_all(one).await;
        sleep(pauses.inside).await;
        if sent.is_err() || to_client.write_all(other).await.is_err() {
            break;
        }
    }
    drop(to_client);
    let _ = asking.await;
}
