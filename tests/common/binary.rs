// SPDX-License-Identifier: Apache-2.0
//! The built binary, started the way an operator does.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use reqwest::{Client, Method, StatusCode, header::HeaderMap};

use super::{
    exposition::Exposition,
    wait::{PATIENCE, wait},
};

/// A running exporter; killed when dropped.
pub struct Exporter {
    child: Child,
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
    client: Client,
    directory: tempfile::TempDir,
}

/// An answer of the exporter.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Exporter {
    /// Starts the binary on `yaml` with `arguments`, on a free port.
    pub fn start(yaml: &str, arguments: &[&str]) -> Self {
        Self::start_with(yaml, arguments, &[])
    }

    /// The same, with environment variables.
    pub fn start_with(yaml: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("exporter.yaml");
        write_private(&file, yaml);
        let mut child = command()
            .arg("--config.file")
            .arg(&file)
            .args(["--web.listen-address", "127.0.0.1:0"])
            .args(arguments)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (found, listening) = mpsc::channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let kept = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("listening")
                    && let Some(address) = address(&line)
                {
                    let _ = found.send(address);
                }
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let Ok(address) = listening.recv_timeout(PATIENCE) else {
            panic!("does not listen:\n{}", log.lock().unwrap());
        };
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { child, address, log, client, directory }
    }

    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.directory.path().join("exporter.yaml")
    }

    /// Sends a request.
    pub async fn request(&self, method: Method, path: &str, headers: HeaderMap) -> Answer {
        let url = format!("http://{}{path}", self.address);
        let response = self.client.request(method, url).headers(headers).send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, body: response.text().await.unwrap() }
    }

    /// GETs a path.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, HeaderMap::new()).await
    }

    /// Scrapes `/metrics`.
    pub async fn scrape(&self) -> Exposition {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        Exposition::parse(&answer.body)
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, as `kill` knows it.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.pid().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Stops with SIGTERM and waits for the end.
    pub fn stop(self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for the end.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let look = || (self.child.try_wait().unwrap(), self.log.lock().unwrap().clone());
        let (status, _) = wait("the end of the process", look, |(status, _)| status.is_some());
        (status.unwrap(), self.log())
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary, without any variable of the surroundings that could configure it.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conferencing_exporter"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_uppercase();
        if text.starts_with("CONFERENCING_EXPORTER_") || text.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("address=")?;
    let end = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
    rest[..end].trim_matches('"').parse().ok()
}
