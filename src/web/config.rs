// SPDX-License-Identifier: Apache-2.0
//! The web configuration file: the format of Prometheus' exporter-toolkit, read strictly.
//!
//! <https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>

use std::{
    cell::RefCell,
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use zeroize::Zeroizing;

use super::{
    auth,
    tls::{self, ClientAuth, Part},
};
use crate::{
    config::{
        LoadError, file,
        keys::{Key, Kind},
        load::read_text,
        report::Report,
        section::{Place, Section, text_at},
        tls::{pem_file, private_key},
    },
    pem,
};

const TLS: Key = key("tls_server_config", Kind::Section(TLS_KEYS));
const HTTP: Key = key("http_server_config", Kind::Section(HTTP_KEYS));
const USERS: Key = key("basic_auth_users", Kind::Labels);
/// Keys of the toolkit that the exporter does not support.
const RATE_LIMIT: Key = key("rate_limit", Kind::Labels);

/// A list; what may be in it is looked up where it is read.
const NAMES: Kind = Kind::Ids("", 0);

const CERT: Key = key("cert", Kind::Text);
const CERT_FILE: Key = key("cert_file", Kind::File);
const KEY: Key = key("key", Kind::Text);
const KEY_FILE: Key = key("key_file", Kind::File);
const CLIENT_CA: Key = key("client_ca", Kind::Text);
const CLIENT_CA_FILE: Key = key("client_ca_file", Kind::File);
const CLIENT_AUTH: Key = key(
    "client_auth_type",
    Kind::Choice(&[
        "NoClientCert",
        "RequestClientCert",
        "RequireAnyClientCert",
        "RequireClientCert",
        "VerifyClientCertIfGiven",
        "RequireAndVerifyClientCert",
    ]),
);
const ALLOWED_SANS: Key = key("client_allowed_sans", NAMES);
const MIN_VERSION: Key = key("min_version", Kind::Text);
const MAX_VERSION: Key = key("max_version", Kind::Text);
const CIPHER_SUITES: Key = key("cipher_suites", NAMES);
const CURVES: Key = key("curve_preferences", NAMES);
const PREFER_SERVER_ORDER: Key = on_unless_said("prefer_server_cipher_suites");

const HTTP2: Key = on_unless_said("http2");
const HEADERS: Key = key("headers", Kind::Section(HEADER_KEYS));
const SECURITY_POLICY: Key = key("Content-Security-Policy", Kind::Text);
const FRAME_OPTIONS: Key = key("X-Frame-Options", Kind::Choice(&["deny", "sameorigin"]));
const CONTENT_TYPE_OPTIONS: Key = key("X-Content-Type-Options", Kind::Choice(&["nosniff"]));
const XSS_PROTECTION: Key = key("X-XSS-Protection", Kind::Text);
const TRANSPORT_SECURITY: Key = key("Strict-Transport-Security", Kind::Text);

const TOP: &[&Key] = &[&TLS, &HTTP, &USERS, &RATE_LIMIT];
const TLS_KEYS: &[&Key] = &[
    &CERT,
    &CERT_FILE,
    &KEY,
    &KEY_FILE,
    &CLIENT_CA,
    &CLIENT_CA_FILE,
    &CLIENT_AUTH,
    &ALLOWED_SANS,
    &MIN_VERSION,
    &MAX_VERSION,
    &CIPHER_SUITES,
    &CURVES,
    &PREFER_SERVER_ORDER,
];
const HTTP_KEYS: &[&Key] = &[&HTTP2, &HEADERS];
const HEADER_KEYS: &[&Key] = &[
    &SECURITY_POLICY,
    &FRAME_OPTIONS,
    &CONTENT_TYPE_OPTIONS,
    &XSS_PROTECTION,
    &TRANSPORT_SECURITY,
];

/// Any of these switches TLS on: what else it needs is missed then.
const TLS_SWITCHES: &[&Key] =
    &[&CERT, &CERT_FILE, &KEY, &KEY_FILE, &CLIENT_CA, &CLIENT_CA_FILE, &CLIENT_AUTH];

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, default: None, doc: "As in the exporter-toolkit." }
}

const fn on_unless_said(name: &'static str) -> Key {
    Key { name, kind: Kind::Flag, default: Some("true"), doc: "As in the exporter-toolkit." }
}

/// What the file says.
#[derive(Default)]
pub(super) struct WebConfig {
    /// `None`: plain HTTP.
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// bcrypt hashes by user.
    pub(super) users: HashMap<String, String>,
}

/// Reads the file at `path`, and those it names.
///
/// `files` gets every file the outcome depends on, however it turns out.
pub(super) fn load(path: &Path, files: &mut Vec<PathBuf>) -> Result<WebConfig, LoadError> {
    files.push(path.to_owned());
    let (text, _) = read_text(path, "--web.config.file")?;
    parse(path, &text, files)
}

