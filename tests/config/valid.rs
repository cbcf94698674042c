// SPDX-License-Identifier: Apache-2.0
//! Configurations that are valid: what they mean and what they warn of.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use conferencing_exporter::{
    config::{
        Capacity, Conferences, Config, Identify, LoadError, Loaded, Settings, Source, Tls,
        duration::{InvalidDuration, format_duration, parse_duration, parse_size},
        keys::{CAPACITY_KEYS, COMMON, CONFERENCE_KEYS, DEFAULT_KEYS, TLS_KEYS},
        secret::SecretSource,
    },
    systems::{catalogue, dingtalk, huawei_meeting, pbx::Settings as Pbx, yeastar_p},
};
use proptest::prelude::*;
use secrecy::ExposeSecret;

/// A PBX with whatever lines more, indented as a source's keys.
fn pbx(more: &str) -> String {
    format!(
        "sources:\n  - name: pbx\n    vendor: yeastar_s\n    base_url: https://192.0.2.10:8088\n    username: api\n    password: hunter2\n{more}"
    )
}

fn parse(text: &str) -> Result<Loaded, LoadError> {
    let file = Path::new("/etc/exporter/exporter.yaml");
    Config::parse_with_env(text, file, catalogue().profiles(), |name| {
        (name == "PBX_PASSWORD").then(|| OsString::from("from-env\n"))
    })
}

fn only_source(text: &str) -> Source {
    let mut sources = parse(text).unwrap().config.sources;
    assert_eq!(sources.len(), 1);
    sources.remove(0)
}

/// The system's own settings.
fn own<T: Settings>(source: &Source) -> &T {
    source.settings.of().unwrap()
}

/// Every key of a system's own, those of the entries of a list included.
fn exposed(source: &SecretSource) -> String {
    source.read_now().unwrap().expose_secret().to_owned()
}

#[test]
fn the_shipped_example_is_valid_and_has_all_vendors() {
    let loaded = Config::load(Path::new("exporter.yaml"), catalogue().profiles()).unwrap();
    let kinds: Vec<_> = loaded.config.sources.iter().map(|source| source.profile).collect();
    assert_eq!(kinds, catalogue().profiles());
    for (source, port) in loaded.config.sources.iter().zip(19681..) {
        assert_eq!(source.base_url.port(), Some(port), "{}: the demo's port", source.name);
    }
    // Its secrets are public; any other warning would be a bad example.
    for warning in loaded.warnings {
        assert!(warning.message.contains("written in this file"), "{warning}");
    }
}

/// `tests/data/config/valid` is also what a public validator checks the schema with.
#[test]
fn every_valid_file_is_valid() {
    let mut count = 0;
    for entry in std::fs::read_dir("tests/data/config/valid").unwrap() {
        let path = entry.unwrap().path();
        if path.extension() == Some("yaml".as_ref()) {
            Config::load(&path, catalogue().profiles()).unwrap_or_else(|error| panic!("{error}"));
            count += 1;
        }
    }
    assert_eq!(count, 3);
}

/// A key of the tables that nobody reads would be accepted with any value.
#[test]
fn every_key_of_the_tables_is_read() {
    let complains = |text: &str, path: &str| {
        let error = parse(text).unwrap_err();
        let found = error.problems.iter().any(|problem| {
            problem.path.starts_with(path) && problem.message.starts_with("wrong type")
        });
        assert!(found, "{path}: {error}");
    };
    for vendor in catalogue().profiles() {
        for key in COMMON.iter().copied().chain(vendor.own()) {
            for name in key.names() {
                if name != "vendor" {
                    let text = format!("sources: [{{ {name}: [[{{}}]], vendor: {vendor} }}]");
                    complains(&text, &format!("sources[0].{name}"));
                }
            }
        }
        for list in vendor.own() {
            for name in list.entry_keys().iter().flat_map(|key| key.names()) {
                let list = list.name;
                let text =
                    format!("sources: [{{ vendor: {vendor}, {list}: [{{ {name}: [[]] }}] }}]");
                complains(&text, &format!("sources[0].{list}[0].{name}"));
            }
        }
    }
    for key in DEFAULT_KEYS {
        let text = format!("defaults: {{ {}: [[]] }}\nsources: []", key.name);
        complains(&text, &format!("defaults.{}", key.name));
    }
    let sections =
        [("tls", TLS_KEYS), ("capacity", CAPACITY_KEYS), ("conferences", CONFERENCE_KEYS)];
    for (section, keys) in sections {
        for key in keys {
            let text = format!("defaults: {{ {section}: {{ {}: [[]] }} }}\nsources: []", key.name);
            complains(&text, &format!("defaults.{section}.{}", key.name));
        }
    }
}

