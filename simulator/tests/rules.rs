// SPDX-License-Identifier: Apache-2.0
//! Lock-outs, lifetimes, limits and refusals, as documented.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{Dingtalk, Huawei, Md5Pbx, P, get, nonce, now, post, send};
use reqwest::Client;
use serde_json::{Value, json};
use simulator::{Idle, Options, Population, Room, Simulator, UnknownIds, Vendor};
use std::time::Duration;

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

#[tokio::test]
async fn five_bad_logins_lock_a_pbx_for_ten_minutes() {
    let simulator = simulator().await;
    for vendor in [Vendor::OpenvoxUc, Vendor::YeastarS] {
        let url = format!("{}/login", Md5Pbx::prefix(&simulator, vendor, "x"));
        for _ in 0..5 {
            assert_eq!(post(&url, Md5Pbx::login_body("wrong")).await.body["errno"], "20003");
        }
        let right = Md5Pbx::login_body("demo-password-not-secret");
        assert_eq!(post(&url, right.clone()).await.body["errno"], "20002");
        Md5Pbx::login(&simulator, vendor, "another").await;
        simulator.reset_lockouts();
        assert_eq!(post(&url, right).await.body["status"], "Success");
    }
}

#[tokio::test]
async fn a_pbx_wants_json_by_post_and_all_parameters() {
    let simulator = simulator().await;
    let base = Md5Pbx::prefix(&simulator, Vendor::YeastarS, "");
    let login = format!("{base}/login");
    assert_eq!(send(Client::new().post(&login).body("username=api")).await.body["errno"], "20000");
    assert_eq!(post(&login, json!({ "username": "api" })).await.body["errno"], "10004");
    assert_eq!(get(&login).await.body["errno"], "20001");
    let plain =
        json!({ "username": "api", "password": "demo-password-not-secret", "port": "8260" });
    assert_eq!(post(&login, plain).await.body["errno"], "20003");
    let number = json!({ "number": "all" });
    assert_eq!(
        post(&format!("{base}/conference/query"), number.clone()).await.body["errno"],
        "20005"
    );
    assert_eq!(
        post(&format!("{base}/conference/query?token=no"), number).await.body["errno"],
        "20004"
    );
    let forbidden = simulator.requests(Vendor::YeastarS, "").iter().filter(|r| r.forbidden).count();
    assert_eq!(forbidden, 1, "the GET");
}

#[tokio::test]
async fn a_token_of_a_pbx_lives_as_long_as_it_is_used() {
    let options = Options { token_life: Some(Duration::from_millis(1_500)), ..Options::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let pbx = Md5Pbx::login(&simulator, Vendor::YeastarS, "").await;
    let all = json!({ "number": "all" });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(pbx.call("conference/query", all.clone()).await["status"], "Success");
    }
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    assert_eq!(pbx.call("conference/query", all.clone()).await["errno"], "20006");
    let pbx = Md5Pbx::login(&simulator, Vendor::YeastarS, "").await;
    simulator.expire_tokens(Vendor::YeastarS, "");
    assert_eq!(pbx.call("conference/query", all).await["errno"], "20006");
}

#[tokio::test]
async fn an_idle_pbx_answers_in_each_of_its_ways() {
    let simulator = simulator().await;
    let s = Md5Pbx::login(&simulator, Vendor::YeastarS, "").await;
    let p = P::login(&simulator, "").await;
    let live = json!({ "number": "all" });
    let idle = |vendor, idle| {
        simulator.edit(vendor, "", move |population| {
            population.conferences.clear();
            population.behaviour.idle = idle;
        });
    };
    for (way, of_s, of_p) in [
        (Idle::Failed, json!({ "status": "Failed", "errno": "10110" }), json!(60001)),
        (Idle::EmptyList, json!({ "status": "Success", "conference": [] }), json!(0)),
        (Idle::NoList, json!({ "status": "Success" }), json!(0)),
    ] {
        idle(Vendor::YeastarS, way);
        idle(Vendor::YeastarP, way);
        assert_eq!(s.call("conference/query_in_session", live.clone()).await, of_s);
        assert_eq!(p.call("conference/query_ongoing_conference?number=all").await["errcode"], of_p);
    }
    simulator.edit(Vendor::YeastarP, "", |population| population.behaviour.live_call = false);
    assert_eq!(p.call("conference/query_ongoing_conference?number=all").await["errcode"], 10001);
    assert_eq!(simulator.truth(Vendor::YeastarP, "").conferences_active, None);
}

