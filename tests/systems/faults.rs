// SPDX-License-Identifier: Apache-2.0
//! The fault matrix: every fault at every call of every vendor, all of a vendor in one exporter.
//!
//! Each cell is a source of its own. In the first scrape its fault strikes: the source is down for
//! the right reason and shows nothing else, or the fault is none and the numbers are right. The
//! second scrape, after the fault, is complete again wherever nothing is rightly held back.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use simulator::{Fault, Options, Simulator, Vendor};

use crate::common::{
    self, Bench,
    binary::Exporter,
    config, entry, expected,
    exposition::Exposition,
    faults::{
        Effect::{self, HeldBack, Honest, None as Harmless, Once, Plausible},
        faults, text_faults,
    },
    hosts,
};

/// The calls of a vendor in an ordinary collection, and what the source needs to make them.
fn calls(vendor: Vendor) -> Vec<(&'static str, &'static [&'static str])> {
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => {
            vec![("login", &[]), ("conference/query", &[]), ("conference/query_in_session", &[])]
        }
        Vendor::YeastarP => vec![
            ("get_token", &[]),
            ("conference/list", &[]),
            ("conference/query_ongoing_conference", &[]),
            ("conference/get", &["room_details: true", "room_details_interval: 1s"]),
        ],
        Vendor::HuaweiMeeting => vec![
            ("appauth", &[]),
            ("account_login", &[]),
            ("conferences", &[]),
            ("conferences/online", &[]),
            ("confDetail", &["details: true"]),
            ("online/conf-attendee", &["attendees: true"]),
            ("control_token", &["HOSTS"]),
            ("realTimeInfo", &["HOSTS"]),
        ],
        Vendor::Dingtalk => {
            vec![("access_token", &[]), ("orgConferences", &[]), ("videoConferences/query", &[])]
        }
        Vendor::FreeSwitch => vec![("auth", &[]), ("json_list", &[])],
        Vendor::Asterisk => vec![
            ("challenge", &[]),
            ("login", &[]),
            ("confbridge_list_rooms", &[]),
            ("confbridge_list", &[]),
        ],
        Vendor::Janus => vec![
            ("audiobridge/list", &[]),
            ("audiobridge/listparticipants", &[]),
            ("videoroom/list", &[]),
            ("videoroom/listparticipants", &[]),
        ],
        Vendor::BigBlueButton => vec![("getMeetings", &[])],
        other => panic!("no calls for {other:?}"),
    }
}

