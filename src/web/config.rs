//! The web configuration file: the format of Prometheus' exporter-toolkit, read strictly.
//!
//! <https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>

use std::{
    collections::HashMap,
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
    rc::Rc,
};

use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use rustls::{SupportedCipherSuite, crypto::SupportedKxGroup};
use zeroize::Zeroizing;

use super::{auth, tls};
use crate::config::{
    Position,
    file::{self, Meaning, Node, Value},
};

/// A longer file is neither a configuration nor a certificate.
const MAX_FILE_BYTES: u64 = 1 << 20;

const TOP: &[&str] = &["tls_server_config", "http_server_config", "basic_auth_users"];
const TLS: &[&str] = &[
    "cert",
    "cert_file",
    "key",
    "key_file",
    "client_ca",
    "client_ca_file",
    "client_auth_type",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "curve_preferences",
    "prefer_server_cipher_suites",
];
const HTTP: &[&str] = &["http2", "headers"];

/// The headers that may be set, and the values that make sense; empty: any.
const HEADERS: [(&str, HeaderName, &[&str]); 5] = [
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY, &[]),
    ("X-Frame-Options", X_FRAME_OPTIONS, &["deny", "sameorigin"]),
    ("X-Content-Type-Options", X_CONTENT_TYPE_OPTIONS, &["nosniff"]),
    ("X-XSS-Protection", X_XSS_PROTECTION, &[]),
    ("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY, &[]),
];

/// What the file says.
pub(super) struct WebConfig {
    pub(super) tls: Option<Tls>,
    pub(super) http2: bool,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// bcrypt hashes by user.
    pub(super) users: HashMap<String, String>,
}

/// `tls_server_config`.
pub(super) struct Tls {
    pub(super) cert: Pem,
    pub(super) key: Pem,
    pub(super) client_ca: Option<Pem>,
    pub(super) client_auth: ClientAuth,
    /// Subject alternative names of which a client certificate must have one; empty: any.
    pub(super) allowed_sans: Vec<String>,
    pub(super) versions: Vec<&'static rustls::SupportedProtocolVersion>,
    pub(super) cipher_suites: Vec<SupportedCipherSuite>,
    pub(super) curves: Vec<&'static dyn SupportedKxGroup>,
    pub(super) prefer_server_order: bool,
}

/// Certificates or a key, and the place in the file to blame.
pub(super) struct Pem {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// `None`: written in the configuration itself.
    pub(super) path: Option<PathBuf>,
    /// `file:line:column: key`.
    pub(super) place: String,
}

/// What is asked of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ClientAuth {
    /// Nothing.
    #[default]
    None,
    /// A certificate, any, if there is one.
    Request,
    /// A certificate, any.
    RequireAny,
    /// A certificate of the CA, if there is one.
    VerifyIfGiven,
    /// A certificate of the CA.
    RequireAndVerify,
}

/// Everything that is wrong with a web configuration. Carries no value of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebConfigError {
    /// At least one problem.
    pub problems: Vec<String>,
}

impl WebConfigError {
    /// One problem.
    pub(super) fn new(problem: String) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for WebConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for WebConfigError {}

/// Reads the file at `path`, and those it names.
///
/// `files` gets every file the outcome depends on, however it turns out.
pub(super) fn load(path: &Path, files: &mut Vec<PathBuf>) -> Result<WebConfig, WebConfigError> {
    files.push(path.to_owned());
    let unreadable = |error: io::Error| {
        WebConfigError::new(format!("{}: cannot be read: {}", path.display(), reason(&error)))
    };
    let bytes = read(path).map_err(unreadable)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| WebConfigError::new(format!("{}: not UTF-8 text", path.display())))?;
    parse(path, text, files)
}

/// As [`load`], of a file with this text.
pub(super) fn parse(
    path: &Path,
    text: &str,
    files: &mut Vec<PathBuf>,
) -> Result<WebConfig, WebConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { path, files, problems: Vec::new() };
    let config = reader.top(text);
    if reader.problems.is_empty() {
        Ok(config)
    } else {
        Err(WebConfigError { problems: reader.problems })
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = fs::File::open(path)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other("longer than 1 MiB"));
    }
    Ok(bytes)
}

