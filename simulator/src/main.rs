//! The demo's systems as a program of their own.

use simulator::{Options, Simulator, Vendor};
use std::io::{self, Write};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "simulator [--living|--static] [--listen-address IP] [--seed N]";

#[tokio::main]
async fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "{problem}\nusage: {USAGE}");
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