/// The vendors' own failure answers.
fn vendor_faults(vendor: Vendor, call: &str) -> Vec<(&'static str, Fault, Effect)> {
    let answer = |code: &str| Fault::VendorError(code.to_owned());
    let login = matches!(
        call,
        "login" | "get_token" | "appauth" | "account_login" | "access_token" | "auth"
    );
    match (vendor, login) {
        (Vendor::OpenvoxUc | Vendor::YeastarS, true) => vec![
            ("refused", answer("20003"), HeldBack("auth")),
            ("locked-out", answer("20002"), HeldBack("locked_out")),
        ],
        (Vendor::OpenvoxUc | Vendor::YeastarS, false) => vec![
            ("unknown-code", answer("10099"), Once("vendor")),
            ("daemon-down", answer("30003"), Once("vendor")),
            ("locked-out", answer("20002"), HeldBack("locked_out")),
        ],
        (Vendor::YeastarP, true) => vec![
            ("refused", answer("-1"), HeldBack("auth")),
            ("locked-out", answer("70004"), HeldBack("locked_out")),
            ("no-slot", answer("60002"), HeldBack("vendor")),
            ("not-allowed", answer("70087"), HeldBack("forbidden")),
            ("internal", answer("-2"), Once("vendor")),
        ],
        (Vendor::YeastarP, false) => vec![
            ("denied", answer("10005"), Once("forbidden")),
            ("not-allowed", answer("70087"), Once("forbidden")),
            ("unavailable", answer("70123"), Once("vendor")),
            ("locked-out", answer("70004"), HeldBack("locked_out")),
        ],
        (Vendor::HuaweiMeeting, true) => vec![
            ("refused", answer("USG.206010000"), HeldBack("auth")),
            (
                "locked-out",
                Fault::VendorErrorStatus(423, "USG.206030015".into()),
                HeldBack("locked_out"),
            ),
        ],
        (Vendor::HuaweiMeeting, false) => vec![
            ("no-permission", answer("MMC.111070002"), Once("forbidden")),
            ("flow-control", answer("MMC.100000429"), HeldBack("rate_limited")),
            ("unknown-code", answer("MMC.111071008"), Once("vendor")),
        ],
        (Vendor::Dingtalk, true) => {
            vec![("refused", answer("invalidClientIdOrSecret"), HeldBack("auth"))]
        }
        (Vendor::Dingtalk, false) => vec![
            (
                "permission",
                answer("Forbidden.AccessDenied.AccessTokenPermissionDenied"),
                Once("forbidden"),
            ),
            (
                "qpm",
                answer("Forbidden.AccessDenied.QpmLimitForAppkeyAndApi"),
                HeldBack("rate_limited"),
            ),
            ("quota", answer("Forbidden.AccessDenied.ApiCountLimitForOrg"), HeldBack("quota")),
            ("system", answer("systemError"), Once("vendor")),
        ],
        (Vendor::FreeSwitch, true) => vec![
            ("refused", answer("-ERR invalid"), HeldBack("auth")),
            ("unknown", answer("-ERR permission denied"), HeldBack("auth")),
        ],
        (Vendor::FreeSwitch, false) => vec![
            ("no-right", answer("-ERR permission denied"), Once("forbidden")),
            ("no-module", answer("INVALID COMMAND!"), Once("vendor")),
        ],
        (Vendor::Asterisk, true) => vec![
            ("refused", answer("Authentication failed"), HeldBack("auth")),
            ("unknown", answer("Something else"), HeldBack("auth")),
        ],
        (Vendor::Asterisk, false) => {
            vec![
                ("no-privilege", answer("Permission denied"), Once("forbidden")),
                ("no-module", answer("Invalid/unknown command: X."), Once("vendor")),
            ]
        }
        (Vendor::Janus, _) => vec![
            ("refused", answer("403"), HeldBack("auth")),
            ("proxy-401", Fault::Status(401), HeldBack("auth")),
            ("proxy-403", Fault::Status(403), HeldBack("forbidden")),
            ("no-access", answer("405"), Once("forbidden")),
            ("ordinary-api", answer("457"), Once("vendor")),
            ("unknown-code", answer("490"), Once("vendor")),
        ],
        (Vendor::BigBlueButton, _) => vec![
            ("refused", answer("checksumError"), HeldBack("auth")),
            ("refused-elsewhere", answer("validationError"), HeldBack("auth")),
            (
                "refused-by-b3scale",
                Fault::VendorErrorStatus(500, "checksumError".into()),
                HeldBack("auth"),
            ),
            ("refused-by-b3lb", Fault::Status(401), HeldBack("auth")),
            ("proxy-403", Fault::Status(403), HeldBack("forbidden")),
            ("server-behind", answer("internalError"), Once("vendor")),
            ("api-off", answer("apiNotEnabled"), Once("vendor")),
            ("unknown-key", answer("someError"), Once("vendor")),
            ("no-key", answer(""), Once("vendor")),
            ("unknown-key-500", Fault::VendorErrorStatus(500, "some".into()), Once("http_5xx")),
        ],
        (other, _) => panic!("no faults for {other:?}"),
    }
}

/// What stands where a code is expected may be anything: a token, a name, a number of somebody.
#[tokio::test]
async fn only_codes_of_the_vendors_form_are_shown() {
    const SECRETS: [&str; 4] =
        ["eyJhbGciOiJIUzI1NiJ9", "ZhangSan", "13800138000", "MMC.eyJhbGciOiJIUzI1NiJ9.111070001"];
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for vendor in Vendor::ALL.into_iter().filter(|vendor| vendor.speaks_http()) {
        for (call, _) in calls(vendor).into_iter().take(2) {
            for secret in SECRETS {
                // A number in digits goes as one, where only those are codes.
                let value = match secret.parse::<u64>() {
                    Ok(number) => number.to_string(),
                    Err(_) => format!("\"{secret}\""),
                };
                let body = format!(
                    r#"{{"status":"Failed","errno":{value},"errcode":{value},"code":{value},
                    "janus":"error","error":{{"code":{value}}}}}"#
                );
                for status in [200, 400, 403] {
                    let fault = Fault::StatusJson(status, body.clone());
                    simulator.inject(vendor, "", Some(call), fault, None);
                    let lines = credentials(vendor, call);
                    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
                    let url = simulator.base_url(vendor);
                    let bench = Bench::new(&config(&[entry("a", vendor, &url, &lines)])).await;
                    let reports = bench.reports().await;
                    let failure = reports[0].outcome.as_ref().unwrap_err();
                    let (shown, debug) = (failure.to_string(), format!("{failure:?}"));
                    for text in [&shown, &debug] {
                        assert!(!text.contains(secret), "{vendor:?} {call} {status}: {text}");
                    }
                    let has_numbers = matches!(vendor, Vendor::YeastarP | Vendor::Janus);
                    let decoded = !has_numbers || secret == "13800138000";
                    // DingTalk fails with other statuses, and BigBlueButton in XML.
                    let is_code = !matches!(vendor, Vendor::Dingtalk | Vendor::BigBlueButton);
                    if status == 200 && decoded && is_code {
                        assert!(shown.contains("(unknown code)"), "{vendor:?} {call}: {shown}");
                    }
                    simulator.clear_faults();
                }
            }
        }
    }
}

