// SPDX-License-Identifier: Apache-2.0
//! Per-conference series: which ones, and under which label.

use std::collections::{HashMap, hash_map::Entry};

use data_encoding::HEXLOWER;
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

/// Longest label made of a number or a name, in characters. Prometheus can be told to refuse all of a target for one longer
/// label (`label_value_length_limit`).
const LONGEST_LABEL: usize = 128;

impl Rows {
    /// The largest `limit` of `conferences` (ties by id), under labels that never repeat.
    pub fn new(conferences: Vec<Conference>, settings: Conferences, key: &HashKey) -> Self {
        let mut conferences = labelled(conferences, key);
        conferences.sort_by(|(_, one), (_, two)| {
            two.participants.cmp(&one.participants).then_with(|| one.id.cmp(&two.id))
        });
        let dropped = conferences.len().saturating_sub(settings.limit) as u64;
        let shown = conferences.into_iter().take(settings.limit).map(|(label, conference)| Row {
            label,
            participants: conference.participants,
            muted: conference.muted,
            started_at: conference.started_at,
        });
        Self { shown: shown.collect(), dropped }
    }
}

/// Gives each conference a label of its own.
///
/// Of several that bear the same name, the one with the first id has the name as it is, the next one `name #2`, and so on. Who
/// has which depends on the ids and names of all active conferences and on nothing else, neither on sizes nor on which of
/// them are shown: a conference keeps its series while others grow, shrink, or come to be among the largest, and replicas
/// of the exporter agree. Only when one of the same name starts or ends may those behind it move up or down.
fn labelled(mut conferences: Vec<Conference>, key: &HashKey) -> Vec<(String, Conference)> {
    conferences.sort_by(|one, two| one.id.cmp(&two.id));
    // By each label taken, the number its last bearer has: thousands may bear the same name.
    let mut taken = HashMap::with_capacity(conferences.len());
    let mut done = Vec::with_capacity(conferences.len());
    let mut later = Vec::new();
    for mut conference in conferences {
        let label = conference.label.take();
        let label = label.as_deref().map(str::trim).filter(|label| !label.is_empty());
        let label = label.map_or_else(|| keyed_hash(key, &conference.id), cut);
        match taken.entry(label) {
            Entry::Occupied(entry) => later.push((entry.key().clone(), conference)),
            Entry::Vacant(entry) => {
                done.push((entry.key().clone(), conference));
                entry.insert(1);
            }
        }
    }
    // Once all names are taken as they are: one that is called `name #2` keeps that name,
    // and the numbering skips it.
    for (label, conference) in later {
        done.push((numbered(&mut taken, label), conference));
    }
    done
}

/// The first of `label #2`, `label #3`, … that is not taken.
fn numbered(taken: &mut HashMap<String, u32>, label: String) -> String {
    let mut number = taken.get(&label).copied().unwrap_or(1) + 1;
    let mut candidate = format!("{label} #{number}");
    while taken.contains_key(&candidate) {
        number += 1;
        candidate = format!("{label} #{number}");
    }
    taken.insert(label, number);
    taken.insert(candidate.clone(), 1);
    candidate
}

/// The first [`LONGEST_LABEL`] characters.
fn cut(label: &str) -> String {
    label.chars().take(LONGEST_LABEL).collect()
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
    HEXLOWER.encode(&tag[..8])
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
    fn equal_names_are_numbered_by_id() {
        let meetings = |[one, two, three, four]: [u64; 4]| {
            vec![
                conference("1", Some("daily"), one),
                conference("2", Some("daily"), two),
                conference("3", Some("daily"), three),
                conference("4", Some("daily #2"), four),
            ]
        };
        let shown = |sizes, limit| {
            let rows = rows(meetings(sizes), limit);
            let mut shown: Vec<_> =
                rows.shown.into_iter().map(|row| (row.label, row.participants)).collect();
            shown.sort();
            shown.into_iter().map(|(label, size)| (label, size.unwrap())).collect::<Vec<_>>()
        };
        let named = |labels: &[(&str, u64)]| {
            labels.iter().map(|(label, size)| ((*label).to_owned(), *size)).collect::<Vec<_>>()
        };
        let all = [("daily", 9), ("daily #2", 6), ("daily #3", 8), ("daily #4", 7)];
        assert_eq!(shown([9, 8, 7, 6], 10), named(&all));
        // Sizes change nothing, nor does who is shown.
        let all = [("daily", 6), ("daily #2", 9), ("daily #3", 7), ("daily #4", 8)];
        assert_eq!(shown([6, 7, 8, 9], 10), named(&all));
        assert_eq!(shown([6, 7, 8, 9], 2), named(&[("daily #2", 9), ("daily #4", 8)]));
    }

    #[test]
    fn a_long_name_is_cut_to_whole_characters() {
        let long = "é".repeat(5_000);
        let rows = rows(vec![conference("1", Some(&long), 1), conference("2", Some(&long), 2)], 10);
        let cut = "é".repeat(128);
        assert_eq!(labels(&rows), [format!("{cut} #2"), cut]);
    }

    #[test]
    fn without_a_label_the_hash_of_the_id_stands() {
        let rows = rows(vec![conference("914083136", None, 1), conference("1", Some(" "), 0)], 10);
        for row in &rows.shown {
            assert_eq!(row.label.len(), 16);
            assert!(row.label.bytes().all(|b| b.is_ascii_hexdigit()));
        }
        assert_ne!(rows.shown[0].label, rows.shown[1].label);
        assert_eq!(labels(&rows)[0], labels(&rows)[0].to_lowercase());
    }
}
