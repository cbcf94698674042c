// SPDX-License-Identifier: Apache-2.0
//! Lists of meetings, their details, who is in, and the control token's live view.

use super::{
    BAD_REQUEST, CONTROL_LOCKED, CONTROL_REFUSED, CONTROL_TOKEN_INVALID, NO_SUCH_MEETING,
    NOT_STARTED_OR_OVER, failed,
};
use crate::model::{Conference, Participant, Population, Presence, Role, Scheduled};
use crate::rng;
use crate::sessions::{TokenKind, TokenState};
use crate::call::{Answer, Call};
use crate::instance::Instance;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::Duration;

const PAGE: usize = 20;
const LARGEST_PAGE: usize = 500;
const DAY: i64 = 86_400;
const CONTROL_LIFE: Duration = Duration::from_secs(30 * 60);
/// Bad host passwords until a meeting's control login is locked; the threshold is not published.
const BAD_PASSWORDS: u32 = 5;

/// A meeting as the lists carry it: live, or one sitting of a scheduled one.
enum Listed<'a> {
    Live(&'a Conference),
    ToCome(&'a Scheduled, i64),
}

pub(super) fn list(instance: &mut Instance, call: &Call, online: bool) -> Answer {
    let Some((offset, limit)) = page(call) else { return failed(400, BAD_REQUEST) };
    let query_all = match call.query("queryAll") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return failed(400, BAD_REQUEST),
    };
    let horizon = match call.query("queryConfMode") {
        None | Some("ALL") => i64::MAX,
        Some("ADAY") => DAY,
        Some("AWEEK") => 7 * DAY,
        Some("AMONTH") => 30 * DAY,
        Some(_) => return failed(400, BAD_REQUEST),
    };
    let until = call.unix().saturating_add(horizon);
    let make = |population: &Population| {
        let mut all: Vec<_> = population
            .conferences
            .iter()
            .filter(|c| population.visible(c.own, query_all))
            .map(Listed::Live)
            .collect();
        if !online {
            for to_come in
                population.scheduled.iter().filter(|s| population.visible(s.own, query_all))
            {
                let sittings =
                    (0..i64::from(to_come.sittings)).map(|n| to_come.start_unix + n * DAY);
                all.extend(
                    sittings
                        .filter(|start| *start < until)
                        .map(|start| Listed::ToCome(to_come, start)),
                );
            }
        }
        let quirks = population.behaviour.quirks;
        let data: Vec<_> = all
            .iter()
            .skip(offset)
            .take(limit)
            .map(|listed| match listed {
                Listed::Live(conference) => {
                    let mut info = info(quirks, conference);
                    if online && population.behaviour.head_counts {
                        info["onlineAttendeeAmount"] =
                            number(quirks, &conference.id, conference.joined());
                    }
                    info
                }
                Listed::ToCome(to_come, start) => info_to_come(quirks, to_come, *start),
            })
            .collect();
        json!({ "data": data, "offset": offset, "limit": limit, "count": all.len() })
    };
    // What is due within a day changes with the clock: only answers without a horizon can be kept.
    if horizon != i64::MAX {
        return Answer::ok(&make(&instance.population));
    }
    Answer::bytes(instance.cached(format!("{online} {offset} {limit} {query_all}"), make))
}

/// `offset` and `limit` as documented: from 0, 1 to 500.
fn page(call: &Call) -> Option<(usize, usize)> {
    let offset = call.query("offset").map_or(Some(0), |text| text.parse().ok())?;
    let limit = call.query("limit").map_or(Some(PAGE), |text| text.parse().ok())?;
    (1..=LARGEST_PAGE).contains(&limit).then_some((offset, limit))
}

/// An integer, now and then as a string.
fn number(quirks: bool, id: &str, value: usize) -> Value {
    if quirks && rng::hash(3, &[id]).is_multiple_of(4) {
        json!(value.to_string())
    } else {
        json!(value)
    }
}

