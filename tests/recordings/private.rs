// SPDX-License-Identifier: Apache-2.0
//! Nothing private is in a recording: whatever a system answers, no text, number or key is in the file that its module does
//! not name, in any encoding; equal values have equal placeholders, and different values different ones.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::{
    cell::Cell,
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use conferencing_exporter::{
    config::{Config, Profile},
    metrics::own::{Own, SourceMeters},
    model::{CallName, Observation},
    net::{Api, Call, client},
    recording::{Outcome, Recorder, Shown},
    systems::catalogue,
};
use proptest::{
    prelude::*,
    test_runner::{Config as Settings, RngSeed, TestRunner},
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use simulator::{Options, Simulator, Vendor};

use super::bench::record;
use crate::common::{
    config, hosts,
    real_asterisk::{BANNER, session},
    script::Script,
    source,
};

/// What a source of any kind is configured with, as far as the tests here need it.
fn any_source(profile: &'static Profile) -> conferencing_exporter::config::Source {
    let credentials: String =
        profile.logins[0].required.iter().map(|key| format!("    {}: any\n", key.name)).collect();
    let yaml = format!(
        "sources:\n  - name: any\n    vendor: {}\n    base_url: {}://127.0.0.1:9\n{credentials}",
        profile.name,
        profile.transport.schemes()[0]
    );
    let loaded = Config::parse(&yaml, "any.yaml".as_ref(), catalogue().profiles());
    loaded.unwrap_or_else(|error| panic!("{error}")).config.sources.pop().unwrap()
}

/// The text of a recording in which `call` of a system was answered with `bodies`, one after the
/// other.
async fn recorded(profile: &'static Profile, call: CallName, bodies: Vec<Vec<u8>>) -> String {
    let source = any_source(profile);
    let client = client::clients(std::slice::from_ref(&source)).remove(0);
    let meters = SourceMeters::new(&Own::new().unwrap(), profile.name, profile.calls).unwrap();
    let recorder = Arc::new(Recorder::new(catalogue().shown(profile)));
    let api = Api::new(&source, client, meters).observed_by(Arc::clone(&recorder) as _);
    for body in bodies {
        let stand_in = move |_| (reqwest::StatusCode::OK, body.clone());
        let api = api.clone().answered_by(Arc::new(stand_in));
        api.send(Call::get(call, "/"), |_| Ok(())).await.unwrap();
    }
    let outcome = Outcome::of(Ok(&Observation::new()));
    recorder.recording(&source, outcome).unwrap().to_text().unwrap()
}

/// The spellings in which `secret` might be found.
fn spellings(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let each = |form: fn(u8) -> String| bytes.iter().map(|byte| form(*byte)).collect::<String>();
    let mut all = vec![
        secret.to_owned(),
        secret.to_lowercase(),
        secret.to_uppercase(),
        secret.chars().rev().collect(),
        serde_json::to_string(secret).unwrap().trim_matches('"').to_owned(),
        secret.chars().fold(String::new(), |mut text, c| {
            let _ = write!(text, "\\u{:04x}", c as u32);
            text
        }),
        each(|byte| format!("{byte:02x}")),
        each(|byte| format!("{byte:02X}")),
        each(|byte| format!("%{byte:02X}")),
        each(|byte| format!("%{byte:02x}")),
        each(|byte| format!("\\x{byte:02x}")),
        Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")),
    ];
    // Base64 of a text in which the secret begins at any place of a group of three; the characters
    // that its surroundings decide are cut off.
    for skipped in 0..3 {
        let padded = [&b"\0\0"[..skipped], bytes].concat();
        let whole = padded.len() / 3 * 3;
        for encoded in
            [STANDARD_NO_PAD.encode(&padded[..whole]), URL_SAFE_NO_PAD.encode(&padded[..whole])]
        {
            all.push(encoded[if skipped == 0 { 0 } else { 4 }..].to_owned());
        }
    }
    if let Ok(number) = secret.parse::<u64>() {
        all.extend([format!("{number:x}"), format!("{number:X}"), format!("{number:b}")]);
    }
    all.retain(|spelling| spelling.len() >= 6);
    all
}

fn assert_hidden(text: &str, secrets: &[String]) {
    for secret in secrets {
        for spelling in spellings(secret) {
            assert!(!text.contains(&spelling), "{secret:?} as {spelling:?} in\n{text}");
        }
    }
}

/// Builds answers, and notes what must not be found of them.
struct Builder<'a> {
    shown: &'static Shown,
    call: CallName,
    seed: &'a Cell<u64>,
    secrets: Vec<String>,
}

