// SPDX-License-Identifier: Apache-2.0
//! Log lines: nothing waits for them, and programs can read all of them.

#![allow(clippy::expect_used, reason = "in a test a panic is how a failure is reported")]

use std::{
    io::{Read, Write, pipe},
    os::unix::net::UnixStream,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    harness::{BINARY, Exporter, NO_SOURCES, Response, run, value, write_config},
    wait::{PATIENCE, wait},
};

/// What a pipe holds on Linux, unless somebody changes it.
const PIPE: usize = 64 * 1024;

#[test]
fn nothing_waits_for_a_log_that_nobody_reads() {
    let directory = TempDir::new().expect("directory");
    write_config(directory.path(), NO_SOURCES);
    let (mut reader, mut writer) = pipe().expect("pipe");
    writer.write_all(&[b'x'; PIPE]).expect("filled");
    let output = writer.try_clone().expect("pipe");
    // The log cannot tell the address.
    let socket = directory.path().join("socket");
    let mut child = Command::new(BINARY)
        .current_dir(directory.path())
        .arg(format!("--web.listen-address=unix:{}", socket.display()))
        .args(["--log.level", "debug"])
        .stdout(Stdio::from(output))
        .stderr(Stdio::from(writer))
        .spawn()
        .expect("binary");
    let ask = |text: &str| {
        let mut stream = UnixStream::connect(&socket).expect("connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        let _ = stream.write_all(text.as_bytes());
        stream
    };
    let get = |path: &str| {
        Response::read(ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")))
    };
    // It is there a moment before anybody listens on it.
    wait("the socket", || UnixStream::connect(&socket).is_ok(), |connected| *connected);
    assert_eq!(get("/-/healthy").status, 200);
    let dropped = || {
        value(&get("/metrics").text(), "conferencing_exporter_log_lines_dropped_total")
            .expect("the metric")
    };
    assert_eq!(dropped(), 0.0);
    // Each is a line: more than are kept waiting.
    for _ in 0..9_000 {
        let _ = ask("\0\r\n\r\n").read_to_end(&mut Vec::new());
    }
    let lines = dropped();
    assert!((1.0..9_000.0).contains(&lines), "{lines}");
    assert_eq!(get("/-/healthy").status, 200);
    let kill = format!("kill -TERM {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh").success());
    let status = wait("the end", || child.try_wait().expect("child"), Option::is_some);
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).expect("what was in the pipe");
    assert!(rest.len() >= PIPE);
}

#[test]
fn the_last_lines_get_out() {
    let mut exporter = Exporter::start(NO_SOURCES, &[]);
    exporter.signal("TERM");
    assert_eq!(exporter.wait_for_exit().code(), Some(0));
    exporter.log().wait_for("msg=\"stopped\"");
}

#[test]
fn what_ends_the_process_is_json_as_well() {
    let directory = TempDir::new().expect("directory");
    write_config(directory.path(), "sources:\n  - name: a\n    vendor: nonsense\n  - nme: b\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let address = taken.local_addr().expect("address").to_string();
    let problems = |arguments: &[&str], status| {
        let arguments = [&["--log.format", "JSON"], arguments].concat();
        let (found, _, stderr) = run(directory.path(), &arguments);
        assert_eq!(found, status, "{stderr}");
        let lines = stderr.lines().map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).expect(line);
            let problem = event["problem"].as_str().map(str::to_owned);
            (event["level"] == "error", problem)
        });
        lines.filter_map(|(is_error, problem)| problem.filter(|_| is_error)).collect::<Vec<_>>()
    };
    let found = problems(&[], 2);
    assert!(found.len() >= 3, "{found:#?}");
    assert!(found.iter().all(|problem| problem.starts_with("exporter.yaml:")), "{found:#?}");
    write_config(directory.path(), NO_SOURCES);
    let found = problems(&["--web.listen-address", &address], 1);
    assert!(matches!(&found[..], [one] if one.contains("cannot listen on")), "{found:#?}");
}
