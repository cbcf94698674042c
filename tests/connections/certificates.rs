// SPDX-License-Identifier: Apache-2.0
//! Certificates as systems have them, and servers that cannot agree on TLS.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::ResolvesServerCert,
    sign::CertifiedKey,
};
use simulator::{Options, Simulator, Vendor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::raw::{Raw, outcome};
use crate::common::{
    Bench, config,
    relay::{Fate, Relay},
    source,
    tls::{Authority, Front},
    wait::{PATIENCE, later},
};

const VENDOR: Vendor = Vendor::YeastarS;

const EXPIRY: &str = "conferencing_tls_certificate_expiry_timestamp_seconds";

fn address(simulator: &Simulator) -> SocketAddr {
    address_of(simulator, VENDOR)
}

fn address_of(simulator: &Simulator, vendor: Vendor) -> SocketAddr {
    simulator.base_url(vendor).split_once("://").unwrap().1.parse().unwrap()
}

/// Presents one certificate, whatever it is, until it is replaced.
#[derive(Debug)]
struct Only(Mutex<Arc<CertifiedKey>>);

impl Only {
    fn new(certificate: CertificateDer<'static>, key: &PrivateKeyDer<'static>) -> Self {
        Self(Mutex::new(certified(certificate, key)))
    }
}

impl ResolvesServerCert for Only {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.lock().unwrap()))
    }
}

fn certified(
    certificate: CertificateDer<'static>,
    key: &PrivateKeyDer<'static>,
) -> Arc<CertifiedKey> {
    let key = aws_lc_rs::sign::any_supported_type(key).unwrap();
    Arc::new(CertifiedKey::new(vec![certificate], key))
}

/// A server with this certificate, which a library would not call one of a server.
fn server(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ServerConfig {
    presenting(Arc::new(Only::new(certificate, &key)), versions)
}

fn presenting(
    only: Arc<Only>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ServerConfig {
    ServerConfig::builder_with_protocol_versions(versions)
        .with_no_client_auth()
        .with_cert_resolver(only)
}

/// A file with `pem`, in a folder that lasts as long as the test.
fn file(directory: &tempfile::TempDir, pem: &str) -> String {
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, pem).unwrap();
    format!("tls: {{ ca_file: {} }}", path.display())
}

#[tokio::test]
async fn the_very_certificate_in_ca_file_is_trusted_whatever_it_says() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let nameless = || CertificateParams::new(Vec::new()).unwrap();
    let authority = || {
        let mut params = nameless();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let expired = || {
        let mut params = nameless();
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        params
    };
    let only_common_name = || {
        let mut params = nameless();
        params.distinguished_name.push(DnType::CommonName, "MyPBX");
        params
    };
    let other_name = || CertificateParams::new(vec!["elsewhere.example".to_owned()]).unwrap();
    let cases: [(&str, CertificateParams, &str); 5] = [
        ("without a name", nameless(), "up"),
        ("of an authority", authority(), "up"),
        ("with a common name", only_common_name(), "up"),
        ("for another name", other_name(), "up"),
        ("expired", expired(), "login failed: tls (the certificate has expired)"),
    ];
    for (what, params, expected) in cases {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let key = KeyPair::generate().unwrap();
            let certificate = params.clone().self_signed(&key).unwrap();
            let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            let server = server(certificate.der().clone(), private, &[version]);
            let front = Front::start(server, address(&simulator)).await;
            let directory = tempfile::tempdir().unwrap();
            let tls = file(&directory, &certificate.pem());
            let url = format!("https://{}", front.address);
            assert_eq!(outcome(VENDOR, &url, &[&tls]).await.said, expected, "{what}, {version:?}");
        }
    }
}

/// The bytes of a certificate are not enough: the key must be its own.
#[tokio::test]
async fn a_copied_certificate_without_its_key_is_not_trusted() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        let private = PrivateKeyDer::try_from(other.serialize_der()).unwrap();
        let server = server(certificate.der().clone(), private, &[version]);
        let front = Front::start(server, address(&simulator)).await;
        let directory = tempfile::tempdir().unwrap();
        let tls = file(&directory, &certificate.pem());
        let said = outcome(VENDOR, &format!("https://{}", front.address), &[&tls]).await.said;
        assert!(said.starts_with("login failed: tls"), "{version:?}: {said}");
    }
}

