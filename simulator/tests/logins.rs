// SPDX-License-Identifier: Apache-2.0
//! What can go wrong between a login and the first use of its token.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;
#[path = "common/wait.rs"]
mod wait;

use common::{Dingtalk, Huawei, Md5Pbx, P, nonce, now, post};
use reqwest::Client;
use serde_json::{Value, json};
use simulator::{Fault, Options, Request, Simulator, Vendor};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use wait::until;

const SECRET: &str = "demo-client-secret-not-secret";

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

/// Logs in, asks once with the token, and says with which HTTP status and code that was answered.
async fn first_use(simulator: &Simulator, vendor: Vendor) -> (u16, Value) {
    let list = "conference/list?page=1&page_size=5";
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => {
            let pbx = Md5Pbx::login(simulator, vendor, "").await;
            let url = format!("{}/conference/query?token={}", pbx.base, pbx.token);
            let answer = post(&url, json!({ "number": "all" })).await;
            (answer.status, answer.body["errno"].clone())
        }
        Vendor::YeastarP => {
            let pbx = P::login(simulator, "").await;
            let url = format!("{}/{list}&access_token={}", pbx.base, pbx.token);
            let answer = common::get(&url).await;
            (answer.status, answer.body["errcode"].clone())
        }
        Vendor::HuaweiMeeting => {
            let answer = Huawei::login(simulator, "").await.call("conferences/online").await;
            (answer.status, answer.body["error_code"].clone())
        }
        Vendor::Dingtalk => {
            let answer = Dingtalk::login(simulator, "").await.list("").await;
            (answer.status, answer.body["code"].clone())
        }
        other => panic!("no client for {other:?}"),
    }
}

#[tokio::test]
async fn a_token_can_be_refused_as_soon_as_it_is_issued() {
    let simulator = simulator().await;
    let expected = |vendor| match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => (200, json!("20004")),
        Vendor::YeastarP => (200, json!(10004)),
        Vendor::HuaweiMeeting => (401, json!("USG.206020000")),
        _ => (400, json!("InvalidAuthentication")),
    };
    for vendor in
        Vendor::ALL.into_iter().filter(|vendor| vendor.speaks_http() && !vendor.logins().is_empty())
    {
        simulator.inject(vendor, "", None, Fault::TokenRefused, None);
        for _ in 0..2 {
            assert_eq!(first_use(&simulator, vendor).await, expected(vendor), "{vendor:?}");
        }
        simulator.clear_faults();
        simulator.inject(vendor, "", None, Fault::Unauthorized, None);
        assert_eq!(first_use(&simulator, vendor).await, (401, Value::Null), "{vendor:?}");
        simulator.clear_faults();
        let (status, code) = first_use(&simulator, vendor).await;
        assert!(status == 200 && (code.is_null() || code == 0), "{vendor:?}: {code}");
    }
}

#[tokio::test]
async fn a_refused_token_can_be_given_back() {
    let simulator = simulator().await;
    simulator.inject(Vendor::YeastarP, "", None, Fault::TokenRefused, None);
    let pbx = P::login(&simulator, "").await;
    assert_eq!(simulator.live_tokens(Vendor::YeastarP, ""), 1);
    assert_eq!(pbx.call("del_token").await["errcode"], 0);
    assert_eq!(simulator.live_tokens(Vendor::YeastarP, ""), 0);
}

#[tokio::test]
async fn a_block_of_the_p_series_can_tell_its_end() {
    let simulator = simulator().await;
    let p = Vendor::YeastarP;
    simulator.edit(p, "", |population| {
        population.behaviour.lock_time = Some(Duration::from_secs(600));
    });
    for _ in 0..5 {
        assert_eq!(P::try_login(&simulator, "", "wrong").await["errcode"], -1);
    }
    let ends = async |seconds: i64| {
        let before = now();
        let refusal = P::try_login(&simulator, "", SECRET).await;
        assert_eq!(refusal["errcode"], 70004);
        let end = refusal["block_expire_time"].as_i64().unwrap();
        // Less what has passed since it began, and a second of rounding.
        assert!((before + seconds - 60..=now() + seconds + 1).contains(&end), "{end}");
    };
    ends(600).await;
    simulator.lock_out(p, "", Some(Duration::from_secs(3600)));
    ends(3600).await;
    simulator.lock_out(p, "", None);
    let for_good = P::try_login(&simulator, "", SECRET).await;
    assert_eq!((&for_good["errcode"], for_good.get("block_expire_time")), (&json!(70004), None));
    simulator.lock_out(p, "", Some(Duration::from_millis(1)));
    tokio::time::sleep(Duration::from_millis(20)).await;
    P::login(&simulator, "").await;
}

