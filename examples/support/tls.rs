//! TLS before the simulated systems, on one loopback address a source.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    HandshakeKind, ServerConfig,
    pki_types::PrivateKeyDer,
    server::{NoServerSessionStorage, ServerSessionMemoryCache},
};
use simulator::Vendor;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::sources;
use crate::Outcome;

/// A server that passes on what it decrypts.
pub(crate) struct Front {
    port: u16,
    ca: PathBuf,
    full: Arc<AtomicUsize>,
    resumed: Arc<AtomicUsize>,
    accepting: tokio::task::JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Front {
    /// Before `url`, for `hosts` sources; `resumes`: sessions may be resumed.
    pub(crate) async fn start(url: String, hosts: usize, resumes: bool) -> Outcome<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let directory = tempfile::tempdir()?;
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, issuer.pem())?;
        let key = KeyPair::generate()?;
        let names: Vec<String> = (0..hosts).map(host).collect();
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der())?,
        )?;
        if resumes {
            config.session_storage = ServerSessionMemoryCache::new(hosts * 16);
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let to = url.strip_prefix("http://").ok_or("not an http URL")?.to_owned();
        let listener = TcpListener::bind("0.0.0.0:0").await?;
        let port = listener.local_addr()?.port();
        let (full, resumed) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counters = (Arc::clone(&full), Arc::clone(&resumed));
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, to) = (acceptor.clone(), to.clone());
                let (full, resumed) = (Arc::clone(&counters.0), Arc::clone(&counters.1));
                tokio::spawn(async move {
                    let Ok(mut client) = acceptor.accept(socket).await else { return };
                    let kind = client.get_ref().1.handshake_kind();
                    let counter = if kind == Some(HandshakeKind::Resumed) { resumed } else { full };
                    counter.fetch_add(1, Ordering::Relaxed);
                    let Ok(mut server) = TcpStream::connect(to).await else { return };
                    // What became of a connection, the scrape tells.
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Ok(Self { port, ca, full, resumed, accepting, _directory: directory })
    }

    /// A configuration of `hosts` sources, each with a host and a system of its own.
    pub(crate) fn yaml(&self, hosts: usize) -> String {
        let mut yaml = format!(
            "defaults: {{ min_interval: 0s, timeout: 60s, tls: {{ ca_file: {} }} }}\nsources:\n",
            self.ca.display()
        );
        for index in 0..hosts {
            let url = format!("https://{}:{}/i/tls{index}", host(index), self.port);
            sources::source(&mut yaml, Vendor::YeastarS, &format!("tls{index}"), &url, index);
        }
        yaml
    }

    /// Handshakes so far: in full, and sessions resumed.
    pub(crate) fn full_and_resumed(&self) -> (usize, usize) {
        (self.full.load(Ordering::Relaxed), self.resumed.load(Ordering::Relaxed))
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn host(index: usize) -> String {
    format!("127.0.{}.{}", 1 + index / 250, 1 + index % 250)
}
