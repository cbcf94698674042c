// SPDX-License-Identifier: Apache-2.0
//! The pages of the systems, `docs/systems/`: one for each, which names its calls, keys and metrics, and a
//! translation that says the same. After a change of keys: `UPDATE_README=1 cargo test --test docs pages`.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use conferencing_exporter::{
    config::{self, Config, Profile, keys::COMMON},
    metrics::FAMILIES,
    systems::catalogue,
};

use crate::reference::{cell, filled, follows, series};

const FOLDER: &str = "docs/systems";

/// Longest line of a page, in characters.
const LONGEST_LINE: usize = 160;

/// The headings that every page has, after its title.
const SECTIONS: &[&str] = &[
    "## Before you start",
    "## Set up",
    "## Configuration",
    "## What is asked",
    "## What the numbers mean",
    "## What would change our mind",
    "## Confirm it with a recording",
    "## Troubleshooting",
];

/// How sure we are of what a field means.
const CERTAINTIES: &[&str] = &["documented", "seen", "inferred"];

/// The systems whose users mostly read Chinese.
const TRANSLATED: &[&str] = &["openvox_uc", "yeastar_s", "yeastar_p", "huawei_meeting", "dingtalk"];

fn page(profile: &Profile) -> PathBuf {
    Path::new(FOLDER).join(format!("{profile}.md"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A document as a reader sees its parts.
#[derive(Default)]
struct Parts {
    /// `##` and the text behind it.
    headings: Vec<String>,
    /// The language and the lines of each block of code. Lines that are indented as code are blocks of their own.
    code: Vec<(String, Vec<String>)>,
    /// The options that lists explain.
    options: Vec<String>,
    /// The cells of each row of the tables, with the heading they stand under.
    rows: Vec<(String, Vec<String>)>,
}

fn parts(text: &str) -> Parts {
    let mut parts = Parts::default();
    let mut inside = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(language) = trimmed.strip_prefix("```") {
            inside = !inside;
            if inside {
                parts.code.push((language.to_owned(), Vec::new()));
            }
        } else if inside {
            parts.code.last_mut().unwrap().1.push(line.to_owned());
        } else if line.starts_with("    ") {
            parts.code.push((String::new(), vec![line.to_owned()]));
        } else if let Some(item) = line.strip_prefix("- `--") {
            parts.options.extend(item.split('`').next().map(str::to_owned));
        } else if line.starts_with('#') {
            parts.headings.push(line.to_owned());
        } else if let Some(row) = line.strip_prefix('|') {
            let cells: Vec<_> = row.trim_end_matches('|').split('|').map(str::trim).collect();
            if !cells.iter().all(|cell| cell.chars().all(|c| c == '-')) {
                let heading = parts.headings.last().cloned().unwrap_or_default();
                parts.rows.push((heading, cells.into_iter().map(str::to_owned).collect()));
            }
        }
    }
    assert!(!inside, "a block of code has no end");
    parts
}

impl Parts {
    /// The rows below a heading, without the head of the table.
    fn below(&self, heading: &str) -> impl Iterator<Item = &Vec<String>> {
        self.rows.iter().filter(move |(under, _)| under == heading).map(|(_, row)| row).skip(1)
    }
}

/// What stands between backticks.
fn spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// A line of code without its comment.
fn without_comment(line: &str) -> &str {
    let cut = if line.trim_start().starts_with('#') { Some(0) } else { line.find(" #") };
    line[..cut.unwrap_or(line.len())].trim_end()
}

/// The ways to log in, the defaults of the keys that every source takes, and the tables of a system's own keys.
fn keys(profile: &'static Profile) -> String {
    let reference = config::reference(&[profile]);
    let (_, own) = reference.split_once(&format!("**`{profile}`: log in with ")).unwrap();
    let (ways, tables) = own.split_once("**\n").unwrap();
    let ways = ways.split("; or ").collect::<Vec<_>>().join("; or\n");
    let is_common =
        |line: &&str| COMMON.iter().any(|key| line.starts_with(&format!("| `{}` |", key.name)));
    let (common, own): (Vec<&str>, Vec<&str>) = tables.lines().partition(is_common);
    let common = common.into_iter().map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let default = match cells[3] {
            "required" => "required".to_owned(),
            default => format!("default {default}"),
        };
        format!("{} ({default})", cells[1])
    });
    let common = common.collect::<Vec<_>>().join(", ");
    format!("Log in with {ways}.\n\nOf the keys of every source: {common}.\n{}\n", own.join("\n"))
}

/// Files of `folder` whose names end in `.zh-CN.md`, with the files they translate.
fn translations(folder: &str) -> Vec<(PathBuf, PathBuf)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter_map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let original = name.strip_suffix(".zh-CN.md").map(|name| format!("{name}.md"))?;
            Some((path.with_file_name(original), path))
        })
        .collect()
}

#[test]
fn every_system_has_a_page_with_the_same_sections() {
    for profile in catalogue().profiles() {
        let path = page(profile);
        let headings = parts(&read(&path)).headings;
        let (title, sections) = headings.split_first().unwrap();
        assert!(title.contains(&format!("(`{profile}`)")), "{}: {title}", path.display());
        assert_eq!(sections, SECTIONS, "{}", path.display());
    }
}

