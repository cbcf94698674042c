// SPDX-License-Identifier: Apache-2.0
//! The file of a recording: its format, and what can be wrong with one.

use std::{cmp::Ordering, collections::BTreeMap};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use sha2::{Digest, Sha256};

use super::{Replaced, node::Node};
use crate::{
    model::{Measure, Observation},
    net::{Failure, lenient::Object},
};

/// The format that is written, and the only one that is read.
pub(super) const FORMAT: u64 = 1;

/// What a system answered, made anonymous, and the numbers that were made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// Version of the format.
    #[serde(rename = "conferencing_exporter_recording")]
    pub(super) format: u64,
    /// The kind of system.
    pub vendor: String,
    /// The way to log in, by its required keys.
    pub(super) login: Vec<String>,
    /// The keys that decide what is asked.
    pub(super) settings: BTreeMap<String, Setting>,
    /// The calls, in the order in which they were made.
    pub(super) answers: Vec<Exchange>,
    /// How many values were replaced.
    pub replaced: Replaced,
    /// What came of it.
    #[serde(rename = "result")]
    pub outcome: Outcome,
    /// The version of the exporter that recorded.
    pub exporter: String,
    /// SHA-256 of all that stands before, without blanks between its parts.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) digest: String,
}

impl Recording {
    /// Reads a file.
    ///
    /// # Errors
    /// It is no recording, not whole, or of another format.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        // Some editors put it there.
        let text = text.trim_start_matches('\u{feff}');
        let Object(Head { format, exporter }) = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            match error.classify() {
                Category::Eof => Invalid::Cut(line),
                Category::Syntax | Category::Io => Invalid::NotJson { line, column },
                Category::Data => Invalid::Foreign,
            }
        })?;
        let exporter = exporter.chars().filter(char::is_ascii_graphic).take(32).collect();
        match format.cmp(&FORMAT) {
            Ordering::Greater => return Err(Invalid::Newer { format, exporter }),
            Ordering::Less => return Err(Invalid::Older { format, exporter }),
            Ordering::Equal => {}
        }
        let recording: Self = serde_json::from_str(text).map_err(|error| {
            // It quotes the keys of the file.
            Invalid::Damaged(error.to_string().chars().filter(|c| !c.is_control()).collect())
        })?;
        if let Some(word) = recording.words().find(|word| !is_plain(word)) {
            return Err(Invalid::Damaged(format!("not a name: {word:?}")));
        }
        Ok(recording)
    }

    /// What is shown of a recording as it is there.
    fn words(&self) -> impl Iterator<Item = &str> {
        let of_outcome: Vec<_> = match &self.outcome {
            Outcome::Numbers(numbers) => numbers.keys().map(String::as_str).collect(),
            Outcome::Failed(reason) => vec![reason],
        };
        of_outcome.into_iter().chain([self.exporter.as_str()])
    }

    /// The text of the file.
    ///
    /// # Errors
    /// None that is known: everything in it can be written as JSON.
    pub fn to_text(&self) -> serde_json::Result<String> {
        let sealed = Self { digest: self.expected_digest()?, ..self.clone() };
        Ok(serde_json::to_string_pretty(&sealed)? + "\n")
    }

    /// Whether nothing in the file was changed after it was recorded.
    pub fn is_unchanged(&self) -> bool {
        self.expected_digest().is_ok_and(|digest| digest == self.digest)
    }

    fn expected_digest(&self) -> serde_json::Result<String> {
        let open = Self { digest: String::new(), ..self.clone() };
        Ok(HEXLOWER.encode(&Sha256::digest(serde_json::to_vec(&open)?)))
    }
}

/// Whether a word may be shown as it is: files come from strangers, and a terminal obeys some characters.
fn is_plain(word: &str) -> bool {
    word.len() <= 64 && word.chars().all(|c| c.is_ascii_graphic())
}

/// The value of a key of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Setting {
    Word(String),
    /// Words, or placeholders of ids.
    List(Vec<String>),
    Entries(Vec<BTreeMap<String, String>>),
}

/// A call and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub(super) struct Exchange {
    pub(super) call: String,
    /// Which of several calls of that name: the placeholder of an id.
    pub(super) about: Option<String>,
    pub(super) came: CallOutcome,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum CallOutcome {
    Answer {
        status: u16,
        content_type: Option<String>,
        body: Body,
    },
    /// A failure without an answer: its reason.
    Failure(String),
    /// It was given up, because the time was up or another call had failed.
    Nothing,
}

/// The body of an answer, by the way it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    Json(Node),
    /// The outermost element.
    Xml(Node),
    Empty,
    /// Nothing that the exporter decodes. Nothing is kept of it but how it begins, and the
    /// [`phrases`](super::Shown::phrases) in it.
    Unreadable {
        begins_like_json: bool,
        phrases: Vec<String>,
    },
}

/// An [`Exchange`] as it is written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    call: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    about: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_is: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Node>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    phrases: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

/// How a body is written.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Json,
    Xml,
    Empty,
    /// Text that is neither JSON nor XML: a page, say.
    Unreadable,
    /// JSON that is cut off, nested too deep or otherwise damaged.
    UnreadableJson,
}

