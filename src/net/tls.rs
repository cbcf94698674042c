//! TLS towards the sources: trusted certificates, the client certificate, resumed sessions.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
};
use rustls_platform_verifier::Verifier;

use super::trust::Trust;

/// Tickets kept for a host. Each resumes one connection: TLS 1.3 spends them. The room rustls makes
/// for a host.
const TICKETS_PER_HOST: usize = 8;

/// Hosts that sessions are kept for at least: proxies and names that are added by a reload.
const LEAST_HOSTS: usize = 32;

/// Whose certificates are accepted.
pub(super) enum Accept {
    /// Anyone's.
    Anyone,
    /// Nobody's: there is no TLS.
    Nobody,
    /// Those of a `ca_file`.
    Only(Trust),
    /// Those the system trusts.
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

/// Settings for connections to `hosts` different hosts, each of which may resume its sessions.
///
/// # Errors
/// A certificate or key the TLS library refuses.
pub(super) fn config(
    accept: Accept,
    identity: Option<Identity>,
    hosts: usize,
) -> Result<ClientConfig, Error> {
    let builder =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match accept {
        Accept::Nobody => builder.with_root_certificates(RootCertStore::empty()),
        Accept::Anyone => builder.dangerous().with_custom_certificate_verifier(Arc::new(Trusting)),
        Accept::Only(trust) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(trust))
        }
        Accept::System(verifier) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let mut config = match identity {
        Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // With fewer, the oldest host's sessions make room, and with hosts that are asked one after the
    // other that is always the one that is needed next.
    config.resumption = Resumption::in_memory_sessions(hosts.max(LEAST_HOSTS) * TICKETS_PER_HOST);
    Ok(config)
}

/// Accepts every certificate: `insecure_skip_verify`, and a health check of ourselves.
#[derive(Debug)]
pub(crate) struct Trusting;

impl ServerCertVerifier for Trusting {
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
