// SPDX-License-Identifier: Apache-2.0
//! A small invented system that speaks lines over TCP, added at run time: all a new system needs, and every fault that
//! makes sense without HTTP.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "common/wait.rs"]
mod wait;

use simulator::{
    Answer, Codes, Conference, Conversation, Description, Fault, Instance, Message, Options,
    Population, Presence, Protocol, Registry, Rng, SimulatedSystem, Simulator, TextSystem,
    TokenKind, Truth, Vendor, populate,
};
use std::io;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wait::{soon, until};

const SECRET: &str = "invented-secret";
const BANNER: &str = "INVENTED/1\n";
const DESCRIPTION: Description = Description {
    name: "invented",
    calls: &["login", "list", "quit"],
    logins: &["login"],
    with_token: &["list"],
    credentials: &[&[("secret", SECRET)]],
    codes: Codes {
        token_refused: "not logged in",
        login_refused: "wrong secret",
        locked_out: None,
        throttled: None,
    },
};
const INVENTED: Vendor = Vendor::new(&DESCRIPTION);

/// Says `INVENTED/1`, takes `login SECRET`, `list` and `quit`, and answers `OK`, `ERR WHY`, or a line for each
/// conference and then `END`.
struct Invented;

impl SimulatedSystem for Invented {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn protocol(&self) -> Protocol {
        Protocol::Text(&Self)
    }

    fn populate(&self, population: &mut Population, random: &mut Rng, now: i64) {
        for size in [5, 2] {
            let number = random.digits("40", 2);
            let mut conference = populate::conference(random, &number, &number, now);
            populate::fill(&mut conference, random, size, Presence::Joined);
            population.conferences.push(conference);
        }
    }

    fn truth(&self, population: &Population) -> Truth {
        let mut truth = Truth::default();
        truth.count_live(&population.conferences.iter().collect::<Vec<_>>());
        truth
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned()]
    }
}

impl TextSystem for Invented {
    fn connect(&self, _instance: &mut Instance) -> Box<dyn Conversation> {
        Box::new(Lines { token: None })
    }
}

/// One connection, logged in or not.
struct Lines {
    token: Option<String>,
}

impl Conversation for Lines {
    fn greeting(&mut self, _instance: &mut Instance) -> Option<Answer> {
        Some(Answer::bytes(BANNER))
    }

    fn message_end(&self, received: &[u8]) -> Option<usize> {
        received.iter().position(|byte| *byte == b'\n').map(|at| at + 1)
    }

    fn name(&self, message: &Message) -> Option<&'static str> {
        let word = message.text.split_whitespace().next()?;
        DESCRIPTION.calls.iter().copied().find(|call| *call == word)
    }

    fn answer(
        &mut self,
        instance: &mut Instance,
        name: Option<&'static str>,
        message: &Message,
    ) -> Answer {
        match (name, &self.token) {
            (Some("login"), _) if message.text.trim_end() == format!("login {SECRET}") => {
                let life = instance.token_life(Duration::from_secs(3600));
                self.token = Some(instance.sessions.issue(TokenKind::Access, life, message.now));
                Answer::bytes("OK\n")
            }
            (Some("login"), _) => self.failure("wrong secret", message).then_hang_up(),
            (Some("list"), Some(_)) => {
                let line = |c: &Conference| format!("{} {}\n", c.number, c.joined());
                let lines: String = instance.population.conferences.iter().map(line).collect();
                Answer::bytes(lines + "END\n")
            }
            (Some("list"), None) => self.failure("not logged in", message),
            (Some("quit"), _) => Answer::bytes("OK\n").then_hang_up(),
            _ => self.failure("no such command", message),
        }
    }

    fn failure(&self, code: &str, _message: &Message) -> Answer {
        Answer::bytes(format!("ERR {code}\n"))
    }

    fn closed(&mut self, instance: &mut Instance) {
        if let Some(token) = &self.token {
            instance.sessions.revoke(token);
        }
    }
}

async fn start() -> Simulator {
    let registry = Registry::default().with(&Invented);
    Simulator::start(Options { registry, ..Options::default() }).await.unwrap()
}

struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(simulator: &Simulator, instance: &str) -> Self {
        let url = simulator.instance_url(INVENTED, instance);
        let stream = TcpStream::connect(url.strip_prefix("tcp://").unwrap()).await.unwrap();
        Self(BufReader::new(stream))
    }

    async fn greeted(simulator: &Simulator, instance: &str) -> Self {
        let mut client = Self::connect(simulator, instance).await;
        assert_eq!(client.line().await, BANNER);
        client
    }

    async fn logged_in(simulator: &Simulator, instance: &str) -> Self {
        let mut client = Self::greeted(simulator, instance).await;
        assert_eq!(client.ask(&format!("login {SECRET}\n")).await, "OK\n");
        client
    }

    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        soon(self.0.read_line(&mut line)).await.unwrap();
        line
    }

    async fn ask(&mut self, text: &str) -> String {
        self.send(text).await;
        self.line().await
    }

    /// Everything up to the end of the connection.
    async fn rest(&mut self) -> io::Result<String> {
        let mut rest = Vec::new();
        soon(self.0.read_to_end(&mut rest)).await?;
        Ok(String::from_utf8(rest).unwrap())
    }

    /// The answer to `list`: how many are in each conference.
    async fn list(&mut self) -> Vec<u64> {
        self.send("list\n").await;
        let mut sizes = Vec::new();
        loop {
            match self.line().await.trim_end() {
                "END" => return sizes,
                line => sizes.push(line.split_once(' ').unwrap().1.parse().unwrap()),
            }
        }
    }
}

