// SPDX-License-Identifier: Apache-2.0
//! Certificates and keys written as PEM, for both sides of TLS.
//!
//! What is wrong is said so that it can follow the name of the file: "`ca.pem` holds no PEM
//! certificate".

use std::{io, path::Path};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use zeroize::Zeroizing;

use crate::files;

/// Longest PEM file; the bundle of all public authorities has a quarter of a megabyte.
const MAX_BYTES: u64 = 4 << 20;

/// What a file with certificates or a key holds.
///
/// # Errors
/// What the system says, what is no file, and a file that is too long to be one.
pub(crate) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    files::read(path, MAX_BYTES).map_err(|error| {
        if error.kind() == io::ErrorKind::FileTooLarge {
            io::Error::other("longer than 4 MiB")
        } else {
            error
        }
    })
}

/// The certificates, at least one.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(without_mark(text)).collect();
    match found {
        Ok(found) if found.is_empty() && is_der(text) => {
            Err("is DER and not PEM: convert it with `openssl x509 -inform der`")
        }
        Ok(found) if found.is_empty() => Err("holds no PEM certificate"),
        Ok(found) => Ok(found),
        Err(_) => Err("is damaged PEM"),
    }
}

/// The first private key.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, &'static str> {
    PrivateKeyDer::from_pem_slice(without_mark(text)).map_err(|_| {
        if is_der(text) {
            "is DER and not PEM: convert it with `openssl pkey -inform der`"
        } else {
            "holds no PEM private key, or an encrypted one"
        }
    })
}

/// Some editors write a byte order mark, behind which the first line would not be found.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

/// Whether it begins as every certificate and every key in DER does: a sequence of more than 127
/// bytes.
fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x81 | 0x82, ..])
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn finds_what_there_is_and_says_what_there_is_not() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let both = format!("\u{feff}{}{}", certificate.pem(), key.serialize_pem());
        assert_eq!(certificates(both.as_bytes()), Ok(vec![certificate.der().clone()]));
        assert_eq!(private_key(both.as_bytes()).unwrap().secret_der(), key.serialized_der());

        assert!(certificates(certificate.der()).unwrap_err().contains("openssl x509"));
        assert!(private_key(key.serialized_der()).unwrap_err().contains("openssl pkey"));
        for text in ["", "hunter2", &key.serialize_pem()] {
            assert_eq!(certificates(text.as_bytes()), Err("holds no PEM certificate"));
        }
        let damaged = certificate.pem().replacen("MII", "M!I", 1);
        assert_eq!(certificates(damaged.as_bytes()), Err("is damaged PEM"));
        for text in ["", "hunter2", &certificate.pem()] {
            assert!(private_key(text.as_bytes()).is_err(), "{text}");
        }
    }
}
