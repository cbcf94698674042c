// SPDX-License-Identifier: Apache-2.0
//! The vendor-neutral vocabulary: what a conferencing system can be asked for, under which metric it is shown, and what one
//! collection found. It depends on no system and no wire format.

use std::fmt;

/// One call of a vendor's API, by the fixed name that labels its metrics. Never a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallName(pub &'static str);

impl CallName {
    /// The value of the `call` label.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

macro_rules! reasons {
    ($($variant:ident $name:literal $meaning:literal;)+) => {
        /// Why a request failed: the value of the `reason` label.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $(#[doc = $meaning] $variant,)+ }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The value of the `reason` label.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

reasons! {
    Timeout "timeout" "The budget ended before the answer was whole.";
    Dns "dns" "The name was not resolved.";
    Connect "connect" "Refused, reset, or closed before or inside the answer.";
    Tls "tls" "Handshake or certificate, or no TLS at an https address.";
    Auth "auth" "Login refused, or the token was not accepted.";
    LockedOut "locked_out" "The vendor's documented lock-out answer.";
    Forbidden "forbidden" "The vendor's documented permission or address-list answer; HTTP 403.";
    RateLimited "rate_limited" "The vendor's documented throttling answer; HTTP 429.";
    Quota "quota" "The vendor's documented quota answer.";
    Http4xx "http_4xx" "Any other HTTP 4xx without a documented code in its body.";
    Http5xx "http_5xx" "Any other HTTP 5xx without a documented code in its body.";
    Vendor "vendor" "A well-formed failure of the vendor that is none of the others.";
    Decode "decode" "Not JSON, not UTF-8, cut short, nested too deep, or a required key missing or wrong.";
    TooLarge "too_large" "Longer than `max_response_bytes`.";
    Redirect "redirect" "Any 3xx: redirects are never followed.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! measures {
    ($(
        $stem:literal $(by $label:literal, $help:literal)? {
            $($variant:ident $($value:literal)?: $role:ident $meaning:literal;)+
        }
    )*) => {
        /// One number a collection can find. Absent is not zero: see [`Observation`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Measure { $($(#[doc = $meaning] $variant,)+)* }

        impl Measure {
            /// Every measure, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$($(Self::$variant,)+)*];

            /// A short, stable name: the metric's without `conferencing_`, and with the label's value. It is the value
            /// of the label `capability` where [`Measure::is_capability`] holds.
            pub const fn as_str(self) -> &'static str {
                match self { $($(Self::$variant => concat!($stem, $("_", $value)?),)+)* }
            }

            /// What is counted, in a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $($(Self::$variant => $meaning,)+)* }
            }

            /// The value of the label that tells the series of one metric apart, where there are several.
            pub const fn label_value(self) -> Option<&'static str> {
                match self { $($(Self::$variant => measures!(@option $($value)?),)+)* }
            }

            /// Whether `conferencing_source_capability` has a series for it. The others are there whenever the measure
            /// they belong to is, and would say the same again.
            pub const fn is_capability(self) -> bool {
                match self { $($(Self::$variant => measures!(@$role),)+)* }
            }
        }

        /// The metrics of the measures, in the order of the documentation. Each measure is one series, a gauge.
        pub const MEASURED: &[Measured] = &[$(
            Measured {
                name: concat!("conferencing_", $stem),
                labels: &[$($label)?],
                help: measures!(@first $($help)? $($meaning)+),
                series: &[$(Measure::$variant,)+],
            },
        )*];
    };
    (@option) => { None };
    (@option $value:literal) => { Some($value) };
    (@first $first:literal $($others:literal)*) => { $first };
    (@capability) => { true };
    (@detail) => { false };
}

/// A metric and the measures that are its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Its name.
    pub name: &'static str,
    /// The label that tells its series apart, where there are several.
    pub labels: &'static [&'static str],
    /// Its help.
    pub help: &'static str,
    /// Its series.
    pub series: &'static [Measure],
}

