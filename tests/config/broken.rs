// SPDX-License-Identifier: Apache-2.0
//! Broken configurations and the exact messages they give: `tests/data/config/broken/*.yaml`,
//! each with its `.expected` beside it. After a wanted change of messages run with
//! `UPDATE_EXPECTED=1` and read the difference.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use conferencing_exporter::{
    config::{Config, LoadError},
    systems::catalogue,
};

/// Stands for everything that must not be shown.
const CANARY: &str = "CANARY";

fn broken_files() -> Vec<PathBuf> {
    let entries = fs::read_dir("tests/data/config/broken").unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        paths.filter(|path| path.extension() == Some("yaml".as_ref())).collect();
    files.sort();
    files
}

/// What `check` says about the file: also of what a source needs and is not there, which does not
/// keep the others from being watched.
fn problems(path: &Path) -> LoadError {
    match Config::load(path, catalogue().profiles()) {
        Err(error) => error,
        Ok(loaded) => {
            assert!(!loaded.unready.is_empty(), "{} is accepted", path.display());
            LoadError { problems: loaded.unready }
        }
    }
}

#[test]
fn every_broken_file_gives_exactly_the_expected_messages() {
    let files = broken_files();
    assert!(files.len() >= 40, "{} broken files", files.len());
    let mut differences = String::new();
    for path in files {
        let error = problems(&path);
        let shown = format!("{error}\n");
        let beside = path.with_extension("expected");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&beside, &shown).unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if shown != expected {
            writeln!(differences, "{}:\n{shown}\nexpected:\n{expected}", path.display()).unwrap();
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn no_message_shows_a_secret() {
    for path in broken_files() {
        let error = problems(&path);
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains(CANARY), "{}:\n{shown}", path.display());
        }
    }
}

#[test]
fn every_problem_names_file_place_and_what_to_do() {
    for path in broken_files() {
        for problem in problems(&path).problems {
            assert_eq!(problem.file, path.display().to_string());
            assert!(!problem.message.is_empty() && !problem.message.contains('\n'));
            let Some(position) = problem.position else { continue };
            let head = format!("{}:{}:{}: ", path.display(), position.line, position.column);
            assert!(problem.to_string().starts_with(&head), "{problem}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem() {
    let shown =
        |path: &str| Config::load(Path::new(path), catalogue().profiles()).unwrap_err().to_string();
    assert_eq!(
        shown("no/such.yaml"),
        "no/such.yaml: the configuration cannot be read: there is no such file; name it with `--config.file`"
    );
    assert_eq!(
        shown("tests"),
        "tests: no file of this folder is called `*.yaml`; write `sources: []` into one if there are none yet"
    );
    // Endless, and no YAML.
    assert_eq!(shown("/dev/zero"), "/dev/zero: longer than 4 MiB: not a configuration");
}
