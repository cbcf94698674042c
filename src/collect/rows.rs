//! Per-conference series: which ones, and under which label.

use std::collections::HashMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{config::Conferences, model::Conference, session::HashKey};

/// One conference as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Value of the `conference` label, unique in its source.
    pub label: String,
    /// Joined participants, where reported.
    pub participants: Option<u64>,
    /// Joined participants whose microphone is off, where reported.
    pub muted: Option<u64>,
    /// Start, in seconds since the epoch, where reported.
    pub started_at: Option<i64>,
}

/// The conferences shown, and how many are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The largest ones first.
    pub shown: Vec<Row>,
    /// How many there are besides.
    pub dropped: u64,
}

impl Rows {
    /// The largest `limit` of `conferences` (ties by id), under labels that never repeat.
    pub fn new(mut conferences: Vec<Conference>, settings: Conferences, key: &HashKey) -> Self {
        conferences.sort_by(|one, two| {
            two.participants.cmp(&one.participants).then_with(|| one.id.cmp(&two.id))
        });
        let dropped = conferences.len().saturating_sub(settings.limit) as u64;
        conferences.truncate(settings.limit);
        let mut taken = HashMap::with_capacity(conferences.len());
        let shown = conferences
            .into_iter()
            .map(|conference| {
                let label = conference.label.filter(|label| !label.is_empty());
                let label = label.unwrap_or_else(|| keyed_hash(key, &conference.id));
                Row {
                    label: unique(&mut taken, label),
                    participants: conference.participants,
                    muted: conference.muted,
                    started_at: conference.started_at,
                }
            })
            .collect();
        Self { shown, dropped }
    }
}

/// `label`, or the first of `label #2`, `label #3`, … that is not taken.
///
/// `taken` remembers the last number of each label: thousands may bear the same name.
fn unique(taken: &mut HashMap<String, u32>, label: String) -> String {
    let Some(last) = taken.get(&label).copied() else {
        taken.insert(label.clone(), 1);
        return label;
    };
    let mut number = last + 1;
    let mut candidate = format!("{label} #{number}");
    while taken.contains_key(&candidate) {
        number += 1;
        candidate = format!("{label} #{number}");
    }
    taken.insert(label, number);
    taken.insert(candidate.clone(), 1);
    candidate
}

fn keyed_hash(key: &HashKey, id: &str) -> String {
    let tag = match Hmac::<Sha256>::new_from_slice(key.as_slice()) {
        Ok(mut mac) => {
            mac.update(id.as_bytes());
            mac.finalize().into_bytes()
        }
        // HMAC takes keys of any length.
        Err(_) => return String::new(),
    };
    tag.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Identify;

    fn conference(id: &str, label: Option<&str>, participants: u64) -> Conference {
        Conference {
            id: id.to_owned(),
            label: label.map(str::to_owned),
            participants: Some(participants),
            muted: None,
            started_at: None,
        }
    }

    fn rows(conferences: Vec<Conference>, limit: usize) -> Rows {
        let settings = Conferences { enabled: true, limit, identify: Identify::Name };
        Rows::new(conferences, settings, &HashKey::new([7; 32]))
    }

    fn labels(rows: &Rows) -> Vec<&str> {
        rows.shown.iter().map(|row| row.label.as_str()).collect()
    }

    #[test]
    fn shows_the_largest_and_counts_the_rest() {
        let rows = rows(
            vec![
                conference("c", Some("c"), 2),
                conference("b", Some("b"), 5),
                conference("a", Some("a"), 2),
            ],
            2,
        );
        assert_eq!(labels(&rows), ["b", "a"]);
        assert_eq!(rows.dropped, 1);
    }

    #[test]
    fn labels_never_repeat() {
        let rows = rows(
            vec![
                conference("1", Some("daily"), 9),
                conference("2", Some("daily #2"), 8),
                conference("3", Some("daily"), 7),
                conference("4", Some("daily"), 6),
            ],
            10,
        );
        assert_eq!(labels(&rows), ["daily", "daily #2", "daily #3", "daily #4"]);
    }

    #[test]
    fn without_a_label_the_hash_of_the_id_stands() {
        let rows = rows(vec![conference("914083136", None, 1), conference("1", Some(""), 0)], 10);
        for row in &rows.shown {
            assert_eq!(row.label.len(), 16);
            assert!(row.label.bytes().all(|b| b.is_ascii_hexdigit()));
        }
        assert_ne!(rows.shown[0].label, rows.shown[1].label);
        assert_eq!(labels(&rows)[0], labels(&rows)[0].to_lowercase());
    }
}
