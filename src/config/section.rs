// SPDX-License-Identifier: Apache-2.0
//! Typed reading of one mapping of the file by its table of keys. What is wrong goes to the
//! report and the reader goes on, so that one run shows everything.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    path::PathBuf,
    time::Duration,
};

use super::{
    duration::{format_duration, format_size, parse_duration, parse_size},
    file::{Meaning, Node, Position, Scalar, Value, join},
    keys::{Key, Kind},
    report::Report,
};

/// What to do about a file that is not where it was looked for.
pub(crate) const RELATIVE_PATHS: &str =
    "a relative path starts at the directory of the configuration file";

/// A node and the path of the key that leads to it.
#[derive(Clone)]
pub(crate) struct Place<'t> {
    pub(crate) node: &'t Node,
    pub(crate) path: String,
}

/// A mapping, and the mapping of `defaults` that supplies the keys it does not have.
pub struct Section<'t> {
    report: &'t Report<'t>,
    position: Position,
    path: String,
    entries: HashMap<&'t str, (&'t Node, &'t Node)>,
    fallback: Option<&'t Section<'t>>,
    /// Known keys that an unknown one was probably meant to be: they are not reported as missing too.
    meant: RefCell<Vec<String>>,
    /// See [`Section::read_as_go_does`].
    is_loose: bool,
}

/// Why a value cannot be used, and what would be right.
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) remedy: Option<String>,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: Some(remedy.into()) }
    }
}

impl<'t> Section<'t> {
    /// Reads a mapping; `None` (and a problem) if it is something else.
    pub(crate) fn open(report: &'t Report<'t>, place: &Place<'t>) -> Option<Self> {
        let Value::Map(entries) = &place.node.value else {
            let message = format!("wrong type: {} where a mapping belongs", place.node.describe());
            let remedy = match place.node.describe() {
                "nothing" => "write its keys below it, indented, or remove the key",
                _ => "write keys and values: `key: value`",
            };
            report.error(place.node.position, &place.path, &message, Some(remedy));
            return None;
        };
        let entries = entries
            .iter()
            .filter_map(|(key, value)| Some((key.scalar_text()?, (&**key, &**value))))
            .collect();
        let (position, path) = (place.node.position, place.path.clone());
        let meant = RefCell::default();
        Some(Self { report, position, path, entries, fallback: None, meant, is_loose: false })
    }

    /// The same mapping, and those below it, as Prometheus' own programs would read it: a key
    /// without a value, or with an empty text, is not given, and any scalar is a text.
    pub(crate) fn read_as_go_does(mut self) -> Self {
        self.is_loose = true;
        self
    }

    /// The other mapping supplies the keys that this one does not have.
    pub(super) fn or(mut self, fallback: Option<&'t Section<'t>>) -> Self {
        self.fallback = fallback;
        self
    }

    /// Where the mapping starts: the place of what is missing in it.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Path of the mapping.
    pub(crate) fn path(&self) -> String {
        self.path.clone()
    }

    /// Path of a key of this mapping.
    pub(crate) fn path_of(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// Reports the keys that are in no table given. `hint` may know where such a key belongs.
    pub(crate) fn check_keys(&self, keys: &[&Key], hint: impl Fn(&str) -> Option<String>) {
        let known: Vec<String> = keys.iter().flat_map(|key| key.names()).collect();
        for (name, (key, _)) in &self.entries {
            if known.iter().any(|known| known == name) {
                continue;
            }
            let near = nearest(name, &known);
            let section = keys.iter().find(|key| key.has_below(name));
            let below = section.map(|key| format!("it belongs below `{}:`, indented", key.name));
            let remedy = match (hint(name).or(below), near) {
                (Some(hint), _) => hint,
                (None, Some(near)) => {
                    self.meant.borrow_mut().push(near.to_owned());
                    format!("did you mean `{near}`?")
                }
                (None, None) => {
                    let mut names: Vec<_> = Vec::new();
                    for key in keys {
                        if !names.contains(&key.name) {
                            names.push(key.name);
                        }
                    }
                    format!("known keys: {}", names.join(", "))
                }
            };
            self.report.error(key.position, &self.path_of(name), "unknown key", Some(&remedy));
        }
    }

    /// Whether the mapping itself, not `defaults`, has a key, and where.
    pub(crate) fn has(&self, name: &str) -> Option<Position> {
        self.entries.get(name).map(|(key, _)| key.position)
    }

    /// As [`Section::has`]; a secret is there in any of its three forms.
    pub(super) fn has_key(&self, key: &Key) -> Option<Position> {
        key.names().iter().filter_map(|name| self.has(name)).min()
    }

    /// The value of a key, of this mapping or of the fallback, and its path.
    pub(crate) fn find(&self, key: &Key) -> Option<Place<'t>> {
        self.own(key.name).or_else(|| self.fallback?.find(key))
    }

