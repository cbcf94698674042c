// SPDX-License-Identifier: Apache-2.0
//! Every answer of yeastar_s there may be, to each of its calls.

#![no_main]

use conferencing_exporter_fuzz::{Vendor, collect};
use libfuzzer_sys::fuzz_target;

static VENDOR: Vendor = Vendor {
    yaml: r#"sources:
  - name: fuzz
    vendor: yeastar_s
    base_url: http://127.0.0.1:1
    min_interval: 0s
    conferences: { enabled: true, identify: name }
    username: api
    password: secret
"#,
    right: &[
        ("login", include_str!("../right/yeastar_s/login.json")),
        ("heartbeat", include_str!("../right/yeastar_s/heartbeat.json")),
        ("logout", include_str!("../right/yeastar_s/logout.json")),
        ("conference/query", include_str!("../right/yeastar_s/conference_query.json")),
        (
            "conference/query_in_session",
            include_str!("../right/yeastar_s/conference_query_in_session.json"),
        ),
    ],
};

fuzz_target!(|data: &[u8]| collect(&VENDOR, data));
