// SPDX-License-Identifier: Apache-2.0
//! The `tls` mapping, and whether the files it names hold what they should.

use std::path::PathBuf;

use rustls::{
    RootCertStore,
    crypto::aws_lc_rs::{default_provider, sign::any_supported_type},
    pki_types::{PrivateKeyDer, ServerName},
    sign::CertifiedKey,
};

use super::{
    ClientCertificate, Tls,
    keys::{self, Key},
    section::{RELATIVE_PATHS, Section, io_reason},
};
use crate::pem;

/// Reads `tls` of a source over that of `defaults`.
pub(super) fn read(section: &Section<'_>) -> Tls {
    section.sub(&keys::TLS, |tls| {
        let ca_file = followed_file(tls, &keys::CA_FILE, check_authorities).map(|(path, _)| path);
        let client_certificate = client_certificate(tls);
        let server_name = tls.text(&keys::SERVER_NAME).filter(|name| {
            let valid = ServerName::try_from(name.as_str()).is_ok();
            if !valid {
                tls.error(&keys::SERVER_NAME, "not a host name or address", None);
            }
            valid
        });
        let insecure_skip_verify = tls.flag(&keys::INSECURE_SKIP_VERIFY);
        if insecure_skip_verify && let Some(place) = tls.find(&keys::INSECURE_SKIP_VERIFY) {
            let message =
                "any certificate is accepted: anybody on the way can read the credentials";
            let remedy = Some("trust the system's own certificate with `ca_file` instead");
            tls.report().warning(place.node.position, &place.path, message, remedy);
        }
        Tls { ca_file, client_certificate, server_name, insecure_skip_verify }
    })
}

fn client_certificate(tls: &Section<'_>) -> Option<ClientCertificate> {
    let certificate = followed_file(tls, &keys::CERT_FILE, pem::certificates);
    let key = followed_file(tls, &keys::KEY_FILE, private_key);
    for (one, other) in [(&keys::CERT_FILE, &keys::KEY_FILE), (&keys::KEY_FILE, &keys::CERT_FILE)] {
        if tls.find(one).is_some() && tls.find(other).is_none() {
            let message = format!("`{}` without `{}`", one.name, other.name);
            tls.error(one, &message, Some(&format!("add `{}`", other.name)));
        }
    }
    let ((cert_file, certificates), (key_file, key)) = (certificate?, key?);
    if let (Some(certificates), Some(key)) = (certificates, key) {
        match CertifiedKey::from_der(certificates, key, &default_provider()) {
            Ok(_) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                let message = "the key does not belong to the certificate of `cert_file`";
                tls.unready(&keys::KEY_FILE, message, None);
            }
            Err(_) => {
                let message = "the certificate cannot be used for TLS";
                let remedy = "it must be whole, and of X.509 version 3: `openssl x509 -req` makes those with `-extfile`";
                tls.unready(&keys::CERT_FILE, message, Some(remedy));
            }
        }
    }
    Some(ClientCertificate { cert_file, key_file })
}

/// The path of a PEM file that is read again while running, and what `parse` makes of its present
/// contents, if they can be used.
fn followed_file<T>(
    tls: &Section<'_>,
    key: &Key,
    parse: impl Fn(&[u8]) -> Result<T, &'static str>,
) -> Option<(PathBuf, Option<T>)> {
    let (path, parsed) = pem_file(tls, key, parse)?;
    let parsed = parsed.map_err(|Unusable { message, remedy }| tls.unready(key, &message, remedy));
    Some((path, parsed.ok()))
}

/// Why a PEM file cannot be used.
pub(crate) struct Unusable {
    pub(crate) message: String,
    pub(crate) remedy: Option<&'static str>,
}

/// The path of a PEM file, and what `parse` makes of its contents.
pub(crate) fn pem_file<T>(
    section: &Section<'_>,
    key: &Key,
    parse: impl Fn(&[u8]) -> Result<T, &'static str>,
) -> Option<(PathBuf, Result<T, Unusable>)> {
    let path = section.file(key)?;
    let parsed = match pem::read(&path) {
        Ok(bytes) => parse(&bytes).map_err(|problem| Unusable {
            message: format!("`{}` {problem}", path.display()),
            remedy: None,
        }),
        Err(error) => Err(Unusable {
            message: format!("`{}` cannot be read: {}", path.display(), io_reason(&error)),
            remedy: Some(RELATIVE_PATHS),
        }),
    };
    Some((path, parsed))
}

fn check_authorities(bytes: &[u8]) -> Result<(), &'static str> {
    let mut store = RootCertStore::empty();
    for certificate in pem::certificates(bytes)? {
        store
            .add(certificate)
            .map_err(|_| "holds a certificate that cannot be trusted as it is")?;
    }
    Ok(())
}

/// A private key that can be used for TLS.
pub(crate) fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, &'static str> {
    let key = pem::private_key(bytes)?;
    any_supported_type(&key).map_err(
        |_| "holds a private key of a kind that cannot be used for TLS, or a damaged one",
    )?;
    Ok(key)
}
