// SPDX-License-Identifier: Apache-2.0
//! What a system's module names as harmless.

use crate::model::CallName;

/// What a recording of a system's answers may show.
#[derive(Debug)]
pub struct Shown {
    /// The keys that its documentation has. Any other key is replaced: it may be data itself, the
    /// id of somebody in a map by id.
    pub keys: &'static [&'static str],
    /// The values that are kept, and the times.
    pub fields: &'static [Fields],
    /// The keys of the configuration that decide what is asked: the replay needs them.
    pub settings: &'static [&'static str],
    /// Words by which the system's module recognises a page that stands in place of an answer.
    pub phrases: &'static [&'static str],
}

/// Fields of the answers to some calls, each by the keys that lead to it, joined by dots. Lists on
/// the way are not written.
#[derive(Debug)]
pub struct Fields {
    /// The calls; none: all of the system.
    pub of: &'static [CallName],
    /// Fields whose values are kept, because they are counted or say how the answer is to be read: states,
    /// flags, error codes, totals. `field=value` keeps that one value of a field, and `field=value*` the
    /// beginning of those that begin so.
    pub kept: &'static [&'static str],
    /// Points in time, which become their distance from the time of the recording.
    pub times: &'static [&'static str],
}

/// Longest text that is kept of a field of which no single values are named, and the characters besides letters
/// and digits that it may have: no state, no error code and no total needs more.
const LONGEST_WORD: usize = 64;
const WORD_MARKS: &str = "._-/,' \u{a0}\u{2019}\u{202f}";

/// Whether it may be a state, an error code or a number: whoever writes more into such a field writes
/// something else.
fn is_word(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || WORD_MARKS.contains(c);
    text.len() <= LONGEST_WORD && text.chars().all(allowed)
}

impl Shown {
    /// Every key and every value is replaced.
    pub const NOTHING: Self = Self { keys: &[], fields: &[], settings: &[], phrases: &[] };

    /// Whether the key may be shown.
    pub(super) fn has_key(&self, key: &str) -> bool {
        self.keys.contains(&key)
    }

    /// What may be shown of the text `value` of a field in the answer to `call`.
    pub(super) fn kept<'v>(&self, call: CallName, path: &str, value: &'v str) -> Option<&'v str> {
        self.of(call).flat_map(|fields| fields.kept).find_map(|kept| {
            let (field, only) = kept.split_once('=').map_or((*kept, None), |(f, v)| (f, Some(v)));
            if field != path {
                return None;
            }
            let length = match only {
                None if is_word(value) => value.len(),
                Some(only) => {
                    let (start, is_whole) =
                        only.strip_suffix('*').map_or((only, true), |start| (start, false));
                    let shown = value.get(..start.len())?;
                    let fits = !is_whole || value.len() == start.len();
                    if !fits || !shown.eq_ignore_ascii_case(start) {
                        return None;
                    }
                    start.len()
                }
                None => return None,
            };
            value.get(..length)
        })
    }

    /// Whether a field in the answer to `call` is a point in time.
    pub(super) fn is_time(&self, call: CallName, path: &str) -> bool {
        self.of(call).any(|fields| fields.times.contains(&path))
    }

    fn of(&self, call: CallName) -> impl Iterator<Item = &'static Fields> {
        self.fields.iter().filter(move |fields| fields.of.is_empty() || fields.of.contains(&call))
    }
}
