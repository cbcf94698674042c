//! Large answers, in the shape of the vendors' documented examples.

use std::fmt::Write as _;

/// DingTalk: `conferences` meetings of `participants` people each.
pub(crate) fn dingtalk(conferences: usize, participants: usize) -> String {
    let mut json = "{\"infos\":[".to_owned();
    for conference in 0..conferences {
        let comma = if conference == 0 { "" } else { "," };
        put(
            &mut json,
            format_args!(
                "{comma}{{\"conferenceId\":\"{}\",\
                 \"title\":\"Weekly of team {conference}\",\"startTime\":1763650800000,\
                 \"status\":2,\"mediaStatus\":{},\"userList\":[",
                dingtalk_id(conference),
                conference % 8
            ),
        );
        for person in 0..participants {
            let comma = if person == 0 { "" } else { "," };
            put(
                &mut json,
                format_args!(
                    "{comma}{{\"userId\":\"27SaQ3iiHLN0uwqcPisedfreNw{person:05}\",\
                     \"nick\":\"Ding Sanduo {person}\",\"attendStatus\":{},\"cameraStatus\":{},\
                     \"micStatus\":{},\"rejectDescription\":\"\"}}",
                    if person % 9 == 0 { 6 } else { 3 },
                    person % 3,
                    (person + 1) % 3
                ),
            );
        }
        json.push_str("]}");
    }
    json.push_str("]}");
    json
}

/// The id of DingTalk's meeting number `conference`.
pub(crate) fn dingtalk_id(conference: usize) -> String {
    format!("607452e0b1a34c5d9{conference:07}")
}

/// Huawei: `meetings` ongoing meetings.
pub(crate) fn huawei(meetings: usize) -> String {
    let mut json = "{\"data\":[".to_owned();
    for meeting in 0..meetings {
        let comma = if meeting == 0 { "" } else { "," };
        put(
            &mut json,
            format_args!(
                "{comma}{{\"conferenceID\":\"91{meeting:07}\",\"mediaTypes\":\"Voice,Data,Video\",\
                 \"subject\":\"user01's meeting {meeting}\",\"size\":1,\"timeZoneID\":\"56\",\
                 \"startTime\":\"2026-11-20 07:28\",\"endTime\":\"2026-11-20 09:28\",\
                 \"conferenceState\":\"Created\",\"accessNumber\":\"+991117\",\
                 \"language\":\"zh-CN\",\"passwordEntry\":[{{\"conferenceRole\":\"chair\",\
                 \"password\":\"******\"}},{{\"conferenceRole\":\"general\",\
                 \"password\":\"******\"}}],\"userUUID\":\"ff808081699b56cb0169be1035{meeting:06}\",\
                 \"scheduserName\":\"user8002\",\"multiStreamFlag\":1,\"conferenceType\":0,\
                 \"confType\":\"IMMEDIATELY\",\"isAutoMute\":{},\"isAutoRecord\":0,\
                 \"chairJoinUri\":\"https://c.meeting.example/#/j/91{meeting:07}/6a30b8b5a325105da0\",\
                 \"guestJoinUri\":\"https://c.meeting.example/#/j/91{meeting:07}/9505dc3349228b1ce0\",\
                 \"recordType\":0,\"recordAuxStream\":0,\"confConfigInfo\":{{\"isSendNotify\":true,\
                 \"isSendSms\":true,\"isAutoMute\":true}},\"vmrFlag\":0,\"scheduleVmr\":false,\
                 \"isHasRecordFile\":false,\"partAttendeeInfo\":[{{\"phone\":\"+99111****815\",\
                 \"name\":\"user01\",\"type\":\"normal\"}}],\"onlineAttendeeAmount\":{},\
                 \"terminlCount\":0,\"normalCount\":1,\"deptName\":\"wangyue\"}}",
                meeting % 2,
                meeting % 40
            ),
        );
    }
    put(&mut json, format_args!("],\"offset\":0,\"limit\":500,\"count\":{meetings}}}"));
    json
}

/// Yeastar S-Series: `rooms` rooms.
pub(crate) fn yeastar_s(rooms: usize) -> String {
    let mut json = "{\"status\":\"Success\",\"conferences\":[".to_owned();
    for room in 0..rooms {
        let comma = if room == 0 { "" } else { "," };
        let yes = |every: usize| if room % every == 0 { "yes" } else { "no" };
        put(
            &mut json,
            format_args!(
                "{comma}{{\"number\":\"{}\",\"name\":\"PM {room}\",\
                 \"participantepassword\":\"3201\",\"moderatorpassword\":\"\",\
                 \"waitformoderator\":\"{}\",\"allowinvite\":\"{}\",\"moderators\":\"\",\
                 \"musiconhold\":\"{}\",\"mute\":\"{}\",\"prompt\":\"default\"}}",
                6400 + room,
                yes(2),
                yes(3),
                yes(4),
                yes(5)
            ),
        );
    }
    json.push_str("]}");
    json
}

fn put(json: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = json.write_fmt(text);
}
