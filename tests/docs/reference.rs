// SPDX-License-Identifier: Apache-2.0
//! What `docs/reference.md` and the README list follows the code. After a change: `UPDATE_README=1 cargo test --test docs`.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{fmt::Write as _, fs, path::Path};

use conferencing_exporter::{
    commands::command_line,
    config::{self, Config, Profile, keys::Key},
    metrics::{FAMILIES, Family, measured},
    model::{Measure, MeasureSet, Reason},
    systems::catalogue,
};

const README: &str = "README.md";
const REFERENCE: &str = "docs/reference.md";
const METRICS: &str = "checks/metrics.txt";

/// What switches `key` on, if it is an option that a source does not have by itself.
fn switched_on(key: &Key) -> Option<String> {
    if key.entry_keys().is_empty() {
        return (key.default == Some("false")).then(|| "true".to_owned());
    }
    let entry: Vec<_> = key.entry_keys().iter().map(|key| format!("{}: x", key.name)).collect();
    Some(format!("[{{ {} }}]", entry.join(", ")))
}

fn configured(profile: &Profile, option: Option<String>) -> MeasureSet {
    let login = profile.logins[0].required.iter().map(|key| format!("{}: x", key.name));
    let [clear, _] = profile.transport.schemes();
    let base_url = format!("base_url: {clear}://127.0.0.1:{}", profile.usual_port);
    let lines: Vec<_> = login.chain([base_url]).chain(option).collect();
    let yaml = format!("sources: [{{ name: x, vendor: {profile}, {} }}]", lines.join(", "));
    let catalogue = catalogue();
    let loaded = Config::parse(&yaml, Path::new("test.yaml"), catalogue.profiles()).unwrap();
    catalogue.start(&loaded.config.sources[0]).unwrap().configured()
}

/// When `profile` reports `measure`: always, with the named options, or never.
pub(crate) fn cell(profile: &Profile, measure: Measure) -> String {
    if configured(profile, None).contains(measure) {
        return "yes".to_owned();
    }
    let with: Vec<_> = profile
        .own()
        .filter_map(|key| Some((key.name, switched_on(key)?)))
        .filter(|(name, value)| {
            configured(profile, Some(format!("{name}: {value}"))).contains(measure)
        })
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    if with.is_empty() { "-".to_owned() } else { with.join(", ") }
}

/// The series of the measures as people write them, with their meanings. Sizes are there together; states are not.
pub(crate) fn series() -> Vec<(String, &'static str, Measure)> {
    let of_family = |(family, series): (&'static Family, &'static [Measure])| match family.labels {
        [] => vec![(family.name.to_owned(), family.help, series[0])],
        ["state"] => {
            let name = |measure: &Measure| format!("{}{}", family.name, label(measure, "state"));
            series.iter().map(|measure| (name(measure), measure.meaning(), *measure)).collect()
        }
        [label] => vec![(format!("{}{{{label}}}", family.name), family.help, series[0])],
        more => panic!("{more:?}"),
    };
    measured().flat_map(of_family).collect()
}

fn measures() -> String {
    let catalogue = catalogue();
    let mut table = String::from("| Metric |");
    for profile in catalogue.profiles() {
        let _ = write!(table, " {} |", profile.title);
    }
    let _ = write!(table, "\n|---|{}\n", "---|".repeat(catalogue.profiles().len()));
    let mut meanings = String::from("\nWhat each of them means:\n\n");
    for (name, meaning, measure) in series() {
        let _ = write!(table, "| `{name}` |");
        for profile in catalogue.profiles() {
            let _ = write!(table, " {} |", cell(profile, measure));
        }
        table.push('\n');
        meanings.push_str(&item(&format!("`{name}`: {meaning}")));
    }
    table + &meanings
}

/// An item of a list in lines that are not too long.
fn item(text: &str) -> String {
    wrapped(&format!("- {text}"), "  ")
}

/// `text` in lines of at most 130 characters, all but the first of which begin with `indent`.
fn wrapped(text: &str, indent: &str) -> String {
    let mut words = text.split(' ');
    let mut line = words.next().unwrap_or_default().to_owned();
    let mut out = String::new();
    for word in words {
        if line.chars().count() + 1 + word.chars().count() > 130 {
            out += &format!("{line}\n");
            line = format!("{indent}{word}");
        } else {
            line += &format!(" {word}");
        }
    }
    out + &line + "\n"
}

