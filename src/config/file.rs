// SPDX-License-Identifier: Apache-2.0
//! YAML text to a tree in which every node knows its place.
//!
//! The tree is built from the events of the parser that also sits below serde-saphyr: serde would
//! stop at the first duplicate key or wrong type, and forgets whether `0123` was quoted. Nothing
//! outside this file knows which parser it is.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    rc::Rc,
};

use serde_yaml::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle, Span, Tag};
use zeroize::Zeroizing;

/// Collections nested deeper than this are no configuration; the reader recurses.
const MAX_DEPTH: usize = 32;

/// Nodes after the expansion of aliases: refuses an expansion of aliases that would exhaust memory before it is walked.
const MAX_NODES: usize = 200_000;

/// A place in a text: line and column, in characters, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// A YAML value and where it starts. Not `Debug`: it may hold a secret.
pub(crate) struct Node {
    pub(crate) position: Position,
    pub(crate) value: Value,
    /// How many nodes this one stands for, aliases expanded.
    weight: usize,
}

pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    Map(Entries),
}

/// The entries of a mapping, in the order of the file; keys are scalars and unique.
pub(crate) type Entries = Vec<(Rc<Node>, Rc<Node>)>;

/// The keys of a mapping and the line of each.
type Seen = HashMap<String, usize>;

/// A scalar as written, escapes resolved.
pub(crate) struct Scalar {
    pub(crate) text: Zeroizing<String>,
    /// Written without quotes and without `!!str`: may mean a number, a boolean or nothing.
    pub(crate) plain: bool,
}

/// What a plain scalar means by YAML's core schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Null,
    Bool(bool),
    Number,
    Text,
}

/// Something wrong with the text as YAML. Carries nothing of the text.
pub(crate) struct YamlProblem {
    pub(crate) position: Position,
    /// Path of the key; empty where the structure itself is broken.
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) remedy: Option<String>,
}

/// A parsed text.
#[derive(Default)]
pub(crate) struct Tree {
    /// `None` if there is no document, or none that could be read.
    pub(crate) root: Option<Rc<Node>>,
    pub(crate) problems: Vec<YamlProblem>,
    /// Where mapping keys start that an excerpt may show.
    pub(crate) keys: HashSet<Position>,
}

impl Scalar {
    pub(crate) fn meaning(&self) -> Meaning {
        if !self.plain {
            return Meaning::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
            "true" | "True" | "TRUE" => Meaning::Bool(true),
            "false" | "False" | "FALSE" => Meaning::Bool(false),
            text if is_number(text) => Meaning::Number,
            _ => Meaning::Text,
        }
    }
}

impl Node {
    /// The text of a scalar, whatever it means.
    pub(crate) fn scalar_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Whether it has no value, or an empty text for one.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Scalar(scalar) => scalar.text.is_empty() || scalar.meaning() == Meaning::Null,
            Value::List(_) | Value::Map(_) => false,
        }
    }

    /// What it is, for a message.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Null => "nothing",
                Meaning::Bool(_) => "a boolean",
                Meaning::Number => "a number",
                Meaning::Text => "text",
            },
        }
    }
}

/// Parses one YAML document. Never fails: what is wrong is in [`Tree::problems`].
///
/// `is_structure` tells the keys whose own keys may be shown: not those of
/// `password: { hunter2: x }`.
pub(crate) fn parse(text: &str, is_structure: &dyn Fn(&str) -> bool) -> Tree {
    let mut composer = Composer {
        parser: Parser::new_from_str_with_options(
            text,
            granit_parser::options! { emit_comments: false },
        ),
        anchors: HashMap::new(),
        nodes: 0,
        path: String::new(),
        is_structure,
        hidden: 0,
        tree: Tree::default(),
    };
    match composer.document() {
        Ok(root) => composer.tree.root = root,
        Err(problem) => composer.tree.problems.push(tab_near(text, &problem).unwrap_or(problem)),
    }
    composer.tree
}

struct Composer<'t, 'f> {
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    anchors: HashMap<usize, Rc<Node>>,
    nodes: usize,
    /// Path of the node being composed.
    path: String,
    /// Whether a key holds further keys, and not a value of its own.
    is_structure: &'f dyn Fn(&str) -> bool,
    /// How many keys around the node are no structure: whatever is below them may be a secret.
    hidden: usize,
    tree: Tree,
}

