// SPDX-License-Identifier: Apache-2.0
//! DingTalk through the public API: what is asked, what is made of the answers, and what is
//! remembered from one collection to the next.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::{collections::BTreeMap, io::Write, sync::Arc, time::Duration};

use conferencing_exporter::{
    collect::{Budget, Engine, Report, Selection},
    config::{
        Capacity, Conferences, Config, Identify, OwnSettings, Source, Tls, secret::SecretSource,
    },
    metrics::own::Own,
    model::{Measure, Observation, Reason},
    net::Failure,
    systems::{
        System, advice, catalogue,
        dingtalk::{Credentials, Dingtalk, Settings},
    },
};
use serde_json::{Value, json};
use simulator::{
    CLIENT_ID, CLIENT_SECRET, Conference, DINGTALK_APP_KEY, DINGTALK_APP_SECRET, DINGTALK_CORP_ID,
    DINGTALK_SUITE_KEY, DINGTALK_SUITE_SECRET, DINGTALK_SUITE_TICKET, Fault, Options, Presence,
    Simulator, Truth, UnknownIds, Vendor,
};

const TOKEN: &str = "access_token";
const LIST: &str = "orgConferences";
const QUERY: &str = "videoConferences/query";

fn secret(text: &str) -> SecretSource {
    SecretSource::Literal(text.to_owned().into())
}

fn internal() -> Credentials {
    Credentials::Internal {
        app_key: DINGTALK_APP_KEY.to_owned(),
        app_secret: secret(DINGTALK_APP_SECRET),
    }
}

fn unified() -> Credentials {
    Credentials::Unified {
        corp_id: DINGTALK_CORP_ID.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: secret(CLIENT_SECRET),
    }
}

fn third_party() -> Credentials {
    Credentials::ThirdParty {
        suite_key: DINGTALK_SUITE_KEY.to_owned(),
        suite_secret: secret(DINGTALK_SUITE_SECRET),
        auth_corp_id: DINGTALK_CORP_ID.to_owned(),
        suite_ticket: secret(DINGTALK_SUITE_TICKET),
    }
}

fn settings() -> Settings {
    Settings {
        login: internal(),
        discover: true,
        conference_ids: Vec::new(),
        conference_ids_file: None,
        batch_size: 50,
    }
}

/// A simulated organisation and an engine with one source for it.
struct Bench {
    simulator: Simulator,
    engine: Engine,
}

impl Bench {
    async fn new(settings: Settings) -> Self {
        Self::shown(settings, Identify::Hash).await
    }

    async fn shown(settings: Settings, identify: Identify) -> Self {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        let bench = Self { simulator, engine: Engine::new(Own::new().unwrap(), catalogue()) };
        bench.apply(settings, identify).await;
        bench
    }

    async fn apply(&self, settings: Settings, identify: Identify) {
        let source = Source {
            name: "org".to_owned(),
            profile: Dingtalk::PROFILE,
            base_url: self.simulator.base_url(Vendor::Dingtalk).parse().unwrap(),
            api_path: String::new(),
            labels: BTreeMap::new(),
            timeout: Duration::from_secs(30),
            min_interval: Duration::ZERO,
            max_concurrency: 4,
            max_response_bytes: 8 << 20,
            tls: Tls::default(),
            proxy_url: None,
            capacity: Capacity::default(),
            conferences: Conferences { enabled: true, limit: 1_000, identify },
            settings: OwnSettings::new("demo", settings),
        };
        self.engine.apply(Config { sources: vec![source] }).unwrap();
    }

    async fn report(&self) -> Report {
        let sources = self.engine.select(Selection::All).unwrap();
        self.engine.collect(&sources, Budget::default()).await.pop().unwrap()
    }

    async fn observe(&self) -> Observation {
        match self.report().await.outcome {
            Ok(snapshot) => snapshot.observation.clone(),
            Err(failure) => panic!("{failure}"),
        }
    }

    async fn fail(&self) -> Failure {
        self.report().await.outcome.map(drop).expect_err("a failure")
    }

    fn truth(&self) -> Truth {
        self.simulator.truth(Vendor::Dingtalk, "")
    }

    fn inject(&self, call: &str, fault: Fault) {
        self.simulator.inject(Vendor::Dingtalk, "", Some(call), fault, Some(1));
    }

