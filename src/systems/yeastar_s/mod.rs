//! Yeastar S-Series, API v2.0.0 (also K2 and S1000).
//!
//! Source: `help.yeastar.com/en/s-series-developer-v2/api-v2/`: conference-query,
//! conference-query-in-session, `api_error_code`, change-logs-of-api2.0.

mod answers;

use serde_json::json;

use super::{
    Refusal, System,
    pbx::{
        self, Flavour, IN_SESSION, QUERY,
        codes::{Code, unwrap},
        live::{self, Live},
        login::Md5Login,
    },
};
use crate::{
    config::{self, Conferences, Profile},
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
    live: bool,
    conferences: Conferences,
}

impl System for YeastarS {
    const PROFILE: &'static Profile = &Profile {
        name: "yeastar_s",
        title: "Yeastar S-Series",
        base_url: None,
        usual_port: 8088,
        api_path: "/api/v2.0.0",
        min_interval: "0s",
        logins: pbx::LOGINS,
        keys: pbx::KEYS,
        read: pbx::read,
        calls: pbx::CALLS,
        user_agent: None,
        keeps_connections: false,
        advice: pbx::ADVICE,
    };

    type Settings = pbx::Settings;
    type Login = Md5Login;

    fn login(source: &config::Source, settings: &pbx::Settings) -> Md5Login {
        Md5Login::new(&FLAVOUR, source, settings)
    }

    fn new(source: &config::Source, settings: &pbx::Settings) -> Self {
        Self { live: settings.live, conferences: source.conferences }
    }

    fn configured(&self) -> MeasureSet {
        let mut set = MeasureSet::of(SETTINGS);
        set.insert(Measure::Rooms);
        set.with_if(self.live, Sizes::MEASURES).with_if(self.live, live::WAITING)
    }

    async fn collect(&self, authorized: &Authorized<'_, Md5Login>) -> Result<Observation, Failure> {
        let all = json!({ "number": "all" });
        let mut observation = authorized
            .send(
                |token| FLAVOUR.call(QUERY, token).json(&all),
                |answer| rooms(unwrap(answer, Code::on_query)?),
            )
            .await?;
        if !self.live {
            return Ok(observation);
        }
        let live = authorized
            .send(
                |token| FLAVOUR.call(IN_SESSION, token).json(&all),
                |answer| {
                    let mut live = Observation::new();
                    match unwrap::<InSession<'_>>(answer, Code::on_query) {
                        Ok(entries) => in_session(entries, self.conferences)?.report(&mut live),
                        // "Conference number does not exist": no conference is active.
                        Err(Refusal { code: Some(Code::NoSuchConference), .. }) => {
                            Live::new(self.conferences).report(&mut live);
                        }
                        Err(refusal) => return Err(refusal.into()),
                    }
                    Ok(live)
                },
            )
            .await?;
        observation.merge(live);
        Ok(observation)
    }
}
