// SPDX-License-Identifier: Apache-2.0
//! Bytes that are overwritten when they are dropped.

use std::{
    hint::black_box,
    io::{self, Write},
    ops::Deref,
};

/// The least room that is made, for texts that are put together from small parts.
const LEAST: usize = 128;

/// The bytes of an answer, overwritten when they are no longer needed: logins answer with tokens,
/// PBXs with PINs.
///
/// `zeroize` does the same one byte at a time, which for large answers takes longer than decoding
/// them. Copies in the buffers of the HTTP client are beyond both.
#[derive(Default)]
pub struct Wiped(Vec<u8>);

impl Wiped {
    /// No bytes, and room for `capacity` of them.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Appends `text` as JSON has it, in quotes.
    pub fn append(&mut self, text: &str) {
        let _ = serde_json::to_writer(self, text);
    }

    /// Appends `bytes`; what has to move to make room is overwritten where it was.
    pub fn extend(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Self::with_capacity(needed.max(2 * self.0.capacity()).max(LEAST));
            larger.0.extend_from_slice(&self.0);
            *self = larger;
        }
        self.0.extend_from_slice(bytes);
    }
}

/// A text that is overwritten like [`Wiped`] bytes.
pub(super) struct WipedText(String);

impl WipedText {
    /// The text that `bytes` are; `Err`: they are none, and unchanged.
    pub(super) fn of(mut bytes: Wiped) -> Result<Self, Wiped> {
        let text = String::from_utf8(std::mem::take(&mut bytes.0));
        text.map(Self).map_err(|error| Wiped(error.into_bytes()))
    }
}

impl Deref for WipedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for WipedText {
    fn drop(&mut self) {
        drop(Wiped(std::mem::take(&mut self.0).into_bytes()));
    }
}

impl Write for Wiped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<Vec<u8>> for Wiped {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Wiped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.fill(0);
        // Without this use of the bytes, the compiler would remove the writes before they are freed.
        black_box(self.0.as_mut_slice());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_as_it_must() {
        let mut bytes = Wiped::with_capacity(2);
        for part in [&b"a"[..], b"", b"bcd", &[b'e'; 1_000]] {
            bytes.extend(part);
        }
        assert_eq!(bytes.len(), 1_004);
        assert!(bytes.starts_with(b"abcdee"));
    }
}
