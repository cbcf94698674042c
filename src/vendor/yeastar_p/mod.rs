//! Yeastar P-Series, OpenAPI v1.0.
//!
//! Source: `help.yeastar.com`, P-Series developer guide: get-access-token,
//! query-scheduled-conference-list, query-ongoing-conferences,
//! query-information-of-a-scheduled-conference, error-code-and-error-message. Deletes are GETs in
//! this API and `conference/viewpassword` answers a PIN in clear: nothing but the calls below is
//! ever made.

mod login;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::try_join_all;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Deserialize;
use tokio::time::Instant;

use login::Login;

use super::{
    Dialogue,
    live::{Live, Presence, Setting, WAITING},
};
use crate::{
    api::{
        Answer, Api, Call, Consequence, Endpoint, Failure, Fault, Reason,
        lenient::{Flag, IsSet, List, Number, Text, present},
    },
    config::{self, Conferences},
    model::{Measure, MeasureSet, Observation, Sizes},
    session::{Access, Session, Visit},
};

const GET_TOKEN: Endpoint = Endpoint("get_token");
const REFRESH_TOKEN: Endpoint = Endpoint("refresh_token");
const DEL_TOKEN: Endpoint = Endpoint("del_token");
const LIST: Endpoint = Endpoint("conference/list");
const ONGOING: Endpoint = Endpoint("conference/query_ongoing_conference");
const GET: Endpoint = Endpoint("conference/get");
pub(super) const ENDPOINTS: &[Endpoint] =
    &[GET_TOKEN, REFRESH_TOKEN, DEL_TOKEN, LIST, ONGOING, GET];

/// How long the caller's address is blocked where the answer does not say, or says something that
/// cannot be meant: a block without end is shown as one that ends in 2099.
const LOCK_OUT: Duration = Duration::from_secs(15 * 60);

/// No block that ends is known to last longer.
const LONGEST_LOCK_OUT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a call that the firmware does not have is not tried again.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// More pages than any PBX has rooms for: the end of a list that never ends.
const MOST_PAGES: u32 = 10_000;

/// What one error code means on a call that carries a token.
fn query_fault(errcode: i64) -> Fault {
    let fault = match errcode {
        10004 => Fault::new(Reason::Auth).then(Consequence::RenewToken),
        10005 | 70084 | 70087 => Fault::new(Reason::Forbidden),
        70004 => Fault::new(Reason::LockedOut).then(Consequence::LockedOut(LOCK_OUT)),
        // No code is documented for a token that is not known, after a restart say.
        _ => Fault::new(Reason::Vendor).then(Consequence::DoubtToken),
    };
    fault.with_code(&errcode.to_string())
}

/// When the block of our address ends. Seen in answers with 70004; not in the vendor's table.
#[derive(Deserialize)]
struct Blocked {
    #[serde(default)]
    block_expire_time: Number,
}

/// The same fault, which waits for the end of the block that the answer tells.
fn until_unblocked(fault: Fault, answer: &Answer) -> Fault {
    if !matches!(fault.consequence, Consequence::LockedOut(_)) {
        return fault;
    }
    let end = answer.decode::<Blocked>().ok().and_then(|blocked| blocked.block_expire_time.0);
    let now = Timestamp::now().as_second();
    let pause = end
        .and_then(|end| u64::try_from(end - now).ok())
        .map(Duration::from_secs)
        .filter(|pause| !pause.is_zero() && *pause <= LONGEST_LOCK_OUT)
        .unwrap_or(LOCK_OUT);
    fault.then(Consequence::LockedOut(pause))
}

/// Whether the vendor's table of failures has the code. It was seen in parts only: the gaps count
/// as documented.
const fn is_documented(errcode: i64) -> bool {
    matches!(
        errcode,
        -2..=-1 | 1..=2 | 10_001..=10_009 | 40_001..=40_004 | 60_001..=60_101 | 70_004..=70_599
    )
}

/// The part all answers have.
trait Enveloped {
    fn errcode(&self) -> Option<i64>;
}

#[derive(Deserialize)]
struct Bare {
    errcode: Number,
}

impl Enveloped for Bare {
    fn errcode(&self) -> Option<i64> {
        self.errcode.0
    }
}