/// Tables as lists: in a table, a line is as long as what stands in its cells. The first cell is what a line is about, the
/// last one what it means, those between are its kind.
fn as_list(tables: &str) -> String {
    let mut out = String::new();
    let mut head: Vec<&str> = Vec::new();
    for line in tables.lines() {
        let cells: Option<Vec<_>> = line
            .strip_prefix("| ")
            .and_then(|line| line.strip_suffix(" |"))
            .map(|line| line.split(" | ").map(str::trim).collect());
        match cells {
            Some(cells) if head.is_empty() => head = cells,
            Some(cells) => {
                let (name, kinds, meaning) =
                    (cells[0], &cells[1..cells.len() - 1], cells[cells.len() - 1]);
                let kinds: Vec<_> = kinds
                    .iter()
                    .zip(&head[1..])
                    .filter(|(kind, _)| !kind.is_empty() && **kind != "-")
                    .map(|(kind, head)| match *head {
                        "Default" if *kind != "required" => format!("default {kind}"),
                        _ => (*kind).to_owned(),
                    })
                    .collect();
                let kinds = if kinds.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", kinds.join("; "))
                };
                out.push_str(&item(&format!("{name}{kinds}: {meaning}")));
            }
            None if line.starts_with("|--") => {}
            None => {
                head.clear();
                out.push_str(&wrapped(line, ""));
            }
        }
    }
    out
}

/// The options of the command line, each with its variable.
fn options() -> String {
    let command = command_line();
    let options = command.get_arguments().filter_map(|argument| {
        let long = argument.get_long()?;
        let variable = argument.get_env()?.to_str().unwrap();
        // A flag takes one only to be taken back.
        let is_flag = argument.get_num_args().is_some_and(|number| number.min_values() == 0);
        let takes_value = argument.get_action().takes_values() && !is_flag;
        let value = argument.get_value_names().filter(|_| takes_value).map(|names| names.join(" "));
        let value = value.map(|value| format!(" {value}")).unwrap_or_default();
        let default = argument.get_default_values().first().map(|value| value.to_str().unwrap());
        let default = default.filter(|default| !default.is_empty() && takes_value);
        let default = default.map(|default| format!(" Default: `{default}`.")).unwrap_or_default();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let help = help.trim_end_matches('.');
        Some(item(&format!("`--{long}{value}`, `{variable}`: {help}.{default}")))
    });
    options.collect()
}

fn label(measure: &Measure, name: &str) -> String {
    format!("{{{name}=\"{}\"}}", measure.label_value().unwrap())
}

fn families(wanted: impl Fn(&Family) -> bool) -> String {
    let mut table = String::from("| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n");
    for family in FAMILIES.iter().filter(|family| wanted(family)) {
        let mut labels: Vec<_> =
            if family.per_source { vec!["`source`, `vendor`, yours"] } else { vec![] }
                .into_iter()
                .map(str::to_owned)
                .collect();
        labels.extend(family.labels.iter().map(|label| format!("`{label}`")));
        let labels = if labels.is_empty() { "-".to_owned() } else { labels.join(", ") };
        let _ = writeln!(
            table,
            "| `{}` | {} | {labels} | {} |",
            family.name,
            family.kind.as_str(),
            family.help
        );
    }
    table
}

fn calls() -> String {
    let mut table = String::from("| `vendor` | Calls (the label `call`) |\n|---|---|\n");
    for profile in catalogue().profiles() {
        let calls: Vec<_> =
            profile.calls.iter().map(|call| format!("`{}`", call.as_str())).collect();
        let _ = writeln!(table, "| `{profile}` | {} |", calls.join(", "));
    }
    table
}

/// `text` with what stands between the marks of `name` replaced by `content`.
pub(crate) fn filled(file: &Path, text: &str, name: &str, content: &str) -> String {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let missing = |mark: &str| -> ! { panic!("{} has no {mark}", file.display()) };
    let (before, rest) = text.split_once(&open).unwrap_or_else(|| missing(&open));
    let (_, after) = rest.split_once(&close).unwrap_or_else(|| missing(&close));
    format!("{before}{open}{content}{close}{after}")
}

