// SPDX-License-Identifier: Apache-2.0
//! Sees the answers of one source and keeps them, made anonymous as they come.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use super::{
    Outcome, Recording, Replaced, Shown,
    file::{Body, CallOutcome, Exchange, FORMAT, Setting},
    node::Node,
    pseudonym::Pseudonyms,
    xml,
};
use crate::{
    config::{Kept, KeptValue, Source},
    model::CallName,
    net::{Answer, ApiError, Observer},
};

/// What may be said of a content type: it is a header of the system, and headers hold anything.
const CONTENT_TYPES: &[&str] = &[
    "application/json",
    "application/octet-stream",
    "application/xml",
    "text/html",
    "text/json",
    "text/plain",
    "text/xml",
];
const CHARSETS: &[&str] = &["utf-8", "us-ascii", "iso-8859-1", "gbk", "gb2312", "gb18030"];

/// Records the answers of one source.
pub struct Recorder {
    shown: &'static Shown,
    state: Mutex<State>,
}

struct State {
    pseudonyms: Pseudonyms,
    exchanges: Vec<Exchange>,
    /// Their calls.
    calls: Vec<CallName>,
    /// How many calls had been made when the collection ended.
    collected: usize,
}

impl Recorder {
    /// A recorder of a system whose answers may show no more than `shown`.
    pub fn new(shown: &'static Shown) -> Self {
        let pseudonyms = Pseudonyms::new(Timestamp::now());
        let state = State { pseudonyms, exchanges: Vec::new(), calls: Vec::new(), collected: 0 };
        Self { shown, state: Mutex::new(state) }
    }

    /// Notes that the collection has ended. What comes later of its calls is not recorded, because it
    /// had no part in what came of the collection; later calls are.
    pub fn collected(&self) {
        let mut state = self.state();
        state.collected = state.exchanges.len();
    }

    /// What was recorded of `source`, and what came of it.
    ///
    /// # Errors
    /// A file of ids that the configuration names cannot be read.
    pub fn recording(&self, source: &Source, outcome: Outcome) -> io::Result<Recording> {
        let mut state = self.state();
        let kept = source.settings.kept();
        let settings = settings(kept, self.shown.settings, &mut state.pseudonyms)?;
        let login = source.profile.logins.get(kept.login);
        let login = login.into_iter().flat_map(|login| login.required);
        Ok(Recording {
            format: FORMAT,
            vendor: source.profile.name.to_owned(),
            login: login.map(|key| key.name.to_owned()).collect(),
            settings,
            answers: state.exchanges.clone(),
            replaced: state.pseudonyms.replaced,
            outcome,
            exporter: env!("CARGO_PKG_VERSION").to_owned(),
            digest: String::new(),
        })
    }

    /// How many values were replaced so far.
    pub fn replaced(&self) -> Replaced {
        self.state().pseudonyms.replaced
    }