/// As [`load`], of a file with this text.
pub(super) fn parse(
    path: &Path,
    text: &str,
    files: &mut Vec<PathBuf>,
) -> Result<WebConfig, LoadError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Users are no structure: a hash put in a user's place is not shown.
    let tree = file::parse(text, &|key: &str| [TLS.name, HTTP.name, HEADERS.name].contains(&key));
    let valid_yaml = tree.root.is_some() || tree.problems.is_empty();
    let report = Report::new(path, text, tree.keys, valid_yaml, &|_| None, &[]);
    for problem in tree.problems {
        report.yaml(problem);
    }
    let reader = Reader { report: &report, files: RefCell::default() };
    let root = tree.root.as_deref().filter(|root| !root.is_empty());
    let config = root.and_then(|node| reader.top(&Place { node, path: String::new() }));
    files.append(&mut reader.files.into_inner());
    report.finish(config).map(|loaded| loaded.config.unwrap_or_default())
}

/// Reads on after a problem, to report all of them.
struct Reader<'r> {
    report: &'r Report<'r>,
    /// The files that are named.
    files: RefCell<Vec<PathBuf>>,
}

impl<'r> Reader<'r> {
    fn top(&self, root: &Place<'r>) -> Option<WebConfig> {
        let top = Section::open(self.report, root)?.read_as_go_does();
        top.check_keys(TOP, |_| None);
        if let Some(position) = top.has(RATE_LIMIT.name) {
            let remedy = Some("`--web.max-requests` limits scrapes in flight");
            self.report.error(position, RATE_LIMIT.name, "not supported", remedy);
        }
        let (http2, headers) = top.sub(&HTTP, |http| {
            (http.flag(&HTTP2), http.sub(&HEADERS, |headers| self.headers(headers)))
        });
        let tls = top.sub(&TLS, |section| self.tls(section, http2));
        Some(WebConfig { tls, headers, users: self.users(&top) })
    }

    fn headers(&self, section: &Section<'_>) -> Vec<(HeaderName, HeaderValue)> {
        let texts = [
            (&SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            (&XSS_PROTECTION, X_XSS_PROTECTION),
            (&TRANSPORT_SECURITY, STRICT_TRANSPORT_SECURITY),
        ];
        let words =
            [(&FRAME_OPTIONS, X_FRAME_OPTIONS), (&CONTENT_TYPE_OPTIONS, X_CONTENT_TYPE_OPTIONS)];
        let texts = texts.into_iter().filter_map(|(key, name)| {
            let value = HeaderValue::from_str(&section.text(key)?);
            if value.is_err() {
                section.error(key, "holds characters no header may have", None);
            }
            Some((name, value.ok()?))
        });
        let words = words
            .into_iter()
            .filter_map(|(key, name)| Some((name, HeaderValue::from_static(section.choice(key)?))));
        texts.chain(words).collect()
    }

    fn users(&self, top: &Section<'r>) -> HashMap<String, String> {
        let mut users = HashMap::new();
        let section = top.own(USERS.name).and_then(|place| Section::open(self.report, &place));
        let Some(section) = section else { return users };
        for (user, position, place) in section.entries() {
            // The name itself is not repeated: who mixes up name and hash would see it in a log.
            let place = Place { node: place.node, path: section.path() };
            if user.is_empty() || user.contains(':') {
                let message = "a user's name is not empty and has no colon";
                self.report.error(position, &place.path, message, None);
                continue;
            }
            let Some(hash) = text_at(self.report, &place) else { continue };
            if auth::is_hash(&hash) {
                users.insert(user.to_owned(), hash);
            } else {
                let remedy = Some("make one with `htpasswd -nBC 10 \"\" | tr -d ':\\n'`");
                self.report.error(place.node.position, &place.path, "not a bcrypt hash", remedy);
            }
        }
        users
    }

    fn tls(&self, section: &Section<'_>, http2: bool) -> Option<Arc<ServerConfig>> {
        let chain = self.pem(section, &CERT, &CERT_FILE, pem::certificates);
        let key = self.pem(section, &KEY, &KEY_FILE, private_key);
        let client_ca = self.pem(section, &CLIENT_CA, &CLIENT_CA_FILE, pem::certificates);
        if TLS_SWITCHES.iter().any(|key| section.find(key).is_some()) {
            for (inline, file) in [(&CERT, &CERT_FILE), (&KEY, &KEY_FILE)] {
                if section.find(inline).is_none() && section.find(file).is_none() {
                    section.missing(file, &format!("`{}` is missing", file.name));
                }
            }
        }
        let client_auth = client_auth(section);
        let allowed_sans: Vec<_> = self.texts(section, &ALLOWED_SANS).map(|(_, san)| san).collect();
        if !allowed_sans.is_empty() && client_auth == ClientAuth::None {
            let remedy = Some("set `client_auth_type: RequireAndVerifyClientCert`");
            let message = "without effect: no client certificate is asked for";
            section.error(&ALLOWED_SANS, message, remedy);
        }
        let versions = versions(section);
        let curves = self.named(section, &CURVES, tls::curve);
        let chosen = self.named(section, &CIPHER_SUITES, tls::cipher_suite);
        let cipher_suites = tls::with_tls13(chosen, section.find(&CIPHER_SUITES).is_some());
        let prefer_server_order = section.flag(&PREFER_SERVER_ORDER);
        if self.report.has_errors() {
            return None;
        }
        if !versions.iter().all(|version| {
            cipher_suites.iter().any(|suite| suite.version().version == version.version)
        }) {
            let message = "no cipher suite is left for TLS 1.2, which min_version allows";
            section.error(&CIPHER_SUITES, message, None);
        }
        let settings = tls::Settings {
            chain: chain?,
            key: key?,
            client_ca: client_ca.unwrap_or_default(),
            client_auth,
            allowed_sans,
            versions,
            cipher_suites,
            curves,
            prefer_server_order,
            http2,
        };
        match tls::build(settings) {
            Ok(config) => Some(config),
            Err((part, message)) => {
                let keys = match part {
                    Part::Certificate => [&CERT, &CERT_FILE],
                    Part::Key => [&KEY, &KEY_FILE],
                    Part::ClientCa => [&CLIENT_CA, &CLIENT_CA_FILE],
                };
                // One of the two is there: the other is not what a person has to look at.
                for key in keys.into_iter().filter(|key| section.find(key).is_some()) {
                    section.error(key, &message, None);
                }
                None
            }
        }
    }

    /// What `parse` makes of the text of `inline`, or of the file that `file` names.
    fn pem<T>(
        &self,
        section: &Section<'_>,
        inline: &Key,
        file: &Key,
        parse: fn(&[u8]) -> Result<T, &'static str>,
    ) -> Option<T> {
        if section.find(inline).is_none() {
            self.files.borrow_mut().extend(section.file(file));
            let (_, parsed) = pem_file(section, file, parse)?;
            return parsed
                .map_err(|problem| section.error(file, &problem.message, problem.remedy))
                .ok();
        }
        if section.find(file).is_some() {
            let message = format!("`{}` and `{}` are both given", inline.name, file.name);
            section.error(inline, &message, Some("keep exactly one of them"));
            return None;
        }
        let text = Zeroizing::new(section.text(inline)?);
        parse(text.as_bytes())
            .map_err(|message| section.error(inline, &format!("the text {message}"), None))
            .ok()
    }

    /// A list of names; `find` knows what each stands for, or why it cannot be had.
    fn named<T>(
        &self,
        section: &Section<'_>,
        key: &Key,
        find: fn(&str) -> Result<Option<T>, &'static str>,
    ) -> Vec<T> {
        let found = self.texts(section, key).filter_map(|(place, name)| match find(&name) {
            Ok(found) => found,
            Err(message) => {
                self.report.error(place.node.position, &place.path, message, None);
                None
            }
        });
        found.collect()
    }

    /// The texts of a list, and where each stands.
    fn texts<'t>(
        &self,
        section: &Section<'t>,
        key: &Key,
    ) -> impl Iterator<Item = (Place<'t>, String)> {
        section.items(key).into_iter().filter_map(|place| {
            let text = text_at(self.report, &place)?;
            Some((place, text))
        })
    }
}