fn unwrap<'a, T: Deserialize<'a> + Enveloped>(
    answer: &'a Answer,
    fault: impl Fn(i64) -> Fault,
) -> Result<T, Fault> {
    let fault = |errcode| until_unblocked(fault(errcode), answer);
    if let Err(status) = answer.check_status() {
        return match answer.decode::<Bare>() {
            Ok(Bare { errcode: Number(Some(errcode)) }) if is_documented(errcode) => {
                Err(Answer::weigh(status, fault(errcode)))
            }
            Ok(_) | Err(_) => Err(status),
        };
    }
    let decoded = answer.decode::<T>()?;
    match decoded.errcode() {
        Some(0) => Ok(decoded),
        Some(errcode) => Err(fault(errcode)),
        None => Err(Fault::new(Reason::Decode)),
    }
}

/// One Yeastar P-Series.
pub struct YeastarP {
    session: Arc<Session<Login>>,
    page_size: u32,
    live: bool,
    room_details: Option<Duration>,
    conferences: Conferences,
    learnt: Arc<Learnt>,
}

/// What was found out about one PBX, and survives a reload that does not change which one and as
/// whom it is asked.
#[derive(Default)]
struct Learnt {
    no_live: Missing,
    no_details: Missing,
    details: Mutex<Option<Details>>,
}

/// A call that the firmware was found not to have. After an hour it is tried again: an update may
/// have brought it.
#[derive(Default)]
struct Missing(Mutex<Option<Instant>>);

impl Missing {
    fn is_known(&self) -> bool {
        let noted = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.is_some_and(|noted| noted.elapsed() < REMEMBERED)
    }

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// Room settings, asked for rarely: one call a room.
#[derive(Clone, Copy)]
struct Details {
    fetched: Instant,
    settings: RoomSettings,
}

#[derive(Clone, Copy, Default)]
struct RoomSettings {
    rooms: u64,
    wait_for_moderator: Setting,
    allow_invite: Setting,
    pin_protected: Setting,
}

const DETAILS: &[Measure] =
    &[Measure::RoomsWaitForModerator, Measure::RoomsAllowInvite, Measure::RoomsPinProtected];

#[derive(Deserialize)]
struct Page {
    errcode: Number,
    #[serde(default)]
    total_number: Number,
    #[serde(default, deserialize_with = "present")]
    data: Option<List<Room>>,
}

#[derive(Deserialize)]
struct Room {
    id: Number,
    #[serde(default, deserialize_with = "present")]
    moderator_list: Option<IsSet>,
}

#[derive(Deserialize)]
struct Detail {
    errcode: Number,
    data: Option<DetailData>,
}

#[derive(Deserialize)]
struct DetailData {
    enb_wait_moderator: Option<Flag>,
    allow_partic_invite: Option<Flag>,
    has_partic_password: Option<Flag>,
}

#[derive(Deserialize)]
struct Ongoing<'a> {
    errcode: Number,
    #[serde(borrow, default)]
    data: List<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    call_id: Text<'a>,
    #[serde(borrow, default)]
    conference_number: Text<'a>,
    #[serde(borrow, default)]
    conference_name: Text<'a>,
    #[serde(borrow)]
    members: List<Member<'a>>,
}

#[derive(Deserialize)]
struct Member<'a> {
    #[serde(borrow, default)]
    channel_id: Text<'a>,
    #[serde(default)]
    member_status: Presence,
}

/// One page of rooms.
struct RoomPage {
    /// Ids, each with whether the room has a moderator.
    rooms: Vec<(i64, Option<bool>)>,
    /// How many rooms there are on all pages, by the PBX's word.
    total: Option<i64>,
}

impl Page {
    fn rooms(self) -> Result<RoomPage, Fault> {
        let decode = Fault::new(Reason::Decode);
        let rooms = self.data.ok_or_else(|| decode.clone())?.0.into_iter().map(|room| {
            let id = room.id.0.ok_or_else(|| decode.clone())?;
            Ok((id, room.moderator_list.map(|moderators| moderators.0)))
        });
        Ok(RoomPage { rooms: rooms.collect::<Result<_, Fault>>()?, total: self.total_number.0 })
    }
}

impl Enveloped for Page {
    fn errcode(&self) -> Option<i64> {
        self.errcode.0
    }
}