impl Builder<'_> {
    fn next(&mut self) -> u64 {
        // A linear congruential generator: the seed is from the test runner.
        let next = self.seed.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.seed.set(next);
        next >> 33
    }

    fn secret(&mut self, secret: String) -> String {
        self.secrets.push(secret.clone());
        secret
    }

    /// A text such as systems send them about people and rooms.
    fn text(&mut self) -> String {
        let n = self.next();
        let text = match self.next() % 10 {
            0 => format!("canary{n}"),
            1 => format!("{}", 10_000_000_000 + n),
            2 => format!("Zhang San {n}"),
            3 => format!("\u{5f20}\u{4e09}{n}"),
            4 => format!("user{n}@example.com"),
            5 => format!("https://example.com/join?pwd={n}"),
            6 => format!("eyJhbGciOiJIUzI1NiJ9.{n}"),
            7 => format!("ANSWER{n}"),
            8 => format!("2026-11-{:02} {n}", n % 28 + 1),
            _ => format!("line {n}\n\"{n}\""),
        };
        self.secret(text)
    }

    fn number(&mut self) -> Value {
        let n = 1_000_000_000 + self.next() * 7;
        self.secrets.push(n.to_string());
        match self.next() % 4 {
            0 => json!(-(n as i64)),
            1 => json!(n as f64 + 0.5),
            _ => json!(n),
        }
    }

    fn key(&mut self) -> String {
        let keys = self.shown.keys;
        if !keys.is_empty() && self.next() % 5 != 4 {
            return keys[self.next() as usize % keys.len()].to_owned();
        }
        // A map by id.
        self.text()
    }

    fn is_kept(&self, path: &str) -> bool {
        let of_call = self.shown.fields.iter();
        let mut of_call = of_call.filter(|f| f.of.is_empty() || f.of.contains(&self.call));
        of_call.any(|fields| fields.kept.contains(&path))
    }

    fn value(&mut self, path: &str, depth: u32) -> Value {
        match self.next() % 8 {
            0..=2 if depth > 0 => self.object(path, depth - 1),
            3 if depth > 0 => {
                let items = self.next() % 4;
                (0..items).map(|_| self.value(path, depth - 1)).collect()
            }
            _ if self.is_kept(path) => json!(self.next() % 100),
            4 => Value::Null,
            5 => Value::Bool(true),
            6 => self.number(),
            _ => self.text().into(),
        }
    }

    fn object(&mut self, path: &str, depth: u32) -> Value {
        let mut map = Map::new();
        for _ in 0..self.next() % 8 {
            let key = self.key();
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            map.insert(key, self.value(&below, depth));
        }
        map.into()
    }
}

#[test]
fn whatever_a_system_answers_is_hidden_unless_its_module_names_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let settings = Settings {
        cases: 16,
        rng_seed: RngSeed::Fixed(3),
        failure_persistence: None,
        ..Settings::default()
    };
    for profile in catalogue().profiles().iter().copied() {
        for call in profile.calls.iter().copied() {
            let seeds = any::<u64>();
            let ran = TestRunner::new(settings.clone()).run(&seeds, |seed| {
                let shown = catalogue().shown(profile);
                let seed = Cell::new(seed);
                let mut builder = Builder { shown, call, seed: &seed, secrets: Vec::new() };
                let answer = builder.object("", 5);
                let body = answer.to_string().into_bytes();
                let text = runtime.block_on(recorded(profile, call, vec![body]));
                assert_hidden(&text, &builder.secrets);
                Ok(())
            });
            ran.unwrap_or_else(|failed| panic!("{profile}, {call:?}: {failed}"));
        }
    }
}

