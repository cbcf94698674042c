// SPDX-License-Identifier: Apache-2.0
//! What a recording of a Janus may show.

use super::Plugin;
use crate::recording::{Fields, Shown};

pub(super) const SHOWN: Shown = Shown {
    keys: &[
        "admin_key",
        "audiobridge",
        "bitrate",
        "code",
        "description",
        "display",
        "dummy",
        "error",
        "error_code",
        "id",
        "is_private",
        "janus",
        "list",
        "max_publishers",
        "muted",
        "num_participants",
        "participants",
        "pin_required",
        "publisher",
        "reason",
        "record",
        "response",
        "room",
        "sampling_rate",
        "setup",
        "spatial_audio",
        "talking",
        "transaction",
        "videocodec",
        "videoroom",
    ],
    fields: &[
        Fields {
            of: &[],
            kept: &[
                "error.code",
                "janus",
                "response.audiobridge",
                "response.error_code",
                "response.videoroom",
                // An answer with any other transaction is that to another request.
                "transaction=audiobridge/list",
                "transaction=audiobridge/listparticipants",
                "transaction=videoroom/list",
                "transaction=videoroom/listparticipants",
            ],
            times: &[],
        },
        // Flags are seldom texts or numbers, which would be replaced.
        Fields {
            of: &[Plugin::Audiobridge.list(), Plugin::Videoroom.list()],
            kept: &[
                "response.list.muted",
                "response.list.num_participants",
                "response.list.pin_required",
                "response.list.record",
            ],
            times: &[],
        },
        Fields {
            of: &[Plugin::Audiobridge.participants(), Plugin::Videoroom.participants()],
            kept: &[
                "response.list.muted",
                "response.list.setup",
                "response.participants.muted",
                "response.participants.setup",
            ],
            times: &[],
        },
    ],
    settings: &["plugins"],
    phrases: &[],
};
