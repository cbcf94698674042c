// SPDX-License-Identifier: Apache-2.0
//! What the tests share: a strict reader of the text format, an engine on a configuration, and
//! the simulator's truth under the names of the contract.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is a failed test")]

pub mod binary;
pub mod exposition;
pub mod faults;
pub mod genuine;
pub mod real_asterisk;
pub mod refusing;
pub mod relay;
pub mod script;
pub mod slow;
pub mod tls;
pub mod wait;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use conferencing_exporter::{
    collect::{Budget, Engine, Report, Selection},
    config::Config,
    limits,
    metrics::{own::Own, text::Writer},
    systems::{advice, catalogue},
    web::render,
};
use simulator::{Truth, Vendor};

use exposition::Exposition;

/// An engine and its registry, without a web server.
pub struct Bench {
    pub engine: Engine,
    pub own: Arc<Own>,
}

impl Bench {
    /// An engine on `yaml`, the text of a configuration file.
    pub async fn new(yaml: &str) -> Self {
        // As the program does: how many requests may be under way is decided at the first one.
        limits::raise_open_files();
        let own = Own::new().unwrap();
        let bench = Self { engine: Engine::new(Arc::clone(&own), catalogue()), own };
        bench.apply(yaml).await;
        bench
    }

    /// Puts another configuration to work.
    pub async fn apply(&self, yaml: &str) {
        let loaded = match Config::parse(yaml, Path::new("test.yaml"), catalogue().profiles()) {
            Ok(loaded) => loaded,
            Err(error) => panic!("{error}\n{yaml}"),
        };
        self.engine.apply(loaded.config).unwrap();
    }

    /// Collects all sources.
    pub async fn reports(&self) -> Vec<Report> {
        self.engine.collect(&self.engine.select(Selection::All).unwrap(), Budget::default()).await
    }

    /// Collects all sources and renders what `/probe` would answer.
    pub async fn scrape(&self) -> Exposition {
        let mut writer = Writer::default();
        render::write_reports(&mut writer, &self.reports().await);
        Exposition::parse(&writer.finish().concat())
    }

    /// The exporter's own metrics.
    pub fn own(&self) -> Exposition {
        let mut writer = Writer::default();
        render::write_own(&mut writer, &self.own, &self.engine.sources());
        Exposition::parse(&writer.finish().concat())
    }

    /// Why the only source is down, and what a person is told to do.
    pub async fn failure(&self) -> (String, String) {
        let reports = self.reports().await;
        let failure = reports[0].outcome.as_ref().unwrap_err();
        let advice = advice(reports[0].source.profile(), failure);
        (failure.reason().to_string(), advice.into_owned())
    }

    /// How many requests failed for `reason`, over all sources.
    pub fn errors(&self, reason: &str) -> f64 {
        self.own().sum("conferencing_api_errors_total", &[("reason", reason)])
    }
}

/// The configuration of one source named after its vendor, at `url`, with `extra` lines of YAML.
pub fn source(vendor: Vendor, url: &str, extra: &[&str]) -> String {
    let credentials = credentials(vendor);
    let credentials: Vec<_> = credentials.iter().map(String::as_str).collect();
    entry(vendor.as_str(), vendor, url, &[&credentials, extra].concat())
}

/// The lines that log in to a simulated system in its usual way, and ask it at each scrape.
pub fn credentials(vendor: Vendor) -> Vec<String> {
    let way = simulator::credentials(vendor).ways[0];
    let mut lines: Vec<_> = way.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    let catalogue = catalogue();
    let profile = catalogue.profiles().iter().find(|known| known.name == vendor.as_str()).unwrap();
    if profile.min_interval != "0s" {
        lines.push("min_interval: 0s".to_owned());
    }
    lines
}

/// The configuration of one source without any default of the tests.
pub fn entry(name: &str, vendor: Vendor, url: &str, lines: &[&str]) -> String {
    let mut yaml =
        format!("  - name: {name}\n    vendor: {}\n    base_url: {url}\n", vendor.as_str());
    for line in lines {
        yaml.push_str(&format!("    {line}\n"));
    }
    yaml
}

/// The `hosts` key for these meetings and their passwords.
pub fn hosts(known: &[(String, String)]) -> String {
    let entry = |(id, password): &(String, String)| {
        format!("{{ conference_id: \"{id}\", password: \"{password}\" }}")
    };
    format!("hosts: [{}]", known.iter().map(entry).collect::<Vec<_>>().join(", "))
}

/// A configuration of these sources.
pub fn config(sources: &[String]) -> String {
    format!("sources:\n{}", sources.concat())
}

