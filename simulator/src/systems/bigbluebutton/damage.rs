// SPDX-License-Identifier: Apache-2.0
//! Damage to answers in XML, in the places where that to JSON would strike.

use crate::fault::Fault;

/// An element no system has.
const UNKNOWN: &str = "zzUnknown";
const END: &str = "</response>";

/// The answer after this fault; `None`: the fault is not about what an answer holds.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most faults are those of a connection, a status or a page"
)]
pub(super) fn damaged(fault: &Fault, right: &str) -> Option<Vec<u8>> {
    let text = match fault {
        Fault::Large(size) => {
            let empty = with_element(right, b"").len();
            return Some(with_element(right, "x".repeat(size.saturating_sub(empty)).as_bytes()));
        }
        Fault::InvalidUtf8 => return Some(with_element(right, b"\xff\xfe\xc3")),
        Fault::ForeignText => return Some(with_element(right, b"\xbb\xe1\xd2\xe9")),
        Fault::DeepNesting(depth) => {
            right.replacen("<attendees>", &format!("<attendees>{}", nested(*depth)), 1)
        }
        Fault::DeepNestingIgnoredKey(depth) => {
            return Some(with_element(right, nested(*depth).as_bytes()));
        }
        Fault::WrongTypes => counts(right, |_| "x".to_owned()),
        Fault::NotJson => counts(right, |_| "NaN".to_owned()),
        Fault::HugeNumbers => counts(right, |_| "18446744073709551616".to_owned()),
        Fault::NegativeNumbers => counts(right, |count| format!("-{count}1")),
        Fault::MissingKey => right.replace("participantCount>", "anotherCount>"),
        Fault::DuplicateKeys => {
            right.replace("</returncode>", "</returncode><returncode>SUCCESS</returncode>")
        }
        Fault::DuplicateItems => twice(right),
        _ => return None,
    };
    Some(text.into_bytes())
}

fn with_element(right: &str, content: &[u8]) -> Vec<u8> {
    let head = right.strip_suffix(END).unwrap_or(right).as_bytes();
    let (start, end) = (format!("<{UNKNOWN}>"), format!("</{UNKNOWN}>{END}"));
    [head, start.as_bytes(), content, end.as_bytes()].concat()
}

/// A level takes seven bytes here and two in JSON: no more of them than the tests' limits let through.
fn nested(depth: usize) -> String {
    let depth = depth.min(20_000);
    format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth))
}

/// With each count of participants replaced.
fn counts(right: &str, change: impl Fn(&str) -> String) -> String {
    const START: &str = "<participantCount>";
    let mut parts = right.split(START);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (count, rest) = part.split_at(part.find('<').unwrap_or(part.len()));
        text.push_str(&format!("{START}{}{rest}", change(count)));
    }
    text
}

/// With each meeting given twice.
fn twice(right: &str) -> String {
    let Some((head, rest)) = right.split_once("<meetings>") else { return right.to_owned() };
    let Some((meetings, tail)) = rest.rsplit_once("</meetings>") else { return right.to_owned() };
    format!("{head}<meetings>{meetings}{meetings}</meetings>{tail}")
}
