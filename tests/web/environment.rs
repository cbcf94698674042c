// SPDX-License-Identifier: Apache-2.0
//! Options from the surroundings: variables, flags that are taken back, several configuration files.

#![allow(clippy::expect_used, reason = "in a test a panic is how a failure is reported")]

use std::{
    fs,
    io::{self, Write},
    os::fd::AsRawFd,
    path::Path,
    process::{self, Command},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    harness::{
        BINARY, Exporter, NO_SOURCES, config, request, run, simulator, write_config, write_private,
    },
    wait::{output, wait},
};

const VARIABLES: [&str; 14] = [
    "CONFIG_FILE",
    "CONFIG_AUTO_RELOAD_INTERVAL",
    "WEB_LISTEN_ADDRESS",
    "WEB_TELEMETRY_PATH",
    "WEB_CONFIG_FILE",
    "WEB_EXTERNAL_URL",
    "WEB_ROUTE_PREFIX",
    "WEB_ENABLE_LIFECYCLE",
    "WEB_MAX_REQUESTS",
    "WEB_SYSTEMD_SOCKET",
    "SCRAPE_TIMEOUT_OFFSET",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "NO_SUCH_OPTION",
];

#[test]
fn an_empty_variable_is_not_set() {
    let directory = TempDir::new().expect("directory");
    write_config(directory.path(), NO_SOURCES);
    let check = |variables: &[(String, &str)]| {
        let mut command = Command::new(BINARY);
        command.current_dir(directory.path()).arg("check");
        output(command.envs(variables.iter().map(|(name, value)| (name, value)))).status.code()
    };
    let name = |variable: &str| format!("CONFERENCING_EXPORTER_{variable}");
    let all: Vec<_> = VARIABLES.iter().map(|variable| (name(variable), "")).collect();
    assert_eq!(check(&all), Some(0));
    for (variable, wrong) in [("LOG_LEVEL", "loud"), ("CONFIG_FILE", "missing.yaml")] {
        assert_eq!(check(&[(name(variable), wrong)]), Some(2), "{variable}");
    }
    for (variable, right) in
        [("LOG_LEVEL", "WARN"), ("LOG_FORMAT", "Json"), ("WEB_ENABLE_LIFECYCLE", "No")]
    {
        assert_eq!(check(&[(name(variable), right)]), Some(0), "{variable}");
    }
}

#[test]
fn a_flag_is_taken_back() {
    for (arguments, status) in [
        (&["--web.enable-lifecycle"][..], 200),
        (&["--web.enable-lifecycle=false"], 403),
        (&["--log.format", "LOGFMT"], 403),
    ] {
        let exporter = Exporter::start(NO_SOURCES, arguments);
        assert_eq!(exporter.request("POST", "/-/reload", &[]).status, status, "{arguments:?}");
    }
}

/// Replaces a file without a moment in which it is half written.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    write_private(&beside, text.as_bytes());
    fs::rename(beside, path).expect("renamed");
}

#[test]
fn a_folder_and_several_files_are_one_configuration() {
    let directory = TempDir::new().expect("directory");
    let simulator = simulator(Duration::ZERO);
    let folder = directory.path().join("conf.d");
    fs::create_dir(&folder).expect("folder");
    let file = |name: &str| folder.join(name);
    let with_defaults = |names: &[&str], site: &str| {
        let defaults = format!("defaults: {{ labels: {{ building: {site} }} }}\n");
        format!("{defaults}{}", config(&simulator, names))
    };
    replace(&file("20-two.yaml"), &with_defaults(&["c"], "south"));
    replace(&file("10-one.yaml"), &config(&simulator, &["a", "b"]));
    replace(&file("30-other.yml"), "nonsense: true\n");
    replace(&file(".hidden.yaml"), "nonsense: true\n");
    write_config(directory.path(), &config(&simulator, &["z"]));
    let check = |arguments: &[&str]| {
        let (status, stdout, stderr) = run(directory.path(), &[&["check"], arguments].concat());
        (status, format!("{stdout}{stderr}"))
    };
    let both = ["--config.file", "exporter.yaml", "--config.file", "conf.d"];
    assert_eq!(check(&both), (0, "exporter.yaml, conf.d: 4 sources, valid\n".to_owned()));
    assert_eq!(check(&["--config.file=conf.d,exporter.yaml"]).0, 0);

    let arguments = ["--config.file", folder.to_str().expect("text")];
    let exporter = Exporter::start(NO_SOURCES, &arguments);
    let text = exporter.get("/metrics").text();
    let order: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("conferencing_up{"))
        .map(|line| line.split('"').nth(1).expect("a source"))
        .collect();
    assert_eq!(order, ["a", "b", "c"]);
    // Defaults hold within their file.
    let labelled = text.lines().filter(|line| line.starts_with("conferencing_up{"));
    let labelled: Vec<_> = labelled.filter(|line| line.contains("building=\"south\"")).collect();
    assert!(matches!(labelled[..], [line] if line.contains("source=\"c\"")), "{labelled:?}");

    // Both places of a duplicate are named, and all problems of all files at once.
    replace(&file("20-two.yaml"), &format!("{}nonsense: 1\n", config(&simulator, &["b"])));
    replace(&file("40.yaml"), "sources: 1\n");
    let (status, said) = check(&["--config.file", "conf.d"]);
    assert_eq!(status, 2);
    for part in [
        "conf.d/20-two.yaml:2:11: sources[0].name: duplicate name; the source in conf.d/10-one.yaml:8 has it too",
        "conf.d/20-two.yaml:8:1: nonsense: unknown key",
        "conf.d/40.yaml:1:10: sources: wrong type",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    fs::create_dir(directory.path().join("empty")).expect("folder");
    let (status, said) = check(&["--config.file", "empty"]);
    assert_eq!(status, 2);
    assert!(said.starts_with("empty: no file of this folder is called `*.yaml`"), "{said}");
}

