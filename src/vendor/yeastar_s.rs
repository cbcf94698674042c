//! Yeastar S-Series, API v2.0.0 (also K2 and S1000).
//!
//! Source: `help.yeastar.com/en/s-series-developer-v2/api-v2/`: conference-query,
//! conference-query-in-session, `api_error_code`, change-logs-of-api2.0.

use std::{collections::HashSet, sync::Arc};

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
        lenient::{Flag, IsSet, List, OneOrMany, Text, present},
    },
    config::{self, Conferences, Pbx},
    model::{Measure, MeasureSet, Observation, Sizes},
    session::{Access, Session},
};

const FLAVOUR: Flavour = Flavour {
    version: "2.0.0",
    heartbeat_has_version: true,
    says_type: false,
    // The API daemon is down, or the request itself was wrong: no login was judged.
    not_about_credentials: &[
        "10002", "10003", "10004", "20000", "20001", "20007", "20008", "20009", "20010", "30001",
        "30003",
    ],
};

/// One Yeastar S-Series.
pub struct YeastarS {
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
    #[serde(default, deserialize_with = "present")]
    participantepassword: Option<IsSet>,
    waitformoderator: Option<Flag>,
    allowinvite: Option<Flag>,
    #[serde(default, deserialize_with = "present")]
    moderators: Option<IsSet>,
    musiconhold: Option<Flag>,
    mute: Option<Flag>,
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
    #[serde(borrow, default)]
    callid: Text<'a>,
    #[serde(borrow, default)]
    conferencenumber: Text<'a>,
    #[serde(borrow, default)]
    conferencename: Text<'a>,
    #[serde(borrow, alias = "member")]
    members: List<Member<'a>>,
}

/// The table types the wrapped values as lists, the sample of the sibling event as objects. No
/// sample of this answer was ever published: members without a wrapper, as the vendor's other
/// systems send them, are taken as well.
#[derive(Deserialize)]
struct Member<'a> {
    #[serde(borrow, default)]
    channelid: Text<'a>,
    #[serde(default)]
    memberstatus: Presence,
    #[serde(borrow, default)]
    ext: OneOrMany<Leg<'a>>,
    #[serde(borrow, default)]
    inbound: OneOrMany<Leg<'a>>,
    #[serde(borrow, default)]
    outbound: OneOrMany<Leg<'a>>,
}

#[derive(Deserialize)]
struct Leg<'a> {
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

impl Dialogue for YeastarS {
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
            Measure::RoomsMuteOnJoin,
            Measure::RoomsWaitForModerator,
            Measure::RoomsAllowInvite,
            Measure::RoomsMusicOnHold,
            Measure::RoomsModerated,
            Measure::RoomsPinProtected,
        ])
        .with_if(self.live, Sizes::MEASURES)
        .with_if(self.live, WAITING)
    }

    async fn collect(&self, api: &Api) -> Result<Observation, Failure> {
        let visit = self.session.visit(api);
        let login = self.session.login();
        let all = json!({ "number": "all" });
        let mut observation = visit
            .send(
                |token| login.call(QUERY, token).json(&all),
                |answer| rooms(md5_pbx::unwrap(answer, query_fault)?),
            )
            .await?;
        if self.live {
            let live = visit
                .send(
                    |token| login.call(IN_SESSION, token).json(&all),
                    |answer| {
                        let mut live = Observation::new();
                        match md5_pbx::unwrap::<InSession<'_>>(answer, query_fault) {
                            Ok(entries) => in_session(entries, self.conferences)?.report(&mut live),
                            // "Conference number does not exist": nobody confers right now.
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
        }
        Ok(observation)
    }

    fn session(&self) -> Arc<dyn Access> {
        Arc::clone(&self.session) as Arc<dyn Access>
    }
}

impl YeastarS {
    fn with_session(
        source: &config::Source,
        settings: &Pbx,
        session: Arc<Session<Md5Login>>,
    ) -> Self {
        Self { session, live: settings.live, conferences: source.conferences }
    }
}

fn rooms(answer: Rooms<'_>) -> Result<Observation, Fault> {
    let List(rooms) = answer.conferences.ok_or(Fault::new(Reason::Decode))?;
    let mut seen = HashSet::with_capacity(rooms.len());
    let mut settings = [Setting::default(); 6];
    for room in &rooms {
        if !seen.insert(room.number.as_str()) {
            continue;
        }
        let flag = |flag: Option<Flag>| flag.and_then(|flag| flag.0);
        let values = [
            flag(room.mute),
            flag(room.waitformoderator),
            flag(room.allowinvite),
            flag(room.musiconhold),
            room.moderators.map(|moderators| moderators.0),
            room.participantepassword.map(|pin| pin.0),
        ];
        for (setting, value) in settings.iter_mut().zip(values) {
            setting.add(value);
        }
    }
    let count = seen.len() as u64;
    let mut observation = Observation::new();
    observation.set(Measure::Rooms, count);
    let measures = [
        Measure::RoomsMuteOnJoin,
        Measure::RoomsWaitForModerator,
        Measure::RoomsAllowInvite,
        Measure::RoomsMusicOnHold,
        Measure::RoomsModerated,
        Measure::RoomsPinProtected,
    ];
    for (setting, measure) in settings.into_iter().zip(measures) {
        setting.report(count, measure, &mut observation);
    }
    Ok(observation)
}

fn in_session(answer: InSession<'_>, settings: Conferences) -> Result<Live<'_>, Fault> {
    let List(entries) = answer.conference.ok_or(Fault::new(Reason::Decode))?;
    let mut live = Live::new(settings);
    for entry in entries {
        let (call, number) = (entry.callid.0, entry.conferencenumber.0);
        let Some(members) = live.entry(call, number, entry.conferencename.as_str())? else {
            continue;
        };
        for member in entry.members.0 {
            members.add(member.channelid.0, member.memberstatus);
            for leg in [member.ext.0, member.inbound.0, member.outbound.0].into_iter().flatten() {
                members.add(leg.channelid.0, leg.memberstatus);
            }
        }
    }
    Ok(live)
}
