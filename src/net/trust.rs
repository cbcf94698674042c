//! Trust in the certificates of `ca_file` and in nothing else.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use crate::pem;

/// Verifies by the usual rules, and also accepts a trusted certificate that the system itself presents.
///
/// PBXs come with a self-signed certificate that is marked as that of a CA. The usual rules accept
/// such a certificate as the issuer of others, but not as the certificate of a server.
pub(super) struct Trust {
    trusted: Vec<CertificateDer<'static>>,
    webpki: Arc<WebPkiServerVerifier>,
}

impl Trust {
    /// Trust in the PEM certificates of `text`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(super) fn new(text: &[u8], provider: &Arc<CryptoProvider>) -> Result<Self, &'static str> {
        const NOT_TRUSTED: &str = "holds a certificate that cannot be trusted as it is";
        let trusted = pem::certificates(text)?;
        let mut roots = RootCertStore::empty();
        for certificate in &trusted {
            roots.add(certificate.clone()).map_err(|_| NOT_TRUSTED)?;
        }
        let webpki =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        Ok(Self { trusted, webpki: webpki.build().map_err(|_| NOT_TRUSTED)? })
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("trusted", &self.trusted.len()).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.webpki.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verdict {
            Err(error) if is_about_authority(&error) && self.trusted.contains(end_entity) => {
                // The time was good: it is looked at first. The name was not looked at yet.
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Whether the only thing wrong is that an authority's certificate stands for a server. The library
/// has no kind of its own for that, only the name: an update may change it, and nothing would say
/// so but that such certificates are refused. `tests/collect/transport.rs` notices, where a system presents
/// the very certificate that is trusted.
fn is_about_authority(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(CertificateError::Other(other))
            if other.0.to_string() == "CaUsedAsEndEntity"
    )
}
