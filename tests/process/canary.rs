// SPDX-License-Identifier: Apache-2.0
//! Nothing personal or secret leaves the process, whatever happens.

use simulator::{Fault, Options, Simulator, Vendor};

use crate::common::{
    binary::{Exporter, write_private},
    config, hosts, source,
};

/// Scrapes and looks at everything a client can see.
async fn seen(exporter: &Exporter) -> String {
    let mut seen = String::new();
    for path in [
        "/metrics",
        "/metrics/self",
        "/sd",
        "/",
        "/probe?source=huawei_meeting",
        "/metrics?source=nobody",
    ] {
        let answer = exporter.get(path).await;
        seen.push_str(&format!("{path} {:?}\n{}\n", answer.headers, answer.body));
    }
    seen
}

#[tokio::test]
async fn no_canary_is_seen_or_logged() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let hosts = hosts(&simulator.host_passwords(""));
    let sources: Vec<_> = Vendor::ALL
        .into_iter()
        .map(|vendor| {
            let all = ["conferences: { enabled: true, identify: name }", "timeout: 2s"];
            let extra: &[&str] = match vendor {
                Vendor::YeastarP => &["room_details: true"],
                Vendor::HuaweiMeeting => &["attendees: true", "details: true", &hosts],
                _ => &[],
            };
            source(vendor, &simulator.base_url(vendor), &[&all, extra].concat())
        })
        .collect();
    let exporter =
        Exporter::start(&config(&sources), &["--log.level", "debug", "--web.enable-lifecycle"]);
    let mut everything = seen(&exporter).await;
    assert!(everything.contains("conferencing_conference_participants{"));

    // Each fault provokes other errors, and each error another text.
    let faults = [
        Fault::Status(500),
        Fault::Status(401),
        Fault::Html,
        Fault::WrongTypes,
        Fault::Truncate,
        Fault::CloseBeforeAnswer,
        Fault::Redirect("http://127.0.0.1:9/?token=elsewhere".into()),
        Fault::Hang,
    ];
    for fault in faults {
        let applies = |vendor: &Vendor| vendor.speaks_http() || !fault.needs_http();
        for vendor in Vendor::ALL.into_iter().filter(applies) {
            simulator.inject(vendor, "", None, fault.clone(), Some(3));
        }
        everything.push_str(&seen(&exporter).await);
        simulator.clear_faults();
        for vendor in Vendor::ALL {
            simulator.expire_tokens(vendor, "");
        }
        everything.push_str(&seen(&exporter).await);
    }
    // A broken configuration with secrets in it, reloaded.
    let broken = format!("{}    pasword: hunter2-canary\n", config(&sources));
    write_private(&exporter.config_file(), &broken);
    let answer = exporter.request(reqwest::Method::POST, "/-/reload", Default::default()).await;
    assert_eq!(answer.status.as_u16(), 500);
    everything.push_str(&answer.body);

    let mut canaries = simulator.canaries();
    canaries.push("hunter2-canary".to_owned());
    canaries.push("elsewhere".to_owned());
    assert!(canaries.len() > 100, "{}", canaries.len());
    let (status, log) = exporter.stop();
    assert!(status.success());
    assert!(log.lines().count() > 20, "{log}");
    everything.push_str(&log);
    let found: Vec<_> =
        canaries.iter().filter(|canary| everything.contains(canary.as_str())).collect();
    assert!(found.is_empty(), "{found:?}");
}
