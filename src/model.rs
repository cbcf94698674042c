//! The words all modules share: what a conferencing system can be asked for, what one collection
//! found, and why a request failed. Knows no system, no wire format and no metric name.

use std::fmt;

/// One call of a vendor's API, by the fixed name that labels its metrics. Never a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(pub &'static str);

impl Endpoint {
    /// The value of the `endpoint` label.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// Why a request failed: the value of the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The budget ended before the answer was whole.
    Timeout,
    /// The name was not resolved.
    Dns,
    /// Refused, reset, or closed before or inside the answer.
    Connect,
    /// Handshake or certificate, or no TLS at an https address.
    Tls,
    /// Login refused, or the token was not accepted.
    Auth,
    /// The vendor's documented lock-out answer.
    LockedOut,
    /// The vendor's documented permission or address-list answer; HTTP 403.
    Forbidden,
    /// The vendor's documented throttling answer; HTTP 429.
    RateLimited,
    /// The vendor's documented quota answer.
    Quota,
    /// Any other HTTP 4xx without a documented code in its body.
    Http4xx,
    /// Any other HTTP 5xx without a documented code in its body.
    Http5xx,
    /// A well-formed failure of the vendor that is none of the others.
    Vendor,
    /// Not JSON, not UTF-8, cut short, nested too deep, or a required key missing or wrong.
    Decode,
    /// Longer than `max_response_bytes`.
    TooLarge,
    /// Any 3xx: redirects are never followed.
    Redirect,
}

impl Reason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 15] = [
        Self::Timeout,
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Auth,
        Self::LockedOut,
        Self::Forbidden,
        Self::RateLimited,
        Self::Quota,
        Self::Http4xx,
        Self::Http5xx,
        Self::Vendor,
        Self::Decode,
        Self::TooLarge,
        Self::Redirect,
    ];

    /// The value of the `reason` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::LockedOut => "locked_out",
            Self::Forbidden => "forbidden",
            Self::RateLimited => "rate_limited",
            Self::Quota => "quota",
            Self::Http4xx => "http_4xx",
            Self::Http5xx => "http_5xx",
            Self::Vendor => "vendor",
            Self::Decode => "decode",
            Self::TooLarge => "too_large",
            Self::Redirect => "redirect",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! measures {
    ($(#[doc = $meaning:literal] $variant:ident => $name:literal,)*) => {
        /// One number a collection can find. Absent is not zero: see [`Observation`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Measure { $(#[doc = $meaning] $variant,)* }

        impl Measure {
            /// Every measure, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// A short, stable name: also the value of the `capability` label where
            /// [`Measure::is_capability`] holds.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What is counted, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning.trim_ascii(),)* }
            }
        }
    };
}

measures! {
    /// Conferences going on.
    ConferencesActive => "conferences_active",
    /// Conferences planned and not yet going on.
    ConferencesScheduled => "conferences_scheduled",
    /// People in active conferences.
    ParticipantsJoined => "participants_joined",
    /// People held until a moderator comes.
    ParticipantsWaiting => "participants_waiting",
    /// People whose connection is being set up.
    ParticipantsJoining => "participants_joining",
    /// People called or invited who have not answered yet.
    ParticipantsRinging => "participants_ringing",
    /// People invited to active conferences, whether or not they came.
    ParticipantsInvited => "participants_invited",
    /// Joined participants whose microphone is off.
    ParticipantsMuted => "participants_muted",
    /// Joined participants whose microphone state the system reports.
    ParticipantsMuteReported => "participants_mute_reported",
    /// Joined participants whose camera is on.
    ParticipantsCameraOn => "participants_camera_on",
    /// Joined participants with a raised hand.
    ParticipantsHandRaised => "participants_hand_raised",
    /// Joined participants who host or co-host.
    ParticipantsModerators => "participants_moderators",
    /// Joined participants of the largest active conference.
    LargestConferenceParticipants => "largest_conference_participants",
    /// Active conferences that mute people as they join.
    ConferencesMuteOnJoin => "conferences_mute_on_join",
    /// Active conferences in which everyone is muted by force.
    ConferencesAllMuted => "conferences_all_muted",
    /// Standing rooms configured.
    Rooms => "rooms",
    /// Rooms that mute people as they join.
    RoomsMuteOnJoin => "rooms_mute_on_join",
    /// Rooms that hold people until a moderator comes.
    RoomsWaitForModerator => "rooms_wait_for_moderator",
    /// Rooms whose participants may invite others.
    RoomsAllowInvite => "rooms_allow_invite",
    /// Rooms that play music to people who wait.
    RoomsMusicOnHold => "rooms_music_on_hold",
    /// Rooms with at least one moderator.
    RoomsModerated => "rooms_moderated",
    /// Rooms that ask participants for a PIN.
    RoomsPinProtected => "rooms_pin_protected",
}

impl Measure {
    /// How many measures there are.
    pub const COUNT: usize = Self::ALL.len();
}

macro_rules! capabilities {
    ($($variant:ident => $name:literal from $($measure:ident)|+,)*) => {
        /// Something a source can or cannot report, as configured and as found.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Capability {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Capability {
            /// Every capability, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The value of the `capability` label.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The measures any of which makes the capability true.
            pub const fn measures(self) -> &'static [Measure] {
                match self { $(Self::$variant => &[$(Measure::$measure),+],)* }
            }
        }
    };
}

