// SPDX-License-Identifier: Apache-2.0
//! All requests to a host share one connection of HTTP/2: what happens to it happens to all.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use hyper::{Request, Response, StatusCode, body::Incoming, header::HOST, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::Client;
use rustls::ServerConfig;
use simulator::{Options, Simulator, Vendor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::common::{
    Bench, config, credentials, entry,
    relay::{Fate, Relay},
    source,
    tls::Authority,
};

const VENDOR: Vendor = Vendor::HuaweiMeeting;

/// What the first connections meet.
#[derive(Clone, Copy, Debug)]
enum First {
    /// A server that answers.
    Good,
    /// One that is about to stop: it begins with no request any more.
    GoingAway,
    /// One that refuses each request.
    Refusing,
    /// One that ends the connection at the first request.
    Closing,
}

/// A server of HTTP/2 over TLS, and of HTTP/1.1, before a simulated system. Goes on until it is dropped.
struct Front {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Front {
    async fn start(simulator: &Simulator, mut server: ServerConfig, first: First) -> Self {
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let root = simulator.base_url(VENDOR);
        let accepting = tokio::spawn(async move {
            let client = Client::builder().no_proxy().build().unwrap();
            for number in 1.. {
                let Ok((socket, _)) = listener.accept().await else { return };
                let (acceptor, client, root) = (acceptor.clone(), client.clone(), root.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(socket).await else { return };
                    match first {
                        First::GoingAway | First::Refusing | First::Closing if number == 1 => {
                            misbehave(stream, first).await;
                        }
                        First::Good | First::GoingAway | First::Refusing | First::Closing => {
                            forward_all(stream, client, root).await;
                        }
                    }
                });
            }
        });
        Self { address, accepting }
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward_all(stream: TlsStream<tokio::net::TcpStream>, client: Client, root: String) {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| forward(client.clone(), root.clone(), request));
    let stream = TokioIo::new(stream);
    let _ = if is_http2 {
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        server.serve_connection(stream, service).await
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await
    };
}

async fn forward(
    client: Client,
    root: String,
    request: Request<Incoming>,
) -> Result<Response<reqwest::Body>, Infallible> {
    use http_body_util::BodyExt;
    let (parts, body) = request.into_parts();
    // As nginx does.
    if parts.uri.authority().is_some() && parts.headers.contains_key(HOST) {
        let mut refused = Response::new(reqwest::Body::from("duplicate host header"));
        *refused.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(refused);
    }
    let url = format!("{root}{}", parts.uri.path_and_query().unwrap());
    let body = body.collect().await.unwrap().to_bytes();
    let asked = client.request(parts.method, url).headers(parts.headers).body(body);
    Ok(asked.send().await.unwrap().into())
}

/// Speaks as much of HTTP/2 as it takes to answer each request with `first`.
async fn misbehave(mut stream: TlsStream<tokio::net::TcpStream>, first: First) {
    const PREFACE: usize = 24;
    let frame = |kind: u8, number: u32, payload: &[u8]| {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, 0]);
        bytes.extend(number.to_be_bytes());
        bytes.extend(payload);
        bytes
    };
    const SETTINGS: u8 = 4;
    const HEADERS: u8 = 1;
    let mut preface = [0; PREFACE];
    stream.read_exact(&mut preface).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, &[])).await.unwrap();
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] != HEADERS {
            continue;
        }
        let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match first {
            // The last request that was begun, and why: none, and for no error.
            First::GoingAway => stream.write_all(&frame(7, 0, &[0; 8])).await.unwrap(),
            First::Refusing => {
                stream.write_all(&frame(3, number, &[0, 0, 0, 7])).await.unwrap();
            }
            First::Closing | First::Good => return,
        }
    }
}

async fn bench(url: &str, authority: &Authority, timeout: &str) -> Bench {
    let tls = format!("tls: {{ ca_file: {} }}", authority.ca_file().display());
    Bench::new(&config(&[source(VENDOR, url, &[&tls, &format!("timeout: {timeout}")])])).await
}

async fn up(bench: &Bench) -> bool {
    bench.scrape().await.value("conferencing_up", &[]) == Some(1.0)
}

