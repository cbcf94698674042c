// SPDX-License-Identifier: Apache-2.0
//! The binary: arguments in, exit status out.

use std::process::ExitCode;

use clap::FromArgMatches;
use conferencing_exporter::{cli::Cli, commands};

fn main() -> ExitCode {
    let matches = commands::command_line().get_matches();
    match Cli::from_arg_matches(&matches) {
        Ok(cli) => commands::run(cli).into(),
        Err(error) => error.exit(),
    }
}
