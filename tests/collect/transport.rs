// SPDX-License-Identifier: Apache-2.0
//! What goes wrong below HTTP, told apart.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::net::SocketAddr;

use simulator::{Options, Simulator, Vendor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

use crate::common::{
    Bench, binary::Exporter, config, entry, refusing::Refusing, source, tls::Authority,
    wait::PATIENCE,
};

const PBX: Vendor = Vendor::YeastarS;

/// Collects one source at `url`; answers whether it is up, and why not.
async fn outcome(url: &str, extra: &[&str]) -> String {
    let bench = Bench::new(&config(&[source(PBX, url, &[&["timeout: 5s"], extra].concat())])).await;
    if bench.scrape().await.value("conferencing_up", &[]) == Some(1.0) {
        return "up".to_owned();
    }
    let own = bench.own();
    let failed: Vec<_> = own
        .matching("conferencing_api_errors_total", &[])
        .filter(|sample| sample.value > 0.0)
        .map(|sample| sample.labels["reason"].clone())
        .collect();
    failed.join(",")
}

fn address(simulator: &Simulator) -> SocketAddr {
    simulator.base_url(PBX).trim_start_matches("http://").parse().unwrap()
}

#[tokio::test]
async fn tls_sessions_of_many_hosts_are_resumed() {
    // More hosts than the TLS library remembers by itself: 32.
    const HOSTS: usize = 40;
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    let hosts: Vec<_> = (1..=HOSTS).map(|number| format!("127.0.0.{number}")).collect();
    let certificate = authority.issue_for(hosts.clone());
    let (front, handshakes) =
        authority.noting_front(&certificate, address(&simulator), false).await;
    let tls = format!("tls: {{ ca_file: {} }}", authority.ca_file().display());
    // These systems close the connection after each answer.
    let sources: Vec<_> = hosts
        .iter()
        .map(|host| {
            let url = format!("https://{host}:{}", front.port());
            let credentials = source(PBX, &url, &[]);
            let mut lines: Vec<_> = credentials.lines().skip(3).map(str::trim).collect();
            lines.extend(["min_interval: 0s", "timeout: 30s", tls.as_str()]);
            entry(host, PBX, &url, &lines)
        })
        .collect();
    let bench = Bench::new(&config(&sources)).await;
    let mut connections = 0;
    for scrape in 1..=3 {
        let text = bench.scrape().await;
        let up = text.matching("conferencing_up", &[]).filter(|sample| sample.value == 1.0);
        assert_eq!(up.count(), HOSTS, "scrape {scrape}");
        let (full, resumed) = handshakes.full_and_resumed();
        assert_eq!(full, HOSTS, "one each, ever; {resumed} resumed in scrape {scrape}");
        assert!(resumed >= connections + HOSTS, "{resumed} resumed in scrape {scrape}");
        connections = resumed;
    }
}

#[tokio::test]
async fn certificates_are_verified() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    let good = authority.issue("localhost");
    let front = authority.front(&good, address(&simulator), false).await;
    let (by_name, by_address) =
        (format!("https://localhost:{}", front.port()), format!("https://{front}"));
    let ca = format!("ca_file: {}", authority.ca_file().display());
    let tls = |settings: &str| format!("tls: {{ {settings} }}");

    assert_eq!(outcome(&by_name, &[&tls(&ca)]).await, "up");
    assert_eq!(outcome(&by_name, &[]).await, "tls", "an unknown issuer");
    assert_eq!(outcome(&by_address, &[&tls(&ca)]).await, "tls", "another name");
    let named = tls(&format!("{ca}, server_name: localhost"));
    assert_eq!(outcome(&by_address, &[&named]).await, "up", "the name to expect");
    assert_eq!(outcome(&by_address, &[&tls("insecure_skip_verify: true")]).await, "up");

    let expired = authority.issue_expired("localhost");
    let front = authority.front(&expired, address(&simulator), false).await;
    let url = format!("https://localhost:{}", front.port());
    assert_eq!(outcome(&url, &[&tls(&ca)]).await, "tls", "an expired certificate");
}

#[tokio::test]
async fn a_system_may_present_the_very_certificate_that_is_trusted() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    for (name, expired, expected) in [
        ("localhost", false, "up"),
        // Whatever its names: it was chosen by a person.
        ("elsewhere.example", false, "up"),
        ("localhost", true, "tls"),
    ] {
        let (issued, file) = authority.self_signed(name, expired);
        let front = authority.front(&issued, address(&simulator), false).await;
        let url = format!("https://localhost:{}", front.port());
        let tls = format!("tls: {{ ca_file: {} }}", file.display());
        assert_eq!(outcome(&url, &[&tls]).await, expected, "{name}, expired: {expired}");

        let (other, _) = Authority::new().self_signed(name, expired);
        let front = authority.front(&other, address(&simulator), false).await;
        let url = format!("https://localhost:{}", front.port());
        assert_eq!(outcome(&url, &[&tls]).await, "tls", "another of the same name");
    }
}

