// SPDX-License-Identifier: Apache-2.0
//! The keys of the clouds that say which meetings count.

use crate::config::{
    Section,
    keys::{Key, Kind},
};

/// Characters of a meeting's id besides letters and digits.
pub(super) const ID_MARKS: &str = "_-";

/// Whether the meetings are listed, or only those configured are asked for.
pub(super) const DISCOVER: Key = Key::new(
    "discover",
    Kind::Flag,
    "List the meetings; if false, only `conference_ids` are asked for.",
)
.by_default("true");

/// Reports a source that would never ask for anything. `ids`: some meeting is configured.
pub(super) fn check_anything_to_ask(section: &Section<'_>, discover: bool, ids: bool) {
    if !discover && !ids {
        let message = "nothing to ask: `discover` is off and there are no `conference_ids`";
        let remedy = Some("add `conference_ids`, or turn `discover` on");
        section.error(&DISCOVER, message, remedy);
    }
}
