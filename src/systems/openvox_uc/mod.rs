//! OpenVox UC Series IPPBX, API v0.0.1.
//!
//! Source: `help.openvox.cn/docs/uc-series-ippbx/api-documentation/`, in particular
//! `?p=9998` ("Query Ongoing Conference"). The live query knows no `all` and is documented with
//! two spellings of its lists.

mod answers;

use serde_json::json;

use super::{
    System,
    pbx::{
        self, Flavour, QUERY,
        codes::{Code, unwrap},
        in_session::LiveQuery,
        live::{self, Live},
        login::Md5Login,
    },
};
use crate::{
    config::{self, Conferences, Profile, Transport},
    model::{Measure, MeasureSet, Observation, Sizes},
    net::Failure,
    session::Authorized,
};
use answers::{InSession, in_session, rooms};

const FLAVOUR: Flavour = Flavour {
    version: "0.0.1",
    heartbeat_has_version: false,
    says_type: true,
    // The documented sample of a refused login carries 30003: nothing is known to be harmless.
    tells_other_faults: false,
};

/// One OpenVox UC.
pub struct OpenvoxUc {
    /// `None`: it is not asked what goes on right now.
    live: Option<LiveQuery>,
    conferences: Conferences,
}

impl System for OpenvoxUc {
    const PROFILE: &'static Profile = &Profile {
        name: "openvox_uc",
        title: "OpenVox UC",
        base_url: None,
        transport: Transport::Http { keeps_connections: false },
        usual_port: 9011,
        api_path: "/api/v0.0.1",
        min_interval: "0s",
        logins: pbx::LOGINS,
        keys: pbx::KEYS,
        read: pbx::read,
        calls: pbx::CALLS,
        user_agent: None,
        advice: pbx::ADVICE,
    };

    type Settings = pbx::Settings;
    type Login = Md5Login;

    fn login(settings: &pbx::Settings) -> Md5Login {
        Md5Login::new(&FLAVOUR, settings)
    }

    fn new(source: &config::Source, settings: &pbx::Settings) -> Self {
        Self {
            live: settings.live.then(|| LiveQuery::new(source, &FLAVOUR)),
            conferences: source.conferences,
        }
    }

    fn succeeding(
        source: &config::Source,
        settings: &pbx::Settings,
        old: &Self,
        same_session: bool,
    ) -> Self {
        let mut new = Self::new(source, settings);
        if let Some(old) = old.live.as_ref().filter(|_| same_session) {
            new.live = new.live.map(|live| live.succeeding(old));
        }
        new
    }

    fn configured(&self) -> MeasureSet {
        MeasureSet::of(&[
            Measure::Rooms,
            Measure::RoomsWaitForModerator,
            Measure::RoomsPinProtected,
        ])
        .with_if(self.live.is_some(), Sizes::MEASURES)
        .with_if(self.live.is_some(), live::WAITING)
    }

    async fn collect(&self, authorized: &Authorized<'_, Md5Login>) -> Result<Observation, Failure> {
        let mut observation = Observation::new();
        let all = json!({ "number": "all" });
        let known = authorized
            .send(
                |token| FLAVOUR.call(QUERY, token).json(&all),
                |answer| rooms(unwrap(answer, Code::on_query)?, self.conferences),
            )
            .await?;
        known.report(&mut observation);
        let Some(live) = &self.live else { return Ok(observation) };
        if known.numbers.is_empty() {
            Live::new(self.conferences).report(&mut observation);
            return Ok(observation);
        }
        let count = |answer: &_| {
            let answer = unwrap::<InSession<'_>>(answer, Code::on_query)?;
            Ok(in_session(answer, &known, self.conferences)?.into_owned())
        };
        let numbers = known.numbers.join(",");
        if let Some(live) = live.observe(authorized, &numbers, &known.numbers, count).await? {
            observation.merge(live);
        }
        Ok(observation)
    }
}
