// SPDX-License-Identifier: Apache-2.0
//! New connections to a host: TCP to one of its addresses, through a proxy where there is one, TLS, and the version
//! of HTTP that both sides speak.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::future::{Ready, ready};
use http_body_util::Full;
use hyper::{Uri, body::Bytes, client::conn::http2};
use hyper_util::{
    client::legacy::connect::proxy::{SocksV4, SocksV5},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower_service::Service;

use super::{
    broken::Broken,
    connections::MAX_CONNECTION_AGE,
    host::{Host, bare},
    proxy::{Proxy, Route, open_tunnel},
    resolver::{self, Peer},
};
use crate::model::Reason;

/// A stream of bytes in both directions: TCP, or TLS over it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// What requests are sent over.
pub(super) enum Over {
    /// One request at a time.
    Http1(Box<dyn Stream>),
    /// Many at a time.
    Http2(Http2),
}

pub(super) type Http2 = http2::SendRequest<Full<Bytes>>;

/// A new connection, over which nothing was sent yet.
pub(super) struct Opened {
    pub(super) over: Over,
    /// The address it leads to, which may be that of a proxy.
    pub(super) peer: Option<SocketAddr>,
}

/// Connects to `host`, with `tls` where it is reached by https.
///
/// # Errors
/// What kept the connection from coming about.
pub(super) async fn connect(host: &Host, tls: Arc<ClientConfig>) -> Result<Opened, Broken> {
    let late = |_| Err(Broken::no_connection(host.route()));
    timeout(host.connect_timeout, open(host, tls)).await.unwrap_or_else(late)
}

async fn open(host: &Host, tls: Arc<ClientConfig>) -> Result<Opened, Broken> {
    let (stream, peer) = match &host.proxy {
        None => {
            let port = host.url.port_or_known_default().unwrap_or_default();
            let tcp = tcp(bare(&host.url), port, &host.peer, host.connect_timeout).await?;
            let peer = tcp.peer_addr().ok();
            (Box::new(tcp) as Box<dyn Stream>, peer)
        }
        Some(proxy) => through(proxy, host, &tls).await?,
    };
    if host.url.scheme() != "https" {
        return Ok(Opened { over: Over::Http1(stream), peer });
    }
    let certificates = host.peer_certificate.times();
    let has_shown_certificate = || host.peer_certificate.times() != certificates;
    let stream = TlsConnector::from(tls).connect(host.certified_name(), stream).await;
    let stream = stream.map_err(|error| Broken::not_connected(&error, has_shown_certificate()))?;
    let over = if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        Over::Http2(http2(Box::new(stream), host.connect_timeout).await?)
    } else {
        Over::Http1(Box::new(Secured(stream)))
    };
    Ok(Opened { over, peer })
}

/// A stream by TLS that tells its peer when it is closed, as TLS demands: without that, an answer might have been cut off on
/// its way, and servers write as much to their logs.
struct Secured(TlsStream<Box<dyn Stream>>);

