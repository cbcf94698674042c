// SPDX-License-Identifier: Apache-2.0
//! TLS towards the sources: trusted certificates, the client certificate, resumed sessions.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
};
use rustls_platform_verifier::Verifier;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::trust::{Distrust, Trust, is_old, unverifiable};

/// Session tickets kept for a host, as many as rustls itself keeps by default. Each resumes one
/// connection: a ticket of TLS 1.3 is used once.
const TICKETS_PER_HOST: usize = 8;

/// Which certificates are accepted.
pub(super) enum Accept {
    /// Any certificate, unverified: `insecure_skip_verify`.
    Anyone,
    /// None. For sources that are reached without TLS, so that their client needs no root
    /// certificates; should a connection use TLS all the same, it fails.
    Nobody,
    /// Those in a `ca_file`, and those issued by a certificate in it.
    Only(Trust),
    /// Those issued by a root certificate of this machine.
    System(Verifier),
}

/// Trust in the certificates of `pem` alone.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn only(pem: &[u8]) -> Result<Accept, &'static str> {
    Trust::new(pem, &provider()).map(Accept::Only)
}

/// Trust in the root certificates of this machine.
///
/// # Errors
/// There are none.
pub(super) fn system() -> Result<Accept, Error> {
    Verifier::new(provider()).map(Accept::System)
}

fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default()
        .map_or_else(|| Arc::new(aws_lc_rs::default_provider()), Arc::clone)
}

/// A client's certificate, those that lead to its authority, and its key.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// Settings for connections to hosts that are trusted in the same way.
pub(crate) struct Settings {
    config: ClientConfig,
    verifier: Arc<dyn ServerCertVerifier>,
}

impl Settings {
    /// Settings with which the certificates of `accept` are trusted and `identity` is shown.
    ///
    /// # Errors
    /// A certificate or key the TLS library refuses.
    pub(super) fn new(accept: Accept, identity: Option<Identity>) -> Result<Self, Error> {
        let verifier: Arc<dyn ServerCertVerifier> = match accept {
            Accept::Nobody => Arc::new(Trust::none(&provider())),
            Accept::Anyone => Arc::new(AcceptAnyCertificate),
            Accept::Only(trust) => Arc::new(trust),
            Accept::System(verifier) => Arc::new(verifier),
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier));
        let config = match identity {
            Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key)?,
            None => builder.with_no_client_auth(),
        };
        Ok(Self { config, verifier })
    }

    /// The settings for one host, `name`, whose certificate is noted in `peer_certificate`. Its sessions
    /// are resumed, and those of a proxy before it.
    pub(crate) fn for_host(
        &self,
        name: ServerName<'static>,
        peer_certificate: &Arc<PeerCertificate>,
    ) -> ClientConfig {
        let (verifier, peer_certificate) =
            (Arc::clone(&self.verifier), Arc::clone(peer_certificate));
        let mut config = self.config.clone();
        config.dangerous().set_certificate_verifier(Arc::new(NotingVerifier {
            verifier,
            name,
            peer_certificate,
        }));
        // The library's own store remembers many hosts for each of these settings.
        config.resumption = Resumption::in_memory_sessions(2 * TICKETS_PER_HOST);
        config
    }
}

/// The certificate that a host showed last.
#[derive(Debug, Default)]
pub(crate) struct PeerCertificate {
    times: AtomicU64,
    /// Seconds since 1970; [`i64::MIN`] if it cannot be read.
    expires: AtomicI64,
}

impl PeerCertificate {
    /// How often a certificate was shown. A resumed session needs none.
    pub(super) fn times(&self) -> u64 {
        self.times.load(Ordering::Relaxed)
    }

    /// When the certificate shown last expires, in seconds since 1970. `None`: none was shown.
    pub(super) fn expires(&self) -> Option<i64> {
        let expires = self.expires.load(Ordering::Relaxed);
        (self.times() > 0 && expires != i64::MIN).then_some(expires)
    }

    /// Takes over what `old` has noted, unless a certificate was shown since.
    pub(super) fn succeed(&self, old: &Self) {
        if self.times() == 0 && old.times() > 0 {
            self.expires.store(old.expires.load(Ordering::Relaxed), Ordering::Relaxed);
            self.times.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn note(&self, certificate: &[u8]) {
        let expires = X509Certificate::from_der(certificate)
            .map_or(i64::MIN, |(_, read)| read.validity().not_after.timestamp());
        self.expires.store(expires, Ordering::Relaxed);
        self.times.fetch_add(1, Ordering::Relaxed);
    }
}

/// Notes the certificate of a host, then verifies it.
#[derive(Debug)]
struct NotingVerifier {
    verifier: Arc<dyn ServerCertVerifier>,
    /// Whose certificate it is: a proxy on the way shows another one.
    name: ServerName<'static>,
    peer_certificate: Arc<PeerCertificate>,
}

impl ServerCertVerifier for NotingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *server_name == self.name {
            self.peer_certificate.note(end_entity);
        }
        let verifier = &self.verifier;
        verifier
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .map_err(|error| {
                let is_of_no_kind =
                    matches!(error, Error::InvalidCertificate(CertificateError::Other(_)));
                if is_of_no_kind && is_old(end_entity) {
                    Distrust::OldVersion.into()
                } else {
                    error
                }
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = self.verifier.verify_tls12_signature(message, cert, dss);
        verified.map_err(|error| unverifiable(cert).map_or(error, Error::from))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = self.verifier.verify_tls13_signature(message, cert, dss);
        verified.map_err(|error| unverifiable(cert).map_or(error, Error::from))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Accepts every certificate: for `insecure_skip_verify`.
#[derive(Debug)]
struct AcceptAnyCertificate;

impl ServerCertVerifier for AcceptAnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::ED25519,
            SignatureScheme::ED448,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
            SignatureScheme::RSA_PKCS1_SHA1,
            SignatureScheme::ECDSA_SHA1_Legacy,
        ]
    }
}
