// SPDX-License-Identifier: Apache-2.0
//! The JSON Schema and the key reference of `exporter.yaml`, both from the tables of keys.

use serde_json::{Map, Value, json};

use super::{
    Profile, Transport,
    duration::{format_duration, format_size},
    keys::{
        BASE_URL, CAPACITY_KEYS, COMMON, CONFERENCE_KEYS, DEFAULT_KEYS, Key, Kind, Login, NAME,
        TLS_KEYS, TOP, VENDOR, secret_names,
    },
};
use crate::metrics;

/// The kinds of systems the schema is for.
type Profiles<'a> = &'a [&'static Profile];

/// JSON Schema (draft 2020-12) of `exporter.yaml`, for editors and CI.
///
/// What a schema cannot say (unique names, bounds of a duration, files that exist) only
/// [`super::Config::load`] checks.
pub fn schema(profiles: &[&'static Profile]) -> Value {
    let mut defs = Map::new();
    defs.insert("source".to_owned(), source(profiles));
    for profile in profiles {
        defs.insert(profile.name.to_owned(), system_source(profile, profiles));
    }
    let mapping = |keys| mapping(keys, None, profiles);
    defs.insert("defaults".to_owned(), mapping(DEFAULT_KEYS));
    defs.insert("capacity".to_owned(), mapping(CAPACITY_KEYS));
    defs.insert("conferences".to_owned(), mapping(CONFERENCE_KEYS));
    let mut tls = mapping(TLS_KEYS);
    tls["dependentRequired"] = json!({ "cert_file": ["key_file"], "key_file": ["cert_file"] });
    defs.insert("tls".to_owned(), tls);
    for (list, keys) in lists(profiles) {
        let mut entry = mapping(keys);
        require(&mut entry, keys);
        defs.insert(singular(list).to_owned(), entry);
    }

    let mut top = mapping(TOP);
    let fixed: Vec<_> = profiles
        .iter()
        .filter(|profile| profile.base_url.is_none())
        .map(|profile| profile.name)
        .collect();
    let needs_url = json!({
        "if": { "properties": { "vendor": { "enum": fixed } }, "required": ["vendor"] },
        "then": { "required": ["base_url"] },
    });
    top["required"] = json!(["sources"]);
    top["allOf"] = json!([
        unless_default("vendor", &json!({ "required": ["vendor"] })),
        unless_default("base_url", &needs_url),
    ]);
    top["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    top["title"] = json!("conferencing_exporter configuration");
    top["$defs"] = Value::Object(defs);
    top
}

/// The lists of mappings that systems have, each with the keys of an entry.
fn lists(profiles: Profiles<'_>) -> Vec<(&'static Key, &'static [&'static Key])> {
    let mut lists: Vec<(&Key, &[&Key])> = Vec::new();
    for key in profiles.iter().flat_map(|profile| profile.own()) {
        let is_known = lists.iter().any(|(known, _)| known.name == key.name);
        if !key.entry_keys().is_empty() && !is_known {
            lists.push((key, key.entry_keys()));
        }
    }
    lists
}

/// A list's items are named in the singular: sources of source, hosts of host.
fn singular(list: &Key) -> &'static str {
    list.name.trim_end_matches('s')
}

/// The key reference in Markdown: a table for the common keys and one for each kind of system,
/// whose first rows are the common keys' defaults that depend on it.
pub fn reference(profiles: &[&'static Profile]) -> String {
    let mut tables = Tables { text: String::new(), profiles };
    tables.push("Every source", COMMON, &[&NAME, &VENDOR], |key| key.default);
    tables.push("`tls`", TLS_KEYS, &[], |key| key.default);
    tables.push("`capacity`", CAPACITY_KEYS, &[], |key| key.default);
    tables.push("`conferences`", CONFERENCE_KEYS, &[], |key| key.default);
    for profile in profiles {
        let own = |key: &Key| profile.default_of(key) != key.default || key.name == BASE_URL.name;
        let keys: Vec<_> =
            COMMON.iter().copied().filter(|key| own(key)).chain(profile.own()).collect();
        let mut required = if profile.is_cloud() { vec![] } else { vec![&BASE_URL] };
        let ways: Vec<_> = profile.logins.iter().map(Login::describe).collect();
        if let [only] = profile.logins {
            required.extend(only.required);
        }
        let title = format!("`{profile}`: log in with {}", ways.join("; or "));
        tables.push(&title, &keys, &required, |key| profile.default_of(key));
    }
    for (list, keys) in lists(profiles) {
        tables.push(&format!("An entry of `{}`", list.name), keys, keys, |key| key.default);
    }
    let mut text = tables.text;
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// The tables of the reference, one below the other.
struct Tables<'a> {
    text: String,
    profiles: Profiles<'a>,
}

impl Tables<'_> {
    fn push(
        &mut self,
        title: &str,
        keys: &[&Key],
        required: &[&Key],
        default: impl Fn(&Key) -> Option<&'static str>,
    ) {
        self.text.push_str(&format!(
            "**{title}**\n\n| Key | Value | Default | Meaning |\n|---|---|---|---|\n"
        ));
        for key in keys {
            let default = match default(key) {
                _ if required.iter().any(|known| known.name == key.name) => "required".to_owned(),
                Some("") => "empty".to_owned(),
                Some(value) => format!("`{value}`"),
                None => String::new(),
            };
            let (name, words, doc) = (key.name, words(key, self.profiles), key.doc);
            self.text.push_str(&format!("| `{name}` | {words} | {default} | {doc} |\n"));
        }
        self.text.push('\n');
    }
}

/// What a key takes, for people.
fn words(key: &Key, profiles: Profiles<'_>) -> String {
    match &key.kind {
        Kind::Name(..) => "1 to 63 letters, digits, `_`, `.`, `-`".to_owned(),
        Kind::Vendor => {
            profiles.iter().map(|profile| format!("`{profile}`")).collect::<Vec<_>>().join(", ")
        }
        Kind::BaseUrl | Kind::ProxyUrl => "URL".to_owned(),
        Kind::ApiPath => "path".to_owned(),
        Kind::Labels => "mapping of label names to text".to_owned(),
        Kind::Duration(min, max) => {
            format!("duration, {} to {}", format_duration(*min), format_duration(*max))
        }
        Kind::Size(min, max) => format!("size, {} to {}", format_size(*min), format_size(*max)),
        Kind::Integer(min, max) => format!("{min} to {max}"),
        Kind::Flag => "`true`, `false`".to_owned(),
        Kind::Choice(all) => quoted(all),
        Kind::Choices(all) => format!("list of {}", quoted(all)),
        Kind::Text | Kind::Id(..) => "text".to_owned(),
        Kind::Ids(..) => "list of text".to_owned(),
        Kind::File => "path of a file".to_owned(),
        Kind::Secret => "secret: itself, `_file` or `_env`".to_owned(),
        Kind::Section(_) => "mapping, see there".to_owned(),
        Kind::Sections(_) => "list of mappings, see there".to_owned(),
    }
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Applies to every source if `defaults` does not have the key.
fn unless_default(key: &str, rule: &Value) -> Value {
    json!({
        "if": { "properties": { "defaults": { "required": [key] } }, "required": ["defaults"] },
        "else": { "properties": { "sources": { "items": rule } } },
    })
}

/// A source of any kind of system: which keys it has depends on `vendor`.
fn source(profiles: Profiles<'_>) -> Value {
    let by_vendor: Vec<Value> = profiles
        .iter()
        .map(|profile| {
            let name = profile.name;
            json!({
                "if": { "properties": { "vendor": { "const": name } }, "required": ["vendor"] },
                "then": { "$ref": format!("#/$defs/{name}") },
            })
        })
        .collect();
    json!({
        "type": "object",
        "properties": properties(COMMON, None, profiles),
        "required": ["name"],
        "allOf": by_vendor,
    })
}

fn system_source(profile: &'static Profile, profiles: Profiles<'_>) -> Value {
    let keys: Vec<&Key> = COMMON.iter().copied().chain(profile.own()).collect();
    let mut source = mapping(&keys, Some(profile), profiles);
    source["description"] = json!(profile.title);
    let logins: Vec<Value> =
        profile.logins.iter().map(|login| login_rule(login, profile.logins)).collect();
    let mut rules = match <[Value; 1]>::try_from(logins) {
        Ok([only]) => vec![only],
        Err(several) => vec![json!({ "oneOf": several })],
    };
    rules.push(match profile.transport {
        Transport::Http { .. } => json!({
            "not": {
                "properties": { "tls": { "required": ["server_name"] } },
                "required": ["proxy_url", "tls"],
            },
        }),
        Transport::Lines { .. } => json!({ "not": { "required": ["proxy_url"] } }),
    });
    if keys.iter().any(|key| key.name == "discover") {
        let mut given = vec![json!({
            "properties": { "conference_ids": { "minItems": 1 } },
            "required": ["conference_ids"],
        })];
        if keys.iter().any(|key| key.name == "conference_ids_file") {
            given.push(json!({ "required": ["conference_ids_file"] }));
        }
        rules.push(json!({
            "if": { "properties": { "discover": { "const": false } }, "required": ["discover"] },
            "then": { "anyOf": given },
        }));
    }
    source["allOf"] = json!(rules);
    source
}

/// All keys of one login, none of another.
fn login_rule(login: &'static Login, all: &'static [Login]) -> Value {
    let mut rule = json!({});
    require(&mut rule, login.required);
    let own: Vec<String> = login.keys().flat_map(Key::names).collect();
    let foreign: Vec<Value> = all
        .iter()
        .flat_map(Login::keys)
        .flat_map(Key::names)
        .filter(|name| !own.contains(name))
        .map(|name| json!({ "required": [name] }))
        .collect();
    if !foreign.is_empty() {
        rule["not"] = json!({ "anyOf": foreign });
    }
    rule
}

/// Requires the keys; a secret in exactly one of its forms.
fn require(schema: &mut Value, keys: &[&Key]) {
    let is_secret = |key: &&&Key| matches!(key.kind, Kind::Secret);
    let plain: Vec<_> = keys.iter().filter(|key| !is_secret(key)).map(|key| key.name).collect();
    let secrets: Vec<_> = keys
        .iter()
        .filter(is_secret)
        .map(|key| json!({ "oneOf": secret_names(key.name).map(|name| json!({ "required": [name] })) }))
        .collect();
    schema["required"] = json!(plain);
    schema["allOf"] = json!(secrets);
}

fn mapping(keys: &[&Key], profile: Option<&Profile>, profiles: Profiles<'_>) -> Value {
    json!({
        "type": "object",
        "properties": properties(keys, profile, profiles),
        "additionalProperties": false,
    })
}

fn properties(keys: &[&Key], profile: Option<&Profile>, profiles: Profiles<'_>) -> Value {
    let mut properties = Map::new();
    for key in keys {
        if matches!(key.kind, Kind::Secret) {
            let [literal, file, env] = secret_names(key.name);
            let text =
                |doc: String| json!({ "type": "string", "pattern": "\\S", "description": doc });
            let one = "Exactly one of the three forms must be given.";
            properties.insert(literal, text(format!("{} {one}", key.doc)));
            let doc = format!("{} From a file, read again at each login. {one}", key.doc);
            properties.insert(file, text(doc));
            let doc = format!("{} From this environment variable. {one}", key.doc);
            properties.insert(env, text(doc));
            continue;
        }
        let mut property = kind(key, profile, profiles);
        property["description"] = json!(key.doc);
        let default = profile.map_or(key.default, |profile| profile.default_of(key));
        if let Some(default) = default {
            let is_json = matches!(key.kind, Kind::Flag | Kind::Integer(..));
            property["default"] = if let Kind::Choices(words) = key.kind {
                json!(words)
            } else if is_json {
                default.parse().unwrap_or(Value::Null)
            } else {
                json!(default)
            };
        }
        properties.insert(key.name.to_owned(), property);
    }
    Value::Object(properties)
}

fn kind(key: &Key, profile: Option<&Profile>, profiles: Profiles<'_>) -> Value {
    match &key.kind {
        Kind::Vendor => {
            let names: Vec<_> = profiles.iter().map(|profile| profile.name).collect();
            json!({ "enum": names })
        }
        Kind::BaseUrl => {
            let http = "https?://[^/@?#\\s]+(/[^@?#\\s]*)?";
            let lines = "(tcp|tls)://[^/@?#\\s]+:[0-9]+/?";
            let pattern = match profile.map(|profile| profile.transport) {
                Some(Transport::Http { .. }) => format!("^{http}$"),
                Some(Transport::Lines { .. }) => format!("^{lines}$"),
                None => format!("^({http}|{lines})$"),
            };
            json!({ "type": "string", "pattern": pattern })
        }
        Kind::ProxyUrl => {
            json!({ "type": "string", "pattern": "^(https?|socks5h?)://[^/?#\\s]+/?$" })
        }
        Kind::ApiPath => {
            json!({ "type": "string", "pattern": "^(?!.*(//|\\.\\.))[A-Za-z0-9_.~/-]*$" })
        }
        Kind::Labels => {
            let taken = [&metrics::label_names()[..], &metrics::LABELS_OF_TARGETS].concat();
            json!({
                "type": "object",
                "propertyNames": {
                    "pattern": "^(?!__)[A-Za-z_][A-Za-z0-9_]*$",
                    "not": { "enum": taken },
                },
                "additionalProperties": { "type": "string", "pattern": "\\S" },
            })
        }
        Kind::Duration(min, _) => {
            let some = if min.is_zero() { "(?=.)" } else { "(?=.*[1-9])" };
            let units = "([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?";
            json!({ "type": "string", "pattern": format!("^{some}{units}$") })
        }
        Kind::Size(min, max) => json!({
            "anyOf": [
                { "type": "integer", "minimum": min, "maximum": max },
                { "type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB)?$" },
            ],
        }),
        Kind::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::Choices(words) => {
            json!({ "type": "array", "items": { "enum": words }, "minItems": 1 })
        }
        Kind::Text | Kind::File | Kind::Secret => json!({ "type": "string", "pattern": "\\S" }),
        Kind::Name(marks, longest) | Kind::Id(marks, longest) => id(marks, *longest),
        Kind::Ids(marks, longest) => json!({ "type": "array", "items": id(marks, *longest) }),
        Kind::Section(_) => json!({ "$ref": format!("#/$defs/{}", key.name) }),
        Kind::Sections(_) => {
            let item = format!("#/$defs/{}", singular(key));
            json!({ "type": "array", "items": { "$ref": item } })
        }
    }
}

fn id(marks: &str, longest: usize) -> Value {
    // A dash must come last in a character class; the allowed characters have no other special meaning there.
    let marks = if marks.contains('-') { marks.replace('-', "") + "-" } else { marks.to_owned() };
    json!({ "type": "string", "pattern": format!("^[A-Za-z0-9{marks}]{{1,{longest}}}$") })
}
