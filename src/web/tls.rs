//! TLS for the server: from what the web configuration says to what rustls wants.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion,
    client::danger::HandshakeSignatureValid,
    crypto::{
        CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms,
        aws_lc_rs::{self, cipher_suite as suites, kx_group},
        verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::san;

/// What `name`, as Go calls it, stands for. `Ok(None)`: one that is always there.
pub(super) fn cipher_suite(name: &str) -> Result<Option<SupportedCipherSuite>, &'static str> {
    Ok(Some(match name {
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => {
            suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        }
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => {
            suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        }
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" | "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" => {
            suites::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
        | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" => {
            suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        "TLS_AES_128_GCM_SHA256" | "TLS_AES_256_GCM_SHA384" | "TLS_CHACHA20_POLY1305_SHA256" => {
            return Ok(None);
        }
        name if name.starts_with("TLS_RSA_") => {
            return Err("a cipher suite without forward secrecy, which is not offered");
        }
        name if name.starts_with("TLS_ECDHE_") && name.contains("_CBC_") => {
            return Err("a cipher suite with CBC, which is not offered; use one with GCM");
        }
        _ => return Err("not a cipher suite that Go knows by that name and considers secure"),
    }))
}

/// The suites of TLS 1.2 that were `chosen` (all, where nothing is said) and those of TLS 1.3,
/// which cannot be chosen.
pub(super) fn with_tls13(
    chosen: Vec<SupportedCipherSuite>,
    is_choice: bool,
) -> Vec<SupportedCipherSuite> {
    let all = aws_lc_rs::DEFAULT_CIPHER_SUITES;
    let tls13 = all.iter().filter(|suite| suite.tls13().is_some()).copied();
    if is_choice { tls13.chain(chosen).collect() } else { all.to_vec() }
}

/// What `name`, as Go calls it, stands for.
pub(super) fn curve(name: &str) -> Result<Option<&'static dyn SupportedKxGroup>, &'static str> {
    match name {
        "CurveP256" => Ok(Some(kx_group::SECP256R1)),
        "CurveP384" => Ok(Some(kx_group::SECP384R1)),
        "X25519" => Ok(Some(kx_group::X25519)),
        "X25519MLKEM768" => Ok(Some(kx_group::X25519MLKEM768)),
        "CurveP521" => Err("not offered; use CurveP384"),
        _ => Err("must be CurveP256, CurveP384, X25519 or X25519MLKEM768"),
    }
}

/// What `tls_server_config` says.
pub(super) struct Settings {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) client_ca: Vec<CertificateDer<'static>>,
    pub(super) client_auth: ClientAuth,
    /// Subject alternative names of which a client certificate must have one; empty: any.
    pub(super) allowed_sans: Vec<String>,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
    pub(super) cipher_suites: Vec<SupportedCipherSuite>,
    pub(super) curves: Vec<&'static dyn SupportedKxGroup>,
    pub(super) prefer_server_order: bool,
    pub(super) http2: bool,
}

/// What is asked of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuth {
    /// Nothing.
    None,
    /// A certificate, any, if there is one.
    Request,
    /// A certificate, any.
    RequireAny,
    /// A certificate of the CA, if there is one.
    VerifyIfGiven,
    /// A certificate of the CA.
    RequireAndVerify,
}

/// Which of the settings cannot be used.
pub(super) enum Part {
    Certificate,
    Key,
    ClientCa,
}

/// The server's TLS.
///
/// # Errors
/// Certificates or keys that cannot be used, and why.
pub(super) fn build(settings: Settings) -> Result<Arc<ServerConfig>, (Part, String)> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.clone_from(&settings.cipher_suites);
    if !settings.curves.is_empty() {
        provider.kx_groups.clone_from(&settings.curves);
    }
    let provider = Arc::new(provider);
    let verifier = verifier(&settings, &provider).map_err(|error| (Part::ClientCa, error))?;
    let unusable = |error| {
        if matches!(error, Error::InconsistentKeys(_)) {
            (Part::Key, "the key does not belong to the certificate".to_owned())
        } else {
            (Part::Certificate, format!("certificate or key cannot be used: {error}"))
        }
    };
    let certified =
        CertifiedKey::from_der(settings.chain, settings.key, &provider).map_err(unusable)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&settings.versions)
        .map_err(|error| (Part::Certificate, error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.ignore_client_order = settings.prefer_server_order;
    config.alpn_protocols = match settings.http2 {
        true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        false => vec![b"http/1.1".to_vec()],
    };
    Ok(Arc::new(config))
}

fn verifier(
    settings: &Settings,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let algorithms = provider.signature_verification_algorithms;
    let inner: Arc<dyn ClientCertVerifier> = match settings.client_auth {
        ClientAuth::None => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientAuth::Request => Arc::new(Anyone { is_required: false, algorithms }),
        ClientAuth::RequireAny => Arc::new(Anyone { is_required: true, algorithms }),
        ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify => {
            let mut roots = RootCertStore::empty();
            for certificate in &settings.client_ca {
                roots.add(certificate.clone()).map_err(|error| error.to_string())?;
            }
            let mut builder =
                WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
            if settings.client_auth == ClientAuth::VerifyIfGiven {
                builder = builder.allow_unauthenticated();
            }
            builder.build().map_err(|error| error.to_string())?
        }
    };
    Ok(if settings.allowed_sans.is_empty() {
        inner
    } else {
        Arc::new(Named { inner, allowed: settings.allowed_sans.clone() })
    })
}

/// Takes any certificate whose key the client has.
struct Anyone {
    is_required: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Anyone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anyone").field("is_required", &self.is_required).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for Anyone {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Takes what `inner` takes, if the certificate has one of the names.
#[derive(Debug)]
struct Named {
    inner: Arc<dyn ClientCertVerifier>,
    allowed: Vec<String>,
}

impl ClientCertVerifier for Named {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(certificate, intermediates, now)?;
        let names = san::names(certificate).ok_or(CertificateError::BadEncoding)?;
        if names.iter().any(|name| self.allowed.contains(name)) {
            Ok(verified)
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
