// SPDX-License-Identifier: Apache-2.0
//! What there must be of each system outside of `src`: a system that was forgotten somewhere, or one that is
//! named somewhere and is not in the catalogue, fails here. `UPDATE_README=1` writes the descriptions.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use conferencing_exporter::{
    config::{
        Profile,
        keys::{CAPACITY_KEYS, COMMON, CONFERENCE_KEYS, DEFAULT_KEYS, Key, TLS_KEYS},
    },
    systems::catalogue,
};
use simulator::Vendor;

/// The descriptions that name all systems: the file, what stands before the names in it and what after, what
/// stands before each name, and what stands between two.
const DESCRIPTIONS: [(&str, &str, &str, &str, &str); 4] = [
    (
        "Cargo.toml",
        "description = \"Prometheus exporter for conferencing systems: ",
        "\"",
        "",
        ", ",
    ),
    ("Cargo.toml", "It only reads.\nThe systems:\n\n", "\n\n", " * ", "\n"),
    ("Dockerfile", "description=\"Prometheus exporter for conferencing systems: ", "\"", "", ", "),
    (
        "deploy/helm/conferencing-exporter/Chart.yaml",
        "description: Prometheus exporter for conferencing systems (",
        ")",
        "",
        ", ",
    ),
];

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn names() -> BTreeSet<&'static str> {
    catalogue().profiles().iter().map(|profile| profile.name).collect()
}

#[test]
fn every_description_names_every_system() {
    let titles: Vec<_> = catalogue().profiles().iter().map(|profile| profile.title).collect();
    let update = std::env::var_os("UPDATE_README").is_some();
    for (path, before, after, mark, between) in DESCRIPTIONS {
        let text = read(path);
        let (start, rest) = text.split_once(before).unwrap_or_else(|| panic!("{path}: {before}"));
        let (found, end) = rest.split_once(after).unwrap_or_else(|| panic!("{path}: {after}"));
        let items: Vec<_> = titles.iter().map(|title| format!("{mark}{title}")).collect();
        let expected = items.join(between);
        if update {
            fs::write(path, format!("{start}{before}{expected}{after}{end}")).unwrap();
        } else {
            assert_eq!(found, expected, "{path}: run UPDATE_README=1 cargo test --test docs");
        }
    }
}

#[test]
fn the_readme_lists_every_system_and_leads_to_its_page() {
    let text = read("README.md");
    for Profile { name, title, .. } in catalogue().profiles() {
        assert!(text.contains(&format!("\n| `{name}` | {title}")), "no row of the table: {title}");
        let page = format!("docs/systems/{name}.md");
        assert!(text.contains(&format!("({page})")), "no link to {page}");
        assert!(Path::new(&page).exists(), "{page} is missing");
    }
}

/// What `docs/systems` says about a system.
fn page(name: &str) -> Option<String> {
    fs::read_to_string(format!("docs/systems/{name}.md")).ok()
}

#[test]
fn every_system_has_a_page_that_names_its_calls() {
    for profile in catalogue().profiles() {
        let page = page(profile.name).unwrap_or_else(|| panic!("docs/systems has no {profile}.md"));
        for call in profile.calls {
            assert!(page.contains(call.as_str()), "docs/systems/{profile}.md: {}", call.as_str());
        }
    }
}

#[test]
fn every_system_has_a_colour_in_the_dashboards() {
    let text = read("grafana/source/palette.py");
    let (_, rest) = text.split_once("\nVENDORS = {\n").unwrap();
    let (table, _) = rest.split_once("\n}").unwrap();
    let coloured: BTreeSet<_> = table.lines().filter_map(|line| line.split('"').nth(1)).collect();
    let missing: Vec<_> = names().difference(&coloured).copied().collect();
    assert!(missing.is_empty(), "no colour for {missing:?}");
    let of_nothing: Vec<_> =
        coloured.difference(&names()).copied().filter(|name| page(name).is_none()).collect();
    assert!(
        of_nothing.is_empty(),
        "a colour of no system that is known or described: {of_nothing:?}"
    );
}

/// The policies let out what the exporter asks for where a system answers on its usual port.
#[test]
fn every_usual_port_may_be_reached() {
    let policy = read("deploy/kubernetes/base/networkpolicy.yaml");
    let values = read("deploy/helm/conferencing-exporter/values.yaml");
    let (_, rest) = values.split_once("egressPorts: [").unwrap();
    let (ports, _) = rest.split_once(']').unwrap();
    for profile in catalogue().profiles() {
        let port = profile.usual_port.to_string();
        assert!(policy.contains(&format!("port: {port}, protocol: TCP")), "{profile}: {port}");
        assert!(ports.split(", ").any(|known| known == port), "{profile}: {port}");
    }
}

#[test]
fn every_system_is_simulated_with_its_calls() {
    let simulated =
        Vendor::ALL.map(|vendor| (vendor.as_str(), BTreeSet::from_iter(vendor.calls())));
    let calls = |profile: &&Profile| profile.calls.iter().map(|call| call.as_str()).collect();
    let known: BTreeMap<_, BTreeSet<_>> =
        catalogue().profiles().iter().map(|profile| (profile.name, calls(profile))).collect();
    let simulated: BTreeMap<_, BTreeSet<_>> = simulated
        .into_iter()
        .map(|(name, calls)| (name, calls.into_iter().copied().collect()))
        .collect();
    assert_eq!(simulated, known, "the simulator (left) and the catalogue (right)");
}

