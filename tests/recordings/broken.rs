// SPDX-License-Identifier: Apache-2.0
//! A recording that is not whole, or of another format, says so; one that was changed is replayed, and not taken for what it
//! was.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{fs, path::PathBuf, process::Output};

use conferencing_exporter::recording::{Invalid, Recording, Replay};
use serde_json::{Value, json};
use simulator::{Options, Simulator, Vendor};
use tempfile::TempDir;

use crate::common::{
    binary::{command, write_private},
    config, source,
    wait::output,
};

/// A folder with the recording of each system, made by the program itself, and what it printed.
fn recorded() -> (TempDir, Output) {
    let simulator = Simulator::start_blocking(Options::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sources: Vec<_> = Vendor::ALL
        .into_iter()
        .map(|vendor| source(vendor, &simulator.base_url(vendor), &[]))
        .collect();
    let file = folder.path().join("exporter.yaml");
    write_private(&file, &config(&sources));
    let records = folder.path().join("new").join("records");
    let output = output(
        command().arg("--config.file").arg(file).args(["check", "--live", "--record"]).arg(records),
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    (folder, output)
}

fn replay(files: &[PathBuf]) -> Output {
    output(command().args(["check", "--replay"]).args(files))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_file_a_source_is_written_and_replayed() {
    let (folder, printed) = recorded();
    let file = |vendor: Vendor| {
        folder.path().join("new").join("records").join(format!("{}.json", vendor.as_str()))
    };
    let files: Vec<_> = Vendor::ALL.into_iter().map(file).collect();
    let printed = text(&printed.stdout);
    for file in &files {
        let line = format!("{}: a recording; replaced: ", file.display());
        assert!(printed.contains(&line), "{printed}");
    }
    let replayed = replay(&files);
    assert_eq!(replayed.status.code(), Some(0), "{replayed:?}");
    let rows = |printed: &str| {
        let cells = |line: &str| {
            let mut cells: Vec<_> = line.split("  ").map(str::trim).collect();
            cells.retain(|cell| !cell.is_empty() && !cell.ends_with(" s"));
            cells.join("|")
        };
        let vendors = Vendor::ALL.map(Vendor::as_str);
        let is_row = |line: &&str| vendors.iter().any(|vendor| line.starts_with(vendor));
        printed.lines().filter(is_row).map(cells).collect::<Vec<_>>()
    };
    // The table of the replay is that of the recording but for times and requests: the logout came
    // after the one, and before the other was shown.
    let without_requests = |rows: Vec<String>| -> Vec<String> {
        let keep = |row: String| {
            let cells: Vec<_> = row.split('|').map(str::to_owned).collect();
            let is_count = |cell: &&String| cell.parse::<u64>().is_err();
            cells.iter().filter(is_count).cloned().collect::<Vec<_>>().join("|")
        };
        rows.into_iter().map(keep).collect()
    };
    let replayed = text(&replayed.stdout);
    assert_eq!(without_requests(rows(&printed)), without_requests(rows(&replayed)), "{replayed}");
    assert_eq!(replayed.matches("as recorded").count(), files.len(), "{replayed}");
}

#[test]
fn a_failed_source_is_recorded_and_said_so() {
    let simulator = Simulator::start_blocking(Options::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exporter.yaml");
    let vendor = Vendor::YeastarS;
    let wrong = source(vendor, &simulator.base_url(vendor), &[])
        .replace("demo-password-not-secret", "another");
    write_private(&file, &config(&[wrong]));
    let recorded = output(
        command()
            .arg("--config.file")
            .arg(file)
            .args(["check", "--live", "--record"])
            .arg(folder.path()),
    );
    assert_eq!(recorded.status.code(), Some(1), "{recorded:?}");
    assert!(text(&recorded.stdout).contains("a recording of a source that failed"), "{recorded:?}");
    let replayed = replay(&[folder.path().join("yeastar_s.json")]);
    assert_eq!(replayed.status.code(), Some(0), "{replayed:?}");
    assert!(text(&replayed.stdout).contains("FAILED (auth)"), "{replayed:?}");
}

#[test]
fn a_folder_that_cannot_be_made_is_said_before_anybody_is_asked() {
    let simulator = Simulator::start_blocking(Options::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exporter.yaml");
    let vendor = Vendor::YeastarS;
    write_private(&file, &config(&[source(vendor, &simulator.base_url(vendor), &[])]));
    let below_a_file = file.join("records");
    let refused = output(
        command()
            .arg("--config.file")
            .arg(&file)
            .args(["check", "--live", "--record"])
            .arg(&below_a_file),
    );
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let problem = text(&refused.stderr);
    assert!(
        problem.starts_with(&format!("{} cannot be made: ", below_a_file.display())),
        "{problem}"
    );
    assert!(simulator.requests(vendor, "").is_empty());
}

#[test]
fn what_is_no_recording_of_this_format_says_so() {
    let (folder, _) = recorded();
    let whole = fs::read_to_string(folder.path().join("new/records/yeastar_p.json")).unwrap();
    let with = |key: &str, value: Value| {
        let mut recording: Value = serde_json::from_str(&whole).unwrap();
        recording[key] = value;
        recording.to_string()
    };
    let first_line = |text: &str| text.lines().next().unwrap().to_owned();
    for (name, content, expected) in [
        ("empty", String::new(), "it is cut off at line 1: get the whole file"),
        ("cut", whole[..whole.len() / 2].to_owned(), "it is cut off at line "),
        ("end-cut", whole.trim_end().trim_end_matches('}').to_owned(), "it is cut off at line "),
        ("text", "numbers: 5\n".to_owned(), "it is no recording: not JSON at line 1"),
        ("foreign", "{\"numbers\": 5}".to_owned(), "it is no recording of conferencing_exporter"),
        ("list", "[1]".to_owned(), "it is no recording of conferencing_exporter"),
        (
            "newer",
            with("conferencing_exporter_recording", json!(2)),
            "it was recorded by a newer exporter (",
        ),
        (
            "older",
            with("conferencing_exporter_recording", json!(0)),
            "it was recorded by an older exporter (",
        ),
        ("vendor", with("vendor", json!("tinyconf")), "it is damaged: no system is known by"),
        ("login", with("login", json!(["key"])), "it is damaged: not a login of yeastar_p"),
        ("settings", with("settings", json!({"x": "1"})), "it is damaged: yeastar_p has no key"),
        ("setting", with("settings", json!({"live": "a: b"})), "it is damaged: not a value"),
        ("wrong", with("settings", json!({"live": "perhaps"})), "it is damaged: "),
        ("answers", with("answers", json!({})), "it is damaged: "),
        (
            "status",
            with("answers", json!([{"call": "get_token", "status": 7, "body_is": "empty"}])),
            "it is damaged: 7 is no HTTP status",
        ),
        (
            "body",
            with("answers", json!([{"call": "get_token", "status": 200, "body_is": "json"}])),
            "it is damaged: `body` and `body_is` do not fit",
        ),
        (
            "placeholder",
            with(
                "answers",
                json!([{"call": "get_token", "status": 200, "body_is": "json", "body": {"a": "<x 1>"}}]),
            ),
            "it is damaged: not a placeholder of a recording",
        ),
        ("more", with("more", json!(1)), "it is damaged: unknown field `more`"),
        // What a terminal would obey.
        ("key", with("\u{1b}[31m", json!(1)), "it is damaged: unknown field `[31m`"),
        ("exporter", with("exporter", json!("\u{1b}[31m")), "it is damaged: not a name: "),
        ("reason", with("result", json!({"failed": "\u{1b}[31m"})), "it is damaged: not a name: "),
        (
            "measure",
            with("result", json!({"numbers": {"\u{1b}[31m": 1}})),
            "it is damaged: not a name: ",
        ),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, content).unwrap();
        let replayed = replay(std::slice::from_ref(&file));
        assert_eq!(replayed.status.code(), Some(2), "{name}: {replayed:?}");
        let problem = first_line(&text(&replayed.stderr));
        let expected = format!("{}: {expected}", file.display());
        assert!(problem.starts_with(&expected), "{name}: {problem}");
        assert!(!problem.contains(char::is_control), "{name}: {problem:?}");
        assert!(replayed.stdout.is_empty(), "{name}");
    }
    let replayed = replay(&[folder.path().join("nowhere.json")]);
    assert_eq!(replayed.status.code(), Some(2), "{replayed:?}");
    // The others are replayed all the same.
    let replayed = replay(&[
        folder.path().join("nowhere.json"),
        folder.path().join("new/records/yeastar_p.json"),
    ]);
    assert_eq!(replayed.status.code(), Some(2), "{replayed:?}");
    assert!(text(&replayed.stdout).contains("as recorded"), "{replayed:?}");
}

#[test]
fn what_was_changed_is_shown_and_fails() {
    let (folder, _) = recorded();
    let whole = fs::read_to_string(folder.path().join("new/records/yeastar_p.json")).unwrap();
    for (name, changed, expected) in [
        (
            "an answer",
            whole.replacen("\"ANSWERED\"", "\"HOLD\"", 1),
            vec!["participants_joined: ", "participants_waiting: ", "the file was changed"],
        ),
        (
            "a number",
            whole.replacen("\"rooms\": ", "\"rooms\": 1", 1),
            vec!["rooms: ", "the file was changed"],
        ),
        (
            "a counter",
            whole.replacen("\"texts\": ", "\"texts\": 1", 1),
            vec!["the file was changed"],
        ),
        (
            "a call",
            whole.replacen("\"call\": \"conference/list\"", "\"call\": \"other\"", 1),
            vec!["ok recorded, failed (connect) now", "conference/list has no answer"],
        ),
    ] {
        assert_ne!(changed, whole, "{name}");
        let file = folder.path().join("changed.json");
        fs::write(&file, changed).unwrap();
        let replayed = replay(&[file]);
        assert_eq!(replayed.status.code(), Some(1), "{name}: {replayed:?}");
        let shown = text(&replayed.stdout);
        for expected in expected {
            assert!(shown.contains(expected), "{name}: {expected} in {shown}");
        }
    }
    // Blanks are no change: a mail program may have moved lines. Nor is what an editor puts before all.
    for same in
        [whole.replace("\n ", "\n  "), whole.replace('\n', "\r\n"), format!("\u{feff}{whole}")]
    {
        assert_ne!(same, whole);
        assert!(Recording::parse(&same).unwrap().is_unchanged());
    }
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    for arguments in [
        &["check", "--record", "folder"][..],
        &["check", "--live", "--replay", "file"],
        &["check", "--replay"],
        &["check", "--live", "--record"],
    ] {
        let refused = output(command().args(arguments));
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {refused:?}");
    }
}

#[test]
fn a_recording_is_read_strictly() {
    let wrong = |text: &str| match Recording::parse(text) {
        Ok(recording) => Replay::new(&recording).err(),
        Err(invalid) => Some(invalid),
    };
    assert_eq!(wrong("{"), Some(Invalid::Cut(1)));
    assert_eq!(wrong("nothing"), Some(Invalid::NotJson { line: 1, column: 2 }));
}
