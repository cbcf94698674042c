//! OpenVox UC Series IPPBX, API v0.0.1.
//!
//! Source: `help.openvox.cn/docs/uc-series-ippbx/api-documentation/`, in particular
//! `?p=9998` ("Query Ongoing Conference"). The live query knows no `all` and is documented with
//! two spellings of its lists.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde::Deserialize;
use serde_json::json;

use super::{
    Dialogue,
    live::{Live, Presence, Setting, WAITING},
    md5_pbx::{self, Enveloped, Flavour, IN_SESSION, Md5Login, QUERY, query_fault},
};
use crate::{
    api::{
        Api, Failure, Fault, Reason,
        lenient::{Flag, IsSet, List, Text, present},
    },
    config::{self, Conferences, Identify, Pbx},
    model::{Measure, MeasureSet, Observation, Sizes},
    session::{Access, Session},
};

const FLAVOUR: Flavour = Flavour {
    version: "0.0.1",
    heartbeat_has_version: false,
    says_type: true,
    // The documented sample of a refused login carries 30003: nothing is known to be harmless.
    not_about_credentials: &[],
};

/// One OpenVox UC.
pub struct OpenvoxUc {
    session: Arc<Session<Md5Login>>,
    live: bool,
    conferences: Conferences,
}

#[derive(Deserialize)]
struct Rooms<'a> {
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow, default)]
    errno: Text<'a>,
    #[serde(borrow)]
    conferences: Option<List<Room<'a>>>,
}

#[derive(Deserialize)]
struct Room<'a> {
    #[serde(borrow)]
    number: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(default, deserialize_with = "present")]
    participantepassword: Option<IsSet>,
    waitformoderator: Option<Flag>,
}

#[derive(Deserialize)]
struct InSession<'a> {
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow, default)]
    errno: Text<'a>,
    #[serde(borrow, default, alias = "conferences", deserialize_with = "present")]
    conference: Option<List<Entry<'a>>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    conferencenumber: Text<'a>,
    #[serde(borrow, default)]
    conferencename: Text<'a>,
    #[serde(borrow, alias = "members")]
    member: List<Member<'a>>,
}

#[derive(Deserialize)]
struct Member<'a> {
    #[serde(borrow, default)]
    channelid: Text<'a>,
    #[serde(default)]
    memberstatus: Presence,
}

impl Enveloped for Rooms<'_> {
    fn envelope(&self) -> (&str, &str) {
        (self.status.as_str(), self.errno.as_str())
    }
}

impl Enveloped for InSession<'_> {
    fn envelope(&self) -> (&str, &str) {
        (self.status.as_str(), self.errno.as_str())
    }
}

impl Dialogue for OpenvoxUc {
    type Settings = Pbx;

    fn new(source: &config::Source, settings: &Pbx) -> Self {
        let session = Session::new(Md5Login::new(&FLAVOUR, source, settings));
        Self::with_session(source, settings, Arc::new(session))
    }

    fn succeeding(source: &config::Source, settings: &Pbx, old: &Self, same_way: bool) -> Self {
        let login = Md5Login::new(&FLAVOUR, source, settings);
        let session = old.session.succeeded_by(login, same_way);
        Self::with_session(source, settings, session)
    }

    fn configured(&self) -> MeasureSet {
        MeasureSet::of(&[
            Measure::Rooms,
            Measure::RoomsWaitForModerator,
            Measure::RoomsPinProtected,
        ])
        .with_if(self.live, Sizes::MEASURES)
        .with_if(self.live, WAITING)
    }

