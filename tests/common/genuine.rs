// SPDX-License-Identifier: Apache-2.0
//! What a simulated system really answers, for a test to change one thing in it.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use serde_json::Value;
use simulator::{Simulator, Vendor};

use super::hosts;

/// The lines of a source that asks every call of its system.
pub fn everything_on(simulator: &Simulator, vendor: Vendor, instance: &str) -> Vec<String> {
    let mut lines = vec![
        "conferences: { enabled: true, identify: name, limit: 50 }".to_owned(),
        "timeout: 60s".to_owned(),
    ];
    match vendor {
        Vendor::YeastarP => lines.push("room_details: true".to_owned()),
        Vendor::Dingtalk => lines.push("conference_ids: [\"known-1\"]".to_owned()),
        Vendor::HuaweiMeeting => {
            lines.extend(["attendees: true".to_owned(), "details: true".to_owned()]);
            lines.push(hosts(&simulator.host_passwords(instance)));
        }
        _ => {}
    }
    lines
}

/// The right answer of each call, found by asking once more what the exporter asked.
pub async fn right_answers(simulator: &Simulator, vendor: Vendor) -> Vec<(&'static str, Vec<u8>)> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut answers: Vec<(&'static str, Vec<u8>)> = Vec::new();
    for seen in simulator.requests(vendor, "") {
        if answers.iter().any(|(call, _)| *call == seen.call) {
            continue;
        }
        let method = reqwest::Method::from_bytes(seen.method.as_bytes()).unwrap();
        let url = format!("{}{}", simulator.base_url(vendor), seen.path);
        let mut url = reqwest::Url::parse(&url).unwrap();
        if !seen.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&seen.query);
        }
        let mut request = client.request(method, url).body(seen.body.clone());
        for (name, value) in &seen.headers {
            if !matches!(name.as_str(), "host" | "content-length" | "accept-encoding") {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.unwrap().bytes().await.unwrap();
        answers.push((seen.call, answer.to_vec()));
    }
    answers
}

/// The paths of all values in `value`, as JSON pointers.
pub fn pointers(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{index}"), into);
            }
        }
        Value::Object(object) => {
            for (key, item) in object {
                let key = key.replace('~', "~0").replace('/', "~1");
                pointers(item, &format!("{at}/{key}"), into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
