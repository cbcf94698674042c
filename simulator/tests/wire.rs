// SPDX-License-Identifier: Apache-2.0
//! What comes over the wire, counted by hand, is what the truth says.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{Dingtalk, Huawei, Md5Pbx, P, int, post};
use serde_json::{Value, json};
use simulator::{Options, Simulator, Vendor};
use std::collections::BTreeSet;

async fn both_ways() -> Vec<Simulator> {
    let mut simulators = Vec::new();
    for quirks in [true, false] {
        simulators.push(Simulator::start(Options { quirks, ..Options::default() }).await.unwrap());
    }
    simulators
}

fn yes(rooms: &[Value], key: &str) -> Option<u64> {
    Some(rooms.iter().filter(|room| room[key] == "yes").count() as u64)
}

fn filled(rooms: &[Value], key: &str) -> Option<u64> {
    Some(rooms.iter().filter(|room| room[key] != "" && !room[key].is_null()).count() as u64)
}

#[tokio::test]
async fn openvox_uc() {
    for simulator in both_ways().await {
        let truth = simulator.truth(Vendor::OpenvoxUc, "");
        let pbx = Md5Pbx::login(&simulator, Vendor::OpenvoxUc, "").await;
        let answer = pbx.call("conference/query", json!({ "number": "all" })).await;
        let rooms = answer["conferences"].as_array().unwrap();
        assert_eq!(truth.rooms, Some(rooms.len() as u64));
        assert_eq!(truth.rooms_wait_for_moderator, yes(rooms, "waitformoderator"));
        assert_eq!(truth.rooms_pin_protected, filled(rooms, "participantepassword"));

        let refused = pbx.call("conference/query_in_session", json!({ "number": "all" })).await;
        assert_eq!(refused, json!({ "status": "Failed", "errno": "10110" }));
        let numbers: Vec<_> = rooms.iter().map(|room| room["number"].as_str().unwrap()).collect();
        let answer =
            pbx.call("conference/query_in_session", json!({ "number": numbers.join(",") })).await;
        let live = answer["conference"].as_array().unwrap();
        let members: Vec<_> = live.iter().flat_map(|c| c["member"].as_array().unwrap()).collect();
        let count = |status: &str| {
            Some(members.iter().filter(|m| m["memberstatus"] == status).count() as u64)
        };
        assert_eq!(truth.conferences_active, Some(live.len() as u64));
        assert_eq!(truth.participants_joined, count("Up"));
        assert_eq!(truth.participants_waiting, count("HOLD"));
        assert_eq!(truth.participants_muted, None);
        assert_eq!(
            pbx.call("heartbeat", json!({ "ipaddr": "192.0.2.1", "port": "8260" })).await["status"],
            "Success"
        );
        assert_eq!(pbx.call("logout", json!({})).await["status"], "Success");
        assert_eq!(
            pbx.call("conference/query", json!({ "number": "all" })).await["errno"],
            "20004"
        );
        assert!(simulator.requests(Vendor::OpenvoxUc, "").iter().all(|request| !request.forbidden));
    }
}

#[tokio::test]
async fn yeastar_s() {
    for simulator in both_ways().await {
        let truth = simulator.truth(Vendor::YeastarS, "a");
        let pbx = Md5Pbx::login(&simulator, Vendor::YeastarS, "a").await;
        let answer = pbx.call("conference/query", json!({ "number": "all" })).await;
        let rooms = answer["conferences"].as_array().unwrap();
        assert_eq!(truth.rooms, Some(rooms.len() as u64));
        assert_eq!(truth.rooms_mute_on_join, yes(rooms, "mute"));
        assert_eq!(truth.rooms_wait_for_moderator, yes(rooms, "waitformoderator"));
        assert_eq!(truth.rooms_allow_invite, yes(rooms, "allowinvite"));
        assert_eq!(truth.rooms_music_on_hold, yes(rooms, "musiconhold"));
        assert_eq!(truth.rooms_moderated, filled(rooms, "moderators"));
        assert_eq!(truth.rooms_pin_protected, filled(rooms, "participantepassword"));

        let answer = pbx.call("conference/query_in_session", json!({ "number": "all" })).await;
        let live = answer["conference"].as_array().unwrap();
        let mut statuses = Vec::new();
        for member in live.iter().flat_map(|c| c["members"].as_array().unwrap()) {
            for wrapped in member.as_object().unwrap().values() {
                let each = wrapped.as_array().cloned().unwrap_or_else(|| vec![wrapped.clone()]);
                statuses
                    .extend(each.iter().map(|m| m["memberstatus"].as_str().unwrap().to_owned()));
            }
        }
        let count =
            |of: &[&str]| Some(statuses.iter().filter(|s| of.contains(&s.as_str())).count() as u64);
        assert_eq!(truth.conferences_active, Some(live.len() as u64));
        assert_eq!(truth.participants_joined, count(&["ANSWER", "ANSWERED"]));
        assert_eq!(truth.participants_waiting, count(&["HOLD"]));
    }
}

