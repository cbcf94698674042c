// SPDX-License-Identifier: Apache-2.0
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

/// BigBlueButton: `meetings` meetings of `people` people each, as its template writes them.
pub(crate) fn bigbluebutton(meetings: usize, people: usize) -> String {
    let mut xml = "<response>\n<returncode>SUCCESS</returncode>\n<meetings>\n".to_owned();
    for meeting in 0..meetings {
        put(
            &mut xml,
            format_args!(
                "<meeting>\n<meetingName>Lecture {meeting}</meetingName>\n<meetingID>room-{meeting:06}</meetingID>\n\
                 <internalMeetingID>a1b2c3d4e5f60718293a4b5c6d7e8f90{meeting:08}-1795000000000</internalMeetingID>\n\
                 <createTime>1795000000000</createTime>\n<createDate>Wed Nov 18 11:06:40 UTC 2026</createDate>\n\
                 <voiceBridge>77951</voiceBridge>\n<dialNumber>613-555-1234</dialNumber>\n\
                 <attendeePW>ap-invented</attendeePW>\n<moderatorPW>mp-invented</moderatorPW>\n<running>true</running>\n\
                 <duration>0</duration>\n<hasUserJoined>true</hasUserJoined>\n<recording>false</recording>\n\
                 <hasBeenForciblyEnded>false</hasBeenForciblyEnded>\n<startTime>1795000000027</startTime>\n\
                 <endTime>0</endTime>\n<participantCount>{people}</participantCount>\n<listenerCount>0</listenerCount>\n\
                 <voiceParticipantCount>{people}</voiceParticipantCount>\n<videoCount>2</videoCount>\n\
                 <maxUsers>0</maxUsers>\n<moderatorCount>1</moderatorCount>\n<attendees>\n"
            ),
        );
        for person in 0..people {
            put(
                &mut xml,
                format_args!(
                    "<attendee>\n<userID>w_{person:012}</userID>\n<fullName>Ada Example {person}</fullName>\n\
                     <role>VIEWER</role>\n<isPresenter>false</isPresenter>\n<isListeningOnly>false</isListeningOnly>\n\
                     <hasJoinedVoice>true</hasJoinedVoice>\n<hasVideo>{}</hasVideo>\n<clientType>HTML5</clientType>\n\
                     <customdata>\n<bbb_skip_check_audio>true</bbb_skip_check_audio>\n\
                     <bbb_auto_join_audio>true</bbb_auto_join_audio>\n</customdata>\n</attendee>\n",
                    person % 5 == 0
                ),
            );
        }
        xml.push_str(
            "</attendees>\n<metadata>\n<bbb-origin>greenlight</bbb-origin>\n\
             <bbb-origin-server-name>meet.example.org</bbb-origin-server-name>\n\
             <endcallbackurl>https://meet.example.org/meeting_ended</endcallbackurl>\n</metadata>\n\
             <isBreakout>false</isBreakout>\n</meeting>\n",
        );
    }
    xml.push_str("</meetings>\n</response>");
    xml
}

fn put(answer: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = answer.write_fmt(text);
}