/// A measure by the contract's name, its `state` label, and what the simulator knows of it.
pub type Expected = (&'static str, Option<&'static str>, Option<u64>);

/// The measures every PBX and cloud could report, with `truth`'s numbers.
pub fn expected(truth: &Truth) -> Vec<Expected> {
    vec![
        ("conferencing_conferences", Some("active"), truth.conferences_active),
        ("conferencing_conferences", Some("scheduled"), truth.conferences_scheduled),
        ("conferencing_participants", Some("joined"), truth.participants_joined),
        ("conferencing_participants", Some("waiting"), truth.participants_waiting),
        ("conferencing_participants", Some("joining"), truth.participants_joining),
        ("conferencing_participants", Some("invited"), truth.participants_invited),
        ("conferencing_invitees", None, truth.participants_invited_total),
        ("conferencing_participants_muted", None, truth.participants_muted),
        ("conferencing_participants_mute_reported", None, truth.participants_mute_reported),
        ("conferencing_participants_camera_on", None, truth.participants_camera_on),
        ("conferencing_participants_hand_raised", None, truth.participants_hand_raised),
        ("conferencing_participants_moderators", None, truth.participants_moderators_hosts),
        (
            "conferencing_largest_conference_participants",
            None,
            truth.largest_conference_participants,
        ),
        ("conferencing_conferences_mute_on_join", None, truth.conferences_mute_on_join),
        ("conferencing_conferences_all_muted", None, truth.conferences_all_muted),
        ("conferencing_conferences_locked", None, truth.conferences_locked),
        ("conferencing_conferences_recording", None, truth.conferences_recording),
        ("conferencing_rooms", None, truth.rooms),
        ("conferencing_rooms_mute_on_join", None, truth.rooms_mute_on_join),
        ("conferencing_rooms_wait_for_moderator", None, truth.rooms_wait_for_moderator),
        ("conferencing_rooms_allow_invite", None, truth.rooms_allow_invite),
        ("conferencing_rooms_music_on_hold", None, truth.rooms_music_on_hold),
        ("conferencing_rooms_moderated", None, truth.rooms_moderated),
        ("conferencing_rooms_pin_protected", None, truth.rooms_pin_protected),
    ]
}

/// What was scraped of these measures, each by the contract's name and its `state` label.
pub fn numbers<const N: usize>(
    scraped: &Exposition,
    measures: [(&str, Option<&str>); N],
) -> [u64; N] {
    measures.map(|(name, state)| {
        let labels: Vec<_> = state.map(|state| ("state", state)).into_iter().collect();
        let value = scraped.value(name, &labels);
        value.unwrap_or_else(|| panic!("no {name} {state:?}")) as u64
    })
}

/// Compares what was scraped of the source named after `vendor` with `truth`; the measures of
/// `absent` (name, or name and state) must be missing whatever the truth knows.
pub fn assert_truth(
    scraped: &Exposition,
    vendor: Vendor,
    truth: &Truth,
    absent: &[(&str, Option<&str>)],
) {
    for (name, state, value) in expected(truth) {
        let mut labels = vec![("source", vendor.as_str())];
        labels.extend(state.map(|state| ("state", state)));
        let value = if absent.contains(&(name, state)) { None } else { value };
        assert_eq!(
            scraped.value(name, &labels),
            value.map(|value| value as f64),
            "{vendor:?}: {name} {state:?}"
        );
    }
    let largest = "conferencing_largest_conference_participants";
    let is_absent = absent.contains(&(largest, None)) || truth.conferences_active.is_none();
    let sizes = if is_absent { BTreeMap::new() } else { by_size(truth) };
    let of_source = [("source", vendor.as_str())];
    let found = scraped
        .matching("conferencing_conferences_by_size", &of_source)
        .map(|sample| (sample.labels["participants"].as_str(), sample.value as u64))
        .collect();
    assert_eq!(sizes, found, "{vendor:?}");
}

/// The active conferences by size, as `conferencing_conferences_by_size` shows them.
pub fn by_size(truth: &Truth) -> BTreeMap<&'static str, u64> {
    let classes = ["0", "1", "2-5", "6-10", "11-25", "26-50", "51-100", "101+"];
    let mut sizes = BTreeMap::from(classes.map(|class| (class, 0)));
    for conference in &truth.conferences {
        let class = match conference.participants {
            0 => "0",
            1 => "1",
            2..=5 => "2-5",
            6..=10 => "6-10",
            11..=25 => "11-25",
            26..=50 => "26-50",
            51..=100 => "51-100",
            _ => "101+",
        };
        *sizes.entry(class).or_default() += 1;
    }
    sizes
}