/// Appends `value` as XML inside of an element, with `secrets` noted where the spelling is another.
fn append_xml(value: &Value, shown: &Shown, xml: &mut String, secrets: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let name = if shown.keys.contains(&key.as_str()) {
                    key.clone()
                } else {
                    let name: String =
                        key.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
                    secrets.push(format!("k{name}"));
                    format!("k{name}")
                };
                // A list is an element several times.
                let several = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
                for one in several {
                    let _ = write!(xml, "<{name} canary-attribute=\"canary-value\">");
                    append_xml(&one, shown, xml, secrets);
                    let _ = write!(xml, "<!-- canary-comment --></{name}>");
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|one| append_xml(one, shown, xml, secrets)),
        Value::String(text) => {
            xml.push_str(&text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&#34;"));
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => xml.push_str(&value.to_string()),
    }
}

#[test]
fn whatever_a_system_answers_in_xml_is_hidden_as_well() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let catalogue = catalogue();
    let profile = catalogue.profiles().iter().copied().find(|known| known.name == "bigbluebutton");
    let profile = profile.unwrap();
    for seed in 0..60 {
        let shown = catalogue.shown(profile);
        let seed = Cell::new(seed * 7_919 + 1);
        let mut builder =
            Builder { shown, call: profile.calls[0], seed: &seed, secrets: Vec::new() };
        let answer = builder.object("response", 6);
        let mut secrets = builder.secrets;
        secrets.extend(["canary-attribute", "canary-value", "canary-comment"].map(str::to_owned));
        let mut xml = String::new();
        append_xml(&json!({ "response": answer }), shown, &mut xml, &mut secrets);
        let body = xml.clone().into_bytes();
        let text = runtime.block_on(recorded(profile, profile.calls[0], vec![body]));
        assert!(text.contains("\"body_is\": \"xml\""), "{xml}\n{text}");
        assert_hidden(&text, &secrets);
    }
}

/// The answer of a script to the call by which it lists what there is.
type List = fn(&mut Builder<'_>, &str) -> Vec<u8>;

/// A list of the manager interface, with lines nobody has heard of.
fn list_of_blocks(builder: &mut Builder<'_>, request: &str) -> Vec<u8> {
    let id = request.lines().find(|line| line.starts_with("ActionID: ")).unwrap();
    let mut text = format!("Response: Success\r\n{id}\r\nEventList: start\r\n");
    builder.append_lines("response", &mut text);
    for _ in 0..builder.next() % 4 {
        text.push_str(&format!("\r\nEvent: ConfbridgeListRooms\r\n{id}\r\n"));
        builder.append_lines("events", &mut text);
    }
    text.push_str(&format!("\r\n{id}\r\nEventList: Complete\r\n"));
    builder.append_lines("complete", &mut text);
    (text + "\r\n").into_bytes()
}

/// A response of the event socket, with JSON or a text in it.
fn list_in_body(builder: &mut Builder<'_>, _: &str) -> Vec<u8> {
    let body = match builder.next() % 4 {
        0 => builder.text(),
        1 => format!("-ERR {}", builder.text()),
        _ => Value::from(vec![builder.object("body", 4), builder.object("body", 4)]).to_string(),
    };
    let mut header = format!("Content-Type: api/response\nContent-Length: {}\n", body.len());
    builder.append_lines("header", &mut header);
    format!("{header}\n{body}").into_bytes()
}

impl Builder<'_> {
    /// Appends some lines `Key: value` to those of a block.
    fn append_lines(&mut self, path: &str, block: &mut String) {
        let one_line = |text: String| text.replace(['\n', ':'], " ");
        for _ in 0..self.next() % 8 {
            let key = one_line(self.key());
            // By these it is known what a block belongs to.
            if ["ActionID", "EventList", "Response", "Content-Type", "Content-Length"]
                .contains(&&*key)
            {
                continue;
            }
            let value = if self.is_kept(&format!("{path}.{key}")) {
                "Yes".to_owned()
            } else {
                let text = one_line(self.text());
                self.secret(text)
            };
            let end = if block.contains('\r') { "\r\n" } else { "\n" };
            block.push_str(&format!("{key}: {value}{end}"));
            if !self.shown.keys.contains(&key.as_str()) {
                self.secrets.push(key);
            }
        }
    }
}

