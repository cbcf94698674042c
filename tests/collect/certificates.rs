// SPDX-License-Identifier: Apache-2.0
//! Certificate files that come, change and go while the exporter runs.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use simulator::{Options, Simulator, Vendor};
use tempfile::TempDir;

use crate::common::{Bench, config, entry, source, tls::Authority, wait::later};

const PBX: Vendor = Vendor::YeastarS;

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

fn address(simulator: &Simulator, vendor: Vendor) -> SocketAddr {
    simulator.base_url(vendor).trim_start_matches("http://").parse().unwrap()
}

/// Why the only source is down; `up` if it is not.
async fn outcome(bench: &Bench) -> String {
    match &bench.reports().await[0].outcome {
        Ok(_) => "up".to_owned(),
        Err(failure) => format!("{}: {failure}", failure.reason()),
    }
}

/// As a program that rotates certificates does: no moment without a whole file.
fn replace(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, file).unwrap();
}

#[tokio::test]
async fn a_ca_file_is_looked_at_again_when_it_comes_and_when_it_changes() {
    let simulator = simulator().await;
    let (authority, other) = (Authority::new(), Authority::new());
    let issued = authority.issue("localhost");
    let front = authority.front(&issued, address(&simulator, PBX), false).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ca.pem");
    let url = format!("https://localhost:{}", front.port());
    let tls = format!("tls: {{ ca_file: {} }}", file.display());
    let bench = Bench::new(&config(&[source(PBX, &url, &[&tls])])).await;
    let absent = format!("tls: cannot read {}: there is no such file", file.display());
    assert_eq!(outcome(&bench).await, absent);
    assert_eq!(bench.errors("tls"), 0.0, "no request failed");

    fs::write(&file, "").unwrap();
    let empty = format!("tls: {} holds no PEM certificate", file.display());
    assert_eq!(outcome(&bench).await, empty);
    fs::write(&file, other.pem()).unwrap();
    assert!(outcome(&bench).await.starts_with("tls: login failed"), "another authority");
    fs::write(&file, authority.pem()).unwrap();
    assert_eq!(outcome(&bench).await, "up");

    // What was in use stays in use while there is nothing else that can be used.
    fs::write(&file, "-----BEGIN CERTIF").unwrap();
    assert_eq!(outcome(&bench).await, "up");
    fs::remove_file(&file).unwrap();
    assert_eq!(outcome(&bench).await, "up");
    replace(&file, &other.pem());
    assert!(outcome(&bench).await.starts_with("tls: "));
    replace(&file, &authority.pem());
    assert_eq!(outcome(&bench).await, "up");
}

#[tokio::test]
async fn a_client_certificate_and_its_key_are_replaced_one_after_the_other() {
    let simulator = simulator().await;
    let (authority, other) = (Authority::new(), Authority::new());
    let issued = authority.issue("localhost");
    let front = authority.front(&issued, address(&simulator, PBX), true).await;
    let folder = TempDir::new().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let text = |authority: &Authority| {
        let (certificate, key) = authority.files(&authority.issue("client"));
        (fs::read_to_string(certificate).unwrap(), fs::read_to_string(key).unwrap())
    };
    let (wrong_certificate, wrong_key) = text(&other);
    let (right_certificate, right_key) = text(&authority);
    fs::write(&certificate, wrong_certificate).unwrap();
    fs::write(&key, wrong_key).unwrap();
    let url = format!("https://localhost:{}", front.port());
    let tls = format!(
        "tls: {{ ca_file: {}, cert_file: {}, key_file: {} }}",
        authority.ca_file().display(),
        certificate.display(),
        key.display()
    );
    let yaml = config(&[source(PBX, &url, &[&tls])]);
    let bench = Bench::new(&yaml).await;
    assert_ne!(outcome(&bench).await, "up");
    let refused = outcome(&bench).await;
    fs::write(&certificate, &right_certificate).unwrap();
    assert_eq!(outcome(&bench).await, refused, "the key is still that of the other");
    fs::write(&key, &right_key).unwrap();
    assert_eq!(outcome(&bench).await, "up");

    // A reload takes the files as they are.
    fs::remove_file(&key).unwrap();
    assert_eq!(outcome(&bench).await, "up");
    bench.apply(&yaml).await;
    let absent = format!("tls: cannot read {}: there is no such file", key.display());
    assert_eq!(outcome(&bench).await, absent);
    fs::write(&key, &right_key).unwrap();
    assert_eq!(outcome(&bench).await, "up");
}

#[tokio::test]
async fn a_source_that_waits_after_a_failure_is_asked_at_once_with_new_certificates() {
    const CLOUD: Vendor = Vendor::Dingtalk;
    let simulator = simulator().await;
    let (authority, other) = (Authority::new(), Authority::new());
    let issued = authority.issue("localhost");
    let front = authority.front(&issued, address(&simulator, CLOUD), false).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, other.pem()).unwrap();
    let url = format!("https://localhost:{}", front.port());
    let tls = format!("tls: {{ ca_file: {} }}", file.display());
    let lines =
        ["app_key: demo-app-key", "app_secret: demo-app-secret-not-secret", "min_interval: 15m"];
    let bench =
        Bench::new(&config(&[entry("ding", CLOUD, &url, &[&lines[..], &[&tls]].concat())])).await;
    assert!(outcome(&bench).await.starts_with("tls: access_token failed"));
    later(Duration::from_secs(10)).await;
    assert!(outcome(&bench).await.starts_with("tls: asked again in 50 s"));
    fs::write(&file, authority.pem()).unwrap();
    assert_eq!(outcome(&bench).await, "up");
}