/// Made by `openssl x509 -req` without extensions, as older devices do: good until the year 2126.
#[tokio::test]
async fn a_certificate_of_version_1_is_trusted_if_it_is_the_very_one() {
    const PEM: &str = include_str!("../data/tls/version-1.pem");
    const KEY: &str = include_str!("../data/tls/version-1.key");
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let certificate = CertificateDer::from_pem_slice(PEM.as_bytes()).unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
        let front =
            Front::start(server(certificate.clone(), key, &[version]), address(&simulator)).await;
        let url = format!("https://{}", front.address);
        let directory = tempfile::tempdir().unwrap();
        let tls = file(&directory, PEM);
        assert_eq!(outcome(VENDOR, &url, &[&tls]).await.said, "up", "{version:?}");
        let tls = file(&directory, &Authority::new().pem());
        let refused = outcome(VENDOR, &url, &[&tls]).await;
        assert!(refused.said.contains("X.509 version 1"), "{}", refused.said);
        assert!(refused.advice.contains("tls.ca_file"), "{}", refused.advice);
    }
}

#[tokio::test]
async fn another_authority_than_that_in_ca_file_is_called_another() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let (right, wrong) = (Authority::new(), Authority::new());
    let front = right.front(&right.issue("localhost"), address(&simulator), false).await;
    let url = format!("https://localhost:{}", front.port());
    let (self_signed, _) = right.self_signed("localhost", false);
    let other = right.front(&self_signed, address(&simulator), false).await;
    for url in [url, format!("https://localhost:{}", other.port())] {
        let tls = format!("tls: {{ ca_file: {} }}", wrong.ca_file().display());
        let outcome = outcome(VENDOR, &url, &[&tls]).await;
        assert!(outcome.said.contains("neither in tls.ca_file nor issued"), "{}", outcome.said);
        assert!(outcome.advice.contains("openssl s_client"), "{}", outcome.advice);
        assert!(!outcome.advice.contains("self-signed"), "{}", outcome.advice);
    }
}

/// What servers answer that cannot agree, as bytes: nothing that is kept today speaks them.
#[tokio::test]
async fn old_tls_is_called_old() {
    const OLD: &str = "nothing newer than TLS 1.1";
    const CIPHER: &str = "no common cipher: needs TLS 1.2 with ECDHE and AES-GCM or ChaCha20";
    let mut hello = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let hello: &'static [u8] = hello.leak();
    for (answer, said, advice) in [
        (&[0x15, 3, 2, 0, 2, 2, 70][..], OLD, "reverse proxy"),
        (hello, OLD, "reverse proxy"),
        (&[0x15, 3, 3, 0, 2, 2, 40], CIPHER, "reverse proxy"),
        (&[0x15, 3, 3, 0, 2, 2, 71], CIPHER, "reverse proxy"),
        (&[], "closed during the handshake", "TLS 1.2"),
        (&[0x15, 3, 3, 0, 2, 2, 112], "does not know the name", "name"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not TLS", "http"),
    ] {
        let raw = Raw::answering(answer).await;
        let outcome = outcome(VENDOR, &raw.url().replace("http", "https"), &[]).await;
        assert!(outcome.said.contains(said), "{answer:?}: {}", outcome.said);
        assert!(outcome.advice.contains(advice), "{answer:?}: {}", outcome.advice);
        assert!(!outcome.advice.contains("client certificate"), "{}", outcome.advice);
    }
}

/// In TLS 1.2 the alert is the same as for want of a cipher, but comes after the certificate.
#[tokio::test]
async fn a_missing_client_certificate_is_called_one() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    let front = authority.front(&authority.issue("localhost"), address(&simulator), true).await;
    let url = format!("https://localhost:{}", front.port());
    let tls = format!("tls: {{ ca_file: {} }}", authority.ca_file().display());
    let outcome = outcome(VENDOR, &url, &[&tls]).await;
    assert!(outcome.advice.contains("client certificate"), "{} {}", outcome.said, outcome.advice);
}

