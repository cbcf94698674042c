// SPDX-License-Identifier: Apache-2.0
//! Basic authentication with bcrypt hashes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderValue},
};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// A hash that no password matches, checked for users that do not exist, so that the time of the
/// answer does not tell which users there are. The cost is inserted between its two parts.
const NOBODY: (&str, &str) = ("$2y$", "$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi");

/// The users, and the passwords that were verified already.
pub(super) struct Users {
    hashes: HashMap<String, String>,
    nobody: String,
    /// What each user last logged in with, so that not every scrape costs a bcrypt. Nothing is
    /// remembered of those who were refused.
    known: Mutex<HashMap<String, [u8; 32]>>,
    /// Random for each process: without it [`Users::known`] would be plain hashes of passwords.
    salt: [u8; 32],
    /// How many bcrypts may run at once: guessing must not take every core.
    slots: Arc<Semaphore>,
}

impl Users {
    /// Users by name, each with a hash that [`is_hash`].
    pub(super) fn new(hashes: HashMap<String, String>, salt: [u8; 32]) -> Self {
        let cost = hashes.values().filter_map(|hash| hash.get(4..6)).max().unwrap_or("10");
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            nobody: format!("{}{cost}{}", NOBODY.0, NOBODY.1),
            hashes,
            known: Mutex::default(),
            salt,
            slots: Arc::new(Semaphore::new((cores / 2).max(1))),
        }
    }

    /// Whether the request may pass.
    pub(super) async fn admit(&self, headers: &HeaderMap) -> bool {
        let Some((user, password)) = headers.get(AUTHORIZATION).and_then(credentials) else {
            return false;
        };
        let hash = self.hashes.get(&user);
        let digest = self.digest(&user, &password);
        if hash.is_some() && self.is_known(&user, &digest) {
            return true;
        }
        // An unknown user takes as long as a wrong password.
        let exists = hash.is_some();
        let hash = hash.unwrap_or(&self.nobody).clone();
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return false };
        let matches = tokio::task::spawn_blocking(move || {
            // Kept until bcrypt is done, also when the client has left.
            let _slot = slot;
            bcrypt::verify(password.as_slice(), &hash).unwrap_or(false)
        });
        let admitted = matches.await.unwrap_or(false) && exists;
        if admitted {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(user, digest);
        }
        admitted
    }

    fn is_known(&self, user: &str, digest: &[u8; 32]) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(user).is_some_and(|known| known.ct_eq(digest).into())
    }

    fn digest(&self, user: &str, password: &[u8]) -> [u8; 32] {
        // HMAC takes keys of any length; a digest of zeros would match nothing that was stored.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.salt) else { return [0; 32] };
        mac.update(user.as_bytes());
        mac.update(&[0]);
        mac.update(password);
        mac.finalize().into_bytes().into()
    }
}

/// Whether `hash` is a bcrypt hash.
pub(super) fn is_hash(hash: &str) -> bool {
    let prefixed = ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix));
    let cost = hash.get(4..6).and_then(|cost| cost.parse::<u8>().ok());
    prefixed
        && cost.is_some_and(|cost| (4..=31).contains(&cost))
        && hash.parse::<bcrypt::HashParts>().is_ok()
}

fn credentials(header: &HeaderValue) -> Option<(String, Zeroizing<Vec<u8>>)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let user = std::str::from_utf8(&decoded[..colon]).ok()?.to_owned();
    Some((user, Zeroizing::new(decoded[colon + 1..].to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `secret`, at the least cost.
    const HASH: &str = "$2y$04$HQ8HDbxmVNqDDhMT1pF.VuDfLtFAzeULK0rNRGLvHqEvF8sX9wZ4W";

    fn users(hash: &str) -> Users {
        Users::new(HashMap::from([("prom".to_owned(), hash.to_owned())]), [7; 32])
    }

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(value).expect("header"));
        headers
    }

    fn basic(credentials: &[u8]) -> HeaderMap {
        headers(&format!("Basic {}", STANDARD.encode(credentials)))
    }

    #[tokio::test]
    async fn admits_the_right_password_only() {
        let hash = bcrypt::hash("se:cret", 4).expect("hash");
        let users = users(&hash);
        for _ in 0..2 {
            assert!(users.admit(&basic(b"prom:se:cret")).await);
            for wrong in [&b"prom:secret"[..], b"prom:", b"prom", b":", b"other:se:cret", b"\xff:x"]
            {
                assert!(!users.admit(&basic(wrong)).await, "{wrong:?}");
            }
        }
        assert!(users.admit(&headers(&format!("bAsIc {}", STANDARD.encode("prom:se:cret")))).await);
        for wrong in ["", "Basic", "Basic !", "Bearer cHJvbTpzZTpjcmV0"] {
            assert!(!users.admit(&headers(wrong)).await, "{wrong}");
        }
        assert!(!users.admit(&HeaderMap::new()).await);
    }

    #[test]
    fn tells_hashes_from_other_text() {
        assert!(is_hash(HASH));
        assert!(is_hash(&users(HASH).nobody));
        for prefix in ["$2a$", "$2b$"] {
            assert!(is_hash(&HASH.replace("$2y$", prefix)), "{prefix}");
        }
        for wrong in ["", "secret", &HASH[1..], "$apr1$x$y", &HASH.replace("$04$", "$99$"), "é"] {
            assert!(!is_hash(wrong), "{wrong}");
        }
    }
}
