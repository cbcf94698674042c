//! TLS for the server: from what the web configuration says to what rustls wants.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme, SupportedCipherSuite,
    client::danger::HandshakeSignatureValid,
    crypto::{
        CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms,
        aws_lc_rs::{self, cipher_suite as suites, kx_group},
        verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::{
    config::{ClientAuth, Pem, Tls},
    san,
};

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

/// The server's TLS.
///
/// # Errors
/// Certificates or keys that cannot be used: where they come from, and why.
pub(super) fn build(tls: &Tls, http2: bool) -> Result<Arc<ServerConfig>, String> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.clone_from(&tls.cipher_suites);
    if !tls.curves.is_empty() {
        provider.kx_groups.clone_from(&tls.curves);
    }
    let provider = Arc::new(provider);
    let certified = certified(tls, &provider)?;
    let verifier = verifier(tls, &provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&tls.versions)
        .map_err(|error| format!("{}: {error}", tls.cert.place))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.ignore_client_order = tls.prefer_server_order;
    config.alpn_protocols = match http2 {
        true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        false => vec![b"http/1.1".to_vec()],
    };
    Ok(Arc::new(config))
}

fn certified(tls: &Tls, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let chain = certificates(&tls.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&tls.key.bytes)
        .map_err(|_| format!("{}: {} holds no private key", tls.key.place, name(&tls.key)))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        if matches!(error, Error::InconsistentKeys(_)) {
            format!("{}: the key does not belong to the certificate", tls.key.place)
        } else {
            format!("{}: certificate or key cannot be used: {error}", tls.cert.place)
        }
    })
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.bytes).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) | Err(_) => Err(format!("{}: {} holds no certificate", pem.place, name(pem))),
    }
}

fn name(pem: &Pem) -> String {
    pem.path.as_ref().map_or_else(|| "the text".to_owned(), |path| path.display().to_string())
}

fn verifier(
    tls: &Tls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let algorithms = provider.signature_verification_algorithms;
    let inner: Arc<dyn ClientCertVerifier> = match tls.client_auth {
        ClientAuth::None => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientAuth::Request => Arc::new(Anyone { is_required: false, algorithms }),
        ClientAuth::RequireAny => Arc::new(Anyone { is_required: true, algorithms }),
        ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify => {
            let Some(ca) = &tls.client_ca else {
                return Err(format!("{}: needs client_ca_file", tls.cert.place));
            };
            let mut roots = RootCertStore::empty();
            for certificate in certificates(ca)? {
                roots.add(certificate).map_err(|error| format!("{}: {error}", ca.place))?;
            }
            let builder =
                WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
            let builder = match tls.client_auth {
                ClientAuth::VerifyIfGiven => builder.allow_unauthenticated(),
                ClientAuth::None
                | ClientAuth::Request
                | ClientAuth::RequireAny
                | ClientAuth::RequireAndVerify => builder,
            };
            builder.build().map_err(|error| format!("{}: {error}", ca.place))?
        }
    };
    Ok(if tls.allowed_sans.is_empty() {
        inner
    } else {
        Arc::new(Named { inner, allowed: tls.allowed_sans.clone() })
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
