// SPDX-License-Identifier: Apache-2.0
//! Yeastar S-Series, API v2.0.0 (also K2 and S1000).
//!
//! Source: `help.yeastar.com/en/s-series-developer-v2/api-v2/`: conference-query,
//! conference-query-in-session, `api_error_code`, change-logs-of-api2.0. What it shares with
//! OpenVox UC is in [`super::pbx`].

use super::pbx::{Flavour, Pbx, Variant, profile};
use crate::{config::Profile, model::Measure};

/// One Yeastar S-Series.
pub type YeastarS = Pbx<SSeries>;

/// What is particular to it.
pub struct SSeries;

impl Variant for SSeries {
    const PROFILE: &'static Profile =
        &profile("yeastar_s", "Yeastar S-Series", 8088, Some(8088), "/api/v2.0.0");

    const FLAVOUR: &'static Flavour = &Flavour {
        version: "2.0.0",
        heartbeat_has_version: true,
        says_type: false,
        tells_other_faults: true,
        settings: &[
            Measure::RoomsMuteOnJoin,
            Measure::RoomsWaitForModerator,
            Measure::RoomsAllowInvite,
            Measure::RoomsMusicOnHold,
            Measure::RoomsModerated,
            Measure::RoomsPinProtected,
        ],
        live_takes_all: true,
    };
}
