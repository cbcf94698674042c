// SPDX-License-Identifier: Apache-2.0
//! Sources have nothing to do with each other: whatever one of them lacks, another one's numbers
//! stay what they are.

#![allow(clippy::wildcard_enum_match_arm, reason = "most of what breaks needs nothing before")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{collections::BTreeMap, fs, path::Path};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngSeed, TestRunner},
};
use simulator::{Options, Simulator, Vendor};

use crate::common::{
    Bench, config, credentials, entry,
    exposition::Exposition,
    faults::{faults, text_faults},
    genuine::everything_on,
    refusing::Refusing,
    tls::Authority,
};

/// How many pairs of sources are tried.
const PAIRS: usize = 40;

/// What happens to a source between two scrapes, or was wrong with it from the start.
#[derive(Clone, Copy, Debug)]
enum Broken {
    SecretGone,
    SecretEmpty,
    SecretWrong,
    CaGone,
    CaGarbage,
    IdsGone,
    IdsGarbage,
    AddressRefused,
    LockedOut,
    Restarted,
    /// One of the faults that its system may have, at all its calls.
    Fault(prop::sample::Index),
}

fn broken() -> impl Strategy<Value = Broken> {
    prop_oneof![
        prop::sample::select(vec![
            Broken::SecretGone,
            Broken::SecretEmpty,
            Broken::SecretWrong,
            Broken::CaGone,
            Broken::CaGarbage,
            Broken::IdsGone,
            Broken::IdsGarbage,
            Broken::AddressRefused,
            Broken::LockedOut,
            Broken::Restarted,
        ]),
        any::<prop::sample::Index>().prop_map(Broken::Fault),
    ]
}

/// The keys that a secret can be given by, the first of them that a login has.
const SECRETS: [&str; 6] =
    ["password", "client_secret", "app_secret", "admin_secret", "shared_secret", "app_key"];

/// The lines of a source whose secret is in `file`, and the secret.
fn secret_in(file: &Path, vendor: Vendor) -> (Vec<String>, String) {
    let mut lines = credentials(vendor);
    let key = SECRETS.into_iter().find(|key| lines.iter().any(|line| line.starts_with(key)));
    let key = key.unwrap();
    let line = lines.iter_mut().find(|line| line.starts_with(key)).unwrap();
    let secret = line.split_once(": ").unwrap().1.to_owned();
    *line = format!("{key}_file: {}", file.display());
    (lines, secret)
}

/// Every sample of the first source but those that tell the time.
fn numbers(scraped: &Exposition) -> BTreeMap<String, String> {
    const TIMES: [&str; 3] = [
        "conferencing_scrape_duration_seconds",
        "conferencing_data_timestamp_seconds",
        "conferencing_conference_start_timestamp_seconds",
    ];
    let of_first = scraped.samples.iter().filter(|sample| {
        sample.labels.get("source").is_some_and(|name| name == "first")
            && !TIMES.contains(&sample.name.as_str())
    });
    of_first
        .map(|sample| (format!("{} {:?}", sample.name, sample.labels), sample.value.to_string()))
        .collect()
}

