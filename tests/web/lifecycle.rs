// SPDX-License-Identifier: Apache-2.0
//! Start, reload, stop; the commands besides serving.

#![allow(clippy::expect_used, reason = "in a test a panic is how a failure is reported")]

use std::{
    net::{TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use simulator::{Fault, Vendor};
use tempfile::TempDir;

use crate::{
    harness::{
        BINARY, Exporter, Log, NO_SOURCES, Response, address_of, config, exit_of, request, run,
        simulator, write_config,
    },
    refusing::Refusing,
    wait::wait,
};

const BROKEN: &str = "sources:\n  - name: a\n    vendor: nonsense\n  - nme: b\n";

#[test]
fn an_unusable_configuration_is_told_whole_and_exits_2() {
    let directory = TempDir::new().expect("directory");
    write_config(directory.path(), BROKEN);
    for arguments in [&["--web.listen-address", "127.0.0.1:0"][..], &["check"]] {
        let (status, stdout, stderr) = run(directory.path(), arguments);
        assert_eq!((status, stdout.as_str()), (2, ""), "{stderr}");
        assert!(
            stderr.contains("exporter.yaml:3:") && stderr.contains("exporter.yaml:4:"),
            "{stderr}"
        );
    }
    std::fs::write(directory.path().join("web.yaml"), "nonsense: 1\n").expect("written");
    let (status, _, stderr) = run(directory.path(), &["--web.config.file", "web.yaml"]);
    assert_eq!(status, 2);
    assert!(stderr.contains("exporter.yaml:3:") && stderr.contains("web.yaml:1:"), "{stderr}");
    for arguments in [
        &["--nope"][..],
        &["--web.listen-address", "nonsense"],
        &["--scrape.timeout-offset", "5"],
        &["--web.max-requests", "0"],
        &["--web.telemetry-path", "/"],
        &["--config.file", "missing.yaml"],
        &["--log.level", "loud"],
    ] {
        assert_eq!(run(directory.path(), arguments).0, 2, "{arguments:?}");
    }
}

#[test]
fn a_port_in_use_is_named_and_exits_1() {
    let directory = TempDir::new().expect("directory");
    write_config(directory.path(), NO_SOURCES);
    let taken = TcpListener::bind("127.0.0.1:0").expect("port");
    let address = taken.local_addr().expect("address").to_string();
    let (status, _, stderr) = run(directory.path(), &["--web.listen-address", &address]);
    assert_eq!(status, 1);
    assert!(stderr.contains(&format!("cannot listen on {address}")), "{stderr}");
}

#[test]
fn commands() {
    let directory = TempDir::new().expect("directory");
    let simulator = simulator(Duration::ZERO);
    write_config(directory.path(), &config(&simulator, &["a", "b"]));
    let (status, stdout, stderr) = run(directory.path(), &["check"]);
    assert_eq!(
        (status, stdout.as_str(), stderr.as_str()),
        (0, "exporter.yaml: 2 sources, valid\n", "")
    );
    let (status, stdout, _) = run(directory.path(), &["schema"]);
    assert_eq!(status, 0);
    serde_json::from_str::<serde_json::Value>(&stdout).expect("JSON");
    let (status, stdout, _) = run(directory.path(), &["--version"]);
    assert_eq!(status, 0);
    assert!(stdout.starts_with(concat!(
        "conferencing_exporter ",
        env!("CARGO_PKG_VERSION"),
        " (revision "
    )));
    assert!(stdout.contains("rustc "), "{stdout}");
    assert_eq!(simulator.requests(Vendor::YeastarS, "a").len(), 0);
}

#[test]
fn the_health_check_asks_the_exporter_of_the_same_options() {
    let exporter = Exporter::start(NO_SOURCES, &["--web.route-prefix", "/x"]);
    let address = exporter.address.to_string();
    let check = |more: &[&str]| {
        let arguments = ["healthcheck", "--web.listen-address", &address];
        run(exporter.directory.path(), &[&arguments[..], more].concat()).0
    };
    assert_eq!(check(&["--web.route-prefix=x"]), 0);
    assert_eq!(check(&[]), 1);
    let refusing = Refusing::new();
    let arguments = ["healthcheck", "--web.listen-address", &refusing.address.to_string()];
    assert_eq!(run(exporter.directory.path(), &arguments).0, 1);
}

#[test]
fn options_come_from_the_environment_too() {
    let directory = TempDir::new().expect("directory");
    write_config(directory.path(), NO_SOURCES);
    let mut child = Command::new(BINARY)
        .env("CONFERENCING_EXPORTER_CONFIG_FILE", directory.path().join("exporter.yaml"))
        .env("CONFERENCING_EXPORTER_WEB_LISTEN_ADDRESS", "127.0.0.1:0,:0")
        .env("CONFERENCING_EXPORTER_WEB_CONFIG_FILE", "")
        .env("CONFERENCING_EXPORTER_WEB_ENABLE_LIFECYCLE", "true")
        .env("CONFERENCING_EXPORTER_LOG_FORMAT", "json")
        .stderr(Stdio::piped())
        .spawn()
        .expect("binary");
    let log = Log::follow(&mut child);
    wait("both addresses", || log.lines(), |_| log.count("\"listening\"") == 2);
    for line in log.lines() {
        let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        if event["msg"] == "listening" {
            assert_eq!(event["tls"], false, "{line}");
            let mut address: std::net::SocketAddr =
                event["address"].as_str().expect("address").parse().expect("address");
            if address.ip().is_unspecified() {
                address.set_ip([127, 0, 0, 1].into());
            }
            assert_eq!(request(address, "POST", "/-/reload", &[]).status, 200, "{line}");
        }
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
}

#[test]
fn reload_by_request_and_by_signal() {
    let simulator = simulator(Duration::ZERO);
    let exporter = Exporter::start(&config(&simulator, &["a"]), &["--web.enable-lifecycle"]);
    const SUCCESSFUL: &str = "conferencing_exporter_config_last_reload_successful";
    let reload = || exporter.request("POST", "/-/reload", &[]);
    assert_eq!(exporter.get("/probe?source=b").status, 404);
    write_config(exporter.directory.path(), &config(&simulator, &["a", "b"]));
    let answer = reload();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(exporter.get("/probe?source=b").status, 200);

    write_config(exporter.directory.path(), BROKEN);
    let answer = reload();
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("exporter.yaml:3:"), "{}", answer.text());
    assert!(answer.text().contains("exporter.yaml:4:"), "{}", answer.text());
    assert_eq!(exporter.own(SUCCESSFUL), Some(0.0));
    assert_eq!(exporter.get("/probe?source=b").status, 200, "the old one stays");
    assert_eq!(exporter.get("/-/ready").status, 200);
    let page = exporter.get("/").text();
    for shown in ["could not be loaded at <time ", "exporter.yaml:3:", "exporter.yaml:4:"] {
        assert!(page.contains(shown), "no {shown}: {page}");
    }

    write_config(exporter.directory.path(), &config(&simulator, &["a", "b", "c"]));
    exporter.signal("HUP");
    wait("the reload", || exporter.get("/probe?source=c").status, |status| *status == 200);
    assert_eq!(exporter.own(SUCCESSFUL), Some(1.0));
    assert!(!exporter.get("/").text().contains("could not be loaded"));
    write_config(exporter.directory.path(), BROKEN);
    exporter.signal("HUP");
    wait("the failure", || exporter.own(SUCCESSFUL), |seen| *seen == Some(0.0));
    let line = exporter.log().wait_for("configuration not loaded");
    assert!(line.contains("level=error") && line.contains("exporter.yaml"), "{line}");
    assert_eq!(exporter.get("/probe?source=c").status, 200);
}

#[test]
fn no_scrape_is_lost_over_reloads() {
    let simulator = simulator(Duration::from_millis(20));
    let exporter = Exporter::start(
        &config(&simulator, &["a", "b"]),
        &["--web.enable-lifecycle", "--web.max-requests=60"],
    );
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                for _ in 0..3 {
                    let answer = exporter.get("/metrics");
                    assert_eq!(answer.status, 200);
                    assert_eq!(answer.text().matches("conferencing_up{").count(), 2);
                    assert!(!answer.text().contains("\"} 0\nconferencing_up"), "{}", answer.text());
                }
            });
        }
        for round in 0..6 {
            let mut text = config(&simulator, &["a", "b"]);
            if round % 2 == 0 {
                text = text.replace("<b>a</b>", "changed");
            }
            write_config(exporter.directory.path(), &text);
            assert_eq!(exporter.request("POST", "/-/reload", &[]).status, 200);
        }
    });
}

