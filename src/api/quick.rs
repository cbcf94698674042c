//! JSON as it comes every day, decoded about as fast as it could be skipped.
//!
//! `serde_json` takes twice as long for handing out an answer as for skipping it. This decoder
//! knows objects, lists, texts without escapes and plain integers, one piece of each at a time and
//! nothing but; what else a value may be, it gives to `serde_json` by itself.
//!
//! It never says what is wrong. Whatever it does not take, `serde_json` is to decode anew, and the
//! verdict is that one's. Hence all this has to be is careful in the other direction: what it does
//! take, `serde_json` takes too and makes the same of it.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};

/// Deepest nesting: what `serde_json` decodes. Also of what is skipped, which is less than may be.
const MAX_DEPTH: u32 = 127;

/// Most digits of an integer that certainly fits.
const MAX_DIGITS: usize = 19;

/// Not for this decoder: wrong, or merely unusual.
#[derive(Debug)]
pub(super) struct Declined;

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not for the quick decoder")
    }
}

impl std::error::Error for Declined {}

impl de::Error for Declined {
    #[cold]
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl From<serde_json::Error> for Declined {
    #[cold]
    fn from(_: serde_json::Error) -> Self {
        Self
    }
}

/// Decodes `text` if it is what it knows.
///
/// # Errors
/// [`Declined`] says nothing about `text`.
pub(super) fn from_str<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Declined> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let value = T::deserialize(&mut reader)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(Declined),
    }
}

/// Where the decoder is.
struct Reader<'de> {
    text: &'de str,
    /// The next byte.
    at: usize,
    /// Objects and lists around it.
    depth: u32,
}

impl<'de> Reader<'de> {
    const fn bytes(&self) -> &'de [u8] {
        self.text.as_bytes()
    }

    /// The next byte that is not white space, which is not consumed.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Consumes `byte`, which must be the next one.
    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), Declined> {
        if self.peek() != Some(byte) {
            return Err(Declined);
        }
        self.at += 1;
        Ok(())
    }

    /// Consumes `word`, of which the first byte was seen.
    #[inline]
    fn word(&mut self, word: &str) -> Result<(), Declined> {
        match self.bytes().get(self.at..) {
            Some(rest) if rest.starts_with(word.as_bytes()) => {
                self.at += word.len();
                Ok(())
            }
            Some(_) | None => Err(Declined),
        }
    }

    /// Consumes a text behind its opening quote; `true`: without escapes.
    #[inline]
    fn skip_text(&mut self) -> Result<bool, Declined> {
        self.at = unusual(self.bytes(), self.at);
        if self.bytes().get(self.at) == Some(&b'"') {
            self.at += 1;
            return Ok(true);
        }
        self.skip_escapes()?;
        Ok(false)
    }

    /// Consumes the rest of a text from its first escape on.
    #[cold]
    #[inline(never)]
    fn skip_escapes(&mut self) -> Result<(), Declined> {
        loop {
            match self.bytes().get(self.at..) {
                Some([b'"', ..]) => {
                    self.at += 1;
                    return Ok(());
                }
                Some([b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..]) => {
                    self.at += 2
                }
                Some([b'\\', b'u', a, b, c, d, ..])
                    if [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit) =>
                {
                    self.at += 6;
                }
                Some(_) | None => return Err(Declined),
            }
            self.at = unusual(self.bytes(), self.at);
        }
    }

    /// Consumes an object's key, its colon and the quote before it.
    #[inline]
    fn skip_key(&mut self) -> Result<(), Declined> {
        self.expect(b'"')?;
        self.skip_text()?;
        self.expect(b':')
    }

    /// Consumes a number if it is an integer without sign, exponent or too many digits.
    #[inline]
    fn integer(&mut self) -> Option<u64> {
        let mut end = self.at;
        let mut value = 0_u64;
        while let Some(digit @ b'0'..=b'9') = self.bytes().get(end) {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            end += 1;
        }
        let digits = end - self.at;
        let padded = digits > 1 && self.bytes().get(self.at) == Some(&b'0');
        let goes_on = matches!(self.bytes().get(end), Some(b'.' | b'e' | b'E'));
        if digits == 0 || digits > MAX_DIGITS || padded || goes_on {
            return None;
        }
        self.at = end;
        Some(value)
    }

    /// Consumes whatever may belong to a number.
    #[cold]
    #[inline(never)]
    fn other_number(&mut self) -> Result<&'de str, Declined> {
        let rest = self.text.get(self.at..).ok_or(Declined)?;
        let number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = rest.bytes().take_while(number).count();
        self.at += length;
        rest.get(..length).ok_or(Declined)
    }

    /// Consumes a value, whatever it is.
    fn skip(&mut self) -> Result<(), Declined> {
        // What is open within the value, the innermost lowest: 1 for an object, 0 for a list.
        let mut open = 0_u128;
        let mut depth = self.depth;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    self.skip_text()?;
                }
                Some(b'0'..=b'9') if self.integer().is_some() => {}
                Some(b'0'..=b'9' | b'-') => {
                    serde_json::from_str::<IgnoredAny>(self.other_number()?)?;
                }
                Some(opener @ (b'{' | b'[')) => {
                    if depth == MAX_DEPTH {
                        return Err(Declined);
                    }
                    self.at += 1;
                    depth += 1;
                    let object = opener == b'{';
                    open = open << 1 | u128::from(object);
                    if self.peek() != Some(closer(object)) {
                        if object {
                            self.skip_key()?;
                        }
                        continue;
                    }
                }
                Some(b't') => self.word("true")?,
                Some(b'f') => self.word("false")?,
                Some(b'n') => self.word("null")?,
                Some(_) | None => return Err(Declined),
            }
            // The value is over, and with it maybe what it stands in.
            loop {
                if depth == self.depth {
                    return Ok(());
                }
                let object = open & 1 == 1;
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        if object {
                            self.skip_key()?;
                        }
                        break;
                    }
                    Some(byte) if byte == closer(object) => {
                        self.at += 1;
                        depth -= 1;
                        open >>= 1;
                    }
                    Some(_) | None => return Err(Declined),
                }
            }
        }
    }

    /// Decodes a text.
    #[inline]
    fn text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Declined> {
        let quote = self.at;
        self.at += 1;
        if self.skip_text()? {
            visitor.visit_borrowed_str(self.text.get(quote + 1..self.at - 1).ok_or(Declined)?)
        } else {
            let text = self.text.get(quote..self.at).ok_or(Declined)?;
            Ok(serde_json::Deserializer::from_str(text).deserialize_str(visitor)?)
        }
    }

    /// Decodes a number.
    #[inline]
    fn number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Declined> {
        if let Some(value) = self.integer() {
            return visitor.visit_u64(value);
        }
        let mut number = serde_json::Deserializer::from_str(self.other_number()?);
        let value = number.deserialize_any(visitor)?;
        number.end()?;
        Ok(value)
    }

    /// Decodes an object whose brace was seen.
    #[inline]
    fn object<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Declined> {
        let value = visitor.visit_map(self.enter()?)?;
        self.leave(b'}')?;
        Ok(value)
    }

    /// Decodes a list whose bracket was seen.
    #[inline]
    fn list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Declined> {
        let value = visitor.visit_seq(self.enter()?)?;
        self.leave(b']')?;
        Ok(value)
    }

    #[inline]
    fn enter(&mut self) -> Result<Items<'_, 'de>, Declined> {
        if self.depth == MAX_DEPTH {
            return Err(Declined);
        }
        self.at += 1;
        self.depth += 1;
        Ok(Items { reader: self, first: true })
    }

    #[inline]
    fn leave(&mut self, closer: u8) -> Result<(), Declined> {
        self.depth -= 1;
        self.expect(closer)
    }
}

