// SPDX-License-Identifier: Apache-2.0
//! What stands in an answer never reaches a reader: random texts are planted in genuine answers and in
//! failures, and neither what is served nor the log nor `check --live` holds a word of them.

#![allow(clippy::wildcard_enum_match_arm, reason = "JSON has kinds that do not matter here")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngSeed, TestRunner},
};
use serde_json::{Value, json};
use simulator::{Fault, Options, Simulator, Vendor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::common::{
    Bench,
    binary::{Exporter, command},
    config, credentials, entry,
    genuine::{everything_on, right_answers},
    source,
    wait::output,
};

/// Which texts of an answer are replaced or added to.
#[derive(Clone, Copy, Debug)]
enum How {
    /// Those that no system tells success by, each by chance.
    Inside,
    /// All of them.
    All,
    /// None, but something follows each of them.
    Behind,
}

const HOWS: [How; 3] = [How::Inside, How::All, How::Behind];

/// Makes texts up and remembers their words.
struct Planter {
    runner: TestRunner,
    words: Vec<String>,
}

/// How long each word is.
const WORD: usize = 12;

impl Planter {
    fn new(seed: u64) -> Self {
        let settings = Config {
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            ..Config::default()
        };
        Self { runner: TestRunner::new(settings), words: Vec::new() }
    }

    fn any<T: std::fmt::Debug>(&mut self, strategy: impl Strategy<Value = T>) -> T {
        strategy.new_tree(&mut self.runner).unwrap().current()
    }

    /// Two words, in whatever may stand around them: a name, an address, a token, what looks like a
    /// code of one of the systems. Without what would end a line or an element.
    fn text(&mut self) -> String {
        let word = "[a-z]{12}|[A-Z]{12}|[A-Za-z0-9]{12}|[0-9]{12}";
        let (first, second) = (self.any(word), self.any(word));
        let before = prop::sample::select(vec!["", "https://", "-ERR ", "tel:+49", "张 ", "USG."]);
        let between = prop::sample::select(vec![" ", ".", "/", "@", ":", "_", "-", "?token="]);
        let behind = prop::sample::select(vec!["", ".206010000", " 20003", "!", "Failed"]);
        let (before, between, behind) = self.any((before, between, behind));
        let text = format!("{before}{first}{between}{second}{behind}");
        self.words.extend([first, second]);
        text
    }

    /// What is to stand in the place of `text`, which is `inside` of something.
    fn instead(&mut self, text: &str, inside: bool, how: How) -> Option<String> {
        match how {
            How::Inside => (inside && self.any(any::<bool>())).then(|| self.text()),
            How::All => Some(self.text()),
            How::Behind => Some(format!("{text} {}", self.text())),
        }
    }

    fn plant_json(&mut self, value: &mut Value, depth: usize, how: How) {
        match value {
            Value::String(text) => {
                if let Some(new) = self.instead(text, depth > 1, how) {
                    *text = new;
                }
            }
            Value::Array(items) => {
                items.iter_mut().for_each(|item| self.plant_json(item, depth + 1, how));
            }
            Value::Object(object) => {
                object.values_mut().for_each(|item| self.plant_json(item, depth + 1, how));
            }
            _ => {}
        }
    }

    /// JSON or XML, with other texts.
    fn plant(&mut self, answer: &[u8], how: How) -> Vec<u8> {
        if let Ok(mut value) = serde_json::from_slice::<Value>(answer) {
            self.plant_json(&mut value, 0, how);
            return value.to_string().into_bytes();
        }
        let mut planted = String::new();
        for (number, element) in String::from_utf8_lossy(answer).split('>').enumerate() {
            let (text, tag) = element.split_once('<').unwrap_or((element, ""));
            let is_text = number > 0 && !text.trim().is_empty();
            // What comes first is whether the call has succeeded.
            let new = is_text.then(|| self.instead(text, number > 4, how)).flatten();
            planted.push_str(new.as_deref().unwrap_or(text));
            if !tag.is_empty() {
                planted.push_str(&format!("<{tag}>"));
            }
        }
        planted.into_bytes()
    }

    /// One message of a text protocol: lines of `Key: value`, then perhaps a body.
    fn plant_message(&mut self, header: &str, body: &[u8], how: How) -> Vec<u8> {
        let body = if body.is_empty() { Vec::new() } else { self.plant(body, how) };
        let mut lines = Vec::new();
        for line in header.lines() {
            let Some((key, value)) = line.split_once(": ") else {
                lines.push(line.to_owned());
                continue;
            };
            // By these the exporter knows what a message belongs to and where it ends.
            let kept = ["ActionID", "Content-Type", "Content-Length", "EventList"];
            let inside =
                !["Response", "Event", "Reply-Text", "Message", "Challenge"].contains(&key);
            let new = if kept.contains(&key) { None } else { self.instead(value, inside, how) };
            lines.push(match key {
                "Content-Length" => format!("{key}: {}", body.len()),
                _ => format!("{key}: {}", new.as_deref().unwrap_or(value)),
            });
        }
        let end = if header.contains('\r') { "\r\n" } else { "\n" };
        let mut message = (lines.join(end) + end + end).into_bytes();
        message.extend(body);
        message
    }
}

/// A failure with every key in which some system tells one.
fn failure(planter: &mut Planter) -> String {
    let mut failure = json!({
        "status": "Failed", "errno": "1", "errcode": "1", "errmsg": "m", "code": "c", "message": "m",
        "error_code": "c", "error_msg": "m", "janus": "error", "error": { "code": "c", "reason": "r" },
        "requestid": "r", "returncode": "FAILED", "messageKey": "k", "punish": "p",
    });
    let how = [How::All, How::Inside][usize::from(planter.any(any::<bool>()))];
    planter.plant_json(&mut failure, 0, how);
    failure.to_string()
}

/// A system that speaks a text protocol, whose messages pass through here and get other texts.
async fn planting_front(to: SocketAddr, planter: &Arc<Mutex<Planter>>, how: How) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let planter = Arc::clone(planter);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(to).await.unwrap();
            let planter = Arc::clone(&planter);
            let ((mut asks, client), (server, mut asked)) =
                (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut asks, &mut asked).await });
            // How a connection ended is for the client to report.
            tokio::spawn(async move { planting(server, client, &planter, how).await });
        }
    });
    address
}

