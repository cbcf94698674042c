// SPDX-License-Identifier: Apache-2.0
//! The exporter as a process of its own, and what a process has used.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::Outcome;

/// What a process has used so far.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Resident memory, in bytes.
    pub(crate) resident: u64,
}

/// What the process `id` has used so far.
pub(crate) fn usage(id: u32) -> Outcome<Usage> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    let ticks = |number: usize| -> Outcome<u64> {
        Ok(fields.get(number - 3).ok_or("no such field")?.parse()?)
    };
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let resident = status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok()
        })
        .ok_or("no VmRSS")?;
    // A tick of /proc is 10 ms on every Linux there is. The threads know their time to the nanosecond,
    // but those that have ended are only in the ticks: neither is ever too much.
    let ticks = Duration::from_millis((ticks(14)? + ticks(15)?) * 10);
    Ok(Usage { cpu: ticks.max(of_threads(id)?), resident: resident * 1024 })
}

/// CPU time of the threads of process `id` that have not ended.
fn of_threads(id: u32) -> Outcome<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        // A thread may end meanwhile, and a kernel may be built without these figures.
        let Ok(figures) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanoseconds += figures.split(' ').next().ok_or("no such field")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// A running exporter; killed when dropped.
pub(crate) struct Exporter {
    child: Child,
    address: SocketAddr,
    client: reqwest::Client,
    /// From the start of the process to the first answer of `/-/ready`.
    pub(crate) ready_after: Duration,
    _directory: tempfile::TempDir,
}

impl Exporter {
    /// Starts `binary` on the configuration `yaml` and waits until it is ready.
    pub(crate) async fn start(binary: &Path, yaml: &str) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("exporter.yaml");
        fs::write(&file, yaml)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let client = reqwest::Client::builder().no_proxy().gzip(false).build()?;
        let started = Instant::now();
        let child = Command::new(binary)
            .arg("--config.file")
            .arg(&file)
            .args(["--web.listen-address", &address.to_string(), "--log.level", "warn"])
            // As the unit and the image start it.
            .env("MALLOC_ARENA_MAX", "1")
            .env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1:glibc.malloc.mxfast=0")
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        let mut exporter =
            Self { child, address, client, ready_after: Duration::ZERO, _directory: directory };
        while exporter.get("/-/ready").await.is_err() {
            if started.elapsed() > Duration::from_secs(60) {
                return Err("the exporter does not become ready".into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        exporter.ready_after = started.elapsed();
        Ok(exporter)
    }

    async fn get(&self, path: &str) -> Outcome<String> {
        let url = format!("http://{}{path}", self.address);
        Ok(self.client.get(url).send().await?.error_for_status()?.text().await?)
    }

    /// One scrape of everything, as text.
    pub(crate) async fn scrape(&self) -> Outcome<String> {
        self.get("/metrics").await
    }

    /// Lets every source log in.
    pub(crate) async fn warm_up(&self) -> Outcome<()> {
        for _ in 0..2 {
            self.scrape().await?;
        }
        Ok(())
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Outcome<Usage> {
        usage(self.child.id())
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