#[tokio::test]
async fn yeastar_p() {
    for simulator in both_ways().await {
        let truth = simulator.truth(Vendor::YeastarP, "");
        let pbx = P::login(&simulator, "").await;
        let mut rooms = Vec::new();
        for page in 1..=3 {
            let answer = pbx.call(&format!("conference/list?page={page}&page_size=5")).await;
            assert_eq!(answer["total_number"], 12);
            rooms.extend(answer["data"].as_array().unwrap().clone());
        }
        assert_eq!(truth.rooms, Some(rooms.len() as u64));
        let moderated =
            |room: &&Value| room["moderator_list"].as_array().is_some_and(|list| !list.is_empty());
        assert_eq!(truth.rooms_moderated, Some(rooms.iter().filter(moderated).count() as u64));
        let (mut pins, mut waits, mut invites) = (0, 0, 0);
        for room in &rooms {
            let answer = pbx.call(&format!("conference/get?id={}", int(&room["id"]))).await;
            pins += int(&answer["data"]["has_partic_password"]);
            waits += int(&answer["data"]["enb_wait_moderator"]);
            invites += int(&answer["data"]["allow_partic_invite"]);
        }
        assert_eq!(truth.rooms_pin_protected, Some(pins as u64));
        assert_eq!(truth.rooms_wait_for_moderator, Some(waits as u64));
        assert_eq!(truth.rooms_allow_invite, Some(invites as u64));
        let answer = pbx.call("conference/query_ongoing_conference?number=all").await;
        let live = answer["data"].as_array().unwrap();
        let members: Vec<_> = live.iter().flat_map(|c| c["members"].as_array().unwrap()).collect();
        let count = |status: &str| {
            Some(members.iter().filter(|m| m["member_status"] == status).count() as u64)
        };
        assert_eq!(truth.conferences_active, Some(live.len() as u64));
        assert_eq!(truth.participants_joined, count("ANSWERED"));
        assert_eq!(truth.participants_waiting, count("HOLD"));
        assert_eq!(pbx.call("del_token").await["errcode"], 0);
        assert_eq!(simulator.live_tokens(Vendor::YeastarP, ""), 0);
    }
}

