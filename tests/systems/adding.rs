// SPDX-License-Identifier: Apache-2.0
//! docs/adding-a-system.md holds what it promises: a system that is not in the catalogue, added to
//! it, is configured, collected, shown, explained and documented.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a failure here is a failed test")]

#[path = "../fixtures/tinyconf/mod.rs"]
mod tinyconf;

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use crate::common::exposition::Exposition;
use conferencing_exporter::{
    collect::{Budget, Engine, Report, Selection},
    config::{self, Config, LoadError, Loaded},
    metrics::{own::Own, text::Writer},
    model::{Measure, Reason},
    net::Failure,
    systems::{Catalogue, System, advice, catalogue},
    web::render::{write_own, write_reports},
};
use tinyconf::{
    Tinyconf,
    simulated::{State, start},
};

fn extended() -> Catalogue {
    catalogue().with::<Tinyconf>()
}

fn load(keys: &str) -> Result<Loaded, LoadError> {
    let yaml = format!("sources: [{{ name: tiny, vendor: tinyconf, {keys} }}]");
    Config::parse(&yaml, Path::new("test.yaml"), extended().profiles())
}

/// A simulated server, and an engine with one source for it.
struct Bench {
    address: SocketAddr,
    server: Arc<Mutex<State>>,
    engine: Engine,
}

impl Bench {
    async fn new(keys: &str) -> Self {
        let engine = Engine::new(Own::new().unwrap(), extended());
        let (address, server) = start().await;
        let bench = Self { address, server, engine };
        bench.apply(keys).await;
        bench
    }

    async fn apply(&self, keys: &str) {
        let address = self.address;
        let keys = format!("base_url: http://{address}, user: u, secret: s{keys}");
        self.engine.apply(load(&keys).unwrap().config).unwrap();
    }

    async fn report(&self) -> Report {
        let sources = self.engine.select(Selection::All).unwrap();
        self.engine.collect(&sources, Budget::default()).await.pop().unwrap()
    }

    async fn fail(&self) -> Failure {
        self.report().await.outcome.map(drop).unwrap_err()
    }

    /// How many tokens are alive, and how many were ever given.
    fn tokens(&self) -> (usize, usize) {
        let state = self.server.lock().unwrap();
        (state.tokens.len(), state.logins)
    }

    fn fail_with(&self, failure: &'static str) {
        self.server.lock().unwrap().failure = Some(failure);
    }
}

#[tokio::test]
async fn it_is_collected_and_shown() {
    let bench = Bench::new(", lobby: true").await;
    let report = bench.report().await;
    assert_eq!(report.source.profile().title, "Tinyconf");
    let mut writer = Writer::default();
    write_reports(&mut writer, &[report]);
    let shown = Exposition::parse(&writer.finish().concat());
    for (name, label, value) in [
        ("conferencing_up", ("vendor", "tinyconf"), 1.0),
        ("conferencing_conferences", ("state", "active"), 2.0),
        ("conferencing_participants", ("state", "joined"), 8.0),
        ("conferencing_participants", ("state", "waiting"), 2.0),
        ("conferencing_largest_conference_participants", ("source", "tiny"), 5.0),
        ("conferencing_source_capability", ("capability", "participants_waiting"), 1.0),
        ("conferencing_source_capability", ("capability", "rooms"), 0.0),
    ] {
        assert_eq!(shown.value(name, &[label]), Some(value), "{name} {label:?}");
    }
    let own = Own::new().unwrap();
    let mut writer = Writer::default();
    write_own(&mut writer, &own, &bench.engine.sources());
    let own = Exposition::parse(&writer.finish().concat());
    let requests = |call| own.value("conferencing_api_requests_total", &[("call", call)]);
    assert_eq!(requests("session"), Some(1.0));
    assert_eq!(requests("conferences"), Some(1.0));
    assert_eq!(requests("session/delete"), Some(0.0));
}

#[tokio::test]
async fn its_session_is_kept_renewed_and_given_back() {
    let bench = Bench::new("").await;
    for _ in 0..3 {
        bench.report().await.outcome.unwrap();
    }
    assert_eq!(bench.tokens(), (1, 1), "one login for three collections");
    bench.apply(", lobby: true").await;
    let snapshot = bench.report().await.outcome.unwrap();
    assert_eq!(snapshot.observation.value(Measure::ParticipantsWaiting), Some(2));
    assert_eq!(bench.tokens(), (1, 1), "the same session after a reload");
    bench.server.lock().unwrap().tokens.clear();
    bench.report().await.outcome.unwrap();
    assert_eq!(bench.tokens(), (1, 2), "a new login where the token is no longer known");
    bench.engine.shutdown().await;
    assert_eq!(bench.tokens(), (0, 2), "given back");
}

#[tokio::test]
async fn what_is_wrong_with_it_is_explained() {
    let bench = Bench::new("").await;
    bench.fail_with("bad_secret");
    let failure = bench.fail().await;
    assert_eq!(failure.reason(), Reason::Auth);
    let said = advice(Tinyconf::PROFILE, &failure);
    assert_eq!(said, "check user and secret: Tinyconf > Settings > API");
    assert!(matches!(bench.fail().await, Failure::HeldBack { .. }), "not tried again at once");

    let bench = Bench::new("").await;
    bench.fail_with("no_license");
    let failure = bench.fail().await;
    assert_eq!((failure.reason(), failure.code()), (Reason::Forbidden, Some("no_license")));
    let said = advice(Tinyconf::PROFILE, &failure);
    assert_eq!(said, "the API needs a license: Tinyconf > Settings > License");
}

#[test]
fn its_keys_are_checked_and_documented() {
    let problem = |keys: &str| load(keys).unwrap_err().to_string();
    assert!(problem("user: u, secret: s").contains("add `base_url`"));
    let lacking = problem("base_url: http://127.0.0.1, user: u");
    assert!(lacking.contains("add `secret`, `secret_file` or `secret_env`"), "{lacking}");
    let foreign = problem("base_url: http://127.0.0.1, user: u, secret: s, live: true");
    assert!(foreign.contains("not of tinyconf"), "{foreign}");
    let reference = config::reference(extended().profiles());
    assert!(reference.contains("**`tinyconf`: log in with `user` + `secret`**"), "{reference}");
    assert!(reference.contains("| `lobby` | `true`, `false` | `false` | Count the people"));
    let schema = config::schema(extended().profiles());
    assert_eq!(schema["$defs"]["tinyconf"]["properties"]["lobby"]["default"], false);
    // Without it the exporter does not know the word.
    let builtin = Config::parse(
        "sources: [{ name: a, vendor: tinyconf }]",
        Path::new("test.yaml"),
        catalogue().profiles(),
    );
    assert!(builtin.unwrap_err().to_string().contains("unknown value"));
}

#[test]
fn the_page_shows_the_code_that_was_tested() {
    let folder = Path::new("tests/fixtures/tinyconf");
    let files = ["mod.rs", "login.rs", "codes.rs", "answers.rs"];
    // Without indentation: a part of a block stands at the margin of the page.
    let flush = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let code = files.map(|file| flush(&fs::read_to_string(folder.join(file)).unwrap())).concat();
    let page = fs::read_to_string("docs/adding-a-system.md").unwrap();
    let blocks: Vec<_> = page.split("```rust\n").skip(1).collect();
    assert!(blocks.len() > 5, "the page shows code");
    for block in blocks {
        let (block, _) = block.split_once("```").unwrap();
        assert!(code.contains(&flush(block)), "this is not in {}:\n{block}", folder.display());
    }
}
