// SPDX-License-Identifier: Apache-2.0
//! Answers of HTTP/1 that are not as they should be, and mean something all the same.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use simulator::Vendor;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::raw::{Raw, first, outcome};

const VENDOR: Vendor = Vendor::YeastarS;

/// Answers of the S-Series to what it is asked, one connection each, with `head` as the header lines.
async fn with_header(head: &'static [u8]) -> Raw {
    Raw::start(move |mut socket: TcpStream, request: Vec<u8>| async move {
        let body = right(&request);
        let length = format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let answer = [b"HTTP/1.1 200 OK\r\n", head, length.as_bytes(), body].concat();
        let _ = socket.write_all(&answer).await;
    })
    .await
}

/// The right answer to `request`.
pub(crate) fn right(request: &[u8]) -> &'static [u8] {
    let line = String::from_utf8_lossy(request.split(|byte| *byte == b'\r').next().unwrap());
    if line.contains("/login") {
        br#"{"status":"Success","token":"12345678"}"#
    } else if line.contains("in_session") {
        br#"{"status":"Success","conference":[]}"#
    } else if line.contains("conference/query") {
        br#"{"status":"Success","conferences":[]}"#
    } else {
        br#"{"status":"Success"}"#
    }
}

#[tokio::test]
async fn header_lines_may_be_written_badly() {
    for head in [
        &b"Content-Type: application/json\r\n"[..],
        b"Content-Type : application/json\r\n",
        b"X-Folded: one\r\n two\r\n",
        b"no colon at all\r\n",
        b"X-Control: a\x01b\r\n",
        b": no name\r\n",
        b"X-Foreign: \xb2\xe2\r\n",
    ] {
        let raw = with_header(head).await;
        let outcome = outcome(VENDOR, &raw.url(), &[]).await;
        assert_eq!(outcome.said, "up", "{}", String::from_utf8_lossy(head));
    }
}

/// A service that greets: its greeting may come before a request is sent, or after it.
#[tokio::test]
async fn who_speaks_first_does_not_speak_http() {
    const ATTEMPTS: usize = 40;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // A thread of its own is quick enough to be the first now and then.
    std::thread::spawn(move || {
        let mut open = Vec::new();
        while let Ok((mut socket, _)) = listener.accept() {
            let Ok(1..) = socket.write(b"Asterisk Call Manager/9.0.0\r\n") else { continue };
            open.push(socket);
            if open.len() > 2 * ATTEMPTS {
                return;
            }
        }
    });
    let mut said = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..ATTEMPTS {
        *said.entry(outcome(VENDOR, &url, &[]).await.said).or_default() += 1;
    }
    assert_eq!(said, [("login failed: decode (not an HTTP answer)".to_owned(), ATTEMPTS)].into());
}

/// An answer whose packing is wrong: a network is not to blame for it.
#[tokio::test]
async fn an_answer_that_cannot_be_unpacked_is_not_decodable() {
    const ZIPPED: &str = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n";
    let login = right(b"POST /login");
    let mut zipped = GzEncoder::new(Vec::new(), Compression::default());
    zipped.write_all(login).unwrap();
    let zipped = zipped.finish().unwrap();
    let without_end = &zipped[..zipped.len() / 2];
    let mut other_sum = zipped.clone();
    other_sum[zipped.len() - 8] ^= 1;
    let gzip = |body: &[u8]| [ZIPPED.as_bytes(), body].concat();
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (what, answer, words) in [
        ("whole", gzip(&zipped), ""),
        ("not zipped", gzip(login), "broken compression"),
        ("cut", gzip(without_end), "broken compression"),
        ("another sum", gzip(&other_sum), "broken compression"),
        ("not in chunks", [chunks, login].concat(), "not an HTTP answer"),
    ] {
        let raw = Raw::answering(answer.leak()).await;
        let said = outcome(VENDOR, &raw.url(), &[]).await.said;
        let login_worked = !said.starts_with("login");
        assert_eq!(login_worked, words.is_empty(), "{what}: {said}");
        assert!(login_worked || said.contains(&format!("decode ({words})")), "{what}: {said}");
    }
}

/// How an answer without a length ends, and how much of it came.
#[derive(Clone, Copy, Debug)]
enum End {
    Whole,
    Half,
}

mod without_leave {
    use std::sync::Arc;

    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::common::tls::Authority;

    /// Answers over TLS with `head`, and ends the TCP connection without the message that ends TLS.
    async fn outcome_of(head: &'static str, end: End) -> String {
        let authority = Authority::new();
        let server = authority.server(&authority.issue("127.0.0.1"), false);
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(socket).await else { return };
                    let request = first(&mut stream).await;
                    let body = right(&request);
                    let body = match end {
                        End::Whole => body,
                        End::Half => &body[..body.len() / 2],
                    };
                    let head = head.replace("LENGTH", &right(&request).len().to_string());
                    let _ = stream.write_all(&[head.as_bytes(), body].concat()).await;
                    let _ = stream.flush().await;
                    // Without a word.
                    let (socket, _) = stream.into_inner();
                    drop(socket);
                });
            }
        });
        let tls = format!("tls: {{ ca_file: {} }}", authority.ca_file().display());
        let outcome = outcome(VENDOR, &url, &[&tls]).await;
        accepting.abort();
        outcome.said
    }

    #[tokio::test]
    async fn a_whole_object_is_a_whole_answer_and_a_part_is_none() {
        const UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
        const OLD: &str = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n";
        const ANNOUNCED: &str = "HTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\n\r\n";
        // With a byte order mark before the object.
        const MARKED: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\u{feff}";
        for head in [UNTIL_CLOSE, OLD, ANNOUNCED, MARKED] {
            assert_eq!(outcome_of(head, End::Whole).await, "up", "{head}");
            let said = outcome_of(head, End::Half).await;
            assert!(
                said.contains("connect (closed before the answer was whole)"),
                "{head}: {said}"
            );
        }
    }
}
