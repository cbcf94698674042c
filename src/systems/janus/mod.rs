// SPDX-License-Identifier: Apache-2.0
//! Janus: the rooms of its plug-ins AudioBridge and VideoRoom, through the admin API.
//!
//! Source: `janus.conf.meetecho.com/docs` (admin, audiobridge, videoroom), the sources of the plug-ins, and the answers of
//! Janus 1.1.2 and 1.4.1 in `tests/data/janus`. `message_plugin` hands a request to a plug-in, also one that creates or
//! destroys a room: nothing but `list` and `listparticipants` is ever sent.

mod answers;
mod codes;
mod shown;

use futures_util::future::try_join_all;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{Refusal, System};
use crate::{
    config::{
        self, Advice, Conferences, OwnSettings, Profile, Reading, Transport,
        keys::{self, Key, Kind},
        secret::SecretSource,
    },
    model::{CallName, MeasureSet, Observation, Reason, Sizes},
    net::{Call, Failure, Fault},
    recording::Shown,
    session::{
        Authorized,
        each_call::{Presented, SecretInEachCall},
    },
};
use answers::{Id, Listed, OF_AUDIOBRIDGE, OF_ROOMS, Participant, People, Room, Rooms};
use codes::{Code, unwrap};

const ADMIN_SECRET: Key =
    Key::new("admin_secret", Kind::Secret, "`admin_secret` of `janus.jcfg`, of the admin API.");
const AUDIOBRIDGE_ADMIN_KEY: Key = Key::new(
    "audiobridge_admin_key",
    Kind::Secret,
    "`admin_key` of `janus.plugin.audiobridge.jcfg`; without it private rooms are not seen.",
);
const VIDEOROOM_ADMIN_KEY: Key = Key::new(
    "videoroom_admin_key",
    Kind::Secret,
    "`admin_key` of `janus.plugin.videoroom.jcfg`; without it private rooms are not seen.",
);
const PLUGINS: Key = Key::new(
    "plugins",
    Kind::Choices(&[Plugin::Audiobridge.word(), Plugin::Videoroom.word()]),
    "The plug-ins whose rooms are counted; one that is not loaded is left out.",
)
.by_default("[audiobridge, videoroom]");

/// The login of a Janus: the admin secret, and the admin keys of the plug-ins in the order of
/// [`Plugin::ALL`].
type Login = SecretInEachCall<2>;

/// A plug-in that has rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// Mixes the audio of those in a room.
    Audiobridge,
    /// Hands the streams of those in a room on.
    Videoroom,
}

impl Plugin {
    /// In the order in which they are asked.
    const ALL: [Self; 2] = [Self::Audiobridge, Self::Videoroom];

    /// As in the configuration and in the names of calls.
    const fn word(self) -> &'static str {
        match self {
            Self::Audiobridge => "audiobridge",
            Self::Videoroom => "videoroom",
        }
    }

    const fn list(self) -> CallName {
        match self {
            Self::Audiobridge => CallName("audiobridge/list"),
            Self::Videoroom => CallName("videoroom/list"),
        }
    }

    const fn participants(self) -> CallName {
        match self {
            Self::Audiobridge => CallName("audiobridge/listparticipants"),
            Self::Videoroom => CallName("videoroom/listparticipants"),
        }
    }
}

/// The keys of a Janus.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Secret of the admin API.
    pub admin_secret: SecretSource,
    /// What shows private rooms, in the order of the plug-ins.
    pub admin_keys: [Option<SecretSource>; 2],
    /// The plug-ins to ask.
    pub plugins: Vec<Plugin>,
}

/// One Janus.
pub struct Janus {
    plugins: Vec<Plugin>,
    conferences: Conferences,
}

impl System for Janus {
    const PROFILE: &'static Profile = &Profile {
        name: "janus",
        title: "Janus",
        base_url: None,
        transport: Transport::Http { tls_port: Some(7889) },
        usual_port: 7088,
        api_path: "/admin",
        min_interval: "0s",
        logins: &[keys::Login {
            required: &[&ADMIN_SECRET],
            optional: &[&AUDIOBRIDGE_ADMIN_KEY, &VIDEOROOM_ADMIN_KEY],
        }],
        keys: &[&PLUGINS],
        read,
        calls: &[
            Plugin::Audiobridge.list(),
            Plugin::Audiobridge.participants(),
            Plugin::Videoroom.list(),
            Plugin::Videoroom.participants(),
        ],
        user_agent: None,
        advice: &[
            Advice::new(
                Reason::Connect,
                "is admin_http on in janus.transport.http.jcfg, and do admin_ip and admin_acl let the exporter in? the port is usually 7088",
            ),
            Advice::new(
                Reason::Http4xx,
                "base_url and api_path must name the admin API: usually port 7088 and /admin",
            ),
            Advice::new(
                Reason::Forbidden,
                "enforce_cors of janus.transport.http.jcfg, or a proxy, does not let the exporter in",
            ),
        ],
    };

    const SHOWN: &Shown = &shown::SHOWN;

    type Settings = Settings;
    type Login = Login;

    fn login(settings: &Settings) -> Login {
        SecretInEachCall {
            secret: settings.admin_secret.clone(),
            keys: settings.admin_keys.clone(),
        }
    }

    fn new(source: &config::Source, settings: &Settings) -> Self {
        Self { plugins: settings.plugins.clone(), conferences: source.conferences }
    }

    fn configured(&self) -> MeasureSet {
        MeasureSet::of(Sizes::MEASURES)
            .with(OF_ROOMS)
            .with_if(self.plugins.contains(&Plugin::Audiobridge), OF_AUDIOBRIDGE)
    }

    async fn collect(&self, authorized: &Authorized<'_, Login>) -> Result<Observation, Failure> {
        let mut rooms = Rooms::default();
        let mut is_any_loaded = false;
        // One after the other: a wrong secret is then refused once.
        for (index, plugin) in self.plugins.iter().enumerate() {
            let is_only_hope = !is_any_loaded && index + 1 == self.plugins.len();
            if let Some(list) = self.rooms(authorized, *plugin, is_only_hope).await? {
                is_any_loaded = true;
                rooms.add(*plugin, list);
            }
        }
        let people = rooms.occupied.iter().map(|room| people(authorized, room));
        let people = try_join_all(people).await?;
        Ok(rooms.observation(people, self.conferences))
    }
}

