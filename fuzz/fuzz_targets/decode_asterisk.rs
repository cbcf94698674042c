// SPDX-License-Identifier: Apache-2.0
//! Every answer of asterisk there may be, to each of its calls.

#![no_main]

use conferencing_exporter_fuzz::{Vendor, collect};
use libfuzzer_sys::fuzz_target;

static VENDOR: Vendor = Vendor {
    yaml: r#"sources:
  - name: fuzz
    vendor: asterisk
    base_url: tcp://127.0.0.1:1
    conferences: { enabled: true, identify: name }
    username: id
    password: secret
"#,
    right: &[
        ("challenge", include_str!("../right/asterisk/challenge.json")),
        ("login", include_str!("../right/asterisk/login.json")),
        (
            "confbridge_list_rooms",
            include_str!("../right/asterisk/confbridge_list_rooms.json"),
        ),
        ("confbridge_list", include_str!("../right/asterisk/confbridge_list.json")),
        ("logoff", include_str!("../right/asterisk/logoff.json")),
    ],
};

fuzz_target!(|data: &[u8]| collect(&VENDOR, data));