    /// The value of a key of this mapping itself.
    pub(crate) fn own(&self, name: &str) -> Option<Place<'t>> {
        let (_, node) = self.entries.get(name)?;
        let is_given = !self.is_loose || !node.is_empty();
        is_given.then(|| Place { node, path: self.path_of(name) })
    }

    /// The section's own entries by name, with the place of each key.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'t str, Position, Place<'t>)> {
        self.entries.iter().map(|(name, (key, value))| {
            (*name, key.position, Place { node: value, path: self.path_of(name) })
        })
    }

    /// The section of `defaults` behind this one.
    pub(super) fn fallback(&self) -> Option<&Section<'t>> {
        self.fallback
    }

    /// Reads a mapping below this one, over that of `defaults`. Its unknown keys are reported.
    pub(crate) fn sub<T>(&self, key: &Key, read: impl Fn(&Section<'_>) -> T) -> T {
        let Kind::Section(keys) = key.kind else { return read(&self.silent()) };
        let open = |section: &Section<'t>| {
            let place = section.own(key.name)?;
            let mut opened = Section::open(self.report, &place)?;
            opened.is_loose = section.is_loose;
            opened.check_keys(keys, |_| None);
            Some(opened)
        };
        let fallback = self.fallback.and_then(open);
        let own = open(self).unwrap_or_else(|| self.silent());
        read(&own.or(fallback.as_ref()))
    }

    /// An empty mapping.
    fn silent(&self) -> Section<'t> {
        let (position, path) = (self.position, self.path.clone());
        let (report, entries) = (self.report, HashMap::new());
        let (meant, is_loose) = (RefCell::default(), self.is_loose);
        Section { report, position, path, entries, fallback: None, meant, is_loose }
    }

    /// Whether the mapping itself, not `defaults`, has a key; a secret in any of its three forms.
    pub fn is_given(&self, key: &Key) -> bool {
        self.has_key(key).is_some()
    }

    /// Whether a list is given and has items.
    pub fn has_items(&self, key: &Key) -> bool {
        !self.items(key).is_empty()
    }

    /// The mappings of a [`Kind::Sections`], their unknown keys reported; `None` in place of what
    /// is no mapping.
    pub fn sections(&self, key: &Key) -> Vec<Option<Self>> {
        let open = |place| {
            let section = Self::open(self.report, &place)?;
            section.check_keys(key.entry_keys(), |_| None);
            Some(section)
        };
        self.items(key).into_iter().map(open).collect()
    }

    /// Reports a problem with the value of a key, or with its absence.
    pub fn error(&self, key: &Key, message: &str, remedy: Option<&str>) {
        let (at, path) = self.place_of(key);
        self.report.error(at, &path, message, remedy);
    }

    /// Reports that what the value of a key names cannot be read or used now. The source fails until
    /// it can, which is seen while running.
    pub fn unready(&self, key: &Key, message: &str, remedy: Option<&str>) {
        let (at, path) = self.place_of(key);
        self.report.unready(at, &path, message, remedy);
    }

    /// Reports what is allowed and probably not meant.
    pub fn warning(&self, key: &Key, message: &str, remedy: Option<&str>) {
        let (at, path) = self.place_of(key);
        self.report.warning(at, &path, message, remedy);
    }

    fn place_of(&self, key: &Key) -> (Position, String) {
        match self.find(key) {
            Some(place) => (place.node.position, place.path),
            None => (self.position, self.path_of(key.name)),
        }
    }

    pub(super) fn report(&self) -> &'t Report<'t> {
        self.report
    }

    /// Reports a key that must be there, unless it is there mistyped.
    pub fn missing(&self, key: &Key, message: &str) {
        if key.names().iter().any(|name| self.meant.borrow().contains(name)) {
            return;
        }
        let names = if matches!(key.kind, Kind::Secret) {
            format!("add `{0}`, `{0}_file` or `{0}_env`", key.name)
        } else {
            format!("add `{}`", key.name)
        };
        self.report.error(self.position, &self.path_of(key.name), message, Some(&names));
    }

    /// A flag; its default where it is absent or wrong.
    pub fn flag(&self, key: &Key) -> bool {
        let found = self.scalar(key, |scalar| match scalar.meaning() {
            Meaning::Bool(value) => Ok(value),
            Meaning::Null | Meaning::Number | Meaning::Text => {
                Err(Wrong::new(wrong_type(scalar, "a boolean"), "write `true` or `false`"))
            }
        });
        found.unwrap_or(key.default == Some("true"))
    }

    /// A whole number; its default where it is absent or wrong.
    pub fn integer(&self, key: &Key) -> u64 {
        let Kind::Integer(min, _) = key.kind else { return 0 };
        let found = self.integer_if_given(key);
        found.or_else(|| key.default?.parse().ok()).unwrap_or(min)
    }

    /// A whole number that has no default.
    pub fn integer_if_given(&self, key: &Key) -> Option<u64> {
        let Kind::Integer(min, max) = key.kind else { return None };
        self.scalar(key, |scalar| {
            let remedy = format!("write a whole number from {min} to {max}");
            if scalar.meaning() != Meaning::Number {
                return Err(Wrong::new(wrong_type(scalar, "a whole number"), remedy));
            }
            match scalar.text.parse::<u64>() {
                Ok(value) if (min..=max).contains(&value) => Ok(value),
                Ok(_) => Err(Wrong::new("out of range", remedy)),
                Err(_) => Err(Wrong::new("not a whole number in range", remedy)),
            }
        })
    }

    pub(super) fn size(&self, key: &Key) -> u64 {
        let Kind::Size(min, max) = key.kind else { return 0 };
        let range = format!("from {} to {}", format_size(min), format_size(max));
        let found = self.scalar(key, |scalar| match scalar.meaning() {
            Meaning::Number | Meaning::Text => match parse_size(&scalar.text) {
                Ok(value) if (min..=max).contains(&value) => Ok(value),
                Ok(_) => Err(Wrong::new("out of range", format!("write a size {range}"))),
                Err(error) => Err(Wrong { message: error.to_string(), remedy: None }),
            },
            Meaning::Null | Meaning::Bool(_) => {
                Err(Wrong::new(wrong_type(scalar, "a size"), "write it like `8MiB`"))
            }
        });
        found.or_else(|| parse_size(key.default?).ok()).unwrap_or(max)
    }

    /// A duration; its default where it is absent or wrong.
    pub fn duration(&self, key: &Key) -> Duration {
        self.duration_or(key, key.default)
    }

    /// As [`Section::duration`], of the key whose default depends on the system.
    pub(super) fn duration_or(&self, key: &Key, default: Option<&str>) -> Duration {
        let Kind::Duration(min, max) = key.kind else { return Duration::ZERO };
        let found = self.scalar(key, |scalar| {
            let unit = "write it with its unit, like `500ms`, `10s`, `15m` or `1h30m`";
            match scalar.meaning() {
                Meaning::Number => return Err(Wrong::new("a duration without a unit", unit)),
                Meaning::Text => {}
                Meaning::Null | Meaning::Bool(_) => {
                    return Err(Wrong::new(wrong_type(scalar, "a duration"), unit));
                }
            }
            let value =
                parse_duration(&scalar.text).map_err(|_| Wrong::new("not a duration", unit))?;
            if (min..=max).contains(&value) {
                return Ok(value);
            }
            let range = format!("allowed are {} to {}", format_duration(min), format_duration(max));
            Err(Wrong::new("out of range", range))
        });
        found.or_else(|| parse_duration(default.or(key.default)?).ok()).unwrap_or(min)
    }

    /// One of the key's words; its default where it is absent or wrong.
    pub fn choice(&self, key: &Key) -> Option<&'static str> {
        let Kind::Choice(words) = key.kind else { return None };
        let found = self.scalar(key, |scalar| choose(scalar, words));
        found.or(key.default.and_then(|default| words.iter().copied().find(|w| *w == default)))
    }

    /// As [`Section::choice`] among words that are no table's.
    pub(super) fn one_of<'w>(&self, key: &Key, words: &[&'w str]) -> Option<&'w str> {
        self.scalar(key, |scalar| choose(scalar, words))
    }

    /// Text or an identifier, if given.
    pub fn text(&self, key: &Key) -> Option<String> {
        self.scalar(key, |scalar| {
            if self.is_loose {
                return Ok(scalar.text.to_string());
            }
            let text = text_of(scalar)?;
            if let Kind::Id(marks, longest) | Kind::Name(marks, longest) = key.kind {
                check_id(text, marks, longest)?;
            }
            Ok(text.to_owned())
        })
    }

    /// The places of the items of a list; empty if it is absent.
    pub(crate) fn items(&self, key: &Key) -> Vec<Place<'t>> {
        let Some(place) = self.find(key) else { return Vec::new() };
        let Value::List(items) = &place.node.value else {
            let message = format!("wrong type: {} where a list belongs", place.node.describe());
            let remedy = match (&key.kind, place.node.describe()) {
                (_, "nothing") => format!("write `{}: []` if there are none", key.name),
                (Kind::Ids(..), _) => format!("write `{}: [\"...\"]`", key.name),
                _ => "start each item with `- `".to_owned(),
            };
            self.report.error(place.node.position, &place.path, &message, Some(&remedy));
            return Vec::new();
        };
        let path = place.path;
        let item = |(index, node)| Place { node, path: format!("{path}[{index}]") };
        items.iter().map(|node| &**node).enumerate().map(item).collect()
    }

    /// A list of identifiers without repetitions.
    pub fn ids(&self, key: &Key) -> Vec<String> {
        let Kind::Ids(marks, longest) = key.kind else { return Vec::new() };
        let mut ids: Vec<String> = Vec::new();
        let mut seen = HashSet::new();
        for place in self.items(key) {
            let id = read(self.report, &place, |scalar| {
                let text = text_of(scalar)?;
                check_id(text, marks, longest)?;
                Ok(text.to_owned())
            });
            match id {
                Some(id) if seen.contains(&id) => {
                    let remedy = Some("remove one of them");
                    self.report.warning(place.node.position, &place.path, "repeated id", remedy);
                }
                Some(id) => {
                    seen.insert(id.clone());
                    ids.push(id);
                }
                None => {}
            }
        }
        ids
    }

    /// Path of a file, if given, relative to the configuration's directory.
    pub fn file(&self, key: &Key) -> Option<PathBuf> {
        let path = self.scalar(key, |scalar| text_of(scalar).map(str::to_owned))?;
        Some(self.report.resolve(&path))
    }

    fn scalar<T>(&self, key: &Key, parse: impl Fn(&Scalar) -> Result<T, Wrong>) -> Option<T> {
        let place = self.find(key)?;
        read(self.report, &place, parse)
    }
}