#[test]
fn a_minimal_source_has_the_documented_defaults() {
    let source = only_source(&pbx(""));
    assert_eq!(source.name, "pbx");
    assert_eq!(source.base_url.as_str(), "https://192.0.2.10:8088/");
    assert_eq!(source.api_path, "/api/v2.0.0");
    assert_eq!(source.labels, BTreeMap::new());
    assert_eq!(source.timeout, Duration::from_secs(10));
    assert_eq!(source.min_interval, Duration::ZERO);
    assert_eq!(source.max_concurrency, 4);
    assert_eq!(source.max_response_bytes, 8 << 20);
    assert_eq!(source.tls, Tls::default());
    assert_eq!(source.proxy_url, None);
    assert_eq!(source.capacity, Capacity { conferences: None, participants: None });
    let conferences = Conferences { enabled: false, limit: 100, identify: Identify::Hash };
    assert_eq!(source.conferences, conferences);
    let pbx: &Pbx = own(&source);
    assert_eq!((pbx.username.as_str(), pbx.event_port, pbx.live), ("api", 8260, true));
    assert_eq!(exposed(&pbx.password), "hunter2");
}

#[test]
fn each_vendor_has_its_own_defaults() {
    let text = "sources:\n\
        - { name: a, vendor: openvox_uc, base_url: 'https://h', username: u, password: p }\n\
        - { name: b, vendor: yeastar_p, base_url: 'https://h', client_id: u, client_secret: p }\n\
        - { name: c, vendor: huawei_meeting, app_id: u, app_key: p }\n\
        - { name: d, vendor: dingtalk, app_key: u, app_secret: p }\n";
    let sources = parse(text).unwrap().config.sources;
    let seen: Vec<_> = sources
        .iter()
        .map(|s| (s.base_url.as_str(), s.api_path.as_str(), s.min_interval.as_secs()))
        .collect();
    assert_eq!(
        seen,
        [
            ("https://h/", "/api/v0.0.1", 0),
            ("https://h/", "/openapi/v1.0", 0),
            ("https://api.meeting.huaweicloud.com/", "", 30),
            ("https://api.dingtalk.com/", "", 900),
        ]
    );
    let p: &yeastar_p::Settings = own(&sources[1]);
    assert_eq!((p.page_size, p.live, p.room_details), (100, true, None));
    let huawei: &huawei_meeting::Settings = own(&sources[2]);
    assert!(huawei.enterprise && huawei.discover && !huawei.attendees && !huawei.details);
    let dingtalk: &dingtalk::Settings = own(&sources[3]);
    assert_eq!((dingtalk.discover, dingtalk.batch_size), (true, 50));
}

#[test]
fn every_login_mode_is_understood() {
    let text = "sources:\n\
        - { name: a, vendor: huawei_meeting, app_id: i, app_key: k, user_id: u, corp_id: c }\n\
        - { name: b, vendor: huawei_meeting, account: a, password: p }\n\
        - { name: c, vendor: dingtalk, corp_id: c, client_id: i, client_secret: s }\n\
        - { name: d, vendor: dingtalk, suite_key: k, suite_secret: s, auth_corp_id: c, suite_ticket: t }\n";
    let sources = parse(text).unwrap().config.sources;
    let huawei: &huawei_meeting::Settings = own(&sources[0]);
    let huawei_meeting::Credentials::AppId { user_id, corp_id, .. } = &huawei.login else {
        panic!()
    };
    assert_eq!((user_id.as_deref(), corp_id.as_deref()), (Some("u"), Some("c")));
    let huawei: &huawei_meeting::Settings = own(&sources[1]);
    assert!(
        matches!(&huawei.login, huawei_meeting::Credentials::Account { account, .. } if account == "a")
    );
    let dingtalk: &dingtalk::Settings = own(&sources[2]);
    assert!(
        matches!(&dingtalk.login, dingtalk::Credentials::Unified { corp_id, .. } if corp_id == "c")
    );
    let dingtalk: &dingtalk::Settings = own(&sources[3]);
    let dingtalk::Credentials::ThirdParty { suite_ticket, .. } = &dingtalk.login else { panic!() };
    assert_eq!(exposed(suite_ticket), "t");
}

