// SPDX-License-Identifier: Apache-2.0
//! The bare client: the exporter's own requests, sent again, and their answers thrown away.

use std::{
    cell::RefCell,
    collections::HashMap,
    env, fs, io,
    io::{BufRead, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    str::FromStr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use conferencing_exporter::limits;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Uri,
    client::conn::http1::{self, SendRequest},
    header::{HOST, HeaderMap, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use simulator::Simulator;
use tokio::net::TcpStream;
use url::Position;

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
    to: SocketAddr,
    method: Method,
    path: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// Connections that wait for a request, by where they lead.
type Kept = RefCell<HashMap<SocketAddr, Vec<SendRequest<Full<Bytes>>>>>;

/// Sources asked at once. With more, the client would only become slower.
const MOST_SOURCES: usize = 1024;

/// The process: sends all of `plan` each time a line comes in. As bare as can be: one thread, the
/// protocol alone, prepared requests, connections that are kept, answers that are thrown away.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(plan: &Path) -> Outcome<()> {
    limits::raise_open_files();
    let plan: Vec<Vec<Planned>> = serde_json::from_slice(&fs::read(plan)?)?;
    let plan = plan
        .into_iter()
        .map(|source| source.into_iter().map(ready).collect::<Outcome<Vec<_>>>())
        .collect::<Outcome<Vec<_>>>()?;
    let kept = Kept::default();
    for line in io::stdin().lines() {
        line?;
        let started = Instant::now();
        let mut under_way =
            stream::iter(&plan).map(|source| send(&kept, source)).buffer_unordered(MOST_SOURCES);
        while let Some(sent) = under_way.next().await {
            sent?;
        }
        println!("took {}", started.elapsed().as_micros());
    }
    Ok(())
}

fn ready(planned: Planned) -> Outcome<Ready> {
    let url = reqwest::Url::parse(&planned.url)?;
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_str(url.authority())?);
    for (name, value) in planned.headers {
        headers.insert(HeaderName::from_str(&name)?, HeaderValue::from_str(&value)?);
    }
    let to = url.socket_addrs(|| None)?.into_iter().next().ok_or("no address")?;
    let path = url[Position::BeforePath..].parse()?;
    let body = planned.body.into();
    Ok(Ready { to, method: planned.method.parse()?, path, headers, body })
}

/// One source's requests, one after the other, as the exporter sends them.
async fn send(kept: &Kept, source: &[Ready]) -> Outcome<()> {
    for ready in source {
        let waiting = kept.borrow_mut().get_mut(&ready.to).and_then(Vec::pop);
        let mut connection = match waiting {
            Some(connection) => connection,
            None => connect(ready.to).await?,
        };
        let mut request = Request::new(Full::new(ready.body.clone()));
        *request.method_mut() = ready.method.clone();
        *request.uri_mut() = ready.path.clone();
        *request.headers_mut() = ready.headers.clone();
        let mut answer = connection.send_request(request).await?;
        if !answer.status().is_success() {
            return Err(format!("{} {}", answer.status(), ready.path).into());
        }
        while let Some(frame) = answer.frame().await {
            frame?;
        }
        if connection.ready().await.is_ok() {
            kept.borrow_mut().entry(ready.to).or_default().push(connection);
        }
    }
    Ok(())
}

async fn connect(to: SocketAddr) -> Outcome<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // How it ends is seen by whoever uses it.
    tokio::spawn(async move { connection.await.unwrap_or_default() });
    Ok(sender)
}