#[test]
fn a_stop_lets_scrapes_finish_and_logs_out() {
    let simulator = simulator(Duration::from_millis(400));
    let mut exporter = Exporter::start(&config(&simulator, &["a"]), &[]);
    let asked = exporter.ask("/metrics");
    let idle = TcpStream::connect(exporter.address).expect("connection");
    wait("the scrape", || simulator.requests(Vendor::YeastarS, "a").len(), |seen| *seen == 1);
    exporter.signal("TERM");
    exporter.log().wait_for("msg=\"stopping\"");
    let answer = Response::read(asked);
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .text()
            .contains("conferencing_up{source=\"a\",vendor=\"yeastar_s\",site=\"<b>a</b>\"} 1")
    );
    assert_eq!(exporter.wait_for_exit().code(), Some(0));
    assert_eq!(simulator.live_tokens(Vendor::YeastarS, "a"), 0, "logged out");
    drop(idle);
}

#[test]
fn a_second_signal_does_not_wait() {
    let simulator = simulator(Duration::ZERO);
    let mut exporter = Exporter::start(&config(&simulator, &["a"]), &[]);
    simulator.inject(Vendor::YeastarS, "a", None, Fault::Hang, None);
    let asked = exporter.ask("/metrics");
    wait("the scrape", || simulator.open_connections(), |open| *open == 1);
    exporter.signal("INT");
    exporter.log().wait_for("msg=\"stopping\"");
    assert!(exporter.child.try_wait().expect("child").is_none(), "it waits for the scrape");
    exporter.signal("TERM");
    assert_eq!(exporter.wait_for_exit().code(), Some(1));
    drop(asked);
}