#[test]
fn opt_ins_are_read() {
    let text = "sources:\n\
        - name: h\n  vendor: huawei_meeting\n  account: a\n  password: p\n  scope: own\n\
        \x20 discover: false\n  conference_ids: [\"1\", \"2\", \"1\"]\n  attendees: true\n\
        \x20 details: true\n  hosts: [{ conference_id: \"1\", password_env: PBX_PASSWORD }]\n\
        - name: p\n  vendor: yeastar_p\n  base_url: https://h\n  client_id: i\n\
        \x20 client_secret: s\n  page_size: 7\n  live: false\n  room_details: true\n\
        \x20 room_details_interval: 1h\n";
    let loaded = parse(text).unwrap();
    let h: &huawei_meeting::Settings = own(&loaded.config.sources[0]);
    assert!(!h.enterprise && !h.discover && h.attendees && h.details);
    assert_eq!(h.conference_ids, ["1", "2"]);
    assert_eq!(
        (h.hosts[0].conference_id.as_str(), exposed(&h.hosts[0].password).as_str()),
        ("1", "from-env")
    );
    let p: &yeastar_p::Settings = own(&loaded.config.sources[1]);
    assert_eq!((p.page_size, p.live, p.room_details), (7, false, Some(Duration::from_secs(3600))));
    let warnings: Vec<_> =
        loaded.warnings.iter().map(|w| (w.path.as_str(), w.message.as_str())).collect();
    assert_eq!(warnings, [("sources[0].conference_ids[2]", "repeated id")]);
}

#[test]
fn a_user_whom_freeswitch_always_refuses_is_a_warning() {
    for (username, is_doubtful) in [
        ("exporter@pbx.example", false),
        ("exporter", true),
        ("exporter@", true),
        ("@pbx.example", true),
        ("exporter:secret@pbx.example", true),
        ("exporter@pbx.example:secret", true),
    ] {
        let text = format!(
            "sources:\n- name: f\n  vendor: freeswitch\n  base_url: tls://h:8021\n  username: \"{username}\"\n\
             \x20 password_env: PBX_PASSWORD\n"
        );
        let warnings = parse(&text).unwrap().warnings;
        let found: Vec<_> =
            warnings.iter().map(|w| (w.path.as_str(), w.message.as_str())).collect();
        let doubt = ("sources[0].username", "FreeSWITCH refuses a user without its domain");
        assert_eq!(found, if is_doubtful { vec![doubt] } else { Vec::new() }, "{username}");
    }
}

#[test]
fn an_empty_list_of_sources_is_valid() {
    assert!(parse("sources: []\n").unwrap().config.sources.is_empty());
}

