//! The table of metrics: name, type, labels and help of everything the exporter emits.
//!
//! One source of truth: the writer, the README and the checks of dashboards and rules follow it.

pub mod own;
pub mod process;
pub mod text;

use crate::model::Measure;

/// The type of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only ever goes up.
    Counter,
    /// Buckets, sum and count.
    Histogram,
}

impl Kind {
    /// The word of the `# TYPE` line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Labels besides `source`, `vendor` and the configured ones (which every family of a source
    /// carries), or all labels of a family of the exporter's own.
    pub labels: &'static [&'static str],
    /// Whether every series carries `source`, `vendor` and the configured labels.
    pub per_source: bool,
    /// Help.
    pub help: &'static str,
    /// Its index in [`FAMILIES`].
    place: usize,
}

macro_rules! families {
    ($($id:ident: $kind:ident $name:literal [$($label:literal),*] $scope:ident $help:literal;)*) => {
        /// Counts the families.
        #[allow(clippy::upper_case_acronyms, reason = "the names of the constants")]
        #[allow(non_camel_case_types, reason = "the names of the constants")]
        enum Place { $($id,)* }

        $(
            #[doc = $help]
            pub const $id: Family = Family {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                per_source: families!(@$scope),
                help: $help,
                place: Place::$id as usize,
            };
        )*

        /// Every family the exporter can emit, in the order of the documentation.
        pub const FAMILIES: &[Family] = &[$($id,)*];
    };
    (@source) => { true };
    (@exporter) => { false };
}

