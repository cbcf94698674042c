// SPDX-License-Identifier: Apache-2.0
//! Collects everything that is wrong while a file is read.

use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeMap, HashSet},
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls_platform_verifier::Verifier;
use zeroize::Zeroizing;

use super::{
    LoadError, Loaded, Problem, Profile,
    error::{self, printable},
    file::{Position, Value, YamlProblem},
    section::Place,
};

/// What reading one file needs all the way down: where to report problems, and where relative paths and
/// environment variables lead.
pub(crate) struct Report<'a> {
    file: String,
    lines: Vec<&'a str>,
    keys: HashSet<Position>,
    valid_yaml: bool,
    base_dir: &'a Path,
    env: &'a dyn Fn(&str) -> Option<OsString>,
    /// The kinds of systems there are.
    pub(super) profiles: &'a [&'static Profile],
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    /// See [`Loaded::unready`](super::Loaded::unready).
    unready: RefCell<Vec<Problem>>,
    /// Whether this machine has root certificates, once that was asked.
    has_roots: OnceCell<bool>,
    /// What was said already: a mapping of `defaults` or an alias is read for each source.
    said: RefCell<HashSet<(Position, String)>>,
    /// Where secrets are written in the file itself.
    literals: RefCell<BTreeMap<Position, String>>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(
        file: &'a Path,
        text: &'a str,
        keys: HashSet<Position>,
        valid_yaml: bool,
        env: &'a dyn Fn(&str) -> Option<OsString>,
        profiles: &'a [&'static Profile],
    ) -> Self {
        // As the YAML parser counts lines: a lone carriage return ends one too.
        let lines = text
            .split('\n')
            .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
            .collect();
        Self {
            file: printable(&file.display().to_string()),
            lines,
            keys,
            valid_yaml,
            base_dir: file.parent().unwrap_or(Path::new("")),
            env,
            profiles,
            problems: RefCell::default(),
            warnings: RefCell::default(),
            unready: RefCell::default(),
            has_roots: OnceCell::new(),
            said: RefCell::default(),
            literals: RefCell::default(),
        }
    }

    /// The file, as messages name it.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(crate) fn yaml(&self, problem: YamlProblem) {
        self.error(problem.position, &problem.path, &problem.message, problem.remedy.as_deref());
    }

    pub(crate) fn error(&self, at: Position, path: &str, message: &str, remedy: Option<&str>) {
        self.add(&self.problems, at, path, message, remedy);
    }

    pub(super) fn warning(&self, at: Position, path: &str, message: &str, remedy: Option<&str>) {
        self.add(&self.warnings, at, path, message, remedy);
    }

    /// What a source needs cannot be read now, and may be there later.
    pub(super) fn unready(&self, at: Position, path: &str, message: &str, remedy: Option<&str>) {
        self.add(&self.unready, at, path, message, remedy);
    }

    /// Whether this machine has certificates to verify those of systems with.
    pub(super) fn has_roots(&self) -> bool {
        *self.has_roots.get_or_init(|| Verifier::new(Arc::new(default_provider())).is_ok())
    }

    /// Whether anything is wrong so far.
    pub(crate) fn has_errors(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    /// Notes a secret written in the file itself.
    pub(super) fn literal_secret(&self, at: Position, path: &str) {
        self.literals.borrow_mut().insert(at, path.to_owned());
    }

    /// Warns of a secret without quotes that a `#` behind a blank may have cut: a comment has a blank
    /// behind it as well.
    pub(super) fn warn_of_cut(&self, place: &Place<'_>) {
        // A longer line is not written by hand; with many secrets in it, it would be read as often.
        const LONGEST: usize = 4096;
        let Position { line, column } = place.node.position;
        let (Some(line), Value::Scalar(scalar)) = (self.lines.get(line - 1), &place.node.value)
        else {
            return;
        };
        if line.len() > LONGEST {
            return;
        }
        let behind = line.chars().skip(column - 1 + scalar.text.chars().count());
        let behind: Zeroizing<String> = Zeroizing::new(behind.collect());
        let is_cut = behind
            .trim_start()
            .strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(|c: char| !c.is_whitespace() && c != '#'));
        if scalar.plain && is_cut {
            let message = "the secret ends before the `#`, which starts a comment";
            let remedy = Some("put the secret in quotes, or a blank behind the `#` of a comment");
            self.warning(place.node.position, &place.path, message, remedy);
        }
    }

    /// Warns once if the file holds secrets and others than its owner may read it.
    pub(super) fn warn_of_mode(&self, mode: u32) {
        let literals = self.literals.borrow();
        let (Some((at, path)), true) = (literals.first_key_value(), mode & 0o077 != 0) else {
            return;
        };
        let which = match literals.len() {
            1 => "a secret is".to_owned(),
            several => format!("{several} secrets are"),
        };
        let message = format!(
            "{which} written in this file, and others than its owner may read it (mode {:04o})",
            mode & 0o7777
        );
        self.warning(*at, path, &message, Some("`chmod 600` it, or use `_file` or `_env` keys"));
    }

    /// A path of the file, relative to the file's directory.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.base_dir.join(path)
    }

    pub(super) fn env(&self, name: &str) -> Option<OsString> {
        (self.env)(name)
    }

    /// `config`, unless something is wrong with it; all in the order of the file.
    pub(crate) fn finish<C>(self, config: C) -> Result<Loaded<C>, LoadError> {
        let sorted = |mut problems: Vec<Problem>| {
            problems.sort_by_key(|problem| problem.position);
            problems
        };
        let (mut problems, unready) = (self.problems.into_inner(), self.unready.into_inner());
        if problems.is_empty() {
            let (warnings, unready) = (sorted(self.warnings.into_inner()), sorted(unready));
            return Ok(Loaded { config, warnings, unready });
        }
        problems.extend(unready);
        Err(LoadError { problems: sorted(problems) })
    }

    fn add(
        &self,
        to: &RefCell<Vec<Problem>>,
        at: Position,
        path: &str,
        message: &str,
        remedy: Option<&str>,
    ) {
        if !self.said.borrow_mut().insert((at, message.to_owned())) {
            return;
        }
        let line = self.lines.get(at.line - 1).filter(|line| {
            let text = line.trim_start();
            !text.is_empty() && !text.starts_with('#')
        });
        let excerpt = line.map(|line| {
            let is_key = |place| self.keys.contains(&place);
            error::excerpt(line, at, is_key, self.valid_yaml, self.profiles)
        });
        to.borrow_mut().push(Problem {
            file: self.file.clone(),
            position: Some(at),
            path: path.to_owned(),
            message: message.to_owned(),
            remedy: remedy.map(str::to_owned),
            excerpt,
        });
    }
}