impl Enveloped for Detail {
    fn errcode(&self) -> Option<i64> {
        self.errcode.0
    }
}

impl Enveloped for Ongoing<'_> {
    fn errcode(&self) -> Option<i64> {
        self.errcode.0
    }
}

impl Dialogue for YeastarP {
    type Settings = config::YeastarP;

    fn new(source: &config::Source, settings: &config::YeastarP) -> Self {
        let session = Arc::new(Session::new(Login::new(source, settings)));
        Self::with_session(source, settings, session, Arc::default())
    }

    fn succeeding(
        source: &config::Source,
        settings: &config::YeastarP,
        old: &Self,
        same_way: bool,
    ) -> Self {
        let session = old.session.succeeded_by(Login::new(source, settings), same_way);
        let learnt = if Arc::ptr_eq(&session, &old.session) {
            Arc::clone(&old.learnt)
        } else {
            Arc::default()
        };
        Self::with_session(source, settings, session, learnt)
    }

    fn configured(&self) -> MeasureSet {
        MeasureSet::of(&[Measure::Rooms, Measure::RoomsModerated])
            .with_if(self.live, Sizes::MEASURES)
            .with_if(self.live, WAITING)
            .with_if(self.room_details.is_some(), DETAILS)
    }

    async fn collect(&self, api: &Api) -> Result<Observation, Failure> {
        let visit = self.session.visit(api);
        let mut observation = Observation::new();
        let rooms = self.rooms(&visit, &mut observation).await?;
        if let Some(interval) = self.room_details
            && let Some(settings) = self.details(&visit, &rooms, interval).await?
        {
            settings.report(&mut observation);
        }
        if self.live
            && let Some(live) = self.ongoing(&visit).await?
        {
            observation.merge(live);
        }
        Ok(observation)
    }

    fn session(&self) -> Arc<dyn Access> {
        Arc::clone(&self.session) as Arc<dyn Access>
    }
}

impl YeastarP {
    fn with_session(
        source: &config::Source,
        settings: &config::YeastarP,
        session: Arc<Session<Login>>,
        learnt: Arc<Learnt>,
    ) -> Self {
        Self {
            session,
            page_size: settings.page_size,
            live: settings.live,
            room_details: settings.room_details,
            conferences: source.conferences,
            learnt,
        }
    }

    /// Lists the rooms page by page and returns their ids.
    async fn rooms(
        &self,
        visit: &Visit<'_, Login>,
        observation: &mut Observation,
    ) -> Result<Vec<i64>, Failure> {
        let mut ids = Vec::new();
        let mut seen = HashSet::new();
        let mut moderated = Setting::default();
        for page in 1..=MOST_PAGES {
            let answer = visit
                .send(
                    |token| {
                        Call::get(LIST, "/conference/list")
                            .query("page", page)
                            .query("page_size", self.page_size)
                            .query("sort_by", "number")
                            .query("order_by", "asc")
                            .query("access_token", token.access.expose_secret())
                    },
                    |answer| match unwrap::<Page>(answer, query_fault) {
                        Ok(page) => page.rooms().map(Some),
                        // "Data not found": there is no room.
                        Err(fault) if fault.code.as_deref() == Some("60001") => Ok(None),
                        Err(fault) => Err(fault),
                    },
                )
                .await?;
            let Some(RoomPage { rooms, total }) = answer else { break };
            let received = rooms.len();
            let before = ids.len();
            for (id, has_moderator) in rooms {
                if seen.insert(id) {
                    ids.push(id);
                    moderated.add(has_moderator);
                }
            }
            let short = received < self.page_size as usize;
            let complete = match total.and_then(|total| usize::try_from(total).ok()) {
                // A total below what is there already is a lie: only a short page ends the list.
                Some(total) => ids.len() == total || (short && ids.len() > total),
                None => short,
            };
            if complete || ids.len() == before {
                break;
            }
        }
        let rooms = ids.len() as u64;
        observation.set(Measure::Rooms, rooms);
        moderated.report(rooms, Measure::RoomsModerated, observation);
        Ok(ids)
    }

