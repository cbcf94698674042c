// SPDX-License-Identifier: Apache-2.0
//! A server of a text protocol that says what a test wants it to.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// What a request is answered with; `None`: the connection is closed instead.
pub type Reply = Option<Vec<u8>>;

/// Greets, and answers each request, which ends with an empty line.
pub struct Script {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    accepting: AbortHandle,
}

impl Drop for Script {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Script {
    /// Listens on a free port of this machine.
    pub async fn start(
        greeting: impl Into<Vec<u8>>,
        reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (greeting, reply) = (Arc::new(greeting.into()), Arc::new(reply));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (greeting, reply) = (Arc::clone(&greeting), Arc::clone(&reply));
                let noted = Arc::clone(&noted);
                tokio::spawn(async move {
                    // How a connection ended is for the client to report.
                    let _ = serve(socket, &greeting, &*reply, &noted).await;
                });
            }
        });
        Self { address, seen, accepting: accepting.abort_handle() }
    }

    pub fn url(&self) -> String {
        format!("tcp://{}", self.address)
    }

    /// Everything that was sent to it, request by request.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    mut socket: TcpStream,
    greeting: &[u8],
    reply: &(impl Fn(&str) -> Reply + ?Sized),
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    socket.write_all(greeting).await?;
    let mut received = String::new();
    loop {
        let mut bytes = [0; 4096];
        let count = socket.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        received.push_str(&String::from_utf8_lossy(&bytes[..count]).replace('\r', ""));
        while let Some((request, rest)) = received.split_once("\n\n") {
            let (request, rest) = (request.to_owned(), rest.to_owned());
            received = rest;
            seen.lock().unwrap().push(request.clone());
            match reply(&request) {
                Some(bytes) => socket.write_all(&bytes).await?,
                None => return Ok(()),
            }
        }
    }
}
