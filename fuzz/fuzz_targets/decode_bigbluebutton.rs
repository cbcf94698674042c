// SPDX-License-Identifier: Apache-2.0
//! Every answer of bigbluebutton there may be, to its one call.

#![no_main]

use conferencing_exporter_fuzz::{Vendor, collect};
use libfuzzer_sys::fuzz_target;

static VENDOR: Vendor = Vendor {
    yaml: r#"sources:
  - name: fuzz
    vendor: bigbluebutton
    base_url: http://127.0.0.1:1
    min_interval: 0s
    conferences: { enabled: true, identify: name }
    shared_secret: secret
"#,
    right: &[("getMeetings", include_str!("../right/bigbluebutton/getMeetings.xml"))],
};

fuzz_target!(|data: &[u8]| collect(&VENDOR, data));