impl<'t> Composer<'t, '_> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser's events may grow")]
    fn document(&mut self) -> Result<Option<Rc<Node>>, YamlProblem> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(YamlProblem {
                        position: position(&span),
                        path: String::new(),
                        message: "a second YAML document".to_owned(),
                        remedy: Some("keep everything in one document, without `---`".to_owned()),
                    });
                }
                Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::MappingStart(..)
                | Event::Alias(_) => root = Some(self.node(event, &span, 0)?),
                _ => {}
            }
        }
        Ok(root)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser's events may grow")]
    fn node(
        &mut self,
        event: Event<'t>,
        span: &Span,
        depth: usize,
    ) -> Result<Rc<Node>, YamlProblem> {
        let position = position(span);
        let fail = |message: &str| YamlProblem {
            position,
            path: String::new(),
            message: message.to_owned(),
            remedy: None,
        };
        if depth > MAX_DEPTH {
            return Err(fail("nested too deeply"));
        }
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(fail("too many values"));
        }
        let before = self.nodes;
        let (anchor, value) = match event {
            Event::Alias(id) => {
                let node = self.anchors.get(&id).cloned();
                let node = node.ok_or_else(|| fail("an alias inside its own anchor"))?;
                self.nodes += node.weight;
                if self.nodes > MAX_NODES {
                    return Err(fail("too many values: the aliases multiply"));
                }
                return Ok(node);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tagged_text = self.text_tag(tag.as_deref(), position);
                let plain = style == ScalarStyle::Plain && !tagged_text;
                let text = Zeroizing::new(text.into_owned());
                (anchor, Value::Scalar(Scalar { text, plain }))
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.text_tag(tag.as_deref(), position);
                (anchor, Value::List(self.list(depth)?))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.text_tag(tag.as_deref(), position);
                (anchor, Value::Map(self.map(depth)?))
            }
            _ => return Err(fail("not valid YAML")),
        };
        let node = Rc::new(Node { position, value, weight: self.nodes - before + 1 });
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Rc<Node>>, YamlProblem> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            let length = self.path.len();
            self.path.push_str(&format!("[{}]", items.len()));
            items.push(self.node(event, &span, depth + 1)?);
            self.path.truncate(length);
        }
        Ok(items)
    }

    fn map(&mut self, depth: usize) -> Result<Entries, YamlProblem> {
        let mut entries = Entries::new();
        let mut merged = Vec::new();
        let mut seen = Seen::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let is_alias = matches!(event, Event::Alias(_));
            let key = self.node(event, &span, depth + 1)?;
            let Some((event, span)) = self.next()? else { break };
            let path = join(&self.path, key.scalar_text().unwrap_or_default());
            let outer = std::mem::replace(&mut self.path, path);
            let hides = !key.scalar_text().is_some_and(self.is_structure);
            self.hidden += usize::from(hides);
            let value = self.node(event, &span, depth + 1)?;
            self.hidden -= usize::from(hides);
            let path = std::mem::replace(&mut self.path, outer);
            let Value::Scalar(name) = &key.value else {
                self.problem(key.position, "a key must be plain text", None);
                continue;
            };
            if name.plain && name.text.as_str() == "<<" {
                merged.push(value);
                continue;
            }
            if !is_alias && self.hidden == 0 {
                self.tree.keys.insert(key.position);
            }
            if let Some(line) = seen.get(name.text.as_str()) {
                let message = format!("duplicate key; it is already given in line {line}");
                let remedy = Some("keep one of them".to_owned());
                self.tree.problems.push(YamlProblem {
                    position: key.position,
                    path,
                    message,
                    remedy,
                });
                continue;
            }
            seen.insert(name.text.to_string(), key.position.line);
            entries.push((key, value));
        }
        for node in merged {
            self.merge(&mut entries, &mut seen, &node);
        }
        Ok(entries)
    }

    /// `<<: *anchor`: what the mapping does not say itself, the anchored one adds.
    fn merge(&mut self, entries: &mut Entries, seen: &mut Seen, node: &Node) {
        match &node.value {
            Value::Map(more) => {
                for (key, value) in more {
                    let name = key.scalar_text().unwrap_or_default().to_owned();
                    if let Entry::Vacant(vacant) = seen.entry(name) {
                        vacant.insert(key.position.line);
                        entries.push((Rc::clone(key), Rc::clone(value)));
                    }
                }
            }
            Value::List(nodes) if nodes.iter().all(|n| matches!(n.value, Value::Map(_))) => {
                for node in nodes {
                    self.merge(entries, seen, node);
                }
            }
            Value::List(_) | Value::Scalar(_) => {
                self.problem(node.position, "`<<` takes a mapping, or a list of mappings", None);
            }
        }
    }

    /// Whether the tag says "text"; any other tag is a problem.
    fn text_tag(&mut self, tag: Option<&Tag>, position: Position) -> bool {
        match tag {
            None => false,
            Some(tag) if tag.is_yaml_core_schema_tag("str") || tag.parts() == ("", "!") => true,
            Some(tag) => {
                if !tag.is_yaml_core_schema_tag("map") && !tag.is_yaml_core_schema_tag("seq") {
                    let remedy = "remove it; quote the value if it is text";
                    self.problem(position, "YAML tags have no meaning here", Some(remedy));
                }
                false
            }
        }
    }

    fn problem(&mut self, position: Position, message: &str, remedy: Option<&str>) {
        self.tree.problems.push(YamlProblem {
            position,
            path: self.path.clone(),
            message: message.to_owned(),
            remedy: remedy.map(str::to_owned),
        });
    }

    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, YamlProblem> {
        self.parser.next_event().transpose().map_err(|error| {
            let mark = error.marker();
            YamlProblem {
                position: Position { line: mark.line().max(1), column: mark.col() + 1 },
                path: String::new(),
                message: format!("not valid YAML: {}", syntax(error.kind())),
                remedy: indentation(error.kind()).map(str::to_owned),
            }
        })
    }
}

