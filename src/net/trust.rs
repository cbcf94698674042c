// SPDX-License-Identifier: Apache-2.0
//! Trust in the certificates of `ca_file` and in nothing else.

use std::{error, fmt, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
        verify_tls13_signature_with_raw_key,
    },
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
};
use webpki::RawPublicKeyEntity;
use x509_parser::{
    certificate::X509Certificate, prelude::FromDer, public_key::PublicKey, x509::X509Version,
};

use crate::pem;

/// Shortest RSA key whose signatures the TLS library verifies, in bits.
const SHORTEST_RSA: usize = 2048;

/// Verifies by the usual rules, and also accepts a trusted certificate that the system itself presents.
///
/// PBXs come with a certificate that signed itself, often without a name, marked as that of an
/// authority, or of X.509 version 1. By the usual rules none of these is a server's certificate. But
/// one that was put into `ca_file` was chosen by a person: if the system presents the same bytes and
/// proves to hold their key, it is the system that was meant, whatever else they say.
pub(super) struct Trust {
    trusted: Vec<CertificateDer<'static>>,
    /// `None`: none of them can be the issuer of another one.
    webpki: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Why a certificate is not accepted, where the TLS library has no kind of its own for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distrust {
    /// It is neither in `ca_file` nor issued by a certificate that is.
    OtherAuthority,
    /// Its RSA key is too short for its signatures to be verified.
    ShortKey,
    /// It is of X.509 version 1, and not in `ca_file`.
    OldVersion,
}

impl Distrust {
    /// What is wrong. The advice of `systems/advice.rs` follows from these words.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::OtherAuthority => {
                "the certificate is neither in tls.ca_file nor issued by one that is"
            }
            Self::ShortKey => "the certificate's RSA key is shorter than 2048 bits",
            Self::OldVersion => "the certificate is of X.509 version 1",
        }
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl error::Error for Distrust {}

impl From<Distrust> for Error {
    fn from(distrust: Distrust) -> Self {
        CertificateError::Other(OtherError(Arc::new(distrust))).into()
    }
}

impl Trust {
    /// Trust in the PEM certificates of `text`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(super) fn new(text: &[u8], provider: &Arc<CryptoProvider>) -> Result<Self, &'static str> {
        const DAMAGED: &str = "holds a damaged certificate";
        let trusted = pem::certificates(text)?;
        let mut roots = RootCertStore::empty();
        for certificate in &trusted {
            X509Certificate::from_der(certificate).map_err(|_| DAMAGED)?;
            // One that cannot be an issuer may still be presented itself.
            let _ = roots.add(certificate.clone());
        }
        let webpki =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { trusted, webpki: webpki.build().ok(), algorithms })
    }

    /// Trust in nobody.
    pub(super) fn none(provider: &CryptoProvider) -> Self {
        let algorithms = provider.signature_verification_algorithms;
        Self { trusted: Vec::new(), webpki: None, algorithms }
    }

    /// Whether `certificate` is one of the trusted ones, byte for byte.
    fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.trusted.contains(certificate)
    }

    /// Verifies a signature in TLS 1.2 with the key of a trusted certificate. The usual way would
    /// read the certificate by the rules for servers first.
    fn verify_tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Option<HandshakeSignatureValid> {
        let key = public_key(certificate)?;
        let key = RawPublicKeyEntity::try_from(&key).ok()?;
        let mut mapping = self.algorithms.mapping.iter();
        let (_, algorithms) = mapping.find(|(scheme, _)| *scheme == signed.scheme)?;
        let mut algorithms = algorithms.iter();
        algorithms
            .any(|known| key.verify_signature(*known, message, signed.signature()).is_ok())
            .then(HandshakeSignatureValid::assertion)
    }
}

/// The key of a certificate of whatever version.
fn public_key(certificate: &[u8]) -> Option<SubjectPublicKeyInfoDer<'_>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(SubjectPublicKeyInfoDer::from(certificate.tbs_certificate.subject_pki.raw))
}

/// Whether the time of `certificate` has come and is not over.
fn verify_time(certificate: &[u8], now: UnixTime) -> Result<(), CertificateError> {
    let (_, certificate) =
        X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let (validity, now) = (certificate.validity(), now.as_secs().cast_signed());
    if now < validity.not_before.timestamp() {
        Err(CertificateError::NotValidYet)
    } else if now > validity.not_after.timestamp() {
        Err(CertificateError::Expired)
    } else {
        Ok(())
    }
}

/// Why a signature made with the key of `certificate` cannot be verified at all, if that is so.
pub(super) fn unverifiable(certificate: &[u8]) -> Option<Distrust> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() < SHORTEST_RSA => Some(Distrust::ShortKey),
        _ => None,
    }
}

/// Whether `certificate` is of a version that the usual rules do not know.
pub(super) fn is_old(certificate: &[u8]) -> bool {
    X509Certificate::from_der(certificate)
        .is_ok_and(|(_, certificate)| certificate.version() != X509Version::V3)
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
        if self.contains(end_entity) {
            verify_time(end_entity, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        let Some(webpki) = &self.webpki else { return Err(Distrust::OtherAuthority.into()) };
        webpki
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .map_err(|error| {
                let is_about_issuer = matches!(
                    error,
                    Error::InvalidCertificate(
                        CertificateError::UnknownIssuer
                            | CertificateError::BadSignature
                            | CertificateError::Other(_)
                    )
                );
                if is_about_issuer { Distrust::OtherAuthority.into() } else { error }
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.contains(cert) {
            let verified = self.verify_tls12(message, cert, dss);
            return verified.ok_or(CertificateError::BadSignature.into());
        }
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.contains(cert) {
            let key = public_key(cert).ok_or(CertificateError::BadEncoding)?;
            return verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms);
        }
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
