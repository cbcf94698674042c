// SPDX-License-Identifier: Apache-2.0
//! An answer as a tree, whatever protocol it came in.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor},
    ser::{self, SerializeMap},
};
use serde_json::{Number, value::RawValue};

/// Deepest nesting of a value that is read. Answers nest 128 levels at most; in one of XML a level may be a list and
/// the maps in it.
const MAX_DEPTH: usize = 2 * 128 + 1;

/// How a number beyond all others is written in an answer.
const BEYOND: &str = "1e999";

/// A value of an answer. Unlike [`serde_json::Value`] it keeps the order of keys, and keys that
/// come twice: a system that sends such an answer is refused for it. And it takes whatever the exporter
/// passes over where it does not look for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Flag(bool),
    Number(Number),
    /// A number that no type of numbers holds, such as `1e999`.
    Beyond,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => number.serialize(serializer),
            Self::Beyond => {
                let written = RawValue::from_string(BEYOND.to_owned());
                written.map_err(ser::Error::custom)?.serialize(serializer)
            }
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

/// Level by level: what is skipped to find the end of a value may nest deeper, and hold larger numbers, than what is
/// decoded in one go.
impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&RawValue>::deserialize(deserializer)?;
        Self::read(value, MAX_DEPTH).map_err(D::Error::custom)
    }
}

impl Node {
    fn read(value: &RawValue, depth: usize) -> serde_json::Result<Self> {
        let text = value.get();
        let depth =
            depth.checked_sub(1).ok_or_else(|| serde_json::Error::custom("it nests too deep"))?;
        Ok(match text.as_bytes().first() {
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                let items = items.into_iter().map(|item| Self::read(item, depth));
                Self::List(items.collect::<Result<_, _>>()?)
            }
            Some(b'{') => {
                let Entries(entries) = serde_json::from_str(text)?;
                let entries = entries.into_iter();
                let entries = entries.map(|(key, value)| Ok((key, Self::read(value, depth)?)));
                Self::Map(entries.collect::<serde_json::Result<_>>()?)
            }
            Some(b'"') => Self::Text(serde_json::from_str(text)?),
            Some(b't' | b'f') => Self::Flag(serde_json::from_str(text)?),
            Some(b'n') | None => Self::Null,
            // It is a number: the end of a value is found by what the value is.
            Some(_) => serde_json::from_str(text).map_or(Self::Beyond, Self::Number),
        })
    }
}

/// The entries of an object as they stand there.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}
