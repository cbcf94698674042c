// SPDX-License-Identifier: Apache-2.0
//! Each fault, seen from the socket.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;
#[path = "common/wait.rs"]
mod wait;

use common::{Dingtalk, Huawei, Md5Pbx, P};
use serde_json::{Value, json};
use simulator::{Fault, Options, Simulator, Vendor};
use std::io;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wait::{soon, until};

/// What came, and how it ended.
struct Raw {
    head: String,
    body: Vec<u8>,
    end: io::Result<()>,
}

/// One request for the rooms of a P-Series, byte by byte.
async fn raw(simulator: &Simulator, pbx: &P, limit: usize) -> Raw {
    let path = pbx.base.split_once("127.0.0.1").unwrap().1.split_once('/').unwrap().1;
    let address = simulator.base_url(Vendor::YeastarP).replace("http://", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let token = &pbx.token;
    let request = format!(
        "GET /{path}/conference/list?page=1&page_size=100&access_token={token} HTTP/1.1\r\nhost: x\r\nuser-agent: a\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let mut block = vec![0; 65_536];
    let end = loop {
        match soon(stream.read(&mut block)).await {
            Ok(0) => break Ok(()),
            Ok(_) if all.len() > limit => break Ok(()),
            Ok(count) => all.extend_from_slice(&block[..count]),
            Err(error) => break Err(error),
        }
    };
    let split = all.windows(4).position(|four| four == b"\r\n\r\n").map_or(all.len(), |at| at + 4);
    let body = all.split_off(split);
    Raw { head: String::from_utf8(all).unwrap().to_ascii_lowercase(), body, end }
}

async fn ready() -> (Simulator, P) {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let pbx = P::login(&simulator, "").await;
    (simulator, pbx)
}

async fn with(fault: Fault) -> Raw {
    let (simulator, pbx) = ready().await;
    simulator.inject(Vendor::YeastarP, "", Some("conference/list"), fault, Some(1));
    let damaged = raw(&simulator, &pbx, 50_000_000).await;
    let right = raw(&simulator, &pbx, 50_000_000).await;
    assert_eq!(
        serde_json::from_slice::<Value>(&right.body).unwrap()["total_number"],
        12,
        "the fault is used up"
    );
    damaged
}

async fn json_with(fault: Fault) -> Value {
    serde_json::from_slice(&with(fault).await.body).unwrap()
}

#[tokio::test]
async fn statuses() {
    assert!(with(Fault::Status(503)).await.head.starts_with("http/1.1 503"));
    let answer = with(Fault::StatusJson(418, "{}".to_owned())).await;
    assert!(answer.head.contains("418") && answer.body == b"{}");
    let answer = with(Fault::RetryAfter { status: 429, value: "7".to_owned() }).await;
    assert!(answer.head.contains("429") && answer.head.contains("retry-after: 7"));
    let answer = with(Fault::Redirect("http://192.0.2.1/".to_owned())).await;
    assert!(answer.head.contains("302") && answer.head.contains("location: http://192.0.2.1/"));
    assert_eq!(json_with(Fault::VendorError("70087".to_owned())).await["errmsg"], "IP FORBIDDEN");
    let answer = with(Fault::VendorErrorStatus(500, "-2".to_owned())).await;
    assert!(answer.head.contains("500") && answer.body.starts_with(b"{\"errcode\":-2"));
}

#[tokio::test]
async fn breaks_of_the_connection() {
    let whole = with(Fault::WrongContentType).await.body.len();
    let half = with(Fault::Truncate).await;
    assert!(half.head.contains(&format!("content-length: {whole}")), "{}", half.head);
    assert_eq!((half.body.len(), half.end.is_ok()), (whole / 2, true));
    let reset = with(Fault::ResetInsideBody).await;
    assert_eq!(reset.end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let closed = with(Fault::CloseBeforeAnswer).await;
    assert!(closed.head.is_empty() && closed.body.is_empty() && closed.end.is_ok());
}

#[tokio::test]
async fn slowness() {
    let (simulator, pbx) = ready().await;
    let list = Some("conference/list");
    simulator.inject(Vendor::YeastarP, "", list, Fault::Hang, Some(1));
    assert!(timeout(Duration::from_millis(300), raw(&simulator, &pbx, 1_000_000)).await.is_err());
    simulator.inject(Vendor::YeastarP, "", list, Fault::Drip, Some(1));
    assert!(timeout(Duration::from_millis(1500), raw(&simulator, &pbx, 1_000_000)).await.is_err());
    let before = Instant::now();
    simulator.inject(Vendor::YeastarP, "", list, Fault::Delay(Duration::from_millis(200)), Some(1));
    assert!(raw(&simulator, &pbx, 1_000_000).await.body.starts_with(b"{"));
    assert!(before.elapsed() >= Duration::from_millis(200));
    // What the clients have given up is gone here as well.
    until("the end of the connections", || simulator.open_connections(), |open| *open == 0).await;
    let statuses: Vec<_> =
        simulator.requests(Vendor::YeastarP, "").iter().map(|r| r.status).collect();
    assert_eq!(statuses, [200, 0, 200, 200]);
}

#[tokio::test]
async fn sizes() {
    let (simulator, pbx) = ready().await;
    simulator.inject(Vendor::YeastarP, "", None, Fault::Endless, Some(1));
    assert!(raw(&simulator, &pbx, 20_000_000).await.body.len() > 19_000_000);
    let large = with(Fault::Large(100_000)).await.body;
    assert_eq!(large.len(), 100_000);
    assert_eq!(serde_json::from_slice::<Value>(&large).unwrap()["total_number"], 12);
    let bomb = with(Fault::GzipBomb(50_000_000)).await;
    assert!(bomb.head.contains("content-encoding: gzip") && bomb.body.len() < 1_000_000);
    let mut unpacked = flate2::read::GzDecoder::new(bomb.body.as_slice());
    assert_eq!(io::copy(&mut unpacked, &mut io::sink()).unwrap(), 50_000_000);
    assert!(with(Fault::Empty).await.body.is_empty());
}

#[tokio::test]
async fn damage_to_the_text() {
    assert!(with(Fault::Html).await.head.contains("text/html"));
    assert!(with(Fault::WrongContentType).await.head.contains("text/html"));
    assert!(with(Fault::Bom).await.body.starts_with(b"\xef\xbb\xbf{"));
    assert!(String::from_utf8(with(Fault::InvalidUtf8).await.body).is_err());
    assert!(String::from_utf8(with(Fault::ForeignText).await.body).is_err());
    assert_eq!(with(Fault::Body(b"what".to_vec())).await.body, b"what");
    assert!(with(Fault::NotJson).await.body.windows(10).any(|text| text == b"\"data\":NaN"));
    let deep = with(Fault::DeepNesting(1000)).await.body;
    assert!(deep.windows(1000).any(|text| text == [b'['; 1000]));
    let ignored = with(Fault::DeepNestingIgnoredKey(100)).await.body;
    assert_eq!(
        serde_json::from_slice::<Value>(&ignored).unwrap()["data"].as_array().unwrap().len(),
        12
    );
    let twice = String::from_utf8(with(Fault::DuplicateKeys).await.body).unwrap();
    assert_eq!(twice.matches("\"total_number\"").count(), 2);
}

#[tokio::test]
async fn damage_to_the_values() {
    assert_eq!(
        json_with(Fault::WrongTypes).await,
        json!({ "errcode": "x", "errmsg": {}, "total_number": "x", "data": "x" })
    );
    assert!(json_with(Fault::MissingKey).await.get("data").is_none());
    assert_eq!(json_with(Fault::LyingTotal(-5)).await["total_number"], -5);
    assert_eq!(json_with(Fault::NegativeNumbers).await["data"][0]["id"], -2);
    assert_eq!(json_with(Fault::NegativeNumbers).await["errcode"], 0);
    let huge = String::from_utf8(with(Fault::HugeNumbers).await.body).unwrap();
    assert!(huge.contains("\"total_number\":18446744073709551616"));
    assert_eq!(json_with(Fault::DuplicateItems).await["data"].as_array().unwrap().len(), 24);
}

#[tokio::test]
async fn pages_without_end() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for vendor in Vendor::ALL.into_iter().filter(|vendor| vendor.speaks_http()) {
        simulator.inject(vendor, "", None, Fault::RepeatPages, None);
    }
    let pbx = P::login(&simulator, "").await;
    let first = pbx.call("conference/list?page=1&page_size=3").await;
    assert_eq!(first, pbx.call("conference/list?page=700&page_size=3").await);
    let cloud = Huawei::login(&simulator, "").await;
    let page = cloud.call("conferences/online?queryAll=true&offset=300&limit=2").await.body;
    assert_eq!((page["data"].as_array().unwrap().len(), &page["count"]), (2, &json!(1_000_000)));
    let cloud = Dingtalk::login(&simulator, "").await;
    let page = cloud.list("maxResults=100&nextToken=page-1").await.body;
    assert_eq!(
        (page["onGoingConfList"].as_array().unwrap().len(), &page["hasMore"]),
        (6, &json!(true))
    );
    let pbx = Md5Pbx::login(&simulator, Vendor::YeastarS, "").await;
    assert_eq!(pbx.call("conference/query", json!({ "number": "all" })).await["status"], "Success");
    let recorded = simulator.requests(Vendor::YeastarP, "");
    assert_eq!(recorded.last().unwrap().query("page"), Some("700"), "recorded as it was asked");
}

#[tokio::test]
async fn ports_are_free_again() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let address = simulator.base_url(Vendor::Dingtalk).replace("http://", "");
    drop(simulator);
    let refused = async { while TcpStream::connect(&address).await.is_ok() {} };
    soon(refused).await;
}

#[tokio::test]
async fn the_control_port() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let control = simulator.control_url();
    let post = async |path: &str| {
        reqwest::Client::new()
            .post(format!("{control}{path}"))
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    let truth = common::get(&format!("{control}/truth?vendor=yeastar_p&instance=a")).await.body;
    assert_eq!(truth["rooms"], 12);
    let pbx = P::login(&simulator, "a").await;
    let list = "conference/list?page=1&page_size=3";
    for (fault, code) in [("auth", 10004), ("lockout", 10004)] {
        assert_eq!(post(&format!("/fault?vendor=yeastar_p&instance=a&fault={fault}")).await, 200);
        assert_eq!(pbx.call(list).await["errcode"], code);
        assert_eq!(post("/clear").await, 200);
        assert_eq!(pbx.call(list).await["errcode"], 0);
    }
    assert_eq!(
        post("/fault?vendor=yeastar_p&instance=a&call=conference/list&fault=status-500&times=1")
            .await,
        200
    );
    assert_eq!(pbx.call(list).await, Value::Null);
    assert_eq!(pbx.call(list).await["errcode"], 0);
    assert_eq!(post("/expire?vendor=yeastar_p&instance=a").await, 200);
    assert_eq!(pbx.call(list).await["errcode"], 10004);
    // What is not known is answered with what is, and only with what this system can have.
    for (bad, said, unsaid) in [
        ("vendor=what&fault=hang", "openvox_uc, yeastar_s", "what"),
        ("vendor=yeastar_p&fault=what", "hang, drip, status-500, auth", "what"),
        ("vendor=yeastar_p&fault=what", "lockout", "what"),
        ("vendor=dingtalk&fault=lockout", "hang, drip, status-500, auth", "lockout"),
        ("vendor=dingtalk&fault=hang&call=what", "access_token, orgConferences", "what"),
    ] {
        let url = format!("{control}/fault?{bad}");
        let answer = reqwest::Client::new().post(url).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{bad}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(said) && !text.contains(unsaid), "{bad}: {text}");
    }
    let requests =
        common::get(&format!("{control}/requests?vendor=yeastar_p&instance=a")).await.body;
    assert!(requests.as_array().unwrap().len() > 3);
    assert!(requests[0]["headers"].is_null() && requests[0]["body"].is_null());
    let whole = format!("{control}/requests?vendor=yeastar_p&instance=a&whole=yes");
    let first = &common::get(&whole).await.body[0];
    assert!(first["headers"].is_array() && first["body"].is_string(), "{first}");
    assert!(common::get(&format!("{control}/what")).await.status == 404);
}
