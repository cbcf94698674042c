// SPDX-License-Identifier: Apache-2.0
//! From the bytes of an answer to what is wanted of it.

use memchr::{memchr, memchr2_iter, memmem::find};
use serde::Deserialize;

use super::wiped::{Wiped, WipedText};

/// Deepest nesting of an answer. `serde_json` has the same limit for what it decodes, but none for
/// the parts of an answer that it skips.
const MAX_DEPTH: usize = 128;

/// What some systems write before UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Decodes a UTF-8 JSON object of the expected shape; `None` for anything else.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    decode_text(std::str::from_utf8(bytes).ok()?)
}

fn decode_text<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // A derived decoder would take a list for an object by the order of its fields.
    if !text.trim_start().starts_with('{') || !nests_at_most(text.as_bytes(), MAX_DEPTH) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// The body of an answer.
pub(super) enum Body {
    /// It is UTF-8, which is found out once: decoding an answer takes three times as long as this check.
    Text(WipedText),
    Bytes(Wiped),
}

impl Body {
    /// Decodes a JSON object of the expected shape; `None` for anything else.
    pub(super) fn decode<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        match self {
            Self::Text(text) => decode_text(text),
            Self::Bytes(bytes) => decode(bytes),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// The answer as UTF-8 where only the contents of its texts are not: one room whose name is in
/// another encoding, or was cut inside of a character, must not fail the whole source. Bytes that are
/// not UTF-8, and halves of characters, become U+FFFD.
///
/// The structure does not change, because no ASCII character is ever replaced. A broken key would be
/// taken for an unknown one and skipped, so such an answer is left as it is, and is refused.
/// Outside of texts, U+FFFD is no JSON and is refused as well. What is no JSON at all stays as it is.
pub(super) fn readable(answer: Wiped) -> Body {
    let text = answer.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&answer);
    if !text.trim_ascii_start().starts_with(b"{") {
        return Body::Bytes(answer);
    }
    // Most answers have no escape at all, and to look for a single byte takes the least time.
    let escapes = memchr(b'\\', &answer).map_or(&[][..], |first| &answer[first..]);
    let has = |escape: &[u8]| find(escapes, escape).is_some();
    let has_halves = has(br"\ud") || has(br"\uD");
    let mut bytes = match WipedText::of(answer) {
        Ok(text) if !has_halves => return Body::Text(text),
        Ok(text) => text.as_bytes().to_vec(),
        Err(answer) if !keys_are_utf8(&answer) => return Body::Bytes(answer),
        Err(answer) => String::from_utf8_lossy(&answer).into_owned().into_bytes(),
    };
    replace_halves(&mut bytes);
    WipedText::of(Wiped::from(bytes)).map_or_else(Body::Bytes, Body::Text)
}

/// Replaces the escape of each half of a character that stands without the other half: what is left
/// of a name that was cut after so many units of UTF-16. No parser takes it.
fn replace_halves(json: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| memchr(b'\\', rest)) {
        at += found;
        at += match (half(json, at), half(json, at + ESCAPE)) {
            (Some(Half::First), Some(Half::Second)) => 2 * ESCAPE,
            (Some(_), _) => {
                json[at..at + ESCAPE].copy_from_slice(b"\\ufffd");
                ESCAPE
            }
            // Two characters of any other escape are enough not to take the second for a new one.
            (None, _) => 2,
        };
    }
}

/// How many bytes the escape of a unit of UTF-16 has, such as `\ud83d`.
const ESCAPE: usize = 6;

/// A unit of UTF-16 that means nothing alone.
enum Half {
    First,
    Second,
}

/// Which half of a character the escape that begins at `at` stands for; `None`: it is none.
fn half(json: &[u8], at: usize) -> Option<Half> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    match u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()? {
        0xD800..=0xDBFF => Some(Half::First),
        0xDC00..=0xDFFF => Some(Half::Second),
        _ => None,
    }
}

