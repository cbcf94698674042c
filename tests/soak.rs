// SPDX-License-Identifier: Apache-2.0
//! The soak: thousands of scrapes of fifty sources that fail at random, lose their tokens and are
//! reloaded meanwhile. Memory and descriptors at the end are those after the first 500 scrapes.
//!
//! `SOAK_SCRAPES` says how many scrapes; `checks/soak.sh` runs all 10,000.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test")]

mod common;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use common::{
    binary::{Exporter, write_private},
    config, entry, source,
};
use reqwest::{Method, StatusCode};
use simulator::{Fault, Options, Simulator, Vendor};
use tokio::task::JoinSet;

const SOURCES: usize = 50;
const WARM_UP: usize = 500;
/// As many scrapes at once: they share collections, as a pair of Prometheus servers does.
const AT_ONCE: usize = 8;

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

fn vendor(number: usize) -> Vendor {
    Vendor::ALL[number % Vendor::ALL.len()]
}

fn instance(number: usize) -> String {
    format!("soak-{number}")
}

/// A configuration of all sources but the last `without`, in which those of `changed` differ from
/// the ones of any other round.
fn configuration(
    simulator: &Simulator,
    round: usize,
    without: usize,
    changed: impl Fn(usize) -> bool,
) -> String {
    let sources: Vec<_> = (0..SOURCES - without)
        .map(|number| {
            let url = simulator.instance_url(vendor(number), &instance(number));
            let credentials = source(vendor(number), &url, &[]);
            let timeout = format!("timeout: {}ms", 2_000 + if changed(number) { round } else { 0 });
            let mut lines: Vec<_> = credentials.lines().skip(3).map(str::trim).collect();
            lines.extend([timeout.as_str(), "conferences: { enabled: true }"]);
            entry(&instance(number), vendor(number), &url, &lines)
        })
        .collect();
    config(&sources)
}

fn fault(random: &mut Random, vendor: Vendor) -> Fault {
    // Those that last as long as the timeout are rare, or the soak would only wait.
    if random.below(400) == 0 {
        return if random.below(2) == 0 { Fault::Hang } else { Fault::Drip };
    }
    let slow = Fault::Delay(Duration::from_millis(20));
    let fault = match random.below(160) {
        0..5 => Fault::RetryAfter { status: 429, value: "1".to_owned() },
        5..10 => Fault::GzipBomb(12 << 20),
        10..30 => Fault::Status(500),
        // A P-Series has eight tokens, and keeps each that is replaced for half an hour.
        30..50 if vendor != Vendor::YeastarP => Fault::Status(401),
        50..65 => Fault::CloseBeforeAnswer,
        65..80 => Fault::ResetInsideBody,
        80..95 => Fault::Truncate,
        95..105 => Fault::Html,
        105..115 => Fault::WrongTypes,
        115..125 => Fault::Redirect("http://127.0.0.1:9/".to_owned()),
        125..135 => Fault::DeepNesting(10_000),
        135..145 => Fault::Large(1 << 20),
        145..150 => Fault::InvalidUtf8,
        _ => slow.clone(),
    };
    if vendor.speaks_http() || !fault.needs_http() { fault } else { slow }
}

/// A call of the vendor that is no login: refused logins would only be held back.
fn call(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => "conference/query",
        Vendor::YeastarP => "conference/list",
        Vendor::HuaweiMeeting => "conferences/online",
        Vendor::Dingtalk => "orgConferences",
        Vendor::Asterisk => "confbridge_list",
        Vendor::FreeSwitch => "json_list",
        Vendor::Janus => "audiobridge/list",
        Vendor::BigBlueButton => "getMeetings",
        other => panic!("no call for {other:?}"),
    }
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    resident_kib: usize,
    descriptors: usize,
    threads: usize,
}

fn measure(pid: u32) -> Measured {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse().unwrap()
    };
    Measured {
        resident_kib: field("VmRSS"),
        descriptors: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
        threads: field("Threads"),
    }
}

/// What is in use once everything is at rest: the least of some looks, a little apart.
async fn at_rest(simulator: &Simulator, exporter: &Exporter, round: usize) -> Measured {
    simulator.clear_faults();
    // Each source anew: connections of the old ones are closed.
    reload(exporter, &configuration(simulator, round, 0, |_| true)).await;
    for _ in 0..3 {
        assert_eq!(exporter.get("/metrics").await.status, StatusCode::OK);
    }
    let mut least = measure(exporter.pid());
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = measure(exporter.pid());
        least.resident_kib = least.resident_kib.min(now.resident_kib);
        least.descriptors = least.descriptors.min(now.descriptors);
        least.threads = least.threads.min(now.threads);
    }
    least
}