#[tokio::test]
async fn huawei_meeting() {
    for simulator in both_ways().await {
        let truth = simulator.truth(Vendor::HuaweiMeeting, "");
        let cloud = Huawei::login(&simulator, "").await;
        let mut online = Vec::new();
        for offset in [0, 4] {
            let answer = cloud
                .call(&format!("conferences/online?queryAll=true&limit=4&offset={offset}"))
                .await;
            assert_eq!((answer.status, int(&answer.body["count"])), (200, 6));
            online.extend(answer.body["data"].as_array().unwrap().clone());
        }
        let amounts: Vec<_> =
            online.iter().map(|c| int(&c["onlineAttendeeAmount"]) as u64).collect();
        assert_eq!(truth.conferences_active, Some(online.len() as u64));
        assert_eq!(truth.participants_joined, Some(amounts.iter().sum()));
        assert_eq!(truth.largest_conference_participants, amounts.iter().max().copied());
        let mute = online.iter().filter(|c| int(&c["isAutoMute"]) == 1).count() as u64;
        assert_eq!(truth.conferences_mute_on_join, Some(mute));
        let ids = |list: &[Value]| -> BTreeSet<String> {
            list.iter().map(|c| c["conferenceID"].as_str().unwrap().to_owned()).collect()
        };
        let all = cloud.call("conferences?queryAll=true&limit=500").await.body;
        let all = all["data"].as_array().unwrap();
        assert!(all.len() > ids(all).len(), "a series is there more than once");
        let to_come = ids(all).difference(&ids(&online)).count() as u64;
        assert_eq!(truth.conferences_scheduled, Some(to_come));
        let own = cloud.call("conferences/online?limit=500").await.body;
        assert_eq!(
            own["data"].as_array().unwrap().len(),
            truth.conferences.iter().filter(|c| c.own).count()
        );

        let (mut invited, mut hosts) = (0, 0);
        for id in ids(&online) {
            let details =
                cloud.call(&format!("conferences/confDetail?conferenceID={id}&limit=1")).await.body;
            invited += int(&details["data"]["count"]) as u64;
            let attendees = cloud
                .call(&format!("conferences/online/conf-attendee?conf_id={id}&limit=500"))
                .await
                .body;
            hosts += attendees["data"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|a| int(&a["role"]) == 1)
                .count() as u64;
        }
        assert_eq!(truth.participants_invited_total, Some(invited));
        assert_eq!(truth.participants_moderators_attendees, Some(hosts));

        let (mut people, mut moderators) = (Vec::new(), 0);
        for (id, password) in simulator.host_passwords("") {
            let control = cloud.control(&id, &password).await.body;
            let token = control["data"]["token"].as_str().unwrap();
            assert!(int(&control["data"]["expireTime"]) > 1_000_000_000_000);
            let live = cloud.real_time(&id, token).await.body;
            let participants = live["participants"].as_array().unwrap().clone();
            let mut leads: Vec<_> = live["confInfo"]["coHosts"].as_array().unwrap().clone();
            leads.push(live["confInfo"]["chairID"].clone());
            moderators += participants
                .iter()
                .filter(|p| int(&p["state"]) == 0 && leads.contains(&p["pid"]))
                .count();
            people.extend(participants);
        }
        let count =
            |such: &dyn Fn(&Value) -> bool| Some(people.iter().filter(|p| such(p)).count() as u64);
        let here = |p: &Value| int(&p["state"]) == 0;
        assert_eq!(truth.participants_moderators_hosts, Some(moderators as u64));
        assert_eq!(truth.participants_joining, count(&|p| int(&p["state"]) == 2));
        assert_eq!(truth.participants_invited, count(&|p| int(&p["state"]) == 1));
        assert_eq!(
            truth.participants_mute_reported,
            count(&|p| here(p) && p.get("mute").is_some())
        );
        assert_eq!(
            truth.participants_muted,
            count(&|p| here(p) && p.get("mute").is_some_and(|m| int(m) == 1))
        );
        assert_eq!(truth.participants_hand_raised, count(&|p| here(p) && int(&p["hand"]) == 1));
    }
}

