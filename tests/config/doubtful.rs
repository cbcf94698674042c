// SPDX-License-Identifier: Apache-2.0
//! Secrets that are probably not what was meant: a wrong one counts towards a lock-out.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{ffi::OsString, fs, os::unix::fs::PermissionsExt, path::Path};

use conferencing_exporter::{
    config::{Config, Loaded},
    systems::catalogue,
};

/// Loads a source whose secret is given by `line`; the variable has the value `variable`.
fn load(file: &Path, line: &str, variable: &str) -> Loaded {
    let text = format!(
        "sources:\n  - name: pbx\n    vendor: yeastar_s\n    base_url: https://192.0.2.10:8088\n    \
         username: api\n    {line}\n"
    );
    let env = |_: &str| Some(OsString::from(variable));
    Config::parse_with_env(&text, file, catalogue().profiles(), env).unwrap()
}

/// The warnings about a secret, however it is given.
fn of_each_form(secret: &str) -> [Vec<String>; 3] {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, format!("{secret}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let config = folder.path().join("exporter.yaml");
    [format!("password: '{secret}'"), "password_file: secret".into(), "password_env: PBX_X".into()]
        .map(|line| {
            let warnings = load(&config, &line, secret).warnings;
            for warning in &warnings {
                assert!(!format!("{warning} {warning:?}").contains("CANARY"), "{warning}");
                assert!(warning.remedy.is_some() && warning.position.unwrap().line == 6);
            }
            warnings.into_iter().map(|warning| warning.message).collect()
        })
}

#[test]
fn blanks_around_a_secret_and_placeholders_are_said() {
    let blanks = "blanks or line breaks around the secret are a part of it";
    let placeholder = "a placeholder, which is not filled in here, and is sent as it is";
    for (secret, expected) in [
        ("CANARY", None),
        ("CAN ARY", None),
        ("$CANARY}{", None),
        (" CANARY", Some(blanks)),
        ("CANARY ", Some(blanks)),
        ("CANARY\u{a0}", Some(blanks)),
        ("${CANARY}", Some(placeholder)),
        ("pre-${CANARY:-x}", Some(placeholder)),
        ("{{ CANARY }}", Some(placeholder)),
    ] {
        for said in of_each_form(secret) {
            assert_eq!(said.first().map(String::as_str), expected, "{secret}");
        }
    }
}

#[test]
fn a_byte_order_mark_and_one_line_break_are_no_part_of_a_secret_and_a_second_one_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let config = folder.path().join("exporter.yaml");
    for (text, count) in [
        ("CANARY", 0),
        ("\u{feff}CANARY\n", 0),
        ("CANARY\r\n", 0),
        ("CANARY\n\n", 1),
        ("CANARY\r\n\r\n", 1),
        ("CANARY \n", 1),
    ] {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let loaded = load(&config, "password_file: secret", "");
        assert_eq!(loaded.warnings.len(), count, "{text:?}: {:?}", loaded.warnings);
    }
}

#[test]
fn a_secret_that_a_comment_may_have_cut_is_said() {
    for (line, is_cut) in [
        ("password: CANARY #CANARY", true),
        ("password: CANARY   #1", true),
        ("password: CANARY # of the API user", false),
        ("password: CANARY ## of the API user", false),
        ("password: 'CANARY' #CANARY", false),
        ("password: CANARY#CANARY", false),
    ] {
        let warnings = load(Path::new("exporter.yaml"), line, "").warnings;
        let said: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), usize::from(is_cut), "{line}: {said:?}");
        assert!(said.iter().all(|said| !said.contains("CANARY")), "{said:?}");
    }
}