/// The system says what it dislikes about the client certificate: to give one would be no news.
#[tokio::test]
async fn a_client_certificate_that_is_not_accepted_is_called_one() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    for vendor in [VENDOR, Vendor::FreeSwitch] {
        let behind = address_of(&simulator, vendor);
        let front = authority.front(&authority.issue("localhost"), behind, true).await;
        let scheme = if vendor == VENDOR { "https" } else { "tls" };
        let url = format!("{scheme}://localhost:{}", front.port());
        for (issuer, issued, is_accepted) in [
            (&authority, authority.issue("client"), true),
            (&authority, authority.issue_expired("client"), false),
            (&other, other.issue("client"), false),
        ] {
            let (certificate, key) = issuer.files(&issued);
            let tls = format!(
                "tls: {{ ca_file: {}, cert_file: {}, key_file: {} }}",
                authority.ca_file().display(),
                certificate.display(),
                key.display()
            );
            let outcome = outcome(vendor, &url, &[&tls]).await;
            assert_eq!(outcome.said == "up", is_accepted, "{vendor:?}: {}", outcome.said);
            let words = "it does not accept the client certificate";
            assert_eq!(outcome.said.contains(words), !is_accepted, "{vendor:?}: {}", outcome.said);
            assert_eq!(outcome.advice.contains("renew"), !is_accepted, "{}", outcome.advice);
        }
    }
}

#[tokio::test]
async fn when_the_certificate_expires_is_told_also_if_it_is_refused() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = server(certificate.der().clone(), private, rustls::ALL_VERSIONS);
    let front = Front::start(server, address(&simulator)).await;
    let directory = tempfile::tempdir().unwrap();
    let right = file(&directory, &certificate.pem());
    let wrong = format!("tls: {{ ca_file: {} }}", authority.ca_file().display());
    let url = format!("https://{}", front.address);
    for (url, tls, up, expiry) in [
        (&*url, right, 1.0, Some(4_102_444_800.0)),
        (&*url, wrong, 0.0, Some(4_102_444_800.0)),
        (&*simulator.base_url(VENDOR), "timeout: 10s".to_owned(), 1.0, None),
    ] {
        let bench = Bench::new(&config(&[source(VENDOR, url, &[&tls])])).await;
        for _ in 0..2 {
            let scraped = bench.scrape().await;
            assert_eq!(scraped.value("conferencing_up", &[]), Some(up));
            assert_eq!(scraped.value(EXPIRY, &[]), expiry, "{url} {tls}");
        }
    }
}

/// A reload that changes no question asks nothing, and what is known of the certificate stays known.
#[tokio::test]
async fn a_reload_forgets_no_certificate() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    let certificate = authority.issue("localhost");
    let (front, handshakes) =
        authority.noting_front(&certificate, address(&simulator), false).await;
    let url = format!("https://localhost:{}", front.port());
    let tls = format!("tls: {{ ca_file: {} }}", authority.ca_file().display());
    let with = |more: &str| config(&[source(VENDOR, &url, &[&tls, "min_interval: 1h", more])]);
    let bench = Bench::new(&with("labels: { site: one }")).await;
    let before = bench.scrape().await.value(EXPIRY, &[]);
    let asked = handshakes.full_and_resumed();
    bench.apply(&with("labels: { site: two }")).await;
    let after = bench.scrape().await.value(EXPIRY, &[("site", "two")]);
    assert!(before.is_some());
    assert_eq!(after, before);
    assert_eq!(handshakes.full_and_resumed(), asked);
}