/// The parser's words, but for the one message that quotes the text.
fn syntax(kind: &ErrorKind) -> String {
    if matches!(kind, ErrorKind::UnexpectedCharacter { .. }) {
        "a value cannot start with this character: quote it".to_owned()
    } else {
        kind.to_string()
    }
}

/// What to do where the structure is not what the indentation says.
fn indentation(kind: &ErrorKind) -> Option<&'static str> {
    let message = kind.to_string();
    if message.contains("mapping values are not allowed") {
        Some(
            "check the indentation: the keys of one mapping start in the same column; \
             a value that holds `: ` needs quotes",
        )
    } else if message.contains("did not find expected") {
        Some("check the indentation: the keys of one mapping start in the same column")
    } else {
        None
    }
}

/// The tab in an indentation that a problem comes from: in its line, or in the next.
fn tab_near(text: &str, problem: &YamlProblem) -> Option<YamlProblem> {
    let lines = text.lines().enumerate().skip(problem.position.line - 1).take(2);
    let mut tabs = lines.filter_map(|(index, line)| {
        let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
        Some((index, line[..indentation].find('\t')?))
    });
    let (index, column) = tabs.next()?;
    Some(YamlProblem {
        position: Position { line: index + 1, column: column + 1 },
        path: String::new(),
        message: "not valid YAML: a tab in the indentation".to_owned(),
        remedy: Some("indent with blanks".to_owned()),
    })
}

/// The path of a key below another.
pub(crate) fn join(path: &str, name: &str) -> String {
    let name = if is_showable_key(name) { name } else { "<key>" };
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Whether a key we do not know can be named: it looks like a key, not like `password:hunter2`.
pub(crate) fn is_showable_key(key: &str) -> bool {
    key.len() <= 40
        && key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

fn position(span: &Span) -> Position {
    Position { line: span.start.line().max(1), column: span.start.col() + 1 }
}

/// YAML 1.2 core schema, and `0o17`, `0x1f`, `.inf`, `.nan`.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |text: &str, radix| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    if let Some(hex) = unsigned.strip_prefix("0x") {
        return digits(hex, 16);
    }
    if let Some(octal) = unsigned.strip_prefix("0o") {
        return digits(octal, 8);
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.contains(|c: char| c.is_ascii_digit())
        && unsigned.parse::<f64>().is_ok()
}
