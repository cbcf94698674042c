//! From values to placeholders, and from placeholders to values that the exporter reads alike.

use std::{collections::HashMap, fmt, str::FromStr};

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{Offset, TimeZone},
};
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::{Shown, node::Node};
use crate::model::CallName;

/// How much of a text that is no placeholder is quoted.
const QUOTED: usize = 64;

/// Numbers beyond this are refused by every count.
const LARGEST_COUNT: u64 = 1 << 53;

/// What placeholders of numbers start from: no token lives so short that it expires while a
/// recording is replayed.
const FIRST_NUMBER: u64 = 100_000;

/// The same for numbers beyond [`LARGEST_COUNT`].
const FIRST_LONG: u64 = 9_100_000_000_000_000;

/// Whatever lies farther from the time of the recording than thirty years is no point in time.
const FARTHEST: i64 = 30 * 366 * 24 * 3600;

/// The form of dates in texts, always in UTC.
const DATE: &str = "%Y-%m-%d %H:%M";

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
        self.text(id).to_string()
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
            Node::Text(text) => {
                let value = text.trim();
                if value.is_empty() {
                    return Node::Text(blank(&text).to_owned());
                }
                let (before, after) = text.split_once(value).unwrap_or_default();
                let (before, after) = (blank(before), blank(after));
                if let Some(kept) = shown.kept(call, path, value) {
                    return Node::Text(format!("{before}{kept}{after}"));
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
                Node::Text(format!("{before}{placeholder}{after}"))
            }
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

/// Blanks around a value are trimmed by the exporter; which ones they are does not matter.
fn blank(blanks: &str) -> &'static str {
    if blanks.is_empty() { "" } else { " " }
}

/// How a number is made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Plain,
    Negative,
    /// Beyond [`LARGEST_COUNT`].
    Long,
    /// No whole number.
    Fraction,
    /// A whole number with a decimal point.
    Pointed,
    /// The same, below zero.
    NegativePointed,
}

impl Shape {
    const fn of_integer(magnitude: u64, is_negative: bool) -> Self {
        match (magnitude, is_negative) {
            (0..=LARGEST_COUNT, true) => Self::Negative,
            (0..=LARGEST_COUNT, false) => Self::Plain,
            (_, _) => Self::Long,
        }
    }

    /// The shape, and how the number is written as far as it is a whole one.
    fn of_float(value: f64) -> (String, Self) {
        if value.fract() != 0.0 || value.abs() > LARGEST_COUNT as f64 {
            return (value.to_string(), Self::Fraction);
        }
        let shape = if value < 0.0 { Self::NegativePointed } else { Self::Pointed };
        ((value as i64).to_string(), shape)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    Number,
    Text,
    /// As [`DATE`].
    Date,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
}

/// What stands for a value in a recording: its kind, and the number of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placeholder {
    Text { number: u64, is_readable: bool },
    Number { number: u64, shape: Shape, spelling: Spelling },
    Time { offset: i64, unit: Unit, spelling: Spelling },
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { number, is_readable: true } => write!(f, "<text {number}>"),
            Self::Text { number, is_readable: false } => write!(f, "<unreadable text {number}>"),
            Self::Number { number, shape, spelling } => {
                let shape = match shape {
                    Shape::Plain => "",
                    Shape::Negative => "negative ",
                    Shape::Long => "long ",
                    Shape::Fraction => "fractional ",
                    Shape::Pointed => "pointed ",
                    Shape::NegativePointed => "negative pointed ",
                };
                let kind = if *spelling == Spelling::Number { "number" } else { "digits" };
                write!(f, "<{shape}{kind} {number}>")
            }
            Self::Time { offset, unit, spelling } => {
                let kind = match spelling {
                    Spelling::Number => "time",
                    Spelling::Text => "time in digits",
                    Spelling::Date => "date",
                };
                let unit = if *unit == Unit::Seconds { "s" } else { "ms" };
                write!(f, "<{kind} {offset:+} {unit}>")
            }
        }
    }
}

/// What is no placeholder.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a placeholder of a recording: {0:?}")]
pub(super) struct NoPlaceholder(String);

impl FromStr for Placeholder {
    type Err = NoPlaceholder;