/// Text of a place that is not a key's value: of a label.
pub(crate) fn text_at(report: &Report<'_>, place: &Place<'_>) -> Option<String> {
    read(report, place, |scalar| text_of(scalar).map(str::to_owned))
}

pub(super) fn read<T>(
    report: &Report<'_>,
    place: &Place<'_>,
    parse: impl Fn(&Scalar) -> Result<T, Wrong>,
) -> Option<T> {
    let wrong = match &place.node.value {
        Value::Scalar(scalar) => match parse(scalar) {
            Ok(value) => return Some(value),
            Err(wrong) => wrong,
        },
        Value::List(_) | Value::Map(_) => Wrong {
            message: format!("wrong type: {} where one value belongs", place.node.describe()),
            remedy: None,
        },
    };
    report.error(place.node.position, &place.path, &wrong.message, wrong.remedy.as_deref());
    None
}

fn wrong_type(scalar: &Scalar, wanted: &str) -> String {
    let found = match scalar.meaning() {
        Meaning::Null => return format!("has no value; {wanted} belongs here"),
        Meaning::Bool(_) => "a boolean",
        Meaning::Number => "a number",
        Meaning::Text => "text",
    };
    format!("wrong type: {found} where {wanted} belongs")
}

/// Text that is surely meant as text: a bare `0123` would lose its zero in other readers, a bare `true` its case.
pub(super) fn text_of(scalar: &Scalar) -> Result<&str, Wrong> {
    match scalar.meaning() {
        Meaning::Text if scalar.text.trim().is_empty() => {
            Err(Wrong { message: "is empty".to_owned(), remedy: None })
        }
        Meaning::Text if scalar.text.contains(char::is_control) => Err(Wrong::new(
            "holds a line break or another control character",
            "write it in one line",
        )),
        Meaning::Text => Ok(&scalar.text),
        Meaning::Null => Err(Wrong::new(wrong_type(scalar, "text"), "give one or remove the key")),
        Meaning::Bool(_) | Meaning::Number => {
            Err(Wrong::new(wrong_type(scalar, "text"), "quote it: \"...\""))
        }
    }
}

