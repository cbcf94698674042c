// SPDX-License-Identifier: Apache-2.0
//! Every answer of dingtalk there may be, to each of its calls.

#![no_main]

use conferencing_exporter_fuzz::{Vendor, collect};
use libfuzzer_sys::fuzz_target;

static VENDOR: Vendor = Vendor {
    yaml: r#"sources:
  - name: fuzz
    vendor: dingtalk
    base_url: http://127.0.0.1:1
    min_interval: 0s
    conferences: { enabled: true, identify: name }
    app_key: id
    app_secret: secret
    conference_ids: ["known-1"]
"#,
    right: &[
        ("access_token", include_str!("../right/dingtalk/access_token.json")),
        ("orgConferences", include_str!("../right/dingtalk/orgConferences.json")),
        ("videoConferences/query", include_str!("../right/dingtalk/videoConferences_query.json")),
    ],
};

fuzz_target!(|data: &[u8]| collect(&VENDOR, data));