fn info(quirks: bool, conference: &Conference) -> Value {
    let mut info = common(quirks, &conference.id, &conference.name, conference.start_unix);
    if let Some(password) = &conference.host_password {
        info["passwordEntry"][0]["password"] = json!(password);
    }
    info["size"] = json!(conference.participants.iter().filter(|p| p.invited).count());
    info["isAutoMute"] = number(quirks, &conference.id, usize::from(conference.mute_on_join));
    info["confUUID"] = json!(format!("{:016x}11eaa6958bf3bb9a", rng::hash(7, &[&conference.id])));
    if conference.recurring {
        // The documented example of a series has no conferenceState.
        info["conferenceType"] = json!(2);
        info["confType"] = json!("CYCLE");
        info["cycleParams"] = json!({ "startDate": "2026-01-05", "endDate": "2026-12-28", "cycle": "Week", "interval": 1, "point": [1] });
    } else {
        info["conferenceState"] = json!("Created");
    }
    info
}

fn info_to_come(quirks: bool, to_come: &Scheduled, start: i64) -> Value {
    let mut info = common(quirks, &to_come.id, &to_come.name, start);
    info["conferenceState"] = json!("Schedule");
    info["isAutoMute"] = json!(1);
    info["size"] = json!(3);
    if to_come.sittings > 1 {
        info["conferenceType"] = json!(2);
        info["confType"] = json!("CYCLE");
    }
    info
}

fn common(quirks: bool, id: &str, subject: &str, start: i64) -> Value {
    let secret = Secrets::of(id);
    let mut info = json!({
        "conferenceID": id,
        "subject": subject,
        "mediaTypes": "Voice,Data,Video",
        "timeZoneID": "56",
        "startTime": minute(start),
        "endTime": minute(start + 7200),
        "accessNumber": "+991117",
        "language": "zh-CN",
        "passwordEntry": [
            { "conferenceRole": "chair", "password": secret.chair },
            { "conferenceRole": "general", "password": secret.general },
        ],
        "userUUID": "ff808081699b56cb0169be103500012b",
        "scheduserName": secret.booker,
        "conferenceType": 0,
        "confType": "FUTURE",
        "isAutoRecord": 0,
        "chairJoinUri": secret.chair_link,
        "guestJoinUri": secret.guest_link,
        "recordType": 0,
        "confConfigInfo": { "isSendNotify": true, "isAutoMute": true, "guestPwd": secret.general },
        "vmrFlag": 0,
        "terminlCount": 0,
        "normalCount": 1,
    });
    if quirks {
        info["defaultSummaryState"] = Value::Null;
        info["confExtendProperties"] = json!([{ "propertyKey": "", "propertyValue": null }]);
        info["deptName"] = json!("");
        info["scheduleVmr"] = json!("false");
    }
    info
}

/// What the exporter must not show of a meeting.
struct Secrets {
    chair: String,
    general: String,
    booker: String,
    chair_link: String,
    guest_link: String,
}

impl Secrets {
    fn of(id: &str) -> Self {
        let mut rng = rng::Rng::new(rng::hash(11, &[id]));
        let mut link = || format!("https://c.meeting.huaweicloud.com/#/j/{id}/{}", rng.hex(48));
        let (chair_link, guest_link) = (link(), link());
        Self {
            chair: rng.digits("66", 10),
            general: rng.digits("66", 10),
            booker: format!("Booker {}", rng.hex(8)),
            chair_link,
            guest_link,
        }
    }
}

/// Everything secret or personal that comes with a meeting of that id.
pub(super) fn secrets_of(id: &str) -> [String; 5] {
    let secret = Secrets::of(id);
    [secret.chair, secret.general, secret.booker, secret.chair_link, secret.guest_link]
}

pub(super) fn detail(instance: &mut Instance, call: &Call) -> Answer {
    let Some((offset, limit)) = page(call) else { return failed(400, BAD_REQUEST) };
    let Some(id) = call.query("conferenceID").filter(|id| !id.is_empty()) else {
        return failed(400, BAD_REQUEST);
    };
    let population = &instance.population;
    let live = population.conferences.iter().any(|c| c.id == id && population.visible(c.own, true));
    let to_come =
        population.scheduled.iter().any(|s| s.id == id && population.visible(s.own, true));
    if !live && !to_come {
        // Not 404: a meeting that is over or never was is a bad request here.
        return failed(400, NO_SUCH_MEETING);
    }
    Answer::bytes(instance.cached(format!("detail {id} {offset} {limit}"), |population| {
        let quirks = population.behaviour.quirks;
        if let Some(conference) = population.conferences.iter().find(|c| c.id == id) {
            let invited: Vec<_> = conference.participants.iter().filter(|p| p.invited).collect();
            let page: Vec<_> = invited.iter().skip(offset).take(limit).map(|p| invitee(quirks, p)).collect();
            let count = number(quirks, id, invited.len());
            let data = json!({ "data": page, "offset": offset, "limit": limit, "count": count });
            return json!({ "conferenceData": info(quirks, conference), "data": data });
        }
        let to_come = population.scheduled.iter().find(|s| s.id == id);
        let info = to_come.map(|s| info_to_come(quirks, s, s.start_unix));
        json!({ "conferenceData": info, "data": { "data": [], "offset": offset, "limit": limit, "count": 0 } })
    }))
}

