//! The commands of [`crate::cli`]: `serve`, `check`, `schema`, `healthcheck`.

pub mod check;
pub mod healthcheck;
pub mod schema;
pub mod serve;

use std::io::{self, Write};

use clap::CommandFactory;

use crate::{
    cli::{Cli, Command, Exit},
    logging, systems,
};

/// Does what the command line says.
pub fn run(Cli { options, command }: Cli) -> Exit {
    match command.unwrap_or_default() {
        Command::Serve => match logging::start(options.log_level, options.log_format) {
            Ok(log) => {
                let exit = serve::serve(&options, &log);
                log.end();
                exit
            }
            Err(error) => fail(&format!("cannot start: {error}"), Exit::Failed),
        },
        Command::Check(what) => check::run(&options, &what),
        Command::Schema => schema::print(),
        Command::Healthcheck => healthcheck::ask(&options),
    }
}

/// The command line, which names the systems that this exporter knows.
pub fn command_line() -> clap::Command {
    let catalogue = systems::catalogue();
    let titles: Vec<_> = catalogue.profiles().iter().map(|profile| profile.title).collect();
    let about = format!("Prometheus exporter for conferencing systems: {}", titles.join(", "));
    Cli::command().about(about)
}

/// Says why on standard error.
fn fail(problem: &str, exit: Exit) -> Exit {
    // If standard error is closed there is nowhere left to report to.
    let _ = writeln!(io::stderr().lock(), "{problem}");
    exit
}
