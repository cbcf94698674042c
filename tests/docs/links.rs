// SPDX-License-Identifier: Apache-2.0
//! Links inside of the documents lead somewhere: to a file that is there, and to a heading that it has. And no line is too
//! long to be read beside another one.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The documents, in whatever folder; what is built or downloaded is none.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(".")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !name.starts_with('.') && !["target", "node_modules", "out"].contains(&name) {
                    folders.push(path);
                }
            } else if name.ends_with(".md") {
                found.push(path.strip_prefix(".").unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The lines of a document that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

/// Where the links of `text` lead: `](target)`, `[name]: target`, `src="target"`.
fn targets(text: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    for line in prose(text) {
        targets.extend(line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
        targets.extend(line.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next()));
        targets.extend(line.split("srcset=\"").skip(1).filter_map(|rest| rest.split('"').next()));
        if let Some((_, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            targets.push(target);
        }
    }
    targets
}

/// The names by which GitHub links the headings of `text`.
fn anchors(text: &str) -> Vec<String> {
    prose(text)
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|heading| {
            let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
            heading.chars().filter(kept).collect::<String>().replace(' ', "-")
        })
        .collect()
}

#[test]
fn every_link_inside_leads_somewhere() {
    let mut followed = 0;
    let mut broken = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for target in targets(&text).into_iter().filter(|target| !target.contains("://")) {
            followed += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let beside = document.parent().unwrap().join(path);
            let file = if path.is_empty() { document.as_path() } else { beside.as_path() };
            let leads = file.exists()
                && (anchor.is_empty()
                    || anchors(&fs::read_to_string(file).unwrap())
                        .iter()
                        .any(|name| name == anchor));
            if !leads {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(followed > 50, "{followed}");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_line_is_too_long() {
    let mut long = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for (number, line) in (1..).zip(text.lines()) {
            if line.chars().count() > 160 {
                long.push(format!("{}:{number}: {}", document.display(), line.chars().count()));
            }
        }
    }
    assert!(long.is_empty(), "over 160 characters (write a wide table as a list): {long:#?}");
}

#[test]
fn headings_are_named_as_on_github() {
    let text = "# One, two & three\n```\n# no heading\n```\n### `http_4xx`\n## What is asked?\n";
    assert_eq!(anchors(text), ["one-two--three", "http_4xx", "what-is-asked"]);
    assert!(Path::new("README.md").exists(), "tests run in the folder of the package");
}
