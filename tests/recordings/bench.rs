// SPDX-License-Identifier: Apache-2.0
//! Recording what the sources of a configuration answer, and replaying it, without files.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
};

use conferencing_exporter::{
    collect::{Budget, Engine, Selection},
    config::Config,
    metrics::own::Own,
    recording::{Outcome, Recorder, Recording, Replay},
    systems::catalogue,
};
use futures_util::future::join_all;

/// Collects each source of `yaml` once, and returns the text of each recording.
pub(crate) async fn record(yaml: &str) -> Vec<String> {
    let recorders: Arc<Mutex<HashMap<String, Arc<Recorder>>>> = Arc::default();
    let of_all = Arc::clone(&recorders);
    let engine =
        Engine::new(Own::new().unwrap(), catalogue()).adapting(Box::new(move |source, api| {
            let recorder = Arc::new(Recorder::new(catalogue().shown(source.profile)));
            of_all.lock().unwrap().insert(source.name.clone(), Arc::clone(&recorder));
            api.observed_by(recorder)
        }));
    let loaded = Config::parse(yaml, Path::new("test.yaml"), catalogue().profiles());
    engine.apply(loaded.unwrap_or_else(|error| panic!("{error}\n{yaml}")).config).unwrap();
    let selected = engine.select(Selection::All).unwrap();
    let collected = selected.sources().iter().map(|source| {
        let recorders = Arc::clone(&recorders);
        async move {
            let report = Arc::clone(source).collect(Budget::default()).await;
            recorders.lock().unwrap()[source.name()].collected();
            report
        }
    });
    let reports = join_all(collected).await;
    drop(selected);
    engine.shutdown().await;
    let recorders = recorders.lock().unwrap();
    let text = |report: &conferencing_exporter::collect::Report| {
        let outcome = report.outcome.as_deref().map(|snapshot| &snapshot.observation);
        let recorder = &recorders[report.source.name()];
        let recording = recorder.recording(&report.source.config, Outcome::of(outcome)).unwrap();
        recording.to_text().unwrap()
    };
    reports.iter().map(text).collect()
}

/// What a recording says came of its collection, and what comes of its replay; and the calls that
/// the recording has no answer to.
pub(crate) async fn replay(text: &str) -> (Outcome, Outcome, Vec<&'static str>) {
    let recording = Recording::parse(text).unwrap_or_else(|invalid| panic!("{invalid}\n{text}"));
    assert!(recording.is_unchanged(), "{text}");
    let replay = Arc::new(Replay::new(&recording).unwrap());
    let stand_in = Arc::clone(&replay);
    let engine = Engine::new(Own::new().unwrap(), catalogue())
        .adapting(Box::new(move |_, api| api.answered_by(Arc::clone(&stand_in) as _)));
    let source = recording.source("replayed", catalogue().profiles()).unwrap();
    engine.apply(Config { sources: vec![source] }).unwrap();
    let selected = engine.select(Selection::All).unwrap();
    let report = engine.collect(&selected, Budget::default()).await.pop().unwrap();
    let outcome = report.outcome.as_deref().map(|snapshot| &snapshot.observation);
    let missing = replay.missing().iter().map(|call| call.as_str()).collect();
    (recording.outcome, Outcome::of(outcome), missing)
}