#[tokio::test]
async fn whatever_a_system_answers_in_lines_is_hidden_as_well() {
    let accepted = "Content-Type: command/reply\nReply-Text: +OK accepted\n\n";
    let cases: [(Vendor, &str, &str, List); 2] = [
        (Vendor::Asterisk, "confbridge_list_rooms", BANNER, list_of_blocks),
        (Vendor::FreeSwitch, "json_list", "Content-Type: auth/request\n\n", list_in_body),
    ];
    let catalogue = catalogue();
    for (vendor, call, greeting, list) in cases {
        let profile = catalogue.profiles().iter().find(|known| known.name == vendor.as_str());
        let profile = profile.unwrap();
        let call = *profile.calls.iter().find(|known| known.as_str() == call).unwrap();
        let shown = catalogue.shown(profile);
        for seed in 0..40 {
            let secrets = Arc::<Mutex<Vec<String>>>::default();
            let planted = Arc::clone(&secrets);
            let script = Script::start(greeting, move |request| {
                if request.starts_with("auth ") {
                    return Some(accepted.into());
                }
                if let Some(answer) = session(request) {
                    return Some(answer);
                }
                let seed = Cell::new(seed * 104_729 + 1);
                let mut builder = Builder { shown, call, seed: &seed, secrets: Vec::new() };
                let answer = list(&mut builder, request);
                planted.lock().unwrap().extend(builder.secrets);
                Some(answer)
            })
            .await;
            let text = record(&config(&[source(vendor, &script.url(), &[])])).await.remove(0);
            let secrets = secrets.lock().unwrap();
            assert!(text.contains(&format!("\"call\": \"{}\"", call.as_str())), "{text}");
            assert_hidden(&text, &secrets);
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_is_not_kept() {
    let secret = "canary-of-a-page";
    for body in [
        format!("<html><title>{secret}</title></html>"),
        format!("{{\"cut\": \"{secret}"),
        format!("[\"{secret}\"]"),
        format!("\"{secret}\""),
        format!("{{\"nested\":{}\"{secret}\"{}}}", "[".repeat(200), "]".repeat(200)),
        format!("{secret} punish {secret}"),
    ] {
        for profile in catalogue().profiles().iter().copied() {
            let text = recorded(profile, profile.calls[0], vec![body.clone().into_bytes()]).await;
            assert_hidden(&text, &[secret.to_owned()]);
        }
    }
}

#[tokio::test]
async fn equal_values_have_equal_placeholders_and_different_ones_different() {
    // Values that the exporter takes for the same id are equal, however they are spelled.
    let values = [
        (json!("6400"), "a"),
        (json!(6400), "a"),
        (json!(" 6400 "), "a"),
        (json!("06400"), "b"),
        (json!("Room"), "c"),
        (json!("room"), "d"),
        (json!(" Room"), "c"),
        (json!(-6400), "e"),
        (json!("-6400"), "e"),
        (json!(6400.5), "f"),
        (json!(1_u64 << 60), "g"),
        (json!((1_u64 << 60) + 1), "h"),
        (json!("x\u{fffd}"), "i"),
        (json!("y\u{fffd}"), "j"),
    ];
    for profile in catalogue().profiles().iter().copied() {
        let call = profile.calls[0];
        let list: Vec<_> = values.iter().map(|(value, _)| value.clone()).collect();
        // Over several answers, and as keys, too.
        let bodies = vec![
            json!({ "unknown": list }).to_string().into_bytes(),
            json!({ "6400": { "Room": 1 } }).to_string().into_bytes(),
        ];
        let text = recorded(profile, call, bodies).await;
        let recording: Value = serde_json::from_str(&text).unwrap();
        let first = recording["answers"][0]["body"].as_object().unwrap();
        let list = first.values().next().unwrap().as_array().unwrap();
        // Of a placeholder, the number alone tells which value it stands for.
        let number = |placeholder: &str| {
            let words: Vec<_> = placeholder.trim().trim_matches(['<', '>']).split(' ').collect();
            words.last().unwrap().parse::<u64>().unwrap()
        };
        let numbers: Vec<_> = list.iter().map(|value| number(value.as_str().unwrap())).collect();
        for (one, (_, one_class)) in numbers.iter().zip(&values) {
            for (other, (_, other_class)) in numbers.iter().zip(&values) {
                assert_eq!(one == other, one_class == other_class, "{text}");
            }
        }
        let second = recording["answers"][1]["body"].as_object().unwrap();
        let (key, below) = second.iter().next().unwrap();
        assert_eq!(number(key), numbers[0], "{text}");
        assert_eq!(number(below.as_object().unwrap().keys().next().unwrap()), numbers[4], "{text}");
    }
}

#[tokio::test]
async fn nothing_the_simulator_plants_is_in_a_recording() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let hosts = hosts(&simulator.host_passwords(""));
    let sources: Vec<_> = Vendor::ALL
        .into_iter()
        .map(|vendor| {
            let extra: &[&str] = match vendor {
                Vendor::YeastarP => &["room_details: true"],
                Vendor::HuaweiMeeting => &["attendees: true", "details: true", &hosts],
                _ => &[],
            };
            source(vendor, &simulator.base_url(vendor), extra)
        })
        .collect();
    let texts = record(&config(&sources)).await.concat();
    let canaries = simulator.canaries();
    assert!(canaries.len() > 100, "{}", canaries.len());
    // Shorter ones are found by chance.
    let canaries: Vec<_> = canaries.into_iter().filter(|canary| canary.len() >= 4).collect();
    for canary in &canaries {
        assert!(!texts.contains(canary.as_str()), "{canary}");
    }
    assert_hidden(&texts, &canaries);
    for address in ["127.0.0.1", "http:"] {
        assert!(!texts.contains(address), "{address}");
    }
}
