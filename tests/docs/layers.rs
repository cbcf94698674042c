// SPDX-License-Identifier: Apache-2.0
//! Modules import only what stands below them in the map of ARCHITECTURE.md, the map lists what is
//! there, and nothing but `src/systems` knows the name of a system.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use conferencing_exporter::systems::catalogue;

/// The modules of the map, a row of it each, from top to bottom.
fn map() -> Vec<Vec<String>> {
    let text = fs::read_to_string("ARCHITECTURE.md").unwrap();
    let (_, rest) = text.split_once("<!-- layers -->").unwrap();
    let (table, _) = rest.split_once("<!-- /layers -->").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cell = row.split('|').nth(1).unwrap();
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    })
    .collect()
}

/// The files below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension() == Some("rs".as_ref()) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The module at the top of `src` that a file belongs to.
fn module_of(file: &Path) -> String {
    let first = file.strip_prefix("src").unwrap().iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The code without comments: a link of the documentation is no import.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

fn name_at(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| &text[..end])
}

/// The top-level modules that `code` names after `root`, as `crate::` or inside `crate::{...}`.
fn imports(code: &str, root: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in code.split(root).skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            found.extend(name_at(rest).map(str::to_owned));
            continue;
        };
        let mut depth = 0;
        let mut item = true;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => item = true,
                c if c.is_whitespace() => {}
                _ if depth == 0 && item => {
                    found.extend(name_at(&group[at..]).map(str::to_owned));
                    item = false;
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn imports_are_found_however_they_are_written() {
    let code =
        "use crate::{\n    net::{Api, lenient::Text},\n    config,\n};\nuse crate::model::Reason;
        fn x() -> crate::web::Site { $crate::cli::y() }";
    let found: Vec<_> = imports(code, "crate::").into_iter().collect();
    assert_eq!(found, ["cli", "config", "model", "net", "web"]);
}

#[test]
fn every_module_imports_only_what_stands_below_it() {
    let map = map();
    let floor = |module: &str| map.iter().position(|row| row.iter().any(|known| known == module));
    let mut wrong = Vec::new();
    for file in files(Path::new("src")) {
        let module = module_of(&file);
        let own = floor(&module);
        let code = code(&file).to_lowercase();
        let mut imported = imports(&code, "crate::");
        // The binary is a crate of its own.
        imported.extend(imports(&code, "conferencing_exporter::"));
        for name in imported.iter().filter(|name| **name != module) {
            // What is no module of the map is an item at the top of the library.
            if let Some(floor) = floor(name)
                && own.is_none_or(|own| floor <= own)
            {
                wrong.push(format!("{}: {module} imports {name}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these imports do not go down the map:\n{}", wrong.join("\n"));
}

#[test]
fn the_map_lists_the_modules_that_exist() {
    let mapped: Vec<String> = map().into_iter().flatten().collect();
    let listed: BTreeSet<String> = mapped.iter().cloned().collect();
    assert_eq!(listed.len(), mapped.len(), "a module stands twice in the map");
    let mut existing: BTreeSet<String> =
        files(Path::new("src")).iter().map(|file| module_of(file)).collect();
    existing.remove("lib");
    assert_eq!(listed, existing, "the map of ARCHITECTURE.md (left) and src (right)");
}

#[test]
fn nothing_but_its_folder_names_a_system() {
    let names: Vec<_> = catalogue().profiles().iter().map(|profile| profile.name).collect();
    // `yeastar` of `yeastar_s`: the maker's name gives a system away as well.
    let makers: BTreeSet<_> = names.iter().map(|name| name.split('_').next().unwrap()).collect();
    let mut wrong = Vec::new();
    for file in files(Path::new("src")) {
        let code = code(&file).to_lowercase();
        let path = file.strip_prefix("src").unwrap();
        let folder = path.strip_prefix("systems").ok().and_then(|below| below.iter().next());
        match folder.map(|folder| folder.to_str().unwrap()) {
            None => {
                let named = makers.iter().filter(|maker| code.contains(**maker));
                wrong.extend(named.map(|maker| format!("{} names {maker}", file.display())));
            }
            Some(folder) if names.contains(&folder) => {
                let others = names.iter().filter(|name| **name != folder);
                let imported = others.filter(|name| code.contains(&format!("{name}::")));
                wrong.extend(imported.map(|name| format!("{} imports {name}", file.display())));
            }
            // What all of them share, and the catalogue itself.
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_system_has_a_folder_and_every_folder_is_a_system_or_shared() {
    let mut expected: BTreeSet<_> =
        catalogue().profiles().iter().map(|profile| profile.name.to_owned()).collect();
    expected.insert("pbx".to_owned());
    let folders = fs::read_dir("src/systems").unwrap().map(|entry| entry.unwrap().path());
    let folders: BTreeSet<_> = folders
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(folders, expected);
}
