// SPDX-License-Identifier: Apache-2.0
//! Unix sockets as addresses, and what systemd is told.

#![allow(clippy::expect_used, reason = "in a test a panic is how a failure is reported")]

use std::{
    fs,
    io::Write,
    os::unix::net::{UnixDatagram, UnixListener, UnixStream},
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    harness::{BINARY, Log, NO_SOURCES, Response, exit_of, run, write_config},
    wait::PATIENCE,
};

fn get(socket: &Path, path: &str) -> Response {
    let mut stream = UnixStream::connect(socket).expect("connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: exporter.example\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("request");
    Response::read(stream)
}

#[test]
fn a_unix_socket_is_made_served_and_removed() {
    let directory = TempDir::new().expect("directory");
    write_config(directory.path(), NO_SOURCES);
    let socket = directory.path().join("exporter.sock");
    let address = format!("unix:{}", socket.display());
    let start = || {
        let mut child = Command::new(BINARY)
            .current_dir(directory.path())
            .args(["--web.listen-address", &address])
            .stderr(Stdio::piped())
            .spawn()
            .expect("binary");
        let log = Log::follow(&mut child);
        log.wait_for("msg=\"listening\"");
        (child, log)
    };
    let health = || run(directory.path(), &["healthcheck", "--web.listen-address", &address]);
    // The one that was there crashed.
    drop(UnixListener::bind(&socket).expect("socket"));
    assert!(socket.exists());
    assert_eq!(health().0, 1);
    let (mut child, log) = start();
    assert_eq!(get(&socket, "/metrics").status, 200);
    assert_eq!(get(&socket, "/sd").text(), "[]");
    assert_eq!(health().0, 0);
    // One that is in use is not taken away.
    let (status, _, stderr) = run(directory.path(), &["--web.listen-address", &address]);
    assert_eq!(status, 1);
    assert!(stderr.contains(&format!("cannot listen on {address}")), "{stderr}");
    assert_eq!(get(&socket, "/-/healthy").status, 200);
    let kill = format!("kill -TERM {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh").success());
    assert_eq!(exit_of(&mut child, &log).code(), Some(0));
    assert!(!socket.exists());

    fs::write(&socket, "a file of somebody").expect("file");
    let (status, _, stderr) = run(directory.path(), &["--web.listen-address", &address]);
    assert_eq!(status, 1);
    assert!(stderr.contains("it is no socket"), "{stderr}");
    assert!(socket.exists());
}

#[test]
fn systemd_is_told_that_the_exporter_is_alive() {
    let directory = TempDir::new().expect("directory");
    write_config(directory.path(), NO_SOURCES);
    let path = directory.path().join("notify");
    let notified = UnixDatagram::bind(&path).expect("socket");
    notified.set_read_timeout(Some(PATIENCE)).expect("timeout");
    for address in ["127.0.0.1:0".to_owned(), format!("unix:{}/s", directory.path().display())] {
        let mut child = Command::new(BINARY)
            .current_dir(directory.path())
            .args(["--web.listen-address", &address])
            .envs([("NOTIFY_SOCKET", path.as_os_str()), ("WATCHDOG_USEC", "90000".as_ref())])
            .stderr(Stdio::piped())
            .spawn()
            .expect("binary");
        let log = Log::follow(&mut child);
        let mut seen = Vec::new();
        while seen.iter().filter(|state| *state == "WATCHDOG=1").count() < 3 {
            let mut buffer = [0; 256];
            let received = notified.recv(&mut buffer);
            let length = received.unwrap_or_else(|error| panic!("{error} after {seen:?}"));
            assert!(seen.len() < 100, "{seen:?}");
            seen.push(String::from_utf8_lossy(&buffer[..length]).trim().to_owned());
        }
        assert!(seen.contains(&"READY=1".to_owned()), "{seen:?}");
        child.kill().expect("killed");
        exit_of(&mut child, &log);
        // What was still on its way.
        notified.set_nonblocking(true).expect("mode");
        while notified.recv(&mut [0; 256]).is_ok() {}
        notified.set_nonblocking(false).expect("mode");
    }
}