    async fn collect(&self, api: &Api) -> Result<Observation, Failure> {
        let visit = self.session.visit(api);
        let login = self.session.login();
        let mut observation = Observation::new();
        let all = json!({ "number": "all" });
        let known = visit
            .send(
                |token| login.call(QUERY, token).json(&all),
                |answer| rooms(md5_pbx::unwrap(answer, query_fault)?, self.conferences),
            )
            .await?;
        known.report(&mut observation);
        if !self.live {
            return Ok(observation);
        }
        if known.numbers.is_empty() {
            Live::new(self.conferences).report(&mut observation);
            return Ok(observation);
        }
        let body = json!({ "number": known.numbers.join(",") });
        let live = visit
            .send(
                |token| login.call(IN_SESSION, token).json(&body),
                |answer| {
                    let mut live = Observation::new();
                    match md5_pbx::unwrap::<InSession<'_>>(answer, query_fault) {
                        Ok(entries) => {
                            in_session(entries, &known, self.conferences)?.report(&mut live)
                        }
                        // Firmware of this family denies rooms that nobody is in.
                        Err(fault) if fault.code.as_deref() == Some("10110") => {
                            Live::new(self.conferences).report(&mut live);
                        }
                        Err(fault) => return Err(fault),
                    }
                    Ok(live)
                },
            )
            .await?;
        observation.merge(live);
        Ok(observation)
    }

    fn session(&self) -> Arc<dyn Access> {
        Arc::clone(&self.session) as Arc<dyn Access>
    }
}

impl OpenvoxUc {
    fn with_session(
        source: &config::Source,
        settings: &Pbx,
        session: Arc<Session<Md5Login>>,
    ) -> Self {
        Self { session, live: settings.live, conferences: source.conferences }
    }
}

struct RoomTally {
    /// The rooms' numbers, as the live query wants them.
    numbers: Vec<String>,
    /// Names by number, where they are to be shown; the live answers carry none.
    names: HashMap<String, String>,
    wait_for_moderator: Setting,
    pin_protected: Setting,
}

impl RoomTally {
    fn report(&self, observation: &mut Observation) {
        let rooms = self.numbers.len() as u64;
        observation.set(Measure::Rooms, rooms);
        self.wait_for_moderator.report(rooms, Measure::RoomsWaitForModerator, observation);
        self.pin_protected.report(rooms, Measure::RoomsPinProtected, observation);
    }
}

fn rooms(answer: Rooms<'_>, settings: Conferences) -> Result<RoomTally, Fault> {
    let List(rooms) = answer.conferences.ok_or(Fault::new(Reason::Decode))?;
    // A name may be a person's: it is kept only where it is to be shown.
    let named = settings.enabled && settings.identify == Identify::Name;
    let mut seen = HashSet::with_capacity(rooms.len());
    let mut tally = RoomTally {
        numbers: Vec::new(),
        names: HashMap::new(),
        wait_for_moderator: Setting::default(),
        pin_protected: Setting::default(),
    };
    for room in &rooms {
        if !seen.insert(room.number.as_str()) {
            continue;
        }
        let number = room.number.as_str().to_owned();
        if named {
            tally.names.insert(number.clone(), room.name.as_str().to_owned());
        }
        tally.numbers.push(number);
        tally.wait_for_moderator.add(room.waitformoderator.and_then(|flag| flag.0));
        tally.pin_protected.add(room.participantepassword.map(|pin| pin.0));
    }
    Ok(tally)
}

fn in_session<'a>(
    answer: InSession<'a>,
    known: &RoomTally,
    settings: Conferences,
) -> Result<Live<'a>, Fault> {
    let List(entries) = answer.conference.ok_or(Fault::new(Reason::Decode))?;
    let mut live = Live::new(settings);
    for entry in entries {
        let number = entry.conferencenumber.0;
        let name = match entry.conferencename.as_str() {
            // A map: an answer of 8 MiB may carry hundreds of thousands of both.
            "" => known.names.get(number.as_ref()).map_or("", String::as_str),
            name => name,
        };
        let Some(members) = live.entry(Cow::Borrowed(""), Cow::clone(&number), name)? else {
            continue;
        };
        for member in entry.member.0 {
            members.add(member.channelid.0, member.memberstatus);
        }
    }
    Ok(live)
}