    /// Replaces the meetings.
    fn hold(&self, conferences: Vec<Conference>) {
        self.simulator
            .edit(Vendor::Dingtalk, "", |population| population.conferences = conferences);
    }

    /// What was asked since the last time: how often each call, and the ids of each query.
    fn asked(&self) -> Asked {
        let requests = self.simulator.requests(Vendor::Dingtalk, "");
        self.simulator.clear_requests();
        assert!(requests.iter().all(|request| !request.forbidden), "a call nobody may make");
        let count = |call| requests.iter().filter(|r| r.call == call).count();
        let ids = |body: &str| -> Vec<String> {
            let body: Value = serde_json::from_str(body).unwrap();
            serde_json::from_value(body["conferenceIdList"].clone()).unwrap()
        };
        Asked {
            tokens: count(TOKEN),
            lists: count(LIST),
            queries: requests
                .iter()
                .filter(|request| request.call == QUERY)
                .map(|request| ids(&request.body))
                .collect(),
        }
    }

    fn errors(&self) -> Vec<(Reason, u64)> {
        let source = Arc::clone(&self.engine.sources()[0]);
        source.meters.errors().filter(|(_, count)| *count > 0).collect()
    }

    fn logins(&self) -> (u64, u64) {
        let source = Arc::clone(&self.engine.sources()[0]);
        (source.meters.logins.get(), source.meters.login_failures.get())
    }
}

struct Asked {
    tokens: usize,
    lists: usize,
    queries: Vec<Vec<String>>,
}

impl Asked {
    fn is_nothing(&self) -> bool {
        (self.tokens, self.lists, self.queries.len()) == (0, 0, 0)
    }
}

/// Lets time pass without waiting for it.
async fn pass(span: Duration) {
    tokio::time::pause();
    tokio::time::advance(span).await;
    tokio::time::resume();
}

fn assert_true(observation: &Observation, truth: &Truth) {
    for (measure, value) in [
        (Measure::ConferencesActive, truth.conferences_active),
        (Measure::ParticipantsJoined, truth.participants_joined),
        (Measure::ParticipantsJoining, truth.participants_joining),
        (Measure::ParticipantsInvited, truth.participants_invited),
        (Measure::ParticipantsMuted, truth.participants_muted),
        (Measure::ParticipantsMuteReported, truth.participants_mute_reported),
        (Measure::ParticipantsCameraOn, truth.participants_camera_on),
        (Measure::LargestConferenceParticipants, truth.largest_conference_participants),
        (Measure::ConferencesAllMuted, truth.conferences_all_muted),
        (Measure::ConferencesScheduled, None),
        (Measure::ParticipantsWaiting, None),
        (Measure::Invitees, None),
        (Measure::ParticipantsHandRaised, None),
        (Measure::ParticipantsModerators, None),
        (Measure::ConferencesMuteOnJoin, None),
        (Measure::Rooms, None),
    ] {
        assert_eq!(observation.value(measure), value, "{measure:?}");
    }
}

fn meetings(count: usize) -> Vec<Conference> {
    (0..count)
        .map(|index| {
            Conference::new(&format!("65f0{index:020x}"), &format!("8{index:08}"), "Stand-up")
                .with(1 + index % 3, Presence::Joined)
        })
        .collect()
}

fn ended(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("dead{index:020x}")).collect()
}