#[tokio::test]
async fn a_restart_forgets_tokens_and_answers_them_as_chosen() {
    let simulator = simulator().await;
    let all = json!({ "number": "all" });
    for vendor in [Vendor::OpenvoxUc, Vendor::YeastarS] {
        for code in [None, Some("10001"), Some("10002"), Some("30003")] {
            let pbx = Md5Pbx::login(&simulator, vendor, "").await;
            simulator.edit(vendor, "", |population| {
                population.behaviour.unknown_token = code.map(str::to_owned);
            });
            assert_eq!(pbx.call("conference/query", all.clone()).await["status"], "Success");
            simulator.restart(vendor, "");
            let errno = code.unwrap_or("20004");
            assert_eq!(pbx.call("conference/query", all.clone()).await["errno"], errno);
            assert_eq!(simulator.live_tokens(vendor, ""), 0);
            Md5Pbx::login(&simulator, vendor, "").await;
        }
    }
    // Slots of the P-Series are free again.
    for _ in 0..8 {
        P::login(&simulator, "").await;
    }
    assert_eq!(P::try_login(&simulator, "", SECRET).await["errcode"], 60002);
    simulator.restart(Vendor::YeastarP, "");
    P::login(&simulator, "").await;
    let cloud = Huawei::login(&simulator, "").await;
    simulator.restart(Vendor::HuaweiMeeting, "");
    assert_eq!(cloud.call("conferences/online").await.body["error_code"], "USG.206020000");
    let cloud = Dingtalk::login(&simulator, "").await;
    simulator.restart(Vendor::Dingtalk, "");
    assert_eq!(cloud.list("").await.body["code"], "InvalidAuthentication");
}

const LATER: Duration = Duration::from_millis(500);

/// Tries to log in to a P-Series and leaves before the answer, once the request has arrived or, if `judged`, has been judged.
async fn leave_early(simulator: &Simulator, judged: bool) {
    let url = format!("{}/openapi/v1.0/get_token", simulator.base_url(Vendor::YeastarP));
    let body = json!({ "username": "demo-client-id", "password": SECRET }).to_string();
    let login = Client::new()
        .post(url)
        .header("user-agent", "OpenAPI")
        .header("content-type", "application/json")
        .body(body)
        .send();
    let has_come = |request: &Request| !judged || request.status != 0;
    let look = || simulator.requests(Vendor::YeastarP, "");
    let arrived = until("the request", look, |seen| seen.first().is_some_and(has_come));
    tokio::select! {
        answer = login => panic!("answered too early: {answer:?}"),
        _ = arrived => {}
    }
}

#[tokio::test]
async fn a_login_is_judged_before_its_late_answer() {
    let simulator = simulator().await;
    simulator.inject(Vendor::YeastarP, "", Some("get_token"), Fault::Delay(LATER), Some(1));
    leave_early(&simulator, true).await;
    assert_eq!(simulator.requests(Vendor::YeastarP, "")[0].status, 200);
    assert_eq!(simulator.live_tokens(Vendor::YeastarP, ""), 1);
}

#[tokio::test]
async fn a_login_is_judged_late_though_its_sender_has_left() {
    let simulator = simulator().await;
    let judge_later = Fault::JudgeLater(LATER);
    simulator.inject(Vendor::YeastarP, "", Some("get_token"), judge_later, Some(1));
    leave_early(&simulator, false).await;
    let seen = || simulator.requests(Vendor::YeastarP, "")[0].status;
    assert_eq!((seen(), simulator.live_tokens(Vendor::YeastarP, "")), (0, 0));
    until("the judgement", seen, |status| *status != 0).await;
    assert_eq!((seen(), simulator.live_tokens(Vendor::YeastarP, "")), (200, 1));
    // Whoever stays gets the answer.
    simulator.inject(Vendor::YeastarP, "", None, Fault::JudgeLater(LATER), Some(1));
    let begun = Instant::now();
    P::login(&simulator, "").await;
    assert!(begun.elapsed() >= LATER);
}

#[tokio::test]
async fn a_login_is_done_though_its_answer_is_cut() {
    let simulator = simulator().await;
    for (fault, expected) in [(Fault::Truncate, 1), (Fault::ResetInsideBody, 2)] {
        simulator.inject(Vendor::HuaweiMeeting, "", Some("appauth"), fault, Some(1));
        let base = simulator.base_url(Vendor::HuaweiMeeting);
        let (moment, once) = (now() + 600, nonce());
        // The client of these tests panics at half an answer.
        let joined = tokio::spawn(async move {
            let login = Huawei::appauth(&base, "demo-app-key-not-secret", moment, &once);
            timeout(Duration::from_secs(20), login).await.map(|answer| answer.status)
        });
        assert!(joined.await.is_err(), "the answer is cut");
        assert_eq!(simulator.live_tokens(Vendor::HuaweiMeeting, ""), expected);
    }
}
