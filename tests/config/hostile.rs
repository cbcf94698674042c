// SPDX-License-Identifier: Apache-2.0
//! Files made to hurt: every one is refused, or read, within seconds and without a panic.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use conferencing_exporter::{config::Config, systems::catalogue};

fn read(what: &str, text: &str) {
    let start = Instant::now();
    let result = Config::parse(text, Path::new("exporter.yaml"), catalogue().profiles());
    let _ = result.map_err(|error| error.to_string());
    assert!(start.elapsed() < Duration::from_secs(20), "{what}: {:?}", start.elapsed());
}

#[test]
fn hostile_files_end_in_time() {
    read("open brackets", &"[".repeat(100_000));
    read("open braces", &"{a: ".repeat(50_000));
    read("dashes", &"- ".repeat(100_000));
    read(
        "deep indentation",
        &(0..2000).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>(),
    );
    read("many anchors", &format!("a: [{}]", "&a x, ".repeat(50_000)));
    read("unknown keys", &(0..50_000).map(|n| format!("k{n}: 1\n")).collect::<String>());
    read("the same key", &"k: 1\n".repeat(50_000));
    read("empty sources", &format!("sources:\n{}", "- {}\n".repeat(20_000)));
    read("aliased sources", &format!("x: &s {{}}\nsources:\n{}", "- *s\n".repeat(50_000)));
    read("merged", &format!("x: &s {{a: 1}}\nsources:\n- <<: [{}]\n", "*s, ".repeat(50_000)));
    let ids: String = (0..100_000).map(|n| format!("\"{n}\", ")).collect();
    read("ids", &format!("sources: [{{ vendor: dingtalk, conference_ids: [{ids}] }}]"));
    let hosts: String =
        (0..30_000).map(|n| format!("{{conference_id: \"{n}\", password: p}}, ")).collect();
    read("hosts", &format!("sources: [{{ vendor: huawei_meeting, hosts: [{hosts}] }}]"));
    read("long line", &format!("sources: {}", "x".repeat(3 << 20)));
    read("long key", &format!("{}: 1", "x".repeat(1 << 20)));
}