/// What ends an object, or a list.
const fn closer(object: bool) -> u8 {
    if object { b'}' } else { b']' }
}

/// Where from `at` on the first byte is that does not stand for itself in a text: a quote, a
/// backslash or a control character. The end, if there is none.
#[inline]
fn unusual(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 0xFF;
    // Eight at a time, after Alan Mycroft. A byte above the first that is found may be found by
    // mistake.
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let chunk = u64::from_le_bytes(*chunk);
        let below = |limit: u8, chunk: u64| chunk.wrapping_sub(ONES * u64::from(limit)) & !chunk;
        let equal = |byte: u8| below(1, chunk ^ (ONES * u64::from(byte)));
        let found = (below(b' ', chunk) | equal(b'"') | equal(b'\\')) & ONES << 7;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + bytes.get(at..).map_or(0, usual_bytes)
}

/// How many bytes at the start stand for themselves.
#[cold]
#[inline(never)]
fn usual_bytes(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..b' ')).count()
}

/// The members of an object, or of a list.
struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    first: bool,
}

impl Items<'_, '_> {
    /// Whether another one follows, up to which all is consumed.
    #[inline]
    fn go_on(&mut self, closer: u8) -> Result<bool, Declined> {
        let next = self.reader.peek();
        if next == Some(closer) {
            return Ok(false);
        }
        if self.first {
            self.first = false;
            return Ok(true);
        }
        if next != Some(b',') {
            return Err(Declined);
        }
        self.reader.at += 1;
        Ok(true)
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Declined;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Declined> {
        if !self.go_on(b'}')? {
            return Ok(None);
        }
        self.reader.expect(b'"')?;
        let start = self.reader.at;
        if !self.reader.skip_text()? {
            return Err(Declined);
        }
        let key = self.reader.text.get(start..self.reader.at - 1).ok_or(Declined)?;
        self.reader.expect(b':')?;
        seed.deserialize(Key(key)).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Declined> {
        seed.deserialize(&mut *self.reader)
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Declined;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Declined> {
        if !self.go_on(b']')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

/// The key of an object: a name and nothing else.
struct Key<'de>(&'de str);

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Declined;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        visitor.visit_borrowed_str(self.0)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        visitor.visit_borrowed_bytes(self.0.as_bytes())
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Methods that none of the vendors' types uses.
macro_rules! declined {
    ($($method:ident($($argument:ty),*))+) => {$(
        fn $method<V: Visitor<'de>>(self, $(_: $argument,)* _: V) -> Result<V::Value, Declined> {
            Err(Declined)
        }
    )+};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Declined;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        match self.peek() {
            Some(b'"') => self.text(visitor),
            Some(b'0'..=b'9' | b'-') => self.number(visitor),
            Some(b'{') => self.object(visitor),
            Some(b'[') => self.list(visitor),
            Some(b't') => {
                self.word("true")?;
                visitor.visit_bool(true)
            }
            Some(b'f') => {
                self.word("false")?;
                visitor.visit_bool(false)
            }
            Some(b'n') => {
                self.word("null")?;
                visitor.visit_unit()
            }
            Some(_) | None => Err(Declined),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        if self.peek() != Some(b'n') {
            return visitor.visit_some(self);
        }
        self.word("null")?;
        visitor.visit_none()
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Declined> {
        match self.peek() {
            Some(b'{') => self.object(visitor),
            Some(b'[') => self.list(visitor),
            Some(_) | None => Err(Declined),
        }
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        self.skip()?;
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        match self.peek() {
            Some(b'{') => self.object(visitor),
            Some(_) | None => Err(Declined),
        }
    }

    declined! {
        deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64()
        deserialize_i128() deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64()
        deserialize_u128() deserialize_f32() deserialize_f64() deserialize_char() deserialize_str()
        deserialize_string() deserialize_bytes() deserialize_byte_buf() deserialize_unit()
        deserialize_unit_struct(&'static str) deserialize_newtype_struct(&'static str)
        deserialize_seq() deserialize_tuple(usize) deserialize_tuple_struct(&'static str, usize)
        deserialize_enum(&'static str, &'static [&'static str]) deserialize_identifier()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn value(text: &str) -> Option<Value> {
        let skipped = from_str::<IgnoredAny>(text).is_ok();
        let value = from_str(text).ok();
        assert!(skipped || value.is_none(), "decoded, but not skipped: {text}");
        value
    }

    #[test]
    fn everyday_json_is_not_declined() {
        for (text, expected) in [
            (r#"{}"#, json!({})),
            (r#" { "a" : [ ] } "#, json!({ "a": [] })),
            (r#"[1,22,0,9999999999999999999]"#, json!([1, 22, 0, 9_999_999_999_999_999_999_u64])),
            (r#"[-1,1.5,1e2,18446744073709551615]"#, json!([-1, 1.5, 100.0, u64::MAX])),
            (
                r#"["","a","\u4f1a\/\"\\","Grüße","longer than eight"]"#,
                json!(["", "a", "会/\"\\", "Grüße", "longer than eight"]),
            ),
            (
                r#"[true,false,null,{"a":{"b":[[]]}}]"#,
                json!([true, false, null, { "a": { "b": [[]] } }]),
            ),
        ] {
            assert_eq!(value(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_declined() {
        for text in [
            "",
            "{",
            "}",
            "[",
            "{]",
            "[}",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{a:1}",
            "{1:1}",
            "{\"a\":1 \"b\":2}",
            "[1]]",
            "{}{}",
            "01",
            "1.",
            "-",
            "1e",
            "+1",
            "tru",
            "truex",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\t\"",
            "[\"\u{1}\"]",
            "\u{a0}1",
        ] {
            assert_eq!(value(text), None, "{text}");
        }
    }

    #[test]
    fn texts_end_where_they_end() {
        for length in 0..40 {
            for end in ["\"", "\\", "\u{0}", "\u{1f}"] {
                for behind in ["", "x", "longer than eight bytes"] {
                    for usual in ["x", "é", "\u{7f}", " ", "!"] {
                        let text = format!("{}{end}{behind}", usual.repeat(length));
                        assert_eq!(unusual(text.as_bytes(), 0), length * usual.len(), "{text:?}");
                    }
                }
            }
            assert_eq!(unusual("x".repeat(length).as_bytes(), length.min(3)), length);
        }
    }

    #[test]
    fn what_is_not_consumed_is_declined() {
        /// Takes the first member and leaves the others.
        struct First;
        impl<'de> Visitor<'de> for First {
            type Value = ();

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
                list.next_element::<IgnoredAny>().map(drop)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
                object.next_key::<IgnoredAny>().map(drop)
            }
        }
        let first = |text| Reader { text, at: 0, depth: 0 }.deserialize_any(First).is_ok();
        assert!(first("[1]") && first("[]") && first("{}"));
        assert!(!first("[1,2]") && !first("{\"a\":1}"));
    }
}
