// SPDX-License-Identifier: Apache-2.0
//! The live view of meetings whose host password is known: who is in, muted, has a hand raised.
//!
//! Source: `support.huaweicloud.com/api-meeting/`: `meeting_21_0027` (control token),
//! `meeting_21_0029` (real-time information). The control token could mute, eject and end: it
//! only ever goes into the one read call below.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::try_join_all;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use super::{
    Host,
    codes::{self, Content},
    login::Login,
    meetings::Active,
};
use crate::{
    model::{CallName, Reason},
    net::{
        Answer, Api, ApiError, Call, Consequence, Failure, Fault,
        lenient::{Flag, FromItems, Items, Lifetime, List, Number, Object, Text, present},
    },
    session::{self, Session},
};

pub(super) const CONTROL_TOKEN: CallName = CallName("control_token");
pub(super) const REAL_TIME_INFO: CallName = CallName("realTimeInfo");

/// Lifetime of a control token whose answer does not say, or says what cannot be meant: that it has passed.
const TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// A control token is not used in the last minutes before it expires.
const MARGIN: Duration = Duration::from_secs(5 * 60);

/// The meetings with a known host password, and their control tokens.
pub(super) struct Hosts {
    hosts: Vec<Host>,
    /// Locked while one is fetched: of several wrong passwords only the first is tried.
    tokens: Arc<Mutex<HashMap<String, ControlToken>>>,
}

struct ControlToken {
    token: SecretString,
    use_until: Instant,
}

/// A control token to use now.
struct Usable {
    token: SecretString,
    /// Fetched just now: another one would be no better.
    is_fresh: bool,
}

/// The live view of one meeting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Live {
    pub(super) joining: u64,
    pub(super) ringing: u64,
    pub(super) muted: u64,
    pub(super) mute_reported: u64,
    pub(super) hand_raised: u64,
    /// Chair and co-hosts that are in, where the answer says who they are.
    pub(super) moderators: Option<u64>,
}

impl Hosts {
    pub(super) fn new(hosts: Vec<Host>) -> Self {
        Self { hosts, tokens: Arc::default() }
    }

    /// Goes on with the control tokens of `old`, which has the same hosts: they are a part of the login.
    pub(super) fn inherit(&mut self, old: &Self) {
        self.tokens = Arc::clone(&old.tokens);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Whether the host password of this meeting is known.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.hosts.iter().any(|host| host.conference_id == id)
    }

    /// The live views of the active meetings with a known host password, by their ids. A meeting
    /// that ended meanwhile is left out.
    pub(super) async fn live(
        &self,
        api: &Api,
        session: &Arc<Session<Login>>,
        active: &Active,
    ) -> Result<HashMap<&str, Live>, Failure> {
        self.tokens.lock().await.retain(|id, _| active.contains_key(id));
        let hosted = self.hosts.iter().filter(|host| active.contains_key(&host.conference_id));
        let views = try_join_all(hosted.map(|host| self.view(api, session, host))).await?;
        Ok(views.into_iter().flatten().collect())
    }

    async fn view<'a>(
        &'a self,
        api: &Api,
        session: &Arc<Session<Login>>,
        host: &'a Host,
    ) -> Result<Option<(&'a str, Live)>, Failure> {
        let id = host.conference_id.as_str();
        let Some(usable) = self.token(api, session, host).await? else { return Ok(None) };
        let error = match real_time_info(api, id, &usable.token).await {
            Err(Failure::Request(error)) => error,
            settled => return Ok(settled?.map(|live| (id, live))),
        };
        let refused = error.fault.consequence == Consequence::RenewToken;
        if refused && let Some(held) = self.tokens.lock().await.get_mut(id) {
            held.use_until = Instant::now();
        }
        if !refused || usable.is_fresh {
            return Err(note(session, error).await);
        }
        // The token was of the last time this meeting was held, or did not live as long as it said.
        let Some(usable) = self.token(api, session, host).await? else { return Ok(None) };
        match real_time_info(api, id, &usable.token).await {
            Err(Failure::Request(error)) => {
                self.tokens.lock().await.remove(id);
                Err(note(session, error).await)
            }
            settled => Ok(settled?.map(|live| (id, live))),
        }
    }

    /// A control token of the meeting; `None`: it is over.
    async fn token(
        &self,
        api: &Api,
        session: &Arc<Session<Login>>,
        host: &Host,
    ) -> Result<Option<Usable>, Failure> {
        let mut tokens = Arc::clone(&self.tokens).lock_owned().await;
        let id = host.conference_id.clone();
        if let Some(held) = tokens.get(&id).filter(|held| Instant::now() < held.use_until) {
            return Ok(Some(Usable { token: held.token.clone(), is_fresh: false }));
        }
        let has_worked = tokens.remove(&id).is_some();
        let password = session::read(&host.password).await?;
        let noting = Arc::clone(session);
        // Completed in any case, and under the lock: a refusal is noted before the next password is
        // tried, even if the collection was dropped meanwhile.
        let calls = move |api: Api| async move {
            let call = Call::get(CONTROL_TOKEN, "/v1/mmc/control/conferences/token")
                .about(&id)
                .query("conferenceID", &id)
                .secret_header("x-password", password.expose_secret())
                .header("x-login-type", "1");
            match api.send(call, |answer| control_token(answer, has_worked)).await {
                Ok(None) => Ok(None),
                Ok(Some((token, lifetime))) => {
                    let use_until = Instant::now() + lifetime.saturating_sub(MARGIN);
                    tokens.insert(id, ControlToken { token: token.clone(), use_until });
                    Ok(Some(Usable { token, is_fresh: true }))
                }
                Err(Failure::Request(error)) => Err(note(&noting, error).await),
                Err(failure) => Err(failure),
            }
        };
        session.run_to_completion(api, calls).await
    }
}

