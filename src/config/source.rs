// SPDX-License-Identifier: Apache-2.0
//! One source: the common keys, and the system's own by its [`Profile`].

use std::{collections::BTreeMap, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};
use zeroize::Zeroizing;

use super::{
    Capacity, Conferences, Identify, Kept, Profile, ProxyUrl, Reading, Source, Tls, Transport,
    file::Value,
    keys::{self, Key},
    login::login,
    section::{Place, Section, text_at},
    tls,
};
use crate::metrics;

/// Checks `defaults`, whether or not a source uses it.
pub(super) fn check_defaults(section: &Section<'_>) {
    section.check_keys(keys::DEFAULT_KEYS, |name| match name {
        "name" => Some("names are unique: give each source its own".to_owned()),
        name => {
            owner_hint(section, name, None).map(|hint| format!("{hint}; set it at each source"))
        }
    });
    profile_of(section);
    Common::read(section, None);
}

/// The name of a source, and the source unless a problem was reported.
///
/// A duplicate name is worth reporting even where the source is otherwise broken.
pub(super) fn read(section: &Section<'_>) -> Option<(String, Option<Source>)> {
    let profile = profile_of(section);
    check_keys(section, profile);
    if section.find(&keys::VENDOR).is_none() {
        let allowed = names(section).join(", ");
        section.missing(&keys::VENDOR, &format!("missing; allowed: {allowed}"));
    }
    let name = section.own(keys::NAME.name).and_then(|_| section.text(&keys::NAME));
    if section.own(keys::NAME.name).is_none() {
        section.missing(&keys::NAME, "missing");
    }
    let common = Common::read(section, profile);
    let needs_url = profile.is_some_and(|profile| profile.base_url.is_none());
    if needs_url && section.find(&keys::BASE_URL).is_none() {
        section.missing(&keys::BASE_URL, "missing");
    }
    if let Some(url) = &common.base_url {
        warn_of_no_effect(section, url, common.proxy_url.as_ref());
    }
    let settings = profile.and_then(|profile| {
        let login = login(section, profile.logins);
        let settings = (profile.read)(&Reading {
            section,
            login,
            base_url: common.base_url.as_ref(),
            min_interval: common.min_interval,
        })?;
        Some(settings.keeping(Kept::read(section, profile, login?)))
    });
    let name = name?;
    let needed = (|| Some((profile?, settings?, common.base_url?)))();
    let source = needed.map(|(profile, settings, base_url)| Source {
        name: name.clone(),
        profile,
        base_url,
        api_path: common.api_path,
        labels: common.labels,
        timeout: common.timeout,
        min_interval: common.min_interval,
        max_concurrency: common.max_concurrency,
        max_response_bytes: common.max_response_bytes,
        tls: common.tls,
        proxy_url: common.proxy_url,
        capacity: common.capacity,
        conferences: common.conferences,
        settings,
    });
    Some((name, source))
}

/// The names of all kinds of systems.
fn names<'t>(section: &Section<'t>) -> Vec<&'t str> {
    section.report().profiles.iter().map(|profile| profile.name).collect()
}

