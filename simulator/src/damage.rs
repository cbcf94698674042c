// SPDX-License-Identifier: Apache-2.0
//! Damage to right answers that are JSON objects; one that is none is left as it is.

use serde_json::{Value, json};

/// A key no system uses.
const UNKNOWN: &str = "zzUnknown";

/// Codes that say "success": damaging them would only turn each fault into the system's failure.
const KEPT: [&str; 1] = ["errcode"];

const TOTALS: [&str; 3] = ["total_number", "count", "totalCount"];

/// The object after this change.
pub(crate) fn changed(body: &[u8], change: &dyn Fn(&mut Value)) -> Vec<u8> {
    let Some(mut value) = object(body) else { return body.to_vec() };
    change(&mut value);
    value.to_string().into_bytes()
}

/// The object with an unknown key of that raw value.
pub(crate) fn with_key(body: &[u8], raw: &[u8]) -> Vec<u8> {
    let Some(inside) = inside(body) else { return body.to_vec() };
    let comma: &[u8] = if inside.is_empty() { b"" } else { b"," };
    [b"{", inside, comma, b"\"", UNKNOWN.as_bytes(), b"\":", raw, b"}"].concat()
}

/// The object with the value of that key replaced by a raw one.
pub(crate) fn with_main(body: &[u8], keys: &[&str], raw: &[u8]) -> Vec<u8> {
    let Some(mut value) = object(body) else { return body.to_vec() };
    let key = keys
        .iter()
        .find(|key| value.get(**key).is_some())
        .or(keys.first())
        .copied()
        .unwrap_or(UNKNOWN);
    without(&mut value, keys);
    let body = value.to_string().into_bytes();
    let Some(inside) = inside(&body) else { return body };
    let comma: &[u8] = if inside.is_empty() { b"" } else { b"," };
    [b"{", inside, comma, b"\"", key.as_bytes(), b"\":", raw, b"}"].concat()
}

/// Padded with an unknown key to that many bytes.
pub(crate) fn padded(body: &[u8], size: usize) -> Vec<u8> {
    let empty = with_key(body, b"\"\"").len();
    with_key(body, format!("\"{}\"", "x".repeat(size.saturating_sub(empty))).as_bytes())
}

pub(crate) fn nested(depth: usize) -> Vec<u8> {
    [vec![b'['; depth], vec![b']'; depth]].concat()
}

/// Each top-level key twice.
pub(crate) fn twice(body: &[u8]) -> Vec<u8> {
    match inside(body) {
        Some(inside) if !inside.is_empty() => [b"{", inside, b",", inside, b"}"].concat(),
        _ => body.to_vec(),
    }
}

pub(crate) fn without(value: &mut Value, keys: &[&str]) {
    if let Value::Object(object) = value {
        object.retain(|key, _| !keys.contains(&key.as_str()));
    }
}

pub(crate) fn wrong_types(value: &mut Value) {
    let Value::Object(object) = value else { return };
    for value in object.values_mut() {
        *value = match value {
            Value::Null | Value::String(_) => json!({}),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => json!("x"),
            Value::Object(_) => json!([1]),
        };
    }
}

/// Numbers beyond 64 bits cannot be held in a [`Value`]: a mark is replaced in the text.
pub(crate) fn huge(body: &[u8]) -> Vec<u8> {
    const MARK: &str = "zzHuge";
    let Some(mut value) = object(body) else { return body.to_vec() };
    numbers(&mut value, &|_| json!(MARK));
    value.to_string().replace(&format!("\"{MARK}\""), "18446744073709551616").into_bytes()
}

pub(crate) fn negative(value: &mut Value) {
    numbers(value, &|number| json!(-1 - number.as_i64().unwrap_or_default().saturating_abs()));
}

fn numbers(value: &mut Value, change: &dyn Fn(&Value) -> Value) {
    match value {
        Value::Number(_) => *value = change(value),
        Value::Array(items) => items.iter_mut().for_each(|item| numbers(item, change)),
        Value::Object(object) => object
            .iter_mut()
            .filter(|(key, _)| !KEPT.contains(&key.as_str()))
            .for_each(|(_, value)| numbers(value, change)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The total of a list. A `count` further inside is left alone: there it is the figure asked for.
pub(crate) fn total(value: &mut Value, total: i64) {
    let Value::Object(object) = value else { return };
    for key in TOTALS {
        if let Some(value) = object.get_mut(key) {
            *value = json!(total);
        }
    }
}

/// There is always another page.
pub(crate) fn another_page(value: &mut Value) {
    total(value, 1_000_000);
    if value.get("hasMore").is_some() {
        value["hasMore"] = json!(true);
        value["nextToken"] = json!("page-1");
    }
}

/// Each item of the list twice.
pub(crate) fn duplicate(value: &mut Value, keys: &[&str]) {
    for key in keys {
        let list = match value.get_mut(*key) {
            Some(Value::Object(page)) => page.values_mut().find(|value| value.is_array()),
            list => list,
        };
        if let Some(Value::Array(items)) = list {
            *items = items.iter().flat_map(|item| [item.clone(), item.clone()]).collect();
        }
    }
}

fn inside(body: &[u8]) -> Option<&[u8]> {
    body.trim_ascii().strip_prefix(b"{")?.strip_suffix(b"}")
}

fn object(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok().filter(Value::is_object)
}