/// Lets the session know of a refusal that must hold back what would follow.
async fn note(session: &Arc<Session<Login>>, error: ApiError) -> Failure {
    match error.fault.consequence {
        Consequence::LoginRejected | Consequence::LockedOut(_) | Consequence::HoldLogin(_) => {
            match session.refused(&error).await {
                Ok(()) => error.into(),
                Err(failure) => failure,
            }
        }
        Consequence::None
        | Consequence::RenewToken
        | Consequence::DoubtToken
        | Consequence::HoldRequests(_) => error.into(),
    }
}

async fn real_time_info(
    api: &Api,
    id: &str,
    token: &SecretString,
) -> Result<Option<Live>, Failure> {
    let call = Call::get(REAL_TIME_INFO, "/v1/mmc/control/conferences/realTimeInfo")
        .about(id)
        .query("conferenceID", id)
        .secret_header("x-conference-authorization", token.expose_secret());
    api.send(call, |answer| {
        let info = codes::unwrap_meeting::<RealTimeInfo<'_>>(answer, codes::control)?;
        info.map(RealTimeInfo::live).transpose()
    })
    .await
}

#[derive(Deserialize)]
struct Granted<'a> {
    #[serde(borrow)]
    data: Object<Grant<'a>>,
}

#[derive(Deserialize)]
struct Grant<'a> {
    #[serde(borrow)]
    token: Text<'a>,
    /// In milliseconds here, in seconds at the login.
    #[serde(default, rename = "expireTime")]
    expire_time: Lifetime,
}

impl Content for Granted<'_> {
    fn is_empty(&self) -> bool {
        self.data.0.token.is_empty()
    }
}

/// The token of an answer and how long it lives; `None`: the meeting is over. `has_worked`: the password
/// yielded a token since the meeting began.
fn control_token(
    answer: &Answer,
    has_worked: bool,
) -> Result<Option<(SecretString, Duration)>, Fault> {
    let granted = codes::unwrap_control_token::<Granted<'_>>(answer, has_worked)?;
    let Some(Granted { data: Object(grant) }) = granted else { return Ok(None) };
    if grant.token.is_empty() {
        return Err(Fault::new(Reason::Decode));
    }
    let now = u64::try_from(answer.sent_at().as_millisecond()).unwrap_or(0);
    let remaining = grant.expire_time.0.map(|at| at.saturating_sub(now));
    let lifetime =
        remaining.filter(|lifetime| *lifetime > 0).map_or(TOKEN_LIFETIME, Duration::from_millis);
    Ok(Some((SecretString::from(grant.token.as_str()), lifetime)))
}

/// `attendees`, all who are invited, is skipped: `participants` are those who are there, called
/// or joining.
#[derive(Deserialize)]
struct RealTimeInfo<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    participants: Option<Items<Participants<'a>>>,
    #[serde(borrow, rename = "confInfo")]
    conf_info: Option<Object<ConfInfo<'a>>>,
}

#[derive(Deserialize)]
struct ConfInfo<'a> {
    #[serde(borrow, default, rename = "chairID")]
    chair: Text<'a>,
    #[serde(borrow, default, rename = "coHosts")]
    co_hosts: List<Text<'a>>,
}

/// Participants, counted while they are decoded. Their ids are borrowed from the answer and gone
/// with it.
#[derive(Default)]
struct Participants<'a> {
    /// Each with whether it is in the meeting.
    pids: HashMap<Cow<'a, str>, bool>,
    live: Live,
}

