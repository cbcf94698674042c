//! The subject alternative names of a certificate. rustls verifies certificates but does not give
//! out their names.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Tags of DER, as far as they are on the way.
mod tag {
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const OID: u8 = 0x06;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const EXTENSIONS: u8 = 0xa3;
    pub(super) const EMAIL: u8 = 0x81;
    pub(super) const DNS: u8 = 0x82;
    pub(super) const URI: u8 = 0x86;
    pub(super) const ADDRESS: u8 = 0x87;
}

/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// DNS names, e-mail addresses, IP addresses and URIs; `None`: not a certificate.
pub(super) fn names(certificate: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let (_, certificate, _) = element(certificate)?;
    let (_, mut to_be_signed, _) = element(certificate)?;
    while !to_be_signed.is_empty() {
        let (kind, content, rest) = element(to_be_signed)?;
        to_be_signed = rest;
        if kind == tag::EXTENSIONS {
            let (_, mut extensions, _) = expect(tag::SEQUENCE, content)?;
            while !extensions.is_empty() {
                let (_, extension, rest) = expect(tag::SEQUENCE, extensions)?;
                extensions = rest;
                names.extend(of_extension(extension)?);
            }
        }
    }
    Some(names)
}

fn of_extension(extension: &[u8]) -> Option<Vec<String>> {
    let (_, id, rest) = expect(tag::OID, extension)?;
    if id != SUBJECT_ALT_NAME {
        return Some(Vec::new());
    }
    let (kind, content, rest) = element(rest)?;
    // Whether the extension is critical is optional.
    let content = if kind == tag::BOOLEAN { expect(tag::OCTET_STRING, rest)?.1 } else { content };
    let (_, mut general_names, _) = expect(tag::SEQUENCE, content)?;
    let mut names = Vec::new();
    while !general_names.is_empty() {
        let (kind, content, rest) = element(general_names)?;
        general_names = rest;
        match kind {
            tag::EMAIL | tag::DNS | tag::URI => {
                names.push(std::str::from_utf8(content).ok()?.to_owned());
            }
            tag::ADDRESS => {
                let v4 = <[u8; 4]>::try_from(content).map(|ip| Ipv4Addr::from(ip).to_string());
                let v6 = <[u8; 16]>::try_from(content).map(|ip| Ipv6Addr::from(ip).to_string());
                names.push(v4.or(v6).ok()?);
            }
            _ => {}
        }
    }
    Some(names)
}

fn expect(wanted: u8, der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    element(der).filter(|(kind, _, _)| *kind == wanted)
}

/// Tag, content and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, first], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((kind, content, rest))
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