impl Drop for Secured {
    fn drop(&mut self) {
        // Nobody waits for a peer that does not take it.
        let _ = Pin::new(&mut self.0).poll_shutdown(&mut Context::from_waker(Waker::noop()));
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, room)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Connects to the first address of `host` that answers; `peer` is the one that answered last.
///
/// # Errors
/// What the last address failed with.
pub(super) async fn tcp(
    host: &str,
    port: u16,
    peer: &Peer,
    connect_timeout: Duration,
) -> Result<TcpStream, Broken> {
    let found = resolver::look_up(host, peer, connect_timeout).await.unwrap_or_default();
    let part = connect_timeout / u32::try_from(found.len().max(1)).unwrap_or(1);
    let mut last = Broken::not_resolved();
    for address in found {
        let address = SocketAddr::new(address.ip(), port);
        last = match timeout(part, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A request is one small packet that must not wait for another.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => Broken::not_connected(&error, false),
            Err(_) => Broken::no_connection(Route::Direct),
        };
    }
    Err(last)
}

/// A connection to `host` through `proxy`.
async fn through(
    proxy: &Proxy,
    host: &Host,
    tls: &Arc<ClientConfig>,
) -> Result<(Box<dyn Stream>, Option<SocketAddr>), Broken> {
    let at_proxy = |broken: Broken| Broken { at_proxy: true, ..broken };
    let tcp = tcp(proxy.host(), proxy.port(), &host.peer, host.connect_timeout).await;
    let tcp = tcp.map_err(|broken| {
        // Whoever is behind the proxy may be the one that does not answer.
        let is_late = broken.reason == Reason::Timeout;
        if is_late { Broken::no_connection(proxy.route) } else { at_proxy(broken) }
    })?;
    let peer = tcp.peer_addr().ok();
    let port = host.url.port_or_known_default().unwrap_or_default();
    if proxy.route == Route::Socks {
        let target = socks_target(proxy, host, port).await?;
        return Ok((Box::new(socks(proxy, tcp, target).await?), peer));
    }
    let mut stream: Box<dyn Stream> = Box::new(tcp);
    if proxy.has_tls() {
        let mut config = ClientConfig::clone(tls);
        config.alpn_protocols.clear();
        let name = ServerName::try_from(proxy.host().to_owned());
        let name = name.map_err(|_| at_proxy(Broken::not_resolved()))?;
        let secured = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let failed = |error: io::Error| at_proxy(Broken::not_connected(&error, true));
        stream = Box::new(secured.map_err(failed)?);
    }
    if proxy.route == Route::Tunnelled {
        let name = host.url.host_str().unwrap_or_default();
        open_tunnel(proxy, &mut stream, &format!("{name}:{port}")).await?;
    }
    Ok((stream, peer))
}

/// What a SOCKS proxy is asked for: the name of the host where it looks names up itself, else an address.
async fn socks_target(proxy: &Proxy, host: &Host, port: u16) -> Result<Uri, Broken> {
    let name = host.url.host_str().unwrap_or_default();
    let target = if proxy.looks_names_up() || bare(&host.url).parse::<IpAddr>().is_ok() {
        format!("{name}:{port}")
    } else {
        let found = resolver::look_up(name, &Peer::default(), host.connect_timeout).await;
        let address = found.as_deref().and_then(<[_]>::first).ok_or_else(Broken::not_resolved)?;
        SocketAddr::new(address.ip(), port).to_string()
    };
    target.parse().map_err(|_| Broken::not_resolved())
}

async fn socks(proxy: &Proxy, tcp: TcpStream, target: Uri) -> Result<TcpStream, Broken> {
    let connected = Connected(Some(tcp));
    let stream = if proxy.is_socks_4() {
        SocksV4::new(Uri::default(), connected).call(target).await
    } else {
        let mut socks = SocksV5::new(Uri::default(), connected);
        if let Some((user, password)) = proxy.credentials() {
            socks = socks.with_auth(user.to_owned(), password.to_owned());
        }
        socks.call(target).await
    };
    stream.map(TokioIo::into_inner).map_err(|error| Broken::refused_by_socks(&error.to_string()))
}

/// A connection that is there already, where the library wants something that connects.
struct Connected(Option<TcpStream>);

impl Service<Uri> for Connected {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<TcpStream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().map(TokioIo::new).ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

async fn http2(
    stream: Box<dyn Stream>,
    connect_timeout: Duration,
) -> Result<http2::SendRequest<Full<Bytes>>, Broken> {
    // Half of the time for a connection is left for its answer to a ping: all requests to a host share one connection
    // of HTTP/2, and one that went silent would fail them all.
    let silence = connect_timeout / 2;
    let handshake = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(silence)
        .keep_alive_timeout(silence)
        .handshake(TokioIo::new(stream));
    let (sender, connection) = handshake.await.map_err(|error| Broken::not_begun(&error))?;
    keep_going(connection);
    Ok(sender)
}

/// Lets `connection` go on by itself. How it ends is seen by the requests that use it. It ends when nobody can send over it
/// any more, and at the latest when no request that uses it can still be under way.
fn keep_going(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        let _ = timeout(2 * MAX_CONNECTION_AGE, connection).await;
    });
}
