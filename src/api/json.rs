//! From the bytes of an answer to what is wanted of it.

use serde::Deserialize;

use super::{nesting::nests_at_most, quick};

/// Deepest nesting of an answer: what the JSON parser itself accepts, extended to the parts of an
/// answer that are skipped.
const MAX_DEPTH: usize = 128;

/// Decodes a UTF-8 JSON object of the expected shape; `None` for anything else.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let text = object(bytes)?;
    match quick::from_str(text) {
        Ok(value) => {
            // Whether, not what: the values are compared by the tests below and by the fuzz target
            // `decode_json`.
            debug_assert!(thorough::<T>(text).is_some(), "the quick decoder is too lenient");
            Some(value)
        }
        Err(quick::Declined) => thorough(text),
    }
}

/// What [`decode`] does, without the quick decoder.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn plain<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    thorough(object(bytes)?)
}

/// The text of what may be a JSON object.
fn object(bytes: &[u8]) -> Option<&str> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).ok()?;
    // A derived decoder would take a list for an object by the order of its fields.
    text.trim_start().starts_with('{').then_some(text)
}

/// What counts, should the quick decoder decline.
fn thorough<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    if !nests_at_most(text.as_bytes(), MAX_DEPTH) {
        return None;
    }
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use std::{fmt, fs, io, path::Path};

    use proptest::{collection::vec, prelude::*, sample::select};
    use serde::de::IgnoredAny;
    use serde_json::Value;

    use super::*;
    use crate::api::lenient::{Count, Flag, IsSet, List, Number, Object, OneOrMany, Text, present};

    /// All a vendor's type may be made of, with keys to be skipped beside it.
    #[derive(Debug, Deserialize, PartialEq)]
    struct Shape<'a> {
        #[serde(borrow, default)]
        text: Text<'a>,
        #[serde(default)]
        count: Count,
        #[serde(default, deserialize_with = "present")]
        number: Option<Number>,
        flag: Option<Flag>,
        #[serde(default)]
        set: IsSet,
        #[serde(borrow, default)]
        list: List<Part<'a>>,
        #[serde(borrow, default)]
        many: OneOrMany<Object<Part<'a>>>,
        #[serde(default)]
        whatever: Value,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Part<'a> {
        #[serde(borrow)]
        text: Text<'a>,
        #[serde(default)]
        flag: Flag,
    }

    fn same<'a, T: Deserialize<'a> + PartialEq + fmt::Debug>(bytes: &'a [u8]) {
        assert_eq!(decode::<T>(bytes), plain(bytes), "{}", String::from_utf8_lossy(bytes));
    }

    fn alike(bytes: &[u8]) {
        same::<IgnoredAny>(bytes);
        same::<Value>(bytes);
        same::<Shape<'_>>(bytes);
    }

    /// The files in `folder`, whatever is below it.
    fn files(folder: &str) -> Vec<Vec<u8>> {
        let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        let below = |folder: io::Result<fs::DirEntry>| {
            let files = fs::read_dir(folder.unwrap().path()).unwrap();
            files.map(|file| fs::read(file.unwrap().path()).unwrap())
        };
        let files: Vec<_> = folders.flat_map(below).collect();
        assert!(!files.is_empty(), "{folder} is empty");
        files
    }

    #[test]
    fn right_answers_are_decoded_quickly() {
        for bytes in files("fuzz/right") {
            let text = std::str::from_utf8(&bytes).unwrap();
            assert_eq!(quick::from_str(text).ok(), plain::<Value>(&bytes), "{text}");
            assert!(quick::from_str::<IgnoredAny>(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_corpus_is_decoded_as_ever() {
        for input in files("fuzz/corpus") {
            alike(&input);
            // Of most of them, the first two bytes are no part of the answer.
            alike(input.get(2..).unwrap_or_default());
        }
    }

    #[test]
    fn right_answers_cut_short_or_spoilt_are_refused_as_ever() {
        const SPOILT: &[u8] = b"\"\\{}[],:0-.e \n\0\x1F\x7F\x80\xC3\xFFtu";
        // The time grows with the square of the length.
        for mut bytes in files("fuzz/right").into_iter().filter(|bytes| bytes.len() < 1_500) {
            for at in 0..bytes.len() {
                same::<IgnoredAny>(&bytes[..at]);
                let right = bytes[at];
                bytes[at] = SPOILT[at % SPOILT.len()];
                same::<IgnoredAny>(&bytes);
                same::<Value>(&bytes);
                bytes[at] = right;
            }
        }
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
            b"{\"\xFF\":1}",
            b"\xEF\xBB\xBF\xEF\xBB\xBF{}",
            b"\xFE\xFF{}",
        ] {
            assert!(decode::<IgnoredAny>(bytes).is_none(), "{bytes:?}");
            alike(bytes);
        }
    }

    #[test]
    fn nesting_is_limited_where_it_ever_was() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
            for levels in (30..70).chain(120..135) {
                let (open, close) = (open.repeat(levels), close.repeat(levels));
                for key in ["skipped", "whatever", "set"] {
                    alike(format!("{{\"{key}\":{open}1{close}}}").as_bytes());
                    alike(format!("{{\"{key}\":{open}{close}}}").as_bytes());
                    alike(format!("{{\"{key}\":{open}1}}").as_bytes());
                }
            }
        }
        let skipped = |levels: usize| {
            let json = format!("{{\"skipped\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
            decode::<Shape<'_>>(json.as_bytes()).is_some()
        };
        assert!(skipped(127));
        assert!(!skipped(128));
        assert!(!skipped(1_000_000));
    }

    /// Values of all kinds.
    fn value() -> impl Strategy<Value = String> {
        const VALID: &[&str] = &[
            "0",
            "7",
            "-0",
            "-1",
            "1.0",
            "1.5",
            "-2.5e3",
            "1e2",
            "1E+2",
            "1e-2",
            "9007199254740993",
            "9999999999999999999",
            "18446744073709551615",
            "18446744073709551616",
            "123456789012345678901234567890",
            "-9223372036854775809",
            "true",
            "false",
            "null",
            "\"\"",
            "\" \"",
            "\"yes\"",
            "\"no\"",
            "\"1\"",
            "\" 7 \"",
            "\"-1\"",
            "\"Grüße 会议\"",
            "\"{[\"",
            "\"]}\"",
            "\"\\n\"",
            "\"\\\"\"",
            "\"\\\\\"",
            "\"\\/\\b\\f\\r\\t\"",
            "\"\\u4f1a\"",
            "\"\\uD83D\\uDE00\"",
            "\"\u{7f}\"",
            "\"\u{85}\"",
            "\"\u{2028}\"",
        ];
        // Some of them only where they are not skipped.
        const INVALID: &[&str] = &[
            "1e400",
            "-1e400",
            "00",
            "01",
            "-01",
            "1.",
            ".5",
            "1e",
            "1e+",
            "+1",
            "-",
            "--1",
            "1-2",
            "0x1",
            "NaN",
            "tru",
            "nulls",
            "True",
            "",
            "\"\\ud800\"",
            "\"\\udc00\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\u12\"",
            "\"\\u12x4\"",
            "\"\\U0041\"",
            "\"\\x\"",
            "\"\\",
            "\"\\\"",
            "\"",
            "\"\u{1}\"",
            "\"a\tb\"",
            "\"a\nb\"",
            "\"\u{0}\"",
            "'a'",
            "\u{feff}",
            "//",
            "/**/",
        ];
        let leaf = prop_oneof![
            20 => select(VALID),
            1 => select(INVALID),
        ];
        let leaf = prop_oneof![
            4 => leaf.prop_map(str::to_owned),
            1 => any::<i64>().prop_map(|number| number.to_string()),
            1 => any::<f64>().prop_map(|number| number.to_string()),
            1 => "\"[ -!#-\\[\\]-~é会]{0,40}\"",
        ];
        leaf.prop_recursive(4, 24, 4, |value| {
            prop_oneof![
                vec(value.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
                vec((key(), space(), value), 0..5).prop_map(object),
            ]
        })
    }

    /// Keys, among them many that are known, and so some twice in an object.
    fn key() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            12 => select(&[
                "text", "count", "number", "flag", "set", "list", "many", "whatever", "skipped",
            ]),
            4 => select(&["", "Text", "a key that is longer than others", "会"]),
            1 => select(&["te\\u0078t", "a\\\"b", "\\ud800", "a\u{1}"]),
        ]
    }

    fn space() -> impl Strategy<Value = &'static str> {
        prop_oneof![50 => Just(""), 10 => select(&[" ", "\n\t\r "]), 1 => select(&["\u{b}", "\u{a0}"])]
    }

    fn object(members: Vec<(&str, &str, String)>) -> String {
        let member = |(key, space, value): (&str, &str, String)| {
            format!("{space}\"{key}\"{space}:{space}{value}{space}")
        };
        format!("{{{}}}", members.into_iter().map(member).collect::<Vec<_>>().join(","))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn the_quick_decoder_changes_nothing(
            members in vec((key(), space(), value()), 0..6),
            (before, after) in (space(), space()),
            spoilt in vec((any::<prop::sample::Index>(), any::<u8>()), 0..2),
            added in vec((any::<prop::sample::Index>(), value()), 0..2),
            kept in prop_oneof![Just(None), any::<prop::sample::Index>().prop_map(Some)],
        ) {
            let mut bytes = format!("{before}{}{after}", object(members)).into_bytes();
            alike(&bytes);
            for (at, text) in added {
                let at = at.index(bytes.len());
                bytes.splice(at..at, text.into_bytes());
            }
            for (at, byte) in spoilt {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(length) = kept {
                bytes.truncate(length.index(bytes.len()));
            }
            alike(&bytes);
        }
    }
}
