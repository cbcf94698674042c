// SPDX-License-Identifier: Apache-2.0
//! `check --live`: what it prints for each vendor, and what it advises when something is wrong.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{
    io::Read,
    process::{Command, Output, Stdio},
};

use simulator::{Fault, Options, Simulator, Vendor};

use crate::common::{
    binary::{command, write_private},
    config, entry, source,
    wait::{output, wait},
};

/// Runs `check --live` on `yaml`.
fn check(yaml: &str, names: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("exporter.yaml");
    write_private(&file, yaml);
    output(command().arg("--config.file").arg(file).args(["check", "--live"]).args(names))
}

/// The table with its times blanked: `0.01 s` becomes `-.-- s`.
fn table(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(!text.contains('\x1b'), "colour without a terminal");
    let mut out = String::new();
    for word in text.split_inclusive(' ') {
        let is_time = word.trim_end().parse::<f64>().is_ok() && word.contains('.');
        out.push_str(if is_time { "-.-- " } else { word });
    }
    out
}

#[test]
fn a_row_for_each_vendor() {
    let simulator = Simulator::start_blocking(Options::default()).unwrap();
    let sources: Vec<_> = Vendor::ALL
        .into_iter()
        .map(|vendor| source(vendor, &simulator.base_url(vendor), &[]))
        .collect();
    let output = check(&config(&sources), &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    insta::assert_snapshot!("check_live", table(&output));
    for vendor in Vendor::ALL {
        let forbidden: Vec<_> = simulator
            .requests(vendor, "")
            .into_iter()
            .filter(|request| request.forbidden)
            .collect();
        assert!(forbidden.is_empty(), "{forbidden:?}");
        // What was logged in is logged out; DingTalk has no such call.
        let left = usize::from(vendor == Vendor::Dingtalk);
        assert_eq!(simulator.live_tokens(vendor, ""), left, "{vendor:?}");
    }
}

/// Ctrl-C, or a terminal that is closed, at a source that does not answer: the others must not be left with tokens that nobody uses.
#[test]
fn tokens_are_given_back_after_a_signal() {
    let simulator = Simulator::start_blocking(Options::default()).unwrap();
    let (well, silent) = (Vendor::YeastarP, Vendor::YeastarS);
    simulator.inject(silent, "", Some("conference/query"), Fault::Hang, None);
    let sources =
        [well, silent].map(|vendor| source(vendor, &simulator.base_url(vendor), &["timeout: 10m"]));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("exporter.yaml");
    write_private(&file, &config(&sources));
    for signal in ["INT", "TERM", "HUP"] {
        let mut check = command();
        check.arg("--config.file").arg(&file).args(["check", "--live"]).stderr(Stdio::piped());
        let mut child = check.spawn().unwrap();
        let tokens = || [well, silent].map(|vendor| simulator.live_tokens(vendor, ""));
        wait("both logins", tokens, |tokens| *tokens == [1, 1]);
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        assert!(sent.success());
        let status = wait("the end", || child.try_wait().unwrap(), Option::is_some);
        assert_eq!(status.and_then(|status| status.code()), Some(1), "{signal}");
        assert_eq!(tokens(), [0, 0], "{signal}");
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "stopped by a signal, with nothing to show\n");
    }
}

