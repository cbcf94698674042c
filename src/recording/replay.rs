// SPDX-License-Identifier: Apache-2.0
//! Answers from a recording in place of the source it was made of.

use std::{
    collections::{HashMap, VecDeque},
    fmt::Write as _,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hyper::StatusCode;
use jiff::Timestamp;

use super::{
    Invalid, Outcome, Recording,
    file::{Body, CallOutcome, Setting},
    pseudonym::{expanded, id},
    xml,
};
use crate::{
    config::{
        Config, Profile, Source,
        keys::{Key, Kind},
    },
    model::{CallName, Reason},
    net::{StandIn, StandInAnswer},
};

/// Stands for whatever a login needs: nobody is asked.
const CREDENTIAL: &str = "recording";

/// Nothing in a recording takes longer than this, but what never had an answer: the replay gives up
/// as the collection did.
const TIMEOUT: &str = "2s";

/// The answers of a recording, in the order of the calls they belong to.
pub struct Replay {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the name of the call, and which of several it is.
    answers: HashMap<(String, String), VecDeque<StandInAnswer>>,
    /// Calls that were made and are not in the recording, each once.
    missing: Vec<CallName>,
    /// The collection failed: what is not in the recording may not have been asked for any more.
    failed: bool,
}

impl Replay {
    /// The answers of `recording`, with times as if it had been made now.
    ///
    /// # Errors
    /// Something in it cannot be meant.
    pub fn new(recording: &Recording) -> Result<Self, Invalid> {
        let damaged = |problem: &dyn std::fmt::Display| Invalid::Damaged(problem.to_string());
        let now = Timestamp::now();
        let failed = matches!(recording.outcome, Outcome::Failed(_));
        let mut state = State { failed, ..State::default() };
        for exchange in &recording.answers {
            let about = exchange.about.as_deref().map_or_else(|| Ok(String::new()), id);
            let about = about.map_err(|error| damaged(&error))?;
            let given = match &exchange.came {
                CallOutcome::Answer { status, body, .. } => answered(*status, body, now)?,
                CallOutcome::Failure(reason) => {
                    let known = Reason::ALL.into_iter().find(|known| known.as_str() == reason);
                    let unknown = || damaged(&format!("unknown reason {reason:?}"));
                    StandInAnswer::Failure(known.ok_or_else(unknown)?)
                }
                CallOutcome::Nothing => StandInAnswer::Nothing,
            };
            state.answers.entry((exchange.call.clone(), about)).or_default().push_back(given);
        }
        Ok(Self { state: Mutex::new(state) })
    }

    /// Calls that were made and are not in the recording, each once.
    pub fn missing(&self) -> Vec<CallName> {
        self.state().missing.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StandIn for Replay {
    fn answer(&self, call: CallName, about: &str) -> StandInAnswer {
        let mut state = self.state();
        let key = (call.as_str().to_owned(), about.to_owned());
        if let Some(given) = state.answers.get_mut(&key).and_then(VecDeque::pop_front) {
            return given;
        }
        if state.failed {
            return StandInAnswer::Nothing;
        }
        if !state.missing.contains(&call) {
            state.missing.push(call);
        }
        StandInAnswer::Failure(Reason::Connect)
    }
}

fn answered(status: u16, body: &Body, now: Timestamp) -> Result<StandInAnswer, Invalid> {
    let status = StatusCode::from_u16(status)
        .map_err(|_| Invalid::Damaged(format!("{status} is no HTTP status")))?;
    let body = match body {
        Body::Json(node) => {
            let damaged = |problem: &dyn std::fmt::Display| Invalid::Damaged(problem.to_string());
            let node = expanded(node, now).map_err(|error| damaged(&error))?;
            serde_json::to_vec(&node).map_err(|error| damaged(&error))?
        }
        Body::Xml(node) => {
            let node = expanded(node, now).map_err(|error| Invalid::Damaged(error.to_string()))?;
            xml::write(&node).into_bytes()
        }
        Body::Empty => Vec::new(),
        Body::Unreadable { begins_like_json, phrases } => {
            let first = if *begins_like_json { "{" } else { "<" };
            format!("{first} {}", phrases.join(" ")).into_bytes()
        }
    };
    Ok(StandInAnswer::Answer(status, body))
}

impl Recording {
    /// The configuration of a source of that `name` which asks what the recorded one asked.
    ///
    /// # Errors
    /// It is of a system that this exporter does not know, or its keys are none of that system.
    pub fn source(&self, name: &str, profiles: &[&'static Profile]) -> Result<Source, Invalid> {
        let damaged = |problem: String| Invalid::Damaged(problem);
        let profile = profiles.iter().find(|profile| profile.name == self.vendor);
        let profile = profile
            .ok_or_else(|| damaged(format!("no system is known by the name {:?}", self.vendor)))?;
        let yaml = self.yaml(name, profile).map_err(damaged)?;
        let mut loaded = Config::parse(&yaml, Path::new("recording"), profiles)
            .map_err(|error| damaged(error.to_string()))?;
        loaded.config.sources.pop().ok_or_else(|| damaged("no source".to_owned()))
    }

    /// The source as it would stand in a configuration file.
    fn yaml(&self, name: &str, profile: &Profile) -> Result<String, String> {
        let mut yaml = format!(
            "sources:\n  - name: {name}\n    vendor: {}\n    base_url: {}://127.0.0.1:9\n    min_interval: 0s\n    timeout: {TIMEOUT}\n",
            profile.name,
            profile.transport.schemes()[0],
        );
        // Writing to a String cannot fail.
        let mut line = |line: std::fmt::Arguments<'_>| {
            let _ = writeln!(yaml, "    {line}");
        };
        let login = profile.logins.iter().find(|login| {
            let required = login.required.iter().map(|key| key.name);
            required.eq(self.login.iter().map(String::as_str))
        });
        let login = login.ok_or_else(|| format!("not a login of {profile}: {:?}", self.login))?;
        for key in login.required {
            line(format_args!("{}: {CREDENTIAL}", key.name));
        }
        for (name, setting) in &self.settings {
            let key = profile.keys.iter().find(|key| key.name == name);
            let key = key.ok_or_else(|| format!("{profile} has no key {name:?}"))?;
            line(format_args!("{name}: {}", written(key, setting)?));
        }
        Ok(yaml)
    }
}

/// The value of a key as in a configuration file.
fn written(key: &Key, setting: &Setting) -> Result<String, String> {
    let plain = |word: &String| {
        let is_word = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_word.then(|| word.clone()).ok_or_else(|| format!("not a value: {word:?}"))
    };
    let quoted = |recorded: &String| {
        let id = id(recorded).map_err(|error| error.to_string())?;
        Ok(format!("\"{id}\""))
    };
    match setting {
        Setting::Word(word) => plain(word),
        Setting::List(items) => {
            let is_ids = matches!(key.kind, Kind::Ids(..));
            let items = items.iter().map(|item| if is_ids { quoted(item) } else { plain(item) });
            Ok(format!("[{}]", items.collect::<Result<Vec<_>, String>>()?.join(", ")))
        }
        Setting::Entries(entries) => {
            let secrets = key.entry_keys().iter().filter(|key| matches!(key.kind, Kind::Secret));
            let secrets: Vec<_> =
                secrets.map(|key| format!("{}: {CREDENTIAL}", key.name)).collect();
            let mut all = Vec::new();
            for entry in entries {
                let mut parts = secrets.clone();
                for (name, id) in entry {
                    if !key.entry_keys().iter().any(|key| key.name == name) {
                        return Err(format!("{} has no key {name:?}", key.name));
                    }
                    parts.push(format!("{name}: {}", quoted(id)?));
                }
                all.push(format!("{{ {} }}", parts.join(", ")));
            }
            Ok(format!("[{}]", all.join(", ")))
        }
    }
}