#[test]
fn every_page_is_that_of_a_system() {
    let files = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let names = files.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    let pages: BTreeSet<_> = names.filter(|name| !name.ends_with(".zh-CN.md")).collect();
    let systems: BTreeSet<_> =
        catalogue().profiles().iter().map(|profile| format!("{profile}.md")).collect();
    assert_eq!(pages, systems);
}

#[test]
fn the_keys_of_a_page_follow_the_code() {
    for profile in catalogue().profiles() {
        let path = page(profile);
        let text = read(&path);
        follows(&path, &text, &filled(&path, &text, "keys", &keys(profile)));
    }
}

#[test]
fn a_page_names_each_call_of_its_system() {
    for profile in catalogue().profiles() {
        let path = page(profile);
        let parts = parts(&read(&path));
        let named: Vec<_> =
            parts.below("## What is asked").map(|row| spans(&row[0]).concat()).collect();
        let calls: Vec<_> = profile.calls.iter().map(|call| call.as_str()).collect();
        assert_eq!(named, calls, "{}, and the calls of the profile", path.display());
    }
}

#[test]
fn a_page_explains_each_metric_of_its_system() {
    for profile in catalogue().profiles() {
        let path = page(profile);
        let parts = parts(&read(&path));
        let mut explained = BTreeSet::new();
        for row in parts.below("## What the numbers mean") {
            let [metric, _field, _meaning, certainty] = &row[..] else {
                panic!("{}: {row:?}", path.display())
            };
            assert!(CERTAINTIES.contains(&certainty.as_str()), "{}: {row:?}", path.display());
            let metric = spans(metric).concat();
            let of_each = metric.starts_with("conferencing_conference_");
            if of_each {
                assert!(FAMILIES.iter().any(|family| family.name == metric), "{metric}");
            } else {
                explained.insert(metric);
            }
        }
        let reported =
            series().into_iter().filter(|(_, _, measure)| cell(profile, *measure) != "-");
        let reported: BTreeSet<_> = reported.map(|(name, _, _)| name).collect();
        assert_eq!(explained, reported, "{}, and what the system reports", path.display());
    }
}

#[test]
fn the_configurations_of_a_page_are_valid() {
    for profile in catalogue().profiles() {
        let path = page(profile);
        let blocks = parts(&read(&path)).code;
        let blocks: Vec<_> = blocks.iter().filter(|(language, _)| language == "yaml").collect();
        assert!(!blocks.is_empty(), "{}: no configuration", path.display());
        for (_, lines) in blocks {
            // The files that it names are not there.
            let lines = lines.iter().filter(|line| !line.trim().starts_with("tls:"));
            let lines = lines.map(|line| match line.split_once("_file:") {
                Some((key, _)) => format!("{key}: x\n"),
                None => format!("{line}\n"),
            });
            let yaml: String = lines.collect();
            let loaded = Config::parse(&yaml, &path, catalogue().profiles());
            let loaded = loaded.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(loaded.config.sources[0].profile, *profile, "{}", path.display());
        }
    }
}

#[test]
fn lines_are_short() {
    let files = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    for path in files {
        let text = read(&path);
        let long = text.lines().position(|line| line.chars().count() > LONGEST_LINE);
        assert_eq!(long, None, "{}, lines from 0", path.display());
    }
}

#[test]
fn the_pages_that_are_to_be_translated_are() {
    let translated = translations(FOLDER).into_iter().chain(translations("."));
    let translated: BTreeSet<_> = translated.map(|(original, _)| original).collect();
    let pages = TRANSLATED.iter().map(|name| Path::new(FOLDER).join(format!("{name}.md")));
    let expected: BTreeSet<_> = pages.chain([PathBuf::from("./README.md")]).collect();
    assert_eq!(translated, expected);
}

/// Translations have the sections, the code and, in tables, the names of the original, and each links to the other.
#[test]
fn translations_say_the_same() {
    for (original, translation) in translations(FOLDER).into_iter().chain(translations(".")) {
        let both = format!("{} and {}", original.display(), translation.display());
        let texts = [read(&original), read(&translation)];
        for (text, other) in texts.iter().zip([&translation, &original]) {
            let link = format!("]({})", other.file_name().unwrap().to_str().unwrap());
            assert!(text.contains(&link), "{both}: {link} is missing");
        }
        let [one, other] = texts.map(|text| parts(&text));
        let levels = |parts: &Parts| -> Vec<usize> {
            parts.headings.iter().map(|heading| heading.find(' ').unwrap()).collect()
        };
        assert_eq!(levels(&one), levels(&other), "{both}: levels of the headings");
        let code = |parts: &Parts| -> Vec<(String, Vec<String>)> {
            let bare = |line: &String| without_comment(line).to_owned();
            let bare = |lines: &Vec<String>| lines.iter().map(bare).collect();
            parts.code.iter().map(|(language, lines)| (language.clone(), bare(lines))).collect()
        };
        assert_eq!(code(&one), code(&other), "{both}: code");
        assert_eq!(one.options, other.options, "{both}: options");
        let names = |parts: &Parts| -> Vec<Vec<String>> {
            let sorted = |row: &Vec<String>| {
                let mut names: Vec<_> =
                    row.iter().flat_map(|cell| spans(cell)).map(str::to_owned).collect();
                names.sort();
                names
            };
            parts.rows.iter().map(|(_, row)| sorted(row)).collect()
        };
        assert_eq!(names(&one), names(&other), "{both}: names in tables");
    }
}