#[tokio::test]
async fn dingtalk() {
    for simulator in both_ways().await {
        let truth = simulator.truth(Vendor::Dingtalk, "");
        let cloud = Dingtalk::login(&simulator, "").await;
        let mut listed = Vec::new();
        let mut next = String::new();
        loop {
            let page = cloud.list(&format!("maxResults=4&nextToken={next}")).await.body;
            listed.extend(page["onGoingConfList"].as_array().unwrap().clone());
            assert!(listed.len() < 1_000, "the list does not end: {page}");
            if page["hasMore"] == false {
                break;
            }
            next = page["nextToken"].as_str().unwrap().to_owned();
        }
        let ids: Vec<_> = listed.iter().map(|c| c["conferenceId"].as_str().unwrap()).collect();
        assert_eq!(truth.conferences_active, Some(ids.len() as u64));
        let infos = cloud.batch(&ids).await.body["infos"].as_array().unwrap().clone();
        let people: Vec<_> = infos.iter().flat_map(|c| c["userList"].as_array().unwrap()).collect();
        let count =
            |such: &dyn Fn(&Value) -> bool| Some(people.iter().filter(|p| such(p)).count() as u64);
        let is = |p: &Value, key: &str, value: i64| {
            int(&p["attendStatus"]) == 3 && int(&p[key]) == value
        };
        assert_eq!(truth.participants_joined, count(&|p| int(&p["attendStatus"]) == 3));
        assert_eq!(truth.participants_joining, count(&|p| int(&p["attendStatus"]) == 2));
        assert_eq!(truth.participants_invited, count(&|p| int(&p["attendStatus"]) == 1));
        assert_eq!(truth.participants_muted, count(&|p| is(p, "micStatus", 1)));
        assert_eq!(
            truth.participants_mute_reported,
            count(&|p| is(p, "micStatus", 1) || is(p, "micStatus", 2))
        );
        assert_eq!(truth.participants_camera_on, count(&|p| is(p, "cameraStatus", 2)));
        let forced = infos.iter().filter(|c| int(&c["mediaStatus"]) & 4 != 0).count() as u64;
        assert_eq!(truth.conferences_all_muted, Some(forced));
        for conference in &truth.conferences {
            let info =
                infos.iter().find(|info| info["conferenceId"] == conference.id.as_str()).unwrap();
            assert_eq!(conference.start_unix, Some(int(&info["startTime"]) / 1000));
        }
    }
}

#[tokio::test]
async fn dingtalks_other_logins() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let base = simulator.base_url(Vendor::Dingtalk);
    let unified = json!({
        "client_id": "demo-client-id", "client_secret": "demo-client-secret-not-secret",
        "grant_type": "client_credentials",
    });
    let answer = post(&format!("{base}/v1.0/oauth2/dingdemo/token"), unified).await;
    assert_eq!(answer.body["expires_in"], 7200);
    let corp = json!({
        "suiteKey": "demo-suite-key", "suiteSecret": "demo-suite-secret-not-secret",
        "authCorpId": "dingdemo", "suiteTicket": "demo-suite-ticket-not-secret",
    });
    let url = format!("{base}/v1.0/oauth2/corpAccessToken");
    let first = post(&url, corp.clone()).await.body;
    assert_ne!(first["accessToken"], post(&url, corp).await.body["accessToken"]);
    let internal = Dingtalk::login(&simulator, "").await.token;
    assert_eq!(internal, Dingtalk::login(&simulator, "").await.token);
}

#[tokio::test]
async fn janus() {
    for simulator in both_ways().await {
        let truth = simulator.truth(Vendor::Janus, "");
        let url = format!("{}/admin", simulator.base_url(Vendor::Janus));
        let ask = async |plugin: &str, request: Value| {
            let body = json!({ "janus": "message_plugin", "plugin": format!("janus.plugin.{plugin}"),
                "transaction": "t1", "admin_secret": "demo-admin-secret-not-secret", "request": request });
            let answer = post(&url, body).await.body;
            assert_eq!(
                (&answer["janus"], &answer["transaction"]),
                (&json!("success"), &json!("t1"))
            );
            answer["response"].clone()
        };
        let (mut rooms, mut pins, mut active, mut recorded) = (0, 0, 0, 0);
        let (mut joined, mut joining, mut muted, mut largest) = (0, 0, 0, 0);
        for plugin in ["audiobridge", "videoroom"] {
            let key = format!("demo-{plugin}-key-not-secret");
            let list = ask(plugin, json!({ "request": "list", "admin_key": key })).await;
            for room in list["list"].as_array().unwrap() {
                rooms += 1;
                pins += u64::from(room["pin_required"] == true);
                if room["num_participants"] == 0 {
                    continue;
                }
                active += 1;
                recorded += u64::from(room["record"] == true);
                let request = json!({ "request": "listparticipants", "room": room["room"] });
                let answer = ask(plugin, request).await;
                let people = answer["participants"].as_array().unwrap();
                assert_eq!(room["num_participants"], people.len());
                let inside = people.iter().filter(|person| person["setup"] != false).count() as u64;
                joined += inside;
                joining += people.len() as u64 - inside;
                largest = largest.max(inside);
                muted += people
                    .iter()
                    .filter(|person| person["setup"] == true && person["muted"] == true)
                    .count() as u64;
            }
        }
        assert_eq!((truth.rooms, truth.rooms_pin_protected), (Some(rooms), Some(pins)));
        assert_eq!(truth.conferences_active, Some(active));
        assert_eq!(truth.conferences_recording, Some(recorded));
        assert_eq!(truth.participants_joined, Some(joined));
        assert_eq!(truth.participants_joining, Some(joining));
        assert_eq!(truth.participants_muted, Some(muted));
        assert_eq!(truth.largest_conference_participants, Some(largest));
        // A request that writes is refused, and seen.
        let answer = ask("audiobridge", json!({ "request": "create" })).await;
        assert_eq!(answer["error_code"], 482);
        assert!(simulator.requests(Vendor::Janus, "").last().unwrap().forbidden);
    }
}