#[test]
fn defaults_hold_where_a_source_is_silent() {
    let text = "defaults:\n\
        \x20 vendor: yeastar_s\n  timeout: 5s\n  min_interval: 1m\n  max_concurrency: 2\n\
        \x20 max_response_bytes: 1MiB\n  labels: { site: hq, floor: \"3\" }\n\
        \x20 tls: { insecure_skip_verify: true }\n  proxy_url: http://proxy:3128\n\
        \x20 conferences: { enabled: true, limit: 5 }\n\
        \x20 capacity: { conferences: 8, participants: 100 }\n  api_path: api\n  base_url: https://h/pbx/\n\
        sources:\n\
        - { name: a, username: u, password: p }\n\
        - name: b\n  username: u\n  password: p\n  timeout: 7s\n  labels: { site: branch, wing: west }\n\
        \x20 conferences: { identify: name }\n  capacity: { participants: 30 }\n  tls: { insecure_skip_verify: false }\n\
        - { name: c, vendor: dingtalk, app_key: k, app_secret: s, base_url: 'https://d' }\n";
    let sources = parse(text).unwrap().config.sources;
    let [a, b, c] = &sources[..] else { panic!() };
    assert_eq!(
        (a.profile.name, a.api_path.as_str(), a.base_url.path()),
        ("yeastar_s", "/api", "/pbx")
    );
    assert_eq!((a.timeout, a.min_interval), (Duration::from_secs(5), Duration::from_secs(60)));
    assert_eq!((a.max_concurrency, a.max_response_bytes), (2, 1 << 20));
    assert!(a.tls.insecure_skip_verify && a.proxy_url.is_some());
    assert_eq!(a.conferences, Conferences { enabled: true, limit: 5, identify: Identify::Hash });
    assert_eq!(b.timeout, Duration::from_secs(7));
    assert_eq!(b.conferences, Conferences { enabled: true, limit: 5, identify: Identify::Name });
    assert_eq!(a.capacity, Capacity { conferences: Some(8), participants: Some(100) });
    assert_eq!(b.capacity, Capacity { conferences: Some(8), participants: Some(30) });
    assert!(!b.tls.insecure_skip_verify);
    let labels: Vec<_> =
        b.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("floor", "3"), ("site", "branch"), ("wing", "west")]);
    assert_eq!((c.profile.name, c.min_interval), ("dingtalk", Duration::from_secs(60)));
}

#[test]
fn anchors_and_merge_keys_work() {
    let text = "sources:\n\
        - &one { name: a, vendor: yeastar_s, base_url: 'https://h', username: u, password: p }\n\
        - { <<: *one, name: b, username: v }\n";
    let sources = parse(text).unwrap().config.sources;
    assert_eq!(sources[1].name, "b");
    let pbx: &Pbx = own(&sources[1]);
    assert_eq!((pbx.username.as_str(), exposed(&pbx.password).as_str()), ("v", "p"));
}

#[test]
fn addresses_and_paths_are_normalised() {
    let base = |url: &str| {
        only_source(&pbx("").replace("https://192.0.2.10:8088", url)).base_url.to_string()
    };
    assert_eq!(base("HTTPS://PBX.example:443/"), "https://pbx.example/");
    assert_eq!(base("https://h/a/b//"), "https://h/a/b");
    assert_eq!(base("\"http://[::1]:80/x\""), "http://[::1]/x");
    let api = |path: &str| only_source(&pbx(&format!("    api_path: {path}\n"))).api_path;
    assert_eq!(api("api/v1/"), "/api/v1");
    assert_eq!(api("\"\""), "");
    assert_eq!(api("/"), "");
}

