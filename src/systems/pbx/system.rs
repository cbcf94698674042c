// SPDX-License-Identifier: Apache-2.0
//! A PBX with the API that OpenVox UC and the Yeastar S-Series share: its rooms, and its conferences in session.

use std::{marker::PhantomData, sync::Arc};

use futures_util::future::try_join_all;
use serde::Serialize;

use super::{
    Flavour, IN_SESSION, QUERY, Settings,
    answers::{Known, in_session, rooms},
    codes::{Code, unwrap},
    live::{self, Live},
    login::Md5Login,
    shown::SHOWN,
};
use crate::{
    config::{self, Conferences, Profile},
    model::{Measure, MeasureSet, Observation, Sizes},
    net::Failure,
    recording::Shown,
    session::Authorized,
    systems::{Missing, Refusal, System},
};

/// Which of the systems with this API a [`Pbx`] is.
pub trait Variant: Send + Sync + 'static {
    /// What it is.
    const PROFILE: &'static Profile;

    /// Where its API differs.
    const FLAVOUR: &'static Flavour;
}

/// One PBX.
pub struct Pbx<V> {
    source: String,
    /// Whether it is asked what goes on right now.
    live: bool,
    conferences: Conferences,
    /// The firmware was found not to have the live query.
    no_live: Arc<Missing>,
    variant: PhantomData<V>,
}

/// The rooms that are asked for: their numbers with commas between them, or `all`.
#[derive(Serialize)]
struct Rooms<'a> {
    number: &'a str,
}

/// How a live query was answered.
enum LiveAnswer {
    /// It was answered.
    Live(Live<'static>),
    /// "Conference number does not exist".
    NoSuchConference,
    /// The firmware has no such call.
    NoSuchCall,
}

impl<V: Variant> System for Pbx<V> {
    const PROFILE: &'static Profile = V::PROFILE;
    const SHOWN: &'static Shown = &SHOWN;

    type Settings = Settings;
    type Login = Md5Login;

    fn login(settings: &Settings) -> Md5Login {
        Md5Login::new(V::FLAVOUR, settings)
    }

    fn new(source: &config::Source, settings: &Settings) -> Self {
        Self {
            source: source.name.clone(),
            live: settings.live,
            conferences: source.conferences,
            no_live: Arc::default(),
            variant: PhantomData,
        }
    }

    fn inherit(&mut self, old: &Self) {
        self.no_live = Arc::clone(&old.no_live);
    }

    fn configured(&self) -> MeasureSet {
        MeasureSet::of(&[Measure::Rooms])
            .with(V::FLAVOUR.settings)
            .with_if(self.live, Sizes::MEASURES)
            .with_if(self.live, live::WAITING)
    }

    async fn collect(&self, authorized: &Authorized<'_, Md5Login>) -> Result<Observation, Failure> {
        let all = Rooms { number: "all" };
        let (mut observation, known) = authorized
            .send(
                |token| V::FLAVOUR.call(QUERY, token).json(&all),
                |answer| {
                    let answer = unwrap(answer, Code::on_query)?;
                    rooms(answer, V::FLAVOUR.settings, self.conferences, self.live)
                },
            )
            .await?;
        if self.live
            && let Some(live) = self.live(authorized, &known).await?
        {
            live.report(&mut observation);
        }
        Ok(observation)
    }
}

impl<V: Variant> Pbx<V> {
    /// The conferences in session. `None`: this firmware has no such call.
    ///
    /// Older firmware refuses to answer for several rooms if the first of them is empty, as if none
    /// of them were there. Then the rooms are asked one by one; an instant conference, which is in
    /// none of them, is not seen at such a time.
    async fn live(
        &self,
        authorized: &Authorized<'_, Md5Login>,
        known: &Known,
    ) -> Result<Option<Live<'static>>, Failure> {
        let numbers = if V::FLAVOUR.live_takes_all {
            "all"
        } else if known.numbers.is_empty() {
            return Ok(Some(Live::new(self.conferences)));
        } else {
            &*known.numbers
        };
        if self.no_live.is_known() {
            return Ok(None);
        }
        match self.ask(authorized, numbers, "", known).await? {
            LiveAnswer::Live(live) => return Ok(Some(live)),
            LiveAnswer::NoSuchConference => {}
            LiveAnswer::NoSuchCall => {
                self.no_live.note(&self.source, IN_SESSION);
                return Ok(None);
            }
        }
        let rooms = known.numbers.split(',').filter(|room| *room != numbers && !room.is_empty());
        let asked = rooms.map(|room| self.ask(authorized, room, room, known));
        let mut all = Live::new(self.conferences);
        for room in try_join_all(asked).await? {
            match room {
                LiveAnswer::Live(live) => all.absorb(live),
                // Nobody is in it.
                LiveAnswer::NoSuchConference => {}
                LiveAnswer::NoSuchCall => return Ok(None),
            }
        }
        Ok(Some(all))
    }

    /// Asks for `numbers`; `about` is the room, where it is one only.
    async fn ask(
        &self,
        authorized: &Authorized<'_, Md5Login>,
        numbers: &str,
        about: &str,
        known: &Known,
    ) -> Result<LiveAnswer, Failure> {
        let body = Rooms { number: numbers };
        authorized
            .send(
                |token| V::FLAVOUR.call(IN_SESSION, token).about(about).json(&body),
                |answer| match unwrap(answer, Code::on_query) {
                    Ok(answer) => Ok(LiveAnswer::Live(
                        in_session(answer, known, self.conferences)?.into_owned(),
                    )),
                    Err(Refusal { code: Some(Code::NoSuchConference), .. }) => {
                        Ok(LiveAnswer::NoSuchConference)
                    }
                    Err(Refusal { code: Some(Code::NoSuchCall), .. }) => Ok(LiveAnswer::NoSuchCall),
                    Err(refusal) => Err(refusal.into()),
                },
            )
            .await
    }
}
