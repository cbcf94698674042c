// SPDX-License-Identifier: Apache-2.0
//! The subject alternative names of a certificate. rustls verifies certificates but does not give
//! out their names.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName::{DNSName, IPAddress, RFC822Name, URI},
    prelude::FromDer,
};

/// DNS names, e-mail addresses, IP addresses and URIs; `None`: not a certificate.
pub(super) fn names(certificate: &[u8]) -> Option<Vec<String>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let Some(extension) = certificate.subject_alternative_name().ok()? else {
        return Some(Vec::new());
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the kinds of names that are never asked for"
    )]
    let names = extension.value.general_names.iter().filter_map(|name| match name {
        RFC822Name(name) | DNSName(name) | URI(name) => Some((*name).to_owned()),
        IPAddress(address) => {
            let v4 = <[u8; 4]>::try_from(*address).map(|ip| Ipv4Addr::from(ip).to_string());
            let v6 = <[u8; 16]>::try_from(*address).map(|ip| Ipv6Addr::from(ip).to_string());
            v4.or(v6).ok()
        }
        _ => None,
    });
    Some(names.collect())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn finds_every_kind_of_name() {
        let mut params =
            CertificateParams::new(vec!["prometheus.example".to_owned()]).expect("params");
        params.subject_alt_names.extend([
            SanType::IpAddress([192, 0, 2, 7].into()),
            SanType::IpAddress("2001:db8::7".parse().expect("address")),
            SanType::URI("spiffe://example/prometheus".try_into().expect("URI")),
            SanType::Rfc822Name("ops@example.com".try_into().expect("address")),
        ]);
        let key = KeyPair::generate().expect("key");
        let certificate = params.self_signed(&key).expect("certificate");
        assert_eq!(
            names(certificate.der()).expect("names"),
            [
                "prometheus.example",
                "192.0.2.7",
                "2001:db8::7",
                "spiffe://example/prometheus",
                "ops@example.com"
            ]
        );
        let none = CertificateParams::default().self_signed(&key).expect("certificate");
        assert_eq!(names(none.der()), Some(vec![]));
    }

    #[test]
    fn survives_what_is_no_certificate() {
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(vec!["a.example".to_owned()]).expect("params");
        let certificate = params.self_signed(&key).expect("certificate");
        let der = certificate.der().as_ref();
        for end in 0..der.len() {
            assert_eq!(names(&der[..end]), None, "{end}");
        }
        for index in 0..der.len() {
            let mut broken = der.to_vec();
            broken[index] ^= 0xff;
            let _ = names(&broken);
        }
    }
}