#[test]
fn a_quoted_number_is_text() {
    let text = pbx("").replace("hunter2", "\"0123\"").replace("api\n", "!!str 1001\n");
    let source = only_source(&text);
    let pbx: &Pbx = own(&source);
    assert_eq!((pbx.username.as_str(), exposed(&pbx.password).as_str()), ("1001", "0123"));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_fault() {
    let text = format!("\u{feff}{}", pbx("    timeout: 5\n").replace('\n', "\r\n"));
    let error = parse(&text).unwrap_err();
    assert_eq!(error.problems.len(), 1, "{error}");
    let position = error.problems[0].position.unwrap();
    assert_eq!((position.line, position.column), (7, 14));
}

#[test]
fn durations_have_one_grammar() {
    for (text, millis) in [
        ("0s", 0),
        ("500ms", 500),
        ("10s", 10_000),
        ("90s", 90_000),
        ("15m", 900_000),
        ("1h30m", 5_400_000),
        ("1h1m1s1ms", 3_661_001),
        ("2h5ms", 7_200_005),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in [
        "",
        "10",
        "s",
        "10 s",
        "-1s",
        "1.5h",
        "1m1h",
        "1s1s",
        "1d",
        "10S",
        "1h30",
        "99999999999999h",
        "٣s",
    ] {
        assert_eq!(parse_duration(text), Err(InvalidDuration), "{text}");
    }
}

#[test]
fn every_documented_duration_and_any_size_are_possible() {
    for (text, millis) in [("500ms", 500), ("10s", 10_000), ("15m", 900_000), ("1h30m", 5_400_000)]
    {
        let source = only_source(&pbx(&format!("    timeout: {text}\n    min_interval: {text}\n")));
        let expected = Duration::from_millis(millis);
        assert_eq!((source.timeout, source.min_interval), (expected, expected), "{text}");
    }
    let smallest = only_source(&pbx("    max_response_bytes: 1\n"));
    assert_eq!(smallest.max_response_bytes, 1);
}

#[test]
fn two_sources_with_one_account_are_a_warning() {
    let logins = [
        ("openvox_uc", "username: u, password: p", "username: v, password: p"),
        ("yeastar_s", "username: u, password: p", "username: v, password: p"),
        ("yeastar_p", "client_id: u, client_secret: p", "client_id: v, client_secret: p"),
        ("huawei_meeting", "app_id: u, app_key: p", "app_id: u, app_key: p, user_id: x"),
        ("huawei_meeting", "account: u, password: p", "account: v, password: p"),
        ("dingtalk", "app_key: u, app_secret: p", "app_key: v, app_secret: p"),
        (
            "dingtalk",
            "corp_id: c, client_id: u, client_secret: p",
            "corp_id: d, client_id: u, client_secret: p",
        ),
        (
            "dingtalk",
            "suite_key: u, suite_secret: p, auth_corp_id: c, suite_ticket: t",
            "suite_key: u, suite_secret: p, auth_corp_id: d, suite_ticket: t",
        ),
    ];
    let warnings = |sources: [(&str, &str, &str); 2], vendor: &str| {
        let mut text = "sources:\n".to_owned();
        for (name, url, login) in sources {
            text +=
                &format!("- {{ name: {name}, vendor: {vendor}, base_url: \"{url}\", {login} }}\n");
        }
        parse(&text).unwrap().warnings
    };
    let (url, same) = ("https://192.0.2.10:8088", "https://192.0.2.10:8088/");
    for (vendor, login, other) in logins {
        let rotated = login.replace(": p", ": q");
        let found = warnings([("one", url, login), ("two", same, &rotated)], vendor);
        let [warning] = &found[..] else { panic!("{vendor}: {found:?}") };
        assert_eq!(warning.path, "sources[1].name");
        for part in ["`one`", "`two`", "same account"] {
            assert!(warning.message.contains(part), "{}", warning.message);
        }
        assert!(warning.remedy.is_some());
        let elsewhere = "https://192.0.2.11:8088";
        for different in [(url, other), (elsewhere, login)] {
            let found = warnings([("one", url, login), ("two", different.0, different.1)], vendor);
            assert!(found.is_empty(), "{vendor}: {found:?}");
        }
    }
}

#[test]
fn warnings_name_what_is_allowed_but_doubtful() {
    let warnings = |text: &str| {
        let mut shown: Vec<_> = Vec::new();
        for warning in parse(text).unwrap().warnings {
            shown.push(format!("{}: {}", warning.path, warning.message));
        }
        shown
    };
    assert_eq!(
        warnings(&pbx("").replace("https", "http")),
        ["sources[0].base_url: credentials travel in clear text over http"]
    );
    for local in ["http://127.0.0.1", "http://localhost", "http://[::1]"] {
        let text = pbx("").replace("https://192.0.2.10", local);
        assert!(warnings(&text).is_empty(), "{local}");
    }
    assert_eq!(
        warnings(&pbx("    tls: { insecure_skip_verify: true }\n")),
        [
            "sources[0].tls.insecure_skip_verify: any certificate is accepted: anybody on the way can read the credentials"
        ]
    );
    // Of no use to a system without TLS, unless there is a proxy with TLS before it.
    let clear = pbx("    tls: { insecure_skip_verify: false }\n    PROXY\n")
        .replace("https://192.0.2.10", "http://127.0.0.1");
    assert_eq!(
        warnings(&clear.replace("    PROXY\n", "")),
        ["sources[0].tls: `tls` has no effect: `base_url` is http"]
    );
    let proxied = clear.replace("PROXY", "proxy_url: https://proxy.example");
    assert!(warnings(&proxied).is_empty(), "{:?}", warnings(&proxied));
    let ding =
        "sources:\n- { name: d, vendor: dingtalk, app_key: k, app_secret: s, min_interval: 1m }\n";
    assert_eq!(
        warnings(ding),
        [
            "sources[0].min_interval: asking more often than every 10m can use up the free tier's 5,000 calls a month"
        ]
    );
    assert!(warnings(&ding.replace("1m", "10m")).is_empty());
}

#[test]
fn problems_in_an_environment_variable_are_told_apart() {
    let text = pbx("").replace("password: hunter2", "password_env: PBX_PASSWORD");
    let source = only_source(&text);
    let pbx: &Pbx = own(&source);
    assert_eq!(exposed(&pbx.password), "from-env");
    let shown = |value: Option<&str>| {
        let env = |_: &str| value.map(OsString::from);
        Config::parse_with_env(&text, Path::new("x.yaml"), catalogue().profiles(), env)
            .unwrap_err()
            .problems[0]
            .message
            .clone()
    };
    assert_eq!(shown(None), "the environment variable `PBX_PASSWORD` is not set");
    assert_eq!(shown(Some("")), "the environment variable `PBX_PASSWORD` is empty");
}

#[test]
fn relative_paths_start_at_the_files_directory() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("secret"), "hunter2\n").unwrap();
    std::fs::write(directory.path().join("ids"), "").unwrap();
    let text = "sources:\n- { name: d, vendor: dingtalk, app_key: k, app_secret_file: secret, conference_ids_file: ids }\n";
    let loaded =
        Config::parse(text, &directory.path().join("exporter.yaml"), catalogue().profiles())
            .unwrap();
    let dingtalk: &dingtalk::Settings = own(&loaded.config.sources[0]);
    assert_eq!(dingtalk.conference_ids_file, Some(directory.path().join("ids")));
    let dingtalk::Credentials::Internal { app_secret, .. } = &dingtalk.login else { panic!() };
    assert_eq!(*app_secret, SecretSource::File(directory.path().join("secret")));
    assert_eq!(exposed(app_secret), "hunter2");
}

