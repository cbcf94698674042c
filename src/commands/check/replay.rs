// SPDX-License-Identifier: Apache-2.0
//! `check --replay FILE...`: the numbers of recordings, made again from the files alone.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::runtime::Builder;

use super::{live, table::table};
use crate::{
    cli::Exit,
    collect::{Engine, Report, Selection},
    commands::{fail, print},
    config::Config,
    metrics::own::Own,
    recording::{Outcome, Recording, Replay},
    systems,
};

/// A longer file is no recording: a wrong path, or a device that never ends.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Name of a source whose file has a name that no source can have.
const NAMELESS: &str = "recording";

/// A file that is to be replayed.
struct Item {
    /// Name of the source that stands for it.
    name: String,
    recording: Recording,
    replay: Arc<Replay>,
}

/// Replays the files; prints the table to standard output.
pub(super) fn run(files: &[PathBuf]) -> Exit {
    let mut items: Vec<Item> = Vec::new();
    let mut exit = Exit::Done;
    for path in files {
        match read(path) {
            Ok((recording, replay)) => {
                let name = name_of(path, &items);
                items.push(Item { name, recording, replay });
            }
            Err(problem) => exit = fail(&format!("{}: {problem}", path.display()), Exit::Unusable),
        }
    }
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}"), Exit::Failed),
    };
    match runtime.block_on(replay(&items)) {
        Err(problem) => fail(&problem, Exit::Failed),
        Ok(replayed) if exit == Exit::Done => replayed,
        Ok(_) => exit,
    }
}

fn read(path: &Path) -> Result<(Recording, Arc<Replay>), String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| format!("it cannot be read: {error}"))?;
    file.take(MAX_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| format!("it cannot be read: {error}"))?;
    let recording = Recording::parse(&text).map_err(|invalid| invalid.to_string())?;
    let replay = Replay::new(&recording).map_err(|invalid| invalid.to_string())?;
    recording
        .source(NAMELESS, systems::catalogue().profiles())
        .map_err(|invalid| invalid.to_string())?;
    Ok((recording, Arc::new(replay)))
}

/// The file's name without its ending, where a source can be called so and none is yet.
fn name_of(path: &Path, items: &[Item]) -> String {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let is_name = (1..=63).contains(&stem.len()) && stem.chars().all(allowed);
    let is_taken = |name: &str| items.iter().any(|item| item.name == name);
    if is_name && !is_taken(stem) {
        stem.to_owned()
    } else {
        format!("{NAMELESS}-{}", items.len() + 1)
    }
}

/// Prints the table; fails where a number is not the one that was recorded.
async fn replay(items: &[Item]) -> Result<Exit, String> {
    let mut reports = Vec::with_capacity(items.len());
    let mut lines = Vec::with_capacity(items.len());
    let mut all_same = true;
    for item in items {
        let report = item.report().await?;
        let outcome = report.outcome.as_deref().map(|snapshot| &snapshot.observation);
        let compared = item.compared(&Outcome::of(outcome));
        all_same &= compared.is_empty();
        lines.push(item.details(compared));
        reports.push(report);
    }
    let mut printed = Exit::Done;
    if !reports.is_empty() {
        printed = print(table(&reports, |index| lines[index].clone()).as_bytes());
    }
    Ok(if all_same { printed } else { Exit::Failed })
}

impl Item {
    /// What a collection finds that gets its answers from the file. Each file has an engine of its
    /// own: nothing that one source learns may reach another.
    async fn report(&self) -> Result<Report, String> {
        let catalogue = systems::catalogue();
        let source = self.recording.source(&self.name, catalogue.profiles());
        let config = Config { sources: vec![source.map_err(|invalid| invalid.to_string())?] };
        let own = Own::new().map_err(|error| error.to_string())?;
        let replay = Arc::clone(&self.replay);
        let engine = Engine::new(own, catalogue)
            .adapting(Box::new(move |_, api| api.answered_by(Arc::clone(&replay) as _)));
        engine.apply(config).map_err(|error| error.to_string())?;
        let selected = engine.select(Selection::All)?;
        // No session is to be closed: nobody was asked.
        let report = live::collect(selected.sources(), |_| ()).await.pop();
        report.ok_or_else(|| format!("{}: nothing to replay", self.name))
    }

    /// What is not as it was recorded, a line each.
    fn compared(&self, now: &Outcome) -> Vec<String> {
        let mut lines = self.recording.outcome.differences(now);
        let missing = self.replay.missing();
        let calls = missing.iter().map(|call| call.as_str());
        lines.extend(calls.map(|call| format!("{call} has no answer in the recording")));
        if !self.recording.is_unchanged() {
            lines.push("the file was changed after it was recorded".to_owned());
        }
        lines
    }

    /// The lines below the row.
    fn details(&self, compared: Vec<String>) -> Vec<String> {
        let mut lines =
            vec![if compared.is_empty() { "as recorded" } else { "not as recorded:" }.to_owned()];
        lines.extend(compared.into_iter().map(|line| format!("  {line}")));
        let (before, now) = (&self.recording.exporter, env!("CARGO_PKG_VERSION"));
        if before != now {
            lines.push(format!("recorded by version {before}, replayed by {now}"));
        }
        lines
    }
}
