//! The demo: simulated systems of all five vendors, and the exporter on the shipped
//! `exporter.yaml`, in one process. Ctrl-C stops both.

use std::process::ExitCode;

use clap::Parser;
use conferencing_exporter::{cli::Cli, commands::serve, logging};
use simulator::{Options, Simulator, Vendor};

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/exporter.yaml");
const ADDRESS: &str = "127.0.0.1:19680";

fn main() -> ExitCode {
    let simulator = match Simulator::start_blocking(Options::demo()) {
        Ok(simulator) => simulator,
        Err(error) => {
            println!("The simulated systems cannot start: {error}.");
            println!("They need the ports from 19681 on, one a system, and 19690 of 127.0.0.1.");
            return ExitCode::FAILURE;
        }
    };
    println!("Simulated systems, with people who come and go:");
    for vendor in Vendor::ALL {
        println!("  {:<15} {}", vendor.as_str(), simulator.base_url(vendor));
    }
    println!("\nThe exporter, with {CONFIG}:");
    println!("  status page     http://{ADDRESS}/");
    println!("  metrics         http://{ADDRESS}/metrics");
    println!("  one system      http://{ADDRESS}/probe?source=yeastar-s");
    println!("\nLet something fail, and look again:");
    println!("  curl -X POST '{}/fault?vendor=yeastar_s&fault=hang'", simulator.control_url());
    println!("  curl -X POST {}/clear", simulator.control_url());
    println!("\nCtrl-C stops.");
    let arguments = [
        "demo",
        "--config.file",
        CONFIG,
        "--web.listen-address",
        ADDRESS,
        "--web.enable-lifecycle",
        // The example's secrets are public: no need to warn that others can read them.
        "--log.level",
        "error",
    ];
    let Cli { options, .. } = Cli::parse_from(arguments);
    logging::start(options.log_level, options.log_format);
    serve::serve(&options).into()
}
