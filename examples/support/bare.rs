//! The bare client: the exporter's own requests, sent again, and their answers thrown away.

use std::{
    env, fs, io,
    io::{BufRead, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    str::FromStr,
    time::{Duration, Instant},
};

use conferencing_exporter::limits;
use futures_util::{StreamExt, stream};
use reqwest::{
    Client, Method,
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use serde::{Deserialize, Serialize};
use simulator::Simulator;

use super::{
    process::{Usage, usage},
    sources,
};
use crate::Outcome;

/// One request as it was recorded.
#[derive(Serialize, Deserialize)]
struct Planned {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// The bare client as a process of its own; killed when dropped.
pub(crate) struct Bare {
    child: Child,
    go: ChildStdin,
    took: io::BufReader<ChildStdout>,
    _directory: tempfile::TempDir,
}

impl Bare {
    /// Starts it with what `simulator` has recorded of the first `size` systems.
    pub(crate) async fn start(simulator: &Simulator, size: usize) -> Outcome<Self> {
        let plan =
            (0..size).map(|index| recorded(simulator, index)).collect::<Outcome<Vec<_>>>()?;
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("plan.json");
        fs::write(&file, serde_json::to_vec(&plan)?)?;
        let mut child = Command::new(env::current_exe()?)
            .arg("bare")
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let go = child.stdin.take().ok_or("no pipe")?;
        let took = io::BufReader::new(child.stdout.take().ok_or("no pipe")?);
        Ok(Self { child, go, took, _directory: directory })
    }

    /// Lets it send everything once; how long that took.
    pub(crate) async fn pass(&mut self) -> Outcome<Duration> {
        self.go.write_all(b"\n")?;
        let mut line = String::new();
        // The simulator's threads go on while this one waits.
        tokio::task::block_in_place(|| self.took.read_line(&mut line))?;
        match line.trim().split_once(' ') {
            Some(("took", microseconds)) => Ok(Duration::from_micros(microseconds.parse()?)),
            _ => Err(format!("the bare client failed: {line}").into()),
        }
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Outcome<Usage> {
        usage(self.child.id())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn recorded(simulator: &Simulator, index: usize) -> Outcome<Vec<Planned>> {
    let (vendor, instance) = sources::instance(index);
    let root = simulator.instance_url(vendor, &instance);
    let requests = simulator.requests(vendor, &instance);
    requests
        .into_iter()
        .map(|request| {
            let mut url = reqwest::Url::parse(&format!("{root}{}", request.path))?;
            if !request.query.is_empty() {
                url.query_pairs_mut().extend_pairs(&request.query);
            }
            // What the client sets itself.
            let own = ["host", "content-length", "accept", "accept-encoding", "connection"];
            let headers = request
                .headers
                .into_iter()
                .filter(|(name, _)| !own.contains(&name.as_str()))
                .collect();
            Ok(Planned { method: request.method, url: url.into(), headers, body: request.body })
        })
        .collect()
}

/// One request, ready to be sent.
struct Ready {
    method: Method,
    url: reqwest::Url,
    headers: HeaderMap,
    body: Option<bytes::Bytes>,
}

/// Sources asked at once. With more, the client would only become slower.
const MOST_SOURCES: usize = 1024;

/// The process: sends all of `plan` each time a line comes in.
#[tokio::main]
pub(crate) async fn run(plan: &Path) -> Outcome<()> {
    limits::raise_open_files();
    let plan: Vec<Vec<Planned>> = serde_json::from_slice(&fs::read(plan)?)?;
    let plan = plan
        .into_iter()
        .map(|source| source.into_iter().map(ready).collect::<Outcome<Vec<_>>>())
        .collect::<Outcome<Vec<_>>>()?;
    let client = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .tcp_nodelay(true)
        .tls_certs_only([])
        .build()?;
    for line in io::stdin().lines() {
        line?;
        let started = Instant::now();
        let mut flying =
            stream::iter(&plan).map(|source| send(&client, source)).buffer_unordered(MOST_SOURCES);
        while let Some(sent) = flying.next().await {
            sent?;
        }
        println!("took {}", started.elapsed().as_micros());
    }
    Ok(())
}

fn ready(planned: Planned) -> Outcome<Ready> {
    let mut headers = HeaderMap::new();
    for (name, value) in planned.headers {
        headers.insert(HeaderName::from_str(&name)?, HeaderValue::from_str(&value)?);
    }
    Ok(Ready {
        method: planned.method.parse()?,
        url: planned.url.parse()?,
        headers,
        body: (!planned.body.is_empty()).then(|| planned.body.into()),
    })
}

/// One source's requests, one after the other, as the exporter sends them.
async fn send(client: &Client, source: &[Ready]) -> Outcome<()> {
    for ready in source {
        let mut request =
            client.request(ready.method.clone(), ready.url.clone()).headers(ready.headers.clone());
        if let Some(body) = &ready.body {
            request = request.body(body.clone());
        }
        let mut response = request.send().await?.error_for_status()?;
        while response.chunk().await?.is_some() {}
    }
    Ok(())
}
