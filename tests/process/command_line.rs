// SPDX-License-Identifier: Apache-2.0
//! What the command line tells about itself, and what is for people at a terminal only.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{fs, process::Output};

use simulator::{Options, Simulator, Vendor};

use crate::common::{
    binary::{command, write_private},
    config, source,
};

fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_manual_page_has_the_sections_people_look_for() {
    let page = printed(&["man"]);
    for section in [
        "NAME",
        "SYNOPSIS",
        "COMMANDS",
        "OPTIONS",
        "FILES",
        "\"EXIT STATUS\"",
        "SIGNALS",
        "ENVIRONMENT",
        "EXAMPLES",
    ] {
        assert!(page.contains(&format!("\n.SH {section}\n")), "no {section}");
    }
    for named in [
        "\\fBhealthcheck\\fR",
        "\\fBcheck \\-\\-live\\fR",
        "CONFERENCING_EXPORTER_LOG_LEVEL",
        "SIGHUP",
        "/etc/conferencing_exporter/exporter.yaml",
    ] {
        assert!(page.contains(named), "no {named}: {page}");
    }
    assert!(
        !page.contains("(1)\\fR") && !page.contains("exporter\\-check"),
        "leads to a page that there is not: {page}"
    );
}

#[test]
fn completions_are_there_for_each_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]);
        assert!(
            script.contains("web.listen-address") && script.contains("healthcheck"),
            "{shell}: {script}"
        );
    }
    let refused = run(&["completions", "tcsh"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("bash, elvish, fish"));
}

#[test]
fn the_help_of_a_command_shows_what_matters_to_it() {
    let help = printed(&["--help"]);
    for heading in ["Commands:", "Configuration:", "Web:", "Scrapes:", "Logging:"] {
        assert!(help.contains(&format!("\n{heading}\n")), "no {heading}: {help}");
    }
    for command in ["schema", "completions", "man"] {
        let help = printed(&[command, "--help"]);
        assert!(!help.contains("--web.") && !help.contains("--config."), "{command}: {help}");
    }
    let help = printed(&["check", "--help"]);
    assert!(help.contains("--config.file") && help.contains("--live"), "{help}");
    assert!(!help.contains("--web.listen-address") && !help.contains("--log."), "{help}");
    // One set of arguments serves all commands.
    assert!(printed(&["schema", "--web.max-requests", "7"]).starts_with('{'));
}

/// A full disk must not look like a configuration that was checked.
#[tokio::test]
async fn what_cannot_be_printed_is_a_failure() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("exporter.yaml");
    let url = simulator.base_url(Vendor::YeastarS);
    write_private(&file, &config(&[source(Vendor::YeastarS, &url, &[])]));
    let recording =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/yeastar_s-live-false.json");
    for arguments in [
        &["schema"][..],
        &["man"],
        &["completions", "bash"],
        &["check"],
        &["check", "--live"],
        &["check", "--replay", recording],
    ] {
        let mut command = command();
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        command.arg("--config.file").arg(&file).args(arguments).stdout(full);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("cannot print: No space left on device"), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn progress_and_colours_are_for_terminals() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("exporter.yaml");
    let url = simulator.base_url(Vendor::YeastarS);
    write_private(&file, &config(&[source(Vendor::YeastarS, &url, &[])]));
    let mut check = command();
    check.args(["check", "--live", "--config.file"]).arg(&file);
    let output = tokio::task::spawn_blocking(move || check.output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.starts_with("SOURCE ") && !table.contains('\x1b'), "{table}");
}
