// SPDX-License-Identifier: Apache-2.0
//! `check --live --record DIR`: what each source answered, made anonymous, as a file.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    collect::{Adapter, Report},
    recording::{Outcome, Recorder, Replaced},
    systems,
};

/// The recorders of all sources, by their names.
#[derive(Default)]
pub(super) struct Records(Mutex<HashMap<String, Arc<Recorder>>>);

impl Records {
    /// No records yet, to be written into `folder`, which is made where it is not there: before anybody is
    /// asked.
    ///
    /// # Errors
    /// The folder cannot be made, in words.
    pub(super) fn new(folder: &Path) -> Result<Arc<Self>, String> {
        fs::create_dir_all(folder)
            .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
        Ok(Arc::default())
    }

    /// Lets each source be recorded.
    pub(super) fn adapter(self: Arc<Self>) -> Box<Adapter> {
        let catalogue = systems::catalogue();
        Box::new(move |source, api| {
            let recorder = Arc::new(Recorder::new(catalogue.shown(source.profile)));
            let mut recorders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            recorders.insert(source.name.clone(), Arc::clone(&recorder));
            api.observed_by(recorder)
        })
    }

    /// Notes that the collection of the source of that name has ended.
    pub(super) fn collected(&self, name: &str) {
        let recorders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recorder) = recorders.get(name) {
            recorder.collected();
        }
    }

    /// Writes a file for each report, and returns which and what is in it, for people.
    ///
    /// # Errors
    /// What could not be written, in words.
    pub(super) fn write(&self, folder: &Path, reports: &[Report]) -> Result<String, String> {
        let recorders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut said = String::new();
        for report in reports {
            let name = report.source.name();
            let Some(recorder) = recorders.get(name) else { continue };
            let path = folder.join(format!("{name}.json"));
            let outcome = report.outcome.as_deref().map(|snapshot| &snapshot.observation);
            let recording = recorder
                .recording(&report.source.config, Outcome::of(outcome))
                .map_err(|error| format!("{name}: the file of ids cannot be read: {error}"))?;
            let text = recording.to_text().map_err(|error| format!("{name}: {error}"))?;
            fs::write(&path, text)
                .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
            let failed = if report.outcome.is_ok() { "" } else { " of a source that failed" };
            said.push_str(&format!(
                "{}: a recording{failed}; {}\n",
                path.display(),
                replaced(recorder.replaced())
            ));
        }
        said.push_str(
            "Look at a file before you give it away; docs/wrong-number.md says what is in it.\n",
        );
        Ok(said)
    }
}

/// What was replaced, in words.
fn replaced(replaced: Replaced) -> String {
    let Replaced { texts, numbers, times, keys } = replaced;
    let mut words = format!("replaced: {texts} texts, {numbers} numbers, {times} times");
    if keys > 0 {
        words.push_str(&format!(", {keys} keys that are not in the vendor's documentation"));
    }
    words
}
