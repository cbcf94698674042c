// SPDX-License-Identifier: Apache-2.0
//! TLS for the server: from what the web configuration says to what rustls wants.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion,
    client::danger::HandshakeSignatureValid,
    crypto::{
        CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms,
        aws_lc_rs::{self, kx_group},
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
    // Go's older name for these two.
    let full = match name {
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" => {
            format!("{name}_SHA256")
        }
        name => name.to_owned(),
    };
    let offered = aws_lc_rs::DEFAULT_CIPHER_SUITES.iter();
    let known = offered.filter(|suite| suite.tls13().is_none());
    let mut known = known.filter(|suite| suite.suite().as_str() == Some(&full));
    if let Some(suite) = known.next() {
        return Ok(Some(*suite));
    }
    match name {
        "TLS_AES_128_GCM_SHA256" | "TLS_AES_256_GCM_SHA384" | "TLS_CHACHA20_POLY1305_SHA256" => {
            Ok(None)
        }
        name if name.starts_with("TLS_RSA_") => {
            Err("a cipher suite without forward secrecy, which is not offered")
        }
        name if name.starts_with("TLS_ECDHE_") && name.contains("_CBC_") => {
            Err("a cipher suite with CBC, which is not offered; use one with GCM")
        }
        _ => Err("not a cipher suite that Go knows by that name and considers secure"),
    }
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
    let (is_required, is_of_ca) = match settings.client_auth {
        ClientAuth::None => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientAuth::Request => (false, false),
        ClientAuth::RequireAny => (true, false),
        ClientAuth::VerifyIfGiven => (false, true),
        ClientAuth::RequireAndVerify => (true, true),
    };
    let mut of_ca = None;
    if is_of_ca {
        let mut roots = RootCertStore::empty();
        for certificate in &settings.client_ca {
            roots.add(certificate.clone()).map_err(|error| error.to_string())?;
        }
        let builder =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
        of_ca = Some(builder.build().map_err(|error| error.to_string())?);
    }
    Ok(Arc::new(Verifier {
        is_required,
        of_ca,
        allowed: settings.allowed_sans.clone(),
        algorithms: provider.signature_verification_algorithms,
    }))
}

/// Which certificates are taken from clients that prove to have the key.
#[derive(Debug)]
struct Verifier {
    is_required: bool,
    /// Takes those of the CA; `None`: any will do.
    of_ca: Option<Arc<dyn ClientCertVerifier>>,
    /// Subject alternative names of which it must have one; empty: any.
    allowed: Vec<String>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.of_ca.as_ref().map_or(&[], |of_ca| of_ca.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(of_ca) = &self.of_ca {
            of_ca.verify_client_cert(certificate, intermediates, now)?;
        }
        if !self.allowed.is_empty() {
            let names = san::names(certificate).ok_or(CertificateError::BadEncoding)?;
            if !names.iter().any(|name| self.allowed.contains(name)) {
                return Err(CertificateError::ApplicationVerificationFailure.into());
            }
        }
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