/// Where some sources need no roots at all, the others still have those of the system.
#[tokio::test]
async fn the_system_is_trusted_beside_plain_sources_and_at_proxies() {
    const LOGIN: [&str; 2] = ["username: api", "password: demo-password-not-secret"];
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    let front = authority.front(&authority.issue("localhost"), address(&simulator), false).await;
    let secure = format!("https://localhost:{}", front.port());
    let ca = authority.ca_file();
    let roots = ("SSL_CERT_FILE", ca.to_str().unwrap());
    let up = async |sources: &[String], variables: &[_]| {
        let exporter = Exporter::start_with(&config(sources), &[], variables);
        let scraped = exporter.scrape().await;
        scraped.matching("conferencing_up", &[]).all(|sample| sample.value == 1.0)
    };
    let plain = entry("plain", PBX, &simulator.base_url(PBX), &LOGIN);
    let other = entry("secure", PBX, &secure, &LOGIN);
    assert!(up(&[plain, other], &[roots]).await, "the plain one comes first");

    // The system itself has no TLS, the proxy before it has. It is the simulator that answers.
    let proxied = [entry("proxied", PBX, "http://pbx.invalid", &LOGIN)];
    assert!(up(&proxied, &[roots, ("HTTP_PROXY", &secure)]).await);
}

#[tokio::test]
async fn a_client_certificate_is_presented() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    let front = authority.front(&authority.issue("localhost"), address(&simulator), true).await;
    let url = format!("https://localhost:{}", front.port());
    let ca = format!("ca_file: {}", authority.ca_file().display());
    assert_ne!(outcome(&url, &[&format!("tls: {{ {ca} }}")]).await, "up");
    let (certificate, key) = authority.files(&authority.issue("client"));
    let tls = format!(
        "tls: {{ {ca}, cert_file: {}, key_file: {} }}",
        certificate.display(),
        key.display()
    );
    assert_eq!(outcome(&url, &[&tls]).await, "up");
}

/// A combined file may stand for both, and each is asked only for what it is there for.
#[tokio::test]
async fn certificates_and_key_come_each_from_its_own_file() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    let (front, handshakes) =
        authority.noting_front(&authority.issue("localhost"), address(&simulator), true).await;
    let url = format!("https://localhost:{}", front.port());
    let (_, stray) = authority.files(&authority.issue("another"));
    let stray = std::fs::read_to_string(stray).unwrap();
    let (certificate, key) = authority.files(&authority.issue("client"));
    let [certificate, right] =
        [certificate, key].map(|file| std::fs::read_to_string(file).unwrap());
    for (what, cert_file, key_file) in [
        ("a combined file", format!("{right}{certificate}"), format!("{right}{certificate}")),
        ("a stray key", format!("{stray}{certificate}"), right.clone()),
        ("a stray certificate", certificate.clone(), format!("{}{right}", authority.pem())),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let files = ["cert.pem", "key.pem"].map(|name| directory.path().join(name));
        std::fs::write(&files[0], cert_file).unwrap();
        std::fs::write(&files[1], key_file).unwrap();
        let tls = format!(
            "tls: {{ ca_file: {}, cert_file: {}, key_file: {} }}",
            authority.ca_file().display(),
            files[0].display(),
            files[1].display()
        );
        assert_eq!(outcome(&url, &[&tls]).await, "up", "{what}");
        assert_eq!(handshakes.presented(), 1, "{what}");
    }
}

#[tokio::test]
async fn connections_names_and_handshakes_fail_differently() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let plain = format!("https://{}", address(&simulator));
    assert_eq!(outcome(&plain, &[]).await, "tls", "no TLS at an https address");

    let refusing = Refusing::new();
    assert_eq!(outcome(&refusing.url(), &[]).await, "connect");
    assert_eq!(outcome("http://no-such-host.invalid", &[]).await, "dns");

    let authority = Authority::new();
    let front = authority.front(&authority.issue("localhost"), address(&simulator), false).await;
    let http_at_https = format!("http://{front}");
    let reason = outcome(&http_at_https, &[]).await;
    assert!(matches!(reason.as_str(), "connect" | "decode"), "{reason}");
}

#[tokio::test]
async fn what_is_not_http_is_not_decodable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(b"220 mail.example ESMTP\r\n\r\n").await;
        }
    });
    assert_eq!(outcome(&url, &[]).await, "decode");
}

#[tokio::test]
async fn headers_are_spelt_as_the_vendors_spell_them() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let read = socket.read(&mut request).await.unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    outcome(&url, &[]).await;
    let request = timeout(PATIENCE, asked).await.expect("a request").unwrap();
    for name in ["\r\nHost: ", "\r\nUser-Agent: ", "\r\nContent-Type: ", "\r\nContent-Length: "] {
        assert!(request.contains(name), "{request}");
    }
}
