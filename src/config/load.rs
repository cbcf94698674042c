//! From a path to a [`Config`], or to everything that is wrong with the file.

use std::{collections::HashMap, ffi::OsString, fs::Metadata, io::Read, path::Path};

use zeroize::Zeroizing;

use super::{
    Config, LoadError, Problem, Profile,
    file::{self, Position},
    keys,
    report::Report,
    section::{Place, Section, io_reason},
    source,
};

/// A longer file is no configuration: a wrong path, or a device that never ends.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// A valid configuration and what is doubtful about it.
#[derive(Debug)]
pub struct Loaded<C = Config> {
    /// The configuration.
    pub config: C,
    /// What is allowed but probably not meant, or unsafe; in the order of the file.
    pub warnings: Vec<Problem>,
    /// What sources need and cannot be read now: secrets, certificates and lists of ids, which are
    /// read again while running. Until they can be read those sources fail, and no other. In the
    /// order of the file.
    pub unready: Vec<Problem>,
}

impl Config {
    /// Reads and checks a configuration file, and the files and environment variables it names.
    /// `profiles` are the kinds of systems that it may have sources of.
    ///
    /// # Errors
    /// All problems of the file at once.
    pub fn load(path: &Path, profiles: &[&'static Profile]) -> Result<Loaded, LoadError> {
        let (text, metadata) = read_text(path, "--config.file")?;
        read(&text, path, Some(mode_of(&metadata)), &|name| std::env::var_os(name), profiles)
    }

    /// As [`Config::load`], from text. `file` is its name in messages; its directory is where
    /// relative paths start.
    ///
    /// # Errors
    /// All problems of the text at once.
    pub fn parse(
        text: &str,
        file: &Path,
        profiles: &[&'static Profile],
    ) -> Result<Loaded, LoadError> {
        Self::parse_with_env(text, file, profiles, |name| std::env::var_os(name))
    }

    /// As [`Config::parse`], with the environment variables given.
    ///
    /// # Errors
    /// All problems of the text at once.
    pub fn parse_with_env(
        text: &str,
        file: &Path,
        profiles: &[&'static Profile],
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Loaded, LoadError> {
        read(text, file, None, &env, profiles)
    }
}

/// The text of the configuration file at `path`, which `option` names.
///
/// # Errors
/// A file that cannot be read, is too long, or is no text.
pub(crate) fn read_text(
    path: &Path,
    option: &str,
) -> Result<(Zeroizing<String>, Metadata), LoadError> {
    let unreadable = |error: std::io::Error| {
        let message = format!("the configuration cannot be read: {}", io_reason(&error));
        let is_absent = error.kind() == std::io::ErrorKind::NotFound;
        let remedy = is_absent.then(|| format!("name it with `{option}`"));
        LoadError::of_file(path, message, remedy.as_deref())
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        // Room for all of it: a vector that grows leaves copies behind.
        usize::try_from(metadata.len().min(MAX_FILE_BYTES)).unwrap_or(0) + 1,
    ));
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let message = "longer than 4 MiB: not a configuration".to_owned();
        return Err(LoadError::of_file(path, message, None));
    }
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
        let (at, bytes) = (error.utf8_error().valid_up_to(), Zeroizing::new(error.into_bytes()));
        let line = bytes[..at].split(|byte| *byte == b'\n').count();
        let message = format!("not UTF-8 text (line {line})");
        LoadError::of_file(path, message, Some("save it as UTF-8"))
    })?;
    Ok((Zeroizing::new(text), metadata))
}

fn read(
    text: &str,
    path: &Path,
    mode: Option<u32>,
    env: &dyn Fn(&str) -> Option<OsString>,
    profiles: &[&'static Profile],
) -> Result<Loaded, LoadError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tree = file::parse(text, &|key| keys::is_structure(profiles, key));
    let valid = tree.root.is_some() || tree.problems.is_empty();
    let report = Report::new(path, text, tree.keys, valid, env, profiles);
    for problem in tree.problems {
        report.yaml(problem);
    }
    let config = match &tree.root {
        Some(root) => top(&report, &Place { node: root, path: String::new() }),
        None => {
            if valid {
                let start = Position { line: 1, column: 1 };
                let remedy = Some("add `sources:` with at least `name`, `vendor` and a login");
                report.error(start, "", "the configuration is empty", remedy);
            }
            Config::default()
        }
    };
    if let Some(mode) = mode {
        report.warn_of_mode(mode);
    }
    report.finish(config)
}

fn top(report: &Report<'_>, root: &Place<'_>) -> Config {
    let Some(top) = Section::open(report, root) else { return Config::default() };
    top.check_keys(keys::TOP, |name| {
        let common = keys::COMMON.iter().any(|key| key.name == name);
        common.then(|| "it belongs to a source, or below `defaults:`".to_owned())
    });
    let defaults = top.own(keys::DEFAULTS.name);
    let defaults = defaults.and_then(|place| Section::open(report, &place));
    if let Some(defaults) = &defaults {
        source::check_defaults(defaults);
    }
    if top.own(keys::SOURCES.name).is_none() {
        let message = "`sources` is missing";
        let remedy = Some("add `sources:` with a list of sources; `sources: []` if there are none");
        report.error(top.position(), keys::SOURCES.name, message, remedy);
    }
    let mut sources = Vec::new();
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut accounts: HashMap<_, String> = HashMap::new();
    for place in top.items(&keys::SOURCES) {
        let Some(section) = Section::open(report, &place) else { continue };
        let section = section.or(defaults.as_ref());
        let Some((name, source)) = source::read(&section) else { continue };
        match names.get(&name) {
            Some(line) => {
                let at =
                    section.own(keys::NAME.name).map_or(section.position(), |p| p.node.position);
                let message = format!("duplicate name; the source in line {line} has it too");
                report.error(
                    at,
                    &section.path_of(keys::NAME.name),
                    &message,
                    Some("give each source its own"),
                );
            }
            None => {
                names.insert(name, section.position().line);
            }
        }
        if let Some(source) = &source {
            let account = (
                source.profile.name,
                source.base_url.clone(),
                source.settings.account().to_owned(),
            );
            match accounts.get(&account) {
                Some(first) => warn_of_shared_account(&section, &source.name, first),
                None => {
                    accounts.insert(account, source.name.clone());
                }
            }
        }
        sources.extend(source);
    }
    Config { sources }
}

/// Each would log in, and hold off after a refusal, for itself.
fn warn_of_shared_account(section: &Section<'_>, name: &str, first: &str) {
    let at = section.own(keys::NAME.name).map_or(section.position(), |place| place.node.position);
    let path = section.path_of(keys::NAME.name);
    let message = format!("`{name}` and `{first}` log in to the same system with the same account");
    let remedy = "keep one of them, or give each an account of its own: \
                  refused logins of the one hold the other back";
    section.report().warning(at, &path, &message, Some(remedy));
}

#[cfg(unix)]
fn mode_of(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    match metadata.is_file() {
        true => metadata.permissions().mode(),
        false => 0,
    }
}

#[cfg(not(unix))]
fn mode_of(_: &Metadata) -> u32 {
    0
}
