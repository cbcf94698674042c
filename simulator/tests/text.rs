// SPDX-License-Identifier: Apache-2.0
//! The systems that speak a text protocol, over the wire.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "common/wait.rs"]
mod wait;

use md5::{Digest, Md5};
use serde_json::Value;
use simulator::{
    ASTERISK_PASSWORD, FREESWITCH_PASSWORD, FREESWITCH_USERNAME, Options, Simulator, Vendor,
};
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

struct EventSocket(Client);

impl EventSocket {
    async fn connect(simulator: &Simulator) -> Self {
        let mut client = Client::connect(simulator, Vendor::FreeSwitch).await;
        assert_eq!(client.block().await["Content-Type"], "auth/request");
        Self(client)
    }

    /// A block, and as many bytes as it says.
    async fn message(&mut self) -> (Block, String) {
        let block = self.0.block().await;
        let length = block.get("Content-Length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        soon(self.0.0.read_exact(&mut body)).await.unwrap();
        (block, String::from_utf8(body).unwrap())
    }

    /// The answer to a command; lines of the log in between are none.
    async fn ask(&mut self, command: &str) -> (Block, String) {
        self.0.send(&format!("{command}\n\n")).await;
        loop {
            let (block, body) = self.message().await;
            if block["Content-Type"] != "log/data" {
                return (block, body);
            }
        }
    }

    async fn reply(&mut self, command: &str) -> String {
        let (block, body) = self.ask(command).await;
        assert_eq!((block["Content-Type"].as_str(), body.as_str()), ("command/reply", ""));
        block["Reply-Text"].clone()
    }

    /// The notice with which the other side ends the connection.
    async fn is_sent_away(&mut self) {
        let (notice, words) = self.message().await;
        assert_eq!(notice["Content-Type"], "text/disconnect-notice");
        assert!(words.starts_with("Disconnected, goodbye.\n"), "{words}");
        assert!(self.0.has_ended().await);
    }
}

#[tokio::test]
async fn freeswitch_lists_what_there_is() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let logins = [
        format!("auth {FREESWITCH_PASSWORD}"),
        format!("userauth {FREESWITCH_USERNAME}:{FREESWITCH_PASSWORD}"),
    ];
    for login in logins {
        let mut socket = EventSocket::connect(&simulator).await;
        assert_eq!(socket.reply(&login).await, "+OK accepted");
        let (block, list) = socket.ask("api conference json_list").await;
        assert_eq!(block["Content-Type"], "api/response");
        let conferences: Vec<Value> = serde_json::from_str(&list).unwrap();
        let truth = simulator.truth(Vendor::FreeSwitch, "");
        assert_eq!(truth.conferences_active, Some(conferences.len() as u64));
        let of_all = |key: &str| Some(conferences.iter().filter(|c| c[key] == true).count() as u64);
        assert_eq!(truth.conferences_locked, of_all("locked"));
        assert_eq!(truth.conferences_recording, of_all("recording"));
        let count = |such: &dyn Fn(&Value, &Value) -> bool| {
            let callers = conferences.iter().flat_map(|conference| {
                let members = conference["members"].as_array().unwrap().iter();
                members.map(move |member| (conference, member))
            });
            let is_caller = |member: &Value| member["type"] == "caller";
            let counted = callers.filter(|(c, member)| is_caller(member) && such(c, member));
            Some(counted.count() as u64)
        };
        let joined = |conference: &Value| conference["wait_mod"] == false;
        assert_eq!(truth.participants_joined, count(&|c, _| joined(c)));
        assert_eq!(truth.participants_waiting, count(&|c, _| !joined(c)));
        let muted = count(&|c, member| joined(c) && member["flags"]["can_speak"] == false);
        assert_eq!(truth.participants_muted, muted);
        let moderators = count(&|c, member| joined(c) && member["flags"]["is_moderator"] == true);
        assert_eq!(truth.participants_moderators, moderators);
        let canaries = simulator.canaries();
        let is_canary =
            |member: &Value| canaries.iter().any(|canary| member["caller_id_name"] == **canary);
        assert_eq!(count(&|_, member| !is_canary(member)), Some(0));
        assert_eq!(socket.reply("exit").await, "+OK bye");
        socket.is_sent_away().await;
    }
    assert_eq!(simulator.live_tokens(Vendor::FreeSwitch, ""), 0);
}

#[tokio::test]
async fn freeswitch_refuses_what_a_narrow_user_may_not() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let denied = "-ERR permission denied";
    let mut socket = EventSocket::connect(&simulator).await;
    assert_eq!(socket.reply("api conference json_list").await, denied);
    assert_eq!(socket.reply(&format!("auth {FREESWITCH_PASSWORD}")).await, "+OK accepted");
    for command in [
        "api status",
        "api conference 1000 mute all",
        "bgapi conference json_list",
        "events plain all",
    ] {
        assert_eq!(socket.reply(command).await, denied, "{command}");
    }
    let requests = simulator.requests(Vendor::FreeSwitch, "");
    assert_eq!(requests.iter().filter(|request| request.forbidden).count(), 4, "{requests:?}");
    simulator.edit(Vendor::FreeSwitch, "", |population| population.conferences.clear());
    assert_eq!(socket.ask("api conference json_list").await.1, "[]");

    let wrong = ["auth another", "auth", "userauth exporter@pbx.example:another"];
    for login in wrong {
        let mut socket = EventSocket::connect(&simulator).await;
        let is_login = login != "auth";
        assert_eq!(socket.reply(login).await, if is_login { "-ERR invalid" } else { denied });
        if is_login {
            socket.is_sent_away().await;
        }
    }
}
