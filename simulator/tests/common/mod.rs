// SPDX-License-Identifier: Apache-2.0
//! A client for each vendor, as plain as can be: what these tests know of the APIs is independent of the simulator.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses a part; a test may panic"
)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use sha2::Sha256;
use simulator::{Simulator, Vendor};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

pub struct Answer {
    pub status: u16,
    pub body: Value,
}

pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.header("user-agent", "OpenAPI").send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) }
}

pub async fn post(url: &str, body: Value) -> Answer {
    send(Client::new().post(url).header("content-type", "application/json").body(body.to_string()))
        .await
}

pub async fn get(url: &str) -> Answer {
    send(Client::new().get(url)).await
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn int(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap()
}

/// `/api/v0.0.1` and `/api/v2.0.0`.
pub struct Md5Pbx {
    pub base: String,
    pub token: String,
}

impl Md5Pbx {
    pub fn prefix(simulator: &Simulator, vendor: Vendor, instance: &str) -> String {
        let version = if vendor == Vendor::OpenvoxUc { "v0.0.1" } else { "v2.0.0" };
        format!("{}/api/{version}", simulator.instance_url(vendor, instance))
    }

    pub fn login_body(password: &str) -> Value {
        let password = hex(&Md5::digest(password.as_bytes()));
        json!({ "username": "api", "password": password, "port": "8260", "version": "2.0.0" })
    }

    pub async fn login(simulator: &Simulator, vendor: Vendor, instance: &str) -> Self {
        let base = Self::prefix(simulator, vendor, instance);
        let answer =
            post(&format!("{base}/login"), Self::login_body("demo-password-not-secret")).await;
        assert_eq!(answer.body["status"], "Success");
        Self { base, token: answer.body["token"].as_str().unwrap().to_owned() }
    }

    pub async fn call(&self, path: &str, body: Value) -> Value {
        post(&format!("{}/{path}?token={}", self.base, self.token), body).await.body
    }
}

pub struct P {
    pub base: String,
    pub token: String,
    pub refresh: String,
}

impl P {
    pub async fn try_login(simulator: &Simulator, instance: &str, secret: &str) -> Value {
        let base = format!("{}/openapi/v1.0", simulator.instance_url(Vendor::YeastarP, instance));
        let body = json!({ "username": "demo-client-id", "password": secret });
        post(&format!("{base}/get_token"), body).await.body
    }

    pub async fn login(simulator: &Simulator, instance: &str) -> Self {
        let body = Self::try_login(simulator, instance, "demo-client-secret-not-secret").await;
        assert_eq!(body["errcode"], 0, "{body}");
        Self {
            base: format!("{}/openapi/v1.0", simulator.instance_url(Vendor::YeastarP, instance)),
            token: body["access_token"].as_str().unwrap().to_owned(),
            refresh: body["refresh_token"].as_str().unwrap().to_owned(),
        }
    }

    pub async fn call(&self, path_and_query: &str) -> Value {
        let sign = if path_and_query.contains('?') { '&' } else { '?' };
        get(&format!("{}/{path_and_query}{sign}access_token={}", self.base, self.token)).await.body
    }
}

pub struct Huawei {
    pub base: String,
    pub token: String,
}

pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

pub fn nonce() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{:036}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Huawei {
    pub async fn appauth(base: &str, key: &str, expire: i64, nonce: &str) -> Answer {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(format!("demo-app-id::{expire}:{nonce}").as_bytes());
        let signature = hex(&mac.finalize().into_bytes());
        let access = STANDARD.encode("demo-app-id");
        let body = json!({ "appId": "demo-app-id", "clientType": 72, "expireTime": expire, "nonce": nonce });
        send(
            Client::new()
                .post(format!("{base}/v2/usg/acs/auth/appauth"))
                .header("content-type", "application/json; charset=UTF-8")
                .header("x-token-type", "LongTicket")
                .header(
                    "authorization",
                    format!("HMAC-SHA256 signature={signature},access={access}"),
                )
                .body(body.to_string()),
        )
        .await
    }

    pub async fn login(simulator: &Simulator, instance: &str) -> Self {
        let base = simulator.instance_url(Vendor::HuaweiMeeting, instance);
        let answer = Self::appauth(&base, "demo-app-key-not-secret", now() + 600, &nonce()).await;
        assert_eq!(answer.status, 200);
        Self { base, token: answer.body["accessToken"].as_str().unwrap().to_owned() }
    }

    pub async fn call(&self, path_and_query: &str) -> Answer {
        let url = format!("{}/v1/mmc/management/{path_and_query}", self.base);
        send(Client::new().get(url).header("x-access-token", &self.token)).await
    }

    pub async fn control(&self, id: &str, password: &str) -> Answer {
        let url = format!("{}/v1/mmc/control/conferences/token?conferenceID={id}", self.base);
        send(Client::new().get(url).header("x-password", password).header("x-login-type", "1"))
            .await
    }

    pub async fn real_time(&self, id: &str, token: &str) -> Answer {
        let url =
            format!("{}/v1/mmc/control/conferences/realTimeInfo?conferenceID={id}", self.base);
        send(Client::new().get(url).header("x-conference-authorization", token)).await
    }
}

pub struct Dingtalk {
    pub base: String,
    pub token: String,
}

impl Dingtalk {
    pub async fn login(simulator: &Simulator, instance: &str) -> Self {
        let base = simulator.instance_url(Vendor::Dingtalk, instance);
        let body = json!({ "appKey": "demo-app-key", "appSecret": "demo-app-secret-not-secret" });
        let answer = post(&format!("{base}/v1.0/oauth2/accessToken"), body).await;
        assert_eq!(answer.body["expireIn"], 7200);
        Self { base, token: answer.body["accessToken"].as_str().unwrap().to_owned() }
    }

    pub async fn list(&self, query: &str) -> Answer {
        let url = format!("{}/v1.0/conference/orgConferences?{query}", self.base);
        send(Client::new().get(url).header("x-acs-dingtalk-access-token", &self.token)).await
    }

    pub async fn batch(&self, ids: &[&str]) -> Answer {
        let request = Client::new()
            .post(format!("{}/v1.0/conference/videoConferences/query", self.base))
            .header("x-acs-dingtalk-access-token", &self.token)
            .header("content-type", "application/json")
            .body(json!({ "conferenceIdList": ids }).to_string());
        send(request).await
    }
}