fn client_auth(section: &Section<'_>) -> ClientAuth {
    let auth = match section.choice(&CLIENT_AUTH) {
        Some("RequestClientCert") => ClientAuth::Request,
        Some("RequireAnyClientCert" | "RequireClientCert") => ClientAuth::RequireAny,
        Some("VerifyClientCertIfGiven") => ClientAuth::VerifyIfGiven,
        Some("RequireAndVerifyClientCert") => ClientAuth::RequireAndVerify,
        Some(_) => ClientAuth::None,
        // Wrong, which was reported.
        None if section.find(&CLIENT_AUTH).is_some() => return ClientAuth::None,
        None => ClientAuth::None,
    };
    let ca = [&CLIENT_CA, &CLIENT_CA_FILE].into_iter().find(|key| section.find(key).is_some());
    match (auth, ca) {
        (ClientAuth::None, Some(ca)) => {
            let remedy = Some("set `client_auth_type: RequireAndVerifyClientCert`");
            section.error(ca, "client certificates are not asked for", remedy);
        }
        (ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify, None) => {
            section.error(&CLIENT_AUTH, "needs client_ca_file", Some("add `client_ca_file`"));
        }
        _ => {}
    }
    auth
}

fn versions(section: &Section<'_>) -> Vec<&'static SupportedProtocolVersion> {
    let number = |key: &Key, default: u8| {
        let (message, remedy) = match section.text(key).as_deref() {
            None => return default,
            Some("TLS12") => return 2,
            Some("TLS13") => return 3,
            Some("TLS10" | "TLS11") => {
                ("TLS 1.0 and 1.1 can be broken and are not offered", "use TLS12 or TLS13")
            }
            Some(_) => ("unknown value", "allowed: TLS12, TLS13"),
        };
        section.error(key, message, Some(remedy));
        default
    };
    let (least, most) = (number(&MIN_VERSION, 2), number(&MAX_VERSION, 3));
    if least > most {
        section.error(&MAX_VERSION, "below min_version", None);
    }
    [(2, &version::TLS12), (3, &version::TLS13)]
        .into_iter()
        .filter(|(number, _)| (least..=most).contains(number))
        .map(|(_, version)| version)
        .collect()
}