/// The kind of system, if given and known; an unknown one is reported.
fn profile_of(section: &Section<'_>) -> Option<&'static Profile> {
    let name = section.one_of(&keys::VENDOR, &names(section))?;
    section.report().profiles.iter().copied().find(|profile| profile.name == name)
}

fn check_keys(section: &Section<'_>, profile: Option<&Profile>) {
    let own: Vec<&Key> = match profile {
        Some(profile) => profile.own().collect(),
        // Which keys belong here is not known; only what belongs nowhere is wrong.
        None => section.report().profiles.iter().flat_map(|profile| profile.own()).collect(),
    };
    let known: Vec<&Key> = keys::COMMON.iter().copied().chain(own).collect();
    section.check_keys(&known, |name| owner_hint(section, name, profile));
}

/// Says whose key it is, if it is another system's.
fn owner_hint(section: &Section<'_>, name: &str, profile: Option<&Profile>) -> Option<String> {
    let owns = |profile: &&&Profile| profile.own().any(|key| key.is_named(name));
    let owners: Vec<_> =
        section.report().profiles.iter().filter(owns).map(|profile| profile.name).collect();
    if owners.is_empty() {
        return None;
    }
    let not = profile.map(|profile| format!(", not of {profile}")).unwrap_or_default();
    Some(format!("it is a key of {}{not}", owners.join(", ")))
}

/// The common keys of a source but `name` and `vendor`.
struct Common {
    base_url: Option<Url>,
    api_path: String,
    labels: BTreeMap<String, String>,
    timeout: Duration,
    min_interval: Duration,
    max_concurrency: usize,
    max_response_bytes: u64,
    tls: Tls,
    proxy_url: Option<ProxyUrl>,
    capacity: Capacity,
    conferences: Conferences,
}

impl Common {
    fn read(section: &Section<'_>, profile: Option<&Profile>) -> Self {
        let default = |key: &Key| profile.and_then(|profile| profile.default_of(key));
        let base_url = match section.find(&keys::BASE_URL) {
            Some(place) => base_url(section, &place, profile),
            None => default(&keys::BASE_URL).and_then(|url| Url::parse(url).ok()),
        };
        let tls = tls::read(section);
        warn_of_clear_text(section, base_url.as_ref());
        let api_path = api_path(section)
            .or_else(|| default(&keys::API_PATH).map(str::to_owned))
            .unwrap_or_default();
        check_no_api_path(section, base_url.as_ref(), &api_path);
        let proxy_url = proxy_url(section, &tls, profile);
        check_roots(section, base_url.as_ref(), proxy_url.as_ref(), &tls);
        Self {
            api_path,
            labels: labels_of(section),
            timeout: section.duration(&keys::TIMEOUT),
            min_interval: section.duration_or(&keys::MIN_INTERVAL, default(&keys::MIN_INTERVAL)),
            max_concurrency: usize::try_from(section.integer(&keys::MAX_CONCURRENCY)).unwrap_or(1),
            max_response_bytes: section.size(&keys::MAX_RESPONSE_BYTES),
            proxy_url,
            capacity: capacity(section),
            conferences: conferences(section),
            base_url,
            tls,
        }
    }
}

/// Says which keys of a source do nothing, because of the scheme of its address.
fn warn_of_no_effect(section: &Section<'_>, url: &Url, proxy: Option<&ProxyUrl>) {
    let scheme = url.scheme();
    let has_no_paths = matches!(scheme, "tcp" | "tls");
    let has_no_tls = !meets_tls(url, proxy);
    for (key, has_no_effect) in [(&keys::TLS, has_no_tls), (&keys::API_PATH, has_no_paths)] {
        if let Some(place) = section.own(key.name).filter(|_| has_no_effect) {
            let message = format!("`{}` has no effect: `base_url` is {scheme}", key.name);
            section.report().warning(place.node.position, &place.path, &message, None);
        }
    }
}

/// The address of a system; of any kind where `profile` is not known.
fn base_url(section: &Section<'_>, place: &Place<'_>, profile: Option<&Profile>) -> Option<Url> {
    let text = section.text(&keys::BASE_URL)?;
    let lines = profile.filter(|profile| matches!(profile.transport, Transport::Lines { .. }));
    let like = match lines {
        Some(profile) => format!("write it like `tcp://192.0.2.10:{}`", profile.usual_port),
        None => "write it like `https://192.0.2.10:8088`".to_owned(),
    };
    let like = like.as_str();
    let [no_such_url, no_such_scheme] = match lines {
        Some(_) => ["not a tcp or tls URL", "the scheme is neither tcp nor tls"],
        None => ["not an http or https URL", "the scheme is neither http nor https"],
    };
    let wrong = |message: &str, remedy: &str| {
        section.report().error(place.node.position, &place.path, message, Some(remedy));
        None
    };
    if !text.contains("://") {
        return wrong(no_such_url, like);
    }
    let Ok(mut url) = Url::parse(&text) else { return wrong("not a URL", like) };
    let has_scheme = match profile {
        Some(profile) => profile.transport.schemes().contains(&url.scheme()),
        None => matches!(url.scheme(), "http" | "https" | "tcp" | "tls"),
    };
    if !has_scheme {
        return wrong(no_such_scheme, like);
    }
    // `https:///path` parses, with the path's first part as host.
    if text.split_once("://").is_some_and(|(_, rest)| rest.starts_with('/')) {
        return wrong("the URL has no host", like);
    }
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return wrong("a URL with a user or a password", "use the keys for credentials");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("a URL with a query or a fragment", "end it with the host or a path");
    }
    if url.port() == Some(0) {
        return wrong("no system has port 0", like);
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    if matches!(url.scheme(), "tcp" | "tls") {
        if !path.is_empty() {
            return wrong("a tcp or tls URL with a path", "end it with the port");
        }
        if url.port().is_none() {
            return wrong("the URL has no port", like);
        }
        // The parser takes the host of a scheme it does not know as it is.
        let host = host_of(&url).and_then(|host| url.set_host(Some(&host.to_string())).ok());
        if host.is_none() {
            return wrong("not a host name or address", like);
        }
    }
    Some(url)
}

/// The host of a URL of any scheme.
fn host_of(url: &Url) -> Option<Host> {
    Host::parse(url.host_str()?).ok()
}

fn warn_of_clear_text(section: &Section<'_>, url: Option<&Url>) {
    let (Some(url), Some(place)) = (url, section.find(&keys::BASE_URL)) else { return };
    let (message, remedy) = match url.scheme() {
        "http" => ("credentials travel in clear text over http", "use https"),
        "tcp" => ("logins and answers travel in clear text over tcp", "use tls"),
        _ => return,
    };
    if !is_loopback(url) {
        section.report().warning(place.node.position, &place.path, message, Some(remedy));
    }
}

/// The address is often copied with the path of the API, or with a part of it: some systems' own
/// tools print it so.
fn check_no_api_path(section: &Section<'_>, url: Option<&Url>, api_path: &str) {
    let Some(url) = url.filter(|url| matches!(url.scheme(), "http" | "https")) else { return };
    let segments = |path: &str| -> Vec<String> {
        path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let (path, api) = (segments(url.path()), segments(api_path));
    let doubled = (1..=api.len()).rev().find(|length| path.ends_with(&api[..*length]));
    if let Some(length) = doubled {
        let part = api[..length].join("/");
        let which = if length == api.len() { "is" } else { "is the beginning of" };
        let message = format!("ends in `/{part}`, which {which} `api_path`");
        let remedy = format!("end it before that: `{api_path}` is added to it");
        section.error(&keys::BASE_URL, &message, Some(&remedy));
    }
}

/// Without `ca_file` the machine's own root certificates must be there.
fn check_roots(section: &Section<'_>, url: Option<&Url>, proxy: Option<&ProxyUrl>, tls: &Tls) {
    let is_tls = url.is_some_and(|url| meets_tls(url, proxy));
    let needs_roots = is_tls && tls.ca_file.is_none() && !tls.insecure_skip_verify;
    if needs_roots && !section.report().has_roots() {
        let message = "this machine has no root certificates to verify the system's with";
        let remedy = "install ca-certificates, or name the certificate to trust with `tls.ca_file`";
        section.unready(&keys::BASE_URL, message, Some(remedy));
    }
}

/// Whether the system at `url`, or the proxy before it, is reached by TLS.
fn meets_tls(url: &Url, proxy: Option<&ProxyUrl>) -> bool {
    matches!(url.scheme(), "https" | "tls")
        || proxy.is_some_and(|proxy| proxy.0.expose_secret().starts_with("https:"))
}

/// Whether the URL leads to this machine itself.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match host_of(url) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn api_path(section: &Section<'_>) -> Option<String> {
    let place = section.find(&keys::API_PATH)?;
    // Here, and only here, empty means something: no prefix.
    if let Value::Scalar(scalar) = &place.node.value
        && !scalar.plain
        && scalar.text.is_empty()
    {
        return Some(String::new());
    }
    let text = section.text(&keys::API_PATH)?;
    let path = text.trim_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '/');
    if !path.chars().all(plain)
        || path.split('/').any(|part| matches!(part, "." | ".."))
        || path.contains("//")
    {
        let message = "not a path prefix";
        let remedy = Some("write it like `/api/v2.0.0`, without query or `..`");
        section.report().error(place.node.position, &place.path, message, remedy);
        return None;
    }
    Some(if path.is_empty() { String::new() } else { format!("/{path}") })
}