/// Passes on messages until there are no more.
async fn planting(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    planter: &Mutex<Planter>,
    how: How,
) -> std::io::Result<()> {
    let mut received = Vec::new();
    while from.read_buf(&mut received).await? > 0 {
        // Asterisk's greeting is one line; what follows it waits for a request.
        if received.starts_with(b"Asterisk") && received.ends_with(b"\r\n") {
            to.write_all(&std::mem::take(&mut received)).await?;
        }
        while let Some((header, length)) = header_of(&received) {
            let body_at = header.len();
            if received.len() < body_at + length {
                break;
            }
            let rest = received.split_off(body_at + length);
            let body = received.split_off(body_at);
            let message = planter.lock().unwrap().plant_message(header.trim_end(), &body, how);
            to.write_all(&message).await?;
            received = rest;
        }
    }
    Ok(())
}

/// The lines of a message with the empty one that ends them, and how many bytes follow.
fn header_of(received: &[u8]) -> Option<(String, usize)> {
    let text = String::from_utf8_lossy(received);
    let end =
        ["\r\n\r\n", "\n\n"].iter().filter_map(|end| Some(text.find(end)? + end.len())).min()?;
    let header = text[..end].to_owned();
    let length = header.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length = length.map_or(0, |length| length.trim().parse().unwrap());
    Some((header, length))
}

