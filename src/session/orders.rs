// SPDX-License-Identifier: Apache-2.0
//! Tests the real session layer with many orders of events: whatever callers, reloads and answers do,
//! no account is refused too often, no token is lost, and none is used after it was given back.
//!
//! The system is a model and the clock is paused, so that thousands of orders take seconds.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use proptest::prelude::*;
use tokio::{runtime::Runtime, task::JoinHandle, time::Instant};

use super::{Access, Grant, Login, Session};
use crate::{
    config::{self, Capacity, Conferences, Identify, OwnSettings, Profile, Tls, Transport},
    metrics::own::{Own, SourceMeters},
    model::{CallName, Reason},
    net::{Api, Call, Consequence, Deadline, Failure, Fault, client},
};
use hyper::StatusCode;
use secrecy::SecretString;

const LOGIN: CallName = CallName("login");
const DATA: CallName = CallName("conference/query");

/// The kind of system that the model is.
const PROFILE: Profile = Profile {
    name: "model",
    title: "Model",
    base_url: None,
    transport: Transport::Http { tls_port: None },
    usual_port: 80,
    api_path: "",
    min_interval: "0s",
    logins: &[],
    keys: &[],
    read: |_| None,
    calls: &[LOGIN, DATA],
    user_agent: None,
    advice: &[],
};

/// How long a token lives.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How long the system takes for a login, and how long a caller waits that gives up.
const LOGIN_TIME: Duration = Duration::from_secs(3);
const IMPATIENCE: Duration = Duration::from_secs(1);

/// What the system answers to logins from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accepted,
    Refused,
    LockedOut,
    /// A token that every call refuses.
    RefusedAtOnce,
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Good,
    RefusedAtOnce,
    /// Forgotten by the system, which says so (`is_certain`) or answers with an undocumented number.
    Lost {
        is_certain: bool,
    },
    GivenBack,
}

/// What the system has issued, refused and been asked wrongly, as a real one would know it.
struct Record {
    answer: Answer,
    /// Each with the time it was issued.
    tokens: Vec<(Standing, Instant)>,
    refused: Vec<Instant>,
    wrongs: Vec<String>,
}

#[derive(Clone)]
struct Scripted {
    record: Arc<Mutex<Record>>,
    secret: Arc<AtomicU8>,
    /// What a reload changes.
    configured: u8,
}

impl Record {
    fn issue(&mut self, standing: Standing) -> usize {
        self.tokens.push((standing, Instant::now()));
        self.tokens.len() - 1
    }
}

impl PartialEq for Scripted {
    fn eq(&self, other: &Self) -> bool {
        self.configured == other.configured
    }
}

impl Scripted {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap()
    }

    fn judge(&self) -> Result<usize, Fault> {
        let mut record = self.record();
        let answer = record.answer;
        let mut refused = |fault| {
            record.refused.push(Instant::now());
            Err(fault)
        };
        match answer {
            Answer::Refused => refused(Fault::new(Reason::Auth).then(Consequence::LoginRejected)),
            Answer::LockedOut => {
                let pause = Consequence::LockedOut(Duration::from_secs(60));
                refused(Fault::new(Reason::LockedOut).then(pause))
            }
            Answer::Broken => Err(Fault::new(Reason::Http5xx)),
            Answer::Accepted => Ok(record.issue(Standing::Good)),
            Answer::RefusedAtOnce => Ok(record.issue(Standing::RefusedAtOnce)),
        }
    }

    fn data(&self, token: usize) -> Result<(), Fault> {
        let mut record = self.record();
        match record.tokens[token].0 {
            Standing::Good => Ok(()),
            Standing::RefusedAtOnce => Err(Fault::new(Reason::Auth).then(Consequence::RenewToken)),
            Standing::Lost { is_certain: true } => {
                let fault = Fault::new(Reason::Auth).with_code("20004");
                Err(fault.then(Consequence::RenewToken))
            }
            Standing::Lost { is_certain: false } => {
                let fault = Fault::new(Reason::Vendor).with_code("10002");
                Err(fault.then(Consequence::DoubtToken))
            }
            Standing::GivenBack => {
                record.wrongs.push(format!("token {token} is used after its logout"));
                Ok(())
            }
        }
    }
}

impl Login for Scripted {
    type Token = usize;
    type Secrets = SecretString;

    async fn secrets(&self) -> Result<SecretString, Failure> {
        Ok(SecretString::from(self.secret.load(Ordering::Relaxed).to_string()))
    }

    async fn login(&self, api: &Api, _: &SecretString) -> Result<Grant<usize>, Failure> {
        // The system decides as soon as it is asked; its answer takes a while.
        let outcome = api.send(Call::post(LOGIN, "/"), |_| self.judge()).await;
        tokio::time::sleep(LOGIN_TIME).await;
        outcome.map(|token| Grant {
            token,
            renew_after: LIFETIME / 3,
            valid_for: LIFETIME,
            renewable_for: LIFETIME,
        })
    }