/// Labels of `defaults`, and over them the source's own.
fn labels_of(section: &Section<'_>) -> BTreeMap<String, String> {
    let mut labels = match section.fallback() {
        Some(defaults) => labels_of(defaults),
        None => BTreeMap::new(),
    };
    let Some(place) = section.own(keys::LABELS.name) else { return labels };
    let Some(entries) = Section::open(section.report(), &place) else { return labels };
    for (name, at, place) in entries.entries() {
        match label_fault(name) {
            Some((message, remedy)) => {
                section.report().error(at, &place.path, message, Some(&remedy));
            }
            None => {
                if let Some(value) = text_at(section.report(), &place) {
                    labels.insert(name.to_owned(), value);
                }
            }
        }
    }
    labels
}

fn label_fault(name: &str) -> Option<(&'static str, String)> {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let valid = name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit());
    if !valid {
        let remedy = "use letters, digits and `_`, not starting with a digit".to_owned();
        return Some(("not a label name", remedy));
    }
    if name.starts_with("__") {
        let remedy = "names starting with `__` belong to Prometheus".to_owned();
        return Some(("a reserved label name", remedy));
    }
    if metrics::LABELS_OF_TARGETS.contains(&name) {
        let remedy = "Prometheus sets `job` and `instance` itself: choose another name".to_owned();
        return Some(("a label of every target", remedy));
    }
    let taken = metrics::label_names();
    if taken.contains(&name) {
        let remedy = format!("choose another; taken are: {}", taken.join(", "));
        return Some(("a label the exporter sets itself", remedy));
    }
    None
}

