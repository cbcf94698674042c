// SPDX-License-Identifier: Apache-2.0
//! What is shipped agrees with itself: versions, the files of both packages, figures that several files name, the changelog's form.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{collections::BTreeSet, fs};

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands between `before` and `after` for the first time.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before}"));
    rest.split_once(after).unwrap_or_else(|| panic!("no {after} behind {before}")).0
}

#[test]
fn every_file_names_the_version_of_the_workspace() {
    let version = env!("CARGO_PKG_VERSION");
    for (path, expected) in [
        ("Dockerfile", format!("ARG VERSION={version}\n")),
        ("SECURITY.md", format!("conferencing-exporter_{version}-1_amd64.deb")),
        ("SECURITY.md", format!("conferencing_exporter:{version} ")),
        ("deploy/README.md", format!("conferencing-exporter_{version}-1_amd64.deb")),
        ("deploy/README.md", format!("conferencing-exporter-{version}-1.x86_64.rpm")),
        ("deploy/README.md", format!("conferencing_exporter:{version}\n")),
        ("deploy/compose.production.yaml", format!("conferencing_exporter:{version}\n")),
        ("deploy/debian/changelog", format!("conferencing-exporter ({version}-1) ")),
        ("deploy/helm/conferencing-exporter/Chart.yaml", format!("\nversion: {version}\n")),
        ("deploy/helm/conferencing-exporter/Chart.yaml", format!("\nappVersion: {version}\n")),
        ("deploy/kubernetes/base/deployment.yaml", format!("conferencing_exporter:{version}\n")),
        ("deploy/kubernetes/example/kustomization.yaml", format!("newTag: {version}\n")),
    ] {
        assert!(read(path).contains(&expected), "{path} does not say {expected:?}");
    }
}

#[test]
fn both_packages_hold_the_same_files() {
    let manifest = read("Cargo.toml");
    let section = |name: &str| {
        between(&manifest, &format!("[package.metadata.{name}]"), "\n[").to_owned() + "\n["
    };
    let (deb, rpm) = (section("deb"), section("generate-rpm"));
    let deb: BTreeSet<_> = between(&deb, "\nassets = [\n", "\n]")
        .lines()
        .map(|line| line.split('"').nth(1).unwrap())
        .collect();
    let rpm: BTreeSet<_> = between(&rpm, "\nassets = [\n", "\n]")
        .lines()
        .map(|line| line.split('"').nth(1).unwrap())
        .collect();
    assert!(deb.len() > 15, "{deb:?}");
    // Debian has a file of its own for the licence, and makes the system's group in its script.
    let own = ["deploy/debian/copyright"];
    let only_deb: Vec<_> = deb.difference(&rpm).filter(|path| !own.contains(path)).collect();
    let own = ["LICENSE", "deploy/systemd/conferencing-exporter.sysusers.conf"];
    let only_rpm: Vec<_> = rpm.difference(&deb).filter(|path| !own.contains(path)).collect();
    assert!(only_deb.is_empty() && only_rpm.is_empty(), "{only_deb:?} {only_rpm:?}");
}

/// The comments beside a limit of memory say what docs/scaling.md has measured.
#[test]
fn limits_of_memory_are_explained_by_what_was_measured() {
    let scaling = read("docs/scaling.md");
    let table = between(&scaling, "| Systems | ", "\nTo measure");
    for path in [
        "deploy/systemd/conferencing_exporter.service",
        "deploy/kubernetes/base/deployment.yaml",
        "deploy/helm/conferencing-exporter/values.yaml",
    ] {
        let text = read(path);
        let comment = between(&text, "# Measured: ", " (").split(':').next().unwrap();
        for (part, first) in comment.split(", ").zip([true, false, false]) {
            let (memory, systems) = part.split_once(" MiB with ").unwrap();
            let systems = systems.trim_end_matches(" systems");
            let row = format!("\n| {systems} |");
            let row = between(table, &row, "\n");
            assert!(row.contains(&format!("| {memory} MiB |")), "{path}, {systems}: {row}");
            assert_eq!(first, part.ends_with(" systems"), "{path}: {part}");
        }
        let limit = between(&scaling, "beyond some ", " systems");
        let advised = format!("beyond {limit}");
        assert!(text.contains(&advised), "{path} does not say {advised}, as docs/scaling.md");
    }
}

/// <https://keepachangelog.com/en/1.1.0/>
#[test]
fn the_changelog_has_its_form() {
    const KINDS: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
    let text = read("CHANGELOG.md");
    assert!(text.starts_with("# Changelog\n"));
    let mut versions = text.split("\n## ").skip(1);
    let unreleased = versions.next().unwrap();
    assert!(unreleased.starts_with("[Unreleased]\n"), "{unreleased}");
    for version in [unreleased].into_iter().chain(versions) {
        let head = version.lines().next().unwrap();
        let kinds: Vec<_> = version
            .lines()
            .filter_map(|line| line.strip_prefix("### "))
            .inspect(|kind| assert!(KINDS.contains(kind), "{head}: {kind}"))
            .collect();
        let once: BTreeSet<_> = kinds.iter().collect();
        assert_eq!(once.len(), kinds.len(), "{head}: a kind is there twice: {kinds:?}");
    }
}