/// The content of each `<name>` in the meetings that are no breakout rooms and are running.
fn of_main_meetings(xml: &str, name: &str) -> Vec<String> {
    let main = xml.split("<meeting>").skip(1).filter(|meeting| {
        meeting.contains("<isBreakout>false</isBreakout>")
            && meeting.contains("</meetingName>")
            && meeting.split("<metadata>").next().unwrap().contains("<running>true</running>")
    });
    let inside = |meeting: &str| {
        let mut found = Vec::new();
        for part in meeting.split(&format!("<{name}>")).skip(1) {
            found.push(part.split('<').next().unwrap().to_owned());
        }
        found
    };
    main.flat_map(|meeting| {
        // What people bring along may be called the same.
        let without: String = meeting
            .split("<customdata>")
            .map(|part| part.split_once("</customdata>").map_or(part, |(_, rest)| rest))
            .collect();
        inside(without.split("<metadata>").next().unwrap())
    })
    .collect()
}

#[tokio::test]
async fn bigbluebutton() {
    for simulator in both_ways().await {
        let vendor = Vendor::BigBlueButton;
        let truth = simulator.truth(vendor, "");
        // SHA-256 of `getMeetings` and the secret.
        let checksum = "62605f44773057865a3204cc04595f379695545529fc75921b4c9abf936b4ef7";
        let url = format!("{}/bigbluebutton/api/getMeetings", simulator.base_url(vendor));
        let get = async |url: String| reqwest::get(url).await.unwrap().text().await.unwrap();
        let xml = get(format!("{url}?checksum={checksum}")).await;
        let sum = |name: &str| {
            let counts = of_main_meetings(&xml, name);
            Some(counts.iter().map(|count| count.parse::<u64>().unwrap()).sum::<u64>())
        };
        let counts = of_main_meetings(&xml, "participantCount");
        assert_eq!(truth.conferences_active, Some(counts.len() as u64));
        assert_eq!(truth.participants_joined, sum("participantCount"));
        assert_eq!(truth.participants_moderators, sum("moderatorCount"));
        let largest = counts.iter().map(|count| count.parse::<u64>().unwrap()).max();
        assert_eq!(truth.largest_conference_participants, largest);
        let cameras = of_main_meetings(&xml, "hasVideo");
        let on = cameras.iter().filter(|on| *on == "true").count() as u64;
        assert_eq!(truth.participants_camera_on, Some(on));
        assert!(xml.contains("<isBreakout>true</isBreakout>"));
        assert!(xml.contains("<running>false</running>"));

        let refused = "<messageKey>checksumError</messageKey>";
        for query in [
            String::new(),
            "?checksum=".to_owned(),
            format!("?checksum={}", checksum.to_uppercase()),
            format!("?checksum={checksum}&checksum={checksum}"),
            format!("?meetingID=1&checksum={checksum}"),
        ] {
            assert!(get(format!("{url}{query}")).await.contains(refused), "{query}");
        }
        let create = url.replace("getMeetings", "create");
        assert_eq!(reqwest::get(create).await.unwrap().status().as_u16(), 404);
        assert!(simulator.requests(vendor, "").last().unwrap().forbidden);
    }
}
