// SPDX-License-Identifier: Apache-2.0
//! The committed `exporter.schema.json` and the code say the same. After a wanted change of keys
//! run with `UPDATE_EXPECTED=1` and commit the new file.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;

use conferencing_exporter::config::{
    self,
    duration::{parse_duration, parse_size},
    keys::{COMMON, Key, Kind},
};
use conferencing_exporter::systems::catalogue;

#[test]
fn the_committed_schema_is_the_codes() {
    let schema = config::schema(catalogue().profiles());
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        let text = serde_json::to_string_pretty(&schema).unwrap();
        fs::write("exporter.schema.json", format!("{text}\n")).unwrap();
    }
    // Compared as values: the order of keys is a build option of serde_json.
    let committed = fs::read_to_string("exporter.schema.json").unwrap();
    let committed: serde_json::Value = serde_json::from_str(&committed).unwrap();
    assert!(committed == schema, "run this test with UPDATE_EXPECTED=1 and commit the file");
}

#[test]
fn every_reference_of_the_schema_leads_somewhere() {
    let schema = config::schema(catalogue().profiles());
    let text = schema.to_string();
    let targets: Vec<_> = text.split("\"$ref\":\"#/$defs/").skip(1).collect();
    assert!(targets.len() > 10);
    for target in targets {
        let name = target.split('"').next().unwrap();
        assert!(schema["$defs"].get(name).is_some(), "{name}");
    }
}

#[test]
fn the_reference_names_every_key_of_every_vendor() {
    let reference = config::reference(catalogue().profiles());
    for profile in catalogue().profiles() {
        assert!(reference.contains(&format!("`{profile}`")));
        for key in COMMON.iter().copied().chain(profile.own()) {
            assert!(reference.contains(&format!("| `{}` |", key.name)), "{}", key.name);
        }
    }
}

#[test]
fn every_default_of_the_tables_is_one_its_key_takes() {
    let check = |key: &Key, default: &str| match key.kind {
        Kind::Duration(min, max) => (min..=max).contains(&parse_duration(default).unwrap()),
        Kind::Size(min, max) => (min..=max).contains(&parse_size(default).unwrap()),
        Kind::Integer(min, max) => (min..=max).contains(&default.parse::<u64>().unwrap()),
        Kind::Flag => default == "true" || default == "false",
        Kind::Choice(words) => words.contains(&default),
        Kind::Choices(words) => default == format!("[{}]", words.join(", ")),
        Kind::BaseUrl => default.starts_with("https://"),
        Kind::ApiPath => default.is_empty() || default.starts_with('/'),
        Kind::Name(..)
        | Kind::Vendor
        | Kind::ProxyUrl
        | Kind::Labels
        | Kind::Text
        | Kind::Id(..)
        | Kind::Ids(..)
        | Kind::File
        | Kind::Secret
        | Kind::Section(_)
        | Kind::Sections(_) => false,
    };
    for profile in catalogue().profiles() {
        for key in COMMON.iter().copied().chain(profile.own()) {
            if let Some(default) = profile.default_of(key) {
                assert!(check(key, default), "{profile}: {}: {default}", key.name);
            }
        }
    }
}