#[tokio::test]
async fn the_p_series_blocks_for_good_and_counts_tokens() {
    let simulator = simulator().await;
    for _ in 0..5 {
        assert_eq!(P::try_login(&simulator, "", "wrong").await["errcode"], -1);
    }
    let right = "demo-client-secret-not-secret";
    assert_eq!(P::try_login(&simulator, "", right).await["errcode"], 70004);
    simulator.reset_lockouts();
    for _ in 0..8 {
        P::login(&simulator, "").await;
    }
    assert_eq!(P::try_login(&simulator, "", right).await["errcode"], 60002);
    simulator.expire_tokens(Vendor::YeastarP, "");
    P::login(&simulator, "").await;
}

#[tokio::test]
async fn a_refresh_of_the_p_series_rotates_both_tokens() {
    let simulator = simulator().await;
    let old = P::login(&simulator, "").await;
    let url = format!("{}/refresh_token", old.base);
    let new = post(&url, json!({ "refresh_token": old.refresh })).await.body;
    assert_eq!(new["errcode"], 0);
    assert_eq!(old.call("conference/list?page=1&page_size=5").await["errcode"], 10004);
    assert_eq!(post(&url, json!({ "refresh_token": old.refresh })).await.body["errcode"], 10004);
    let token = new["access_token"].as_str().unwrap().to_owned();
    let new = P { token, refresh: String::new(), base: old.base };
    assert_eq!(new.call("conference/list?page=1&page_size=5").await["errcode"], 0);
    for bad in [
        "conference/list",
        "conference/list?page=0&page_size=5",
        "conference/list?page=1",
        "conference/get",
    ] {
        assert_eq!(new.call(bad).await["errcode"], 40002, "{bad}");
    }
    assert_eq!(
        new.call("conference/viewpassword?id=1&type=partic_password").await["errcode"],
        10001
    );
    let requests = simulator.requests(Vendor::YeastarP, "");
    let last = requests.last().unwrap();
    assert!(last.forbidden);
    assert_eq!(
        (last.call, last.query("id"), last.header("user-agent")),
        ("other", Some("1"), Some("OpenAPI"))
    );
    let without_agent =
        Client::new().get(format!("{}/conference/list?page=1&page_size=5", new.base));
    let answer = without_agent.send().await.unwrap().text().await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["errcode"], 40002);
}

#[tokio::test]
async fn huawei_checks_signatures() {
    let simulator = simulator().await;
    let base = simulator.base_url(Vendor::HuaweiMeeting);
    let key = "demo-app-key-not-secret";
    let once = nonce();
    assert_eq!(Huawei::appauth(&base, key, now() + 600, &once).await.status, 200);
    let again = Huawei::appauth(&base, key, now() + 600, &once).await;
    assert_eq!((again.status, again.body["error_code"].as_str()), (401, Some("USG.206010025")));
    let late = Huawei::appauth(&base, key, now() - 1, &nonce()).await;
    assert_eq!((late.status, late.body["error_code"].as_str()), (401, Some("USG.206010057")));
    assert_eq!(Huawei::appauth(&base, key, 0, &nonce()).await.status, 401);
    assert_eq!(Huawei::appauth(&base, key, now() + 600, "short").await.status, 400);
    for _ in 0..5 {
        assert_eq!(Huawei::appauth(&base, "wrong", now() + 600, &nonce()).await.status, 401);
    }
    let locked = Huawei::appauth(&base, key, now() + 600, &nonce()).await;
    assert_eq!((locked.status, locked.body["error_code"].as_str()), (423, Some("USG.206030015")));
}

#[tokio::test]
async fn huawei_takes_accounts_and_forgets_the_oldest_of_65_tokens() {
    let simulator = simulator().await;
    let base = simulator.base_url(Vendor::HuaweiMeeting);
    let account = |password: &str| {
        Client::new()
            .post(format!("{base}/v1/usg/acs/auth/account"))
            .basic_auth("demo@example.com", Some(password))
            .header("content-type", "application/json")
            .body(json!({ "account": "demo@example.com", "clientType": 72 }).to_string())
    };
    assert_eq!(send(account("wrong")).await.body["error_code"], "USG.206010000");
    assert_eq!(send(account("demo-password-not-secret")).await.body["validPeriod"], 56_326);
    let oldest = Huawei::login(&simulator, "").await;
    assert_eq!(oldest.call("conferences/online").await.status, 200);
    for _ in 0..64 {
        Huawei::login(&simulator, "").await;
    }
    let answer = oldest.call("conferences/online").await;
    assert_eq!((answer.status, answer.body["error_code"].as_str()), (401, Some("USG.206020002")));
    let newest = Huawei::login(&simulator, "").await;
    let token = format!("{base}/v1/usg/acs/token");
    let out = send(Client::new().delete(token).header("x-access-token", &newest.token)).await;
    assert_eq!(out.status, 200);
    assert_eq!(newest.call("conferences/online").await.body["error_code"], "USG.206020000");
}

