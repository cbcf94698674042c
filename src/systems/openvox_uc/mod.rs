//! OpenVox UC Series IPPBX, API v0.0.1.
//!
//! Source: `help.openvox.cn/docs/uc-series-ippbx/api-documentation/`, in particular
//! `?p=9998` ("Query Ongoing Conference"). The live query knows no `all` and is documented with
//! two spellings of its lists.

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
    live: bool,
    conferences: Conferences,
}

impl System for OpenvoxUc {
    const PROFILE: &'static Profile = &Profile {
        name: "openvox_uc",
        title: "OpenVox UC",
        base_url: None,
        usual_port: 8088,
        api_path: "/api/v0.0.1",
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
        MeasureSet::of(&[
            Measure::Rooms,
            Measure::RoomsWaitForModerator,
            Measure::RoomsPinProtected,
        ])
        .with_if(self.live, Sizes::MEASURES)
        .with_if(self.live, live::WAITING)
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
        if !self.live {
            return Ok(observation);
        }
        if known.numbers.is_empty() {
            Live::new(self.conferences).report(&mut observation);
            return Ok(observation);
        }
        let body = json!({ "number": known.numbers.join(",") });
        let live = authorized
            .send(
                |token| FLAVOUR.call(IN_SESSION, token).json(&body),
                |answer| {
                    let mut live = Observation::new();
                    match unwrap::<InSession<'_>>(answer, Code::on_query) {
                        Ok(entries) => {
                            in_session(entries, &known, self.conferences)?.report(&mut live);
                        }
                        // Firmware of this family answers for an empty room that it does not exist.
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