/// Whether no object or list nests deeper than `limit`. Brackets in texts do not count; whether
/// the text is JSON at all is decided by the parser.
fn nests_at_most(json: &[u8], limit: usize) -> bool {
    // Most answers are too small to nest that deep. To count brackets takes a fraction of the time of
    // looking for texts, and ends early where there are many.
    if memchr2_iter(b'[', b'{', json).nth(limit).is_none() {
        return true;
    }
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => at = text_end(json, at) + 1,
            b'[' | b'{' => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// Whether every text that stands before a colon is UTF-8.
fn keys_are_utf8(json: &[u8]) -> bool {
    let mut at = 0;
    while let Some(quote) = json.iter().skip(at).position(|byte| *byte == b'"') {
        let start = at + quote + 1;
        let end = text_end(json, start);
        at = end + 1;
        let behind = json.get(at..).unwrap_or_default();
        let is_key = behind.trim_ascii_start().starts_with(b":");
        if is_key && std::str::from_utf8(&json[start..end]).is_err() {
            return false;
        }
    }
    true
}

/// Where the text that begins at `start`, behind its opening quote, has its closing one; the end
/// of all where it has none.
fn text_end(json: &[u8], start: usize) -> usize {
    // Byte by byte: most texts are too short for a search in larger steps to pay, see
    // `docs/decisions/serde-json.md`.
    let mut at = start;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Deserialize)]
    struct Nothing {}

    fn is_skipped(bytes: &[u8]) -> bool {
        decode::<Nothing>(bytes).is_some()
    }

    #[test]
    fn what_is_no_object_of_utf8_is_refused() {
        assert!(decode::<Value>(b"\xEF\xBB\xBF {} ").is_some());
        for bytes in [
            &b""[..],
            b" ",
            b"[]",
            b"7",
            b"{",
            b"{}{}",
            b"{},",
            b"{}\0",
            b"{\"skipped\":\"\xFF\"}",
            b"{\"skipped\":\"\xED\xA0\x80\"}",
            b"{\"skipped\":\"\xC3\"}",
            b"{\"skipped\":NaN}",
            b"{\"skipped\":01}",
            b"{\"\xFF\":1}",
            b"\xEF\xBB\xBF\xEF\xBB\xBF{}",
            b"\xFE\xFF{}",
        ] {
            assert!(decode::<IgnoredAny>(bytes).is_none(), "{bytes:?}");
            assert!(decode::<Value>(bytes).is_none(), "{bytes:?}");
            assert!(!is_skipped(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn a_key_that_is_known_comes_once() {
        #[derive(Debug, Deserialize)]
        struct Total {
            #[expect(dead_code, reason = "only whether it decodes matters")]
            count: u8,
        }
        assert!(decode::<Total>(br#"{"count":1,"other":1,"other":2}"#).is_some());
        assert!(decode::<Total>(br#"{"count":1,"count":1}"#).is_none());
    }

    #[test]
    fn nesting_is_limited_in_what_is_decoded_and_in_what_is_skipped() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
            let brackets = open.matches(['[', '{']).count();
            for levels in [1, 127 / brackets, 128 / brackets + 1, 100_000] {
                let json = format!(
                    "{{\"skipped\":{}1{},\"after\":1}}",
                    open.repeat(levels),
                    close.repeat(levels)
                );
                let within = levels * brackets < MAX_DEPTH;
                assert_eq!(is_skipped(json.as_bytes()), within, "{open} {levels}");
                assert_eq!(decode::<IgnoredAny>(json.as_bytes()).is_some(), within, "{open}");
                let decoded = decode::<Value>(json.as_bytes()).is_some();
                assert!(!decoded || within, "{open} {levels}");
            }
        }
    }

    #[test]
    fn only_brackets_outside_of_texts_nest() {
        assert!(nests_at_most(br#"{"a":[1,"[[[\"[["]}"#, 2));
        assert!(!nests_at_most(br#"{"a":[[1]]}"#, 2));
        assert!(nests_at_most("[]".repeat(1_000).as_bytes(), 1));
        for unfinished in [&br#""\"#[..], br#"""#, br#""[[["#, br#""\""#] {
            assert!(nests_at_most(unfinished, 1), "{unfinished:?}");
        }
    }

    /// What `answer` is decoded to.
    fn read(answer: &[u8]) -> Option<Value> {
        readable(Wiped::from(answer.to_vec())).decode::<Value>()
    }

    #[test]
    fn a_text_in_another_encoding_or_cut_does_not_make_an_answer_unreadable() {
        let expected = |name: &str| Some(json!({ "name": name, "count": 7 }));
        for (answer, name) in [
            (&b"{\"name\":\"Gr\xC3\xBC\xC3\x9Fe\",\"count\":7}"[..], "Gr\u{fc}\u{df}e"),
            // Latin-1, and GBK whose second bytes look like a bracket and a letter.
            (b"{\"name\":\"Gr\xFC\xDFe\",\"count\":7}", "Gr\u{fffd}\u{fffd}e"),
            (b"{\"name\":\"\x81\x5B\x81\x61\",\"count\":7}", "\u{fffd}[\u{fffd}a"),
            // Cut inside of a character, right before the closing quote.
            (b"{\"name\":\"\xE4\xBC\",\"count\":7}", "\u{fffd}"),
            (b"{\"name\":\"\xFF\\\"\xFF\",\"count\":7}", "\u{fffd}\"\u{fffd}"),
            // Halves of characters, in escapes: the first, the second, both in the wrong order, and beside others.
            (br#"{"name":"Zo\ud83d","count":7}"#, "Zo\u{fffd}"),
            (br#"{"name":"\uDE00!","count":7}"#, "\u{fffd}!"),
            (br#"{"name":"\ude00\ud83d","count":7}"#, "\u{fffd}\u{fffd}"),
            (br#"{"name":"\ud83d\ud83d\ude00","count":7}"#, "\u{fffd}\u{1f600}"),
            (br#"{"name":"\ud83d\u5f20\uD83D\uDE00","count":7}"#, "\u{fffd}\u{5f20}\u{1f600}"),
            (b"{\"name\":\"\xFF\\ud83d\",\"count\":7}", "\u{fffd}\u{fffd}"),
            // No escapes of characters.
            (br#"{"name":"C:\\ud83d\\","count":7}"#, r"C:\ud83d\"),
            (br#"{"name":"\\\ud83d","count":7}"#, "\\\u{fffd}"),
        ] {
            assert_eq!(read(answer), expected(name), "{answer:?}");
        }
    }

    #[test]
    fn what_is_no_json_stays_as_it_is() {
        for answer in [&b"<a b=\"\xFF\">\xFF</a>"[..], b"\xFF{\"a\":\"\xFF\"}"] {
            assert_eq!(readable(Wiped::from(answer.to_vec())).bytes(), answer);
        }
        let answer = b"\xEF\xBB\xBF {\"name\":\"\xFF\",\"count\":7}";
        assert_eq!(read(answer), Some(json!({ "name": "\u{fffd}", "count": 7 })));
    }

    #[test]
    fn everything_but_texts_stays_strict() {
        for answer in [
            &b"{\"na\xFFme\":\"a\",\"count\":7}"[..],
            b"{\"na\xFFme\" \n : \"a\",\"count\":7}",
            b"{\"name\":\"\xFF\",\"\xFF\":{}}",
            b"{\"name\":\"\xFF\",\"count\":7\xFF}",
            b"{\"name\":\"\xFF\",\xFF\"count\":7}",
            b"\xFF{\"name\":\"a\"}",
            b"{\"name\":\"a\"}\xFF",
            b"{\"name\":\"\xFF",
            b"{\"name\xFF",
            br#"{"name":"\ud83"}"#,
            br#"{"name":"\ud83g"}"#,
            br#"{"name":"a"}\ud83d"#,
            b"\xFF\xFE{\0}\0",
        ] {
            assert_eq!(read(answer), None, "{answer:?}");
        }
    }
}
