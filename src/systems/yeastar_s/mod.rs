//! Yeastar S-Series, API v2.0.0 (also K2 and S1000).
//!
//! Source: `help.yeastar.com/en/s-series-developer-v2/api-v2/`: conference-query,
//! conference-query-in-session, `api_error_code`, change-logs-of-api2.0.

mod answers;

use serde_json::json;

use super::{
    System,
    pbx::{
        self, Flavour, QUERY,
        codes::{Code, unwrap},
        in_session::LiveQuery,
        live,
        login::Md5Login,
    },
};
use crate::{
    config::{self, Conferences, Profile, Transport},
    model::{Measure, MeasureSet, Observation, Sizes},
    net::Failure,
    session::Authorized,
};
use answers::{InSession, SETTINGS, in_session, rooms};

const FLAVOUR: Flavour = Flavour {
    version: "2.0.0",
    heartbeat_has_version: true,
    says_type: false,
    tells_other_faults: true,
};

/// One Yeastar S-Series.
pub struct YeastarS {
    /// `None`: it is not asked what goes on right now.
    live: Option<LiveQuery>,
    conferences: Conferences,
}

impl System for YeastarS {
    const PROFILE: &'static Profile = &Profile {
        name: "yeastar_s",
        title: "Yeastar S-Series",
        base_url: None,
        transport: Transport::Http { keeps_connections: false },
        usual_port: 8088,
        api_path: "/api/v2.0.0",
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
        let mut set = MeasureSet::of(SETTINGS);
        set.insert(Measure::Rooms);
        set.with_if(self.live.is_some(), Sizes::MEASURES)
            .with_if(self.live.is_some(), live::WAITING)
    }

    async fn collect(&self, authorized: &Authorized<'_, Md5Login>) -> Result<Observation, Failure> {
        let all = json!({ "number": "all" });
        let (mut observation, numbers) = authorized
            .send(
                |token| FLAVOUR.call(QUERY, token).json(&all),
                |answer| rooms(unwrap(answer, Code::on_query)?, self.live.is_some()),
            )
            .await?;
        if let Some(live) = &self.live {
            let count = |answer: &_| {
                let answer = unwrap::<InSession<'_>>(answer, Code::on_query)?;
                Ok(in_session(answer, self.conferences)?.into_owned())
            };
            if let Some(live) = live.observe(authorized, "all", &numbers, count).await? {
                observation.merge(live);
            }
        }
        Ok(observation)
    }
}
