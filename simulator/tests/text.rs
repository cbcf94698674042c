// SPDX-License-Identifier: Apache-2.0
//! The systems that speak a text protocol, over the wire.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "common/wait.rs"]
mod wait;

use md5::{Digest, Md5};
use simulator::{ASTERISK_PASSWORD, Options, Simulator, Vendor};
use std::collections::BTreeMap;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use wait::soon;

type Block = BTreeMap<String, String>;

struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(simulator: &Simulator, vendor: Vendor) -> Self {
        let url = simulator.base_url(vendor);
        let stream = TcpStream::connect(url.strip_prefix("tcp://").unwrap()).await.unwrap();
        Self(BufReader::new(stream))
    }

    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let length = soon(self.0.read_line(&mut line)).await.unwrap();
        assert!(length > 0, "the connection has ended");
        line.trim_end().to_owned()
    }

    async fn block(&mut self) -> Block {
        let mut block = Block::new();
        loop {
            let line = self.line().await;
            let Some((key, value)) = line.split_once(':') else { return block };
            block.insert(key.to_owned(), value.trim().to_owned());
        }
    }

    /// Whether the other side has ended the connection.
    async fn has_ended(&mut self) -> bool {
        soon(self.0.read_u8()).await.is_err()
    }
}

struct Ami(Client);

impl Ami {
    async fn connect(simulator: &Simulator) -> Self {
        let mut client = Client::connect(simulator, Vendor::Asterisk).await;
        assert_eq!(client.line().await, "Asterisk Call Manager/11.0.0");
        Self(client)
    }

    /// The blocks that carry the action's id; events in between do not.
    async fn ask(&mut self, lines: &[&str]) -> Vec<Block> {
        let id = "ActionID: mine";
        self.0.send(&format!("{}\r\n{id}\r\n\r\n", lines.join("\r\n"))).await;
        let mut blocks = Vec::new();
        loop {
            let block = self.0.block().await;
            if block.get("ActionID").is_none_or(|id| id != "mine") {
                continue;
            }
            let is_list = block.get("EventList").is_some_and(|list| list == "start");
            let is_in_list =
                blocks.first().is_some_and(|first: &Block| first.contains_key("EventList"));
            let is_end = block.get("EventList").is_some_and(|list| list == "Complete");
            blocks.push(block);
            if is_end || !(is_list || is_in_list) {
                return blocks;
            }
        }
    }

    async fn log_in(&mut self, password: &str) -> Block {
        let challenge = self.ask(&["Action: Challenge", "AuthType: MD5"]).await;
        let text = format!("{}{password}", challenge[0]["Challenge"]);
        let key: String =
            Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let key = format!("Key: {key}");
        let lines = ["Action: Login", "AuthType: MD5", "Username: exporter", &key, "Events: off"];
        self.ask(&lines).await.remove(0)
    }
}

#[tokio::test]
async fn asterisk_lists_what_there_is() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let mut ami = Ami::connect(&simulator).await;
    assert_eq!(ami.log_in(ASTERISK_PASSWORD).await["Message"], "Authentication accepted");
    let truth = simulator.truth(Vendor::Asterisk, "");
    let rooms = ami.ask(&["Action: ConfbridgeListRooms"]).await;
    let listed = &rooms[1..rooms.len() - 1];
    assert_eq!(rooms[rooms.len() - 1]["ListItems"], listed.len().to_string());
    assert_eq!(truth.conferences_active, Some(listed.len() as u64));
    let of_rooms = |key: &str| Some(listed.iter().filter(|room| room[key] == "Yes").count() as u64);
    assert_eq!(truth.conferences_locked, of_rooms("Locked"));
    assert_eq!(truth.conferences_all_muted, of_rooms("Muted"));
    let mut people = Vec::new();
    for room in listed {
        let name = format!("Conference: {}", room["Conference"]);
        let list = ami.ask(&["Action: ConfbridgeList", &name]).await;
        let here = &list[1..list.len() - 1];
        assert_eq!(room["Parties"], here.len().to_string(), "who wait are among them");
        people.extend_from_slice(here);
    }
    let count = |such: &dyn Fn(&Block) -> bool| {
        Some(people.iter().filter(|person| such(person)).count() as u64)
    };
    let joined = |person: &Block| person["Waiting"] == "No";
    assert_eq!(truth.participants_joined, count(&joined));
    assert_eq!(truth.participants_waiting, count(&|person| !joined(person)));
    assert_eq!(truth.participants_muted, count(&|p| joined(p) && p["Muted"] == "Yes"));
    assert_eq!(truth.participants_moderators, count(&|p| joined(p) && p["Admin"] == "Yes"));
    let canaries = simulator.canaries();
    assert!(people.iter().all(|person| canaries.contains(&person["CallerIDName"])));
}

#[tokio::test]
async fn asterisk_refuses_what_a_narrow_user_may_not() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let mut ami = Ami::connect(&simulator).await;
    let refused =
        |answer: Vec<Block>| (answer[0]["Response"].clone(), answer[0]["Message"].clone());
    let denied = ("Error".to_owned(), "Permission denied".to_owned());
    assert_eq!(refused(ami.ask(&["Action: ConfbridgeListRooms"]).await), denied);
    ami.log_in(ASTERISK_PASSWORD).await;
    assert_eq!(refused(ami.ask(&["Action: ConfbridgeKick", "Conference: 1"]).await), denied);
    let message = |answer: Vec<Block>| answer[0]["Message"].clone();
    let unknown = message(ami.ask(&["Action: ConfbridgeList", "Conference: 1"]).await);
    assert_eq!(unknown, "No Conference by that name found.");
    let unnamed = message(ami.ask(&["Action: ConfbridgeList"]).await);
    assert_eq!(unnamed, "No Conference name provided.");
    simulator.edit(Vendor::Asterisk, "", |population| population.conferences.clear());
    let none = message(ami.ask(&["Action: ConfbridgeListRooms"]).await);
    assert_eq!(none, "No active conferences.");
    assert_eq!(ami.ask(&["Action: Logoff"]).await[0]["Response"], "Goodbye");
    assert!(ami.0.has_ended().await);
    let requests = simulator.requests(Vendor::Asterisk, "");
    let forbidden: Vec<_> = requests.iter().filter(|request| request.forbidden).collect();
    assert_eq!(forbidden.len(), 1, "{forbidden:?}");

    let mut ami = Ami::connect(&simulator).await;
    assert_eq!(ami.log_in("another").await["Message"], "Authentication failed");
    assert!(ami.0.has_ended().await);
    assert_eq!(simulator.live_tokens(Vendor::Asterisk, ""), 0);
}
