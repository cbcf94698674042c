// SPDX-License-Identifier: Apache-2.0
//! `healthcheck`: whether the exporter on this machine is healthy. For containers without curl.

use std::{io, sync::Arc, time::Duration};

use rustls::{AlertDescription, ClientConfig, Error, crypto::aws_lc_rs, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    runtime::Builder,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;

use super::fail;
use crate::{
    cli::{Exit, Here, Options},
    net::tls::AcceptAnyCertificate,
};

/// Longest the exporter may take to say that it is healthy.
const TIME: Duration = Duration::from_secs(5);

/// Asks `/-/healthy` at the first of the listen addresses.
pub fn ask(options: &Options) -> Exit {
    let Some(address) = options.listen_addresses.first() else {
        return fail("no listen address", Exit::Failed);
    };
    let here = address.from_here();
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}"), Exit::Failed),
    };
    match runtime.block_on(status(&here, options)) {
        Ok(200) => Exit::Done,
        Ok(status) => fail(&format!("{here} answered {status}"), Exit::Failed),
        Err(error) => fail(&format!("{here}: {error}"), Exit::Failed),
    }
}

/// What the exporter that listens at `here` answers, started with these options.
///
/// # Errors
/// It does not answer within 5 seconds, or not as an HTTP server does.
pub(super) async fn status(here: &Here, options: &Options) -> io::Result<u16> {
    let has_web_config = options.web_config_file.0.is_some();
    let prefix = options.prefix();
    let asking = async {
        // What the file says now may not be what the exporter runs with: try.
        if has_web_config && let Ok(status) = status_by(here, prefix, true).await {
            return Ok(status);
        }
        status_by(here, prefix, false).await
    };
    timeout(TIME, asking).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn status_by(here: &Here, prefix: &str, over_tls: bool) -> io::Result<u16> {
    let (stream, host) = match here {
        Here::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            (Either::Left(stream), host.as_str())
        }
        Here::Unix(path) => (Either::Right(UnixStream::connect(path).await?), "localhost"),
    };
    if !over_tls {
        return request(stream, host, prefix).await;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        // The connection does not leave the machine and carries nothing secret.
        .with_custom_certificate_verifier(Arc::new(AcceptAnyCertificate))
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let answered = match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        Ok(stream) => request(stream, host, prefix).await,
        Err(error) => Err(error),
    };
    match answered {
        // It serves, only not to clients without a certificate.
        Err(error) if wants_certificate(&error) => Ok(200),
        answered => answered,
    }
}

fn wants_certificate(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    [AlertDescription::CertificateRequired, AlertDescription::HandshakeFailure]
        .into_iter()
        .any(|alert| error == Some(&Error::AlertReceived(alert)))
}

async fn request(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    prefix: &str,
) -> io::Result<u16> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let head = format!(
        "GET {prefix}/-/healthy HTTP/1.1\r\nHost: {host}\r\nUser-Agent: conferencing_exporter\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await?;
    // "HTTP/1.1 200"
    let mut line = [0; 12];
    stream.read_exact(&mut line).await?;
    std::str::from_utf8(&line)
        .ok()
        .filter(|line| line.starts_with("HTTP/1."))
        .and_then(|line| line.get(9..)?.parse().ok())
        .ok_or_else(|| io::Error::other("not an HTTP answer"))
}
