// SPDX-License-Identifier: Apache-2.0
//! Every answer of yeastar_p there may be, to each of its calls.

#![no_main]

use conferencing_exporter_fuzz::{Vendor, collect};
use libfuzzer_sys::fuzz_target;

static VENDOR: Vendor = Vendor {
    yaml: r#"sources:
  - name: fuzz
    vendor: yeastar_p
    base_url: http://127.0.0.1:1
    min_interval: 0s
    conferences: { enabled: true, identify: name }
    client_id: id
    client_secret: secret
    room_details: true
"#,
    right: &[
        ("get_token", include_str!("../right/yeastar_p/get_token.json")),
        ("refresh_token", include_str!("../right/yeastar_p/refresh_token.json")),
        ("del_token", include_str!("../right/yeastar_p/del_token.json")),
        ("conference/list", include_str!("../right/yeastar_p/conference_list.json")),
        (
            "conference/query_ongoing_conference",
            include_str!("../right/yeastar_p/conference_query_ongoing_conference.json"),
        ),
        ("conference/get", include_str!("../right/yeastar_p/conference_get.json")),
    ],
};

fuzz_target!(|data: &[u8]| collect(&VENDOR, data));
