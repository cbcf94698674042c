// SPDX-License-Identifier: Apache-2.0
//! The exporter beside clients that send the same requests.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use simulator::Simulator;

use super::{
    aiohttp, bare,
    client::Client,
    plan::Plan,
    process::{Exporter, Usage},
    sources::{self, Source},
    tls::Fronts,
};
use crate::Outcome;

/// One pass of aiohttp for so many scrapes: it takes many times as long.
const SCRAPES_A_PASS: usize = 4;

/// What one scrape, or one pass of a client, costs.
pub(crate) struct Cost {
    /// Wall time in milliseconds: the median.
    pub(crate) wall: f64,
    /// CPU time of the process in milliseconds: all of it, divided by the scrapes or passes.
    pub(crate) cpu: f64,
    /// Resident memory after the last one, in bytes.
    pub(crate) resident: u64,
}

/// What was found of the exporter and of the clients beside it.
pub(crate) struct Beside {
    pub(crate) scrape: Cost,
    pub(crate) bare: Cost,
    /// Why it was not measured, if it was not.
    pub(crate) aiohttp: Result<Aiohttp, String>,
    /// Wall time of a scrape, in times of the bare client's: median of the scrapes.
    pub(crate) wall_ratio: f64,
    /// Requests of a scrape, and of a pass.
    pub(crate) requests: usize,
    /// Full handshakes and resumed sessions of TLS, from the second scrape on.
    pub(crate) handshakes: (usize, usize),
    /// From the start of the exporter to the first answer of `/-/ready`.
    pub(crate) ready_after: Duration,
    /// The text of the last scrape.
    pub(crate) text: String,
}

/// The same work in Python.
pub(crate) struct Aiohttp {
    /// What it is made of.
    pub(crate) versions: String,
    /// With a text of as many series as the exporter's.
    pub(crate) all: Cost,
    /// Without any text.
    pub(crate) no_text: Cost,
}

impl Beside {
    /// Runs the exporter on `sources`, behind `fronts` if they are reached by TLS, and the clients
    /// in turn with its scrapes, so that all find the machine in the same state.
    pub(crate) async fn measure(
        exporter: &Path,
        simulator: &Simulator,
        sources: &[Source],
        fronts: Option<&Fronts>,
        aiohttp: Result<String, String>,
        scrapes: usize,
    ) -> Outcome<Self> {
        let ca_file = fronts.map(Fronts::ca_file);
        let handshakes = || fronts.map_or((0, 0), Fronts::full_and_resumed);
        let yaml = sources::yaml(sources, ca_file.as_deref());
        let running = Exporter::start(exporter, &yaml).await?;
        running.scrape().await?;
        let first = handshakes();
        running.scrape().await?;
        simulator.clear_requests();
        let text = running.scrape().await?;
        let third = handshakes();
        let plan = Plan::write(simulator, sources)?;

        let begin = |name, client| Passes::begin(name, client, &plan, simulator, sources);
        let mut bare = begin("the bare client", bare::start(&plan.file, ca_file.as_deref())?)?;
        let mut aiohttp = match aiohttp {
            Ok(versions) => {
                let start = |series| begin("aiohttp", aiohttp::start(&plan.file, series)?);
                let all = start(series(&text) / sources.len())?;
                Ok((versions, all, start(0)?))
            }
            Err(why) => Err(why),
        };

        let connected = handshakes();
        let before = running.usage()?;
        let (mut walls, mut ratios, mut text) = (Vec::new(), Vec::new(), text);
        for turn in 0..scrapes {
            let started = Instant::now();
            text = running.scrape().await?;
            let wall = started.elapsed();
            ups(&text, sources.len())?;
            walls.push(milliseconds(wall));
            ratios.push(wall.as_secs_f64() / bare.pass()?.as_secs_f64());
            if turn % SCRAPES_A_PASS == 0
                && let Ok((_, all, no_text)) = &mut aiohttp
            {
                all.pass()?;
                no_text.pass()?;
            }
        }
        let after = running.usage()?;
        // What the clients would add if their connections did not live is counted as the exporter's.
        let last = handshakes();
        let handshakes =
            (last.0 - connected.0 + third.0 - first.0, last.1 - connected.1 + third.1 - first.1);
        simulator.clear_requests();
        running.scrape().await?;
        plan.compare("the exporter's last scrape", simulator, sources)?;
        Ok(Self {
            scrape: Cost::of(walls, before, after),
            bare: bare.cost()?,
            aiohttp: match aiohttp {
                Ok((versions, all, no_text)) => {
                    Ok(Aiohttp { versions, all: all.cost()?, no_text: no_text.cost()? })
                }
                Err(why) => Err(why),
            },
            wall_ratio: median(&mut ratios),
            requests: plan.requests,
            handshakes,
            ready_after: running.ready_after,
            text,
        })
    }

    /// CPU time of a scrape, in times of the bare client's.
    pub(crate) fn cpu_ratio(&self) -> f64 {
        self.scrape.cpu / self.bare.cpu
    }
}

impl Cost {
    fn of(mut walls: Vec<f64>, before: Usage, after: Usage) -> Self {
        Self {
            cpu: milliseconds(after.cpu - before.cpu) / walls.len() as f64,
            wall: median(&mut walls),
            resident: after.resident,
        }
    }
}

/// The passes of a client that has connected.
struct Passes {
    client: Client,
    before: Usage,
    walls: Vec<f64>,
}

impl Passes {
    /// Lets `client` connect, and sees that it sends what is planned.
    fn begin(
        name: &str,
        mut client: Client,
        plan: &Plan,
        simulator: &Simulator,
        sources: &[Source],
    ) -> Outcome<Self> {
        simulator.clear_requests();
        client.pass()?;
        plan.compare(name, simulator, sources)?;
        Ok(Self { before: client.usage()?, client, walls: Vec::new() })
    }

    fn pass(&mut self) -> Outcome<Duration> {
        let wall = self.client.pass()?;
        self.walls.push(milliseconds(wall));
        Ok(wall)
    }

    fn cost(self) -> Outcome<Cost> {
        Ok(Cost::of(self.walls, self.before, self.client.usage()?))
    }
}

/// All sources are up, or the scrape does not count.
pub(crate) fn ups(text: &str, size: usize) -> Outcome<()> {
    let up = text
        .lines()
        .filter(|line| line.starts_with("conferencing_up{") && line.ends_with(" 1"))
        .count();
    if up == size { Ok(()) } else { Err(format!("{up} of {size} sources are up").into()) }
}

/// How many series are in a text for Prometheus.
pub(crate) fn series(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
