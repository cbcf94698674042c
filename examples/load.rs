// SPDX-License-Identifier: Apache-2.0
//! The exporter under load, beside a bare client that sends the same requests with the same
//! concurrency and throws the bodies away. Everything runs on the loopback of this machine.
//!
//! Three processes, so that CPU time and memory are each one's own: this one simulates the
//! systems and scrapes, one is the exporter's release binary, one (this program again) is the bare
//! client. At the end stands each target of `docs/performance.md` with what was found.
//!
//! ```sh
//! cargo build --release && cargo run --release --example load
//! ```

mod support {
    pub(crate) mod bare;
    pub(crate) mod process;
    pub(crate) mod sources;
    pub(crate) mod tls;
}

use std::{
    env,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use simulator::{KeepAlive, Options, Simulator, Vendor};
use support::{
    bare::{self, Bare},
    process::{Exporter, Usage},
    sources,
    tls::Front,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The latency of the simulated systems, where they have one.
const LATENCY: Duration = Duration::from_millis(50);

/// Sources that are reached by TLS.
const TLS_SOURCES: usize = 250;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bare", plan] => bare::run(Path::new(plan)),
        ["quick"] => load(&[10, 100, 1_000], 20),
        ["tls"] => only_tls(20),
        ["one", size, scrapes] => match (size.parse(), scrapes.parse()) {
            (Ok(size), Ok(scrapes)) => one(size, scrapes),
            _ => Err("load one SOURCES SCRAPES: two numbers".into()),
        },
        [] => load(&[10, 100, 1_000, 10_000], 100),
        _ => Err("usage: load [quick | tls | one SOURCES SCRAPES]".into()),
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
    process_limits();
    let exporter = binary()?;
    println!("exporter: {}", exporter.display());
    head();
    let mut rows = Vec::new();
    for &size in sizes {
        rows.push(row(&exporter, size, scrapes).await?);
    }
    println!();
    tls(&exporter, scrapes).await?;
    println!();
    let size = mib(exporter.metadata()?.len());
    verdict("release binary, stripped", format!("{size:.1} MiB"), size <= 12.0, "12 MiB");
    small(&exporter, scrapes * 10).await?;
    judge(&rows, scrapes);
    Ok(())
}

#[tokio::main]
async fn only_tls(scrapes: usize) -> Outcome<()> {
    process_limits();
    tls(&binary()?, scrapes).await
}

/// One line of the table, to look at one size or to let a profiler look.
#[tokio::main]
async fn one(size: usize, scrapes: usize) -> Outcome<()> {
    process_limits();
    head();
    row(&binary()?, size, scrapes).await?;
    Ok(())
}

fn head() {
    println!(
        "{:>7} {:>9} {:>9} {:>6} {:>10} {:>10} {:>6} {:>10} {:>9} {:>9} {:>8} {:>8}",
        "sources",
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

/// What a line of the table says.
struct Row {
    size: usize,
    /// Wall time of a scrape, in times of the bare client's: median of the scrapes.
    wall_ratio: f64,
    /// CPU time of a scrape, in milliseconds.
    cpu: f64,
    /// The bare client's.
    bare_cpu: f64,
    /// Resident memory after the last scrape, in MiB.
    resident: f64,
    /// From the start to the first answer of `/-/ready`, in milliseconds.
    ready: f64,
}

/// The targets of the table.
fn judge(rows: &[Row], scrapes: usize) {
    if let Some(row) = rows.iter().find(|row| row.size == 1_000) {
        let wall = row.wall_ratio;
        verdict("1,000 sources, wall time", format!("{wall:.2} x bare"), wall <= 1.5, "1.5");
        let cpu = row.cpu / row.bare_cpu;
        verdict("1,000 sources, CPU time", format!("{cpu:.2} x bare"), cpu <= 2.0, "2.0");
        verdict(
            &format!("1,000 sources, resident after {scrapes} scrapes"),
            format!("{:.1} MiB", row.resident),
            row.resident <= 64.0,
            "64 MiB",
        );
        verdict(
            "1,000 sources, start to /-/ready",
            format!("{:.0} ms", row.ready),
            row.ready <= 150.0,
            "150 ms",
        );
    }
    // What each source adds, from one size to the next: a fixed part is no growth.
    for (first, less, more) in
        rows.windows(3).filter_map(|rows| Some((rows.first()?, rows.get(1)?, rows.get(2)?)))
    {
        let growth = |value: fn(&Row) -> f64| {
            let slope = |less: &Row, more: &Row| {
                (value(more) - value(less)) / (more.size - less.size) as f64
            };
            (slope(less, more) / slope(first, less) - 1.0) * 100.0
        };
        let (cpu, bare) = (growth(|row| row.cpu), growth(|row| row.bare_cpu));
        let what = format!("a source more, {} to {} beside before", less.size, more.size);
        verdict(
            &format!("{what}: CPU time"),
            format!("{cpu:+.0} % (bare client {bare:+.0} %)"),
            cpu <= 20.0,
            "+20 %",
        );
        let memory = growth(|row| row.resident);
        verdict(&format!("{what}: memory"), format!("{memory:+.0} %"), memory <= 20.0, "+20 %");
    }
}

/// Systems behind TLS: that keep their connections, that close them after each answer, and that do
/// so and never resume a session.
async fn tls(exporter: &Path, scrapes: usize) -> Outcome<()> {
    for (keep_alive, resumes) in
        [(KeepAlive::Always, true), (KeepAlive::AsVendor, true), (KeepAlive::AsVendor, false)]
    {
        let options = Options { latency: LATENCY, record: false, keep_alive, ..Options::default() };
        let simulator = Simulator::start(options).await?;
        let front =
            Front::start(simulator.base_url(Vendor::YeastarS), TLS_SOURCES, resumes).await?;
        let yaml = front.yaml(TLS_SOURCES);
        let running = Exporter::start(exporter, &yaml).await?;
        running.warm_up().await?;
        let (full, resumed) = front.full_and_resumed();
        let before = running.usage()?;
        for _ in 0..scrapes {
            ups(&running.scrape().await?, TLS_SOURCES)?;
        }
        let after = running.usage()?;
        let (all_full, all_resumed) = front.full_and_resumed();
        let a_scrape = |count: usize| count as f64 / scrapes as f64;
        println!(
            "TLS, {TLS_SOURCES} hosts that {}: {:.1} full handshakes and {:.1} resumed sessions a scrape, \
             CPU {:.1} ms a scrape, {:.1} MiB",
            match (keep_alive, resumes) {
                (KeepAlive::Always, _) => "keep connections",
                (_, true) => "resume",
                (_, false) => "do not resume",
            },
            a_scrape(all_full - full),
            a_scrape(all_resumed - resumed),
            (after.cpu - before.cpu).as_secs_f64() * 1e3 / scrapes as f64,
            mib(after.resident),
        );
        if resumes {
            let hosts = full as f64 / TLS_SOURCES as f64;
            verdict(
                "TLS, full handshakes a host, ever",
                format!("{hosts:.2}"),
                full == TLS_SOURCES && all_full == full,
                "1",
            );
        }
    }
    Ok(())
}

/// All sources are up, or the scrape does not count.
fn ups(text: &str, size: usize) -> Outcome<()> {
    let up = text
        .lines()
        .filter(|line| line.starts_with("conferencing_up{") && line.ends_with(" 1"))
        .count();
    if up == size { Ok(()) } else { Err(format!("{up} of {size} sources are up").into()) }
}

/// Ten sources without latency, and five for a long time.
async fn small(exporter: &Path, scrapes: usize) -> Outcome<()> {
    let simulator = Simulator::start(Options { record: false, ..Options::default() }).await?;
    let running = Exporter::start(exporter, &sources::yaml(&simulator, 10)).await?;
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
    let running = Exporter::start(exporter, &sources::yaml(&simulator, 5)).await?;
    for _ in 0..scrapes {
        running.scrape().await?;
    }
    let resident = mib(running.usage()?.resident);
    verdict(
        &format!("5 sources, resident after {scrapes} scrapes"),
        format!("{resident:.1} MiB"),
        resident <= 16.0,
        "16 MiB",
    );
    Ok(())
}

/// One line of the table.
async fn row(exporter: &Path, size: usize, scrapes: usize) -> Outcome<Row> {
    // Few sources are scraped more often: CPU time in /proc has a resolution of 10 ms.
    let scrapes = if size >= 10_000 { scrapes.min(20) } else { scrapes };
    let options = Options {
        latency: LATENCY,
        record_limit: 16,
        keep_alive: KeepAlive::Always,
        ..Options::default()
    };
    let simulator = Simulator::start(options).await?;
    let running = Exporter::start(exporter, &sources::yaml(&simulator, size)).await?;
    running.warm_up().await?;
    simulator.clear_requests();
    running.scrape().await?;
    let mut bare = Bare::start(&simulator, size).await?;
    bare.pass().await?;
    let (mut walls, mut bare_walls, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut last = String::new();
    let before = (running.usage()?, bare.usage()?);
    for _ in 0..scrapes {
        let started = Instant::now();
        let text = running.scrape().await?;
        let wall = started.elapsed().as_secs_f64();
        ups(&text, size)?;
        let bare_wall = bare.pass().await?.as_secs_f64();
        walls.push(wall * 1e3);
        bare_walls.push(bare_wall * 1e3);
        ratios.push(wall / bare_wall);
        last = text;
    }
    let after = (running.usage()?, bare.usage()?);
    let cpu =
        |before: Usage, after: Usage| (after.cpu - before.cpu).as_secs_f64() * 1e3 / scrapes as f64;
    let (cpu, bare_cpu) = (cpu(before.0, after.0), cpu(before.1, after.1));
    let row = Row {
        size,
        wall_ratio: median(&mut ratios),
        cpu,
        bare_cpu,
        resident: mib(after.0.resident),
        ready: running.ready_after.as_secs_f64() * 1e3,
    };
    println!(
        "{size:>7} {:>9.1} {:>9.1} {:>6.2} {cpu:>10.2} {bare_cpu:>10.2} {:>6.2} {:>10.1} {:>9.1} {:>9.1} {:>8} {:>8.0}",
        median(&mut walls),
        median(&mut bare_walls),
        row.wall_ratio,
        cpu / bare_cpu,
        cpu * 1e3 / size as f64,
        row.resident,
        row.ready,
        last.lines().filter(|line| !line.starts_with('#')).count(),
        gzipped(&last)? as f64 / 1e3,
    );
    Ok(row)
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

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
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

/// Simulating thousands of systems takes a descriptor a connection.
fn process_limits() {
    conferencing_exporter::limits::raise_open_files();
}