    fn undecoded(&self, body: &[u8]) -> Body {
        if body.is_empty() {
            return Body::Empty;
        }
        let text = String::from_utf8_lossy(body);
        let start = text.trim_start_matches('\u{feff}').trim_start();
        let phrases = self.shown.phrases.iter().filter(|phrase| text.contains(**phrase));
        Body::Unreadable {
            begins_like_json: start.starts_with(['{', '[']),
            phrases: phrases.map(|phrase| (*phrase).to_owned()).collect(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Recorder {
    fn call_sent(&self, call: CallName, about: &str) -> usize {
        let mut state = self.state();
        let about = (!about.is_empty()).then(|| state.pseudonyms.id(about));
        let call_name = call.as_str().to_owned();
        state.exchanges.push(Exchange { call: call_name, about, came: CallOutcome::Nothing });
        state.calls.push(call);
        state.exchanges.len() - 1
    }

    fn call_ended(&self, number: usize, outcome: Result<&Answer, &ApiError>) {
        let mut state = self.state();
        let Some(call) = state.calls.get(number).copied() else { return };
        if number < state.collected {
            return;
        }
        let came = match outcome {
            Err(error) => CallOutcome::Failure(error.fault.reason.as_str().to_owned()),
            Ok(answer) => CallOutcome::Answer {
                status: answer.status.as_u16(),
                content_type: answer.content_type().map(content_type),
                body: match answer.decode::<Node>() {
                    Ok(node) => Body::Json(state.pseudonyms.answer(call, node, self.shown)),
                    // Of a page in place of an answer nothing is kept, even if it is XML.
                    Err(_) => match xml::read(answer.bytes(), |root| self.shown.has_key(root)) {
                        Some(node) => Body::Xml(state.pseudonyms.answer(call, node, self.shown)),
                        None => self.undecoded(answer.bytes()),
                    },
                },
            },
        };
        if let Some(exchange) = state.exchanges.get_mut(number) {
            exchange.came = came;
        }
    }
}

/// The content type as far as it is one of those that are known.
fn content_type(header: &str) -> String {
    let header = header.to_ascii_lowercase();
    let (kind, parameters) = header.split_once(';').unwrap_or((&header, ""));
    let known = |known: &[&'static str], word: &str| {
        known.iter().copied().find(|known| *known == word).unwrap_or("other")
    };
    let kind = known(CONTENT_TYPES, kind.trim());
    let charset = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        (name.trim() == "charset").then(|| known(CHARSETS, value.trim().trim_matches('"')))
    });
    match charset {
        Some(charset) => format!("{kind}; charset={charset}"),
        None => kind.to_owned(),
    }
}

/// The keys of `shown` that are in `kept`.
fn settings(
    kept: &Kept,
    shown: &[&str],
    pseudonyms: &mut Pseudonyms,
) -> io::Result<BTreeMap<String, Setting>> {
    let mut settings = BTreeMap::new();
    let mut more = Vec::new();
    for (key, value) in kept.keys.iter().filter(|(key, _)| shown.contains(key)) {
        let setting = match value {
            KeptValue::Word(word) => Setting::Word(word.clone()),
            KeptValue::Words(words) => Setting::List(words.clone()),
            KeptValue::Ids(ids) => Setting::List(ids.iter().map(|id| pseudonyms.id(id)).collect()),
            KeptValue::IdsFile(path) => {
                more.push((key.trim_end_matches("_file"), ids_of(path)?));
                continue;
            }
            KeptValue::Entries(entries) => {
                let ids = |entry: &Vec<(&'static str, String)>| {
                    let ids = entry.iter().map(|(key, id)| ((*key).to_owned(), pseudonyms.id(id)));
                    ids.collect()
                };
                Setting::Entries(entries.iter().map(ids).collect())
            }
        };
        settings.insert((*key).to_owned(), setting);
    }
    // The replay has no file: its ids stand behind those of the configuration itself.
    for (key, ids) in more {
        if let Some(Setting::List(known)) = settings.get_mut(key) {
            for id in ids {
                let id = pseudonyms.id(&id);
                if !known.contains(&id) {
                    known.push(id);
                }
            }
        }
    }
    Ok(settings)
}

/// The ids of a file that has one a line.
fn ids_of(path: &Path) -> io::Result<Vec<String>> {
    let text = fs::read_to_string(path)?;
    let lines = text.trim_start_matches('\u{feff}').lines();
    let ids = lines.filter_map(|line| line.split('#').next()).map(str::trim);
    Ok(ids.filter(|id| !id.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_content_type_only_what_is_known_is_kept() {
        for (header, kept) in [
            ("application/json", "application/json"),
            ("Application/JSON; Charset=UTF-8", "application/json; charset=utf-8"),
            ("text/html;charset=\"gbk\"; v=1", "text/html; charset=gbk"),
            ("text/html; charset=of-somebody", "text/html; charset=other"),
            ("text/of-somebody; id=6400", "other"),
            ("multipart/mixed; boundary=6400", "other"),
            ("", "other"),
        ] {
            assert_eq!(content_type(header), kept, "{header}");
        }
    }
}