/// Waits until the simulator counts so many live tokens.
async fn tokens(simulator: &Simulator, instance: &str, wanted: usize) {
    let look = || simulator.live_tokens(INVENTED, instance);
    until(&format!("{wanted} live tokens"), look, |live| *live == wanted).await;
}

#[tokio::test]
async fn it_is_asked_and_its_truth_is_what_it_says() {
    let simulator = start().await;
    let mut client = Client::logged_in(&simulator, "").await;
    let sizes = client.list().await;
    let truth = simulator.truth(INVENTED, "");
    assert_eq!(truth.conferences_active, Some(sizes.len() as u64));
    assert_eq!(truth.participants_joined, Some(sizes.iter().sum()));
    assert_eq!(truth.largest_conference_participants, Some(5));
    assert_eq!(simulator.live_tokens(INVENTED, ""), 1);
    assert_eq!(simulator.open_connections(), 1);
    assert_eq!(client.ask("shutdown\n").await, "ERR no such command\n");
    client.send("quit\n").await;
    assert_eq!(client.rest().await.unwrap(), "OK\n");
    tokens(&simulator, "", 0).await;

    let asked = simulator.requests(INVENTED, "");
    let calls: Vec<_> = asked.iter().map(|r| (r.call, r.forbidden, r.status)).collect();
    let right = [("login", false, 200), ("list", false, 200)];
    assert_eq!(calls, [right[0], right[1], ("other", true, 200), ("quit", false, 200)]);
    assert_eq!(asked[1].body, "list\n");
    assert!(simulator.canaries().contains(&SECRET.to_owned()));
}

#[tokio::test]
async fn each_connection_logs_in_by_itself() {
    let simulator = start().await;
    let first = Client::logged_in(&simulator, "").await;
    let mut second = Client::greeted(&simulator, "").await;
    assert_eq!(second.ask("list\n").await, "ERR not logged in\n");
    second.send("login wrong\n").await;
    assert_eq!(second.rest().await.unwrap(), "ERR wrong secret\n");
    tokens(&simulator, "", 1).await;
    drop(first);
    tokens(&simulator, "", 0).await;
}

#[tokio::test]
async fn messages_come_in_pieces_and_together() {
    let simulator = start().await;
    let mut client = Client::greeted(&simulator, "").await;
    client.send("login ").await;
    client.0.flush().await.unwrap();
    tokio::task::yield_now().await;
    client.send(&format!("{SECRET}\nquit\n")).await;
    assert_eq!(client.rest().await.unwrap(), "OK\nOK\n");
}

#[tokio::test]
async fn instances_have_ports_of_their_own_and_restart_alone() {
    let simulator = start().await;
    assert_eq!(simulator.instance_url(INVENTED, "a"), simulator.instance_url(INVENTED, "a"));
    let mut a = Client::logged_in(&simulator, "a").await;
    let mut b = Client::logged_in(&simulator, "b").await;
    simulator.edit(INVENTED, "b", |population| population.conferences.clear());
    assert_eq!((a.list().await, b.list().await), (vec![5, 2], vec![]));
    simulator.restart(INVENTED, "a");
    assert_eq!(a.rest().await.unwrap(), "", "the connection has ended");
    assert_eq!(simulator.live_tokens(INVENTED, "a"), 0);
    assert_eq!(b.list().await, [0_u64; 0]);
    Client::logged_in(&simulator, "a").await;
    // A system beside it speaks HTTP as ever.
    let system = reqwest::get(simulator.base_url(Vendor::Dingtalk)).await.unwrap();
    assert_eq!(system.status().as_u16(), 200);
    drop(simulator);
    assert_eq!(b.rest().await.unwrap(), "");
}

/// A client that is logged in and gets this fault for its next `list`.
async fn with(fault: Fault) -> (Simulator, Client) {
    let simulator = start().await;
    simulator.inject(INVENTED, "", Some("list"), fault, Some(1));
    let mut client = Client::logged_in(&simulator, "").await;
    client.send("list\n").await;
    (simulator, client)
}

