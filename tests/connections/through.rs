// SPDX-License-Identifier: Apache-2.0
//! Systems that are reached through a proxy which does as it is asked.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use simulator::{Options, Simulator, Vendor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::raw::outcome;
use crate::common::tls::Authority;

const VENDOR: Vendor = Vendor::YeastarS;

/// `user:password`, as HTTP has it.
const BASIC: &str = "Basic dXNlcjpwYXNzd29yZA==";

/// A proxy for those who show its user and password. Wherever they want to go, they come to `to`.
struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    async fn start(to: SocketAddr, speaks_socks: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&asked);
        let accepting = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let noted = Arc::clone(&noted);
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(to).await.unwrap();
                    let asked = if speaks_socks {
                        socks(&mut client).await
                    } else {
                        http(&mut client, &mut server).await
                    };
                    noted.lock().unwrap().extend(asked);
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { address, asked, accepting }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Opens a connection for CONNECT, and passes any other request on; what was asked for.
async fn http(client: &mut TcpStream, server: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let text = String::from_utf8(head).unwrap();
    let shown = format!("Proxy-Authorization: {BASIC}\r\n");
    let asked = text.split(" HTTP/1.1").next().unwrap().to_owned();
    if !text.contains(&shown) {
        return Some(format!("{asked} without credentials"));
    }
    if text.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
    } else {
        server.write_all(text.as_bytes()).await.ok()?;
    }
    Some(asked)
}

/// RFC 1928 and 1929.
async fn socks(client: &mut TcpStream) -> Option<String> {
    let (_version, methods) = (client.read_u8().await.ok()?, client.read_u8().await.ok()?);
    let mut offered = vec![0; methods.into()];
    client.read_exact(&mut offered).await.ok()?;
    client.write_all(&[5, 2]).await.ok()?;
    let _version = client.read_u8().await.ok()?;
    let mut shown = Vec::new();
    for _ in 0..2 {
        let mut part = vec![0; client.read_u8().await.ok()?.into()];
        client.read_exact(&mut part).await.ok()?;
        shown.push(String::from_utf8(part).unwrap());
    }
    client.write_all(&[1, u8::from(shown != ["user", "password"])]).await.ok()?;
    let mut request = [0; 4];
    client.read_exact(&mut request).await.ok()?;
    let length = if request[3] == 3 { client.read_u8().await.ok()? } else { 4 };
    let mut host = vec![0; length.into()];
    client.read_exact(&mut host).await.ok()?;
    let port = client.read_u16().await.ok()?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
    let host = match request[3] {
        3 => String::from_utf8(host).unwrap(),
        _ => host.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
    };
    Some(format!("{host}:{port}"))
}

fn address(simulator: &Simulator) -> SocketAddr {
    simulator.base_url(VENDOR).trim_start_matches("http://").parse().unwrap()
}

#[tokio::test]
async fn a_system_is_reached_through_each_kind_of_proxy() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let (plain, authority) = (address(&simulator), Authority::new());
    let secure = authority.front(&authority.issue("pbx.test"), plain, false).await;
    let ca_file = authority.ca_file();
    for (is_secure, to) in [(false, plain), (true, secure)] {
        let (http, socks) = (Proxy::start(to, false).await, Proxy::start(to, true).await);
        let front = authority.front(&authority.issue("127.0.0.1"), http.address, false).await;
        for (scheme, proxy, at) in [
            ("http", &http, http.address),
            ("https", &http, front),
            ("socks5h", &socks, socks.address),
        ] {
            let url = if is_secure { "https://pbx.test" } else { "http://pbx.test" };
            let port = if is_secure { 443 } else { 80 };
            let lines = [
                format!("proxy_url: {scheme}://user:password@{at}"),
                format!("tls: {{ ca_file: {} }}", ca_file.display()),
            ];
            let said = outcome(VENDOR, url, &lines.each_ref().map(String::as_str)).await.said;
            assert_eq!(said, "up", "{scheme}, {url}");
            let asked = proxy.asked();
            let expected = match (scheme, is_secure) {
                ("socks5h", _) => format!("pbx.test:{port}"),
                (_, true) => format!("CONNECT pbx.test:{port}"),
                (_, false) => "POST http://pbx.test/api/v2.0.0/".to_owned(),
            };
            let is_expected = |asked: &String| match is_secure || scheme == "socks5h" {
                true => *asked == expected,
                false => asked.starts_with(&expected),
            };
            assert!(!asked.is_empty() && asked.iter().all(is_expected), "{scheme}: {asked:?}");
        }
    }
}

/// `socks5` looks names up itself, `socks5h` lets the proxy do it.
#[tokio::test]
async fn socks5_is_asked_for_an_address() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let proxy = Proxy::start(address(&simulator), true).await;
    let through = format!("proxy_url: socks5://user:password@{}", proxy.address);
    assert_eq!(outcome(VENDOR, "http://127.0.0.9:8088", &[&through]).await.said, "up");
    assert!(proxy.asked().iter().all(|asked| asked == "127.0.0.9:8088"));
    // Where it is an address of IPv6 this proxy does not understand it, but a name it is not.
    outcome(VENDOR, "http://localhost:7", &[&through]).await;
    let asked = proxy.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked != "localhost:7"), "{asked:?}");
}

#[tokio::test]
async fn a_socks_proxy_that_refuses_the_password_is_named() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let proxy = Proxy::start(address(&simulator), true).await;
    let through = format!("proxy_url: socks5h://user:wrong@{}", proxy.address);
    let said = outcome(VENDOR, "http://pbx.test", &[&through]).await.said;
    let expected = "login failed at the proxy: connect (it does not accept the user and password)";
    assert_eq!(said, expected);
}