#[tokio::test]
async fn three_ways_to_a_token() {
    let ways = [
        (
            internal(),
            "/v1.0/oauth2/accessToken",
            json!({ "appKey": DINGTALK_APP_KEY, "appSecret": DINGTALK_APP_SECRET }),
        ),
        (
            unified(),
            "/v1.0/oauth2/dingdemo/token",
            json!({
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "grant_type": "client_credentials",
            }),
        ),
        (
            third_party(),
            "/v1.0/oauth2/corpAccessToken",
            json!({
                "suiteKey": DINGTALK_SUITE_KEY,
                "suiteSecret": DINGTALK_SUITE_SECRET,
                "authCorpId": DINGTALK_CORP_ID,
                "suiteTicket": DINGTALK_SUITE_TICKET,
            }),
        ),
    ];
    for (login, path, body) in ways {
        let bench = Bench::new(Settings { login, ..settings() }).await;
        let truth = bench.truth();
        assert!(truth.participants_muted > Some(0) && truth.conferences_all_muted > Some(0));
        assert_true(&bench.observe().await, &truth);
        let requests = bench.simulator.requests(Vendor::Dingtalk, "");
        let [token, list, query] = &requests[..] else { panic!("{} requests", requests.len()) };
        assert_eq!((token.method.as_str(), token.path.as_str()), ("POST", path));
        assert_eq!(serde_json::from_str::<Value>(&token.body).unwrap(), body);
        assert_eq!(token.header("x-acs-dingtalk-access-token"), None);
        assert_eq!(list.method, "GET");
        assert_eq!(list.path, "/v1.0/conference/orgConferences");
        assert_eq!(list.query, [("maxResults".to_owned(), "100".to_owned())]);
        assert_eq!(list.body, "");
        assert_eq!(query.method, "POST");
        assert_eq!(query.path, "/v1.0/conference/videoConferences/query");
        assert_eq!(query.query, []);
        assert!(query.header("content-type").unwrap().starts_with("application/json"));
        assert!(query.header("x-acs-dingtalk-access-token").is_some_and(|t| !t.starts_with('"')));
        assert_eq!(query.header("authorization"), None);
    }
}

#[tokio::test]
async fn many_pages_and_batches_count_each_meeting_once() {
    let bench = Bench::new(Settings { batch_size: 40, ..settings() }).await;
    bench.hold(meetings(930));
    assert_true(&bench.observe().await, &bench.truth());
    let asked = bench.asked();
    assert_eq!(asked.lists, 10);
    assert_eq!(asked.queries.len(), 24);
    assert!(asked.queries.iter().all(|batch| batch.len() <= 40));
    let mut ids: Vec<_> = asked.queries.concat();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 930);

    for fault in [Fault::RepeatPages, Fault::DuplicateItems, Fault::LyingTotal(3), Fault::Bom] {
        bench.simulator.inject(Vendor::Dingtalk, "", Some(LIST), fault.clone(), Some(10));
        let active = bench.observe().await.value(Measure::ConferencesActive);
        let expected = if matches!(fault, Fault::RepeatPages) { 100 } else { 930 };
        assert_eq!(active, Some(expected), "{fault:?}");
        bench.simulator.clear_faults();
    }
    bench.inject(QUERY, Fault::DuplicateItems);
    assert_true(&bench.observe().await, &bench.truth());
    assert_eq!(bench.errors(), []);
}

#[tokio::test]
async fn nothing_is_asked_for_where_there_is_nothing() {
    let bench = Bench::new(settings()).await;
    bench.hold(Vec::new());
    let observation = bench.observe().await;
    assert_true(&observation, &bench.truth());
    assert_eq!(observation.value(Measure::ConferencesAllMuted), Some(0));
    let asked = bench.asked();
    assert_eq!((asked.lists, asked.queries.len()), (1, 0));
}

#[tokio::test]
async fn a_spoilt_batch_is_split_and_what_spoils_it_remembered() {
    let dead = ended(3);
    let bench = Bench::new(Settings { conference_ids: dead.clone(), ..settings() }).await;
    bench.hold(meetings(47));
    assert_true(&bench.observe().await, &bench.truth());
    let asked = bench.asked();
    assert_eq!(asked.queries[0].len(), 50);
    assert!(asked.queries.len() <= 1 + 2 * 3 * 6, "{} queries", asked.queries.len());

    assert_true(&bench.observe().await, &bench.truth());
    let asked = bench.asked();
    assert_eq!((asked.tokens, asked.lists), (0, 1));
    let [batch] = &asked.queries[..] else { panic!("{} queries", asked.queries.len()) };
    assert!(batch.len() == 47 && !batch.iter().any(|id| dead.contains(id)));
    assert_eq!(bench.errors(), [], "a meeting that has ended is no error");

    pass(Duration::from_secs(3_601)).await;
    bench.observe().await;
    assert_eq!(bench.asked().queries[0].len(), 50, "configured ids are tried again");

    // What was learnt survives a reload that leaves the login alone.
    let more = Settings { conference_ids: dead.clone(), batch_size: 20, ..settings() };
    bench.apply(more, Identify::Hash).await;
    bench.observe().await;
    let asked = bench.asked();
    assert_eq!((asked.tokens, asked.queries.len()), (0, 3));
}

