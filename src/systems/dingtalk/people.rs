//! Counting people while they are decoded.
//!
//! Names, ids and what people wrote to decline are skipped undecoded, and nothing is kept of a
//! single one of them: meetings have thousands.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor},
};

use crate::net::lenient::Count;

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
    pub(super) fn add(&mut self, other: Self) {
        self.joined += other.joined;
        self.joining += other.joining;
        self.ringing += other.ringing;
        self.muted += other.muted;
        self.mute_reported += other.mute_reported;
        self.camera_on += other.camera_on;
    }

    fn count(&mut self, attend: Option<u8>, mic: Option<u8>, camera: Option<u8>) {
        match attend {
            Some(1) => self.ringing += 1,
            Some(2) => self.joining += 1,
            Some(3) => {
                self.joined += 1;
                self.muted += u64::from(mic == Some(1));
                self.mute_reported += u64::from(matches!(mic, Some(1 | 2)));
                self.camera_on += u64::from(camera == Some(2));
            }
            // Gone, failed or not said.
            Some(_) | None => {}
        }
    }
}

impl<'de> Deserialize<'de> for People {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PeopleVisitor)
    }
}

struct PeopleVisitor;

impl<'de> Visitor<'de> for PeopleVisitor {
    type Value = People;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of users")
    }

    fn visit_unit<E: Error>(self) -> Result<People, E> {
        Ok(People::default())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<People, E> {
        if value.trim().is_empty() {
            Ok(People::default())
        } else {
            Err(E::custom("not a list of users"))
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut users: A) -> Result<People, A::Error> {
        let mut people = People::default();
        while users.next_element_seed(Row(&mut people))?.is_some() {}
        Ok(people)
    }
}

/// Decodes one user into the count.
struct Row<'a>(&'a mut People);

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut user: A) -> Result<(), A::Error> {
        let (mut attend, mut mic, mut camera) = (None, None, None);
        while let Some(key) = user.next_key()? {
            match key {
                Key::Attend => attend = status(&mut user, attend)?,
                Key::Mic => mic = status(&mut user, mic)?,
                Key::Camera => camera = status(&mut user, camera)?,
                Key::Other => {
                    user.next_value::<IgnoredAny>()?;
                }
            }
        }
        self.0.count(attend, mic, camera);
        Ok(())
    }
}

/// Decodes a status that must not have been there `before`.
#[inline]
fn status<'de, A: MapAccess<'de>>(
    user: &mut A,
    before: Option<u8>,
) -> Result<Option<u8>, A::Error> {
    if before.is_some() {
        return Err(A::Error::custom("a status is there twice"));
    }
    user.next_value::<Status>().map(|Status(status)| Some(status))
}

/// A [`Count`] that reads the usual values faster. A missing one is 0, which means undefined; an
/// unknown one is some other number without a meaning.
struct Status(u8);

impl<'de> Deserialize<'de> for Status {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatusVisitor)
    }
}

struct StatusVisitor;

impl StatusVisitor {
    #[cold]
    fn lenient<'de, E: Error>(value: impl IntoDeserializer<'de, E>) -> Result<Status, E> {
        let Count(count) = Count::deserialize(value.into_deserializer())?;
        Ok(Status(count.map_or(0, |count| u8::try_from(count).unwrap_or(u8::MAX))))
    }
}

impl Visitor<'_> for StatusVisitor {
    type Value = Status;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status")
    }

    #[inline]
    fn visit_u64<E: Error>(self, value: u64) -> Result<Status, E> {
        match u8::try_from(value) {
            Ok(status) => Ok(Status(status)),
            Err(_) => Self::lenient(value),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Status, E> {
        Self::lenient(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Status, E> {
        Self::lenient(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Status, E> {
        Self::lenient(value)
    }

    fn visit_unit<E: Error>(self) -> Result<Status, E> {
        Ok(Status(0))
    }
}

/// The keys that count.
enum Key {
    Attend,
    Mic,
    Camera,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_bytes<E: Error>(self, key: &[u8]) -> Result<Key, E> {
                Ok(match key {
                    b"attendStatus" => Key::Attend,
                    b"micStatus" => Key::Mic,
                    b"cameraStatus" => Key::Camera,
                    _ => Key::Other,
                })
            }
        }
        // As bytes: a sixth faster than as text, and keys are most of an answer.
        deserializer.deserialize_bytes(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(users: &str) -> Option<People> {
        serde_json::from_str(users).ok()
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