async fn reload(exporter: &Exporter, yaml: &str) {
    write_private(&exporter.config_file(), yaml);
    let answer = exporter.request(Method::POST, "/-/reload", Default::default()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

/// Scrapes `scrapes` times while everything goes wrong.
async fn scrape_under_fire(
    simulator: &Arc<Simulator>,
    exporter: &Arc<Exporter>,
    scrapes: usize,
    random: &mut Random,
    round: &mut usize,
) {
    let begun = Arc::new(AtomicUsize::new(0));
    let mut scrapers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (exporter, begun) = (Arc::clone(exporter), Arc::clone(&begun));
        scrapers.spawn(async move {
            while begun.fetch_add(1, Ordering::Relaxed) < scrapes {
                let answer = exporter.get("/metrics").await;
                assert_eq!(answer.status, StatusCode::OK);
                let sources = answer.body.matches("\nconferencing_up{").count();
                assert!((SOURCES - 5..=SOURCES).contains(&sources), "{sources}");
            }
        });
    }
    let (mut spoilt, mut reloaded) = (0, 0);
    while !scrapers.is_empty() {
        let done = begun.load(Ordering::Relaxed);
        // A dozen faults for each collection of all sources.
        let faults = if done >= spoilt + AT_ONCE { 12 } else { 0 };
        if faults > 0 {
            spoilt = done;
        }
        for _ in 0..faults {
            let number = random.below(SOURCES);
            let (vendor, instance) = (vendor(number), instance(number));
            let times = u32::try_from(1 + random.below(2)).unwrap();
            simulator.inject(
                vendor,
                &instance,
                Some(call(vendor)),
                fault(random, vendor),
                Some(times),
            );
        }
        if faults > 0 {
            let number = random.below(SOURCES);
            simulator.expire_tokens(vendor(number), &instance(number));
        }
        if done >= reloaded + 100 {
            reloaded = done;
            *round += 1;
            let (without, changed) = (random.below(6), 2 + random.below(5));
            let yaml = configuration(simulator, *round, without, |number| number % changed == 0);
            reload(exporter, &yaml).await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        while let Some(joined) = scrapers.try_join_next() {
            joined.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_and_descriptors_do_not_grow() {
    let scrapes: usize = std::env::var("SOAK_SCRAPES").map_or(1_500, |text| text.parse().unwrap());
    let options = Options { record: false, ..Options::default() };
    let simulator = Arc::new(Simulator::start(options).await.unwrap());
    let mut round = 1;
    let yaml = configuration(&simulator, round, 0, |_| true);
    // What is freed goes back to the system: else the allocator's own habits, more than a tenth up
    // and down by themselves, would be measured.
    let allocator = [
        ("MALLOC_ARENA_MAX", "1"),
        ("MALLOC_MMAP_THRESHOLD_", "65536"),
        ("MALLOC_TRIM_THRESHOLD_", "65536"),
    ];
    let exporter = Arc::new(Exporter::start_with(&yaml, &["--web.enable-lifecycle"], &allocator));
    let mut random = Random(0x5eed);
    let started = Instant::now();
    scrape_under_fire(&simulator, &exporter, WARM_UP, &mut random, &mut round).await;
    round += 1;
    let before = at_rest(&simulator, &exporter, round).await;
    scrape_under_fire(&simulator, &exporter, scrapes - WARM_UP, &mut random, &mut round).await;
    round += 1;
    let after = at_rest(&simulator, &exporter, round).await;
    println!("{scrapes} scrapes in {:?}: {before:?}, then {after:?}", started.elapsed());

    assert!(after.resident_kib <= before.resident_kib * 11 / 10, "{before:?}, then {after:?}");
    // Some more or less are connections to the clouds that happen to be kept open.
    assert!(after.descriptors <= before.descriptors * 11 / 10 + 10, "{before:?}, then {after:?}");
    assert!(after.threads <= before.threads + AT_ONCE, "{before:?}, then {after:?}");

    // And all of it still works, where no fresh token was refused: that holds logins back.
    simulator.reset_lockouts();
    let mut down = Vec::new();
    for _ in 0..30 {
        let scraped = exporter.scrape().await;
        let ups = scraped.matching("conferencing_up", &[]);
        let is_blocked = |source: &str| {
            scraped.value("conferencing_login_blocked", &[("source", source)]) == Some(1.0)
        };
        down = ups
            .filter(|up| up.value == 0.0 && !is_blocked(&up.labels["source"]))
            .map(|up| up.labels["source"].clone())
            .collect();
        if down.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let log = exporter.log();
    let told = |name: &String| log.lines().rfind(|line| line.contains(&format!("source={name} ")));
    let last: Vec<_> = down.iter().map(told).collect();
    assert!(down.is_empty(), "{down:?}: {last:?}");
    let Some(exporter) = Arc::into_inner(exporter) else { panic!("still in use") };
    let (status, log) = exporter.stop();
    assert!(status.success() && !log.contains("panicked"), "{log}");
}
