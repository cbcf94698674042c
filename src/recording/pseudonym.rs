// SPDX-License-Identifier: Apache-2.0
//! From values to placeholders, and from placeholders to values that the exporter reads alike.

use std::collections::HashMap;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::{
    Shown,
    node::Node,
    placeholder::{DATE, FARTHEST, NoPlaceholder, Placeholder, Shape, Spelling, Unit},
};
use crate::model::CallName;

/// How many values of an answer were replaced, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replaced {
    /// Texts.
    pub texts: u64,
    /// Numbers.
    pub numbers: u64,
    /// Points in time.
    pub times: u64,
    /// Keys that the system's documentation does not have.
    pub keys: u64,
}

/// The placeholders of one recording.
pub(super) struct Pseudonyms {
    /// The time of the recording, in milliseconds since the epoch. It is not in the file.
    now: i64,
    /// The number of each value that was replaced. A number and a text that spells it are the same
    /// value, because the exporter takes either for an id.
    known: HashMap<String, u64>,
    pub(super) replaced: Replaced,
}

impl Pseudonyms {
    pub(super) fn new(now: Timestamp) -> Self {
        let now = now.as_millisecond();
        Self { now, known: HashMap::new(), replaced: Replaced::default() }
    }

    /// An answer to `call`, made anonymous.
    pub(super) fn answer(&mut self, call: CallName, answer: Node, shown: &Shown) -> Node {
        self.node(call, answer, shown, &mut String::new())
    }

    /// What stands for an id of the configuration or of a request.
    pub(super) fn id(&mut self, id: &str) -> String {
        between_blanks(id, |id| self.text(id).to_string())
    }

    fn node(&mut self, call: CallName, node: Node, shown: &Shown, path: &mut String) -> Node {
        match node {
            Node::Null | Node::Flag(_) => node,
            Node::List(items) => {
                let items = items.into_iter().map(|item| self.node(call, item, shown, path));
                Node::List(items.collect())
            }
            Node::Map(entries) => {
                let length = path.len();
                let entries = entries.into_iter().map(|(key, value)| {
                    let key = if shown.has_key(&key) { key } else { self.key(&key) };
                    if length > 0 {
                        path.push('.');
                    }
                    path.push_str(&key);
                    let value = self.node(call, value, shown, path);
                    path.truncate(length);
                    (key, value)
                });
                Node::Map(entries.collect())
            }
            Node::Number(number) => {
                if shown.kept(call, path, &number.to_string()).is_some() {
                    return Node::Number(number);
                }
                let time = number.as_i64().filter(|_| shown.is_time(call, path));
                let placeholder = match time.and_then(|value| self.time(value, Spelling::Number)) {
                    Some(time) => {
                        self.replaced.times += 1;
                        time
                    }
                    None => {
                        self.replaced.numbers += 1;
                        self.number(&number)
                    }
                };
                Node::Text(placeholder.to_string())
            }
            Node::Beyond => {
                self.replaced.numbers += 1;
                Node::Text(Placeholder::Beyond.to_string())
            }
            Node::Text(text) => Node::Text(between_blanks(&text, |value| {
                if let Some(kept) = shown.kept(call, path, value) {
                    return kept.to_owned();
                }
                let time = if shown.is_time(call, path) { self.written_time(value) } else { None };
                let placeholder = match time {
                    Some(time) => {
                        self.replaced.times += 1;
                        time
                    }
                    None => {
                        self.replaced.texts += 1;
                        self.text(value)
                    }
                };
                placeholder.to_string()
            })),
        }
    }

    fn key(&mut self, key: &str) -> String {
        self.replaced.keys += 1;
        self.text(key).to_string()
    }

    fn known(&mut self, value: &str) -> u64 {
        let next = self.known.len() as u64 + 1;
        *self.known.entry(value.to_owned()).or_insert(next)
    }

    fn text(&mut self, value: &str) -> Placeholder {
        let number = self.known(value);
        if value.contains(char::REPLACEMENT_CHARACTER) {
            return Placeholder::Text { number, is_readable: false };
        }
        match value.parse::<i64>() {
            Ok(digits) => {
                let shape = Shape::of_integer(digits.unsigned_abs(), digits < 0);
                Placeholder::Number { number, shape, spelling: Spelling::Text }
            }
            Err(_) => Placeholder::Text { number, is_readable: true },
        }
    }

    fn number(&mut self, value: &Number) -> Placeholder {
        let spelling = Spelling::Number;
        let (written, shape) = if let Some(value) = value.as_u64() {
            (value.to_string(), Shape::of_integer(value, false))
        } else if let Some(value) = value.as_i64() {
            (value.to_string(), Shape::of_integer(value.unsigned_abs(), true))
        } else {
            Shape::of_float(value.as_f64().unwrap_or_default())
        };
        Placeholder::Number { number: self.known(&written), shape, spelling }
    }

