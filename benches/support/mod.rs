// SPDX-License-Identifier: Apache-2.0
//! The work that is measured: by the clock in `throughput`, by the instruction in `counted`.

#![allow(dead_code, reason = "each of the two uses its part")]
#![allow(clippy::expect_used, reason = "a failure here is a broken benchmark")]

mod answers;

use std::{
    fmt::Write as _,
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use conferencing_exporter::{
    collect::{Engine, Report, Row, Rows, Snapshot},
    config::{Config, Transport},
    metrics::{
        own::{Own, SourceMeters},
        text::Writer,
    },
    model::{CallName, Measure, Observation},
    net::{Api, client},
    systems::{Running, catalogue},
    web::render::{write_own, write_reports},
};
use quick_xml::events::Event;
use reqwest::StatusCode;
use serde::de::IgnoredAny;
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};

/// One source whose answers are there already, one of them a large one.
pub(crate) struct Decoding {
    large: Arc<str>,
    api: Api,
    system: Arc<dyn Running>,
    /// A login is a task of its own.
    runtime: Runtime,
    measure: Measure,
    expected: u64,
}

impl Decoding {
    /// DingTalk: 50 meetings of 500 people.
    pub(crate) fn dingtalk() -> Self {
        let ids: Vec<_> = (0..50).map(answers::dingtalk_id).collect();
        let settings = format!(
            "app_key: a, app_secret: b, discover: false, conference_ids: [{}]",
            ids.join(", ")
        );
        let login = r#"{"accessToken":"t","expireIn":7200}"#;
        let large = answers::dingtalk(50, 500);
        Self::new("dingtalk", &settings, login, large, (Measure::ConferencesActive, 50))
    }

    /// Huawei: 500 meetings.
    pub(crate) fn huawei() -> Self {
        let settings = "app_id: a, app_key: b";
        let login = r#"{"accessToken":"t","validPeriod":7200,"user":{"adminType":2}}"#;
        let large = answers::huawei(500);
        Self::new("huawei_meeting", settings, login, large, (Measure::ConferencesActive, 500))
    }

    /// Yeastar S-Series: 2,000 rooms.
    pub(crate) fn yeastar_s() -> Self {
        let settings = "username: a, password: b, live: false";
        let login = r#"{"status":"Success","token":"t"}"#;
        let large = answers::yeastar_s(2_000);
        Self::new("yeastar_s", settings, login, large, (Measure::Rooms, 2_000))
    }

    /// BigBlueButton: 500 meetings of 10 people.
    pub(crate) fn bigbluebutton() -> Self {
        let large = answers::bigbluebutton(500, 10);
        let active = (Measure::ConferencesActive, 500);
        Self::new("bigbluebutton", "shared_secret: a", "", large, active)
    }

    fn new(
        vendor: &str,
        settings: &str,
        login: &'static str,
        large: String,
        (measure, expected): (Measure, u64),
    ) -> Self {
        let yaml = format!(
            "sources: [{{ name: a, vendor: {vendor}, base_url: 'http://127.0.0.1:9', {settings} }}]"
        );
        let source = &configuration(&yaml).sources[0];
        let own = Own::new().expect("metrics");
        let meters = SourceMeters::new(&own, vendor, source.profile.calls).expect("metrics");
        let client = client::clients(std::slice::from_ref(source)).pop().expect("a client");
        let api = Api::new(source, client, meters);
        let large: Arc<str> = large.into();
        let answer = Arc::clone(&large);
        let api = api.answered_by(Arc::new(move |call: CallName| {
            let body = match call.as_str() {
                "videoConferences/query"
                | "conferences/online"
                | "conference/query"
                | "getMeetings" => &answer,
                "conferences" => r#"{"data":[],"count":0}"#,
                _ => login,
            };
            (StatusCode::OK, body.as_bytes().to_owned())
        }));
        let system = catalogue().start(source).expect("a known system");
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let decoding = Self { large, api, system, runtime, measure, expected };
        // Logs in.
        decoding.decode();
        decoding
    }

    /// How long the large answer is.
    pub(crate) fn bytes(&self) -> usize {
        self.large.len()
    }

