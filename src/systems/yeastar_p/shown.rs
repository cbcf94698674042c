// SPDX-License-Identifier: Apache-2.0
//! What a recording of a Yeastar P-Series may show.

use super::{GET, LIST, ONGOING};
use crate::recording::{Fields, Shown};

pub(super) const SHOWN: Shown = Shown {
    keys: &[
        "access_token",
        "access_token_expire_time",
        "allow_partic_invite",
        "block_expire_time",
        "call_id",
        "channel_id",
        "conference_name",
        "conference_number",
        "data",
        "duration",
        "enb_wait_moderator",
        "errcode",
        "errmsg",
        "from",
        "has_moderator_password",
        "has_partic_password",
        "host_list",
        "id",
        "member_status",
        "member_type",
        "members",
        "moderator_list",
        "name",
        "number",
        "partic_password",
        "refresh_token",
        "refresh_token_expire_time",
        "remark",
        "sound_prompt",
        "total_number",
        "trunk_name",
        "type",
    ],
    fields: &[
        Fields { of: &[], kept: &["errcode"], times: &["block_expire_time"] },
        Fields { of: &[LIST], kept: &["total_number"], times: &[] },
        Fields { of: &[ONGOING], kept: &["data.members.member_status"], times: &[] },
        Fields {
            of: &[GET],
            kept: &[
                "data.allow_partic_invite",
                "data.enb_wait_moderator",
                "data.has_partic_password",
            ],
            times: &[],
        },
    ],
    settings: &["live", "page_size", "room_details"],
    phrases: &[],
};