// The only place where a measure is described: its metric, whether it is a capability of its own, what it means. The text of
// a scrape, the capabilities, the tables of the README and the reserved labels of the configuration follow from here.
measures! {
    "conferences" by "state", "Conferences known to the source, by state: active or scheduled." {
        ConferencesActive "active": capability "Conferences going on.";
        ConferencesScheduled "scheduled": capability "Conferences planned and not yet going on.";
    }
    "participants" by "state", "People in active conferences, by state: joined, waiting (held until a moderator comes), joining, invited (called or invited, not answered)." {
        ParticipantsJoined "joined": capability "People in active conferences.";
        ParticipantsWaiting "waiting": capability "People held until a moderator comes.";
        ParticipantsJoining "joining": capability "People whose connection is being set up.";
        ParticipantsInvited "invited": capability "People called or invited who have not answered yet.";
    }
    "invitees" { Invitees: capability "People invited to active conferences, whether or not they came."; }
    "participants_muted" { ParticipantsMuted: capability "Joined participants whose microphone is off."; }
    "participants_mute_reported" { ParticipantsMuteReported: detail "Joined participants whose microphone state the source reports."; }
    "participants_camera_on" { ParticipantsCameraOn: capability "Joined participants whose camera is on."; }
    "participants_hand_raised" { ParticipantsHandRaised: capability "Joined participants with a raised hand."; }
    "participants_moderators" { ParticipantsModerators: capability "Joined participants who host or co-host."; }
    "largest_conference_participants" { LargestConferenceParticipants: detail "Joined participants of the largest active conference; 0 without conferences."; }
    "conferences_mute_on_join" { ConferencesMuteOnJoin: capability "Active conferences that mute people as they join."; }
    "conferences_all_muted" { ConferencesAllMuted: capability "Active conferences in which everyone is muted by force."; }
    "conferences_locked" { ConferencesLocked: capability "Active conferences that let nobody else in."; }
    "conferences_recording" { ConferencesRecording: capability "Active conferences that are being recorded."; }
    "conferences_by_size" by "participants", "Active conferences by the number of joined participants; all eight sizes or none." {
        ConferencesOf0 "0": detail "Active conferences nobody has joined.";
        ConferencesOf1 "1": detail "Active conferences of one joined participant.";
        ConferencesOf2To5 "2-5": detail "Active conferences of 2 to 5 joined participants.";
        ConferencesOf6To10 "6-10": detail "Active conferences of 6 to 10 joined participants.";
        ConferencesOf11To25 "11-25": detail "Active conferences of 11 to 25 joined participants.";
        ConferencesOf26To50 "26-50": detail "Active conferences of 26 to 50 joined participants.";
        ConferencesOf51To100 "51-100": detail "Active conferences of 51 to 100 joined participants.";
        ConferencesOf101AndMore "101+": detail "Active conferences of more than 100 joined participants.";
    }
    "rooms" { Rooms: capability "Standing conference rooms configured."; }
    "rooms_mute_on_join" { RoomsMuteOnJoin: capability "Rooms that mute people as they join."; }
    "rooms_wait_for_moderator" { RoomsWaitForModerator: capability "Rooms that hold people until a moderator comes."; }
    "rooms_allow_invite" { RoomsAllowInvite: capability "Rooms whose participants may invite others."; }
    "rooms_music_on_hold" { RoomsMusicOnHold: capability "Rooms that play music to people who wait."; }
    "rooms_moderated" { RoomsModerated: capability "Rooms with at least one moderator."; }
    "rooms_pin_protected" { RoomsPinProtected: capability "Rooms that ask participants for a PIN."; }
}

impl Measure {
    /// How many measures there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The measures `conferencing_source_capability` has a series for, in the order of the documentation.
    pub fn capabilities() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|measure| measure.is_capability())
    }
}

/// A set of measures: what a source reports as configured, or reported when last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeasureSet(u64);

// One bit for each measure.
const _: () = assert!(Measure::COUNT <= u64::BITS as usize);

impl MeasureSet {
    /// The set of `measures`.
    pub const fn of(measures: &[Measure]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < measures.len() {
            bits |= 1 << measures[index] as u64;
            index += 1;
        }
        Self(bits)
    }

    /// Adds one measure.
    pub const fn insert(&mut self, measure: Measure) {
        self.0 |= 1 << measure as u64;
    }

    /// Adds all of `other`.
    #[must_use]
    pub const fn with(self, other: &[Measure]) -> Self {
        Self(self.0 | Self::of(other).0)
    }

    /// Adds all of `other` where `condition` holds.
    #[must_use]
    pub const fn with_if(self, condition: bool, other: &[Measure]) -> Self {
        if condition { self.with(other) } else { self }
    }

    /// Whether `measure` is in the set.
    pub const fn contains(self, measure: Measure) -> bool {
        self.0 & (1 << measure as u64) != 0
    }
}

/// Counts active conferences by how many people have joined each. Every system that tells this of each conference reports
/// the same measures of it: [`Sizes::MEASURES`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    conferences: u64,
    joined: u64,
    largest: u64,
    by_size: [u64; Sizes::CLASSES.len()],
    /// A conference was added of which the system does not say how many have joined it.
    incomplete: bool,
}

