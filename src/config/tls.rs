//! The `tls` mapping, and whether the files it names hold what they should.

use std::path::{Path, PathBuf};

use rustls::{
    RootCertStore,
    crypto::aws_lc_rs::{default_provider, sign::any_supported_type},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use super::{
    ClientCertificate, Tls,
    keys::{self, Key},
    section::{Section, io_reason},
};

/// Longest PEM file; the bundle of all public authorities has a quarter of a megabyte.
const MAX_PEM_BYTES: u64 = 4 << 20;

/// Reads `tls` of a source over that of `defaults`.
pub(super) fn read(section: &Section<'_>) -> Tls {
    section.sub(&keys::TLS, |tls| {
        let ca_file = pem_file(tls, &keys::CA_FILE, check_authorities);
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
    let certificate = pem_file(tls, &keys::CERT_FILE, |bytes| certificates(bytes).map(drop));
    let key = pem_file(tls, &keys::KEY_FILE, |bytes| private_key(bytes).map(drop));
    for (one, other) in [(&keys::CERT_FILE, &keys::KEY_FILE), (&keys::KEY_FILE, &keys::CERT_FILE)] {
        if tls.find(one).is_some() && tls.find(other).is_none() {
            let message = format!("`{}` without `{}`", one.name, other.name);
            tls.error(one, &message, Some(&format!("add `{}`", other.name)));
        }
    }
    let (cert_file, key_file) = (certificate?, key?);
    match pair(&cert_file, &key_file) {
        Ok(()) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            let message = "the key does not belong to the certificate of `cert_file`";
            tls.error(&keys::KEY_FILE, message, None);
        }
        Err(_) => {
            let remedy = "it must be whole, and of X.509 version 3: `openssl x509 -req` makes those with `-extfile`";
            tls.error(&keys::CERT_FILE, "the certificate cannot be used for TLS", Some(remedy));
        }
    }
    Some(ClientCertificate { cert_file, key_file })
}

/// A file that can be read and passes the check.
fn pem_file(
    tls: &Section<'_>,
    key: &Key,
    check: impl Fn(&[u8]) -> Result<(), &'static str>,
) -> Option<PathBuf> {
    let path = tls.file(key)?;
    let bytes = match read_file(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("`{}` cannot be read: {}", path.display(), io_reason(&error));
            let remedy = "a relative path starts at the directory of the configuration file";
            tls.error(key, &message, Some(remedy));
            return None;
        }
    };
    match check(&bytes) {
        Ok(()) => Some(path),
        Err(message) => {
            tls.error(key, &format!("`{}` {message}", path.display()), None);
            None
        }
    }
}

fn read_file(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let file = std::fs::File::open(path)?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, MAX_PEM_BYTES), &mut bytes)?;
    Ok(bytes)
}

fn check_authorities(bytes: &[u8]) -> Result<(), &'static str> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(bytes)? {
        store
            .add(certificate)
            .map_err(|_| "holds a certificate that cannot be trusted as it is")?;
    }
    Ok(())
}

fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err("holds no PEM certificate"),
        Ok(found) => Ok(found),
        Err(_) => Err("is damaged PEM"),
    }
}

fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, &'static str> {
    let key = PrivateKeyDer::from_pem_slice(bytes)
        .map_err(|_| "holds no PEM private key, or an encrypted one")?;
    any_supported_type(&key).map_err(
        |_| "holds a private key of a kind that cannot be used for TLS, or a damaged one",
    )?;
    Ok(key)
}

/// Whether certificate and key make a pair that can be presented.
fn pair(cert_file: &Path, key_file: &Path) -> Result<(), rustls::Error> {
    let certificates = read_file(cert_file).ok().and_then(|bytes| certificates(&bytes).ok());
    let key = read_file(key_file).ok().and_then(|bytes| private_key(&bytes).ok());
    let Some((certificates, key)) = certificates.zip(key) else {
        return Err(rustls::Error::NoCertificatesPresented);
    };
    CertifiedKey::from_der(certificates, key, &default_provider()).map(drop)
}
