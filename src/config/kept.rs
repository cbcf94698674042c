// SPDX-License-Identifier: Apache-2.0
//! What a recording of a source keeps of its configuration: the keys that decide what it is asked.

use std::path::PathBuf;

use super::{
    Profile, Section,
    duration::format_duration,
    keys::{Key, Kind},
};

/// The keys of a source that decide what it is asked. Credentials are not among them.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Position of the login in [`Profile::logins`].
    pub login: usize,
    /// The system's own keys besides those of its logins, defaults applied.
    pub keys: Vec<(&'static str, KeptValue)>,
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptValue {
    /// A flag, a number, a duration or one of a choice, as in the file.
    Word(String),
    /// Some of a choice.
    Words(Vec<String>),
    /// Identifiers.
    Ids(Vec<String>),
    /// A file of identifiers, one a line.
    IdsFile(PathBuf),
    /// A list of mappings; of each, its identifiers by their keys.
    Entries(Vec<Vec<(&'static str, String)>>),
}

impl Kept {
    /// That of a source whose keys were read without a problem.
    pub(super) fn read(section: &Section<'_>, profile: &Profile, login: usize) -> Self {
        let value = |key: &&'static Key| Some((key.name, value(section, key)?));
        Self { login, keys: profile.keys.iter().filter_map(value).collect() }
    }
}

/// `None`: the key says nothing about what is asked, or is not given.
fn value(section: &Section<'_>, key: &'static Key) -> Option<KeptValue> {
    match key.kind {
        Kind::Flag => Some(KeptValue::Word(section.flag(key).to_string())),
        Kind::Integer(..) => Some(KeptValue::Word(section.integer(key).to_string())),
        Kind::Duration(..) => Some(KeptValue::Word(format_duration(section.duration(key)))),
        Kind::Choice(_) => Some(KeptValue::Word(section.choice(key)?.to_owned())),
        Kind::Choices(_) => {
            Some(KeptValue::Words(section.choices(key).into_iter().map(str::to_owned).collect()))
        }
        Kind::Ids(..) => Some(KeptValue::Ids(section.ids(key))),
        Kind::File => section.file(key).map(KeptValue::IdsFile),
        Kind::Sections(keys) => {
            let is_id = |key: &&&'static Key| matches!(key.kind, Kind::Id(..));
            let ids = |entry: Section<'_>| {
                let ids = keys.iter().filter(is_id);
                ids.filter_map(|key| Some((key.name, entry.text(key)?))).collect()
            };
            let entries = section.sections(key).into_iter().flatten().map(ids);
            Some(KeptValue::Entries(entries.collect()))
        }
        Kind::Name(..)
        | Kind::Vendor
        | Kind::BaseUrl
        | Kind::ProxyUrl
        | Kind::ApiPath
        | Kind::Labels
        | Kind::Size(..)
        | Kind::Text
        | Kind::Id(..)
        | Kind::Secret
        | Kind::Section(_) => None,
    }
}
