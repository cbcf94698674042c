// SPDX-License-Identifier: Apache-2.0
//! The commands of [`crate::cli`]: `serve`, `check`, `schema`, `healthcheck`, `completions`, `man`.

pub mod check;
pub mod healthcheck;
pub mod manual;
pub mod schema;
pub mod serve;
mod signals;

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
        Command::Schema => schema::print_schema(),
        Command::Healthcheck => healthcheck::ask(&options),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man => manual::page(),
    }
}

/// The options that a command's own help shows. Each takes all of them, before it and after it, so that one set of
/// arguments or variables serves all.
const RELEVANT: [(&str, &[&str]); 5] = [
    ("check", &["config.file", "web.config.file"]),
    ("schema", &[]),
    (
        "healthcheck",
        &["web.listen-address", "web.config.file", "web.external-url", "web.route-prefix"],
    ),
    ("completions", &[]),
    ("man", &[]),
];

/// The command line, which names the systems that this exporter knows.
pub fn command_line() -> clap::Command {
    let catalogue = systems::catalogue();
    let titles: Vec<_> = catalogue.profiles().iter().map(|profile| profile.title).collect();
    let about = format!("Prometheus exporter for conferencing systems: {}", titles.join(", "));
    let mut command = Cli::command().about(about);
    // Only now does each command have the options of all.
    command.build();
    RELEVANT.into_iter().fold(command, |command, (name, relevant)| {
        command.mut_subcommand(name, |command| {
            command.mut_args(|option| {
                let is_relevant = option
                    .get_long()
                    .is_none_or(|long| !long.contains('.') || relevant.contains(&long));
                option.hide(!is_relevant)
            })
        })
    })
}

/// Prints `text`, and how to exit.
fn print(text: &[u8]) -> Exit {
    match io::stdout().lock().write_all(text) {
        Ok(()) => Exit::Done,
        // The reader, `head` for example, closed the pipe: that is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => fail(&format!("cannot print: {error}"), Exit::Failed),
    }
}

/// Says why on standard error.
fn fail(problem: &str, exit: Exit) -> Exit {
    // If standard error is closed there is nowhere left to report to.
    let _ = writeln!(io::stderr().lock(), "{problem}");
    exit
}
