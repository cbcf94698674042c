// SPDX-License-Identifier: Apache-2.0
//! A strict reader of Prometheus' text format 0.0.4: it refuses what Prometheus or its linter
//! would refuse.

use std::collections::{BTreeMap, HashMap, HashSet};

/// One series and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// A whole scrape.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    pub samples: Vec<Sample>,
    pub types: HashMap<String, String>,
}

impl Exposition {
    /// Reads `text`; panics where Prometheus would refuse it, at a family that comes in two
    /// pieces, at a series without type and help, and at any series that comes twice.
    pub fn parse(text: &str) -> Self {
        assert!(text.is_empty() || text.ends_with('\n'), "no newline at the end");
        let mut parsed = Self::default();
        let mut helped = HashSet::new();
        let mut series = HashSet::new();
        let mut finished = HashSet::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect(line);
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "help of {name}");
                continue;
            }
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect(line);
                assert!(matches!(kind, "gauge" | "counter" | "histogram"), "{line}");
                assert!(helped.contains(name), "{name} has no help");
                assert!(
                    parsed.types.insert(name.to_owned(), kind.to_owned()).is_none(),
                    "{line} twice"
                );
                if !current.is_empty() {
                    finished.insert(current);
                }
                current = name.to_owned();
                continue;
            }
            let sample = sample(line);
            let family = parsed.family(&sample.name);
            assert!(!finished.contains(&family), "{family} comes in pieces");
            assert_eq!(family, current, "{line}");
            assert!(series.insert((sample.name.clone(), sample.labels.clone())), "{line} twice");
            parsed.samples.push(sample);
        }
        parsed
    }

    fn family(&self, name: &str) -> String {
        let base =
            ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        match base.filter(|base| self.types.get(*base).is_some_and(|kind| kind == "histogram")) {
            Some(base) => base.to_owned(),
            None => {
                assert!(self.types.contains_key(name), "{name} has no type");
                name.to_owned()
            }
        }
    }

    /// The samples of `name` that carry all of `labels`.
    pub fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| {
            let carries = |(key, value): &(&str, &str)| {
                sample.labels.get(*key).is_some_and(|found| found == value)
            };
            sample.name == name && labels.iter().all(carries)
        })
    }

    /// The value of the one sample of `name` that carries all of `labels`; `None` without one.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.matching(name, labels);
        let first = found.next()?;
        assert_eq!(found.next(), None, "{name} {labels:?} is not one series");
        Some(first.value)
    }

    /// The sum of the samples of `name` that carry all of `labels`.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    /// The names of the series of `source`.
    pub fn names_of(&self, source: &str) -> HashSet<&str> {
        let of_source = |sample: &&Sample| sample.labels.get("source").is_some_and(|s| s == source);
        self.samples.iter().filter(of_source).map(|sample| sample.name.as_str()).collect()
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect(line);
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        number => {
            assert!(number.starts_with(|c: char| c == '-' || c.is_ascii_digit()), "{line}");
            number.parse().expect(line)
        }
    };
    let (name, labels) = match series.split_once('{') {
        None => (series, BTreeMap::new()),
        Some((name, rest)) => (name, labels(rest.strip_suffix('}').expect(line))),
    };
    assert!(is_name(name), "{line}");
    Sample { name: name.to_owned(), labels, value }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn labels(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect(text);
        assert!(is_name(name), "{text}");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect(text) {
                (_, '\\') => match chars.next().expect(text).1 {
                    'n' => value.push('\n'),
                    c @ ('\\' | '"') => value.push(c),
                    other => panic!("\\{other} in {text}"),
                },
                (end, '"') => break end,
                (_, c) => value.push(c),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "{name} twice in {text}");
        rest = &after[end + 1..];
        rest = match rest.strip_prefix(',') {
            Some(more) => more,
            None => {
                assert!(rest.is_empty(), "{text}");
                rest
            }
        };
    }
    labels
}