struct Cell {
    name: String,
    vendor: Vendor,
    call: &'static str,
    effect: Effect,
}

fn credentials(vendor: Vendor, call: &str) -> Vec<String> {
    if call == "account_login" {
        let lines =
            ["account: demo@example.com", "password: demo-password-not-secret", "min_interval: 0s"];
        return lines.map(str::to_owned).into();
    }
    let mut lines = common::credentials(vendor);
    if vendor == Vendor::YeastarP {
        lines.push("page_size: 3".to_owned());
    }
    lines
}

fn matrix(simulator: &Simulator, vendor: Vendor) -> (Vec<Cell>, String) {
    let (mut cells, mut sources) = (Vec::new(), Vec::new());
    for (call, needs) in calls(vendor) {
        let faults = if vendor.speaks_http() { faults() } else { text_faults() };
        for (fault_name, fault, effect) in faults.into_iter().chain(vendor_faults(vendor, call)) {
            let name = format!("{}.{fault_name}", call.replace('/', "."));
            let effect = match (vendor, call, fault_name) {
                // What the P-Series answers while nothing is going on is not documented; no
                // data is one of the possibilities.
                (Vendor::YeastarP, "conference/query_ongoing_conference", "missing-key") => {
                    Plausible
                }
                // What is empty may be left out: an answer of nothing but a status is one.
                (Vendor::Dingtalk, "videoConferences/query", "missing-key") => Plausible,
                // A list of meetings in another encoding cannot be told from one that is broken.
                (Vendor::BigBlueButton, _, "foreign-text") => Once("decode"),
                _ => effect,
            };
            let stalls = effect == Once("timeout");
            // Long enough for hundreds of sources at once on a slow machine: a call that counts as a
            // login gets half of it, and is to end before the collection.
            let timeout = if stalls { "timeout: 10s" } else { "timeout: 60s" };
            let hosts = hosts(&simulator.host_passwords(&name));
            let mut lines = vec![timeout, "max_response_bytes: 256KiB"];
            let credentials = credentials(vendor, call);
            lines.extend(credentials.iter().map(String::as_str));
            lines.extend(needs.iter().map(|line| if *line == "HOSTS" { &hosts } else { *line }));
            sources.push(entry(&name, vendor, &simulator.instance_url(vendor, &name), &lines));
            simulator.inject(vendor, &name, Some(call), fault, None);
            cells.push(Cell { name, vendor, call, effect });
        }
    }
    (cells, config(&sources))
}

/// The series a source that failed may have on `/probe`, and on `/metrics`.
const OF_A_FAILED_SOURCE: [&str; 6] = [
    "conferencing_up",
    "conferencing_scrape_duration_seconds",
    "conferencing_scrape_timeout_seconds",
    "conferencing_source_min_interval_seconds",
    "conferencing_source_failure",
    "conferencing_source_capability",
];

