// SPDX-License-Identifier: Apache-2.0
//! `docs/reliability.md` names the tests that hold its promises: each of them must be there.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test")]

use std::{fs, path::Path};

#[test]
fn every_test_named_in_the_document_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let named: Vec<_> = document
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.rsplit_once("::"))
        .filter(|(file, _)| *file != "folder::file")
        .collect();
    assert!(named.len() > 40, "{}", named.len());
    for (file, test) in named {
        let path = match file.strip_suffix(".rs") {
            Some(_) => file.to_owned(),
            None => format!("tests/{}.rs", file.replace("::", "/")),
        };
        let code = fs::read_to_string(root.join(&path)).expect(&path);
        assert!(code.contains(&format!("fn {test}(")), "{path} has no test {test}");
    }
}

#[test]
fn every_promise_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    assert!(!document.contains("\n|"), "a promise is an item of a list, with its test below it");
    let (promised, _limits) = document.split_once("\n## Limits\n").unwrap();
    let promises: Vec<_> = promised.split("\n- ").skip(1).collect();
    assert!(promises.len() > 40, "{}", promises.len());
    for promise in promises {
        let (_, tests) = promise.split_once("\n  Test: `").unwrap_or_else(|| panic!("{promise}"));
        assert!(tests.contains("::"), "{promise}");
    }
}
