// SPDX-License-Identifier: Apache-2.0
//! Recordings: what a system answered, without anything that tells about the people and rooms of
//! its owner, and the numbers that were made of it.
//!
//! ```text
//! fields       which keys and values of a system's answers may be shown; a constant of each system
//! node         an answer as a tree, whatever protocol it came in
//! placeholder  how placeholders are written, and which values they stand for
//! pseudonym    from values to placeholders that keep what the exporter looks at, and back to values
//! recorder     sees the answers of one source and keeps them, made anonymous
//! file         the file: format, version, digest, and what can be wrong with it
//! xml          answers in XML as trees, and back
//! replay       answers from a file in place of the source it was made of
//! ```
//!
//! **Private by construction.** A text, a number or a key is kept only if the system's module names
//! it; nothing is kept because it looks harmless. What no module names is replaced by a placeholder
//! that says of which kind it was, and equal values get equal placeholders, so that duplicates stay
//! visible. A new field of a new firmware is therefore hidden until somebody has looked at its
//! documentation and named it.
//!
//! A placeholder keeps what the exporter's code looks at besides equality: whether a number is
//! negative, has a fraction or is longer than a float can hold, whether a text is a number, is empty or
//! cannot be read, and how far a time lies from the time of the recording. So the replay takes the
//! same way through the same code.

mod fields;
mod file;
mod node;
mod placeholder;
mod pseudonym;
mod recorder;
mod replay;
mod xml;

pub use fields::{Fields, Shown};
pub use file::{Invalid, Outcome, Recording};
pub use pseudonym::Replaced;
pub use recorder::Recorder;
pub use replay::Replay;
