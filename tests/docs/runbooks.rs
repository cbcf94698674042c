// SPDX-License-Identifier: Apache-2.0
//! The status page links to a section of the runbooks for each reason.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::fs;

use conferencing_exporter::model::Reason;

#[test]
fn each_reason_has_its_section() {
    let text = fs::read_to_string("docs/runbooks.md").unwrap();
    let sections: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    let mut reasons: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    reasons.sort_unstable();
    let mut sorted = sections.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, reasons);
}