#[test]
fn a_change_is_noticed_and_a_broken_one_is_one_failed_reload() {
    let directory = TempDir::new().expect("directory");
    let simulator = simulator(Duration::ZERO);
    let folder = directory.path().join("conf.d");
    fs::create_dir(&folder).expect("folder");
    replace(&folder.join("a.yaml"), &config(&simulator, &["a"]));
    let arguments =
        ["--config.file", folder.to_str().expect("text"), "--config.auto-reload-interval", "20ms"];
    let exporter = Exporter::start(NO_SOURCES, &arguments);
    let sources = || exporter.get("/sd").text();
    let has =
        |name: &'static str| move |text: &String| text.contains(&format!("\"source\":\"{name}\""));
    replace(&folder.join("b.yaml"), &config(&simulator, &["b"]));
    wait("the new file", sources, has("b"));
    replace(&folder.join("a.yaml"), &config(&simulator, &["c"]));
    wait("the changed file", sources, has("c"));

    replace(&folder.join("a.yaml"), "nonsense: true\n");
    let successful = || exporter.own("conferencing_exporter_config_last_reload_successful");
    wait("the failed reload", successful, |value| *value == Some(0.0));
    // Some more looks, all of which see the same.
    thread::sleep(Duration::from_millis(200));
    fs::remove_file(folder.join("a.yaml")).expect("removed");
    wait("the next reload", successful, |value| *value == Some(1.0));
    assert!(!has("c")(&sources()) && has("b")(&sources()));
    let failed = exporter.log().count("sources: `sources` is missing");
    assert_eq!(failed, 1, "{:#?}", exporter.log().lines());
    // Without the option nothing is looked at; the address is free for this one.
    assert_eq!(request(exporter.address, "GET", "/-/ready", &[]).status, 200);
}

/// A change that was refused because of the other file is not forgotten.
#[test]
fn a_change_is_taken_once_the_web_configuration_is_right_again() {
    let directory = TempDir::new().expect("directory");
    let simulator = simulator(Duration::ZERO);
    let web = directory.path().join("web.yaml");
    replace(&web, "http_server_config: { http2: true }\n");
    let arguments = ["--web.config.file", "web.yaml", "--config.auto-reload-interval", "20ms"];
    let exporter = Exporter::start_in(directory, NO_SOURCES, &arguments);
    replace(&web, "nonsense: true\n");
    let successful = || exporter.own("conferencing_exporter_config_last_reload_successful");
    replace(&exporter.file("exporter.yaml"), &config(&simulator, &["a"]));
    wait("the failed reload", successful, |value| *value == Some(0.0));
    replace(&web, "http_server_config: { http2: false }\n");
    wait("the next reload", successful, |value| *value == Some(1.0));
    let sources = || exporter.get("/sd").text();
    wait("the new source", sources, |text| text.contains("\"source\":\"a\""));
}

/// Nobody may be there to write to a pipe any more, or yet: a reload that waits for it would keep all that follow waiting.
#[test]
fn a_configuration_in_a_pipe_is_read_and_never_waited_for() {
    let directory = TempDir::new().expect("directory");
    let folder = directory.path().join("conf.d");
    fs::create_dir(&folder).expect("folder");
    replace(&folder.join("a.yaml"), NO_SOURCES);
    let arguments =
        ["--config.file", folder.to_str().expect("text"), "--config.auto-reload-interval", "20ms"];
    let exporter = Exporter::start(NO_SOURCES, &arguments);
    let successful = || exporter.own("conferencing_exporter_config_last_reload_successful");
    assert_eq!(successful(), Some(1.0));
    let pipe = folder.join("b.yaml");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).expect("pipe");
    wait("the failed reload", successful, |value| *value == Some(0.0));
    exporter
        .log()
        .wait_for("b.yaml: the configuration cannot be read: it is a pipe that nobody writes to");
    fs::remove_file(&pipe).expect("removed");
    wait("the next reload", successful, |value| *value == Some(1.0));

    // As of `check --config.file <(envsubst <template.yaml)`.
    let (read, mut written) = io::pipe().expect("pipe");
    written.write_all(NO_SOURCES.as_bytes()).expect("written");
    drop(written);
    let path = format!("/proc/{}/fd/{}", process::id(), read.as_raw_fd());
    let checked = output(Command::new(BINARY).args(["check", "--config.file", &path]));
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
}
