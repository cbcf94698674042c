// SPDX-License-Identifier: Apache-2.0
//! `man` and `completions`: what the command line tells about itself, for packages and shells.

use std::io;

use clap::{Arg, Command};
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use super::{command_line, print};
use crate::cli::Exit;

const NAME: &str = "conferencing_exporter";

const FILES: &[(&str, &str)] = &[
    ("exporter.yaml", "Configuration, unless --config.file names another."),
    ("/etc/conferencing_exporter/exporter.yaml", "Configuration of the packages' service."),
    (
        "/etc/conferencing_exporter/secrets/",
        "Secrets of the packages' service, each in a file that only root can read: hq-pbx there is \
         /run/credentials/conferencing_exporter.service/secret_hq-pbx in the configuration.",
    ),
    ("/etc/default/conferencing_exporter", "Options of the packages' service, as variables."),
    (
        "/usr/share/conferencing_exporter/",
        "JSON Schema of the configuration, Grafana dashboards, Prometheus rules.",
    ),
];

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "Failed while running; check --live: a source failed; healthcheck: not healthy."),
    ("2", "Unusable arguments or configuration."),
];

const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGHUP",
        "Reloads the configuration. If it is wrong, the log says why, and the old one stays.",
    ),
    (
        "SIGTERM, SIGINT",
        "Stop: requests under way finish, for 10 seconds at most, and tokens are given back. A second one \
         stops at once.",
    ),
];

const EXAMPLES: &[(&str, &str)] = &[
    ("conferencing_exporter check", "Validates exporter.yaml, without asking any system."),
    (
        "conferencing_exporter check --live hq-pbx",
        "Logs in to one source, asks it once, and says what it reports.",
    ),
    (
        "conferencing_exporter --config.file /etc/conferencing_exporter/exporter.yaml",
        "Serves metrics.",
    ),
    (
        "conferencing_exporter completions bash > /etc/bash_completion.d/conferencing_exporter",
        "Completes options in bash.",
    ),
    ("conferencing_exporter man | man -l -", "Shows this page where no package is installed."),
];

/// Prints the completions of `shell`.
pub fn completions(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command_line(), NAME, &mut script);
    print(&script)
}

/// Prints the manual page.
pub fn page() -> Exit {
    // Writing to a Vec cannot fail.
    let mut text = Vec::new();
    let _ = write(&mut text);
    print(&text)
}

fn write(out: &mut Vec<u8>) -> io::Result<()> {
    let command = command_line();
    let man = Man::new(command.clone()).section("1").manual("User Commands");
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    section(out, "COMMANDS", commands(&command).into_iter())?;
    man.render_options_section(out)?;
    let own = |rows: &'static [(&str, &str)]| {
        rows.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
    };
    section(out, "FILES", own(FILES))?;
    section(out, "EXIT STATUS", own(EXIT_STATUS))?;
    section(out, "SIGNALS", own(SIGNALS))?;
    section(out, "ENVIRONMENT", command.get_arguments().filter_map(variable))?;
    section(out, "EXAMPLES", own(EXAMPLES))?;
    man.render_version_section(out)
}

/// Each command, and below it each option of its own.
fn commands(command: &Command) -> Vec<(String, String)> {
    let mut commands: Vec<_> = command.get_subcommands().collect();
    commands.sort_by_key(|command| command.get_display_order());
    let mut rows = Vec::new();
    for command in commands {
        let name = command.get_name();
        rows.push((
            usage(command),
            command.get_about().map(ToString::to_string).unwrap_or_default(),
        ));
        let own = |option: &&Arg| {
            !option.is_global_set() && !option.is_positional() && option.get_id() != "help"
        };
        for option in command.get_arguments().filter(own) {
            let help = option.get_help().map(ToString::to_string).unwrap_or_default();
            rows.push((format!("{name} {option}"), help));
        }
    }
    rows
}

/// A command and what it takes.
fn usage(command: &Command) -> String {
    let takes = command.get_positionals().map(|argument| format!(" {argument}"));
    format!("{}{}", command.get_name(), takes.collect::<String>())
}

/// The variable of an option.
fn variable(option: &Arg) -> Option<(String, String)> {
    let name = option.get_env()?.to_str()?.to_owned();
    Some((name, format!("Stands for --{}.", option.get_long()?)))
}

/// A section of terms with their descriptions.
fn section(
    out: &mut Vec<u8>,
    title: &str,
    rows: impl Iterator<Item = (String, String)>,
) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (term, description) in rows {
        roff.control("TP", []);
        roff.text([bold(term)]);
        roff.text([roman(description)]);
    }
    roff.to_writer(out)
}