#[test]
fn systemd_passes_the_socket_and_is_told() {
    let directory = TempDir::new().expect("directory");
    write_config(directory.path(), NO_SOURCES);
    let (status, _, stderr) = run(directory.path(), &["--web.systemd-socket"]);
    assert_eq!(status, 1);
    assert!(stderr.contains("systemd passed no socket"), "{stderr}");

    let socket = TcpListener::bind("127.0.0.1:0").expect("socket");
    let address = socket.local_addr().expect("address");
    let notified = UnixDatagram::bind(directory.path().join("notify")).expect("socket");
    notified.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
    let mut child = Command::new("sh")
        .args(["-c", "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" --web.systemd-socket 3<&0"])
        .arg(BINARY)
        .env("NOTIFY_SOCKET", directory.path().join("notify"))
        .current_dir(directory.path())
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stderr(Stdio::piped())
        .spawn()
        .expect("sh");
    let log = Log::follow(&mut child);
    assert_eq!(address_of(&log.wait_for("msg=\"listening\"")), address);
    let next = || {
        let mut buffer = [0; 256];
        let length = notified.recv(&mut buffer).expect("message");
        String::from_utf8(buffer[..length].to_vec()).expect("text")
    };
    assert_eq!(next().trim(), "READY=1");
    assert_eq!(request(address, "GET", "/-/ready", &[]).status, 200);
    let signal = |name: &str| {
        let kill = format!("kill -{name} {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh").success());
    };
    signal("HUP");
    let reloading = next();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(next().trim(), "READY=1");
    signal("TERM");
    assert_eq!(next().trim(), "STOPPING=1");
    let status = exit_of(&mut child, &log);
    assert_eq!(status.code(), Some(0));
}
