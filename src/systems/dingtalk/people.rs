// SPDX-License-Identifier: Apache-2.0
//! Counting people while they are decoded.
//!
//! Names, ids and what people wrote to decline are skipped undecoded, and nothing is kept of a
//! single one of them: meetings have thousands.

use serde::Deserialize;

use crate::net::lenient::{Count, FromItems, Object};

/// People of meetings, counted by row: ids of other organisations' members are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct People {
    pub(super) joined: u64,
    pub(super) joining: u64,
    pub(super) ringing: u64,
    pub(super) muted: u64,
    pub(super) mute_reported: u64,
    pub(super) camera_on: u64,
}

impl People {
    pub(super) fn merge(&mut self, other: Self) {
        self.joined += other.joined;
        self.joining += other.joining;
        self.ringing += other.ringing;
        self.muted += other.muted;
        self.mute_reported += other.mute_reported;
        self.camera_on += other.camera_on;
    }
}

/// A row of a meeting's list. A missing status is undefined, as 0 is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    #[serde(default)]
    attend_status: Count,
    #[serde(default)]
    mic_status: Count,
    #[serde(default)]
    camera_status: Count,
}

impl FromItems<'_> for People {
    type Item = Object<User>;

    fn add(&mut self, Object(user): Object<User>) -> Result<(), &'static str> {
        match user.attend_status.0 {
            Some(1) => self.ringing += 1,
            Some(2) => self.joining += 1,
            Some(3) => {
                self.joined += 1;
                self.muted += u64::from(user.mic_status.0 == Some(1));
                self.mute_reported += u64::from(matches!(user.mic_status.0, Some(1 | 2)));
                self.camera_on += u64::from(user.camera_status.0 == Some(2));
            }
            // Gone, failed or not said.
            Some(_) | None => {}
        }
        Ok(())
    }

    fn add_the_only_one(&mut self, _: Object<User>) -> Result<(), &'static str> {
        Err("not a list of users")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::lenient::Items;

    fn people(users: &str) -> Option<People> {
        serde_json::from_str(users).ok().map(|Items(people)| people)
    }

    #[test]
    fn people_are_counted_by_row_and_state() {
        let users = r#"[
            {"userId":"","nick":"{\"attendStatus\":3}","attendStatus":3,"micStatus":1,"cameraStatus":2},
            {"userId":"","nick":"n","attendStatus":"3","micStatus":"2","cameraStatus":1},
            {"userId":null,"nick":["x",{"y":1}],"attendStatus":3.0,"micStatus":0,"cameraStatus":null},
            {"attendStatus":3},
            {"attendStatus":2,"micStatus":1,"cameraStatus":2},
            {"attendStatus":1,"rejectDescription":"no"},
            {"attendStatus":4},{"attendStatus":5},{"attendStatus":6},{"attendStatus":0},
            {"attendStatus":null,"micStatus":1},{"attendStatus":""},{"micStatus":2},{}]"#;
        let expected =
            People { joined: 4, joining: 1, ringing: 1, muted: 1, mute_reported: 2, camera_on: 1 };
        assert_eq!(people(users), Some(expected));
        for none in ["[]", "null", "\"\"", "\" \""] {
            assert_eq!(people(none), Some(People::default()), "{none}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_no_count() {
        for users in [
            "{}",
            "7",
            "\"none\"",
            "[7]",
            "[null]",
            r#"[{"attendStatus":true}]"#,
            r#"[{"attendStatus":[3]}]"#,
            r#"[{"attendStatus":3.5}]"#,
            r#"[{"attendStatus":-3}]"#,
            r#"[{"attendStatus":18446744073709551616}]"#,
            r#"[{"attendStatus":3,"attendStatus":3}]"#,
        ] {
            assert_eq!(people(users), None, "{users}");
        }
    }
}