fn check_id(text: &str, marks: &str, longest: usize) -> Result<(), Wrong> {
    let listed: Vec<String> = marks.chars().map(|mark| format!("`{mark}`")).collect();
    let allowed = format!("use 1 to {longest} letters, digits and {}", listed.join(" "));
    if text.chars().any(|c| !c.is_ascii_alphanumeric() && !marks.contains(c)) {
        return Err(Wrong::new("a character that is not allowed", allowed));
    }
    if text.len() > longest {
        return Err(Wrong::new("too long", allowed));
    }
    Ok(())
}

pub(super) fn choose<'w>(scalar: &Scalar, words: &[&'w str]) -> Result<&'w str, Wrong> {
    if let Some(word) = words.iter().find(|word| **word == scalar.text.as_str()) {
        return Ok(word);
    }
    let known: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let near = nearest(&scalar.text, &known);
    let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    let message = match scalar.meaning() {
        Meaning::Null => "has no value",
        Meaning::Bool(_) | Meaning::Number | Meaning::Text => "unknown value",
    };
    Err(Wrong::new(message, format!("{near}allowed: {}", words.join(", "))))
}

/// The name most like the one given, if any is.
fn nearest<'n>(name: &str, known: &'n [String]) -> Option<&'n str> {
    if name.len() > 64 {
        return None;
    }
    let fold = |name: &str| name.to_lowercase().replace(['-', '_', ' '], "");
    let folded = fold(name);
    let score = |candidate: &String| strsim::jaro_winkler(&folded, &fold(candidate));
    let best = known.iter().max_by(|one, two| score(one).total_cmp(&score(two)))?;
    if score(best) >= 0.85 {
        return Some(best);
    }
    // `url` for `base_url`, `interval` for `min_interval`.
    let part = |candidate: &&String| folded.len() >= 3 && fold(candidate).contains(&folded);
    known.iter().find(part).map(String::as_str)
}

/// The reason without the system's error number.
pub(crate) fn io_reason(error: &std::io::Error) -> String {
    let plain = [
        (std::io::ErrorKind::NotFound, "there is no such file"),
        (std::io::ErrorKind::PermissionDenied, "permission denied"),
        (std::io::ErrorKind::IsADirectory, "it is a directory"),
    ];
    let known = plain.into_iter().find(|(kind, _)| *kind == error.kind());
    known.map_or_else(|| error.to_string(), |(_, words)| words.to_owned())
}