    /// A point in time, in seconds or milliseconds since the epoch.
    fn time(&self, value: i64, spelling: Spelling) -> Option<Placeholder> {
        let near = |value: i64, now: i64, farthest: i64| {
            let offset = value.checked_sub(now)?;
            (offset.unsigned_abs() <= farthest.unsigned_abs()).then_some(offset)
        };
        if let Some(offset) = near(value, self.now.div_euclid(1_000), FARTHEST) {
            return Some(Placeholder::Time { offset, unit: Unit::Seconds, spelling });
        }
        let offset = near(value, self.now, FARTHEST * 1_000)?;
        Some(Placeholder::Time { offset, unit: Unit::Milliseconds, spelling })
    }

    /// A point in time in a text: a number or a date.
    fn written_time(&self, text: &str) -> Option<Placeholder> {
        if let Ok(value) = text.parse() {
            return self.time(value, Spelling::Text);
        }
        let date = DateTime::strptime(DATE, text).ok()?;
        let seconds = date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
        self.time(seconds, Spelling::Date)
    }
}

/// The `text` with something else in place of the value in it.
fn between_blanks(text: &str, replaced: impl FnOnce(&str) -> String) -> String {
    let value = text.trim();
    if value.is_empty() {
        return blank(text).to_owned();
    }
    let (before, after) = text.split_once(value).unwrap_or_default();
    format!("{}{}{}", blank(before), replaced(value), blank(after))
}

/// Blanks around a value are trimmed by the exporter, or are a part of a name; which ones they are does not matter.
fn blank(blanks: &str) -> &'static str {
    if blanks.is_empty() { "" } else { " " }
}

/// The answer that a recorded one stands for, at the time `now`.
pub(super) fn expanded(node: &Node, now: Timestamp) -> Result<Node, NoPlaceholder> {
    Ok(match node {
        Node::Null | Node::Flag(_) | Node::Number(_) | Node::Beyond => node.clone(),
        Node::List(items) => {
            Node::List(items.iter().map(|item| expanded(item, now)).collect::<Result<_, _>>()?)
        }
        Node::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| {
                let key = if key.starts_with('<') { id(key)? } else { key.clone() };
                Ok((key, expanded(value, now)?))
            });
            Node::Map(entries.collect::<Result<_, _>>()?)
        }
        Node::Text(text) => {
            let value = text.trim();
            if !value.starts_with('<') {
                return Ok(node.clone());
            }
            let expansion = value.parse::<Placeholder>()?.value(now);
            if let Node::Text(expansion) = &expansion {
                return Ok(Node::Text(text.replace(value, expansion)));
            }
            expansion
        }
    })
}

