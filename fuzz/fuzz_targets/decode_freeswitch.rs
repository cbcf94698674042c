// SPDX-License-Identifier: Apache-2.0
//! Every answer of freeswitch there may be, to each of its calls.

#![no_main]

use conferencing_exporter_fuzz::{Vendor, collect};
use libfuzzer_sys::fuzz_target;

static VENDOR: Vendor = Vendor {
    yaml: r#"sources:
  - name: fuzz
    vendor: freeswitch
    base_url: tcp://127.0.0.1:1
    conferences: { enabled: true, identify: name }
    password: secret
"#,
    right: &[
        ("auth", include_str!("../right/freeswitch/auth.json")),
        ("json_list", include_str!("../right/freeswitch/json_list.json")),
        ("exit", include_str!("../right/freeswitch/exit.json")),
    ],
};

fuzz_target!(|data: &[u8]| collect(&VENDOR, data));