impl From<Exchange> for Written {
    fn from(exchange: Exchange) -> Self {
        let Exchange { call, about, came } = exchange;
        let mut written = Self {
            call,
            about,
            status: None,
            content_type: None,
            body_is: None,
            body: None,
            phrases: Vec::new(),
            failed: None,
        };
        match came {
            CallOutcome::Answer { status, content_type, body } => {
                written.status = Some(status);
                written.content_type = content_type;
                written.body_is = Some(match body {
                    Body::Json(node) => {
                        written.body = Some(node);
                        Format::Json
                    }
                    Body::Xml(node) => {
                        written.body = Some(node);
                        Format::Xml
                    }
                    Body::Empty => Format::Empty,
                    Body::Unreadable { begins_like_json, phrases } => {
                        written.phrases = phrases;
                        if begins_like_json { Format::UnreadableJson } else { Format::Unreadable }
                    }
                });
            }
            CallOutcome::Failure(reason) => written.failed = Some(reason),
            CallOutcome::Nothing => {}
        }
        written
    }
}

impl TryFrom<Written> for Exchange {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, &'static str> {
        let Written { call, about, status, content_type, body_is, body, phrases, failed } = written;
        let came = match (status, body_is, body, failed) {
            (Some(status), Some(format), body, None) => {
                let body = match (format, body) {
                    (Format::Json, Some(node)) => Body::Json(node),
                    (Format::Xml, Some(node)) => Body::Xml(node),
                    (Format::Empty, None) => Body::Empty,
                    (Format::Unreadable, None) => {
                        Body::Unreadable { begins_like_json: false, phrases }
                    }
                    (Format::UnreadableJson, None) => {
                        Body::Unreadable { begins_like_json: true, phrases }
                    }
                    _ => return Err("`body` and `body_is` do not fit"),
                };
                CallOutcome::Answer { status, content_type, body }
            }
            (None, None, None, Some(reason)) => CallOutcome::Failure(reason),
            (None, None, None, None) => CallOutcome::Nothing,
            _ => return Err("an answer has a `status` and `body_is`, a failure has neither"),
        };
        Ok(Self { call, about, came })
    }
}

/// What came of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The numbers, by the names of the measures; those that are absent are left out.
    Numbers(BTreeMap<String, u64>),
    /// It failed for this reason.
    Failed(String),
}

impl Outcome {
    /// What came of a collection.
    pub fn of(outcome: Result<&Observation, &Failure>) -> Self {
        let number = |observation: &Observation, measure: Measure| {
            Some((measure.as_str().to_owned(), observation.value(measure)?))
        };
        match outcome {
            Ok(observation) => Self::Numbers(
                Measure::ALL.iter().filter_map(|measure| number(observation, *measure)).collect(),
            ),
            Err(failure) => Self::Failed(failure.reason().as_str().to_owned()),
        }
    }

    /// A line for each difference between what was recorded and what `now` came of it.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let words = |outcome: &Self| match outcome {
            Self::Numbers(_) => "ok".to_owned(),
            Self::Failed(reason) => format!("failed ({reason})"),
        };
        match (self, now) {
            (Self::Numbers(recorded), Self::Numbers(numbers)) => {
                let names = Measure::ALL.iter().map(|measure| measure.as_str());
                let unknown = recorded.keys().map(String::as_str);
                let unknown = unknown.filter(|name| !names.clone().any(|known| known == *name));
                let names = names.clone().chain(unknown);
                let value = |numbers: &BTreeMap<String, u64>, name: &str| {
                    numbers.get(name).map_or("absent".to_owned(), u64::to_string)
                };
                let line = |name: &str| {
                    let (before, after) = (value(recorded, name), value(numbers, name));
                    (before != after).then(|| format!("{name}: {before} recorded, {after} now"))
                };
                names.filter_map(line).collect()
            }
            (before, after) if before == after => Vec::new(),
            (before, after) => vec![format!("{} recorded, {} now", words(before), words(after))],
        }
    }
}

/// Why a file is not replayed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The text ends too early.
    #[error("it is cut off at line {0}: get the whole file")]
    Cut(usize),
    /// Not JSON.
    #[error("it is no recording: not JSON at line {line}, column {column}")]
    NotJson {
        /// Where.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// JSON, but no recording.
    #[error("it is no recording of conferencing_exporter")]
    Foreign,
    /// Of a later format.
    #[error(
        "it was recorded by a newer exporter ({exporter}, format {format}; this one reads format {FORMAT}): replay it with that version or a later one"
    )]
    Newer {
        /// Its format.
        format: u64,
        /// Which version wrote it.
        exporter: String,
    },
    /// Of an earlier format.
    #[error(
        "it was recorded by an older exporter ({exporter}, format {format}; this one reads format {FORMAT}): replay it with that version, or record again"
    )]
    Older {
        /// Its format.
        format: u64,
        /// Which version wrote it.
        exporter: String,
    },
    /// Something in it cannot be meant.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

/// What tells a recording of any format.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "conferencing_exporter_recording")]
    format: u64,
    #[serde(default)]
    exporter: String,
}