#[derive(Deserialize)]
struct Participant<'a> {
    #[serde(borrow, default)]
    pid: Text<'a>,
    state: Number,
    #[serde(default)]
    mute: Flag,
    #[serde(default)]
    hand: Flag,
}

impl<'de: 'a, 'a> FromItems<'de> for Participants<'a> {
    type Item = Object<Participant<'a>>;

    /// The same account on two devices is two participants.
    fn add(&mut self, Object(participant): Self::Item) -> Result<(), &'static str> {
        let state = participant.state.0.ok_or("no state")?;
        let pid = participant.pid.0;
        if !pid.is_empty() {
            if self.pids.contains_key(&pid) {
                return Ok(());
            }
            self.pids.insert(pid, state == 0);
        }
        match state {
            0 => {
                self.live.mute_reported += u64::from(participant.mute.0.is_some());
                self.live.muted += u64::from(participant.mute.0 == Some(true));
                self.live.hand_raised += u64::from(participant.hand.0 == Some(true));
            }
            1 => self.live.ringing += 1,
            2 => self.live.joining += 1,
            // No other state is documented: whatever it is, it is not being in.
            _ => {}
        }
        Ok(())
    }
}

impl Content for RealTimeInfo<'_> {
    fn is_empty(&self) -> bool {
        self.participants.as_ref().is_none_or(|participants| participants.0.pids.is_empty())
    }
}

impl RealTimeInfo<'_> {
    fn live(self) -> Result<Live, Fault> {
        let Items(Participants { pids, mut live }) =
            self.participants.ok_or(Fault::new(Reason::Decode))?;
        live.moderators = self.conf_info.map(|Object(info)| {
            let moderators: HashSet<_> =
                info.co_hosts.0.into_iter().chain([info.chair]).map(|Text(pid)| pid).collect();
            moderators.iter().filter(|pid| pids.get(*pid) == Some(&true)).count() as u64
        });
        Ok(live)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After the vendor's example, which lacks the comma between two participants.
    const EXAMPLE: &str = include_str!("../../../tests/data/huawei_meeting/realtimeinfo.json");

    fn live(json: &str) -> Option<Live> {
        serde_json::from_str::<RealTimeInfo<'_>>(json).ok()?.live().ok()
    }

    #[test]
    fn the_documented_example_decodes() {
        assert_eq!(
            live(EXAMPLE),
            Some(Live { muted: 1, mute_reported: 2, moderators: Some(2), ..Live::default() })
        );
    }

    #[test]
    fn only_who_is_in_counts_and_only_once() {
        let json = r#"{"confInfo":{"chairID":"a","coHosts":["b","c","a","gone"]},"participants":[
            {"pid":"a","state":0,"mute":1,"hand":"1"},{"pid":"b","state":"1","mute":1,"hand":1},
            {"pid":"c","state":0,"mute":0,"hand":0},{"pid":"d","state":2},
            {"pid":"a","state":0,"mute":1,"hand":1},{"pid":"e","state":0,"mute":null},
            {"pid":"f","state":7,"mute":1},{"state":0,"mute":"1"}]}"#;
        let expected = Live {
            joining: 1,
            ringing: 1,
            muted: 2,
            mute_reported: 3,
            hand_raised: 1,
            moderators: Some(2),
        };
        assert_eq!(live(json), Some(expected));
        let last_first = json
            .replacen(r#""confInfo":{"chairID":"a","coHosts":["b","c","a","gone"]},"#, "", 1)
            .replace(
                r#""mute":"1"}]}"#,
                r#""mute":"1"}],"confInfo":{"chairID":"a","coHosts":["c"]}}"#,
            );
        assert_eq!(live(&last_first), Some(expected));
    }

    #[test]
    fn without_conf_info_nobody_knows_the_moderators() {
        for json in [r#"{"participants":[]}"#, r#"{"participants":null,"confInfo":null}"#] {
            assert_eq!(live(json), Some(Live::default()), "{json}");
        }
        let idle = r#"{"participants":[],"confInfo":{"chairID":null}}"#;
        assert_eq!(live(idle).and_then(|live| live.moderators), Some(0));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for broken in [
            "{}",
            r#"{"participants":{}}"#,
            r#"{"participants":[{"pid":"a"}]}"#,
            r#"{"participants":[{"pid":"a","state":null}]}"#,
            r#"{"participants":[{"pid":"a","state":0,"mute":2}]}"#,
            r#"{"participants":[],"participants":[]}"#,
        ] {
            assert_eq!(live(broken), None, "{broken}");
        }
    }
}