    async fn logout(&self, _: &Api, token: &usize) {
        let mut record = self.record();
        match record.tokens[*token].0 {
            Standing::GivenBack => {
                record.wrongs.push(format!("token {token} is given back twice"));
            }
            Standing::Good | Standing::RefusedAtOnce | Standing::Lost { .. } => {
                record.tokens[*token].0 = Standing::GivenBack;
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A scrape that waits for its result.
    Scrape,
    /// One that gives up while the login is under way.
    GiveUp,
    /// One that goes on while other things happen.
    Begin,
    /// The source has another name.
    Rename,
    /// The source is configured with another secret.
    Reconfigure,
    /// Another secret is in the file.
    NewSecret,
    /// The system no longer knows its tokens.
    Restart {
        is_certain: bool,
    },
    Answer(Answer),
    Wait(u64),
}

/// What is done to one source.
struct Run {
    api: Api,
    login: Scripted,
    session: Arc<Session<Scripted>>,
    under_way: Vec<JoinHandle<()>>,
    closing: Vec<JoinHandle<()>>,
}

impl Run {
    fn new(api: &Api) -> Self {
        let record =
            Record { answer: Answer::Refused, tokens: vec![], refused: vec![], wrongs: vec![] };
        let login = Scripted {
            record: Arc::new(Mutex::new(record)),
            secret: Arc::default(),
            configured: 0,
        };
        let session = Arc::new(Session::new(login.clone(), String::new()));
        Self { api: api.clone(), login, session, under_way: vec![], closing: vec![] }
    }

    /// Two calls, as a collection makes them.
    fn scrape(&self) -> JoinHandle<()> {
        let (session, login) = (Arc::clone(&self.session), self.login.clone());
        let api = self.api.until(Deadline::new(Instant::now() + Duration::from_secs(10)));
        let user = session.users().enter().expect("the session in use is not dropped");
        tokio::spawn(async move {
            let authorized = session.authorized(&api);
            let mut worked = true;
            for _ in 0..2 {
                let token = AtomicU8::new(0);
                let build = |issued: &usize| {
                    token.store(u8::try_from(*issued).expect("few tokens"), Ordering::Relaxed);
                    Call::get(DATA, "/")
                };
                let judge = |_: &_| login.data(token.load(Ordering::Relaxed).into());
                worked &= authorized.send(build, judge).await.is_ok();
            }
            drop(authorized);
            if worked {
                session.collection_succeeded();
            }
            drop(user);
        })
    }

    fn follow(&mut self, next: Arc<Session<Scripted>>) {
        let old = std::mem::replace(&mut self.session, next);
        let api = self.api.clone();
        self.closing.push(tokio::spawn(async move {
            old.users().drain().await;
            old.close(&api).await;
        }));
    }

    async fn happens(&mut self, event: Event) {
        match event {
            Event::Scrape => self.scrape().await.expect("no panic"),
            Event::GiveUp => {
                let scrape = self.scrape();
                tokio::time::sleep(IMPATIENCE).await;
                scrape.abort();
            }
            Event::Begin => {
                self.under_way.push(self.scrape());
                tokio::time::sleep(IMPATIENCE).await;
            }
            Event::Rename => {
                let renamed = Session::new(self.login.clone(), String::new());
                renamed.count_with(self.session.account());
                self.follow(Arc::new(renamed));
            }
            Event::Reconfigure => {
                self.login.configured += 1;
                let next = self.session.succeeded_by(self.login.clone(), String::new(), true);
                self.follow(next);
            }
            Event::NewSecret => {
                self.login.secret.fetch_add(1, Ordering::Relaxed);
            }
            Event::Restart { is_certain } => {
                for (standing, _) in &mut self.login.record().tokens {
                    if *standing == Standing::Good {
                        *standing = Standing::Lost { is_certain };
                    }
                }
            }
            Event::Answer(answer) => self.login.record().answer = answer,
            Event::Wait(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        }
    }

    /// When no scrape and no login is under way, one token is held at most.
    async fn look(&self) {
        tokio::task::yield_now().await;
        let mut all = self.under_way.iter().chain(&self.closing);
        let is_quiet = all.all(JoinHandle::is_finished) && self.session.tasks.is_empty();
        let mut record = self.login.record();
        let is_live = |(standing, issued): &&(Standing, Instant)| {
            matches!(standing, Standing::Good | Standing::RefusedAtOnce)
                && issued.elapsed() < LIFETIME
        };
        let live = record.tokens.iter().filter(is_live).count();
        if is_quiet && live > 1 {
            record.wrongs.push(format!("{live} tokens are held"));
        }
    }

    /// Lets all come to its end; what was wrong on the way.
    async fn end(self) -> Vec<String> {
        for scrape in self.under_way {
            // One that was not aborted must not have panicked.
            scrape.await.expect("no panic");
        }
        self.session.users().drain().await;
        self.session.close(&self.api).await;
        for closing in self.closing {
            closing.await.expect("no panic");
        }
        let mut record = self.login.record();
        let mut wrongs = std::mem::take(&mut record.wrongs);
        for three in record.refused.windows(3) {
            if three[2] - three[0] < Duration::from_secs(10 * 60) {
                wrongs.push(format!("three refused logins within {:?}", three[2] - three[0]));
            }
        }
        for (number, (standing, issued)) in record.tokens.iter().enumerate() {
            match standing {
                Standing::GivenBack | Standing::Lost { .. } => {}
                Standing::Good | Standing::RefusedAtOnce if issued.elapsed() >= LIFETIME => {}
                Standing::Good | Standing::RefusedAtOnce => {
                    wrongs.push(format!("token {number} is not given back"));
                }
            }
        }
        wrongs
    }
}

struct Bench {
    runtime: Runtime,
    api: Api,
}

impl Bench {
    fn new() -> Self {
        let source = config::Source {
            name: "a".to_owned(),
            profile: &PROFILE,
            base_url: "http://127.0.0.1:9".parse().unwrap(),
            api_path: String::new(),
            labels: BTreeMap::new(),
            timeout: Duration::from_secs(10),
            min_interval: Duration::ZERO,
            max_concurrency: 4,
            max_response_bytes: 1 << 20,
            tls: Tls::default(),
            proxy_url: None,
            capacity: Capacity::default(),
            conferences: Conferences { enabled: false, limit: 1, identify: Identify::Hash },
            settings: OwnSettings::new("account", ()),
        };
        let client = client::clients(std::slice::from_ref(&source)).remove(0);
        let own = Own::new().unwrap();
        let meters = SourceMeters::new(&own, PROFILE.name, PROFILE.calls).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let _entered = runtime.enter();
        let api = Api::new(&source, client, meters)
            .answered_by(Arc::new(|_| (StatusCode::OK, Vec::new())));
        drop(_entered);
        Self { runtime, api }
    }

    fn run(&self, events: &[Event]) -> Vec<String> {
        self.runtime.block_on(async {
            let mut run = Run::new(&self.api);
            for event in events {
                run.happens(*event).await;
                run.look().await;
            }
            run.end().await
        })
    }
}

/// Each order of so many of these events.
fn every_order(alphabet: &[Event], length: u32) {
    let bench = Bench::new();
    for order in 0..alphabet.len().pow(length) {
        let mut rest = order;
        let events: Vec<_> = (0..length)
            .map(|_| {
                let event = alphabet[rest % alphabet.len()];
                rest /= alphabet.len();
                event
            })
            .collect();
        let wrongs = bench.run(&events);
        assert!(wrongs.is_empty(), "{events:?}: {wrongs:?}");
    }
}

#[test]
fn every_order_of_callers_and_reloads_with_a_wrong_password() {
    let alphabet = [
        Event::Scrape,
        Event::GiveUp,
        Event::Begin,
        Event::Rename,
        Event::Reconfigure,
        Event::NewSecret,
        Event::Wait(60),
    ];
    every_order(&alphabet, 6);
}

#[test]
fn every_order_of_callers_reloads_and_answers() {
    let alphabet = [
        Event::Scrape,
        Event::GiveUp,
        Event::Begin,
        Event::Rename,
        Event::Reconfigure,
        Event::Restart { is_certain: true },
        Event::Restart { is_certain: false },
        Event::Answer(Answer::Accepted),
        Event::Answer(Answer::RefusedAtOnce),
        Event::Wait(601),
    ];
    every_order(&alphabet, 5);
}

fn event() -> impl Strategy<Value = Event> {
    let answer = prop_oneof![
        4 => Just(Answer::Accepted),
        4 => Just(Answer::Refused),
        1 => Just(Answer::LockedOut),
        2 => Just(Answer::RefusedAtOnce),
        1 => Just(Answer::Broken),
    ];
    prop_oneof![
        4 => Just(Event::Scrape),
        3 => Just(Event::GiveUp),
        3 => Just(Event::Begin),
        2 => Just(Event::Rename),
        2 => Just(Event::Reconfigure),
        1 => Just(Event::NewSecret),
        1 => any::<bool>().prop_map(|is_certain| Event::Restart { is_certain }),
        4 => answer.prop_map(Event::Answer),
        3 => (1..900_u64).prop_map(Event::Wait),
    ]
}

#[test]
fn long_orders_of_everything() {
    let bench = Bench::new();
    let settings = ProptestConfig {
        cases: 12_000,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(settings, |(events in prop::collection::vec(event(), 1..60))| {
        let wrongs = bench.run(&events);
        prop_assert!(wrongs.is_empty(), "{:?}", wrongs);
    });
}