#[tokio::test]
async fn faults_of_the_connection() {
    let whole = "40NN 5\n40NN 2\nEND\n".len();
    let (_simulator, mut client) = with(Fault::Truncate).await;
    assert_eq!(client.rest().await.unwrap().len(), whole / 2);
    let (_simulator, mut client) = with(Fault::ResetInsideBody).await;
    assert_eq!(client.rest().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let (simulator, mut client) = with(Fault::CloseBeforeAnswer).await;
    assert_eq!(client.rest().await.unwrap(), "");
    assert_eq!(simulator.requests(INVENTED, "")[1].status, 0);
    let (_simulator, mut client) = with(Fault::Endless).await;
    let mut much = vec![0; 1_000_000];
    soon(client.0.read_exact(&mut much)).await.unwrap();
}

#[tokio::test]
async fn faults_of_time() {
    let short = Duration::from_millis(100);
    let (simulator, mut client) = with(Fault::Hang).await;
    assert!(timeout(short, client.0.read_u8()).await.is_err());
    drop(client);
    // The client has left, and that is seen here although nothing is being sent.
    tokens(&simulator, "", 0).await;
    let (_simulator, mut client) = with(Fault::Drip).await;
    let begun = Instant::now();
    soon(client.0.read_u8()).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(900), "the first byte comes after a second");
    assert!(timeout(short, client.0.read_u8()).await.is_err());
    for fault in [Fault::Delay(short), Fault::JudgeLater(short)] {
        let begun = Instant::now();
        let (_simulator, mut client) = with(fault).await;
        assert!(client.line().await.ends_with(" 5\n"));
        assert!(begun.elapsed() >= short);
    }
}

#[tokio::test]
async fn faults_of_the_text() {
    let (_simulator, mut client) = with(Fault::Html).await;
    assert!(soon(client.0.read_u8()).await.is_ok_and(|byte| byte == b'<'));
    let (_simulator, mut client) = with(Fault::Body(b"what\n".to_vec())).await;
    assert_eq!(client.line().await, "what\n");
    let (_simulator, mut client) = with(Fault::VendorError("out of order".to_owned())).await;
    assert_eq!(client.line().await, "ERR out of order\n");
    // The connection and the login in it are still good.
    assert_eq!(client.list().await, [5, 2]);
    let (_simulator, mut client) = with(Fault::Empty).await;
    assert_eq!(client.list().await, [5, 2], "only the second question is answered");

    let simulator = start().await;
    simulator.inject(INVENTED, "", None, Fault::TokenRefused, Some(1));
    let mut client = Client::logged_in(&simulator, "").await;
    assert_eq!(client.ask("list\n").await, "ERR not logged in\n");
    assert_eq!(client.list().await, [5, 2]);
}

#[tokio::test]
async fn the_greeting_is_another_services_only_when_asked_for() {
    let simulator = start().await;
    let banner = Fault::Body(b"220 mail.example.com ESMTP\r\n".to_vec());
    simulator.inject(INVENTED, "", Some("greeting"), banner, Some(1));
    let mut client = Client::connect(&simulator, "").await;
    assert_eq!(client.line().await, "220 mail.example.com ESMTP\r\n");
    simulator.inject(INVENTED, "", None, Fault::VendorError("no".to_owned()), Some(1));
    let mut client = Client::greeted(&simulator, "").await;
    assert_eq!(client.ask("quit\n").await, "ERR no\n");
}

#[tokio::test]
#[should_panic(expected = "does not speak HTTP")]
async fn faults_of_http_are_refused() {
    start().await.inject(INVENTED, "", None, Fault::Status(500), None);
}

#[test]
#[should_panic(expected = "there is a system named invented already")]
fn a_name_is_given_once() {
    let _ = Registry::default().with(&Invented).with(&Invented);
}

#[tokio::test]
async fn the_control_port_knows_it() {
    let simulator = start().await;
    let text = async |path: &str| {
        let url = format!("{}{path}", simulator.control_url());
        reqwest::get(url).await.unwrap().text().await.unwrap()
    };
    assert!(text("/").await.contains(" invented\n"));
    let truth: serde_json::Value =
        serde_json::from_str(&text("/truth?vendor=invented").await).unwrap();
    assert_eq!(truth["participants_joined"], 7);
    let post = async |path: &str| {
        let url = format!("{}{path}", simulator.control_url());
        reqwest::Client::new().post(url).send().await.unwrap().status().as_u16()
    };
    let url = format!("{}/fault?vendor=invented&fault=status-500", simulator.control_url());
    let refused = reqwest::Client::new().post(url).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    let names = refused.text().await.unwrap();
    assert!(
        names.contains(": hang, drip, auth, token-refused,") && names.contains(" close,"),
        "{names}"
    );
    assert_eq!(post("/fault?vendor=invented&fault=close&call=list").await, 200);
    let mut client = Client::logged_in(&simulator, "").await;
    client.send("list\n").await;
    assert_eq!(client.rest().await.unwrap(), "");
    let mut client = Client::logged_in(&simulator, "").await;
    assert_eq!(post("/restart?vendor=invented").await, 200);
    assert_eq!(client.rest().await.unwrap(), "");
}