/// What is kept outside of `src` for each system.
#[test]
fn every_system_has_examples_and_a_fuzz_target() {
    let targets: Vec<_> =
        fs::read_dir("fuzz/fuzz_targets").unwrap().map(|entry| entry.unwrap().path()).collect();
    let manifest = read("fuzz/Cargo.toml");
    for profile in catalogue().profiles() {
        let examples = fs::read_dir(Path::new("tests/data").join(profile.name));
        assert!(examples.is_ok_and(|mut files| files.next().is_some()), "{profile}: no examples");
        let chosen = format!("vendor: {profile}\n");
        let target =
            targets.iter().find(|path| fs::read_to_string(path).unwrap().contains(&chosen));
        let target = target.unwrap_or_else(|| panic!("{profile}: no fuzz target"));
        let target = target.file_stem().unwrap().to_str().unwrap();
        assert!(manifest.contains(&format!("name = \"{target}\"")), "fuzz/Cargo.toml: no {target}");
        assert!(Path::new("fuzz/corpus").join(target).is_dir(), "{target} has no corpus");
        for call in profile.calls {
            let path = Path::new("fuzz/right").join(profile.name);
            let path = path.join(call.as_str().replace('/', "_"));
            // In the format of the system.
            let exists =
                ["json", "xml", "txt"].iter().any(|kind| path.with_extension(kind).exists());
            assert!(exists, "{} is missing", path.display());
        }
    }
}

/// A key as a line of `exporter.yaml` shows it.
struct Shown<'a> {
    name: &'a str,
    value: &'a str,
    comment: &'a str,
    is_commented_out: bool,
}

fn shown(line: &str) -> Option<Shown<'_>> {
    let indented = line.strip_prefix("  ")?.trim_start_matches([' ', '-']);
    let bare = indented.trim_start_matches(['#', ' ']);
    let (name, rest) = bare.split_once(':')?;
    let is_key = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if !is_key || !(rest.is_empty() || rest.starts_with(' ')) {
        return None;
    }
    let (value, comment) = rest.split_once(" # ").unwrap_or((rest, ""));
    let is_commented_out = indented.starts_with('#');
    Some(Shown { name, value: value.trim(), comment, is_commented_out })
}

/// The value that holds without `key` in a source of the kind `profile`, as the file has it.
fn default_of<'a>(key: &'a Key, profile: Option<&'a Profile>) -> Option<&'a str> {
    let own = |profile: &'a Profile| match key.name {
        "api_path" if profile.api_path.is_empty() => Some("\"\""),
        "api_path" => Some(profile.api_path),
        "min_interval" => Some(profile.min_interval),
        "base_url" => profile.base_url,
        _ => None,
    };
    key.default.or_else(|| profile.and_then(own))
}

/// `exporter.yaml` says of itself that a key that is commented out with a value has that value by default.
#[test]
fn the_example_has_every_key_and_the_defaults_of_the_catalogue() {
    let text = read("exporter.yaml");
    let (_, text) = text.split_once("\ndefaults:\n").unwrap();
    let (defaults, sources) = text.split_once("\nsources:\n").unwrap();
    let below = [TLS_KEYS, CAPACITY_KEYS, CONFERENCE_KEYS].concat();
    let common = [COMMON, &below].concat();
    let in_defaults = [DEFAULT_KEYS, &below].concat();
    check_block("defaults", defaults, &in_defaults, None);

    let blocks: Vec<_> = format!("\n{sources}").split("\n  - name:").map(str::to_owned).collect();
    assert_eq!(blocks.len() - 1, catalogue().profiles().len());
    for (block, profile) in blocks[1..].iter().zip(catalogue().profiles()) {
        // The heading of the next one stands at its end.
        let block = block.split("\n  # ---").next().unwrap();
        let block = format!("  - name:{block}");
        assert!(block.contains(&format!("vendor: {profile}\n")), "{block}");
        let own: Vec<&Key> = profile.own().collect();
        let entries: Vec<_> = own.iter().flat_map(|key| key.entry_keys()).copied().collect();
        let known = [common.clone(), own.clone(), entries.clone()].concat();
        check_block(profile.name, &block, &known, Some(profile));
        let named: BTreeSet<_> = block.lines().filter_map(shown).map(|shown| shown.name).collect();
        for key in own.iter().chain(&entries) {
            let is_shown = key.names().iter().any(|name| named.contains(name.as_str()));
            assert!(is_shown, "exporter.yaml, {profile}: {} is not shown", key.name);
        }
    }
    let named: BTreeSet<_> = text.lines().filter_map(shown).map(|shown| shown.name).collect();
    for key in common {
        assert!(named.contains(key.name), "exporter.yaml: {} is not shown", key.name);
    }
}

/// Every key that `block` shows is one of `known`, and every default it tells is right.
fn check_block(place: &str, block: &str, known: &[&Key], profile: Option<&Profile>) {
    for Shown { name, value, comment, is_commented_out } in block.lines().filter_map(shown) {
        let mut keys = known.iter().filter(|key| key.names().iter().any(|known| known == name));
        let key =
            keys.next().unwrap_or_else(|| panic!("exporter.yaml, {place}: unknown key {name}"));
        let default = default_of(key, profile);
        if let Some(default) = default.filter(|_| is_commented_out) {
            assert_eq!(value, default, "exporter.yaml, {place}: the default of {name}");
        }
        let told =
            comment.split_once("default").map(|(_, told)| told.trim_start_matches([':', ',', ' ']));
        let told =
            told.and_then(|told| told.split([' ', ';']).next()).filter(|_| default.is_some());
        if let Some(told) = told.map(|told| told.trim_end_matches(':')) {
            assert_eq!(Some(told), default, "exporter.yaml, {place}: the default of {name}");
        }
    }
}