#[tokio::test]
async fn a_listed_meeting_that_has_ended_is_left_alone_for_a_day() {
    let bench = Bench::new(settings()).await;
    bench.hold(meetings(1));
    bench.inject(QUERY, Fault::VendorError("resourceClose".to_owned()));
    let queries = async |active| {
        assert_eq!(bench.observe().await.value(Measure::ConferencesActive), Some(active));
        bench.asked().queries.len()
    };
    assert_eq!(queries(0).await, 1);
    assert_eq!(queries(0).await, 0);
    pass(Duration::from_secs(23 * 3_600)).await;
    assert_eq!(queries(0).await, 0);
    pass(Duration::from_secs(3_601)).await;
    assert_eq!(queries(1).await, 1);

    // One that is unknown may become known.
    bench.inject(QUERY, Fault::VendorError("roomNotFound".to_owned()));
    assert_eq!(queries(0).await, 1);
    assert_eq!(queries(0).await, 0);
    pass(Duration::from_secs(3_601)).await;
    assert_eq!(queries(1).await, 1);
}

/// A parameter error for what the vendor has just listed itself says nothing about the meetings.
#[tokio::test]
async fn nothing_but_refusals_of_listed_meetings_is_a_failure() {
    let codes = [("paramsError", Reason::Vendor), ("orgAccessForbidden", Reason::Forbidden)];
    // With 33, each is asked for alone in the end; with 120 there are too many for that.
    for (count, queries) in [(1, [1, 1]), (5, [9, 1]), (33, [65, 1]), (120, [67, 3])] {
        for (code, reason) in codes {
            let bench = Bench::new(settings()).await;
            bench.hold(meetings(count));
            let refused = || Fault::VendorError(code.to_owned());
            bench.simulator.inject(Vendor::Dingtalk, "", Some(QUERY), refused(), None);
            let fails = async || {
                let failure = bench.fail().await;
                assert_eq!((failure.reason(), failure.code()), (reason, Some(code)));
                bench.asked().queries.len()
            };
            assert_eq!([fails().await, fails().await], queries, "{code}, {count} meetings");
            assert_eq!(bench.errors(), [(reason, 2)], "not forgotten, not remembered");
            bench.simulator.clear_faults();
            assert_true(&bench.observe().await, &bench.truth());

            // Known to be answerable, they are looked into again; and after a while as well.
            bench.simulator.inject(Vendor::Dingtalk, "", Some(QUERY), refused(), None);
            bench.asked();
            assert_eq!([fails().await, fails().await], queries, "{code}, {count} meetings");
            pass(Duration::from_secs(3_601)).await;
            assert_eq!(fails().await, queries[0], "{code}, {count} meetings");
        }
    }

    // What is answered beside them tells that it is the ids after all.
    let refused = || Fault::VendorError("paramsError".to_owned());
    let bench = Bench::new(settings()).await;
    bench.hold(meetings(1));
    bench.inject(QUERY, refused());
    bench.fail().await;
    bench.hold(meetings(2));
    bench.simulator.inject(Vendor::Dingtalk, "", Some(QUERY), refused(), Some(2));
    bench.asked();
    for queries in [3, 1] {
        assert_eq!(bench.observe().await.value(Measure::ConferencesActive), Some(1));
        assert_eq!(bench.asked().queries.len(), queries);
    }

    // Where halves were asked for in vain a moment ago, that is found out after an hour only.
    let bench = Bench::new(settings()).await;
    bench.hold(meetings(2));
    bench.simulator.inject(Vendor::Dingtalk, "", Some(QUERY), refused(), Some(4));
    for queries in [3, 1] {
        bench.fail().await;
        assert_eq!(bench.asked().queries.len(), queries);
    }
    pass(Duration::from_secs(3_601)).await;
    bench.simulator.inject(Vendor::Dingtalk, "", Some(QUERY), refused(), Some(2));
    assert_eq!(bench.observe().await.value(Measure::ConferencesActive), Some(1));
    assert_eq!(bench.asked().queries.len(), 3);

    // What somebody configured may be wrong, or over.
    let watched = Settings { discover: false, conference_ids: ended(3), ..settings() };
    let bench = Bench::new(watched).await;
    bench.simulator.inject(Vendor::Dingtalk, "", Some(QUERY), refused(), None);
    assert_eq!(bench.observe().await.value(Measure::ConferencesActive), Some(0));
    assert_eq!(bench.errors(), []);
}

