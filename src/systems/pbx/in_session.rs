//! The live query of OpenVox UC and of the Yeastar S-Series.

use std::sync::Arc;

use futures_util::future::try_join_all;
use serde_json::json;

use super::{Flavour, IN_SESSION, codes::Code, live::Live, login::Md5Login};
use crate::{
    config::{self, Conferences},
    model::Observation,
    net::{Answer, Failure},
    session::Authorized,
    systems::{Missing, Refusal},
};

/// How one system is asked for its conferences in session.
pub(in crate::systems) struct LiveQuery {
    source: String,
    flavour: &'static Flavour,
    conferences: Conferences,
    /// The firmware was found not to have the call.
    missing: Arc<Missing>,
}

/// What came of a query.
enum Asked {
    /// It was answered.
    Live(Live<'static>),
    /// "Conference number does not exist".
    NoSuchConference,
    /// The firmware has no such call.
    NoSuchCall,
}

impl LiveQuery {
    /// That of a system that was never asked.
    pub(in crate::systems) fn new(source: &config::Source, flavour: &'static Flavour) -> Self {
        Self {
            source: source.name.clone(),
            flavour,
            conferences: source.conferences,
            missing: Arc::default(),
        }
    }

    /// The same query, of the same system as `old`.
    pub(in crate::systems) fn succeeding(self, old: &Self) -> Self {
        Self { missing: Arc::clone(&old.missing), ..self }
    }

    /// The measures of the conferences of `numbers`, counted in an answer by `count`. `None`: this
    /// firmware has no such call.
    ///
    /// Older firmware refuses to answer for several rooms if the first of them is empty, as if none
    /// of them were there. Then `rooms` are asked one by one; an instant conference, which is in
    /// none of them, is not seen at such a time.
    ///
    /// # Errors
    /// What the query failed with.
    pub(in crate::systems) async fn observe(
        &self,
        authorized: &Authorized<'_, Md5Login>,
        numbers: &str,
        rooms: &[String],
        count: impl Fn(&Answer) -> Result<Live<'static>, Refusal<Code>>,
    ) -> Result<Option<Observation>, Failure> {
        if self.missing.is_known() {
            return Ok(None);
        }
        let live = match self.ask(authorized, numbers, "", &count).await? {
            Asked::Live(live) => live,
            Asked::NoSuchConference => {
                let rooms = rooms.iter().filter(|room| *room != numbers && !room.is_empty());
                let asked = rooms.map(|room| self.ask(authorized, room, room, &count));
                let mut all = Live::new(self.conferences);
                for room in try_join_all(asked).await? {
                    match room {
                        Asked::Live(live) => all.absorb(live),
                        // Nobody is in it.
                        Asked::NoSuchConference => {}
                        Asked::NoSuchCall => return Ok(None),
                    }
                }
                all
            }
            Asked::NoSuchCall => {
                self.missing.note(&self.source, IN_SESSION);
                return Ok(None);
            }
        };
        let mut observation = Observation::new();
        live.report(&mut observation);
        Ok(Some(observation))
    }

    async fn ask(
        &self,
        authorized: &Authorized<'_, Md5Login>,
        numbers: &str,
        about: &str,
        count: &impl Fn(&Answer) -> Result<Live<'static>, Refusal<Code>>,
    ) -> Result<Asked, Failure> {
        let body = json!({ "number": numbers });
        authorized
            .send(
                |token| self.flavour.call(IN_SESSION, token).about(about).json(&body),
                |answer| match count(answer) {
                    Ok(live) => Ok(Asked::Live(live)),
                    Err(Refusal { code: Some(Code::NoSuchConference), .. }) => {
                        Ok(Asked::NoSuchConference)
                    }
                    Err(Refusal { code: Some(Code::NoSuchCall), .. }) => Ok(Asked::NoSuchCall),
                    Err(refusal) => Err(refusal.into()),
                },
            )
            .await
    }
}
