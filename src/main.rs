//! The binary: arguments in, exit status out.

use std::process::ExitCode;

use clap::Parser;
use conferencing_exporter::{
    cli::{Cli, Command},
    commands::{check, healthcheck, schema, serve},
    logging,
};

fn main() -> ExitCode {
    let Cli { options, command } = Cli::parse();
    let exit = match command.unwrap_or_default() {
        Command::Serve => {
            logging::start(options.log_level, options.log_format);
            serve::serve(&options)
        }
        Command::Check { live: None } => check::offline(&options),
        Command::Check { live: Some(names) } => check::live(&options, &names),
        Command::Schema => schema::print(),
        Command::Healthcheck => healthcheck::ask(&options),
    };
    exit.into()
}