#[test]
fn only_the_sources_named_are_asked() {
    let simulator = Simulator::start_blocking(Options::default()).unwrap();
    let sources: Vec<_> = [Vendor::YeastarS, Vendor::OpenvoxUc]
        .into_iter()
        .map(|vendor| source(vendor, &simulator.base_url(vendor), &[]))
        .collect();
    let output = check(&config(&sources), &["yeastar_s"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(simulator.requests(Vendor::OpenvoxUc, "").is_empty());
    let output = check(&config(&sources), &["nobody"]);
    assert_eq!(output.status.code(), Some(2));
    let problem = String::from_utf8(output.stderr).unwrap();
    assert_eq!(problem, "no source is named nobody; there are: yeastar_s, openvox_uc\n");
}

/// The page that a wrong path of a BigBlueButton leads to.
const INDEX: &[u8] = include_bytes!("../data/bigbluebutton/example-index.xml");

#[test]
fn each_failure_says_what_to_look_at() {
    // Each source has a host of its own: what is lost on a connection that another one has used would
    // be asked twice.
    let listen = std::net::Ipv4Addr::UNSPECIFIED.into();
    let simulator = Simulator::start_blocking(Options { listen, ..Options::default() }).unwrap();
    let answer = |code: &str| Fault::VendorError(code.to_owned());
    let elsewhere = Fault::Redirect("https://192.0.2.10:8088/".to_owned());
    let faults = |vendor: Vendor| {
        let mut faults = vec![
            ("html", Fault::Html),
            ("redirect", elsewhere.clone()),
            ("status-404", Fault::Status(404)),
            ("status-502", Fault::Status(502)),
            ("too-large", Fault::GzipBomb(16 * 1024 * 1024)),
            ("throttled", Fault::Status(429)),
            ("closed", Fault::CloseBeforeAnswer),
        ];
        faults.extend(match vendor {
            Vendor::OpenvoxUc | Vendor::YeastarS => {
                vec![("refused", answer("20003")), ("locked-out", answer("20002"))]
            }
            Vendor::YeastarP => vec![
                ("refused", answer("-1")),
                ("locked-out", answer("70004")),
                ("address", answer("70087")),
                ("api-off", answer("70123")),
                ("no-slot", answer("60002")),
            ],
            Vendor::HuaweiMeeting => vec![
                ("refused", answer("USG.206010000")),
                ("locked-out", Fault::VendorErrorStatus(423, "USG.206030015".to_owned())),
            ],
            Vendor::FreeSwitch => {
                vec![("refused", answer("-ERR invalid")), ("no-module", answer("INVALID COMMAND!"))]
            }
            Vendor::Asterisk => vec![
                ("refused", answer("Authentication failed")),
                ("not-allowed", answer("Permission denied")),
                ("banner", Fault::Body(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n".to_vec())),
            ],
            Vendor::Dingtalk => vec![
                ("refused", answer("invalidClientIdOrSecret")),
                ("address", answer("Forbidden.AccessDenied.IpNotInWhiteList")),
                ("quota", answer("Forbidden.AccessDenied.ApiCountLimitForOrg")),
            ],
            Vendor::Janus => vec![
                ("refused", answer("403")),
                ("ordinary-api", answer("457")),
                ("not-loaded", answer("460")),
                ("no-access", answer("405")),
            ],
            Vendor::BigBlueButton => vec![
                ("refused", answer("checksumError")),
                ("server-behind", answer("internalError")),
                ("api-off", answer("apiNotEnabled")),
                ("index", Fault::Body(INDEX.to_vec())),
            ],
            other => panic!("no faults for {other:?}"),
        });
        faults
    };
    for vendor in Vendor::ALL {
        let mut sources = Vec::new();
        let applies = |fault: &Fault| vendor.speaks_http() || !fault.needs_http();
        let faults = faults(vendor).into_iter().filter(|(_, fault)| applies(fault));
        for (number, (name, fault)) in (1..).zip(faults) {
            simulator.inject(vendor, name, None, fault, None);
            let url = simulator.instance_url(vendor, name);
            let url = url.replace("127.0.0.1", &format!("127.0.0.{number}"));
            sources.push(source(vendor, &url, &[]).replacen(vendor.as_str(), name, 1));
        }
        let lines = ["username: api", "password: x"];
        if vendor == Vendor::YeastarS {
            sources.push(entry("refused-port", vendor, "http://127.0.0.1:9", &lines));
            sources.push(entry("unknown-name", vendor, "http://no-such-host.invalid", &lines));
            let plain = simulator.base_url(vendor).replace("http:", "https:");
            sources.push(entry("no-tls", vendor, &plain, &lines));
        }
        let output = check(&config(&sources), &[]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        insta::assert_snapshot!(format!("check_live_failures_{}", vendor.as_str()), table(&output));
    }
}

#[test]
fn firmware_without_the_live_call_is_said() {
    let simulator = Simulator::start_blocking(Options::default()).unwrap();
    for vendor in [Vendor::OpenvoxUc, Vendor::YeastarS, Vendor::YeastarP] {
        simulator.edit(vendor, "", |population| population.behaviour.live_call = false);
        let output = check(&config(&[source(vendor, &simulator.base_url(vendor), &[])]), &[]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let table = table(&output);
        let said =
            "absent  conferences: active; participants: joined, waiting (an older firmware?)";
        assert!(table.contains(said), "{table}");
    }
}
