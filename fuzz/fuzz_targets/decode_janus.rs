// SPDX-License-Identifier: Apache-2.0
//! Every answer of janus there may be, to each of its calls.

#![no_main]

use conferencing_exporter_fuzz::{Vendor, collect};
use libfuzzer_sys::fuzz_target;

static VENDOR: Vendor = Vendor {
    yaml: r#"sources:
  - name: fuzz
    vendor: janus
    base_url: http://127.0.0.1:1
    min_interval: 0s
    conferences: { enabled: true, identify: name }
    admin_secret: secret
    audiobridge_admin_key: key
"#,
    right: &[
        ("audiobridge/list", include_str!("../right/janus/audiobridge_list.json")),
        (
            "audiobridge/listparticipants",
            include_str!("../right/janus/audiobridge_listparticipants.json"),
        ),
        ("videoroom/list", include_str!("../right/janus/videoroom_list.json")),
        (
            "videoroom/listparticipants",
            include_str!("../right/janus/videoroom_listparticipants.json"),
        ),
    ],
};

fuzz_target!(|data: &[u8]| collect(&VENDOR, data));
