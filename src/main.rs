//! The binary: arguments in, exit status out.

use std::process::ExitCode;

use clap::FromArgMatches;
use conferencing_exporter::{
    cli::{Cli, Command},
    commands::{check, command_line, healthcheck, schema, serve},
    logging,
};

fn main() -> ExitCode {
    let matches = command_line().get_matches();
    let Cli { options, command } = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
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
