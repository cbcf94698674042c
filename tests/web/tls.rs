// SPDX-License-Identifier: Apache-2.0
//! The web configuration: TLS, client certificates, users, headers, and files that change.

#![allow(clippy::expect_used, reason = "in a test a panic is how a failure is reported")]

use std::{fs, io::Read, path::Path, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Version};
use simulator::{Fault, Options, Simulator, Vendor};
use tempfile::TempDir;

use crate::{
    harness::{Exporter, NO_SOURCES, Response, config, run, write_config},
    wait::wait,
};

const WEB: [&str; 2] = ["--web.config.file", "web.yaml"];
const LOADED: &str = "conferencing_exporter_web_config_last_reload_successful";

/// Issues the certificates of a test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("key");
        Self(CertifiedIssuer::self_signed(params, key).expect("CA"))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key.
    fn issue(&self, names: &[&str]) -> (String, String) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test");
        for name in names {
            params.subject_alt_names.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into().expect("name")),
            });
        }
        let key = KeyPair::generate().expect("key");
        (params.signed_by(&key, &self.0).expect("certificate").pem(), key.serialize_pem())
    }

    fn install(&self, directory: &Path) {
        let (certificate, key) = self.issue(&["127.0.0.1"]);
        fs::write(directory.join("server.pem"), certificate).expect("written");
        fs::write(directory.join("server.key"), key).expect("written");
        fs::write(directory.join("ca.pem"), self.pem()).expect("written");
    }
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("authority"));

const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

fn start(web: &str) -> Exporter {
    let directory = TempDir::new().expect("directory");
    AUTHORITY.install(directory.path());
    fs::write(directory.path().join("web.yaml"), web).expect("written");
    Exporter::start_in(directory, NO_SOURCES, &WEB)
}

fn client(authority: &Authority) -> ClientBuilder {
    let trusted = Certificate::from_pem(authority.pem().as_bytes()).expect("certificate");
    Client::builder().no_proxy().tls_certs_only([trusted])
}

fn identity((certificate, key): (String, String)) -> Identity {
    Identity::from_pem(format!("{certificate}{key}").as_bytes()).expect("identity")
}

async fn status(builder: ClientBuilder, exporter: &Exporter, path: &str) -> Option<u16> {
    status_with(&builder.build().expect("client"), exporter, path).await
}

