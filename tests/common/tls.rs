// SPDX-License-Identifier: Apache-2.0
//! A TLS front before the simulator, with certificates made for the occasion.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    HandshakeKind, RootCertStore, ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// A certificate authority with its files.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

/// A certificate and its key.
pub struct Issued {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

/// How the connections to a front began.
#[derive(Debug, Default)]
pub struct Handshakes {
    full: AtomicUsize,
    resumed: AtomicUsize,
    presented: AtomicUsize,
}

impl Handshakes {
    /// How many shook hands in full, and how many resumed a session.
    pub fn full_and_resumed(&self) -> (usize, usize) {
        (self.full.load(Ordering::Relaxed), self.resumed.load(Ordering::Relaxed))
    }

    /// The most certificates that a client has presented.
    pub fn presented(&self) -> usize {
        self.presented.load(Ordering::Relaxed)
    }

    fn note(&self, connection: &ServerConnection) {
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let counter = if resumed { &self.resumed } else { &self.full };
        counter.fetch_add(1, Ordering::Relaxed);
        let presented = connection.peer_certificates().map_or(0, <[_]>::len);
        self.presented.fetch_max(presented, Ordering::Relaxed);
    }
}

impl Authority {
    /// A new authority.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, directory: tempfile::tempdir().unwrap() }
    }

    /// A certificate for `name`.
    pub fn issue(&self, name: &str) -> Issued {
        self.issue_for([name.to_owned()])
    }

    /// A certificate for `names`, IP addresses among them.
    pub fn issue_for(&self, names: impl IntoIterator<Item = String>) -> Issued {
        self.issue_with(CertificateParams::new(names.into_iter().collect::<Vec<_>>()).unwrap())
    }

    /// A certificate for `name` that signed itself and says that it is an authority's, as PBXs
    /// come with; and its file.
    pub fn self_signed(&self, name: &str, expired: bool) -> (Issued, PathBuf) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        if expired {
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = self.file("self-signed.pem", &certificate.pem());
        (Issued { certificate, key }, file)
    }

    /// A certificate for `name` that expired long ago.
    pub fn issue_expired(&self, name: &str) -> Issued {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        self.issue_with(params)
    }

    fn issue_with(&self, params: CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        Issued { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    /// The authority's certificate as a file.
    pub fn ca_file(&self) -> PathBuf {
        self.file("ca.pem", &self.pem())
    }

    /// The authority's certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate and its key as files.
    pub fn files(&self, issued: &Issued) -> (PathBuf, PathBuf) {
        let certificate = self.file("certificate.pem", &issued.certificate.pem());
        (certificate, self.file("key.pem", &issued.key.serialize_pem()))
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Listens with the certificate and passes everything on to `to`; with `demand`, only for
    /// clients with a certificate of this authority.
    pub async fn front(&self, issued: &Issued, to: SocketAddr, demand: bool) -> SocketAddr {
        self.noting_front(issued, to, demand).await.0
    }

    /// The same on every address of this machine, noting how connections begin.
    pub async fn noting_front(
        &self,
        issued: &Issued,
        to: SocketAddr,
        demand: bool,
    ) -> (SocketAddr, Arc<Handshakes>) {
        let front = Front::start(self.server(issued, demand), to).await;
        (front.address, front.handshakes)
    }

    /// What a server with the certificate is made of; with `demand`, for clients with a
    /// certificate of this authority.
    pub fn server(&self, issued: &Issued, demand: bool) -> ServerConfig {
        let builder = ServerConfig::builder();
        let builder = if demand {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let chain: Vec<CertificateDer<'static>> = vec![issued.certificate.der().clone()];
        let key = PrivateKeyDer::try_from(issued.key.serialize_der()).unwrap();
        builder.with_single_cert(chain, key).unwrap()
    }
}

/// A server that passes on what it decrypts.
pub struct Front {
    pub address: SocketAddr,
    pub handshakes: Arc<Handshakes>,
    /// Goes on when this is dropped, until it is aborted.
    pub accepting: JoinHandle<()>,
}

impl Front {
    /// Listens on every address of this machine and passes everything on to `to`.
    pub async fn start(server: ServerConfig, to: SocketAddr) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
        let handshakes = Arc::new(Handshakes::default());
        let noted = Arc::clone(&handshakes);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, noted) = (acceptor.clone(), Arc::clone(&noted));
                tokio::spawn(async move {
                    let Ok(mut client) = acceptor.accept(socket).await else { return };
                    noted.note(client.get_ref().1);
                    let Ok(mut server) = TcpStream::connect(to).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { address, handshakes, accepting }
    }
}
