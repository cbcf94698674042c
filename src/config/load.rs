// SPDX-License-Identifier: Apache-2.0
//! From a path to a [`Config`], or to everything that is wrong with the file.

use std::{
    collections::HashMap, ffi::OsString, fs::Metadata, io::Read, os::unix::fs::FileTypeExt,
    path::Path,
};

use rustix::fs::{OFlags, fcntl_setfl};
use url::Url;
use zeroize::Zeroizing;

use super::{
    Config, LoadError, Problem, Profile,
    file::{self, Position},
    keys, paths,
    report::Report,
    section::{Place, Section, io_reason},
    source,
};
use crate::files;

/// A longer file is no configuration: a wrong path, or a device that never ends.
pub(super) const MAX_FILE_BYTES: u64 = 4 << 20;

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
    /// Reads and checks a configuration file, or all of a folder, and the files and environment
    /// variables they name. `profiles` are the kinds of systems that there may be sources of.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load(path: &Path, profiles: &[&'static Profile]) -> Result<Loaded, LoadError> {
        Self::load_all(std::slice::from_ref(&path), profiles)
    }

    /// As [`Config::load`], of several files and folders together. The `defaults` of a file hold
    /// within it.
    ///
    /// # Errors
    /// All problems of all files at once.
    pub fn load_all(
        paths: &[impl AsRef<Path>],
        profiles: &[&'static Profile],
    ) -> Result<Loaded, LoadError> {
        let (files, mut problems) = paths::files(paths);
        let mut all = Loaded { config: Self::default(), warnings: Vec::new(), unready: Vec::new() };
        let mut known = Known::default();
        for path in &files {
            let loaded = read_text(path, "--config.file").and_then(|(text, metadata)| {
                let env = |name: &str| std::env::var_os(name);
                read(&text, path, Some(mode_of(&metadata)), &env, profiles, &mut known)
            });
            match loaded {
                Ok(loaded) => {
                    all.config.sources.extend(loaded.config.sources);
                    all.warnings.extend(loaded.warnings);
                    all.unready.extend(loaded.unready);
                }
                Err(error) => problems.extend(error.problems),
            }
        }
        if problems.is_empty() {
            return Ok(all);
        }
        problems.extend(all.unready);
        Err(LoadError { problems })
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
        read(text, file, None, &env, profiles, &mut Known::default())
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
    let file = files::open(path).map_err(unreadable)?;
    // A pipe has been opened without waiting, so what is left to wait for is what a writer that is there has to say.
    fcntl_setfl(&file, OFlags::empty()).map_err(|error| unreadable(error.into()))?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        // Room for all of it: a vector that grows leaves copies behind.
        usize::try_from(metadata.len().min(MAX_FILE_BYTES)).unwrap_or(0) + 1,
    ));
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.is_empty() && metadata.file_type().is_fifo() {
        return Err(unreadable(std::io::Error::other("it is a pipe that nobody writes to")));
    }
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
    known: &mut Known,
) -> Result<Loaded, LoadError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tree = file::parse(text, &|key| keys::is_structure(profiles, key));
    let valid = tree.root.is_some() || tree.problems.is_empty();
    let report = Report::new(path, text, tree.keys, valid, env, profiles);
    for problem in tree.problems {
        report.yaml(problem);
    }
    let config = match &tree.root {
        Some(root) => top(&report, &Place { node: root, path: String::new() }, known),
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

/// What must not come twice, over all files.
#[derive(Default)]
struct Known {
    /// The file and the line that each name of a source is given in.
    names: HashMap<String, (String, usize)>,
    /// The first source that logs in with an account.
    accounts: HashMap<(&'static str, Url, String), String>,
}

fn top(report: &Report<'_>, root: &Place<'_>, known: &mut Known) -> Config {
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
    for place in top.items(&keys::SOURCES) {
        let Some(section) = Section::open(report, &place) else { continue };
        let section = section.or(defaults.as_ref());
        let Some((name, source)) = source::read(&section) else { continue };
        match known.names.get(&name) {
            Some((file, line)) => {
                let at =
                    section.own(keys::NAME.name).map_or(section.position(), |p| p.node.position);
                let place = match file == report.file() {
                    true => format!("line {line}"),
                    false => format!("{file}:{line}"),
                };
                let message = format!("duplicate name; the source in {place} has it too");
                report.error(
                    at,
                    &section.path_of(keys::NAME.name),
                    &message,
                    Some("give each source its own"),
                );
            }
            None => {
                let place = (report.file().to_owned(), section.position().line);
                known.names.insert(name, place);
            }
        }
        if let Some(source) = &source {
            let account = (
                source.profile.name,
                source.base_url.clone(),
                source.settings.account().to_owned(),
            );
            match known.accounts.get(&account) {
                Some(first) => warn_of_shared_account(&section, &source.name, first),
                None => {
                    known.accounts.insert(account, source.name.clone());
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
