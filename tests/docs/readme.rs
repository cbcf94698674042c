//! The README's tables follow the code. After a change: `UPDATE_README=1 cargo test --test docs readme`.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{fmt::Write as _, fs, path::Path};

use conferencing_exporter::{
    config::{self, Config},
    metrics::{FAMILIES, Family, measured},
    model::{Measure, MeasureSet, Vendor},
    vendor::{self, System},
};

const README: &str = "README.md";
const METRICS: &str = "checks/metrics.txt";

/// The options that make a vendor report more, in the order of the documentation.
const OPTIONS: [(Vendor, &str, &str); 4] = [
    (Vendor::YeastarP, "room_details", "room_details: true"),
    (Vendor::HuaweiMeeting, "details", "details: true"),
    (Vendor::HuaweiMeeting, "attendees", "attendees: true"),
    (Vendor::HuaweiMeeting, "hosts", "hosts: [{ conference_id: \"1\", password: x }]"),
];

fn configured(vendor: Vendor, option: Option<&str>) -> MeasureSet {
    let login = match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => {
            "base_url: http://127.0.0.1, username: a, password: b"
        }
        Vendor::YeastarP => "base_url: http://127.0.0.1, client_id: a, client_secret: b",
        Vendor::HuaweiMeeting => "app_id: a, app_key: b",
        Vendor::Dingtalk => "app_key: a, app_secret: b",
    };
    let option = option.map(|option| format!(", {option}")).unwrap_or_default();
    let yaml = format!("sources: [{{ name: x, vendor: {vendor}, {login}{option} }}]");
    let loaded = Config::parse(&yaml, Path::new("test.yaml")).unwrap();
    System::new(&loaded.config.sources[0]).configured()
}

fn cell(vendor: Vendor, measure: Measure) -> String {
    if configured(vendor, None).contains(measure) {
        return "yes".to_owned();
    }
    let with: Vec<_> = OPTIONS
        .iter()
        .filter(|(of, _, option)| {
            *of == vendor && configured(vendor, Some(option)).contains(measure)
        })
        .map(|(_, name, _)| format!("`{name}`"))
        .collect();
    if with.is_empty() { "-".to_owned() } else { with.join(", ") }
}

fn measures() -> String {
    let mut table = String::from("| Metric | Meaning |");
    for vendor in Vendor::ALL {
        let _ = write!(table, " {} |", vendor.title());
    }
    let _ = write!(table, "\n|---|---|{}\n", "---|".repeat(Vendor::ALL.len()));
    for (family, series) in measured() {
        // Sizes are there together; states are not.
        let rows: Vec<(String, &str, Measure)> = match family.labels {
            [] => vec![(String::new(), family.help, series[0])],
            ["state"] => {
                let row =
                    |measure: &Measure| (label(measure, "state"), measure.meaning(), *measure);
                series.iter().map(row).collect()
            }
            [name] => vec![(format!("{{{name}}}"), family.help, series[0])],
            more => panic!("{more:?}"),
        };
        for (labels, meaning, measure) in rows {
            let _ = write!(table, "| `{}{labels}` | {meaning} |", family.name);
            for vendor in Vendor::ALL {
                let _ = write!(table, " {} |", cell(vendor, measure));
            }
            table.push('\n');
        }
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
    for vendor in Vendor::ALL {
        let calls: Vec<_> = vendor::endpoints(vendor)
            .iter()
            .map(|endpoint| format!("`{}`", endpoint.as_str()))
            .collect();
        let _ = writeln!(table, "| `{vendor}` | {} |", calls.join(", "));
    }
    table
}

/// `text` with what stands between the marks of `name` replaced by `content`.
fn filled(text: &str, name: &str, content: &str) -> String {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&open).unwrap_or_else(|| panic!("{README} has no {open}"));
    let (_, after) = rest.split_once(&close).unwrap_or_else(|| panic!("{README} has no {close}"));
    format!("{before}{open}{content}{close}{after}")
}

fn is_measured(family: &Family) -> bool {
    measured().any(|(measured, _)| measured == family)
}

#[test]
fn tables_follow_the_code() {
    let text = fs::read_to_string(README).unwrap();
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
    let mut expected = filled(&text, "metrics:measures", &measures());
    expected = filled(&expected, "metrics:conferences", &families(of_conference));
    expected = filled(&expected, "metrics:collection", &families(collection));
    expected = filled(&expected, "metrics:own", &families(own));
    expected = filled(&expected, "calls", &calls());
    expected = filled(&expected, "keys", &config::reference());
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
        if let Err(error) = Config::parse(&yaml, Path::new("example.yaml")) {
            panic!("{error}\n{yaml}");
        }
    }
    assert_eq!(examples, Vendor::ALL.len());
}
