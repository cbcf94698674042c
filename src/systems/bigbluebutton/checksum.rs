// SPDX-License-Identifier: Apache-2.0
//! The checksum that proves who asks: a hash over the call, its query and the shared secret.

use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

/// How the checksum is made. A server may allow some of them only, and tells which one it was by the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// 40 digits. All servers know it.
    Sha1,
    /// 64 digits. All servers since 2.4 know it, and all load balancers.
    Sha256,
    /// 96 digits, since 2.5.
    Sha384,
    /// 128 digits, since 2.5.
    Sha512,
}

impl Algorithm {
    /// As in the configuration.
    pub(super) const WORDS: &'static [&'static str] = &["sha1", "sha256", "sha384", "sha512"];

    /// The algorithm of a word.
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "sha1" => Some(Self::Sha1),
            "sha256" => Some(Self::Sha256),
            "sha384" => Some(Self::Sha384),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The checksum of a call with this query, in lower case hexadecimal. It opens the call for as
    /// long as the secret stays.
    pub(super) fn checksum(
        self,
        call: &str,
        query: &str,
        secret: &SecretString,
    ) -> Zeroizing<String> {
        match self {
            Self::Sha1 => hex::<Sha1>(call, query, secret),
            Self::Sha256 => hex::<Sha256>(call, query, secret),
            Self::Sha384 => hex::<Sha384>(call, query, secret),
            Self::Sha512 => hex::<Sha512>(call, query, secret),
        }
    }
}

fn hex<D: Digest>(call: &str, query: &str, secret: &SecretString) -> Zeroizing<String> {
    let mut hash = D::new();
    for part in [call, query, secret.expose_secret()] {
        hash.update(part.as_bytes());
    }
    Zeroizing::new(HEXLOWER.encode(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        call: String,
        query: String,
        secret: String,
        checksum: std::collections::BTreeMap<String, String>,
    }

    #[test]
    fn agrees_with_the_vectors() {
        let text = include_str!("../../../tests/data/bigbluebutton/example-checksum-vectors.json");
        let Vectors { vectors } = serde_json::from_str(text).unwrap();
        let mut compared = 0;
        for Vector { call, query, secret, checksum } in vectors {
            let secret = SecretString::from(secret);
            for (word, expected) in checksum {
                let algorithm = Algorithm::of(&word).unwrap();
                let found = algorithm.checksum(&call, &query, &secret);
                assert_eq!(*found, expected, "{call} {query} {word}");
                compared += 1;
            }
        }
        assert!(compared >= 12, "{compared}");
        assert!(Algorithm::WORDS.iter().all(|word| Algorithm::of(word).is_some()));
    }
}