    /// One collection: from the bytes of the answer to numbers.
    pub(crate) fn decode(&self) -> Observation {
        let observation = self.runtime.block_on(self.system.collect(&self.api)).expect("an answer");
        assert_eq!(observation.value(self.measure), Some(self.expected));
        observation
    }

    /// What the parser, `serde_json` or `quick_xml`, needs to skip the same bytes.
    pub(crate) fn skip(&self) {
        let text = black_box(self.large.as_bytes());
        if text.starts_with(b"<") {
            let mut reader = quick_xml::Reader::from_reader(text);
            while !matches!(reader.read_event().expect("XML"), Event::Eof) {}
            return;
        }
        serde_json::from_slice::<IgnoredAny>(text).expect("JSON");
    }
}

/// Sources with per-conference series, and what was collected of them.
pub(crate) struct Rendering {
    own: Arc<Own>,
    engine: Engine,
    reports: Vec<Report>,
}

impl Rendering {
    /// `sources` sources with `conferences` conferences each, two series a conference.
    pub(crate) fn new(sources: usize, conferences: usize) -> Self {
        let own = Own::new().expect("metrics");
        let engine = Engine::new(Arc::clone(&own), catalogue());
        engine.apply(configuration(&yaml(sources))).expect("an engine");
        let configured = engine.sources();
        let reports = configured.iter().map(|source| {
            let mut observation = Observation::new();
            for (measure, value) in Measure::ALL.iter().zip(1..) {
                observation.set(*measure, value);
            }
            let row = |conference| Row {
                label: format!("{:016x}", u64::MAX / 7 * (conference + 1)),
                participants: Some(conference % 97),
                muted: None,
                started_at: Some(1_763_650_800 + conference as i64),
            };
            let rows = Rows { shown: (0..conferences as u64).map(row).collect(), dropped: 0 };
            let duration = Duration::from_micros(12_345);
            let snapshot = Snapshot {
                observation,
                rows: (conferences > 0).then_some(rows),
                fetched_at: SystemTime::UNIX_EPOCH + Duration::from_micros(1_763_650_800_123_456),
                fetched: Instant::now(),
                duration,
            };
            Report {
                source: Arc::clone(source),
                outcome: Ok(Arc::new(snapshot)),
                duration,
                budget: Duration::from_secs(10),
            }
        });
        let reports = reports.collect();
        Self { own, engine, reports }
    }

    /// The text of a scrape, in blocks.
    pub(crate) fn render(&self) -> Vec<String> {
        let mut writer = Writer::default();
        write_reports(&mut writer, black_box(&self.reports));
        writer.finish()
    }

    /// The exporter's own metrics with those of all sources.
    pub(crate) fn render_own(&self) -> Vec<String> {
        let mut writer = Writer::default();
        write_own(&mut writer, &self.own, &self.engine.sources());
        writer.finish()
    }
}

/// A configuration of `sources` sources of all vendors.
pub(crate) fn yaml(sources: usize) -> String {
    let mut yaml = "defaults: { timeout: 5s }\nsources:\n".to_owned();
    let catalogue = catalogue();
    let profiles = catalogue.profiles();
    for index in 0..sources {
        let vendor = profiles[index % profiles.len()];
        let login: Vec<_> =
            vendor.logins[0].required.iter().map(|key| format!("{}: secret", key.name)).collect();
        let login = login.join("\n    ");
        let scheme = match vendor.transport {
            Transport::Http { .. } => "http",
            Transport::Lines { .. } => "tcp",
        };
        // Writing to a String cannot fail.
        let _ = write!(
            yaml,
            "  - name: source-{index}\n    vendor: {vendor}\n    base_url: {scheme}://192.0.2.{}:8088\n    \
             {login}\n    labels: {{ site: site-{} }}\n    conferences: {{ enabled: true }}\n",
            index % 250,
            index % 100
        );
    }
    yaml
}

/// Parses and validates a configuration.
pub(crate) fn configuration(yaml: &str) -> Config {
    Config::parse(yaml, Path::new("bench.yaml"), catalogue().profiles())
        .expect("a configuration")
        .config
}
