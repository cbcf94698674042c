// SPDX-License-Identifier: Apache-2.0
//! What a recording of DingTalk may show.

use super::{LIST, QUERY, codes::BAN_WORD};
use crate::recording::{Fields, Shown};

pub(super) const SHOWN: Shown = Shown {
    keys: &[
        "Code",
        "accessToken",
        "access_token",
        "attendStatus",
        "bizType",
        "cameraStatus",
        "code",
        "conferenceId",
        "creatorId",
        "creatorNick",
        "endTime",
        "errcode",
        "errmsg",
        "expireIn",
        "expires_in",
        "externalLinkUrl",
        "hasMore",
        "infos",
        "mediaStatus",
        "message",
        "micStatus",
        "nextToken",
        "nick",
        "onGoingConfList",
        "punish",
        "rejectDescription",
        "requestId",
        "request_id",
        "requestid",
        "roomCode",
        "startTime",
        "status",
        "success",
        "title",
        "totalCount",
        "userId",
        "userList",
    ],
    fields: &[
        Fields {
            of: &[],
            kept: &["Code", "code", "errcode", "hasMore", "success", "totalCount"],
            times: &[],
        },
        Fields {
            of: &[LIST],
            // The token of the first page ends the list, any other leads to the next one.
            kept: &["nextToken=0"],
            times: &["onGoingConfList.startTime", "onGoingConfList.endTime"],
        },
        Fields {
            of: &[QUERY],
            kept: &[
                "infos.mediaStatus",
                "infos.status",
                "infos.userList.attendStatus",
                "infos.userList.cameraStatus",
                "infos.userList.micStatus",
            ],
            times: &["infos.startTime", "infos.endTime"],
        },
    ],
    settings: &["batch_size", "conference_ids", "conference_ids_file", "discover"],
    phrases: &[BAN_WORD],
};
