// SPDX-License-Identifier: Apache-2.0
//! The demo's systems as a program of their own. What is simulated is listed in `src/systems/mod.rs`, which says how
//! to add a system.

use simulator::{Options, Simulator, Vendor};
use std::io::{self, Write};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

const HELP: &str = "\
Simulated conferencing systems, one port each, and a control port for faults.

Usage: simulator [--living|--static] [--plain] [--listen-address IP] [--seed N]

  --living             populations change over time (the default)
  --static             populations stand still
  --plain              answers have the form that the vendors document, without the oddities seen in the field
  --listen-address IP  the address to listen on (127.0.0.1)
  --seed N             what populations and tokens are derived from (1)
  --help               this text

The systems have the ports from 19681 on, in the order of simulator/src/systems/mod.rs, and control has 19690.
To add a system, make a folder in simulator/src/systems and add its line to mod.rs there, which says how.
";

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::args().skip(1).any(|argument| argument == "--help") {
        let _ = write!(io::stdout(), "{HELP}");
        return ExitCode::SUCCESS;
    }
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "{problem}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::demo();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--living" => options.living = true,
            "--static" => options.living = false,
            "--plain" => options.quirks = false,
            "--listen-address" => {
                options.listen = value()?
                    .parse()
                    .map_err(|_| "--listen-address needs an IP address".to_owned())?;
            }
            "--seed" => {
                options.seed = value()?.parse().map_err(|_| "--seed needs a number".to_owned())?
            }
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(options)
}

async fn run(options: Options) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let simulator = Simulator::start(options).await?;
    let mut out = io::stdout();
    for vendor in Vendor::ALL {
        writeln!(out, "{:14} {}", vendor.as_str(), simulator.base_url(vendor))?;
    }
    writeln!(out, "{:14} {}", "control", simulator.control_url())?;
    out.flush()?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}
