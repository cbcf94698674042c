// SPDX-License-Identifier: Apache-2.0
//! Decoders for what vendors really send: numbers as strings, "" and null for none, one object
//! where a list is documented, secrets of which only "set or not" may survive.
//!
//! All of them are strict about what cannot be meant: a negative count or a list where a number
//! belongs is an error, never a zero. So is U+FFFD, which stands for what was not UTF-8, in all but
//! a [`Name`].

mod lists;

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

pub use self::lists::{FromItems, Items, List, Object};

/// Largest count accepted: what a float renders exactly.
const MAX_COUNT: u64 = 1 << 53;

/// A whole number that may be missing: an integer, an integral float or a decimal string; `null`
/// and `""` are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Number(pub Option<i64>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
        if value.unsigned_abs() > MAX_COUNT {
            return Err(E::custom("number out of range"));
        }
        Ok(Number(Some(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
        i64::try_from(value)
            .map_err(|_| E::custom("number out of range"))
            .and_then(|v| self.visit_i64(v))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
        whole(value).map(|value| Number(Some(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Number, E> {
        let value = value.trim();
        if value.is_empty() {
            return Ok(Number(None));
        }
        value.parse().map_err(|_| E::custom("not a whole number")).and_then(|v| self.visit_i64(v))
    }

    fn visit_unit<E: Error>(self) -> Result<Number, E> {
        Ok(Number(None))
    }
}

/// The whole number that a system wrote with a decimal point.
fn whole<E: Error>(value: f64) -> Result<i64, E> {
    const LIMIT: f64 = MAX_COUNT as f64;
    if value.fract() != 0.0 || !(-LIMIT..=LIMIT).contains(&value) {
        return Err(E::custom("not a whole number in range"));
    }
    Ok(value as i64)
}

/// A count of things: as [`Number`], never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count(pub Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Number(number) = Number::deserialize(deserializer)?;
        number
            .map(|value| u64::try_from(value).map_err(|_| D::Error::custom("negative count")))
            .transpose()
            .map(Self)
    }
}

/// How long a token is good for, or until when: none where it is missing, 0, negative, or cannot be
/// meant at all. What the vendor documents counts then: a token that was issued is used and given back,
/// whatever stands beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime(pub Option<u64>);

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Said {
            Count(Count),
            Other(IgnoredAny),
        }
        Ok(Self(match Said::deserialize(deserializer)? {
            Said::Count(Count(count)) => count.filter(|count| *count > 0),
            Said::Other(IgnoredAny) => None,
        }))
    }
}

/// A text that may be a whole number or missing; trimmed. Borrows from the answer where it can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// Whether there is anything in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The trimmed text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(TextVisitor)?;
        // Two ids that differ in such a place only would be counted as one.
        if is_unreadable(&text) {
            return Err(D::Error::custom("characters that cannot be read"));
        }
        Ok(Self(text))
    }
}

/// Whether U+FFFD is in `text`, which stands for what was not UTF-8.
pub fn is_unreadable(text: &str) -> bool {
    // The first byte of U+FFFD is rare, and looking for one byte is much quicker than for three.
    text.as_bytes().contains(&0xEF) && text.contains(char::REPLACEMENT_CHARACTER)
}

/// A name for people, which nothing is counted by: as [`Text`], but what is not UTF-8 in it is
/// U+FFFD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name<'a>(pub Cow<'a, str>);

impl Name<'_> {
    /// Whether there is anything in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The trimmed name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value.trim()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.trim().to_owned()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        whole(value).map(|value| Cow::Owned(value.to_string()))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(""))
    }
}

