// SPDX-License-Identifier: Apache-2.0
//! What a proxy on the way answers is not what the system answers.

use std::future::pending;

use simulator::{Options, Simulator, Vendor};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::raw::{Raw, outcome};
use crate::common::{binary::Exporter, config, entry, refusing::Refusing};

const VENDOR: Vendor = Vendor::YeastarS;

fn through(proxy: &str) -> String {
    format!("proxy_url: {proxy}")
}

/// A proxy that will not open a connection to the system.
#[tokio::test]
async fn a_refused_tunnel_is_the_proxys_with_its_status() {
    for (answer, status, words) in [
        (
            &b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"p\"\r\nContent-Length: 0\r\n\r\n"[..],
            "407",
            "user",
        ),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403", "allow"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", "502", "reach"),
        (b"HTTP/1.1 504 Gateway Timeout\r\n\r\n", "504", "reach"),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", "401", "user"),
        (b"HTTP/1.1 429 Too Many Requests\r\n\r\n", "429", "proxy"),
    ] {
        let proxy = Raw::answering(answer).await;
        let outcome = outcome(VENDOR, "https://pbx.invalid", &[&through(&proxy.url())]).await;
        assert!(outcome.said.contains("at the proxy: connect"), "{}", outcome.said);
        assert!(outcome.said.contains(&format!("code {status}")), "{}", outcome.said);
        assert!(outcome.advice.contains("proxy"), "{status}: {}", outcome.advice);
        assert!(outcome.advice.contains(words), "{status}: {}", outcome.advice);
        let asked = proxy.seen();
        let once = asked.len() == 1 && asked[0].starts_with("CONNECT pbx.invalid:443 ");
        assert!(once, "{asked:?}");
    }
}

/// What a proxy says about it to people comes behind its answer, and the connection may stay.
#[tokio::test]
async fn a_refused_tunnel_is_known_by_the_head_of_the_answer() {
    let proxy = Raw::start(|mut socket: TcpStream, _| async move {
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\nwho?";
        let _ = socket.write_all(answer).await;
        pending::<()>().await;
    })
    .await;
    let said = outcome(VENDOR, "https://pbx.invalid", &[&through(&proxy.url())]).await.said;
    let expected =
        "login failed at the proxy: connect (it asks for a user and a password) (code 407)";
    assert_eq!(said, expected);
}

/// A proxy that answers in place of a system that is reached without TLS.
#[tokio::test]
async fn what_a_forwarding_proxy_answers_itself_is_not_the_systems() {
    for (answer, said) in [
        (
            &b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"[..],
            "login failed at the proxy: http_4xx (it asks for a user and a password) (code 407)",
        ),
        (
            b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/html\r\n\r\n<html>who?</html>",
            "login failed at the proxy: http_4xx (code 401)",
        ),
        (
            b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 600\r\nContent-Length: 0\r\n\r\n",
            "login failed at the proxy: http_4xx (code 429)",
        ),
        (
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            "login failed at the proxy: http_4xx (code 403)",
        ),
        (
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            "login failed at the proxy: http_5xx (code 502)",
        ),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "login failed at the proxy: decode (not an HTTP answer)"),
    ] {
        let proxy = Raw::answering(answer).await;
        let outcome = outcome(VENDOR, "http://pbx.invalid", &[&through(&proxy.url())]).await;
        assert_eq!(outcome.said, said);
        assert!(outcome.advice.contains("proxy"), "{}", outcome.advice);
    }
}

