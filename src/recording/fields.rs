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
    /// flags, error codes, totals. `field=value` keeps that one value of a field.
    pub kept: &'static [&'static str],
    /// Points in time, which become their distance from the time of the recording.
    pub times: &'static [&'static str],
}

impl Shown {
    /// Every key and every value is replaced.
    pub const NOTHING: Self = Self { keys: &[], fields: &[], settings: &[], phrases: &[] };

    /// Whether the key may be shown.
    pub(super) fn has_key(&self, key: &str) -> bool {
        self.keys.contains(&key)
    }

    /// Whether the value of a field in the answer to `call` may be shown.
    pub(super) fn keeps(&self, call: CallName, path: &str, value: &str) -> bool {
        self.of(call).any(|fields| {
            fields.kept.iter().any(|kept| match kept.split_once('=') {
                Some((field, only)) => field == path && only == value,
                None => *kept == path,
            })
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
