// SPDX-License-Identifier: Apache-2.0
//! Limits of connections: in the process, where time can be told to pass.

#![allow(clippy::expect_used, reason = "in a test a panic is how a failure is reported")]

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use clap::Parser;
use conferencing_exporter::{
    cli::{Cli, ListenAddress},
    collect::Engine,
    limits,
    metrics::own::Own,
    systems::catalogue,
    web::{LastLoad, Site, accept::Server, listen, security::Security},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, timeout},
};

/// A server without sources, on a free port.
fn server() -> (Server, SocketAddr) {
    server_with(None)
}

/// The same with a web configuration.
fn server_with(web_config: Option<&Path>) -> (Server, SocketAddr) {
    let arguments = ["conferencing_exporter", "--web.listen-address", "127.0.0.1:0"];
    let options = Cli::try_parse_from(arguments).expect("arguments").options;
    let own = Own::new().expect("metrics");
    let engine = Arc::new(Engine::new(Arc::clone(&own), catalogue()));
    let security = Security::new(web_config, Arc::clone(&own));
    security.load().expect("web configuration");
    let site = Site::new(&options, engine, own, security, mpsc::channel(1).0, LastLoad::default());
    let server = Server::new(site);
    let listener = listen::bind(&options.listen_addresses).expect("socket").remove(0);
    let ListenAddress::Address(address) = *listener.address() else { panic!("{listener:?}") };
    server.serve(listener);
    (server, address)
}

async fn connect(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connection");
    stream.write_all(bytes).await.expect("written");
    stream
}

/// Longest a connection may stay open, by the clock of the runtime.
const LONGEST: Duration = Duration::from_secs(600);

/// Everything up to the end of the connection, and when that came.
async fn rest(mut stream: TcpStream) -> (String, Duration) {
    let started = Instant::now();
    let mut bytes = Vec::new();
    // Cut off while bytes are under way, a connection ends in a reset.
    let ended = timeout(LONGEST, stream.read_to_end(&mut bytes)).await;
    let text = String::from_utf8(bytes).expect("text");
    assert!(ended.is_ok(), "still open after {text:?}");
    (text, started.elapsed())
}

/// One answer of a connection that stays open.
async fn answer(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("written");
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"healthy\n") {
        let read = timeout(LONGEST, stream.read_buf(&mut bytes)).await;
        let open = matches!(read, Ok(Ok(read)) if read > 0);
        assert!(open, "{read:?} after {:?}", String::from_utf8_lossy(&bytes));
    }
    String::from_utf8(bytes).expect("text")
}

fn is_about(time: Duration, seconds: u64) -> bool {
    (seconds..seconds + 2).contains(&time.as_secs())
}

#[tokio::test(start_paused = true)]
async fn slow_heads_are_cut_off_while_others_are_served() {
    let (_server, address) = server();
    let silent = connect(address, b"").await;
    let slow = connect(address, b"GET / HTTP/1.1\r\nHost").await;
    let dripping = tokio::spawn(async move {
        let mut stream = connect(address, b"GET / HTTP/1.1\r\n").await;
        let started = Instant::now();
        while stream.write_all(b"A: b\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if started.elapsed() > Duration::from_secs(60) {
                break;
            }
        }
        started.elapsed()
    });
    let mut good = connect(address, b"").await;
    assert!(answer(&mut good).await.starts_with("HTTP/1.1 200 "));
    let (silent, slow) = tokio::join!(rest(silent), rest(slow));
    assert!(silent.0.is_empty() && is_about(silent.1, 10), "{silent:?}");
    assert!(slow.0.is_empty() && is_about(slow.1, 10), "{slow:?}");
    let dripped = dripping.await.expect("dripped");
    assert!(dripped < Duration::from_secs(14), "{dripped:?}");
    // Between two requests a connection may rest for longer than that.
    assert!(answer(&mut good).await.starts_with("HTTP/1.1 200 "));
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(answer(&mut good).await.starts_with("HTTP/1.1 200 "));
    let (_, rested) = rest(good).await;
    assert!(is_about(rested, 150), "{rested:?}");
}

#[tokio::test(start_paused = true)]
async fn slow_handshakes_are_cut_off() {
    let directory = tempfile::TempDir::new().expect("directory");
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("certificate");
    fs::write(directory.path().join("pem"), own.cert.pem() + &own.signing_key.serialize_pem())
        .expect("written");
    let file = directory.path().join("web.yaml");
    fs::write(&file, "tls_server_config: { cert_file: pem, key_file: pem }").expect("written");
    let (_server, address) = server_with(Some(&file));
    let silent = connect(address, b"").await;
    let slow = connect(address, &[22, 3, 1, 2, 0, 1]).await;
    let (silent, slow) = tokio::join!(rest(silent), rest(slow));
    assert!(silent.0.is_empty() && is_about(silent.1, 10), "{silent:?}");
    assert!(slow.0.is_empty() && is_about(slow.1, 10), "{slow:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_head_may_not_be_slow_either() {
    let (_server, address) = server();
    let mut stream = connect(address, b"").await;
    answer(&mut stream).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    stream.write_all(b"GET /").await.expect("written");
    let (text, time) = rest(stream).await;
    assert!(text.is_empty() && is_about(time, 10), "{text} {time:?}");
}

#[tokio::test]
async fn heads_are_limited() {
    let (_server, address) = server();
    for head in [
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(40_000)),
        format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(40_000)),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(1_000)),
    ] {
        let (text, _) = rest(connect(address, head.as_bytes()).await).await;
        assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
    }
    let head = format!("GET /sd HTTP/1.0\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(20_000));
    let (text, _) = rest(connect(address, head.as_bytes()).await).await;
    assert!(text.starts_with("HTTP/1.0 200 "), "{text}");
    let (text, _) = rest(connect(address, b"nonsense\r\n\r\n").await).await;
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
}

#[tokio::test]
async fn bodies_are_not_waited_for() {
    let (_server, address) = server();
    let head = "POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nabc";
    let (text, _) = rest(connect(address, head.as_bytes()).await).await;
    assert!(text.starts_with("HTTP/1.1 403 "), "{text}");
}

#[tokio::test(start_paused = true)]
async fn no_more_than_1024_connections() {
    // Both ends of each are in this process, and many a system allows 1,024 descriptors at first.
    limits::raise_open_files();
    let (_server, address) = server();
    let mut open = Vec::new();
    for _ in 0..1024 {
        open.push(connect(address, b"").await);
    }
    // One more waits until one of the silent ones has gone.
    let mut late = connect(address, b"").await;
    let started = Instant::now();
    assert!(answer(&mut late).await.starts_with("HTTP/1.1 200 "));
    let waited = started.elapsed();
    assert!((1..12).contains(&waited.as_secs()), "{waited:?}");
    drop(open);
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_a_stop() {
    let (server, address) = server();
    let mut idle = connect(address, b"").await;
    answer(&mut idle).await;
    let silent = connect(address, b"").await;
    // It must be accepted before the stop, or nobody ever sees it.
    answer(&mut connect(address, b"").await).await;
    timeout(Duration::from_secs(5), server.drain()).await.expect("drained");
    assert_eq!(rest(idle).await.0, "");
    assert_eq!(rest(silent).await.0, "");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