/// A system behind a proxy answers in its own way.
#[tokio::test]
async fn what_the_system_answers_through_a_proxy_is_the_systems() {
    let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n\r\n{\"status\":\"Failed\",\"errno\":\"20003\"}";
    let proxy = Raw::answering(answer).await;
    let outcome = outcome(VENDOR, "http://pbx.invalid", &[&through(&proxy.url())]).await;
    assert!(outcome.said.starts_with("login failed: auth"), "{}", outcome.said);
}

#[tokio::test]
async fn a_proxy_that_cannot_be_reached_is_named() {
    let refusing = Refusing::new();
    for (url, proxy) in [
        ("http://pbx.invalid", refusing.url()),
        ("https://pbx.invalid", refusing.url()),
        ("http://127.0.0.1:1", refusing.url().replace("http", "socks5")),
        ("https://127.0.0.1:1", refusing.url().replace("http", "socks5")),
    ] {
        let outcome = outcome(VENDOR, url, &[&through(&proxy)]).await;
        assert!(outcome.said.contains("at the proxy: connect"), "{url} {proxy}: {}", outcome.said);
        assert!(outcome.advice.contains("proxy"), "{url}: {}", outcome.advice);
    }
    for url in ["http://192.0.2.1", "https://192.0.2.1"] {
        let outcome = outcome(VENDOR, url, &[&through("http://no-such-proxy.invalid:3128")]).await;
        assert!(outcome.said.contains("at the proxy: dns"), "{url}: {}", outcome.said);
        assert!(outcome.advice.contains("proxy"), "{url}: {}", outcome.advice);
    }
}

/// `NO_PROXY` as it is written for other programs.
#[tokio::test]
async fn no_proxy_holds_for_addresses_and_ports() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let url = simulator.base_url(VENDOR);
    let address = url.trim_start_matches("http://");
    let proxy = Raw::answering(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await;
    let yaml = config(&[entry(
        "pbx",
        VENDOR,
        &url,
        &["username: api", "password: demo-password-not-secret"],
    )]);
    for (without, is_direct) in [
        ("*".to_owned(), true),
        ("elsewhere.example, *".to_owned(), true),
        (address.to_owned(), true),
        ("127.0.0.1".to_owned(), true),
        ("127.0.0.0/8".to_owned(), true),
        ("127.0.0.1:1".to_owned(), false),
        ("elsewhere.example".to_owned(), false),
        (String::new(), false),
    ] {
        let variables = [("HTTP_PROXY", proxy.url()), ("NO_PROXY", without.clone())];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let asked = proxy.connections();
        let exporter = Exporter::start_with(&yaml, &[], &variables);
        let scraped = exporter.scrape().await;
        let up = scraped.value("conferencing_up", &[]) == Some(1.0);
        assert_eq!(up, is_direct, "NO_PROXY={without}");
        assert_eq!(proxy.connections() == asked, is_direct, "NO_PROXY={without}");
    }
}

/// A name stands for its subdomains too, however that is written.
#[tokio::test]
async fn no_proxy_holds_for_names() {
    let proxy = Raw::answering(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await;
    let login = ["username: api", "password: demo-password-not-secret"];
    // It has no address: all that counts is whether the proxy was asked.
    let yaml = config(&[entry("pbx", VENDOR, "http://pbx.example.invalid:9", &login)]);
    for (without, is_direct) in [
        ("example.invalid", true),
        (".example.invalid", true),
        ("*.example.invalid", true),
        ("*.example.invalid:9", true),
        ("*.example.invalid:10", false),
        ("xample.invalid", false),
        ("*xample.invalid", false),
    ] {
        let (asked, url) = (proxy.connections(), proxy.url());
        let variables = [("HTTP_PROXY", url.as_str()), ("NO_PROXY", without)];
        Exporter::start_with(&yaml, &[], &variables).scrape().await;
        assert_eq!(proxy.connections() == asked, is_direct, "NO_PROXY={without}");
    }
}

/// An IPv6 address may stand in brackets or not, and with a port in brackets.
#[tokio::test]
async fn no_proxy_holds_for_addresses_of_ipv6() {
    let proxy = Raw::answering(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await;
    let login = ["username: api", "password: demo-password-not-secret"];
    // Nobody listens there: all that counts is whether the proxy was asked.
    let yaml = config(&[entry("pbx", VENDOR, "http://[::1]:9", &login)]);
    for (without, is_direct) in [
        ("::1", true),
        ("[::1]", true),
        ("elsewhere.example,[::1]", true),
        ("[::1]:9", true),
        ("::1/128", true),
        ("[::1]:10", false),
        ("[::2]", false),
        ("::2", false),
    ] {
        let (asked, url) = (proxy.connections(), proxy.url());
        let variables = [("HTTP_PROXY", url.as_str()), ("NO_PROXY", without)];
        Exporter::start_with(&yaml, &[], &variables).scrape().await;
        assert_eq!(proxy.connections() == asked, is_direct, "NO_PROXY={without}");
    }
}
