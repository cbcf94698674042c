// SPDX-License-Identifier: Apache-2.0
//! The two ways to write a quantity: durations (`1h30m`) and sizes (`8MiB`).

use std::time::Duration;

/// Text that is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a duration: write it like `500ms`, `10s`, `15m` or `1h30m`")]
pub struct InvalidDuration;

/// Text that is not a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a size: write bytes as a whole number, or like `512KiB`, `8MiB` or `1GiB`")]
pub struct InvalidSize;

/// Units of a duration in the order they must come, in milliseconds.
const DURATION_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const SIZE_UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Reads `500ms`, `10s`, `15m`, `1h30m`: whole numbers with a unit, larger units first, each unit
/// once, no sign, no blanks.
///
/// # Errors
/// Anything else, a bare number too: its unit would be a guess.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut units = DURATION_UNITS.iter();
    while !rest.is_empty() {
        let (amount, after) = leading_number(rest).ok_or(InvalidDuration)?;
        let length = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(length);
        let (_, millis) = units.find(|(name, _)| *name == unit).ok_or(InvalidDuration)?;
        total = amount
            .checked_mul(*millis)
            .and_then(|part| total.checked_add(part))
            .ok_or(InvalidDuration)?;
        rest = next;
    }
    if text.is_empty() { Err(InvalidDuration) } else { Ok(Duration::from_millis(total)) }
}

/// Writes a duration the way [`parse_duration`] reads it; below a millisecond is dropped.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, millis) in DURATION_UNITS {
        if rest >= millis {
            text.push_str(&format!("{}{unit}", rest / millis));
            rest %= millis;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Reads a number of bytes: `1048576`, `512KiB`, `8MiB`, `1GiB`.
///
/// # Errors
/// Anything else, decimal units too: `8MB` is often meant as `8MiB`.
pub fn parse_size(text: &str) -> Result<u64, InvalidSize> {
    let (amount, unit) = leading_number(text).ok_or(InvalidSize)?;
    if unit.is_empty() {
        return Ok(amount);
    }
    let (_, bytes) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or(InvalidSize)?;
    amount.checked_mul(*bytes).ok_or(InvalidSize)
}

/// Writes a size the way [`parse_size`] reads it, in the largest unit that divides it.
pub fn format_size(bytes: u64) -> String {
    SIZE_UNITS
        .iter()
        .rev()
        .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit))
        .map_or_else(|| bytes.to_string(), |(name, unit)| format!("{}{name}", bytes / unit))
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let length = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(length);
    Some((digits.parse().ok()?, rest))
}
