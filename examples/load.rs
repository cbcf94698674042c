//! The exporter under load, beside a bare client that sends the same requests with the same
//! concurrency and throws the bodies away. Everything runs on the loopback of this machine.
//!
//! Three processes, so that CPU time and memory are each one's own: this one simulates the
//! systems and scrapes, one is the exporter's release binary, one (this program again) is the bare
//! client. `docs/performance.md` says how to read the table.
//!
//! ```sh
//! cargo build --release && cargo run --release --example load
//! ```

mod support {
    pub(crate) mod bare;
    pub(crate) mod process;
    pub(crate) mod sources;
}

use std::{
    env, io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use simulator::{Options, Simulator};
use support::{
    bare::{self, Bare},
    process::{Exporter, Usage},
    sources,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The latency of the simulated systems, where they have one.
const LATENCY: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bare", plan] => bare::run(Path::new(plan)),
        ["one", size, scrapes] => match (size.parse(), scrapes.parse()) {
            (Ok(size), Ok(scrapes)) => one(size, scrapes),
            _ => Err("one SIZE SCRAPES".into()),
        },
        ["quick"] => load(&[10, 100, 1_000], 20),
        [] => load(&[10, 100, 1_000, 10_000], 100),
        _ => Err("usage: load [quick]".into()),
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
    let size = exporter.metadata()?.len();
    verdict("release binary", format!("{:.1} MiB", mib(size)), mib(size) <= 12.0, "12 MiB");
    small(&exporter, scrapes * 10).await?;
    println!(
        "\n{:>7} {:>9} {:>9} {:>6} {:>10} {:>10} {:>6} {:>10} {:>9} {:>9}",
        "sources",
        "wall ms",
        "bare ms",
        "ratio",
        "CPU ms",
        "bare ms",
        "ratio",
        "us/source",
        "RSS MiB",
        "ready ms"
    );
    for &size in sizes {
        row(&exporter, size, scrapes).await?;
    }
    Ok(())
}

#[tokio::main]
async fn one(size: usize, scrapes: usize) -> Outcome<()> {
    process_limits();
    row(&binary()?, size, scrapes).await
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
async fn row(exporter: &Path, size: usize, scrapes: usize) -> Outcome<()> {
    // Enough of the few small ones for the clock of /proc, which ticks every 10 ms.
    let scrapes = if size >= 10_000 { scrapes.min(20) } else { scrapes };
    let options = Options { latency: LATENCY, record_limit: 16, ..Options::default() };
    let simulator = Simulator::start(options).await?;
    let running = Exporter::start(exporter, &sources::yaml(&simulator, size)).await?;
    running.warm_up().await?;
    simulator.clear_requests();
    running.scrape().await?;
    let mut bare = Bare::start(&simulator, size).await?;
    bare.pass().await?;
    let (mut walls, mut bare_walls, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let before = (running.usage()?, bare.usage()?);
    for _ in 0..scrapes {
        let started = Instant::now();
        let text = running.scrape().await?;
        let wall = started.elapsed().as_secs_f64();
        let up = text
            .lines()
            .filter(|line| line.starts_with("conferencing_up{") && line.ends_with(" 1"))
            .count();
        if up != size {
            return Err(format!("{up} of {size} sources are up").into());
        }
        let bare_wall = bare.pass().await?.as_secs_f64();
        walls.push(wall * 1e3);
        bare_walls.push(bare_wall * 1e3);
        ratios.push(wall / bare_wall);
    }
    let after = (running.usage()?, bare.usage()?);
    let cpu =
        |before: Usage, after: Usage| (after.cpu - before.cpu).as_secs_f64() * 1e3 / scrapes as f64;
    let (cpu, bare_cpu) = (cpu(before.0, after.0), cpu(before.1, after.1));
    println!(
        "{size:>7} {:>9.1} {:>9.1} {:>6.2} {cpu:>10.2} {bare_cpu:>10.2} {:>6.2} {:>10.1} {:>9.1} {:>9.1}",
        median(&mut walls),
        median(&mut bare_walls),
        median(&mut ratios),
        cpu / bare_cpu,
        cpu * 1e3 / size as f64,
        mib(after.0.resident),
        running.ready_after.as_secs_f64() * 1e3,
    );
    Ok(())
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