#[tokio::test]
async fn ids_left_out_or_ended_are_not_in_progress() {
    for unknown_ids in [UnknownIds::Omit, UnknownIds::Ended] {
        let bench = Bench::new(Settings { conference_ids: ended(5), ..settings() }).await;
        bench.simulator.edit(Vendor::Dingtalk, "", |population| {
            population.behaviour.unknown_ids = unknown_ids;
        });
        assert_true(&bench.observe().await, &bench.truth());
        assert_eq!(bench.asked().queries.len(), 1);
    }
}

#[tokio::test]
async fn too_many_spoilt_ids_fail_boundedly_and_get_further_each_time() {
    let bench = Bench::new(Settings { conference_ids: ended(120), ..settings() }).await;
    bench.hold(meetings(10));
    let mut failures = 0;
    loop {
        let report = bench.report().await;
        let queries = bench.asked().queries.len();
        assert!(queries <= 3 + 64, "{queries} queries");
        match report.outcome {
            Ok(snapshot) => {
                assert_true(&snapshot.observation, &bench.truth());
                break;
            }
            Err(failure) => {
                assert_eq!(failure.reason(), Reason::Vendor);
                assert_eq!(failure.code(), Some("resourceClose"));
                failures += 1;
            }
        }
        assert!(failures < 10, "no progress");
    }
    assert!(failures > 0);
    assert_eq!(bench.errors(), [(Reason::Vendor, failures)]);
}

#[tokio::test]
async fn a_batch_that_is_too_long_is_halved_once() {
    let bench = Bench::new(settings()).await;
    bench.hold(meetings(100));
    bench.simulator.edit(Vendor::Dingtalk, "", |population| {
        population.behaviour.batch_limit = Some(30);
    });
    assert_true(&bench.observe().await, &bench.truth());
    assert_eq!(bench.asked().queries.len(), 2 + 4);
    assert_true(&bench.observe().await, &bench.truth());
    assert_eq!(bench.asked().queries.len(), 4);
}

#[tokio::test]
async fn without_discovery_only_the_configured_meetings_are_asked_for() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let all = meetings(5);
    let bench = Bench::new(Settings {
        discover: false,
        conference_ids: vec![all[0].id.clone()],
        conference_ids_file: Some(file.path().to_owned()),
        ..settings()
    })
    .await;
    bench.hold(all.clone());
    let active = async || bench.observe().await.value(Measure::ConferencesActive);
    assert_eq!(active().await, Some(1));

    // The file is read each time; an id of both places is asked for once.
    writeln!(file, "# board\n{}\n\n  {} # sales", all[0].id, all[1].id).unwrap();
    assert_eq!(active().await, Some(2));
    let asked = bench.asked();
    assert_eq!(asked.lists, 0);
    assert_eq!(asked.queries[1], [all[0].id.clone(), all[1].id.clone()]);

    writeln!(file, "hunter2!").unwrap();
    let failure = bench.fail().await;
    assert_eq!(failure.reason(), Reason::Vendor);
    let message = failure.to_string();
    assert!(message.ends_with("line 5 is not a conference id"), "{message}");
    assert!(bench.asked().is_nothing());
    drop(file);
    assert!(bench.fail().await.to_string().starts_with("cannot read "));
    assert!(bench.asked().is_nothing());
    assert_eq!(bench.errors(), []);
}