#[cfg(unix)]
#[test]
fn a_secret_in_a_file_others_may_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path: PathBuf = directory.path().join("exporter.yaml");
    std::fs::write(&path, pbx("")).unwrap();
    std::fs::write(directory.path().join("secret"), "hunter2").unwrap();
    let warnings = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Config::load(&path, catalogue().profiles()).unwrap().warnings
    };
    assert!(warnings(0o600).is_empty());
    for mode in [0o640, 0o604, 0o644] {
        let [warning] = &warnings(mode)[..] else { panic!("one warning") };
        assert_eq!(warning.path, "sources[0].password");
        assert!(warning.to_string().contains(&format!("(mode {mode:04o})")), "{warning}");
        assert!(!format!("{warning} {warning:?}").contains("hunter2"));
    }
    std::fs::write(&path, pbx("").replace("password: hunter2", "password_file: secret")).unwrap();
    let secret = directory.path().join("secret");
    for (mode, is_open) in [(0o600, false), (0o640, false), (0o644, true)] {
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
        let warnings = warnings(0o644);
        let open = warnings.iter().filter(|warning| warning.message.contains("every user"));
        assert_eq!(open.count(), usize::from(is_open), "{mode:o}: {warnings:?}");
        assert_eq!(warnings.len(), usize::from(is_open), "{mode:o}: {warnings:?}");
    }
}

/// A key of a curve that TLS knows nothing of, made for this test.
const SECP256K1: &str = "-----BEGIN PRIVATE KEY-----
MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQg7UY8a265J2VKWfhQe3ws
8HzGk3QzYZZC9n/snbEsUVihRANCAAQuYMUtbFVJtXd7tHIsmWt5+j73q2QHMzdI
HQILLgcq+hAYhuNpn9qPP5K0447KPgOuYW6ipSor44JONarUyO2S
-----END PRIVATE KEY-----
";