families! {
    CONFERENCES: Gauge "conferencing_conferences" ["state"] source
        "Conferences known to the source, by state: active or scheduled.";
    PARTICIPANTS: Gauge "conferencing_participants" ["state"] source
        "People in active conferences, by state: joined, waiting (held until a moderator comes), joining, invited (called, not answered).";
    PARTICIPANTS_INVITED: Gauge "conferencing_participants_invited" [] source
        "People invited to active conferences, whether or not they came.";
    PARTICIPANTS_MUTED: Gauge "conferencing_participants_muted" [] source
        "Joined participants whose microphone is off.";
    PARTICIPANTS_MUTE_REPORTED: Gauge "conferencing_participants_mute_reported" [] source
        "Joined participants whose microphone state the source reports.";
    PARTICIPANTS_CAMERA_ON: Gauge "conferencing_participants_camera_on" [] source
        "Joined participants whose camera is on.";
    PARTICIPANTS_HAND_RAISED: Gauge "conferencing_participants_hand_raised" [] source
        "Joined participants with a raised hand.";
    PARTICIPANTS_MODERATORS: Gauge "conferencing_participants_moderators" [] source
        "Joined participants who host or co-host.";
    LARGEST_CONFERENCE_PARTICIPANTS: Gauge "conferencing_largest_conference_participants" [] source
        "Joined participants of the largest active conference; 0 without conferences.";
    CONFERENCES_MUTE_ON_JOIN: Gauge "conferencing_conferences_mute_on_join" [] source
        "Active conferences that mute people as they join.";
    CONFERENCES_ALL_MUTED: Gauge "conferencing_conferences_all_muted" [] source
        "Active conferences in which everyone is muted by force.";
    ROOMS: Gauge "conferencing_rooms" [] source
        "Standing conference rooms configured.";
    ROOMS_MUTE_ON_JOIN: Gauge "conferencing_rooms_mute_on_join" [] source
        "Rooms that mute people as they join.";
    ROOMS_WAIT_FOR_MODERATOR: Gauge "conferencing_rooms_wait_for_moderator" [] source
        "Rooms that hold people until a moderator comes.";
    ROOMS_ALLOW_INVITE: Gauge "conferencing_rooms_allow_invite" [] source
        "Rooms whose participants may invite others.";
    ROOMS_MUSIC_ON_HOLD: Gauge "conferencing_rooms_music_on_hold" [] source
        "Rooms that play music to people who wait.";
    ROOMS_MODERATED: Gauge "conferencing_rooms_moderated" [] source
        "Rooms with at least one moderator.";
    ROOMS_PIN_PROTECTED: Gauge "conferencing_rooms_pin_protected" [] source
        "Rooms that ask participants for a PIN.";

    CONFERENCE_PARTICIPANTS: Gauge "conferencing_conference_participants" ["conference"] source
        "Joined participants of one active conference.";
    CONFERENCE_PARTICIPANTS_MUTED: Gauge "conferencing_conference_participants_muted" ["conference"] source
        "Joined participants of one active conference whose microphone is off.";
    CONFERENCE_START_TIMESTAMP: Gauge "conferencing_conference_start_timestamp_seconds" ["conference"] source
        "When the conference started, in seconds since the epoch.";
    CONFERENCE_SERIES_DROPPED: Gauge "conferencing_conference_series_dropped" [] source
        "Active conferences without series of their own, because there are more than the configured limit.";

    UP: Gauge "conferencing_up" [] source
        "1 if every required call of this collection worked, else 0.";
    SCRAPE_DURATION: Gauge "conferencing_scrape_duration_seconds" [] source
        "How long the collection took, in seconds.";
    SCRAPE_TIMEOUT: Gauge "conferencing_scrape_timeout_seconds" [] source
        "How long the collection was allowed to take, in seconds.";
    DATA_TIMESTAMP: Gauge "conferencing_data_timestamp_seconds" [] source
        "When the values were fetched, in seconds since the epoch.";
    SOURCE_CAPABILITY: Gauge "conferencing_source_capability" ["capability"] source
        "1 if this source, as configured and as found, reports it, else 0.";

    API_REQUESTS: Counter "conferencing_api_requests_total" ["endpoint"] source
        "Requests sent to the source, by call.";
    API_ERRORS: Counter "conferencing_api_errors_total" ["reason"] source
        "Requests to the source that failed, by reason.";
    LOGINS: Counter "conferencing_logins_total" [] source
        "Logins tried.";
    LOGIN_FAILURES: Counter "conferencing_login_failures_total" [] source
        "Logins that failed.";
    LOGIN_BLOCKED: Gauge "conferencing_login_blocked" [] source
        "1 while logins are held back so that the account is not locked out, else 0.";
    TOKEN_EXPIRY: Gauge "conferencing_token_expiry_timestamp_seconds" [] source
        "When the token held for the source expires, in seconds since the epoch; absent without one.";
    SNAPSHOT_REQUESTS: Counter "conferencing_snapshot_requests_total" [] source
        "Collections asked for.";
    SNAPSHOT_HITS: Counter "conferencing_snapshot_hits_total" [] source
        "Collections answered by a young snapshot or by a collection already under way.";
    API_REQUEST_DURATION: Histogram "conferencing_api_request_duration_seconds" ["vendor", "endpoint"] exporter
        "How long requests took until the whole answer was read or given up, in seconds.";

    BUILD_INFO: Gauge "conferencing_exporter_build_info" ["version", "revision", "rustversion"] exporter
        "Always 1; the labels say what was built.";
    RELOAD_SUCCESSFUL: Gauge "conferencing_exporter_config_last_reload_successful" [] exporter
        "1 if the last load of the configuration succeeded, else 0.";
    RELOAD_SUCCESS_TIMESTAMP: Gauge "conferencing_exporter_config_last_reload_success_timestamp_seconds" [] exporter
        "When the configuration was last loaded successfully, in seconds since the epoch.";
    WEB_CONFIG_RELOAD_SUCCESSFUL: Gauge "conferencing_exporter_web_config_last_reload_successful" [] exporter
        "1 if the web configuration and its certificates could be used when last read, else 0; absent without one.";
    HTTP_REQUESTS: Counter "conferencing_exporter_http_requests_total" ["handler", "code"] exporter
        "Requests answered by the exporter, by handler and HTTP status.";

    PROCESS_CPU_SECONDS: Counter "process_cpu_seconds_total" [] exporter
        "Total user and system CPU time spent in seconds.";
    PROCESS_OPEN_FDS: Gauge "process_open_fds" [] exporter
        "Number of open file descriptors.";
    PROCESS_MAX_FDS: Gauge "process_max_fds" [] exporter
        "Maximum number of open file descriptors.";
    PROCESS_VIRTUAL_MEMORY: Gauge "process_virtual_memory_bytes" [] exporter
        "Virtual memory size in bytes.";
    PROCESS_RESIDENT_MEMORY: Gauge "process_resident_memory_bytes" [] exporter
        "Resident memory size in bytes.";
    PROCESS_START_TIME: Gauge "process_start_time_seconds" [] exporter
        "Start time of the process since unix epoch in seconds.";
    PROCESS_THREADS: Gauge "process_threads" [] exporter
        "Number of OS threads in the process.";
}

