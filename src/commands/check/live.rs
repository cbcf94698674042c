// SPDX-License-Identifier: Apache-2.0
//! `check --live`: logs in to each source, queries it once, prints the result, logs out.
//! Meant for connecting a new system.

use std::{path::Path, sync::Arc};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::runtime::Builder;

use super::{progress::Progress, record::Records, table::table};
use crate::{
    cli::Exit,
    collect::{Budget, Engine, Report, Selection, Source},
    commands::{fail, print, signals::Signals},
    config::Config,
    metrics::own::Own,
    systems,
};

/// Asks the sources of `names`, or all; prints the table to standard output. Where there is a folder,
/// writes a recording of each source into it.
pub(super) fn run(config: Config, names: &[String], folder: Option<&Path>) -> Exit {
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}"), Exit::Failed),
    };
    let exit = runtime.block_on(ask(config, names, folder));
    // A name server that does not answer must not keep the process.
    runtime.shutdown_background();
    exit
}

async fn ask(config: Config, names: &[String], folder: Option<&Path>) -> Exit {
    let mut engine = match Own::new() {
        Ok(own) => Engine::new(own, systems::catalogue()),
        Err(error) => return fail(&error.to_string(), Exit::Failed),
    };
    let records = match folder.map(Records::new).transpose() {
        Ok(records) => records,
        Err(problem) => return fail(&problem, Exit::Unusable),
    };
    if let Some(records) = &records {
        engine = engine.adapting(Arc::clone(records).adapter());
    }
    if let Err(error) = engine.apply(config) {
        return fail(&error.to_string(), Exit::Unusable);
    }
    let selection = if names.is_empty() { Selection::All } else { Selection::Named(names) };
    let sources = match engine.select(selection) {
        Ok(sources) => sources,
        Err(unknown) => {
            let known: Vec<_> = engine.sources().iter().map(|s| s.name().to_owned()).collect();
            let problem = format!("no source is named {unknown}; there are: {}", known.join(", "));
            return fail(&problem, Exit::Unusable);
        }
    };
    let collected = collect(sources.sources(), |source| {
        if let Some(records) = &records {
            records.collected(source.name());
        }
    });
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return fail(&format!("cannot handle signals: {error}"), Exit::Failed),
    };
    let stopped = || fail("stopped by a signal, with nothing to show", Exit::Failed);
    let reports = tokio::select! {
        reports = collected => Some(reports),
        _ = signals.next() => None,
    };
    // First, so that the log-outs are among the requests that are shown, and recorded. After a signal, of
    // a terminal that is closed too: a system has few tokens. A second signal stops at once.
    tokio::select! {
        () = engine.shutdown() => {}
        _ = signals.next() => return stopped(),
    }
    let Some(reports) = reports else { return stopped() };
    let mut printed = print(table(&reports, |_| Vec::new()).as_bytes());
    if let (Some(folder), Some(records)) = (folder, records) {
        match records.write(folder, &reports) {
            Ok(said) if printed == Exit::Done => printed = print(said.as_bytes()),
            Ok(_) => {}
            Err(problem) => return fail(&problem, Exit::Failed),
        }
    }
    if reports.iter().all(|report| report.outcome.is_ok()) { printed } else { Exit::Failed }
}

/// Collects the sources; `ended` is told of each as soon as its collection has ended.
pub(super) async fn collect(sources: &[Arc<Source>], ended: impl Fn(&Source)) -> Vec<Report> {
    let mut asked: FuturesUnordered<_> = sources
        .iter()
        .cloned()
        .enumerate()
        .map(|(index, source)| async move { (index, source.collect(Budget::default()).await) })
        .collect();
    let mut progress = Progress::new(sources.iter().map(|source| source.name()));
    let mut reports = Vec::with_capacity(sources.len());
    while let Some(report) = asked.next().await {
        ended(&report.1.source);
        progress.ended(report.1.source.name());
        reports.push(report);
    }
    drop(progress);
    reports.sort_by_key(|(index, _)| *index);
    reports.into_iter().map(|(_, report)| report).collect()
}
