// SPDX-License-Identifier: Apache-2.0
//! Starts the real binary on a free port and talks to it.

#![allow(unreachable_pub, reason = "nothing outside the tests sees it")]
#![allow(clippy::expect_used, reason = "in a test a panic is how a failure is reported")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use simulator::{Options, PBX_PASSWORD, PBX_USERNAME, Simulator, Vendor};
use tempfile::TempDir;

use crate::wait::{PATIENCE, output, wait};

pub const BINARY: &str = env!("CARGO_BIN_EXE_conferencing_exporter");

/// A running exporter; killed when dropped.
pub struct Exporter {
    pub child: Child,
    pub address: SocketAddr,
    pub directory: TempDir,
    log: Log,
}

#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn follow(child: &mut Child) -> Self {
        let log = Self::default();
        let lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let seen = log.clone();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                seen.0.lock().expect("lock").push(line);
            }
        });
        log
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().expect("lock").clone()
    }

    pub fn wait_for(&self, text: &str) -> String {
        let such = |line: &String| line.contains(text);
        let lines = wait(
            &format!("a log line with {text}"),
            || self.lines(),
            |lines| lines.iter().any(such),
        );
        lines.into_iter().find(such).expect("just seen")
    }

    pub fn count(&self, text: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(text)).count()
    }
}

impl Exporter {
    pub fn start(config: &str, arguments: &[&str]) -> Self {
        Self::start_in(TempDir::new().expect("directory"), config, arguments)
    }

    /// `web.yaml` and what it names is in `directory` already.
    pub fn start_in(directory: TempDir, config: &str, arguments: &[&str]) -> Self {
        write_config(directory.path(), config);
        let mut command = Command::new(BINARY);
        command
            .current_dir(directory.path())
            .args(["--web.listen-address", "127.0.0.1:0", "--log.level", "debug"])
            .args(arguments);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("binary");
        let log = Log::follow(&mut child);
        let line = log.wait_for("msg=\"listening\"");
        Self { child, address: address_of(&line), directory, log }
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[])
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        request(self.address, method, path, headers)
    }

    /// An open connection on which `path` was asked for.
    pub fn ask(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        // In one piece: a server that wants TLS may reset the connection after the first.
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("request");
        stream
    }

    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh").success());
    }

    pub fn wait_for_exit(&mut self) -> ExitStatus {
        exit_of(&mut self.child, &self.log)
    }

    /// The value of a series of `/metrics/self`.
    pub fn own(&self, series: &str) -> Option<f64> {
        value(&self.get("/metrics/self").text(), series)
    }
}

/// Waits for the end of a process that logs to `log`.
pub fn exit_of(child: &mut Child, log: &Log) -> ExitStatus {
    let look = || (child.try_wait().expect("child"), log.lines());
    wait("the exit", look, |(status, _)| status.is_some()).0.expect("just seen")
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn write_config(directory: &Path, config: &str) {
    write_private(&directory.join("exporter.yaml"), config.as_bytes());
}

pub fn write_private(path: &Path, content: &[u8]) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.expect("file").write_all(content).expect("written");
}

pub fn address_of(line: &str) -> SocketAddr {
    let (_, rest) = line.split_once("address=").expect("address");
    rest.split_whitespace().next().expect("address").parse().expect("address")
}

/// Runs the binary to its end: status, standard output, standard error.
pub fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = output(Command::new(BINARY).current_dir(directory).args(arguments));
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("status"), text(output.stdout), text(output.stderr))
}

pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn read(mut stream: impl Read) -> Self {
        let mut bytes = Vec::new();
        // A reset after the answer is as good as an end.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).expect("text");
        let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("status");
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }
}

pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Response {
    let mut stream = TcpStream::connect(address).expect("connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).expect("request");
    Response::read(stream)
}

pub fn value(text: &str, series: &str) -> Option<f64> {
    let line = text
        .lines()
        .find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// A simulator of its own for one test.
pub fn simulator(latency: Duration) -> Simulator {
    let options = Options { latency, ..Options::default() };
    Simulator::start_blocking(options).expect("simulator")
}

/// A configuration with one S-Series for each of `names`.
pub fn config(simulator: &Simulator, names: &[&str]) -> String {
    let mut config = "sources:\n".to_owned();
    for name in names {
        let url = simulator.instance_url(Vendor::YeastarS, name);
        config.push_str(&format!(
            "  - name: {name}\n    vendor: yeastar_s\n    base_url: {url}\n    \
             username: {PBX_USERNAME}\n    password: {PBX_PASSWORD}\n    labels: {{ site: \"<b>{name}</b>\" }}\n"
        ));
    }
    config
}

pub const NO_SOURCES: &str = "sources: []\n";