/// Nothing comes over the connection any more, and nothing ends it: the network lost it.
#[tokio::test]
async fn a_connection_that_fell_silent_is_noticed_within_the_scrape() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    let server = authority.server(&authority.issue("127.0.0.1"), false);
    let front = Front::start(&simulator, server, First::Good).await;
    let relay = Relay::start(front.address, |_| Fate::Passed).await;
    let bench = bench(&format!("https://{}", relay.address()), &authority, "4s").await;
    assert!(up(&bench).await);
    assert!(up(&bench).await);
    assert_eq!(relay.connections(), 1);
    relay.silence();
    assert!(up(&bench).await, "a ping finds out, and the request is sent again");
    assert_eq!(relay.connections(), 2);
}

/// All requests of all tenants are lost with the one connection they share.
#[tokio::test]
async fn a_connection_that_fell_silent_fails_none_of_its_tenants() {
    const TENANTS: usize = 10;
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    let server = authority.server(&authority.issue("127.0.0.1"), false);
    let front = Front::start(&simulator, server, First::Good).await;
    let relay = Relay::start(front.address, |_| Fate::Passed).await;
    let mut lines = credentials(VENDOR);
    lines.push(format!("tls: {{ ca_file: {} }}", authority.ca_file().display()));
    lines.push("timeout: 4s".to_owned());
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let tenants: Vec<_> = (0..TENANTS)
        .map(|number| {
            let (name, url) =
                (format!("t{number}"), format!("https://{}/i/t{number}", relay.address()));
            entry(&name, VENDOR, &url, &lines)
        })
        .collect();
    let bench = Bench::new(&config(&tenants)).await;
    for scrape in 1..=3 {
        let up = bench.scrape().await.sum("conferencing_up", &[]);
        assert_eq!(up, TENANTS as f64, "scrape {scrape}");
        relay.silence();
    }
}

/// A scrape that has less time than a ping takes.
#[tokio::test]
async fn a_connection_that_fell_silent_fails_one_scrape_at_most() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    let server = authority.server(&authority.issue("127.0.0.1"), false);
    let front = Front::start(&simulator, server, First::Good).await;
    let relay = Relay::start(front.address, |_| Fate::Passed).await;
    let bench = bench(&format!("https://{}", relay.address()), &authority, "60s").await;
    assert!(up(&bench).await);
    relay.silence();
    let all = bench.engine.select(conferencing_exporter::collect::Selection::All).unwrap();
    let little = Some(std::time::Duration::from_millis(300));
    let budget =
        conferencing_exporter::collect::Budget { scrape_timeout: little, ..Default::default() };
    let reports = bench.engine.collect(&all, budget).await;
    assert!(reports[0].outcome.is_err());
    assert!(up(&bench).await);
    assert_eq!(relay.connections(), 2);
}

/// Also the login, which would not be sent twice if it might have arrived.
#[tokio::test]
async fn what_a_server_did_not_begin_with_is_sent_again() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    for first in [First::GoingAway, First::Refusing] {
        let server = authority.server(&authority.issue("127.0.0.1"), false);
        let front = Front::start(&simulator, server, first).await;
        let bench = bench(&front.url(), &authority, "10s").await;
        assert!(up(&bench).await, "{first:?}");
    }
}

#[tokio::test]
async fn a_login_that_may_have_arrived_is_not_sent_again() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    let server = authority.server(&authority.issue("127.0.0.1"), false);
    let front = Front::start(&simulator, server, First::Closing).await;
    let bench = bench(&front.url(), &authority, "10s").await;
    assert!(!up(&bench).await);
    assert_eq!(bench.errors("connect"), 1.0);
    assert_eq!(bench.own().sum("conferencing_api_requests_total", &[]), 1.0);
}

/// HTTP/2 would name both the host that is announced and the one of `base_url`.
#[tokio::test]
async fn a_server_that_takes_one_host_only_takes_an_announced_name() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    let server = authority.server(&authority.issue("localhost"), false);
    let front = Front::start(&simulator, server, First::Good).await;
    let ca = authority.ca_file();
    let tls = format!("tls: {{ ca_file: {}, server_name: localhost }}", ca.display());
    let bench = Bench::new(&config(&[source(VENDOR, &front.url(), &[&tls])])).await;
    assert!(up(&bench).await, "{:?}", bench.failure().await);
}
