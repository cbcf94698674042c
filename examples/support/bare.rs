// SPDX-License-Identifier: Apache-2.0
//! The bare client: the exporter's own requests, sent again, and their answers thrown away.

use std::{
    cell::RefCell, collections::HashMap, env, fs, io, net::SocketAddr, path::Path,
    process::Command, str::FromStr, sync::Arc, time::Instant,
};

use bytes::Bytes;
use conferencing_exporter::limits;
use futures_util::{StreamExt, future::try_join_all, stream};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Uri,
    client::conn::http1::{self, SendRequest},
    header::{HOST, HeaderMap, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::{Position, Url};

use super::{
    client::Client,
    plan::{Planned, Together},
};
use crate::Outcome;

/// Starts it with the requests of `plan`, sent by TLS if there is a `ca_file`.
pub(crate) fn start(plan: &Path, ca_file: Option<&Path>) -> Outcome<Client> {
    Client::start(Command::new(env::current_exe()?).args(["bare".as_ref(), plan]).args(ca_file))
}

/// One request, ready to be sent.
struct Ready {
    to: SocketAddr,
    method: Method,
    path: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// How to connect, and the connections that wait for a request, by where they lead.
struct Connections {
    tls: Option<TlsConnector>,
    kept: RefCell<HashMap<SocketAddr, Vec<SendRequest<Full<Bytes>>>>>,
}

/// Sources asked at once. With more, the client would only become slower.
const MOST_SOURCES: usize = 1024;

/// The process of the bare client. As bare as can be: one thread, the protocol alone, prepared requests,
/// connections that are kept, answers that are thrown away.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(plan: &Path, ca_file: Option<&Path>) -> Outcome<()> {
    let connections =
        Connections { tls: ca_file.map(connector).transpose()?, kept: RefCell::default() };
    limits::raise_open_files();
    let plan: Vec<Vec<Together>> = serde_json::from_slice(&fs::read(plan)?)?;
    let plan = plan
        .into_iter()
        .map(|source| source.into_iter().map(all_ready).collect::<Outcome<Vec<_>>>())
        .collect::<Outcome<Vec<_>>>()?;
    for line in io::stdin().lines() {
        line?;
        let started = Instant::now();
        let mut under_way = stream::iter(&plan)
            .map(|source| connections.send(source))
            .buffer_unordered(MOST_SOURCES);
        while let Some(sent) = under_way.next().await {
            sent?;
        }
        println!("took {}", started.elapsed().as_micros());
    }
    Ok(())
}

/// TLS as the exporter begins it, with the same library; the simulated systems have no HTTP/2.
fn connector(ca_file: &Path) -> Outcome<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file)?)?;
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn all_ready(together: Together) -> Outcome<Vec<Ready>> {
    together.into_iter().map(ready).collect()
}

fn ready(planned: Planned) -> Outcome<Ready> {
    let url = Url::parse(&planned.url)?;
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

impl Connections {
    /// One source's requests, at once or one after the other as the exporter sent them.
    async fn send(&self, source: &[Vec<Ready>]) -> Outcome<()> {
        for together in source {
            match &together[..] {
                [alone] => self.ask(alone).await?,
                together => {
                    try_join_all(together.iter().map(|ready| self.ask(ready))).await?;
                }
            }
        }
        Ok(())
    }

    async fn ask(&self, ready: &Ready) -> Outcome<()> {
        let waiting = self.kept.borrow_mut().get_mut(&ready.to).and_then(Vec::pop);
        let mut connection = match waiting {
            Some(connection) => connection,
            None => self.connect(ready.to).await?,
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
            self.kept.borrow_mut().entry(ready.to).or_default().push(connection);
        }
        Ok(())
    }

    async fn connect(&self, to: SocketAddr) -> Outcome<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            Some(tls) => begin(tls.connect(ServerName::from(to.ip()), stream).await?).await,
            None => begin(stream).await,
        }
    }
}

async fn begin<S>(stream: S) -> Outcome<SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // How it ends is seen by whoever uses it.
    tokio::spawn(async move { connection.await.unwrap_or_default() });
    Ok(sender)
}
