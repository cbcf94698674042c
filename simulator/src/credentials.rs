//! The fixed credentials of every simulated system.

use crate::model::Vendor;

/// User of the OpenVox and S-Series API.
pub const PBX_USERNAME: &str = "api";
/// Password of the OpenVox and S-Series API.
pub const PBX_PASSWORD: &str = "demo-password-not-secret";
/// Client ID of the P-Series application; also of DingTalk's unified endpoint.
pub const CLIENT_ID: &str = "demo-client-id";
/// Client secret of the P-Series application; also of DingTalk's unified endpoint.
pub const CLIENT_SECRET: &str = "demo-client-secret-not-secret";
/// Huawei App ID.
pub const HUAWEI_APP_ID: &str = "demo-app-id";
/// Huawei App key.
pub const HUAWEI_APP_KEY: &str = "demo-app-key-not-secret";
/// Huawei account.
pub const HUAWEI_ACCOUNT: &str = "demo@example.com";
/// Password of the Huawei account.
pub const HUAWEI_PASSWORD: &str = "demo-password-not-secret";
/// DingTalk internal application: key.
pub const DINGTALK_APP_KEY: &str = "demo-app-key";
/// DingTalk internal application: secret.
pub const DINGTALK_APP_SECRET: &str = "demo-app-secret-not-secret";
/// DingTalk unified endpoint and third-party applications: the corporation.
pub const DINGTALK_CORP_ID: &str = "dingdemo";
/// DingTalk third-party application: key.
pub const DINGTALK_SUITE_KEY: &str = "demo-suite-key";
/// DingTalk third-party application: secret.
pub const DINGTALK_SUITE_SECRET: &str = "demo-suite-secret-not-secret";
/// DingTalk third-party application: ticket.
pub const DINGTALK_SUITE_TICKET: &str = "demo-suite-ticket-not-secret";

/// Huawei meetings with a host password, (conferenceID, password), going on in every fresh population and, where it
/// lives, never ending: a configuration can name them in advance.
pub const HUAWEI_HOSTED: [(&str, &str); 2] =
    [("900000001", "demo-host-password-1"), ("900000002", "demo-host-password-2")];

/// A vendor's credentials by the exporter's configuration keys, one set for each way to log in.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The vendor.
    pub vendor: Vendor,
    /// The ways to log in: (configuration key, value), the usual way first.
    pub ways: &'static [&'static [(&'static str, &'static str)]],
}

/// The credentials of a vendor's systems, the same for every instance.
pub fn credentials(vendor: Vendor) -> Credentials {
    let ways: &'static [&'static [(&'static str, &'static str)]] = match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => {
            &[&[("username", PBX_USERNAME), ("password", PBX_PASSWORD)]]
        }
        Vendor::YeastarP => &[&[("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)]],
        Vendor::HuaweiMeeting => &[
            &[("app_id", HUAWEI_APP_ID), ("app_key", HUAWEI_APP_KEY)],
            &[("account", HUAWEI_ACCOUNT), ("password", HUAWEI_PASSWORD)],
        ],
        Vendor::Dingtalk => &[
            &[("app_key", DINGTALK_APP_KEY), ("app_secret", DINGTALK_APP_SECRET)],
            &[
                ("corp_id", DINGTALK_CORP_ID),
                ("client_id", CLIENT_ID),
                ("client_secret", CLIENT_SECRET),
            ],
            &[
                ("suite_key", DINGTALK_SUITE_KEY),
                ("suite_secret", DINGTALK_SUITE_SECRET),
                ("auth_corp_id", DINGTALK_CORP_ID),
                ("suite_ticket", DINGTALK_SUITE_TICKET),
            ],
        ],
    };
    Credentials { vendor, ways }
}

/// Everything above that must never be seen anywhere.
pub(crate) const SECRETS: [&str; 6] = [
    PBX_PASSWORD,
    CLIENT_SECRET,
    HUAWEI_APP_KEY,
    DINGTALK_APP_SECRET,
    DINGTALK_SUITE_SECRET,
    DINGTALK_SUITE_TICKET,
];