/// A setting: `"yes"`/`"no"`, `1`/`0` (also as text or with a decimal point) or a boolean. `null` and `""` are none: the
/// system did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flag(pub Option<bool>);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlagVisitor;
        impl Visitor<'_> for FlagVisitor {
            type Value = Flag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("yes or no")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Flag, E> {
                Ok(Flag(Some(value)))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Flag, E> {
                match value {
                    0 => Ok(Flag(Some(false))),
                    1 => Ok(Flag(Some(true))),
                    _ => Err(E::custom("neither yes nor no")),
                }
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Flag, E> {
                self.visit_i64(i64::try_from(value).unwrap_or(-1))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Flag, E> {
                whole(value).and_then(|value| self.visit_i64(value))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Flag, E> {
                // What is nearly always sent, told apart at once.
                match value {
                    "yes" => return Ok(Flag(Some(true))),
                    "no" => return Ok(Flag(Some(false))),
                    _ => {}
                }
                let value = value.trim();
                if value.is_empty() {
                    return Ok(Flag(None));
                }
                let is = |word: &str| value.eq_ignore_ascii_case(word);
                if is("yes") || is("1") || is("true") || is("on") {
                    Ok(Flag(Some(true)))
                } else if is("no") || is("0") || is("false") || is("off") {
                    Ok(Flag(Some(false)))
                } else {
                    Err(E::custom("neither yes nor no"))
                }
            }

            fn visit_unit<E: Error>(self) -> Result<Flag, E> {
                Ok(Flag(None))
            }
        }
        deserializer.deserialize_any(FlagVisitor)
    }
}

/// Whether something is set. The value itself (a room's PIN, a moderator's number) is dropped
/// while decoding. Empty texts, empty lists and `null` are not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IsSet(pub bool);

impl<'de> Deserialize<'de> for IsSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IsSetVisitor;
        impl<'de> Visitor<'de> for IsSetVisitor {
            type Value = IsSet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number or a list")
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<IsSet, E> {
                Ok(IsSet(!value.trim().is_empty()))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<IsSet, E> {
                Ok(IsSet(true))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<IsSet, E> {
                Ok(IsSet(true))
            }

            fn visit_unit<E: Error>(self) -> Result<IsSet, E> {
                Ok(IsSet(false))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<IsSet, A::Error> {
                let mut set = false;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    set = true;
                }
                Ok(IsSet(set))
            }

            /// One item of a list, or a list with numbers as keys: see [`Items`].
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<IsSet, A::Error> {
                let mut set = false;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    set = true;
                }
                if set { Ok(IsSet(true)) } else { Err(A::Error::custom("an empty object")) }
            }
        }
        deserializer.deserialize_any(IsSetVisitor)
    }
}

