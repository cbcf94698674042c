//! How deep an answer nests.
//!
//! The JSON parser limits the depth of what it decodes, but not of what it skips: that is for a
//! pass of its own over every answer. So that it costs little, it looks at 64 bytes at a time.

/// Bytes looked at together.
const BLOCK: usize = 64;

/// Eight bytes of a block with 1 in each byte that is what was looked for, the first byte lowest.
type Word = u64;

/// 1 in each byte.
const ONES: Word = 0x0101_0101_0101_0101;

/// Whether no object or list of the JSON text nests deeper than `limit`. Only brackets outside of
/// strings count; whether the text is JSON at all is for the parser to say.
pub(super) fn nests_at_most(text: &[u8], limit: usize) -> bool {
    let mut scan = Scan { limit, depth: 0, in_string: false, escaped: false };
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    blocks.iter().all(|block| scan.block(block)) && scan.bytes(rest)
}

/// Where the scan is.
struct Scan {
    limit: usize,
    depth: usize,
    in_string: bool,
    /// The next byte stands behind a backslash.
    escaped: bool,
}

impl Scan {
    /// Whether the depth stays within the limit in these bytes.
    fn block(&mut self, block: &[u8; BLOCK]) -> bool {
        if self.escaped || block.iter().fold(false, |any, byte| any | (*byte == b'\\')) {
            return self.bytes(block);
        }
        let quotes = marks(block, |byte| byte == b'"');
        // Square brackets and curly ones differ by one bit.
        let openers = marks(block, |byte| byte | 0x20 == b'{');
        let closers = marks(block, |byte| byte | 0x20 == b'}');
        let (mut opened, mut closed) = (0, 0);
        let mut in_string = self.in_string;
        for ((quotes, openers), closers) in quotes.iter().zip(openers).zip(closers) {
            // An odd number of quotes up to here: in a string, unless the word began in one.
            let inside = quotes.wrapping_mul(ONES) ^ 0_u64.wrapping_sub(u64::from(in_string));
            opened += openers & !inside;
            closed += closers & !inside;
            in_string = inside >> 56 & 1 == 1;
        }
        let (opened, closed) = (sum(opened), sum(closed));
        // Which come first matters where it would be too deep, or more are closed than are open.
        if self.depth + opened > self.limit || closed > self.depth {
            return self.bytes(block);
        }
        self.depth = self.depth + opened - closed;
        self.in_string = in_string;
        true
    }

    /// The same, byte by byte.
    fn bytes(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'[' | b'{' => {
                    self.depth += 1;
                    if self.depth > self.limit {
                        return false;
                    }
                }
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                b'"' => self.in_string = true,
                _ => {}
            }
        }
        true
    }
}

/// 1 for each byte of which `is` holds.
#[inline]
fn marks(block: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> [Word; BLOCK / 8] {
    // All bytes alike, which the compiler does many at a time.
    let mut found = [0_u8; BLOCK];
    for (found, byte) in found.iter_mut().zip(block) {
        *found = u8::from(is(*byte));
    }
    let (words, _) = found.as_chunks();
    std::array::from_fn(|at| Word::from_le_bytes(words[at]))
}

/// The sum of the bytes, which must be less than 256.
const fn sum(word: Word) -> usize {
    (word.wrapping_mul(ONES) >> 56) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings_only() {
        assert!(nests_at_most(br#"{"a":[1,"[[[\"[["]}"#, 2));
        assert!(!nests_at_most(br#"{"a":[[1]]}"#, 2));
        assert!(!nests_at_most("[".repeat(100_000).as_bytes(), 128));
        assert!(nests_at_most("[]".repeat(1_000).as_bytes(), 1));
        assert!(nests_at_most(br#""\"#, 1));
    }

    #[test]
    fn a_block_that_is_full_counts_in_full() {
        let nested = ["[".repeat(BLOCK), "]".repeat(BLOCK), "{".repeat(BLOCK)].concat();
        assert!(nests_at_most(nested.as_bytes(), BLOCK));
        assert!(!nests_at_most(nested.as_bytes(), BLOCK - 1));
        let quoted = format!("[{}]", "\"\"".repeat(200));
        assert!(nests_at_most(quoted.as_bytes(), 1));
    }

    proptest! {
        #[test]
        fn blocks_find_what_bytes_find(
            text in r#"([\[{]|[\]}]|"|\\|,|x|"[^"\\]{0,70}"){0,300}"#,
            limit in 0_usize..12,
        ) {
            let mut scan = Scan { limit, depth: 0, in_string: false, escaped: false };
            prop_assert_eq!(nests_at_most(text.as_bytes(), limit), scan.bytes(text.as_bytes()));
        }
    }
}
