// SPDX-License-Identifier: Apache-2.0
//! OpenVox UC Series IPPBX, API v0.0.1.
//!
//! Source: `help.openvox.cn/docs/uc-series-ippbx/api-documentation/`, in particular
//! `?p=9998` ("Query Ongoing Conference"). What it shares with the Yeastar S-Series is in [`super::pbx`].

use super::pbx::{Flavour, Pbx, Variant, profile};
use crate::{config::Profile, model::Measure};

/// One OpenVox UC.
pub type OpenvoxUc = Pbx<Openvox>;

/// What is particular to it.
pub struct Openvox;

impl Variant for Openvox {
    const PROFILE: &'static Profile =
        &profile("openvox_uc", "OpenVox UC", 9011, None, "/api/v0.0.1");

    const FLAVOUR: &'static Flavour = &Flavour {
        version: "0.0.1",
        heartbeat_has_version: false,
        says_type: true,
        // The documented sample of a refused login carries 30003: nothing is known to be harmless.
        tells_other_faults: false,
        settings: &[Measure::RoomsWaitForModerator, Measure::RoomsPinProtected],
        live_takes_all: false,
    };
}