/// Puts a source on one more instance of a system, and answers its entry in the configuration.
fn one_more(
    simulator: &Simulator,
    vendor: Vendor,
    sources: &mut Vec<String>,
    front: Option<SocketAddr>,
) -> String {
    let instance = sources.len().to_string();
    let url = simulator.instance_url(vendor, &instance);
    let url = front.map_or(url, |front| format!("tcp://{front}"));
    let mut lines = everything_on(simulator, vendor, &instance);
    // What systems call people and rooms is not to be shown here.
    lines.retain(|line| !line.starts_with("conferences:") && !line.starts_with("timeout:"));
    lines.extend(["conferences: { enabled: true }".to_owned(), "timeout: 5s".to_owned()]);
    lines.extend(credentials(vendor));
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    sources.push(entry(&format!("s{instance}"), vendor, &url, &lines));
    instance
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_word_of_an_answer_is_served_or_logged() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let planter = Arc::new(Mutex::new(Planter::new(16)));
    let mut sources = Vec::new();
    for vendor in Vendor::ALL {
        let mut calls: Vec<(&str, Vec<u8>)> = Vec::new();
        if vendor.speaks_http() {
            let lines = everything_on(&simulator, vendor, "");
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            let yaml = config(&[source(vendor, &simulator.base_url(vendor), &lines)]);
            let up = Bench::new(&yaml).await.scrape().await.value("conferencing_up", &[]);
            assert_eq!(up, Some(1.0), "{vendor:?}: the right answers are");
            calls = right_answers(&simulator, vendor).await;
        } else {
            for how in HOWS {
                let instance = sources.len().to_string();
                let url = simulator.instance_url(vendor, &instance);
                let address = url.trim_start_matches("tcp://").parse().unwrap();
                let front = planting_front(address, &planter, how).await;
                one_more(&simulator, vendor, &mut sources, Some(front));
            }
            let all: &[_] = match vendor {
                Vendor::Asterisk => {
                    &["challenge", "login", "confbridge_list_rooms", "confbridge_list"]
                }
                _ => &["auth", "json_list"],
            };
            calls.extend(all.iter().map(|call| (*call, Vec::new())));
        }
        for (call, answer) in calls {
            let mut faults = Vec::new();
            {
                let mut planter = planter.lock().unwrap();
                if vendor.speaks_http() {
                    faults.extend(HOWS.map(|how| Fault::Body(planter.plant(&answer, how))));
                    for status in [400, 403, 500] {
                        faults.push(Fault::StatusJson(status, failure(&mut planter)));
                    }
                    faults.push(Fault::Body(failure(&mut planter).into_bytes()));
                    faults.push(Fault::VendorErrorStatus(401, planter.text()));
                }
                faults.push(Fault::VendorError(planter.text()));
            }
            for fault in faults {
                let instance = one_more(&simulator, vendor, &mut sources, None);
                simulator.inject(vendor, &instance, Some(call), fault, None);
            }
        }
    }

    let exporter = Exporter::start(&config(&sources), &["--log.level", "debug"]);
    let mut seen = String::new();
    for _ in 0..2 {
        for path in ["/metrics", "/metrics/self", "/sd", "/"] {
            seen.push_str(&exporter.get(path).await.body);
        }
    }
    let up = seen.lines().filter(|line| line.starts_with("conferencing_up{"));
    let (up, down): (Vec<_>, Vec<_>) = up.partition(|line| line.ends_with(" 1"));
    assert!(up.len() > 20 && down.len() > 100, "{} up, {} down", up.len(), down.len());
    for number in 0..sources.len() {
        let path = format!("/probe?source=s{number}&debug=true");
        seen.push_str(&exporter.get(&path).await.body);
    }
    let mut check = command();
    check.args(["check", "--live", "--config.file"]).arg(exporter.config_file());
    let checked = output(&mut check);
    for text in [checked.stdout, checked.stderr] {
        seen.push_str(&String::from_utf8_lossy(&text));
    }
    let (status, log) = exporter.stop();
    assert!(status.success() && log.lines().count() > sources.len(), "{log}");
    seen.push_str(&log);

    let words = std::mem::take(&mut planter.lock().unwrap().words);
    assert!(words.len() > 5_000, "{}", words.len());
    let words: HashSet<_> = words.iter().map(String::as_bytes).collect();
    let has_word = |line: &&str| line.as_bytes().windows(WORD).any(|part| words.contains(part));
    let found: Vec<_> = seen.lines().filter(has_word).collect();
    assert!(found.is_empty(), "{found:#?}");
}