fn proxy_url(section: &Section<'_>, tls: &Tls, profile: Option<&Profile>) -> Option<ProxyUrl> {
    let place = section.find(&keys::PROXY_URL)?;
    let text = Zeroizing::new(section.text(&keys::PROXY_URL)?);
    let at = place.node.position;
    let wrong = |message: &str, remedy: &str| {
        section.report().error(at, &place.path, message, Some(remedy));
        None
    };
    if let Some(profile) = profile
        && matches!(profile.transport, Transport::Lines { .. })
    {
        let message = format!("{profile} is not reached through a proxy: it does not speak HTTP");
        return wrong(&message, "give `proxy_url` to the sources that need it");
    }
    let like = "write it like `http://proxy.example:3128`";
    if !text.contains("://") {
        return wrong("not a proxy URL", like);
    }
    let Ok(url) = Url::parse(&text) else { return wrong("not a URL", like) };
    if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") {
        return wrong("the scheme is none of http, https, socks5, socks5h", like);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return wrong("the URL has no host", like);
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return wrong("a proxy URL with a path, a query or a fragment", like);
    }
    if tls.server_name.is_some() {
        let message = "`proxy_url` cannot be combined with `tls.server_name`";
        return wrong(message, "the proxy is asked for the host of `base_url`: put the name there");
    }
    if url.password().is_some() {
        section.report().literal_secret(at, &place.path);
    }
    Some(ProxyUrl(SecretString::from(text.as_str())))
}

fn capacity(section: &Section<'_>) -> Capacity {
    section.sub(&keys::CAPACITY, |section| Capacity {
        conferences: section.integer_if_given(&keys::CAPACITY_CONFERENCES),
        participants: section.integer_if_given(&keys::CAPACITY_PARTICIPANTS),
    })
}

fn conferences(section: &Section<'_>) -> Conferences {
    section.sub(&keys::CONFERENCES, |section| Conferences {
        enabled: section.flag(&keys::ENABLED),
        limit: usize::try_from(section.integer(&keys::LIMIT)).unwrap_or(usize::MAX),
        identify: match section.choice(&keys::IDENTIFY) {
            Some("number") => Identify::Number,
            Some("name") => Identify::Name,
            _ => Identify::Hash,
        },
    })
}