fn is_measured(family: &Family) -> bool {
    measured().any(|(measured, _)| measured == family)
}

/// Compares the file with what it should be, or writes it. A file that is right already is not written, because other
/// tests may be reading it.
pub(crate) fn follows(file: &Path, text: &str, expected: &str) {
    if text == expected {
        return;
    }
    let is_update = std::env::var_os("UPDATE_README").is_some();
    let file_name = file.display();
    assert!(is_update, "{file_name} is out of step; run UPDATE_README=1 cargo test --test docs");
    fs::write(file, expected).unwrap();
}

#[test]
fn the_options_in_the_readme_follow_the_code() {
    let file = Path::new(README);
    let text = fs::read_to_string(file).unwrap();
    follows(file, &text, &filled(file, &text, "options", &options()));
}

#[test]
fn the_reference_follows_the_code() {
    let file = Path::new(REFERENCE);
    let text = fs::read_to_string(file).unwrap();
    let of_conference = |family: &Family| family.name.starts_with("conferencing_conference_");
    let own = |family: &Family| {
        let prefixes = [
            "conferencing_exporter_",
            "conferencing_api_",
            "conferencing_login",
            "conferencing_token_",
            "conferencing_snapshot_",
            "process_",
        ];
        prefixes.iter().any(|prefix| family.name.starts_with(prefix))
    };
    let collection =
        |family: &Family| !is_measured(family) && !of_conference(family) && !own(family);
    let keys = as_list(&config::reference(catalogue().profiles()));
    let mut expected = filled(file, &text, "metrics:measures", &measures());
    expected = filled(file, &expected, "metrics:conferences", &as_list(&families(of_conference)));
    expected = filled(file, &expected, "metrics:collection", &as_list(&families(collection)));
    expected = filled(file, &expected, "metrics:own", &as_list(&families(own)));
    expected = filled(file, &expected, "calls", &as_list(&calls()));
    expected = filled(file, &expected, "keys", &keys);
    follows(file, &text, &expected);
}

/// Each reason is explained, and the text has no others.
#[test]
fn the_reasons_follow_the_code() {
    let text = fs::read_to_string(REFERENCE).unwrap();
    let (_, table) = text.split_once("| `reason` | When |\n|---|---|\n").unwrap();
    let rows = table.lines().map_while(|line| line.strip_prefix("| ")?.split(" | ").next());
    let mut explained: Vec<_> =
        rows.flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`')).collect();
    let mut reasons: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    explained.sort_unstable();
    reasons.sort_unstable();
    assert_eq!(explained, reasons);
}

/// The checks of dashboards, rules and runbooks take names and labels from this list.
#[test]
fn the_list_of_metrics_follows_the_code() {
    let text = fs::read_to_string(METRICS).unwrap();
    let head = text.lines().filter(|line| line.starts_with('#')).map(str::to_owned);
    let mut lines: Vec<_> = FAMILIES
        .iter()
        .map(|family| {
            let of_source: &[&str] = if family.per_source { &["source", "vendor"] } else { &[] };
            let words = [&[family.name, family.kind.as_str()], of_source, family.labels].concat();
            words.join(" ")
        })
        .collect();
    lines.sort();
    let expected: String = head.chain(lines).map(|line| line + "\n").collect();
    follows(Path::new(METRICS), &text, &expected);
}

#[test]
fn every_configuration_in_the_readme_is_valid() {
    let text = fs::read_to_string(README).unwrap();
    let mut examples = 0;
    for block in text.split("```yaml\n").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        if !block.starts_with("sources:") {
            continue;
        }
        examples += 1;
        // The files of the examples do not exist here; what they hold does not matter.
        let yaml: String = block
            .lines()
            .filter(|line| !line.trim_start().starts_with("tls:"))
            .map(|line| match line.split_once("_file: /run/secrets/") {
                Some((key, _)) => format!("{key}: not-a-secret\n"),
                None => format!("{line}\n"),
            })
            .collect();
        if let Err(error) = Config::parse(&yaml, Path::new("example.yaml"), catalogue().profiles())
        {
            panic!("{error}\n{yaml}");
        }
    }
    assert!(examples > 0);
}