/// A family, and its series' measures with their `state` labels.
pub type Measured = (Family, &'static [(Measure, Option<&'static str>)]);

/// The families of one collection's measures.
pub const MEASURED: &[Measured] = &[
    (
        CONFERENCES,
        &[
            (Measure::ConferencesActive, Some("active")),
            (Measure::ConferencesScheduled, Some("scheduled")),
        ],
    ),
    (
        PARTICIPANTS,
        &[
            (Measure::ParticipantsJoined, Some("joined")),
            (Measure::ParticipantsWaiting, Some("waiting")),
            (Measure::ParticipantsJoining, Some("joining")),
            (Measure::ParticipantsRinging, Some("invited")),
        ],
    ),
    (PARTICIPANTS_INVITED, &[(Measure::ParticipantsInvited, None)]),
    (PARTICIPANTS_MUTED, &[(Measure::ParticipantsMuted, None)]),
    (PARTICIPANTS_MUTE_REPORTED, &[(Measure::ParticipantsMuteReported, None)]),
    (PARTICIPANTS_CAMERA_ON, &[(Measure::ParticipantsCameraOn, None)]),
    (PARTICIPANTS_HAND_RAISED, &[(Measure::ParticipantsHandRaised, None)]),
    (PARTICIPANTS_MODERATORS, &[(Measure::ParticipantsModerators, None)]),
    (LARGEST_CONFERENCE_PARTICIPANTS, &[(Measure::LargestConferenceParticipants, None)]),
    (CONFERENCES_MUTE_ON_JOIN, &[(Measure::ConferencesMuteOnJoin, None)]),
    (CONFERENCES_ALL_MUTED, &[(Measure::ConferencesAllMuted, None)]),
    (ROOMS, &[(Measure::Rooms, None)]),
    (ROOMS_MUTE_ON_JOIN, &[(Measure::RoomsMuteOnJoin, None)]),
    (ROOMS_WAIT_FOR_MODERATOR, &[(Measure::RoomsWaitForModerator, None)]),
    (ROOMS_ALLOW_INVITE, &[(Measure::RoomsAllowInvite, None)]),
    (ROOMS_MUSIC_ON_HOLD, &[(Measure::RoomsMusicOnHold, None)]),
    (ROOMS_MODERATED, &[(Measure::RoomsModerated, None)]),
    (ROOMS_PIN_PROTECTED, &[(Measure::RoomsPinProtected, None)]),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_measure_has_exactly_one_series() {
        let mut seen = HashSet::new();
        for (family, series) in MEASURED {
            for (measure, state) in *series {
                assert!(seen.insert(*measure), "{measure:?} twice");
                assert_eq!(state.is_some(), family.labels.contains(&"state"), "{}", family.name);
            }
        }
        assert_eq!(seen.len(), Measure::COUNT);
    }

    #[test]
    fn names_follow_the_conventions() {
        let mut names = HashSet::new();
        for family in FAMILIES {
            assert!(names.insert(family.name), "{} twice", family.name);
            assert_eq!(
                family.kind == Kind::Counter,
                family.name.ends_with("_total"),
                "{}",
                family.name
            );
            assert!(family.help.ends_with('.'), "{}", family.name);
        }
    }
}
