// SPDX-License-Identifier: Apache-2.0
//! The built-in systems: one folder and one line each.
//!
//! To add one:
//!
//! 1. Make a folder here with a unit struct that implements [`SimulatedSystem`] and, by its protocol,
//!    [`HttpSystem`](crate::HttpSystem) or [`TextSystem`](crate::TextSystem). Its description is a constant named
//!    `DESCRIPTION`. Be as strict as the vendor's documentation and say where each fact comes from.
//! 2. Add its line at the end of `systems!` below: the order is that of the ports.
//! 3. Test what goes over the wire against [`SimulatedSystem::truth`] in `tests/wire.rs`, and the rules of the
//!    system (lock-outs, lifetimes, refusals) in `tests/rules.rs`.
//!
//! Nothing outside the folder needs to know the system. One that only a test needs is added at run time by
//! [`Registry::with`](crate::Registry::with).

use crate::registry::{SimulatedSystem, Vendor};

mod pbx;

/// For each system its module, its constant in [`Vendor`] and its place in the default registry.
macro_rules! systems {
    ($($(#[$meta:meta])* $module:ident::$system:ident,)+) => {
        $(mod $module;)+

        /// In the order of their ports.
        pub(crate) const BUILT_IN: [&dyn SimulatedSystem; [$(stringify!($system)),+].len()] =
            [$(&$module::$system),+];

        #[allow(
            non_upper_case_globals,
            reason = "a vendor is chosen as the variant of an enum would be, in patterns too; it is no enum because \
                      a test can add one at run time"
        )]
        impl Vendor {
            $($(#[$meta])* pub const $system: Self = Self::new(&$module::DESCRIPTION);)+

            /// Every built-in system, in the order of their ports.
            pub const ALL: [Self; BUILT_IN.len()] = [$(Self::$system),+];
        }
    };
}

systems! {
    /// OpenVox UC Series, API v0.0.1.
    openvox_uc::OpenvoxUc,
    /// Yeastar S-Series (also K2, S1000), API v2.0.0.
    yeastar_s::YeastarS,
    /// Yeastar P-Series, OpenAPI v1.0.
    yeastar_p::YeastarP,
    /// Huawei Cloud Meeting.
    huawei_meeting::HuaweiMeeting,
    /// DingTalk video conferences.
    dingtalk::Dingtalk,
    /// Asterisk ConfBridge, by the manager interface.
    asterisk::Asterisk,
    /// FreeSWITCH mod_conference, by the event socket.
    freeswitch::FreeSwitch,
    /// Janus, AudioBridge and VideoRoom.
    janus::Janus,
    /// BigBlueButton.
    bigbluebutton::BigBlueButton,
}

// What tests and configurations name directly; everything else reads `credentials`.
pub use asterisk::{ASTERISK_PASSWORD, ASTERISK_USERNAME};
pub use dingtalk::{
    DINGTALK_APP_KEY, DINGTALK_APP_SECRET, DINGTALK_CORP_ID, DINGTALK_SUITE_KEY,
    DINGTALK_SUITE_SECRET, DINGTALK_SUITE_TICKET,
};
pub use freeswitch::{FREESWITCH_PASSWORD, FREESWITCH_USERNAME};
pub use huawei_meeting::{
    HUAWEI_ACCOUNT, HUAWEI_APP_ID, HUAWEI_APP_KEY, HUAWEI_HOSTED, HUAWEI_PASSWORD,
};
pub use pbx::{PBX_PASSWORD, PBX_USERNAME};
pub use yeastar_p::{CLIENT_ID, CLIENT_SECRET};
