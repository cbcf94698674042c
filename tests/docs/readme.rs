//! The README's tables follow the code. After a change: `UPDATE_README=1 cargo test --test docs readme`.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{fmt::Write as _, fs, path::Path};

use conferencing_exporter::{
    config::{self, Config, Profile, keys::Key},
    metrics::{FAMILIES, Family, measured},
    model::{Measure, MeasureSet},
    systems::catalogue,
};

const README: &str = "README.md";
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
    let base_url = "base_url: http://127.0.0.1".to_owned();
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
    let mut table = String::from("| Metric | Meaning |");
    for profile in catalogue.profiles() {
        let _ = write!(table, " {} |", profile.title);
    }
    let _ = write!(table, "\n|---|---|{}\n", "---|".repeat(catalogue.profiles().len()));
    for (name, meaning, measure) in series() {
        let _ = write!(table, "| `{name}` | {meaning} |");
        for profile in catalogue.profiles() {
            let _ = write!(table, " {} |", cell(profile, measure));
        }
        table.push('\n');
    }
    table
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

#[test]
fn tables_follow_the_code() {
    let file = Path::new(README);
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
    let mut expected = filled(file, &text, "metrics:measures", &measures());
    expected = filled(file, &expected, "metrics:conferences", &families(of_conference));
    expected = filled(file, &expected, "metrics:collection", &families(collection));
    expected = filled(file, &expected, "metrics:own", &families(own));
    expected = filled(file, &expected, "calls", &calls());
    expected = filled(file, &expected, "keys", &config::reference(catalogue().profiles()));
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(README, &expected).unwrap();
    }
    assert!(
        text == expected || std::env::var_os("UPDATE_README").is_some(),
        "{README} is out of step; run UPDATE_README=1 cargo test --test docs readme"
    );
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
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(METRICS, &expected).unwrap();
    } else {
        assert!(
            text == expected,
            "{METRICS} is out of step; run UPDATE_README=1 cargo test --test docs"
        );
    }
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
    assert_eq!(examples, catalogue().profiles().len());
}
