// SPDX-License-Identifier: Apache-2.0
//! The exporter under load, beside a bare client that sends the same requests with the same
//! concurrency and throws the bodies away, and beside a program that does the same work with
//! aiohttp. Everything runs on the loopback of this machine.
//!
//! Each is a process of its own, and so are its CPU time and memory: this one simulates the
//! systems and scrapes, one is the exporter's release binary, one (this program again) is the bare
//! client, one is Python. At the end stands each target of `docs/performance.md` with what was found.
//!
//! ```sh
//! cargo build --release && cargo run --release --example load
//! ```

mod support {
    pub(crate) mod aiohttp;
    pub(crate) mod bare;
    pub(crate) mod beside;
    pub(crate) mod client;
    pub(crate) mod plan;
    pub(crate) mod process;
    pub(crate) mod sources;
    pub(crate) mod tls;
}

use std::{
    env,
    io::{self, Write as _},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use simulator::{KeepAlive, Options, Simulator, Vendor};
use support::{
    aiohttp, bare,
    beside::{Aiohttp, Beside, median, milliseconds, series, ups},
    plan,
    process::Exporter,
    sources,
    tls::Fronts,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The latency of the simulated systems, where they have one.
const LATENCY: Duration = Duration::from_millis(50);

/// The sources for which there are targets.
const JUDGED: usize = 1_000;

/// PBXs that close their connections.
const CLOSING: usize = 250;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bare", plan] => bare::run(Path::new(plan), None),
        ["bare", plan, ca_file] => bare::run(Path::new(plan), Some(Path::new(ca_file))),
        ["quick"] => load(&[10, 100, 1_000], 20),
        ["hosts"] => only_hosts(20),
        ["one", size, scrapes] => match (size.parse(), scrapes.parse()) {
            (Ok(size), Ok(scrapes)) => one(size, scrapes),
            _ => Err("load one SOURCES SCRAPES: two numbers".into()),
        },
        [] => load(&[10, 100, 1_000, 10_000], 100),
        _ => Err("usage: load [quick | hosts | one SOURCES SCRAPES]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn load(sizes: &[usize], scrapes: usize) -> Outcome<()> {
    conferencing_exporter::limits::raise_open_files();
    let exporter = binary()?;
    println!("exporter: {}", exporter.display());
    head();
    let mut rows = Vec::new();
    for &size in sizes {
        rows.push(row(&exporter, size, scrapes).await?);
    }
    println!();
    all_systems(&exporter, scrapes).await?;
    hosts(&exporter, scrapes).await?;
    println!();
    let size = mib(exporter.metadata()?.len());
    verdict("release binary, stripped", format!("{size:.1} MiB"), size <= 12.0, "12 MiB");
    small(&exporter, scrapes * 10).await?;
    judge(&rows, scrapes);
    Ok(())
}

#[tokio::main]
async fn only_hosts(scrapes: usize) -> Outcome<()> {
    conferencing_exporter::limits::raise_open_files();
    hosts(&binary()?, scrapes).await
}

/// One line of the table, to look at one size or to let a profiler look.
#[tokio::main]
async fn one(size: usize, scrapes: usize) -> Outcome<()> {
    conferencing_exporter::limits::raise_open_files();
    head();
    let row = row(&binary()?, size, scrapes).await?;
    judge(&[row], scrapes);
    Ok(())
}

fn head() {
    println!(
        "http, the systems in turn: {}; they keep their connections",
        sources::names(&sources::speaking_http())
    );
    println!(
        "{:>7} {:>8} {:>9} {:>9} {:>6} {:>10} {:>10} {:>6} {:>10} {:>9} {:>9} {:>8} {:>8}",
        "sources",
        "requests",
        "wall ms",
        "bare ms",
        "ratio",
        "CPU ms",
        "bare ms",
        "ratio",
        "us/source",
        "RSS MiB",
        "ready ms",
        "samples",
        "gzip kB"
    );
}

/// A line of the table.
struct Row {
    size: usize,
    found: Beside,
}

/// The targets of the table.
fn judge(rows: &[Row], scrapes: usize) {
    if let Some(Row { found, .. }) = rows.iter().find(|row| row.size == JUDGED) {
        let wall = found.wall_ratio;
        verdict("1,000 sources, wall time", format!("{wall:.2} x bare"), wall <= 1.5, "1.5");
        let cpu = found.cpu_ratio();
        verdict("1,000 sources, CPU time", format!("{cpu:.2} x bare"), cpu <= 2.0, "2.0");
        beside_aiohttp(found);
        resident("1,000 sources", found.scrape.resident, scrapes, 64);
        let ready = milliseconds(found.ready_after);
        verdict(
            "1,000 sources, start to /-/ready",
            format!("{ready:.0} ms"),
            ready <= 150.0,
            "150 ms",
        );
    }
    // What each source adds, from one size to the next: a fixed part is no growth.
    for (first, less, more) in
        rows.windows(3).filter_map(|rows| Some((rows.first()?, rows.get(1)?, rows.get(2)?)))
    {
        let growth = |value: fn(&Beside) -> f64| {
            let slope = |less: &Row, more: &Row| {
                (value(&more.found) - value(&less.found)) / (more.size - less.size) as f64
            };
            (slope(less, more) / slope(first, less) - 1.0) * 100.0
        };
        let (cpu, bare) = (growth(|found| found.scrape.cpu), growth(|found| found.bare.cpu));
        let what = format!("a source more, {} to {} beside before", less.size, more.size);
        verdict(
            &format!("{what}: CPU time"),
            format!("{cpu:+.0} % (bare client {bare:+.0} %)"),
            cpu <= 20.0,
            "+20 %",
        );
        let memory = growth(|found| found.scrape.resident as f64);
        verdict(&format!("{what}: memory"), format!("{memory:+.0} %"), memory <= 20.0, "+20 %");
    }
}

fn beside_aiohttp(found: &Beside) {
    match &found.aiohttp {
        Ok(Aiohttp { versions, all, no_text }) => {
            println!(
                "{versions}: a pass takes {:.0} ms and CPU {:.0} ms; without a text {:.0} ms and CPU {:.0} ms \
                 (the exporter's scrape {:.3} x that)",
                all.wall,
                all.cpu,
                no_text.wall,
                no_text.cpu,
                found.scrape.cpu / no_text.cpu
            );
            let cpu = found.scrape.cpu / all.cpu;
            verdict("1,000 sources, CPU time", format!("{cpu:.3} x aiohttp"), cpu <= 0.12, "0.12");
        }
        Err(why) => println!("1,000 sources, CPU time beside aiohttp: not measured: {why}"),
    }
}

/// As many sources of all systems, those with a text protocol among them. There is no bare client
/// for these: each collection is a conversation over a connection of its own.
async fn all_systems(exporter: &Path, scrapes: usize) -> Outcome<()> {
    let simulator =
        Simulator::start(Options { record: false, ..options(KeepAlive::Always) }).await?;
    let sources = sources::in_turn(&simulator, &Vendor::ALL, JUDGED);
    let running = Exporter::start(exporter, &sources::yaml(&sources, None)).await?;
    running.warm_up().await?;
    let (mut walls, before) = (Vec::new(), running.usage()?);
    for _ in 0..scrapes {
        let started = Instant::now();
        let text = running.scrape().await?;
        walls.push(milliseconds(started.elapsed()));
        ups(&text, JUDGED)?;
    }
    let after = running.usage()?;
    println!(
        "1,000 sources, the systems in turn: {}: {:.1} ms and CPU {:.1} ms a scrape",
        sources::names(&Vendor::ALL),
        median(&mut walls),
        milliseconds(after.cpu - before.cpu) / scrapes as f64
    );
    resident("1,000 sources of these", after.resident, scrapes, 64);
    Ok(())
}

/// Sources with a host each: that keep their connections, by http and by https, and PBXs that close
/// them after each answer, with sessions of TLS that are resumed and without.
async fn hosts(exporter: &Path, scrapes: usize) -> Outcome<()> {
    // A connection has a longest life, and these are to live.
    let scrapes = scrapes.min(20);
    for https in [false, true] {
        keeping(exporter, scrapes, https).await?;
    }
    for resumes in [true, false] {
        closing(exporter, scrapes, resumes).await?;
    }
    Ok(())
}

async fn keeping(exporter: &Path, scrapes: usize, https: bool) -> Outcome<()> {
    let listen = Ipv4Addr::UNSPECIFIED.into();
    let simulator = Simulator::start(Options { listen, ..options(KeepAlive::Always) }).await?;
    let vendors = sources::speaking_http();
    let (sources, fronts) = if https {
        let fronts = Fronts::start(&simulator, &vendors, JUDGED, true).await?;
        (fronts.sources(&simulator, &vendors), Some(fronts))
    } else {
        (sources::with_own_hosts(&simulator, &vendors, JUDGED), None)
    };
    let aiohttp = Err("one comparison is enough".to_owned());
    let found =
        Beside::measure(exporter, &simulator, &sources, fronts.as_ref(), aiohttp, scrapes).await?;
    let what = format!("{}, 1,000 sources with a host each", if https { "https" } else { "http" });
    println!(
        "{what}, HTTP/1.1, connections kept: {:.1} ms and CPU {:.1} ms a scrape of {} requests, \
         bare client {:.1} ms and CPU {:.1} ms",
        found.scrape.wall, found.scrape.cpu, found.requests, found.bare.wall, found.bare.cpu,
    );
    let cpu = found.cpu_ratio();
    verdict(&format!("{what}, CPU time"), format!("{cpu:.2} x bare"), cpu <= 2.0, "2.0");
    if https {
        let (full, resumed) = found.handshakes;
        verdict(
            &format!("{what}, handshakes from the second scrape on"),
            format!("{full} full, {resumed} resumed"),
            full + resumed == 0,
            "0",
        );
    }
    resident(&what, found.scrape.resident, scrapes, 64);
    Ok(())
}

async fn closing(exporter: &Path, scrapes: usize, resumes: bool) -> Outcome<()> {
    let simulator =
        Simulator::start(Options { record: false, ..options(KeepAlive::AsVendor) }).await?;
    let vendors = [Vendor::YeastarS];
    let fronts = Fronts::start(&simulator, &vendors, CLOSING, resumes).await?;
    let yaml = sources::yaml(&fronts.sources(&simulator, &vendors), Some(&fronts.ca_file()));
    let running = Exporter::start(exporter, &yaml).await?;
    running.warm_up().await?;
    let (full, resumed) = fronts.full_and_resumed();
    let before = running.usage()?;
    for _ in 0..scrapes {
        ups(&running.scrape().await?, CLOSING)?;
    }
    let after = running.usage()?;
    let (all_full, all_resumed) = fronts.full_and_resumed();
    let a_scrape = |count: usize| count as f64 / scrapes as f64;
    println!(
        "https, {CLOSING} PBXs that close connections and {}resume sessions: {:.1} full handshakes and \
         {:.1} resumed sessions a scrape, CPU {:.1} ms a scrape, {:.1} MiB",
        if resumes { "" } else { "do not " },
        a_scrape(all_full - full),
        a_scrape(all_resumed - resumed),
        milliseconds(after.cpu - before.cpu) / scrapes as f64,
        mib(after.resident),
    );
    if resumes {
        let hosts = full as f64 / CLOSING as f64;
        verdict(
            "https, full handshakes a host that resumes, ever",
            format!("{hosts:.2}"),
            full == CLOSING && all_full == full,
            "1",
        );
    }
    Ok(())
}

/// Ten sources without latency, and five for a long time.
async fn small(exporter: &Path, scrapes: usize) -> Outcome<()> {
    let simulator = Simulator::start(Options { record: false, ..Options::default() }).await?;
    let yaml = |size| sources::yaml(&sources::in_turn(&simulator, &Vendor::ALL, size), None);
    let running = Exporter::start(exporter, &yaml(10)).await?;
    running.warm_up().await?;
    let mut above = Vec::new();
    for _ in 0..scrapes.min(200) {
        let started = Instant::now();
        let text = running.scrape().await?;
        above.push(started.elapsed().as_secs_f64() - slowest(&text));
    }
    let above = median(&mut above) * 1e3;
    verdict(
        "10 sources, no latency: above the slowest source",
        format!("{above:.2} ms"),
        above <= 3.0,
        "3 ms",
    );
    drop(running);
    let running = Exporter::start(exporter, &yaml(5)).await?;
    for _ in 0..scrapes {
        running.scrape().await?;
    }
    resident("5 sources", running.usage()?.resident, scrapes, 16);
    Ok(())
}

/// One line of the table.
async fn row(exporter: &Path, size: usize, scrapes: usize) -> Outcome<Row> {
    let scrapes = if size >= 10_000 { scrapes.min(20) } else { scrapes };
    let simulator = Simulator::start(options(KeepAlive::Always)).await?;
    let sources = sources::in_turn(&simulator, &sources::speaking_http(), size);
    let aiohttp =
        if size == JUDGED { aiohttp::versions() } else { Err("no target at this size".to_owned()) };
    let found = Beside::measure(exporter, &simulator, &sources, None, aiohttp, scrapes).await?;
    println!(
        "{size:>7} {:>8} {:>9.1} {:>9.1} {:>6.2} {:>10.2} {:>10.2} {:>6.2} {:>10.1} {:>9.1} {:>9.1} {:>8} {:>8.0}",
        found.requests,
        found.scrape.wall,
        found.bare.wall,
        found.wall_ratio,
        found.scrape.cpu,
        found.bare.cpu,
        found.cpu_ratio(),
        found.scrape.cpu * 1e3 / size as f64,
        mib(found.scrape.resident),
        milliseconds(found.ready_after),
        series(&found.text),
        gzipped(&found.text)? as f64 / 1e3,
    );
    Ok(Row { size, found })
}

/// Systems that answer after some time.
fn options(keep_alive: KeepAlive) -> Options {
    Options {
        latency: LATENCY,
        record_limit: plan::MOST_RECORDED,
        keep_alive,
        ..Options::default()
    }
}

/// The target of the memory that the exporter keeps.
fn resident(what: &str, bytes: u64, scrapes: usize, most: u32) {
    let found = mib(bytes);
    verdict(
        &format!("{what}, resident after {scrapes} scrapes"),
        format!("{found:.1} MiB"),
        found <= f64::from(most),
        &format!("{most} MiB"),
    );
}

fn verdict(what: &str, found: String, met: bool, target: &str) {
    let met = if met { "met" } else { "NOT MET" };
    println!("{what}: {found} (at most {target}: {met})");
}

/// The slowest source's own time, in seconds.
fn slowest(text: &str) -> f64 {
    text.lines()
        .filter(|line| line.starts_with("conferencing_scrape_duration_seconds{"))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse().ok())
        .fold(0.0, f64::max)
}

/// How many bytes `text` takes on its way to Prometheus.
fn gzipped(text: &str) -> io::Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes())?;
    Ok(encoder.finish()?.len())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The exporter beside this example: `target/release/conferencing_exporter`.
fn binary() -> io::Result<PathBuf> {
    if let Some(path) = env::var_os("LOAD_EXPORTER") {
        return Ok(path.into());
    }
    let mut path = env::current_exe()?;
    path.pop();
    path.pop();
    path.push("conferencing_exporter");
    Ok(path)
}
