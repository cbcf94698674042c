// SPDX-License-Identifier: Apache-2.0
//! What one source needs and is not there when the exporter starts: no other source is touched.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use reqwest::Method;
use simulator::{Options, Simulator, Vendor};

use crate::common::{
    binary::{Exporter, command, write_private},
    config, entry, source,
    tls::Authority,
    wait::output,
};

const PBX: Vendor = Vendor::YeastarS;
const CLOUD: Vendor = Vendor::Dingtalk;

/// The reason why `broken` is down, while `healthy` is up; `None`: both are up.
async fn reason(exporter: &Exporter) -> Option<String> {
    let scraped = exporter.scrape().await;
    let up = |source| scraped.value("conferencing_up", &[("source", source)]);
    assert_eq!(up("yeastar_p"), Some(1.0), "the other source: {}", exporter.log());
    let of_broken = [("source", "broken")];
    let reasons = scraped.matching("conferencing_source_failure", &of_broken);
    let failing = reasons.filter(|sample| sample.value == 1.0);
    let reason = failing.map(|sample| sample.labels["reason"].clone()).next();
    assert_eq!(up("broken"), Some(if reason.is_some() { 0.0 } else { 1.0 }));
    reason
}

/// A case: the lines of the source, the file they name, what is in it when it is right, and why the
/// source is down while it is not there.
struct Case {
    vendor: Vendor,
    url: String,
    lines: Vec<String>,
    file: PathBuf,
    right: String,
    reason: &'static str,
}

async fn cases(
    simulator: &Simulator,
    authority: &Authority,
    folder: &std::path::Path,
) -> [Case; 4] {
    let address = simulator.base_url(PBX).trim_start_matches("http://").parse().unwrap();
    let front = authority.front(&authority.issue("localhost"), address, true).await;
    let https = format!("https://localhost:{}", front.port());
    let (certificate, key) = authority.files(&authority.issue("client"));
    let ca = authority.ca_file();
    let pbx = |tls: String| {
        vec!["username: api".to_owned(), "password: demo-password-not-secret".to_owned(), tls]
    };
    let file = |name: &str| folder.join(name);
    [
        Case {
            vendor: PBX,
            url: simulator.base_url(PBX),
            lines: vec![
                "username: api".to_owned(),
                format!("password_file: {}", file("secret").display()),
            ],
            file: file("secret"),
            right: "demo-password-not-secret\n".to_owned(),
            reason: "auth",
        },
        Case {
            vendor: PBX,
            url: https.clone(),
            lines: pbx(format!(
                "tls: {{ ca_file: {}, cert_file: {}, key_file: {} }}",
                file("ca.pem").display(),
                certificate.display(),
                key.display()
            )),
            file: file("ca.pem"),
            right: authority.pem(),
            reason: "tls",
        },
        Case {
            vendor: PBX,
            url: https,
            lines: pbx(format!(
                "tls: {{ ca_file: {}, cert_file: {}, key_file: {} }}",
                ca.display(),
                certificate.display(),
                file("key.pem").display()
            )),
            file: file("key.pem"),
            right: fs::read_to_string(&key).unwrap(),
            reason: "tls",
        },
        Case {
            vendor: CLOUD,
            url: simulator.base_url(CLOUD),
            lines: vec![
                "app_key: demo-app-key".to_owned(),
                "app_secret: demo-app-secret-not-secret".to_owned(),
                "min_interval: 0s".to_owned(),
                format!("conference_ids_file: {}", file("ids").display()),
            ],
            file: file("ids"),
            right: "# none today\n".to_owned(),
            reason: "vendor",
        },
    ]
}

#[tokio::test]
async fn a_file_that_is_not_there_is_a_failure_of_its_source_until_it_is() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    for case in cases(&simulator, &authority, folder.path()).await {
        let name = case.file.display();
        let lines: Vec<_> = case.lines.iter().map(String::as_str).collect();
        let broken = entry("broken", case.vendor, &case.url, &lines);
        let healthy = source(Vendor::YeastarP, &simulator.base_url(Vendor::YeastarP), &[]);
        let yaml = config(&[broken, healthy]);
        let exporter = Exporter::start(&yaml, &["--web.enable-lifecycle"]);
        let log = exporter.log();
        let warned =
            log.lines().find(|line| line.contains("the source is down until this can be read"));
        let is_whole = |line: &str| line.contains("level=warn") && line.contains("no such file");
        assert!(warned.is_some_and(is_whole), "{log}");
        assert_eq!(reason(&exporter).await.as_deref(), Some(case.reason), "{name}");
        assert_eq!(reason(&exporter).await.as_deref(), Some(case.reason), "{name}");

        let checked =
            output(command().args(["check", "--config.file"]).arg(exporter.config_file()));
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(2), "{said}");
        assert!(said.contains("there is no such file") && !said.contains("warning:"), "{said}");

        write_private(&case.file, &case.right);
        assert_eq!(reason(&exporter).await, None, "{name}: {}", exporter.log());

        // The same at a reload: the file is gone again.
        fs::remove_file(&case.file).unwrap();
        write_private(&exporter.config_file(), &format!("{yaml}# changed\n"));
        let reload = exporter.request(Method::POST, "/-/reload", Default::default()).await;
        assert_eq!(reload.status, 200, "{}", reload.body);
        if case.reason != "auth" {
            // A login that holds needs no secret.
            assert_eq!(reason(&exporter).await.as_deref(), Some(case.reason), "{name}");
        }
        write_private(&case.file, &case.right);
        assert_eq!(reason(&exporter).await, None, "{name}: {}", exporter.log());
        let (status, log) = exporter.stop();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

#[tokio::test]
async fn without_root_certificates_only_those_who_need_them_fail() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    let address = simulator.base_url(PBX).trim_start_matches("http://").parse().unwrap();
    let front = authority.front(&authority.issue("localhost"), address, false).await;
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    let url = format!("https://localhost:{}", front.port());
    let lines = ["username: api", "password: demo-password-not-secret"];
    let broken = entry("broken", PBX, &url, &lines);
    let healthy = source(Vendor::YeastarP, &simulator.base_url(Vendor::YeastarP), &[]);
    let variables = [
        ("SSL_CERT_FILE", roots.to_str().unwrap()),
        ("SSL_CERT_DIR", folder.path().to_str().unwrap()),
    ];
    let exporter = Exporter::start_with(&config(&[broken, healthy]), &[], &variables);
    assert!(exporter.log().contains("no root certificates"), "{}", exporter.log());
    assert_eq!(reason(&exporter).await.as_deref(), Some("tls"));
    let mut check = command();
    check.args(["check", "--config.file"]).arg(exporter.config_file()).envs(variables);
    let checked = output(&mut check);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(2), "{said}");
    assert!(said.contains("install ca-certificates"), "{said}");

    symlink(authority.ca_file(), &roots).unwrap();
    assert_eq!(reason(&exporter).await, None, "{}", exporter.log());
}