/// Servers resume sessions from before their certificate was replaced, and then show none.
#[tokio::test]
async fn a_certificate_that_was_replaced_is_noticed_within_an_hour() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for vendor in [VENDOR, Vendor::Asterisk] {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let of_year = |year| {
                let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
                params.not_after = rcgen::date_time_ymd(year, 1, 1);
                let key = KeyPair::generate().unwrap();
                let certificate = params.self_signed(&key).unwrap();
                (certificate, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            };
            let [(old, old_key), (new, new_key)] = [of_year(2100), of_year(2101)];
            let only = Arc::new(Only::new(old.der().clone(), &old_key));
            let server = presenting(Arc::clone(&only), &[version]);
            let front = Front::start(server, address_of(&simulator, vendor)).await;
            let directory = tempfile::tempdir().unwrap();
            let tls = file(&directory, &(old.pem() + &new.pem()));
            let scheme = if vendor == VENDOR { "https" } else { "tls" };
            let url = format!("{scheme}://{}", front.address);
            let bench = Bench::new(&config(&[source(vendor, &url, &[&tls])])).await;
            let before = bench.scrape().await.value(EXPIRY, &[]);
            assert_eq!(before, Some(4_102_444_800.0), "{vendor:?}, {version:?}");
            *only.0.lock().unwrap() = certified(new.der().clone(), &new_key);
            later(Duration::from_secs(60 * 60)).await;
            let after = bench.scrape().await.value(EXPIRY, &[]);
            assert_eq!(after, Some(4_133_980_800.0), "{vendor:?}, {version:?}");
        }
    }
}

/// A certificate may be for an address the system had once: it is verified for that address, and the
/// system is still reached at its own.
#[tokio::test]
async fn an_address_as_server_name_is_verified_and_not_connected_to() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    for vendor in [VENDOR, Vendor::Asterisk] {
        let behind = address_of(&simulator, vendor);
        for (certified, expected, is_right) in [
            ("127.0.0.2", "127.0.0.2", true),
            ("::1", "\"::1\"", true),
            ("127.0.0.2", "127.0.0.3", false),
            ("127.0.0.1", "127.0.0.2", false),
        ] {
            let front = authority.front(&authority.issue(certified), behind, false).await;
            // The front listens everywhere, this at one address only.
            let relay = Relay::start(front, |_| Fate::Passed).await;
            let scheme = if vendor == VENDOR { "https" } else { "tls" };
            let url = format!("{scheme}://{}", relay.address());
            let ca = authority.ca_file();
            let tls = format!("tls: {{ ca_file: {}, server_name: {expected} }}", ca.display());
            let said = outcome(vendor, &url, &[&tls]).await.said;
            let is_up = said == "up";
            assert_eq!(is_up, is_right, "{vendor:?}, {certified}, {expected}: {said}");
            assert!(is_up || said.contains("for another name"), "{vendor:?}: {said}");
            assert!(relay.connections() > 0);
        }
    }
}

/// How a connection ends is part of TLS: of one that ends without a word, servers log that it may have been cut.
#[tokio::test]
async fn a_connection_by_tls_is_ended_as_it_should_be() {
    const EMPTY: &str = "<response><returncode>SUCCESS</returncode><meetings/></response>";
    let authority = Authority::new();
    let server = authority.server(&authority.issue("127.0.0.1"), false);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let first = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(socket).await.unwrap();
        let mut request = [0; 4_096];
        assert_ne!(stream.read(&mut request).await.unwrap(), 0);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", EMPTY.len());
        stream.write_all(format!("{head}{EMPTY}").as_bytes()).await.unwrap();
        stream.read(&mut request).await
    });
    let tls = format!("tls: {{ ca_file: {} }}", authority.ca_file().display());
    let sources = [source(Vendor::BigBlueButton, &url, &[&tls, "timeout: 1s"])];
    let bench = Bench::new(&config(&sources)).await;
    assert_eq!(bench.scrape().await.value("conferencing_up", &[]), Some(1.0));
    later(Duration::from_secs(5 * 60)).await;
    assert_eq!(
        bench.scrape().await.value("conferencing_up", &[]),
        Some(0.0),
        "no other one is accepted"
    );
    let ended = timeout(PATIENCE, first).await.expect("it ends").unwrap();
    assert_eq!(ended.map_err(|error| error.kind()), Ok(0));
}