    /// The rooms' settings, asked for again after `interval`. `None`: this firmware has no such
    /// call.
    async fn details(
        &self,
        visit: &Visit<'_, Login>,
        rooms: &[i64],
        interval: Duration,
    ) -> Result<Option<RoomSettings>, Failure> {
        if self.learnt.no_details.is_known() {
            return Ok(None);
        }
        let known = *self.learnt.details.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.filter(|known| known.fetched.elapsed() < interval) {
            return Ok(Some(known.settings));
        }
        let answers = try_join_all(rooms.iter().map(|id| self.detail(visit, *id))).await?;
        let mut settings = RoomSettings::default();
        for answer in answers {
            match answer {
                RoomAnswer::Settings(room) => settings.add(&room),
                RoomAnswer::Gone => {}
                RoomAnswer::NoSuchCall => {
                    self.learnt.no_details.note();
                    return Ok(None);
                }
            }
        }
        let details = Details { fetched: Instant::now(), settings };
        *self.learnt.details.lock().unwrap_or_else(PoisonError::into_inner) = Some(details);
        Ok(Some(settings))
    }

    async fn detail(&self, visit: &Visit<'_, Login>, id: i64) -> Result<RoomAnswer, Failure> {
        visit
            .send(
                |token| {
                    Call::get(GET, "/conference/get")
                        .query("id", id)
                        .query("access_token", token.access.expose_secret())
                },
                |answer| match unwrap::<Detail>(answer, query_fault) {
                    Ok(Detail { data: Some(room), .. }) => Ok(RoomAnswer::Settings(room)),
                    Ok(Detail { data: None, .. }) => Err(Fault::new(Reason::Decode)),
                    Err(fault) => match fault.code.as_deref() {
                        Some("60001") => Ok(RoomAnswer::Gone),
                        Some("10001") => Ok(RoomAnswer::NoSuchCall),
                        _ => Err(fault),
                    },
                },
            )
            .await
    }

    /// The ongoing conferences. `None`: this firmware has no such call.
    async fn ongoing(&self, visit: &Visit<'_, Login>) -> Result<Option<Observation>, Failure> {
        if self.learnt.no_live.is_known() {
            return Ok(None);
        }
        let live = visit
            .send(
                |token| {
                    Call::get(ONGOING, "/conference/query_ongoing_conference")
                        .query("number", "all")
                        .query("access_token", token.access.expose_secret())
                },
                |answer| {
                    let mut live = Observation::new();
                    match unwrap::<Ongoing<'_>>(answer, query_fault) {
                        Ok(entries) => ongoing(entries, self.conferences)?.report(&mut live),
                        Err(fault) => match fault.code.as_deref() {
                            // "Data not found": nothing is going on.
                            Some("60001") => Live::new(self.conferences).report(&mut live),
                            // "Interface not existed": firmware older than the call.
                            Some("10001") => return Ok(None),
                            _ => return Err(fault),
                        },
                    }
                    Ok(Some(live))
                },
            )
            .await?;
        if live.is_none() {
            self.learnt.no_live.note();
        }
        Ok(live)
    }
}

enum RoomAnswer {
    Settings(DetailData),
    Gone,
    NoSuchCall,
}

impl RoomSettings {
    fn add(&mut self, room: &DetailData) {
        let flag = |flag: Option<Flag>| flag.and_then(|flag| flag.0);
        self.rooms += 1;
        self.wait_for_moderator.add(flag(room.enb_wait_moderator));
        self.allow_invite.add(flag(room.allow_partic_invite));
        self.pin_protected.add(flag(room.has_partic_password));
    }

    fn report(self, observation: &mut Observation) {
        let settings = [self.wait_for_moderator, self.allow_invite, self.pin_protected];
        for (setting, measure) in settings.into_iter().zip(DETAILS) {
            setting.report(self.rooms, *measure, observation);
        }
    }
}

fn ongoing(answer: Ongoing<'_>, settings: Conferences) -> Result<Live<'_>, Fault> {
    let mut live = Live::new(settings);
    for entry in answer.data.0 {
        let (call, number) = (entry.call_id.0, entry.conference_number.0);
        let Some(members) = live.entry(call, number, entry.conference_name.as_str())? else {
            continue;
        };
        for member in entry.members.0 {
            members.add(member.channel_id.0, member.member_status);
        }
    }
    Ok(live)
}
