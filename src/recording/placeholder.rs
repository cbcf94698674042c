// SPDX-License-Identifier: Apache-2.0
//! What stands for a value in a recording: how it is written, and which value it stands for.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, tz::Offset};
use serde_json::Number;

use super::node::Node;

/// How much of a text that is no placeholder is quoted.
const QUOTED: usize = 64;

/// Numbers beyond this are refused by every count.
pub(super) const LARGEST_COUNT: u64 = 1 << 53;

/// What placeholders of numbers start from: no token lives so short that it expires while a
/// recording is replayed.
const FIRST_NUMBER: u64 = 100_000;

/// The same for numbers beyond [`LARGEST_COUNT`].
const FIRST_LONG: u64 = 9_100_000_000_000_000;

/// Whatever lies farther from the time of the recording than thirty years is no point in time.
pub(super) const FARTHEST: i64 = 30 * 366 * 24 * 3600;

/// The form of dates in texts, always in UTC.
pub(super) const DATE: &str = "%Y-%m-%d %H:%M";

/// Stands for every number that no type of numbers holds.
const BEYOND: &str = "<number out of range>";

/// How a number is made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
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
    pub(super) const fn of_integer(magnitude: u64, is_negative: bool) -> Self {
        match (magnitude, is_negative) {
            (0..=LARGEST_COUNT, true) => Self::Negative,
            (0..=LARGEST_COUNT, false) => Self::Plain,
            (_, _) => Self::Long,
        }
    }

    /// The shape, and how the number is written as far as it is a whole one.
    pub(super) fn of_float(value: f64) -> (String, Self) {
        if value.fract() != 0.0 || value.abs() > LARGEST_COUNT as f64 {
            return (value.to_string(), Self::Fraction);
        }
        let shape = if value < 0.0 { Self::NegativePointed } else { Self::Pointed };
        ((value as i64).to_string(), shape)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    Number,
    Text,
    /// As [`DATE`].
    Date,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}

/// What stands for a value in a recording: its kind, and the number of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    Text { number: u64, is_readable: bool },
    Number { number: u64, shape: Shape, spelling: Spelling },
    Beyond,
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
            Self::Beyond => f.write_str(BEYOND),
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
pub(super) struct NoPlaceholder(pub(super) String);

impl FromStr for Placeholder {
    type Err = NoPlaceholder;

    fn from_str(text: &str) -> Result<Self, NoPlaceholder> {
        let wrong = || NoPlaceholder(text.chars().take(QUOTED).collect());
        if text == BEYOND {
            return Ok(Self::Beyond);
        }
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
    pub(super) fn value(self, now: Timestamp) -> Node {
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
            Self::Beyond => return Node::Beyond,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_written_and_read() {
        let mut all = vec![Placeholder::Beyond];
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