    fn from_str(text: &str) -> Result<Self, NoPlaceholder> {
        let wrong = || NoPlaceholder(text.chars().take(QUOTED).collect());
        let words = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
        let words: Vec<&str> = words.ok_or_else(wrong)?.split(' ').collect();
        let number = |word: &str| match word.parse::<u32>() {
            Ok(number) if number > 0 => Ok(u64::from(number)),
            Ok(_) | Err(_) => Err(wrong()),
        };
        let time = |offset: &str, unit: &str, spelling| {
            let (unit, farthest) = match unit {
                "s" => (Unit::Seconds, FARTHEST),
                "ms" => (Unit::Milliseconds, FARTHEST * 1_000),
                _ => return Err(wrong()),
            };
            match offset.parse::<i64>() {
                Ok(offset) if offset.unsigned_abs() <= farthest.unsigned_abs() => {
                    Ok(Self::Time { offset, unit, spelling })
                }
                Ok(_) | Err(_) => Err(wrong()),
            }
        };
        let shape_of = |word| match word {
            "negative" => Ok(Shape::Negative),
            "long" => Ok(Shape::Long),
            "fractional" => Ok(Shape::Fraction),
            "pointed" => Ok(Shape::Pointed),
            _ => Err(wrong()),
        };
        let digits = |kind: &str, shape: Shape, word: &str| {
            let spelling = match (kind, shape) {
                ("number", _) => Spelling::Number,
                ("digits", Shape::Plain | Shape::Negative | Shape::Long) => Spelling::Text,
                _ => return Err(wrong()),
            };
            Ok(Self::Number { number: number(word)?, shape, spelling })
        };
        match words[..] {
            ["text", word] => Ok(Self::Text { number: number(word)?, is_readable: true }),
            ["unreadable", "text", word] => {
                Ok(Self::Text { number: number(word)?, is_readable: false })
            }
            ["time", offset, unit] => time(offset, unit, Spelling::Number),
            ["time", "in", "digits", offset, unit] => time(offset, unit, Spelling::Text),
            ["date", offset, unit] => time(offset, unit, Spelling::Date),
            [kind, word] => digits(kind, Shape::Plain, word),
            ["negative", "pointed", kind, word] => digits(kind, Shape::NegativePointed, word),
            [shape, kind, word] => digits(kind, shape_of(shape)?, word),
            _ => Err(wrong()),
        }
    }
}

impl Placeholder {
    /// A value that the exporter reads as it read the one that was replaced. `now` is the time of
    /// the replay.
    fn value(self, now: Timestamp) -> Node {
        let (value, spelling) = match self {
            Self::Text { number, is_readable } => {
                let mark = if is_readable { "" } else { "\u{fffd}" };
                return Node::Text(format!("text-{number}{mark}"));
            }
            Self::Number { number, shape, spelling } => match shape {
                Shape::Plain => (Number::from(FIRST_NUMBER + number), spelling),
                Shape::Negative => (negative(FIRST_NUMBER + number), spelling),
                Shape::Long => (Number::from(FIRST_LONG + number), spelling),
                Shape::Fraction => return float(number as f64 + 0.5),
                Shape::Pointed => return float((FIRST_NUMBER + number) as f64),
                Shape::NegativePointed => return float(-((FIRST_NUMBER + number) as f64)),
            },
            Self::Time { offset, unit, spelling } => {
                let now = match unit {
                    Unit::Seconds => now.as_second(),
                    Unit::Milliseconds => now.as_millisecond(),
                };
                (Number::from(now.saturating_add(offset)), spelling)
            }
        };
        match spelling {
            Spelling::Number => Node::Number(value),
            Spelling::Text => Node::Text(value.to_string()),
            Spelling::Date => {
                let seconds = Timestamp::from_second(value.as_i64().unwrap_or_default());
                let date = Offset::UTC.to_datetime(seconds.unwrap_or_default());
                Node::Text(date.strftime(DATE).to_string())
            }
        }
    }
}

fn negative(magnitude: u64) -> Number {
    Number::from(i64::try_from(magnitude).map_or(i64::MIN, |magnitude| -magnitude))
}

fn float(value: f64) -> Node {
    Number::from_f64(value).map_or(Node::Null, Node::Number)
}

/// The answer that a recorded one stands for, at the time `now`.
pub(super) fn expanded(node: &Node, now: Timestamp) -> Result<Node, NoPlaceholder> {
    Ok(match node {
        Node::Null | Node::Flag(_) | Node::Number(_) => node.clone(),
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
    // Ids are no times: any time will do.
    let expansion = recorded.parse::<Placeholder>()?.value(Timestamp::UNIX_EPOCH);
    if let Node::Text(id) = expansion { Ok(id) } else { Err(NoPlaceholder(recorded.to_owned())) }
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
        serde_json::from_value(value.clone()).unwrap()
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

    #[test]
    fn a_placeholder_is_written_and_read() {
        let mut all = Vec::new();
        for is_readable in [true, false] {
            all.push(Placeholder::Text { number: 3, is_readable });
        }
        for shape in [
            Shape::Plain,
            Shape::Negative,
            Shape::Long,
            Shape::Fraction,
            Shape::Pointed,
            Shape::NegativePointed,
        ] {
            all.push(Placeholder::Number { number: 3, shape, spelling: Spelling::Number });
        }
        for shape in [Shape::Plain, Shape::Negative, Shape::Long] {
            all.push(Placeholder::Number { number: 3, shape, spelling: Spelling::Text });
        }
        for spelling in [Spelling::Number, Spelling::Text, Spelling::Date] {
            for unit in [Unit::Seconds, Unit::Milliseconds] {
                all.push(Placeholder::Time { offset: -3, unit, spelling });
            }
        }
        for placeholder in all {
            assert_eq!(placeholder.to_string().parse(), Ok(placeholder));
        }
        for wrong in [
            "text 1",
            "<text>",
            "<text 0>",
            "<text -1>",
            "<text 99999999999>",
            "<name 1>",
            "<time 1>",
            "<time +1 h>",
            "<time +99999999999999999999 s>",
            "<negative text 1>",
            "<fractional digits 1>",
            "<negative long number 1>",
        ] {
            assert!(wrong.parse::<Placeholder>().is_err(), "{wrong}");
        }
    }
}