fn collected(scraped: &Exposition, source: &str) -> Vec<String> {
    let own = [
        "conferencing_api_",
        "conferencing_login",
        "conferencing_token_",
        "conferencing_snapshot_",
    ];
    let mut names: Vec<_> = scraped
        .names_of(source)
        .into_iter()
        .filter(|name| !own.iter().any(|prefix| name.starts_with(prefix)))
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

/// Checks one cell against a scrape; says what is wrong.
fn check(simulator: &Simulator, scraped: &Exposition, cell: &Cell, up: bool) -> Result<(), String> {
    let source = [("source", cell.name.as_str())];
    let really = scraped.value("conferencing_up", &source);
    if really != Some(f64::from(u8::from(up))) {
        let errors: Vec<_> = scraped
            .matching("conferencing_api_errors_total", &source)
            .filter(|sample| sample.value > 0.0)
            .map(|sample| (sample.labels["reason"].clone(), sample.value))
            .collect();
        return Err(format!("{}: up is {really:?}, errors {errors:?}", cell.name));
    }
    if !up {
        let mut allowed: Vec<_> =
            OF_A_FAILED_SOURCE.iter().map(|name| (*name).to_owned()).collect();
        allowed.sort();
        let found = collected(scraped, &cell.name);
        return if found == allowed {
            Ok(())
        } else {
            Err(format!("{}: shows {found:?}", cell.name))
        };
    }
    let mut truth = simulator.truth(cell.vendor, &cell.name);
    if cell.call == "online/conf-attendee" {
        truth.participants_moderators_hosts = truth.participants_moderators_attendees;
    }
    for (name, state, value) in expected(&truth) {
        let mut labels = source.to_vec();
        labels.extend(state.map(|state| ("state", state)));
        let scraped = scraped.value(name, &labels);
        // Opt-ins are absent in most cells; what is there must be right.
        if scraped.is_some() && scraped != value.map(|value| value as f64) {
            return Err(format!("{}: {name} {state:?} is {scraped:?}, not {value:?}", cell.name));
        }
    }
    Ok(())
}

/// Scrapes all of a vendor's cells with their faults, and once more without. Both within the minute
/// that a source is held back at least: hence a vendor at a time.
async fn every_fault_at_every_call(vendor: Vendor) {
    let simulator =
        Simulator::start(Options { record: false, ..Options::default() }).await.unwrap();
    let (cells, yaml) = matrix(&simulator, vendor);
    let exporter = Exporter::start(&yaml, &[]);
    let scraped = exporter.scrape().await;
    let mut wrong = Vec::new();
    for cell in &cells {
        let source = [("source", cell.name.as_str())];
        let errors = |reason| {
            scraped.value("conferencing_api_errors_total", &[source[0], ("reason", reason)])
        };
        let outcome = match cell.effect {
            Harmless => check(&simulator, &scraped, cell, true),
            Once(reason) | HeldBack(reason) => {
                check(&simulator, &scraped, cell, false).and_then(|()| match errors(reason) {
                    Some(count) if count >= 1.0 => Ok(()),
                    other => Err(format!("{}: {reason} is {other:?}", cell.name)),
                })
            }
            Plausible => match scraped.value("conferencing_up", &source) {
                Some(1.0) => Ok(()),
                other => Err(format!("{}: up is {other:?}", cell.name)),
            },
            Honest => {
                let up = scraped.value("conferencing_up", &source) == Some(1.0);
                check(&simulator, &scraped, cell, up)
            }
        };
        wrong.extend(outcome.err());
    }
    assert!(
        wrong.is_empty(),
        "first scrape, {} of {}:\n{}",
        wrong.len(),
        cells.len(),
        wrong.join("\n")
    );

    simulator.clear_faults();
    let scraped = exporter.scrape().await;
    for cell in &cells {
        let up = !matches!(cell.effect, HeldBack(_));
        wrong.extend(check(&simulator, &scraped, cell, up).err());
    }
    assert!(
        wrong.is_empty(),
        "second scrape, {} of {}:\n{}",
        wrong.len(),
        cells.len(),
        wrong.join("\n")
    );
    let log = exporter.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(exporter.stop().0.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openvox_uc() {
    every_fault_at_every_call(Vendor::OpenvoxUc).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn yeastar_s() {
    every_fault_at_every_call(Vendor::YeastarS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn yeastar_p() {
    every_fault_at_every_call(Vendor::YeastarP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huawei_meeting() {
    every_fault_at_every_call(Vendor::HuaweiMeeting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn freeswitch() {
    every_fault_at_every_call(Vendor::FreeSwitch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asterisk() {
    every_fault_at_every_call(Vendor::Asterisk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn janus() {
    every_fault_at_every_call(Vendor::Janus).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bigbluebutton() {
    every_fault_at_every_call(Vendor::BigBlueButton).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dingtalk() {
    every_fault_at_every_call(Vendor::Dingtalk).await;
}