/// A key that is there, whatever stands in it: `null` then is a value and not a missing key. For
/// `#[serde(default, deserialize_with = "present")]`.
///
/// # Errors
/// What decoding the value fails with.
pub fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn numbers_are_read_in_every_notation() {
        for json in ["7", "7.0", "\"7\"", "\" 7 \""] {
            assert_eq!(decode::<Number>(json), Some(Number(Some(7))), "{json}");
        }
        for json in ["null", "\"\"", "\"  \""] {
            assert_eq!(decode::<Count>(json), Some(Count(None)), "{json}");
        }
        for json in ["-1", "\"-1\"", "1e300", "7.5", "\"seven\"", "true", "[7]", "{}", "1e400"] {
            assert_eq!(decode::<Count>(json), None, "{json}");
        }
        assert_eq!(decode::<Number>("-1"), Some(Number(Some(-1))));
        assert_eq!(decode::<Count>("18446744073709551615"), None);
    }

    #[test]
    fn a_lifetime_that_cannot_be_meant_is_not_said() {
        for json in ["7", "7.0", "\"7\""] {
            assert_eq!(decode::<Lifetime>(json), Some(Lifetime(Some(7))), "{json}");
        }
        for json in [
            "0",
            "-1",
            "null",
            "\"\"",
            "\"soon\"",
            "7.5",
            "18446744073709551615",
            "[7]",
            "{}",
            "true",
        ] {
            assert_eq!(decode::<Lifetime>(json), Some(Lifetime(None)), "{json}");
        }
        assert_eq!(decode::<Lifetime>("7\""), None);
    }

    #[test]
    fn flags_distinguish_no_from_not_said() {
        assert_eq!(decode::<Flag>("\"Yes\""), Some(Flag(Some(true))));
        assert_eq!(decode::<Flag>("0"), Some(Flag(Some(false))));
        assert_eq!(decode::<Flag>("true"), Some(Flag(Some(true))));
        assert_eq!(decode::<Flag>("\"\""), Some(Flag(None)));
        assert_eq!(decode::<Flag>("null"), Some(Flag(None)));
        assert_eq!(decode::<Flag>("1.0"), Some(Flag(Some(true))));
        assert_eq!(decode::<Flag>("0.0"), Some(Flag(Some(false))));
        for json in ["\"perhaps\"", "2", "0.5", "1e300"] {
            assert_eq!(decode::<Flag>(json), None, "{json}");
        }
    }

    #[test]
    fn only_whether_a_secret_is_set_survives() {
        for json in ["\"4711\"", "4711", "[1]", "{\"1\":{}}"] {
            assert_eq!(decode::<IsSet>(json), Some(IsSet(true)), "{json}");
        }
        for json in ["\"\"", "null", "[]", "\" \""] {
            assert_eq!(decode::<IsSet>(json), Some(IsSet(false)), "{json}");
        }
        assert_eq!(decode::<IsSet>("{}"), None);
    }

    #[test]
    fn lists_and_single_objects() {
        assert_eq!(decode::<List<u8>>("null"), Some(List(vec![])));
        assert_eq!(decode::<List<u8>>("\"\""), Some(List(vec![])));
        assert_eq!(decode::<List<u8>>("[1,2]"), Some(List(vec![1, 2])));
        assert_eq!(decode::<List<u8>>("{}"), None);
        #[derive(Debug, Deserialize, PartialEq)]
        struct Member {
            a: u8,
        }
        assert_eq!(decode::<List<Member>>("{\"a\":1}"), Some(List(vec![Member { a: 1 }])));
        assert_eq!(decode::<List<Member>>("[{\"a\":1}]"), Some(List(vec![Member { a: 1 }])));
        assert_eq!(decode::<List<Member>>("5"), None);
        let numbered = r#"{"0":{"a":1},"07":{"a":2}}"#;
        let both = List(vec![Member { a: 1 }, Member { a: 2 }]);
        assert_eq!(decode::<List<Member>>(numbered), Some(both));
        for json in [r#"{"0":{"a":1},"a":2}"#, r#"{"a":1,"0":{"a":1},"a":1}"#, r#"{"":{"a":1}}"#] {
            assert_eq!(decode::<List<Member>>(json), None, "{json}");
        }
    }

    #[test]
    fn an_object_is_no_list_of_its_fields() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct Total {
            count: Count,
        }
        let total = Total { count: Count(Some(1)) };
        assert_eq!(decode::<Total>("[1]"), Some(Total { count: Count(Some(1)) }));
        assert_eq!(decode::<Object<Total>>("{\"count\":1}"), Some(Object(total)));
        for json in ["[1]", "1", "\"\"", "null"] {
            assert_eq!(decode::<Object<Total>>(json), None, "{json}");
        }
    }

    #[test]
    fn texts_are_trimmed_and_may_be_numbers() {
        assert_eq!(decode::<Text<'_>>("\" 6466\"").unwrap().as_str(), "6466");
        assert_eq!(decode::<Text<'_>>("6466").unwrap().as_str(), "6466");
        assert_eq!(decode::<Text<'_>>("6466.0").unwrap().as_str(), "6466");
        assert_eq!(decode::<Text<'_>>("6466.5"), None);
        assert!(decode::<Text<'_>>("null").unwrap().is_empty());
        assert_eq!(decode::<Text<'_>>("[]"), None);
    }

    #[test]
    fn only_names_may_hold_what_cannot_be_read() {
        let name = Name("a\u{fffd}b".into());
        assert_eq!(decode::<Name<'_>>("\" a\u{fffd}b\""), Some(name));
        assert_eq!(decode::<Text<'_>>("\"a\u{fffd}b\""), None);
        assert_eq!(decode::<Count>("\"7\u{fffd}\""), None);
        assert_eq!(decode::<Flag>("\"yes\u{fffd}\""), None);
    }
}
