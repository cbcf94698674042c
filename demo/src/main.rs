// SPDX-License-Identifier: Apache-2.0
//! The demo: simulated systems and the exporter, in one process. Ctrl-C stops both.
//!
//! It is a package of its own because an example of the exporter would be linked like a release, and would build
//! everything that only tests need.

mod configuration;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;
use conferencing_exporter::{
    cli::{Cli, ListenAddress},
    commands,
};
use simulator::{Options, Registry, Simulator, Vendor};

const NAME: &str = "conferencing_exporter";

/// Simulated conferencing systems, and the exporter that watches them
#[derive(Parser)]
#[command(name = "cargo demo", max_term_width = 100)]
struct Demo {
    /// Address of the exporter
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:19680")]
    listen: ListenAddress,

    /// Systems to simulate and to watch, with commas between them; all by default
    #[arg(long, value_name = "VENDOR", value_delimiter = ',', value_parser = known_system)]
    systems: Vec<Vendor>,

    /// Run the exporter with these arguments instead, as `check --live`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    exporter: Vec<OsString>,
}

fn known_system(name: &str) -> Result<Vendor, String> {
    let registry = Registry::default();
    registry.find(name).ok_or_else(|| {
        let known: Vec<_> = registry.vendors().into_iter().map(Vendor::as_str).collect();
        format!("there are {}", known.join(", "))
    })
}

fn main() -> ExitCode {
    let Demo { listen, systems, exporter } = Demo::parse();
    if !exporter.is_empty() {
        return run(exporter);
    }
    let registry = Registry::default();
    let registry = if systems.is_empty() { registry } else { registry.only(&systems) };
    let vendors = registry.vendors();
    let simulator = match Simulator::start_blocking(Options { registry, ..Options::demo() }) {
        Ok(simulator) => simulator,
        Err(error) => {
            println!("The simulated systems cannot start: {error}.");
            println!("They need the ports from 19681 on, one a system, and 19690 of 127.0.0.1.");
            return ExitCode::FAILURE;
        }
    };
    let file = match configuration::write(&simulator, &vendors) {
        Ok(file) => file,
        Err(error) => {
            println!("The configuration cannot be written: {error}.");
            return ExitCode::FAILURE;
        }
    };
    introduce(&simulator, &vendors, &listen, &file.display().to_string());
    run([
        "--config.file".into(),
        file.into(),
        "--web.listen-address".into(),
        listen.to_string().into(),
        "--web.enable-lifecycle".into(),
        "--log.level".into(),
        "info".into(),
    ])
}

/// What there is to see, and what to try.
fn introduce(simulator: &Simulator, vendors: &[Vendor], listen: &ListenAddress, file: &str) {
    let exporter = format!("http://{}", listen.from_here());
    let control = simulator.control_url();
    println!("Simulated systems, with people who come and go:");
    for vendor in vendors {
        println!("  {:<15} {}", vendor.as_str(), simulator.base_url(*vendor));
    }
    println!("\nThe exporter, with {file}:");
    println!("  status page     {exporter}/");
    println!("  metrics         {exporter}/metrics");
    println!(
        "\nAsk each system once, as you would before you connect one of yours (in another terminal):"
    );
    println!("  cargo demo check --live --config.file {file}");
    if let Some(vendor) = vendors.first() {
        println!("\nLet something fail, and look again:");
        println!("  curl -X POST '{control}/fault?vendor={vendor:?}&fault=close'");
        println!("  curl -X POST {control}/clear");
        println!("  curl {control}/      lists what else can fail");
    }
    println!("\nFailures appear below as they begin and end. Ctrl-C stops.\n");
}

/// Runs the exporter itself.
fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = [NAME.into()].into_iter().chain(arguments);
    commands::run(Cli::parse_from(arguments)).into()
}