fn invitee(quirks: bool, participant: &Participant) -> Value {
    let mut object = json!({
        "participantID": participant.number,
        "name": participant.name,
        "role": i32::from(participant.role == Role::Host),
        "state": "MEETTING",
        "attendeeType": "normal",
        "accountId": participant.id,
    });
    if quirks {
        object["email"] = Value::Null;
        object["isAutoInvite"] = json!("");
    }
    object
}

pub(super) fn attendees(instance: &mut Instance, call: &Call) -> Answer {
    let Some((offset, limit)) = page(call) else { return failed(400, BAD_REQUEST) };
    let Some(id) = call.query("conf_id").filter(|id| !id.is_empty()) else {
        return failed(400, BAD_REQUEST);
    };
    let population = &instance.population;
    if !population.conferences.iter().any(|c| c.id == id && population.visible(c.own, true)) {
        return failed(400, NO_SUCH_MEETING);
    }
    Answer::bytes(instance.cached(format!("attendees {id} {offset} {limit}"), |population| {
        let quirks = population.behaviour.quirks;
        let conference = population.conferences.iter().find(|c| c.id == id);
        let present: Vec<_> = conference
            .iter()
            .flat_map(|c| &c.participants)
            .filter(|p| p.presence == Presence::Joined)
            .collect();
        let attendee = |p: &&Participant| {
            json!({
                "participant_id": p.id,
                "name": p.name,
                "call_number": p.number,
                "role": number(quirks, &p.id, usize::from(p.role == Role::Host)),
                "third_account": if quirks { Value::Null } else { json!(p.id) },
                "account": p.id,
                "user_id": p.id,
            })
        };
        let data: Vec<_> = present.iter().skip(offset).take(limit).map(attendee).collect();
        json!({ "data": data, "offset": offset, "limit": limit, "count": present.len() })
    }))
}

pub(super) fn control_token(instance: &mut Instance, call: &Call) -> Answer {
    let Some(id) = call.query("conferenceID").filter(|id| !id.is_empty()) else {
        return failed(400, BAD_REQUEST);
    };
    let Some(conference) = instance.population.conferences.iter().find(|c| c.id == id) else {
        return failed(400, NOT_STARTED_OR_OVER);
    };
    let kind = TokenKind::Control(id.to_owned());
    let life = instance.token_life(CONTROL_LIFE);
    // Keeping a good token alive does not look at the password.
    if let Some(token) = control_header(call)
        && instance.sessions.state(&kind, &token, call.now) == TokenState::Good
    {
        instance.sessions.extend(&token, life, call.now);
        return control_answer(call, &token, life);
    }
    if call.header("x-login-type") != Some("1") {
        return failed(400, BAD_REQUEST);
    }
    // Counted for each meeting by itself.
    let tried = format!("host password of {id}");
    if instance.sessions.locked(&tried, call.now) {
        return failed(400, CONTROL_LOCKED);
    }
    if conference.host_password.is_none()
        || call.header("x-password") != conference.host_password.as_deref()
    {
        instance.sessions.failed(&tried, BAD_PASSWORDS, None, call.now);
        return failed(400, CONTROL_REFUSED);
    }
    instance.sessions.succeeded(&tried);
    let token = instance.sessions.issue(kind, life, call.now);
    control_answer(call, &token, life)
}

/// The control token of a request: bare, or as `Basic` with the token in base64.
fn control_header(call: &Call) -> Option<String> {
    let header = call.header("x-conference-authorization")?;
    match header.strip_prefix("Basic ") {
        None => Some(header.to_owned()),
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
    }
}