/// One pair of sources, the second of which breaks. Answers whether it is down then.
async fn pair(
    simulator: &Simulator,
    authority: &Authority,
    first: Vendor,
    second: Vendor,
    broken: Broken,
) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (secret_file, ca_file) = (folder.path().join("secret"), folder.path().join("ca.pem"));
    let ids_file = folder.path().join("ids");
    let mut lines = credentials(first);
    lines.push("conferences: { enabled: true, identify: number }".to_owned());
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let first = entry("first", first, &simulator.instance_url(first, "a"), &lines);
    let alone = Bench::new(&config(std::slice::from_ref(&first))).await.scrape().await;
    let expected = numbers(&alone);
    assert_eq!(alone.value("conferencing_up", &[]), Some(1.0), "{first}");
    assert!(expected.len() > 10, "{expected:?}");

    let (mut lines, secret) = secret_in(&secret_file, second);
    fs::write(&secret_file, secret).unwrap();
    fs::write(&ids_file, "known-1\n").unwrap();
    let refusing = Refusing::new();
    let mut url = simulator.instance_url(second, "b");
    match broken {
        Broken::CaGone | Broken::CaGarbage if second.speaks_http() => {
            let (address, path) = url.trim_start_matches("http://").split_once('/').unwrap();
            let address = address.parse().unwrap();
            let front = authority.front(&authority.issue("localhost"), address, false).await;
            url = format!("https://localhost:{}/{path}", front.port());
            lines.push(format!("tls: {{ ca_file: {} }}", ca_file.display()));
            fs::write(&ca_file, authority.pem()).unwrap();
        }
        Broken::AddressRefused => {
            let scheme = url.split("://").next().unwrap();
            url = format!("{scheme}://{}", refusing.address);
        }
        Broken::IdsGone | Broken::IdsGarbage if second == Vendor::Dingtalk => {
            lines.push(format!("conference_ids_file: {}", ids_file.display()));
        }
        _ => {}
    }
    // With whatever else the second one can be told to ask, but for what is set already.
    let more = everything_on(simulator, second, "b");
    lines.extend(more.into_iter().filter(|line| !line.starts_with("timeout")));
    let is_slow = matches!(broken, Broken::Fault(_));
    lines.push(if is_slow { "timeout: 300ms" } else { "timeout: 5s" }.to_owned());
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let second_entry = entry("second", second, &url, &lines);
    let bench = Bench::new(&config(&[first, second_entry])).await;
    let both = bench.scrape().await;
    assert_eq!(numbers(&both), expected, "{second:?} before it is {broken:?}");
    let up = both.value("conferencing_up", &[("source", "second")]);
    let is_up = !matches!(broken, Broken::AddressRefused | Broken::Fault(_));
    assert!(up == Some(1.0) || !is_up, "{second:?} before it is {broken:?}: {:?}", both.samples);

    match broken {
        Broken::SecretGone => fs::remove_file(&secret_file).unwrap(),
        Broken::SecretEmpty => fs::write(&secret_file, "").unwrap(),
        Broken::SecretWrong => fs::write(&secret_file, "wrong\n").unwrap(),
        Broken::CaGone => drop(fs::remove_file(&ca_file)),
        Broken::CaGarbage => fs::write(&ca_file, "-----BEGIN CERTIFICATE-----\n!").unwrap(),
        Broken::IdsGone => fs::remove_file(&ids_file).unwrap(),
        Broken::IdsGarbage => fs::write(&ids_file, [0xff, 0, b'\n', b'{']).unwrap(),
        Broken::AddressRefused => {}
        Broken::LockedOut => simulator.lock_out(second, "b", None),
        Broken::Restarted => simulator.restart(second, "b"),
        Broken::Fault(index) => {
            let all = if second.speaks_http() { faults() } else { text_faults() };
            let (_, fault, _) = index.get(&all);
            simulator.inject(second, "b", None, fault.clone(), None);
        }
    }
    // What a login gave would hide for a while that nobody can log in any more.
    simulator.expire_tokens(second, "b");
    let mut is_down = false;
    for _ in 0..2 {
        let scraped = bench.scrape().await;
        assert_eq!(numbers(&scraped), expected, "beside {second:?} that is {broken:?}");
        is_down |= scraped.value("conferencing_up", &[("source", "second")]) == Some(0.0);
    }
    simulator.clear_faults();
    simulator.reset_lockouts();
    is_down
}

#[tokio::test]
async fn what_breaks_at_one_source_changes_no_number_of_another() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let authority = Authority::new();
    for vendor in Vendor::ALL {
        // From then on what a system holds does not change by itself.
        simulator.edit(vendor, "a", |_| ());
        simulator.edit(vendor, "b", |_| ());
    }
    let settings =
        Config { rng_seed: RngSeed::Fixed(16), failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(settings);
    let vendor = || prop::sample::select(Vendor::ALL.to_vec());
    let strategy = (vendor(), vendor(), broken());
    let mut down = 0;
    for _ in 0..PAIRS {
        let (first, second, broken) = strategy.new_tree(&mut runner).unwrap().current();
        down += usize::from(pair(&simulator, &authority, first, second, broken).await);
    }
    assert!(down > PAIRS / 2, "only {down} of {PAIRS} sources broke");
}