#[tokio::test]
async fn throttling_answers_hold_requests_back_for_their_time() {
    let denied = |limit: &str| Fault::VendorError(format!("Forbidden.AccessDenied.{limit}"));
    let body = |json: Value| Fault::StatusJson(200, json.to_string());
    let page = Fault::Body(b"<html><script src='/_____tmd_____/punish'></script>".to_vec());
    for (fault, reason, seconds) in [
        (denied("QpsLimitForAppkeyAndApi"), Reason::RateLimited, 1),
        (denied("QpmLimitForAppkeyAndApi"), Reason::RateLimited, 60),
        (denied("ApiCountLimitForOrg"), Reason::Quota, 3_600),
        (Fault::VendorError("waterLimitError".to_owned()), Reason::RateLimited, 60),
        (Fault::VendorError("system.busy".to_owned()), Reason::RateLimited, 60),
        (Fault::RetryAfter { status: 429, value: "17".to_owned() }, Reason::RateLimited, 17),
        (body(json!({ "errcode": 90018 })), Reason::RateLimited, 1),
        (body(json!({ "errcode": 90020 })), Reason::Quota, 3_600),
        (body(json!({ "status": 1111, "wait": 5, "punish": "deny" })), Reason::RateLimited, 300),
        (Fault::StatusJson(403, r#"{"punish":"deny"}"#.to_owned()), Reason::RateLimited, 300),
        (page, Reason::RateLimited, 300),
    ] {
        for call in [TOKEN, LIST, QUERY] {
            let bench = Bench::new(settings()).await;
            bench.inject(call, fault.clone());
            assert_eq!(bench.fail().await.reason(), reason, "{fault:?}");
            bench.asked();
            assert_eq!(bench.errors(), [(reason, 1)], "{fault:?}");
            pass(Duration::from_millis(1_000 * seconds - 900)).await;
            let Failure::HeldBack { reason: held, .. } = bench.fail().await else {
                panic!("{call} is asked after {fault:?}")
            };
            assert_eq!(held, reason);
            assert!(bench.asked().is_nothing());
            pass(Duration::from_secs(1)).await;
            assert_true(&bench.observe().await, &bench.truth());
            assert_eq!(bench.errors(), [(reason, 1)], "being held back is no error");
        }
    }
}

#[tokio::test]
async fn nothing_more_is_sent_after_a_throttling_answer() {
    let bench = Bench::new(Settings { batch_size: 1, ..settings() }).await;
    bench.hold(meetings(100));
    let throttled = Fault::VendorError("Forbidden.AccessDenied.QpsLimitForApi".to_owned());
    bench.simulator.inject(Vendor::Dingtalk, "", Some(QUERY), throttled, None);
    assert_eq!(bench.fail().await.reason(), Reason::RateLimited);
    let queries = bench.asked().queries.len();
    assert!(queries <= 8, "{queries} of 100 queries, 4 at once");
}

#[tokio::test]
async fn an_address_that_is_not_allowed_does_not_log_in_for_ten_minutes() {
    let bench = Bench::new(settings()).await;
    let denied = "Forbidden.AccessDenied.IpNotInWhiteList";
    bench.inject(TOKEN, Fault::VendorError(denied.to_owned()));
    assert_eq!(bench.fail().await.reason(), Reason::Forbidden);
    bench.asked();
    pass(Duration::from_secs(599)).await;
    assert!(matches!(bench.fail().await, Failure::HeldBack { .. }));
    assert!(bench.asked().is_nothing());
    pass(Duration::from_secs(2)).await;
    assert_true(&bench.observe().await, &bench.truth());
}

/// What every system can do wrong is in `faults.rs`.
#[tokio::test]
async fn failures_have_their_reasons() {
    let code = |code: &str| Fault::VendorError(code.to_owned());
    for (call, fault, reason) in [
        (LIST, code("Forbidden.AccessDenied.AccessTokenPermissionDenied"), Reason::Forbidden),
        (LIST, code("Forbidden.AccessDenied.IpNotInWhiteList"), Reason::Forbidden),
        (TOKEN, code("Forbidden.AccessDenied.IpNotInWhiteList"), Reason::Forbidden),
        (QUERY, code("noPermission"), Reason::Forbidden),
        (QUERY, code("permissionError"), Reason::Forbidden),
        (QUERY, code("systemError"), Reason::Vendor),
        (LIST, code("paramError"), Reason::Vendor),
        (
            LIST,
            Fault::StatusJson(200, r#"{"errcode":404,"errmsg":"m"}"#.to_owned()),
            Reason::Vendor,
        ),
        (
            TOKEN,
            Fault::StatusJson(200, r#"{"errcode":404,"errmsg":"m"}"#.to_owned()),
            Reason::Vendor,
        ),
        (QUERY, Fault::StatusJson(200, r#"{"state":1}"#.to_owned()), Reason::Decode),
        (QUERY, Fault::HugeNumbers, Reason::Decode),
        (QUERY, Fault::NegativeNumbers, Reason::Decode),
        (LIST, Fault::NegativeNumbers, Reason::Decode),
        (TOKEN, code("unknownError"), Reason::Http5xx),
        (LIST, Fault::Status(418), Reason::Http4xx),
        (LIST, Fault::VendorErrorStatus(400, "somethingNew".to_owned()), Reason::Http4xx),
    ] {
        let bench = Bench::new(settings()).await;
        bench.inject(call, fault.clone());
        let failure = bench.fail().await;
        assert_eq!(failure.reason(), reason, "{call} {fault:?}");
        assert_eq!(bench.errors(), [(reason, 1)], "{call} {fault:?}");
        if call != TOKEN {
            assert_true(&bench.observe().await, &bench.truth());
        }
    }
}

/// To scrape less often would not help an organisation with more meetings than 20 queries hold.
#[tokio::test]
async fn the_limit_of_calls_a_second_is_about_the_queries_of_one_collection() {
    let bench = Bench::new(settings()).await;
    let limit = "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi".to_owned();
    bench.inject(QUERY, Fault::VendorError(limit));
    let told = advice(Dingtalk::PROFILE, &bench.fail().await);
    assert!(told.contains("batch_size"), "{told}");
}

/// A wrong corporation shows as trouble at the vendor, which would pass by itself.
#[tokio::test]
async fn an_unknown_corporation_is_named_as_what_to_look_at() {
    let login = Credentials::Unified {
        corp_id: "dingother".to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: secret(CLIENT_SECRET),
    };
    let bench = Bench::new(Settings { login, ..settings() }).await;
    let failure = bench.fail().await;
    assert_eq!(failure.reason(), Reason::Http5xx);
    assert_eq!(failure.code(), Some("unknownError"));
    assert!(advice(Dingtalk::PROFILE, &failure).contains("corp_id"));
}

#[tokio::test]
async fn one_token_serves_a_hundred_collections_and_is_renewed_in_time() {
    let bench = Bench::new(settings()).await;
    for _ in 0..100 {
        bench.observe().await;
    }
    assert_eq!(bench.asked().tokens, 1);
    pass(Duration::from_secs(7_200 - 300 + 1)).await;
    bench.observe().await;
    assert_eq!(bench.asked().tokens, 1);
    assert_eq!(bench.logins(), (2, 0));
    assert_eq!(bench.errors(), []);
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_and_the_call_repeated() {
    for login in [internal(), unified(), third_party()] {
        let bench = Bench::new(Settings { login, ..settings() }).await;
        bench.observe().await;
        bench.simulator.expire_tokens(Vendor::Dingtalk, "");
        bench.asked();
        assert_true(&bench.observe().await, &bench.truth());
        let asked = bench.asked();
        assert_eq!((asked.tokens, asked.lists, asked.queries.len()), (1, 2, 1));
        assert_eq!(bench.errors(), [(Reason::Auth, 1)]);

        let refused = Fault::VendorError("InvalidAuthentication".to_owned());
        bench.simulator.inject(Vendor::Dingtalk, "", Some(LIST), refused, None);
        assert_eq!(bench.fail().await.reason(), Reason::Auth);
        let asked = bench.asked();
        assert_eq!((asked.tokens, asked.lists), (1, 2), "once a collection");
        // No use in asking for yet another token at once.
        assert_eq!(bench.fail().await.reason(), Reason::Auth);
        assert!(bench.asked().is_nothing());
    }
}

#[tokio::test]
async fn a_refused_login_is_not_repeated_at_once() {
    let wrong =
        Credentials::Internal { app_key: DINGTALK_APP_KEY.to_owned(), app_secret: secret("wrong") };
    let bench = Bench::new(Settings { login: wrong, ..settings() }).await;
    assert_eq!(bench.fail().await.code(), Some("invalidClientIdOrSecret"));
    assert_eq!(bench.asked().tokens, 1);
    assert_eq!(bench.fail().await.reason(), Reason::Auth);
    assert!(bench.asked().is_nothing());
    assert_eq!((bench.logins(), bench.errors()), ((1, 1), vec![(Reason::Auth, 1)]));
    bench.apply(settings(), Identify::Hash).await;
    assert_true(&bench.observe().await, &bench.truth());
}

#[tokio::test]
async fn a_new_ticket_ends_the_hold_off() {
    let mut ticket = tempfile::NamedTempFile::new().unwrap();
    write!(ticket, "old").unwrap();
    let login = Credentials::ThirdParty {
        suite_key: DINGTALK_SUITE_KEY.to_owned(),
        suite_secret: secret(DINGTALK_SUITE_SECRET),
        auth_corp_id: DINGTALK_CORP_ID.to_owned(),
        suite_ticket: SecretSource::File(ticket.path().to_owned()),
    };
    let bench = Bench::new(Settings { login, ..settings() }).await;
    assert_eq!(bench.fail().await.code(), Some("invalidSuiteTicket"));
    assert!(matches!(bench.fail().await, Failure::HeldBack { .. }));
    std::fs::write(ticket.path(), DINGTALK_SUITE_TICKET).unwrap();
    assert_true(&bench.observe().await, &bench.truth());
}

#[tokio::test]
async fn rows_carry_what_the_configuration_asks_for() {
    for identify in [Identify::Hash, Identify::Number, Identify::Name] {
        let bench = Bench::shown(settings(), identify).await;
        let truth = bench.truth();
        let report = bench.report().await;
        let rows = report.outcome.unwrap().rows.clone().unwrap().shown;
        assert_eq!(rows.len(), truth.conferences.len());
        for (row, meeting) in rows.iter().zip(&truth.conferences) {
            assert_eq!(row.participants, Some(meeting.participants));
            assert_eq!(row.muted, meeting.muted);
            assert_eq!(row.started_at, meeting.start_unix);
            match identify {
                Identify::Hash => assert_eq!(row.label.len(), 16),
                Identify::Number => assert_eq!(row.label, meeting.number),
                Identify::Name => assert!(row.label.starts_with(&meeting.name), "{}", row.label),
            }
        }
    }
}

#[tokio::test]
async fn an_idle_organisation_may_leave_its_lists_out() {
    let bench = Bench::new(settings()).await;
    let answer = |call, body: &str| bench.inject(call, Fault::Body(body.as_bytes().to_vec()));
    for idle in [
        "{}",
        r#"{"hasMore":false,"totalCount":0,"nextToken":""}"#,
        r#"{"requestId":"r","success":true,"errcode":"0","errmsg":"ok"}"#,
        r#"{"onGoingConfList":null}"#,
        r#"{"onGoingConfList":""}"#,
    ] {
        answer(LIST, idle);
        let active = bench.observe().await.value(Measure::ConferencesActive);
        assert_eq!(active, Some(0), "{idle}");
    }
    for idle in ["{}", r#"{"infos":null}"#, r#"{"infos":""}"#] {
        answer(QUERY, idle);
        let active = bench.observe().await.value(Measure::ConferencesActive);
        assert_eq!(active, Some(0), "{idle}");
    }
    assert_eq!(bench.errors(), []);
    bench.simulator.clear_faults();
    for (call, other, reason) in [
        (LIST, r#"{"totalCount":2,"hasMore":false}"#, Reason::Decode),
        (LIST, r#"{"success":false}"#, Reason::Decode),
        (LIST, r#"{"code":"systemError","message":"m"}"#, Reason::Vendor),
        (QUERY, r#"{"error":"maintenance"}"#, Reason::Decode),
        (QUERY, r#"{"errcode":33012,"errmsg":"m"}"#, Reason::Vendor),
    ] {
        answer(call, other);
        assert_eq!(bench.fail().await.reason(), reason, "{other}");
        bench.simulator.clear_faults();
    }
}

#[tokio::test]
async fn a_page_that_promises_no_more_is_the_last() {
    let bench = Bench::new(settings()).await;
    let id = bench.simulator.population(Vendor::Dingtalk, "").conferences[0].id.clone();
    let page = format!(r#"{{"onGoingConfList":[{{"conferenceId":"{id}"}}],"nextToken":"7"}}"#);
    bench.simulator.inject(Vendor::Dingtalk, "", Some(LIST), Fault::Body(page.into()), None);
    assert_eq!(bench.observe().await.value(Measure::ConferencesActive), Some(1));
    assert_eq!(bench.asked().lists, 1, "calls are metered");
}