async fn status_with(client: &Client, exporter: &Exporter, path: &str) -> Option<u16> {
    let url = format!("https://{}{path}", exporter.address);
    client.get(url).send().await.ok().map(|answer| answer.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_http2_unless_switched_off() {
    for (http, version) in
        [("", Version::HTTP_2), ("http_server_config:\n  http2: false\n", Version::HTTP_11)]
    {
        let exporter = start(&format!("{TLS}{http}"));
        let url = format!("https://{}/metrics/self", exporter.address);
        let answer =
            client(&AUTHORITY).build().expect("client").get(url).send().await.expect("answer");
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
        assert!(answer.text().await.expect("text").contains(&format!("{LOADED} 1")));
        let stranger = client(&Authority::new("stranger"));
        assert_eq!(status(stranger, &exporter, "/").await, None, "the client verifies");
        let plain = exporter.get("/");
        assert_eq!(plain.status, 400);
        assert!(plain.text().contains("HTTP request to an HTTPS server"));
        let check = ["healthcheck", "--web.listen-address", &exporter.address.to_string()];
        assert_eq!(run(exporter.directory.path(), &[&check[..], &WEB].concat()).0, 0);
    }
}

/// HTTP/2 sends what it is given: a body in an answer to HEAD breaks the stream off.
#[tokio::test(flavor = "multi_thread")]
async fn head_over_http2_has_the_headers_and_no_body() {
    let exporter = start(TLS);
    let client = client(&AUTHORITY).build().expect("client");
    for (path, status) in [
        ("/", 200),
        ("/metrics", 200),
        ("/metrics/self", 200),
        ("/sd", 200),
        ("/-/healthy", 200),
        ("/-/ready", 200),
        ("/-/reload", 405),
        ("/nope", 404),
        ("/probe", 400),
    ] {
        let url = format!("https://{}{path}", exporter.address);
        let head = client.head(url).header("accept-encoding", "identity").send().await;
        let head = head.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!((head.status().as_u16(), head.version()), (status, Version::HTTP_2), "{path}");
        let length = head.headers().get("content-length").cloned();
        // How long the metrics would be is not known without making them.
        assert_eq!(length.is_some_and(|length| length != "0"), path != "/metrics", "{path}");
        let body = head.bytes().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        assert!(body.is_empty(), "{path}: {body:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn service_discovery_over_tls_says_https() {
    let exporter = start(TLS);
    fs::write(
        exporter.file("exporter.yaml"),
        "sources:\n  - { name: a, vendor: yeastar_s, base_url: \"http://127.0.0.1:9\", username: u, password: p }\n",
    )
    .expect("written");
    exporter.signal("HUP");
    exporter.log().wait_for("sources=1");
    let client = client(&AUTHORITY).build().expect("client");
    let answer =
        client.get(format!("https://{}/sd", exporter.address)).send().await.expect("answer");
    let groups: serde_json::Value =
        serde_json::from_slice(&answer.bytes().await.expect("body")).expect("JSON");
    assert_eq!(groups[0]["labels"]["__scheme__"], "https", "{groups}");
    assert_eq!(groups[0]["targets"][0], exporter.address.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_given_up_over_http2_ends_its_collection() {
    let simulator = Simulator::start(Options::default()).await.expect("simulator");
    let directory = TempDir::new().expect("directory");
    AUTHORITY.install(directory.path());
    fs::write(directory.path().join("web.yaml"), TLS).expect("written");
    let exporter = Exporter::start_in(directory, &config(&simulator, &["a"]), &WEB);
    simulator.inject(Vendor::YeastarS, "a", None, Fault::Hang, None);
    let client = client(&AUTHORITY).build().expect("client");
    let url = format!("https://{}/metrics", exporter.address);
    let asked = tokio::spawn(client.get(url).send());
    wait("the collection", || simulator.open_connections(), |open| *open == 1);
    // The connection stays: only the stream is reset.
    asked.abort();
    wait("its end", || simulator.open_connections(), |open| *open == 0);
    assert_eq!(status_with(&client, &exporter, "/-/healthy").await, Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn client_certificates() {
    let strangers = Authority::new("stranger");
    let ours = || identity(AUTHORITY.issue(&["prometheus.example", "192.0.2.7"]));
    let other = || identity(AUTHORITY.issue(&["other.example"]));
    let foreign = || identity(strangers.issue(&["prometheus.example"]));
    let ca = "  client_ca_file: ca.pem\n";
    let sans = "  client_allowed_sans: [x.example, prometheus.example]\n";
    let address = "  client_allowed_sans: [192.0.2.7]\n";
    // Whether a client may pass without a certificate, with ours, with another name, a foreign one.
    for (kind, more, passes) in [
        ("NoClientCert", "", [true, true, true, true]),
        ("RequestClientCert", "", [true, true, true, true]),
        ("RequireAnyClientCert", "", [false, true, true, true]),
        ("VerifyClientCertIfGiven", ca, [true, true, true, false]),
        ("RequireAndVerifyClientCert", ca, [false, true, true, false]),
        ("RequireAndVerifyClientCert", &format!("{ca}{sans}"), [false, true, false, false]),
        ("RequireAndVerifyClientCert", &format!("{ca}{address}"), [false, true, false, false]),
    ] {
        for versions in ["", "  max_version: TLS12\n", "  min_version: TLS13\n"] {
            let web = format!("{TLS}  client_auth_type: {kind}\n{more}{versions}");
            let exporter = start(&web);
            let clients = [
                client(&AUTHORITY),
                client(&AUTHORITY).identity(ours()),
                client(&AUTHORITY).identity(other()),
                client(&AUTHORITY).identity(foreign()),
            ];
            for (number, (client, passes)) in clients.into_iter().zip(passes).enumerate() {
                let expected = passes.then_some(200);
                assert_eq!(
                    status(client, &exporter, "/").await,
                    expected,
                    "client {number}: {web}"
                );
            }
            let check = ["healthcheck", "--web.listen-address", &exporter.address.to_string()];
            assert_eq!(run(exporter.directory.path(), &[&check[..], &WEB].concat()).0, 0, "{web}");
        }
    }
}

#[test]
fn users() {
    let hash = bcrypt::hash("se:cret", 5).expect("hash");
    let web = format!(
        "basic_auth_users:\n  prom: {hash}\n  other: {}\nhttp_server_config:\n  headers:\n    X-Frame-Options: sameorigin\n",
        hash.replace("$2b$", "$2y$")
    );
    let exporter = start(&web);
    let get = |path: &str, credentials: &str| -> Response {
        let value = format!("Basic {}", STANDARD.encode(credentials));
        exporter.request("GET", path, &[("Authorization", &value)])
    };
    for path in ["/metrics", "/metrics/self", "/", "/sd", "/probe", "/nope", "/-/reload"] {
        let answer = exporter.get(path);
        assert_eq!(answer.status, 401, "{path}");
        let challenge = answer.header("www-authenticate").expect("challenge");
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
        assert_eq!(get(path, "prom:wrong").status, 401, "{path}");
        assert_eq!(get(path, "nobody:se:cret").status, 401, "{path}");
    }
    for open in ["/-/healthy", "/-/ready"] {
        assert_eq!(exporter.get(open).status, 200, "{open}");
    }
    let page = get("/", "prom:se:cret");
    assert_eq!((page.status, page.header("x-frame-options")), (200, Some("sameorigin")));
    assert_eq!(get("/metrics", "other:se:cret").status, 200);
    let text = get("/metrics/self", "prom:se:cret").text();
    let refused = "conferencing_exporter_http_requests_total{code=\"401\",handler=\"metrics\"} 3";
    assert!(text.contains(refused), "{text}");
    assert!(!exporter.log().lines().iter().any(|line| line.contains("cret")));
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_certificates_are_used_and_garbage_is_not() {
    let exporter = start(TLS);
    let second = Authority::new("second");
    let passes =
        async |authority: &Authority| status(client(authority), &exporter, "/").await == Some(200);
    assert!(passes(&AUTHORITY).await);

    fs::write(exporter.file("server.pem"), "garbage with a secret\n").expect("written");
    let line = exporter.log().wait_for("web configuration not loaded");
    assert!(line.contains("`server.pem` holds no PEM certificate"), "{line}");
    assert!(!line.contains("secret"), "{line}");
    assert!(passes(&AUTHORITY).await, "the old one stays");
    let own = client(&AUTHORITY).build().expect("client");
    let own = own.get(format!("https://{}/metrics/self", exporter.address)).send().await;
    let own = own.expect("answer").text().await.expect("text");
    assert!(own.contains(&format!("\n{LOADED} 0\n")), "{own}");

    second.install(exporter.directory.path());
    exporter.log().wait_for("changed and loaded");
    assert!(passes(&second).await);
    assert!(!passes(&AUTHORITY).await);
    assert_eq!(exporter.log().count("web configuration not loaded"), 1, "logged once");

    // Without TLS from now on: the file itself is followed too, and read again on SIGHUP.
    fs::write(exporter.file("web.yaml"), "").expect("written");
    exporter.signal("HUP");
    let look = || {
        let mut bytes = Vec::new();
        // Before the reload the answer is an alert of TLS and a reset.
        let _ = exporter.ask("/-/healthy").read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    wait("plain HTTP", look, |text| text.starts_with("HTTP/1.1 200 "));
}

#[test]
fn errors_name_the_place_and_never_the_value() {
    let directory = TempDir::new().expect("directory");
    AUTHORITY.install(directory.path());
    let other = directory.path().join("other");
    fs::create_dir(&other).expect("directory");
    AUTHORITY.install(&other);
    fs::write(directory.path().join("junk.pem"), "hunter2\n").expect("written");
    write_config(directory.path(), NO_SOURCES);
    let tls = |more: &str| format!("{TLS}{more}");
    for (web, expected) in [
        (
            "tls_sever_config: {}\n".to_owned(),
            "web.yaml:1:1: tls_sever_config: unknown key; did you mean `tls_server_config`?",
        ),
        ("rate_limit: { burst: 1 }\n".to_owned(), "web.yaml:1:1: rate_limit: not supported"),
        ("hunter2\n".to_owned(), "wrong type: text where a mapping belongs"),
        ("a: [hunter2\n".to_owned(), "web.yaml:1:4: not valid YAML"),
        ("a: 1\na: 2\n".to_owned(), "duplicate"),
        (
            "tls_server_config: hunter2\n".to_owned(),
            "tls_server_config: wrong type: text where a mapping belongs",
        ),
        ("tls_server_config:\n  cert_file: server.pem\n".to_owned(), "`key_file` is missing"),
        ("tls_server_config:\n  key_file: server.key\n".to_owned(), "`cert_file` is missing"),
        (
            "tls_server_config:\n  client_auth_type: RequireAnyClientCert\n".to_owned(),
            "`cert_file` is missing",
        ),
        (
            "tls_server_config:\n  cert_file: gone.pem\n  key_file: server.key\n".to_owned(),
            "web.yaml:2:14: tls_server_config.cert_file: `gone.pem` cannot be read: there is no such file",
        ),
        (
            "tls_server_config:\n  cert_file: junk.pem\n  key_file: server.key\n".to_owned(),
            "`junk.pem` holds no PEM certificate",
        ),
        (
            "tls_server_config:\n  cert_file: server.pem\n  key_file: junk.pem\n".to_owned(),
            "web.yaml:3:13: tls_server_config.key_file: `junk.pem` holds no PEM private key",
        ),
        (
            "tls_server_config:\n  cert_file: server.pem\n  key_file: other/server.key\n"
                .to_owned(),
            "the key does not belong to the certificate",
        ),
        (
            tls("  cert: hunter2\n"),
            "`cert` and `cert_file` are both given; keep exactly one of them",
        ),
        (
            tls("  min_version: TLS11\n"),
            "web.yaml:4:16: tls_server_config.min_version: TLS 1.0 and 1.1 can be broken and are not offered; use TLS12",
        ),
        (
            tls("  max_version: hunter2\n"),
            "tls_server_config.max_version: unknown value; allowed: TLS12, TLS13",
        ),
        (tls("  min_version: TLS13\n  max_version: TLS12\n"), "max_version: below min_version"),
        (tls("  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n"), "forward secrecy"),
        (tls("  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]\n"), "CBC"),
        (
            tls("  cipher_suites: [hunter2]\n"),
            "web.yaml:4:19: tls_server_config.cipher_suites[0]: not a cipher suite",
        ),
        (tls("  cipher_suites: [TLS_AES_128_GCM_SHA256]\n"), "no cipher suite is left for TLS 1.2"),
        (tls("  cipher_suites: hunter2\n"), "wrong type: text where a list belongs"),
        (tls("  curve_preferences: [CurveP521]\n"), "use CurveP384"),
        (tls("  curve_preferences: [hunter2]\n"), "must be CurveP256"),
        (
            tls("  prefer_server_cipher_suites: hunter2\n"),
            "wrong type: text where a boolean belongs",
        ),
        (
            tls("  client_auth_type: hunter2\n"),
            "client_auth_type: unknown value; allowed: NoClientCert",
        ),
        (tls("  client_ca_file: ca.pem\n"), "client certificates are not asked for"),
        (
            tls("  client_auth_type: RequireAndVerifyClientCert\n"),
            "needs client_ca_file; add `client_ca_file`",
        ),
        (
            tls("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: junk.pem\n"),
            "`junk.pem` holds no PEM certificate",
        ),
        (tls("  client_allowed_sans: [hunter2]\n"), "no client certificate is asked for"),
        (
            "http_server_config:\n  http2: hunter2\n".to_owned(),
            "web.yaml:2:10: http_server_config.http2: wrong type: text where a boolean belongs; write `true` or `false`",
        ),
        (
            "http_server_config:\n  headers:\n    X-Secret: hunter2\n".to_owned(),
            "headers.X-Secret: unknown key; known keys: Content-Security-Policy",
        ),
        (
            "http_server_config:\n  headers:\n    X-Frame-Options: hunter2\n".to_owned(),
            "unknown value; allowed: deny, sameorigin",
        ),
        (
            "http_server_config:\n  headers:\n    X-XSS-Protection: \"hunter2\\n\"\n".to_owned(),
            "characters no header may have",
        ),
        (
            "basic_auth_users:\n  prom: hunter2\n".to_owned(),
            "web.yaml:2:9: basic_auth_users: not a bcrypt hash",
        ),
        (
            "basic_auth_users:\n  prom: { hunter2: x }\n".to_owned(),
            "basic_auth_users: wrong type: a mapping where one value belongs",
        ),
        (
            "basic_auth_users: hunter2\n".to_owned(),
            "basic_auth_users: wrong type: text where a mapping belongs",
        ),
        (
            "basic_auth_users: [hunter2]\n".to_owned(),
            "basic_auth_users: wrong type: a list where a mapping belongs",
        ),
    ] {
        fs::write(directory.path().join("web.yaml"), &web).expect("written");
        let (status, _, stderr) = run(directory.path(), &[&["check"], &WEB[..]].concat());
        assert_eq!(status, 2, "{web}{stderr}");
        assert_eq!(stderr.matches(expected).count(), 1, "{web}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{web}: {stderr}");
    }
    // All of them at once: user, http2, the certificate, the missing key, the version.
    let web = "basic_auth_users: { a: x }\nhttp_server_config: { http2: 3 }\ntls_server_config: { cert_file: x, min_version: TLS10 }\n";
    fs::write(directory.path().join("web.yaml"), web).expect("written");
    let (_, _, stderr) = run(directory.path(), &[&["check"], &WEB[..]].concat());
    let problems = stderr.lines().filter(|line| line.starts_with("web.yaml:"));
    assert_eq!(problems.count(), 5, "{stderr}");
}

#[test]
fn what_the_toolkit_takes_is_taken() {
    let directory = TempDir::new().expect("directory");
    AUTHORITY.install(directory.path());
    write_config(directory.path(), NO_SOURCES);
    let indented = |pem: String| pem.replace('\n', "\n    ");
    let (certificate, key) = AUTHORITY.issue(&["a.example"]);
    let inline = format!(
        "tls_server_config:\n  cert: |\n    {}\n  key: |\n    {}\n",
        indented(certificate),
        indented(key)
    );
    for web in [
        String::new(),
        "{}\n".to_owned(),
        "tls_server_config:\nbasic_auth_users:\n".to_owned(),
        inline,
        format!("{TLS}  min_version: TLS13\n  max_version: TLS13\n  prefer_server_cipher_suites: false\n"),
        format!("{TLS}  cipher_suites: [TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n  curve_preferences: [CurveP256, X25519]\n"),
        "http_server_config:\n  headers:\n    Content-Security-Policy: \"default-src 'self'\"\n    X-Frame-Options: \"\"\n    Strict-Transport-Security: max-age=31536000\n    X-XSS-Protection: 0\n".to_owned(),
        "basic_auth_users:\n  alice: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi\n".to_owned(),
    ] {
        fs::write(directory.path().join("web.yaml"), &web).expect("written");
        let (status, stdout, stderr) = run(directory.path(), &[&["check"], &WEB[..]].concat());
        assert_eq!((status, stderr.as_str()), (0, ""), "{web}{stdout}");
    }
}