#[test]
fn tls_files_are_checked_for_what_they_hold() {
    let directory = tempfile::tempdir().unwrap();
    let one = rcgen::generate_simple_self_signed(vec!["one.example".to_owned()]).unwrap();
    let two = rcgen::generate_simple_self_signed(vec!["two.example".to_owned()]).unwrap();
    let write =
        |name: &str, text: String| std::fs::write(directory.path().join(name), text).unwrap();
    write("one.pem", one.cert.pem());
    write("one.key", one.signing_key.serialize_pem());
    write("two.key", two.signing_key.serialize_pem());
    let load = |tls: &str| {
        let text = pbx(&format!("    tls: {tls}\n"));
        Config::parse(&text, &directory.path().join("exporter.yaml"), catalogue().profiles())
    };
    let loaded = load(
        "{ ca_file: one.pem, cert_file: one.pem, key_file: one.key, server_name: one.example }",
    );
    let tls = loaded.unwrap().config.sources.remove(0).tls;
    assert_eq!(tls.ca_file, Some(directory.path().join("one.pem")));
    assert_eq!(tls.client_certificate.unwrap().key_file, directory.path().join("one.key"));
    let fault = |tls: &str| {
        // It may be mended while running.
        let problems = load(tls).unwrap().unready;
        let problem = &problems[0];
        format!(
            "{}: {}",
            problem.path,
            problem.message.replace(directory.path().to_str().unwrap(), ".")
        )
    };
    assert_eq!(
        fault("{ cert_file: one.pem, key_file: two.key }"),
        "sources[0].tls.key_file: the key does not belong to the certificate of `cert_file`"
    );
    write("empty.pem", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n".to_owned());
    assert_eq!(
        fault("{ cert_file: empty.pem, key_file: one.key }"),
        "sources[0].tls.cert_file: the certificate cannot be used for TLS"
    );
    write("odd.key", SECP256K1.to_owned());
    assert_eq!(
        fault("{ cert_file: one.pem, key_file: odd.key }"),
        "sources[0].tls.key_file: `./odd.key` holds a private key of a kind that cannot be used \
         for TLS, or a damaged one"
    );
    assert_eq!(
        fault("{ ca_file: one.key }"),
        "sources[0].tls.ca_file: `./one.key` holds no PEM certificate"
    );
    assert_eq!(
        fault("{ cert_file: one.key, key_file: one.pem }"),
        "sources[0].tls.cert_file: `./one.key` holds no PEM certificate"
    );
}

#[test]
fn nothing_printable_holds_a_secret() {
    let text = pbx("    proxy_url: http://user:hunter2@proxy.example\n");
    let loaded = parse(&text).unwrap();
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_yaml_like_text_is_parsed_or_refused(
        lines in prop::collection::vec(
            "( {0,6})(- )?(name|vendor|tls|hosts|labels|password|sources|x|<<)?[:]?[ ]?([&*!]a|[\\[\\]{},'\"|>#%@-]|yeastar_s|1|\\t|\\r)?",
            0..30,
        )
    ) {
        let text = lines.join("\n");
        if let Err(error) = parse(&text) {
            prop_assert!(!error.problems.is_empty());
            let _ = error.to_string();
        }
        let _ = parse(&format!("{}{text}", pbx("")));
    }

    #[test]
    fn a_secret_is_shown_by_no_message(
        indent in 0_usize..8,
        key in "(pasword|password|key|labels|[a-z]{3,9}|\\?|-|\"password\")",
        end in "(: |:|=|: [|]\n      |: >-\n  |: \\[|: \\{|: '|: \"|: &|: \\*|: !|: @|: -\n)",
    ) {
        let text = format!("{}{}{key}{end}Zq9hunter2\n", pbx(""), " ".repeat(indent));
        match parse(&text) {
            Err(error) => prop_assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}"),
            Ok(loaded) => {
                let shown = format!("{:?}", loaded.warnings);
                prop_assert!(!shown.contains("hunter2"), "{shown}");
            }
        }
    }

    #[test]
    fn a_duration_written_is_the_duration_read(millis in 0_u64..10_000_000_000) {
        let duration = Duration::from_millis(millis);
        prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }

    #[test]
    fn any_quantity_is_read_or_refused(text in "[0-9hmsKiBGM. -]{0,30}") {
        let _ = (parse_duration(&text), parse_size(&text));
    }
}