capabilities! {
    ConferencesActive => "conferences_active" from ConferencesActive,
    ConferencesScheduled => "conferences_scheduled" from ConferencesScheduled,
    ParticipantsJoined => "participants_joined" from ParticipantsJoined,
    ParticipantsWaiting => "participants_waiting" from ParticipantsWaiting,
    ParticipantsJoining => "participants_joining" from ParticipantsJoining,
    ParticipantsInvited => "participants_invited" from ParticipantsRinging | ParticipantsInvited,
    ParticipantsMuted => "participants_muted" from ParticipantsMuted,
    ParticipantsCameraOn => "participants_camera_on" from ParticipantsCameraOn,
    ParticipantsHandRaised => "participants_hand_raised" from ParticipantsHandRaised,
    ParticipantsModerators => "participants_moderators" from ParticipantsModerators,
    ConferencesMuteOnJoin => "conferences_mute_on_join" from ConferencesMuteOnJoin,
    ConferencesAllMuted => "conferences_all_muted" from ConferencesAllMuted,
    Rooms => "rooms" from Rooms,
    RoomsMuteOnJoin => "rooms_mute_on_join" from RoomsMuteOnJoin,
    RoomsWaitForModerator => "rooms_wait_for_moderator" from RoomsWaitForModerator,
    RoomsAllowInvite => "rooms_allow_invite" from RoomsAllowInvite,
    RoomsMusicOnHold => "rooms_music_on_hold" from RoomsMusicOnHold,
    RoomsModerated => "rooms_moderated" from RoomsModerated,
    RoomsPinProtected => "rooms_pin_protected" from RoomsPinProtected,
}

/// A set of measures: what a source reports as configured, or reported when last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeasureSet(u32);

impl MeasureSet {
    /// The set of `measures`.
    pub const fn of(measures: &[Measure]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < measures.len() {
            bits |= 1 << measures[index] as u32;
            index += 1;
        }
        Self(bits)
    }

    /// Adds one measure.
    pub const fn insert(&mut self, measure: Measure) {
        self.0 |= 1 << measure as u32;
    }

    /// Adds all of `other` where `condition` holds.
    #[must_use]
    pub const fn with_if(self, condition: bool, other: &[Measure]) -> Self {
        if condition { Self(self.0 | Self::of(other).0) } else { self }
    }

    /// Whether `measure` is in the set.
    pub const fn contains(self, measure: Measure) -> bool {
        self.0 & (1 << measure as u32) != 0
    }

    /// Whether the set supports `capability`.
    pub fn supports(self, capability: Capability) -> bool {
        capability.measures().iter().any(|&measure| self.contains(measure))
    }
}

/// What one successful collection of one source found.
///
/// A measure the system does not report is absent; one it reports as none is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    values: [Option<u64>; Measure::COUNT],
    /// The active conferences one by one; filled only where the source's configuration asks for
    /// per-conference series.
    pub conferences: Vec<Conference>,
}

impl Observation {
    /// An observation in which everything is absent.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of `measure`, if the system reported it.
    pub const fn value(&self, measure: Measure) -> Option<u64> {
        self.values[measure as usize]
    }

    /// Sets `measure` to what the system reported.
    pub const fn set(&mut self, measure: Measure, value: u64) {
        self.values[measure as usize] = Some(value);
    }

    /// Sets `measure` where the system reported it, and leaves it absent otherwise.
    pub const fn set_if_reported(&mut self, measure: Measure, value: Option<u64>) {
        self.values[measure as usize] = value;
    }

    /// Adds what `other` reports.
    pub fn merge(&mut self, other: Self) {
        for (mine, theirs) in self.values.iter_mut().zip(other.values) {
            *mine = theirs.or(*mine);
        }
        self.conferences.extend(other.conferences);
    }

    /// The measures that are present.
    pub fn reported(&self) -> MeasureSet {
        let mut set = MeasureSet::default();
        for &measure in Measure::ALL {
            if self.value(measure).is_some() {
                set.insert(measure);
            }
        }
        set
    }
}

/// One active conference. Holds at most one identifying text: the one the configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conference {
    /// The vendor's id: orders ties and is the input of the keyed hash. Never rendered as it is.
    pub id: String,
    /// The number or the trimmed name, where the configuration asks for it and the vendor gives it.
    pub label: Option<String>,
    /// Joined participants, where reported.
    pub participants: Option<u64>,
    /// Joined participants whose microphone is off, where reported.
    pub muted: Option<u64>,
    /// When the conference started, in seconds since the epoch, where reported.
    pub started_at: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_is_not_zero() {
        let mut observation = Observation::new();
        observation.set(Measure::Rooms, 0);
        assert_eq!(observation.value(Measure::Rooms), Some(0));
        assert_eq!(observation.value(Measure::RoomsModerated), None);
        assert!(observation.reported().supports(Capability::Rooms));
        assert!(!observation.reported().supports(Capability::RoomsModerated));
    }

    #[test]
    fn either_kind_of_invitation_makes_the_capability() {
        let ringing = MeasureSet::of(&[Measure::ParticipantsRinging]);
        let invited = MeasureSet::of(&[Measure::ParticipantsInvited]);
        assert!(ringing.supports(Capability::ParticipantsInvited));
        assert!(invited.supports(Capability::ParticipantsInvited));
        assert!(!MeasureSet::default().supports(Capability::ParticipantsInvited));
    }
}
