// SPDX-License-Identifier: Apache-2.0
//! Random numbers that repeat: the same seed gives the same populations on every machine.

/// A stable hash of the parts (FNV-1a, then one round of SplitMix64 to spread it).
pub(crate) fn hash(seed: u64, parts: &[&str]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325 ^ seed;
    for part in parts {
        // 0xff cannot occur in a string: it keeps ("ab", "c") and ("a", "bc") apart.
        for byte in part.bytes().chain([0xff]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    Rng(state).next()
}

/// A repeatable source of random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 for 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() % bound as u64) as usize }
    }

    /// True in so many cases of a hundred.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of these.
    pub fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.get(self.below(of.len())).copied().unwrap_or_default()
    }

    /// The prefix and so many digits.
    pub fn digits(&mut self, prefix: &str, count: usize) -> String {
        let mut number = prefix.to_owned();
        for _ in 0..count {
            number.push(char::from(b'0' + self.below(10) as u8));
        }
        number
    }

    /// So many hexadecimal digits.
    pub fn hex(&mut self, count: usize) -> String {
        let mut text = String::with_capacity(count + 16);
        while text.len() < count {
            text.push_str(&format!("{:016x}", self.next()));
        }
        text.truncate(count);
        text
    }
}
