// SPDX-License-Identifier: Apache-2.0
//! Every answer of huawei_meeting there may be, to each of its calls.

#![no_main]

use conferencing_exporter_fuzz::{Vendor, collect};
use libfuzzer_sys::fuzz_target;

static VENDOR: Vendor = Vendor {
    yaml: r#"sources:
  - name: fuzz
    vendor: huawei_meeting
    base_url: http://127.0.0.1:1
    min_interval: 0s
    conferences: { enabled: true, identify: name }
    app_id: id
    app_key: secret
    attendees: true
    details: true
    hosts: [{conference_id: "900000001", password: "1"}, {conference_id: "900000002", password: "2"}]
"#,
    right: &[
        ("appauth", include_str!("../right/huawei_meeting/appauth.json")),
        ("account_login", include_str!("../right/huawei_meeting/account_login.json")),
        ("token_logout", include_str!("../right/huawei_meeting/token_logout.json")),
        ("conferences", include_str!("../right/huawei_meeting/conferences.json")),
        ("conferences/online", include_str!("../right/huawei_meeting/conferences_online.json")),
        ("confDetail", include_str!("../right/huawei_meeting/confDetail.json")),
        ("online/conf-attendee", include_str!("../right/huawei_meeting/online_conf-attendee.json")),
        ("control_token", include_str!("../right/huawei_meeting/control_token.json")),
        ("realTimeInfo", include_str!("../right/huawei_meeting/realTimeInfo.json")),
    ],
};

fuzz_target!(|data: &[u8]| collect(&VENDOR, data));