fn control_answer(call: &Call, token: &str, life: Duration) -> Answer {
    let until = call.unix() + crate::seconds(life) as i64;
    Answer::ok(&json!({
        "data": {
            "token": token,
            "tmpWsToken": format!("ws-{token}"),
            "wsURL": "wss://api.meeting.huaweicloud.com",
            "role": 1,
            // Milliseconds here, seconds at the login.
            "expireTime": until * 1000,
            "confTokenExpireTime": crate::seconds(life),
            "userID": "ff808081699b56cb0169be103500012b",
            "orgID": "651543334",
            "supportNotifyType": ["ConfBasicInfoNotify", "ParticipantsNotify"],
        },
        "addressToken": format!("address-{token}"),
        "gloablPublicIP": "192.0.2.20",
    }))
}

pub(super) fn real_time_info(instance: &mut Instance, call: &Call) -> Answer {
    let Some(id) = call.query("conferenceID").filter(|id| !id.is_empty()) else {
        return failed(400, BAD_REQUEST);
    };
    let token = control_header(call).unwrap_or_default();
    if !instance.population.conferences.iter().any(|c| c.id == id) {
        return failed(400, NOT_STARTED_OR_OVER);
    }
    if instance.sessions.state(&TokenKind::Control(id.to_owned()), &token, call.now) != TokenState::Good {
        return failed(400, CONTROL_TOKEN_INVALID);
    }
    Answer::bytes(instance.cached(format!("real {id}"), |population| {
        let conference = population.conferences.iter().find(|c| c.id == id);
        conference
            .map(|conference| live_json(population.behaviour.quirks, conference))
            .unwrap_or_default()
    }))
}

fn live_json(quirks: bool, conference: &Conference) -> Value {
    let people = &conference.participants;
    let attendees: Vec<_> = people
        .iter()
        .filter(|p| p.invited)
        .map(|p| json!({ "accountID": p.id, "userUUID": p.id, "name": p.name, "phone": p.number }))
        .collect();
    let chair = people.iter().find(|p| p.role == Role::Host).map_or("", |p| p.id.as_str());
    let co_hosts: Vec<_> = people
        .iter()
        .filter(|p| p.role != Role::Member && p.id != chair)
        .map(|p| p.id.as_str())
        .collect();
    let participants: Vec<_> =
        people.iter().filter_map(|p| state(p).map(|state| live_person(quirks, p, state))).collect();
    json!({
        "attendees": attendees,
        "participants": participants,
        "confInfo": { "chairID": chair, "coHosts": co_hosts },
    })
}

fn state(participant: &Participant) -> Option<usize> {
    match participant.presence {
        Presence::Joined => Some(0),
        Presence::Invited => Some(1),
        Presence::Joining => Some(2),
        Presence::Waiting | Presence::Failed | Presence::Removed | Presence::Left => None,
    }
}

fn live_person(quirks: bool, p: &Participant, state: usize) -> Value {
    let mut object = json!({
        "pid": p.id,
        "name": p.name,
        "phone": p.number,
        "state": state,
        // A capability, not whether the camera is on.
        "video": 1,
        "hand": number(quirks, &p.id, usize::from(p.hand_raised)),
    });
    if let Some(muted) = p.muted {
        object["mute"] = number(quirks, &p.id, usize::from(muted));
    }
    if quirks {
        object["orgName"] = Value::Null;
    }
    object
}

/// `YYYY-MM-DD HH:MM` in UTC.
fn minute(unix: i64) -> String {
    let (day, second) = (unix.div_euclid(DAY), unix.rem_euclid(DAY));
    // Days since 0000-03-01, so that a leap day ends its year; 400 years have 146,097 days.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02} {:02}:{:02}", second / 3600, second % 3600 / 60)
}

#[cfg(test)]
mod tests {
    use super::minute;

    #[test]
    fn minutes_are_utc() {
        assert_eq!(minute(0), "1970-01-01 00:00");
        assert_eq!(minute(951_782_340), "2000-02-28 23:59");
        assert_eq!(minute(1_709_164_800), "2024-02-29 00:00");
        assert_eq!(minute(1_576_654_080), "2019-12-18 07:28");
    }
}
