// SPDX-License-Identifier: Apache-2.0
//! Problems of a configuration, with their places and corrections, and without any secret.

use std::{fmt, path::Path};

use super::{
    Profile,
    file::{Position, is_showable_key},
    keys,
};

/// One problem: where, what, and what would be right. Holds no value that could be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named on the command line or in the configuration.
    pub file: String,
    /// The place; `None` if the file as a whole is meant.
    pub position: Option<Position>,
    /// Path of the key, as `sources[2].tls.ca_file`; may be empty.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be right, or what to do.
    pub remedy: Option<String>,
    /// The line with a marker under the place, everything masked that could be a secret.
    pub excerpt: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        if !self.path.is_empty() {
            write!(f, " {}:", self.path)?;
        }
        write!(f, " {}", self.message)?;
        if let Some(remedy) = &self.remedy {
            write!(f, "; {remedy}")?;
        }
        if let Some(excerpt) = &self.excerpt {
            write!(f, "\n{excerpt}")?;
        }
        Ok(())
    }
}

/// Why a configuration cannot be used: every problem of the file, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// All problems; at least one.
    pub problems: Vec<Problem>,
}

impl LoadError {
    /// A problem of the file as a whole.
    pub(crate) fn of_file(file: &Path, message: String, remedy: Option<&str>) -> Self {
        let problem = Problem {
            file: printable(&file.display().to_string()),
            position: None,
            path: String::new(),
            message,
            remedy: remedy.map(str::to_owned),
            excerpt: None,
        };
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

/// What an excerpt shows where something is hidden; its length tells nothing.
const MASK: &str = "********";

/// The line and a marker below it.
///
/// Shown are: indentation and list dashes; a key, if one is known to start there (or, in a file
/// that is not valid YAML, if its name is one of ours); its value on the same line, if no key of
/// that name can hold a secret and the value is a simple word. All else is masked: values of other
/// keys, unknown keys' values, flow collections, continuation lines, comments.
pub(super) fn excerpt(
    line: &str,
    position: Position,
    is_key: impl Fn(Position) -> bool,
    valid_yaml: bool,
    profiles: &[&'static Profile],
) -> String {
    let (shown, visible) = mask(line, position.line, is_key, valid_yaml, profiles);
    let number = position.line.to_string();
    let gutter = " ".repeat(number.len());
    // Beyond what is shown, the marker would only tell how long the hidden text is.
    let column = (position.column - 1).min(visible);
    format!("  {number} | {shown}\n  {gutter} | {}^", " ".repeat(column))
}

/// The masked line, and the last column (from 0) where a marker may stand.
fn mask(
    line: &str,
    number: usize,
    is_key: impl Fn(Position) -> bool,
    valid_yaml: bool,
    profiles: &[&'static Profile],
) -> (String, usize) {
    let body = line.trim_start_matches([' ', '\t']);
    let mut shown = " ".repeat(line.len() - body.len());
    let mut rest = body;
    while let Some(after) = rest.strip_prefix("- ") {
        let item = after.trim_start_matches(' ');
        shown.push_str("- ");
        shown.push_str(&" ".repeat(after.len() - item.len()));
        rest = item;
    }
    let rest = rest.trim_end();
    if rest.is_empty() || rest == "-" {
        shown.push_str(rest);
        let end = shown.len();
        return (shown, end);
    }
    let here = Position { line: number, column: shown.len() + 1 };
    let key = key_of(rest).filter(|key| match valid_yaml {
        true => is_key(here) && is_showable_key(key),
        false => keys::is_known(profiles, key),
    });
    let Some(key) = key else {
        let end = shown.len();
        shown.push_str(MASK);
        return (shown, end);
    };
    shown.push_str(key);
    shown.push(':');
    let value = &rest[key.len() + 1..];
    let word = value.trim_start();
    if word.is_empty() {
        let end = shown.len();
        return (shown, end);
    }
    shown.push_str(&" ".repeat(value.chars().count() - word.chars().count()));
    let end = shown.len();
    let word = word.split(" #").next().unwrap_or_default().trim_end();
    if valid_yaml && keys::is_safe(profiles, key) && is_simple(word) {
        shown.push_str(word);
    } else {
        shown.push_str(MASK);
    }
    (shown, end)
}

/// The key a line starts with, if it is written without quotes.
fn key_of(text: &str) -> Option<&str> {
    let (key, rest) = text.split_once(':')?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then_some(key)
}

fn is_simple(word: &str) -> bool {
    let plain = word
        .strip_prefix('"')
        .and_then(|word| word.strip_suffix('"'))
        .or_else(|| word.strip_prefix('\'').and_then(|word| word.strip_suffix('\'')))
        .unwrap_or(word);
    plain.len() <= 120
        && plain
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ' | '+'))
}

/// Text without anything that could move the cursor of a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