fn reason(error: &io::Error) -> String {
    // Without the "(os error 2)" that helps nobody.
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// A mapping, and where it stands.
struct Section {
    path: String,
    position: Position,
    /// Key, where it stands, value.
    entries: Vec<(String, Position, Rc<Node>)>,
}

impl Section {
    fn get(&self, key: &str) -> Option<&Rc<Node>> {
        self.entries.iter().find(|(name, ..)| name == key).map(|(_, _, node)| node)
    }

    fn path_of(&self, key: &str) -> String {
        file::join(&self.path, key)
    }
}

/// Reads on after a problem, to report all of them.
struct Reader<'a> {
    path: &'a Path,
    files: &'a mut Vec<PathBuf>,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn top(&mut self, text: &str) -> WebConfig {
        let mut config =
            WebConfig { tls: None, http2: true, headers: Vec::new(), users: HashMap::new() };
        // Users are no structure: a hash put in a user's place is not shown.
        let tree = file::parse(text, &|key| TOP[..2].contains(&key) || key == "headers");
        for problem in &tree.problems {
            self.problem(problem.position, &problem.path, &problem.message);
        }
        let Some(root) = &tree.root else { return config };
        if is_nothing(root) {
            return config;
        }
        let Some(top) = self.section(root, String::new()) else { return config };
        for (key, position, _) in &top.entries {
            match key.as_str() {
                "rate_limit" => self.problem(
                    *position,
                    key,
                    "not supported; --web.max-requests limits scrapes in flight",
                ),
                _ => self.check_key(key, *position, &top.path, TOP),
            }
        }
        if let Some(http) = self.sub(&top, "http_server_config", HTTP) {
            config.http2 = self.boolean(&http, "http2").unwrap_or(true);
            config.headers = self.headers(&http);
        }
        if let Some(tls) = self.sub(&top, "tls_server_config", TLS) {
            config.tls = self.tls(&tls);
        }
        config.users = self.users(&top);
        config
    }

    fn headers(&mut self, http: &Section) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Vec::new();
        let Some(node) = http.get("headers").filter(|node| !is_nothing(node)) else {
            return headers;
        };
        let Some(section) = self.section(node, http.path_of("headers")) else { return headers };
        for (key, position, node) in &section.entries {
            let path = section.path_of(key);
            let Some((_, name, values)) = HEADERS.iter().find(|(name, _, _)| name == key) else {
                let names: Vec<_> = HEADERS.iter().map(|(name, _, _)| *name).collect();
                let message = format!("this header cannot be set; those can: {}", names.join(", "));
                self.problem(*position, &shown(&section.path, key), &message);
                continue;
            };
            let Some(value) = self.text(node, &path).filter(|value| !value.is_empty()) else {
                continue;
            };
            if !values.is_empty() && !values.contains(&value.as_str()) {
                let message = format!("must be {}", values.join(" or "));
                self.problem(node.position, &path, &message);
                continue;
            }
            match HeaderValue::from_str(&value) {
                Ok(value) => headers.push((name.clone(), value)),
                Err(_) => self.problem(node.position, &path, "holds characters no header may have"),
            }
        }
        headers
    }

    fn users(&mut self, top: &Section) -> HashMap<String, String> {
        let mut users = HashMap::new();
        let Some(node) = top.get("basic_auth_users").filter(|node| !is_nothing(node)) else {
            return users;
        };
        let Some(section) = self.section(node, "basic_auth_users".to_owned()) else {
            return users;
        };
        for (user, position, node) in &section.entries {
            // The name itself is not repeated: who mixes up name and hash would see it in a log.
            let path = section.path.as_str();
            if user.is_empty() || user.contains(':') {
                self.problem(*position, path, "a user's name is not empty and has no colon");
                continue;
            }
            let Some(hash) = self.text(node, path) else { continue };
            if auth::is_hash(&hash) {
                users.insert(user.clone(), hash);
            } else {
                let message =
                    "not a bcrypt hash; make one with `htpasswd -nBC 10 \"\" | tr -d ':\\n'`";
                self.problem(node.position, path, message);
            }
        }
        users
    }

    fn tls(&mut self, section: &Section) -> Option<Tls> {
        let before = self.problems.len();
        let enabled = ["cert", "key", "client_ca", "client_auth_type"]
            .iter()
            .flat_map(|key| [(*key).to_owned(), format!("{key}_file")])
            .any(|key| section.get(&key).is_some_and(|node| !is_nothing(node)));
        let cert = self.pem(section, "cert");
        let key = self.pem(section, "key");
        let client_ca = self.pem(section, "client_ca");
        if enabled {
            for (name, pem) in [("cert", &cert), ("key", &key)] {
                if pem.is_none() && self.problems.len() == before {
                    let message = format!("`{name}_file` is missing");
                    self.problem(section.position, &section.path, &message);
                }
            }
        }
        let client_auth = self.client_auth(section, client_ca.is_some());
        let allowed_sans = self.texts(section, "client_allowed_sans");
        if !allowed_sans.is_empty() && client_auth == ClientAuth::None {
            let message = "without effect: no client certificate is asked for; set client_auth_type: RequireAndVerifyClientCert";
            self.problem_at(section, "client_allowed_sans", message);
        }
        let versions = self.versions(section);
        let curves = self.named(section, "curve_preferences", tls::curve);
        let chosen = self.named(section, "cipher_suites", tls::cipher_suite);
        let cipher_suites = tls::with_tls13(chosen, section.get("cipher_suites").is_some());
        if self.problems.len() == before
            && !versions.iter().all(|version| {
                cipher_suites.iter().any(|suite| suite.version().version == version.version)
            })
        {
            let message = "no cipher suite is left for TLS 1.2, which min_version allows";
            self.problem_at(section, "cipher_suites", message);
        }
        let prefer_server_order =
            self.boolean(section, "prefer_server_cipher_suites").unwrap_or(true);
        Some(Tls {
            cert: cert?,
            key: key?,
            client_ca,
            client_auth,
            allowed_sans,
            versions,
            cipher_suites,
            curves,
            prefer_server_order,
        })
    }

    fn client_auth(&mut self, section: &Section, has_ca: bool) -> ClientAuth {
        const KEY: &str = "client_auth_type";
        let before = self.problems.len();
        let text = section.get(KEY).and_then(|node| self.text(node, &section.path_of(KEY)));
        let auth = match text.as_deref() {
            None | Some("" | "NoClientCert") => ClientAuth::None,
            Some("RequestClientCert") => ClientAuth::Request,
            Some("RequireAnyClientCert" | "RequireClientCert") => ClientAuth::RequireAny,
            Some("VerifyClientCertIfGiven") => ClientAuth::VerifyIfGiven,
            Some("RequireAndVerifyClientCert") => ClientAuth::RequireAndVerify,
            Some(_) => {
                let message = "must be NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert";
                self.problem_at(section, KEY, message);
                ClientAuth::None
            }
        };
        if self.problems.len() > before {
            return auth;
        }
        match (auth, has_ca) {
            (ClientAuth::None, true) => {
                let message = "client certificates are not asked for; set client_auth_type: RequireAndVerifyClientCert";
                let key =
                    if section.get("client_ca").is_some() { "client_ca" } else { "client_ca_file" };
                self.problem_at(section, key, message);
            }
            (ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify, false) => {
                self.problem_at(section, KEY, "needs client_ca_file");
            }
            _ => {}
        }
        auth
    }

    fn versions(&mut self, section: &Section) -> Vec<&'static rustls::SupportedProtocolVersion> {
        let mut number = |key: &str, default: u8| {
            let text = section.get(key).and_then(|node| self.text(node, &section.path_of(key)));
            let message = match text.as_deref() {
                None | Some("") => return default,
                Some("TLS12") => return 2,
                Some("TLS13") => return 3,
                Some("TLS10" | "TLS11") => {
                    "TLS 1.0 and 1.1 can be broken and are not offered; use TLS12 or TLS13"
                }
                Some(_) => "must be TLS12 or TLS13",
            };
            self.problem_at(section, key, message);
            default
        };
        let (least, most) = (number("min_version", 2), number("max_version", 3));
        if least > most {
            self.problem_at(section, "max_version", "below min_version");
        }
        [(2, &rustls::version::TLS12), (3, &rustls::version::TLS13)]
            .into_iter()
            .filter(|(number, _)| (least..=most).contains(number))
            .map(|(_, version)| version)
            .collect()
    }

    /// A list of names; `find` knows what each stands for, or why it cannot be had.
    fn named<T>(
        &mut self,
        section: &Section,
        key: &str,
        find: fn(&str) -> Result<Option<T>, &'static str>,
    ) -> Vec<T> {
        let mut found = Vec::new();
        for (position, text) in self.positioned_texts(section, key) {
            match find(&text) {
                Ok(one) => found.extend(one),
                Err(message) => self.problem(position, &section.path_of(key), message),
            }
        }
        found
    }

    /// What `key` holds, or the file `key_file` names.
    fn pem(&mut self, section: &Section, key: &str) -> Option<Pem> {
        let file_key = format!("{key}_file");
        let inline = section.get(key).filter(|node| !is_empty(node));
        let named = section.get(&file_key).filter(|node| !is_empty(node));
        match (inline, named) {
            (Some(node), Some(_)) => {
                let message = format!("give either `{key}` or `{file_key}`");
                self.problem(node.position, &section.path_of(key), &message);
                None
            }
            (Some(node), None) => {
                let path = section.path_of(key);
                let text = Zeroizing::new(self.text(node, &path)?);
                let bytes = Zeroizing::new(text.as_bytes().to_vec());
                Some(Pem { bytes, path: None, place: self.place(node.position, &path) })
            }
            (None, Some(node)) => {
                let path = section.path_of(&file_key);
                let text = self.text(node, &path)?;
                let file = self.path.parent().unwrap_or(Path::new("")).join(text);
                self.files.push(file.clone());
                match read(&file) {
                    Ok(bytes) => {
                        let place = self.place(node.position, &path);
                        Some(Pem { bytes, path: Some(file), place })
                    }
                    Err(error) => {
                        let message =
                            format!("{} cannot be read: {}", file.display(), reason(&error));
                        self.problem(node.position, &path, &message);
                        None
                    }
                }
            }
            (None, None) => None,
        }
    }

    fn sub(&mut self, top: &Section, key: &str, known: &[&str]) -> Option<Section> {
        let node = top.get(key).filter(|node| !is_nothing(node))?;
        let section = self.section(node, top.path_of(key))?;
        for (name, position, _) in &section.entries {
            self.check_key(name, *position, &section.path, known);
        }
        Some(section)
    }

    fn section(&mut self, node: &Node, path: String) -> Option<Section> {
        let Value::Map(entries) = &node.value else {
            self.problem(
                node.position,
                &path,
                &format!("must be a mapping, is {}", node.describe()),
            );
            return None;
        };
        let entries = entries
            .iter()
            .filter_map(|(key, value)| {
                Some((key.scalar_text()?.to_owned(), key.position, Rc::clone(value)))
            })
            .collect();
        Some(Section { path, position: node.position, entries })
    }

    fn check_key(&mut self, key: &str, position: Position, path: &str, known: &[&str]) {
        if known.contains(&key) {
            return;
        }
        let nearest = known
            .iter()
            .map(|name| (strsim::damerau_levenshtein(name, key), name))
            .min()
            .filter(|(distance, _)| *distance <= 3);
        let message = match nearest {
            Some((_, name)) => format!("unknown key; did you mean `{name}`?"),
            None => format!("unknown key; known are {}", known.join(", ")),
        };
        self.problem(position, &shown(path, key), &message);
    }

    fn boolean(&mut self, section: &Section, key: &str) -> Option<bool> {
        let node = section.get(key)?;
        match &node.value {
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Bool(value) => return Some(value),
                Meaning::Null => return None,
                Meaning::Number | Meaning::Text => {}
            },
            Value::List(_) | Value::Map(_) => {}
        }
        self.problem_at(section, key, "must be true or false");
        None
    }

    fn text(&mut self, node: &Node, path: &str) -> Option<String> {
        match node.scalar_text() {
            Some(text) => Some(if is_nothing(node) { String::new() } else { text.to_owned() }),
            None => {
                let message = format!("must be text, is {}", node.describe());
                self.problem(node.position, path, &message);
                None
            }
        }
    }

    fn texts(&mut self, section: &Section, key: &str) -> Vec<String> {
        self.positioned_texts(section, key).into_iter().map(|(_, text)| text).collect()
    }

    fn positioned_texts(&mut self, section: &Section, key: &str) -> Vec<(Position, String)> {
        let Some(node) = section.get(key).filter(|node| !is_nothing(node)) else {
            return Vec::new();
        };
        let Value::List(items) = &node.value else {
            self.problem_at(section, key, &format!("must be a list, is {}", node.describe()));
            return Vec::new();
        };
        let path = section.path_of(key);
        items.iter().filter_map(|item| Some((item.position, self.text(item, &path)?))).collect()
    }

    fn problem_at(&mut self, section: &Section, key: &str, message: &str) {
        let position = section.get(key).map_or(section.position, |node| node.position);
        self.problem(position, &section.path_of(key), message);
    }

    fn problem(&mut self, position: Position, path: &str, message: &str) {
        let place = self.place(position, path);
        self.problems.push(format!("{place}: {message}"));
    }

    fn place(&self, Position { line, column }: Position, path: &str) -> String {
        let colon = if path.is_empty() { "" } else { " " };
        format!("{}:{line}:{column}:{colon}{path}", self.path.display())
            .trim_end_matches(':')
            .to_owned()
    }
}

/// The path of a key that is not known, where it may be shown: it might be a misplaced secret.
fn shown(path: &str, key: &str) -> String {
    if file::is_showable_key(key) { file::join(path, key) } else { path.to_owned() }
}

fn is_nothing(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar(scalar) if scalar.meaning() == Meaning::Null)
}

fn is_empty(node: &Node) -> bool {
    is_nothing(node) || node.scalar_text() == Some("")
}