#[tokio::test]
async fn huawei_refuses_by_http_status() {
    let simulator = simulator().await;
    let cloud = Huawei::login(&simulator, "").await;
    for bad in ["limit=0", "limit=501", "offset=-1", "queryAll=yes", "queryConfMode=YEAR"] {
        assert_eq!(cloud.call(&format!("conferences?{bad}")).await.status, 400, "{bad}");
    }
    let over = cloud.call("conferences/confDetail?conferenceID=111").await;
    assert_eq!((over.status, over.body["error_code"].as_str()), (400, Some("MMC.111070005")));
    assert_eq!(cloud.call("conferences/history").await.status, 404);
    let day = cloud.call("conferences?queryAll=true&queryConfMode=ADAY&limit=500").await.body;
    let all = cloud.call("conferences?queryAll=true&limit=500").await.body;
    assert!(day["count"].as_i64() < all["count"].as_i64());
    let (id, password) = simulator.host_passwords("").remove(0);
    assert_eq!(cloud.real_time(&id, "no").await.status, 400);
    for _ in 0..5 {
        assert_eq!(cloud.control(&id, "wrong").await.body["error_code"], "MMC.111072065");
    }
    assert_eq!(cloud.control(&id, &password).await.body["error_code"], "MMC.111072064");
    assert_eq!(cloud.control("111", &password).await.body["error_code"], "MMC.111072005");
    let forbidden: Vec<_> = simulator
        .requests(Vendor::HuaweiMeeting, "")
        .into_iter()
        .filter(|r| r.forbidden)
        .map(|r| r.path)
        .collect();
    assert_eq!(forbidden, ["/v1/mmc/management/conferences/history"]);
}

#[tokio::test]
async fn dingtalk_refuses_by_code() {
    let simulator = simulator().await;
    let cloud = Dingtalk::login(&simulator, "").await;
    let id = simulator.truth(Vendor::Dingtalk, "").conferences[0].id.clone();
    let mixed = cloud.batch(&[&id, "ended"]).await;
    assert_eq!((mixed.status, mixed.body["code"].as_str()), (400, Some("resourceClose")));
    for (way, expected) in [(UnknownIds::Omit, 1), (UnknownIds::Ended, 2)] {
        simulator.edit(Vendor::Dingtalk, "", |population| population.behaviour.unknown_ids = way);
        let infos = cloud.batch(&[&id, "ended", &id]).await.body["infos"].as_array().unwrap().len();
        assert_eq!(infos, expected);
    }
    assert_eq!(cloud.batch(&[]).await.body["code"], "paramsError");
    for bad in ["maxResults=101", "maxResults=0", "nextToken=what"] {
        assert_eq!(cloud.list(bad).await.body["code"], "paramError", "{bad}");
    }
    let unknown = get(&format!("{}/v1.0/what", cloud.base)).await;
    assert_eq!((unknown.status, unknown.body["errcode"].as_i64()), (200, Some(404)));
    let bare = get(&format!("{}/v1.0/conference/orgConferences", cloud.base)).await;
    assert_eq!(
        (bare.status, bare.body["code"].as_str()),
        (400, Some("AuthenticationFailed.MissingParameter"))
    );
    simulator.expire_tokens(Vendor::Dingtalk, "");
    assert_eq!(cloud.list("").await.body["code"], "InvalidAuthentication");
    let bad = json!({ "appKey": "demo-app-key", "appSecret": "wrong" });
    let refused = post(&format!("{}/v1.0/oauth2/accessToken", cloud.base), bad).await;
    assert_eq!(
        (refused.status, refused.body["code"].as_str()),
        (400, Some("invalidClientIdOrSecret"))
    );
}

#[tokio::test]
async fn the_api_path_can_be_another() {
    let simulator = simulator().await;
    simulator.edit(Vendor::YeastarS, "", |population| {
        *population = Population::empty(Vendor::YeastarS);
        population.rooms.push(Room::bare("6400", "old"));
        population.behaviour.api_path = Some("/api/v2.1".to_owned());
    });
    let url = format!("{}/api/v2.1/login", simulator.base_url(Vendor::YeastarS));
    let answer = post(&url, Md5Pbx::login_body("demo-password-not-secret")).await;
    assert_eq!(answer.body["status"], "Success");
}