impl Sizes {
    /// What [`Sizes::report`] sets.
    pub const MEASURES: &'static [Measure] = &[
        Measure::ConferencesActive,
        Measure::ParticipantsJoined,
        Measure::LargestConferenceParticipants,
        Measure::ConferencesOf0,
        Measure::ConferencesOf1,
        Measure::ConferencesOf2To5,
        Measure::ConferencesOf6To10,
        Measure::ConferencesOf11To25,
        Measure::ConferencesOf26To50,
        Measure::ConferencesOf51To100,
        Measure::ConferencesOf101AndMore,
    ];

    /// The classes of size: the most that may have joined, and the measure that counts such conferences.
    const CLASSES: [(u64, Measure); 8] = [
        (0, Measure::ConferencesOf0),
        (1, Measure::ConferencesOf1),
        (5, Measure::ConferencesOf2To5),
        (10, Measure::ConferencesOf6To10),
        (25, Measure::ConferencesOf11To25),
        (50, Measure::ConferencesOf26To50),
        (100, Measure::ConferencesOf51To100),
        (u64::MAX, Measure::ConferencesOf101AndMore),
    ];

    /// Adds an active conference that `joined` people have joined; `None`: the system does not say.
    pub fn add(&mut self, joined: Option<u64>) {
        self.conferences += 1;
        let Some(joined) = joined else {
            self.incomplete = true;
            return;
        };
        self.joined = self.joined.saturating_add(joined);
        self.largest = self.largest.max(joined);
        self.by_size[Self::CLASSES.partition_point(|(most, _)| *most < joined)] += 1;
    }

    /// How many conferences were added.
    pub const fn conferences(&self) -> u64 {
        self.conferences
    }

    /// Sets the measures. Where the size of one conference is not known, every number that depends on it is absent: a
    /// sum or a distribution that leaves a conference out looks right and is not.
    pub fn report(self, observation: &mut Observation) {
        observation.set(Measure::ConferencesActive, self.conferences);
        if self.incomplete {
            return;
        }
        observation.set(Measure::ParticipantsJoined, self.joined);
        observation.set(Measure::LargestConferenceParticipants, self.largest);
        for ((_, measure), conferences) in Self::CLASSES.into_iter().zip(self.by_size) {
            observation.set(measure, conferences);
        }
    }
}

/// What one successful collection of one source found.
///
/// A measure the system does not report is absent; one it reports as none is 0. There are no partial observations: if a
/// required call fails the collection is a failure, because a sum that lacks some conferences looks valid and is wrong.
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
        assert!(observation.reported().contains(Measure::Rooms));
        assert!(!observation.reported().contains(Measure::RoomsModerated));
    }

    #[test]
    fn a_measure_has_a_label_value_where_its_metric_has_a_label() {
        let mut seen = MeasureSet::default();
        for measured in MEASURED {
            assert!(measured.labels.len() <= 1, "{}", measured.name);
            for measure in measured.series {
                assert!(!seen.contains(*measure), "{measure:?} twice");
                seen.insert(*measure);
                assert_eq!(
                    measure.label_value().is_some(),
                    !measured.labels.is_empty(),
                    "{measure:?}"
                );
            }
        }
        assert_eq!(seen, MeasureSet::of(Measure::ALL));
    }

    #[test]
    fn a_capability_is_named_like_its_metric_and_state() {
        let names: Vec<_> = Measure::capabilities().map(Measure::as_str).collect();
        assert_eq!(
            names,
            [
                "conferences_active",
                "conferences_scheduled",
                "participants_joined",
                "participants_waiting",
                "participants_joining",
                "participants_invited",
                "invitees",
                "participants_muted",
                "participants_camera_on",
                "participants_hand_raised",
                "participants_moderators",
                "conferences_mute_on_join",
                "conferences_all_muted",
                "conferences_locked",
                "conferences_recording",
                "rooms",
                "rooms_mute_on_join",
                "rooms_wait_for_moderator",
                "rooms_allow_invite",
                "rooms_music_on_hold",
                "rooms_moderated",
                "rooms_pin_protected",
            ]
        );
    }

    #[test]
    fn a_conference_is_counted_in_the_class_of_its_size() {
        for (joined, class) in [
            (0, "0"),
            (1, "1"),
            (2, "2-5"),
            (5, "2-5"),
            (6, "6-10"),
            (10, "6-10"),
            (11, "11-25"),
            (25, "11-25"),
            (26, "26-50"),
            (50, "26-50"),
            (51, "51-100"),
            (100, "51-100"),
            (101, "101+"),
            (u64::MAX, "101+"),
        ] {
            let mut sizes = Sizes::default();
            sizes.add(Some(joined));
            let mut observation = Observation::new();
            sizes.report(&mut observation);
            for (_, measure) in Sizes::CLASSES {
                let expected = u64::from(measure.label_value() == Some(class));
                assert_eq!(observation.value(measure), Some(expected), "{joined} in {measure:?}");
            }
        }
    }

    #[test]
    fn a_conference_of_unknown_size_leaves_the_number_of_conferences_only() {
        let mut sizes = Sizes::default();
        sizes.add(Some(3));
        sizes.add(None);
        let mut observation = Observation::new();
        sizes.report(&mut observation);
        assert_eq!(observation.value(Measure::ConferencesActive), Some(2));
        assert_eq!(observation.reported(), MeasureSet::of(&[Measure::ConferencesActive]));
    }
}