/// The id that a recorded one stands for.
pub(super) fn id(recorded: &str) -> Result<String, NoPlaceholder> {
    let value = recorded.trim();
    if value.is_empty() {
        return Ok(recorded.to_owned());
    }
    // Ids are no times: any time will do.
    let Node::Text(id) = value.parse::<Placeholder>()?.value(Timestamp::UNIX_EPOCH) else {
        return Err(NoPlaceholder(recorded.to_owned()));
    };
    Ok(recorded.replace(value, &id))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        net::lenient::{Count, Flag, IsSet, List, Name, Text},
        recording::Fields,
    };

    const CALL: CallName = CallName("call");
    const SHOWN: Shown = Shown {
        keys: &["kept", "one", "start", "time", "private", "list"],
        fields: &[Fields {
            of: &[CALL],
            kept: &["kept", "list.kept", "one=0", "start=Invalid command*"],
            times: &["time"],
        }],
        ..Shown::NOTHING
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn node(value: &Value) -> Node {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    fn value(node: &Node) -> Value {
        serde_json::to_value(node).unwrap()
    }

    /// What becomes of an answer in a recording made at 2,000,000,000 seconds.
    fn recorded(answer: &Value) -> Value {
        let mut pseudonyms = Pseudonyms::new(at(2_000_000_000));
        value(&pseudonyms.answer(CALL, node(answer), &SHOWN))
    }

    #[test]
    fn only_what_is_named_is_kept() {
        let answer = json!({
            "kept": "Up",
            "private": "Up",
            "list": [{ "kept": 7, "private": 7 }, [{ "kept": "yes" }]],
            "other": { "kept": "Up" },
            "one": "0",
            "start": "invalid command: 6400 by Zhang San",
        });
        let expected = json!({
            "kept": "Up",
            "private": "<text 1>",
            "list": [{ "kept": 7, "private": "<number 2>" }, [{ "kept": "yes" }]],
            "<text 4>": { "kept": "<text 1>" },
            "one": "0",
            "start": "invalid command",
        });
        // Keys come in the order of the answer, which is that of the alphabet here.
        let found = recorded(&answer).to_string();
        let numbers = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
        assert_eq!(numbers(&found), numbers(&expected.to_string()), "{found}");
        for (value, kept) in
            [(json!("1"), false), (json!("00"), false), (json!(0), true), (json!("0"), true)]
        {
            let found = recorded(&json!({ "one": value }));
            assert_eq!(found["one"] == value, kept, "{found}");
        }
        for long in ["a".repeat(65), "a@b".to_owned(), "\u{5f20}\u{4e09}".to_owned()] {
            let found = recorded(&json!({ "kept": long }));
            assert_eq!(found["kept"], "<text 1>", "{long}");
        }
    }

    #[test]
    fn times_become_offsets_and_come_back_as_if_they_were_now() {
        let now = at(2_100_000_000);
        for (time, recorded_as, replayed) in [
            (json!(1_999_998_200), "<time -1800 s>", json!(2_099_998_200)),
            (json!(2_000_000_060_123_i64), "<time +60123 ms>", json!(2_100_000_060_123_i64)),
            (json!("1999999999"), "<time in digits -1 s>", json!("2099999999")),
            (json!("2033-05-18 03:00"), "<date -2000 s>", json!("2036-07-18 12:46")),
            // What cannot be a point in time near the recording is none.
            (json!(0), "<number 1>", json!(100_001)),
            (json!("13800138000"), "<digits 1>", json!("100001")),
            (json!("2033-05-18"), "<text 1>", json!("text-1")),
            (json!(1_999_998_200.5), "<fractional number 1>", json!(1.5)),
        ] {
            let found = recorded(&json!({ "time": time }));
            assert_eq!(found["time"], recorded_as, "{time}");
            let again = expanded(&node(&found), now).unwrap();
            assert_eq!(value(&again)["time"], replayed, "{time}");
        }
    }

    /// Whether both are read alike by everything that reads fields.
    fn assert_read_alike(original: &Value, replayed: &Value) {
        let (one, other) = (original.to_string(), replayed.to_string());
        macro_rules! alike {
            ($($kind:ty),*) => {$(
                let read = |json: &str| serde_json::from_str::<$kind>(json).is_ok();
                assert_eq!(read(&one), read(&other), "{}: {one} {other}", stringify!($kind));
            )*};
        }
        alike!(Count, crate::net::lenient::Number, Text<'_>, Name<'_>, IsSet, List<Text<'_>>);
        let is_set = |json: &str| serde_json::from_str::<IsSet>(json).ok();
        assert_eq!(is_set(&one), is_set(&other), "{one} {other}");
        let is_missing =
            |json: &str| serde_json::from_str::<Count>(json).ok().map(|n| n.0.is_none());
        assert_eq!(is_missing(&one), is_missing(&other), "{one} {other}");
        let is_empty =
            |json: &str| serde_json::from_str::<Text<'_>>(json).ok().map(|t| t.is_empty());
        assert_eq!(is_empty(&one), is_empty(&other), "{one} {other}");
        // A flag that is not named as one becomes a text, and is refused: all flags are named.
        if original.is_boolean() || original.is_null() {
            let flag = |json: &str| serde_json::from_str::<Flag>(json).ok();
            assert_eq!(flag(&one), flag(&other), "{one} {other}");
        }
    }

    #[test]
    fn what_is_replaced_is_read_alike() {
        for original in [
            json!(7),
            json!(-7),
            json!(7.0),
            json!(-7.0),
            json!(7.5),
            json!(1e300),
            json!(1_u64 << 53),
            json!((1_u64 << 53) + 1),
            json!(u64::MAX),
            json!(i64::MIN),
            json!("7"),
            json!(" 7 "),
            json!("-7"),
            json!("+7"),
            json!("9007199254740993"),
            json!("18446744073709551616"),
            json!("room"),
            json!(" room\t"),
            json!("x\u{fffd}"),
            json!(" "),
            json!("\u{2003}"),
            json!(""),
            json!(null),
            json!(true),
            json!([]),
            json!(["a", 1, null]),
            json!({}),
        ] {
            let found = recorded(&json!({ "private": original }));
            let again = expanded(&node(&found), at(2_100_000_000)).unwrap();
            assert_read_alike(&original, &value(&again)["private"]);
        }
    }
}