fn read(reading: &Reading<'_, '_>) -> Option<OwnSettings> {
    let section = reading.section;
    let admin_secret = section.secret(&ADMIN_SECRET);
    let admin_keys = [&AUDIOBRIDGE_ADMIN_KEY, &VIDEOROOM_ADMIN_KEY].map(|key| section.secret(key));
    let words = section.choices(&PLUGINS);
    reading.login?;
    let settings = Settings {
        admin_secret: admin_secret?,
        admin_keys,
        plugins: Plugin::ALL.into_iter().filter(|plugin| words.contains(&plugin.word())).collect(),
    };
    // There are no accounts: one admin secret a server.
    Some(OwnSettings::new("", settings))
}

impl Janus {
    /// The rooms of `plugin`. `None`: it is not loaded, which is a failure only if no other one
    /// is.
    async fn rooms(
        &self,
        authorized: &Authorized<'_, Login>,
        plugin: Plugin,
        is_only_hope: bool,
    ) -> Result<Option<Vec<Listed>>, Failure> {
        authorized
            .send(
                |secrets| {
                    let [audiobridge, videoroom] = &secrets.keys;
                    let key = match plugin {
                        Plugin::Audiobridge => audiobridge,
                        Plugin::Videoroom => videoroom,
                    };
                    let request = Request {
                        admin_key: key.as_ref().map(ExposeSecret::expose_secret),
                        request: "list",
                        room: None,
                    };
                    message(plugin, plugin.list(), secrets, request)
                },
                |answer| match unwrap::<Room<'_>>(answer, plugin, plugin.list()) {
                    Ok((rooms, _)) => rooms
                        .into_iter()
                        .map(|room| room.listed(plugin, self.conferences))
                        .collect::<Result<_, Fault>>()
                        .map(Some),
                    Err(Refusal { code: Some(Code::NoPlugin), .. }) if !is_only_hope => Ok(None),
                    Err(refusal) => Err(refusal.into()),
                },
            )
            .await
    }
}

/// The people in `room`. `None`: it has gone since it was listed, or nobody is in it.
async fn people(
    authorized: &Authorized<'_, Login>,
    room: &Listed,
) -> Result<Option<People>, Failure> {
    let plugin = room.plugin;
    let call = plugin.participants();
    authorized
        .send(
            |secrets| {
                let request = Request {
                    admin_key: None,
                    request: "listparticipants",
                    room: Some(&room.room),
                };
                message(plugin, call, secrets, request).about(room.room.shown())
            },
            |answer| match unwrap::<Participant>(answer, plugin, call) {
                Ok((_, Some(other))) if other != room.room => Err(Fault::new(Reason::Decode)),
                Ok((listed, _)) => Ok(People::of(plugin, listed)),
                Err(Refusal { code: Some(Code::NoRoom), .. }) => Ok(None),
                Err(refusal) => Err(refusal.into()),
            },
        )
        .await
}

/// What a plug-in is asked.
#[derive(Serialize)]
struct Request<'a> {
    /// With it, private rooms are listed, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_key: Option<&'a str>,
    request: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a Id>,
}

/// A request to the server.
#[derive(Serialize)]
struct Message<'a> {
    admin_secret: &'a str,
    janus: &'static str,
    plugin: String,
    request: Request<'a>,
    transaction: &'a str,
}

/// A request that the server hands to `plugin`. Its answer has the same `transaction`.
fn message(plugin: Plugin, call: CallName, secrets: &Presented<2>, request: Request<'_>) -> Call {
    Call::post(call, "").json(&Message {
        admin_secret: secrets.secret.expose_secret(),
        janus: "message_plugin",
        plugin: format!("janus.plugin.{}", plugin.word()),
        request,
        transaction: call.as_str(),
    })
}
