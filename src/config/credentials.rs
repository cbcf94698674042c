// SPDX-License-Identifier: Apache-2.0
//! Reading a key that holds a secret: in which of its three forms it is given, and what is doubtful
//! about it.

use secrecy::{ExposeSecret, SecretString};

use super::{
    RELATIVE_PATHS, io_reason,
    keys::{Key, secret_names},
    secret::{SecretError, SecretSource, is_world_readable},
    section::{Place, Section, Wrong, read, text_of},
};

impl Section<'_> {
    /// A secret: exactly one of its three forms. Absent is not reported.
    pub fn secret(&self, key: &Key) -> Option<SecretSource> {
        let names = secret_names(key.name);
        let mut given: Vec<&String> =
            names.iter().filter(|name| self.has(name).is_some()).collect();
        given.sort_by_key(|name| self.has(name));
        if let [first, second, ..] = given[..] {
            let message = format!("`{first}` and `{second}` are both given");
            let at = self.has(second).unwrap_or(self.position());
            let remedy = Some("keep exactly one of them");
            self.report().error(at, &self.path_of(second), &message, remedy);
            return None;
        }
        let place = self.own(given.first()?)?;
        let [literal, file, _] = &names;
        if given.first() == Some(&literal) {
            let secret =
                read(self.report(), &place, |scalar| text_of(scalar).map(SecretString::from))?;
            self.report().literal_secret(place.node.position, &place.path);
            self.warn_if_doubtful(key, &place, secret.expose_secret());
            self.report().warn_of_cut(&place);
            return Some(SecretSource::Literal(secret));
        }
        if given.first() == Some(&file) {
            let path = read(self.report(), &place, |scalar| text_of(scalar).map(str::to_owned))?;
            let source = SecretSource::File(self.report().resolve(&path));
            match source.read_now() {
                Ok(secret) => {
                    self.warn_if_doubtful(key, &place, secret.expose_secret());
                    if is_world_readable(&self.report().resolve(&path)) {
                        let message = "every user of this machine may read the file";
                        let remedy = Some("`chmod 600` it, or 640 with a group of its own");
                        self.report().warning(place.node.position, &place.path, message, remedy);
                    }
                }
                Err(error) => {
                    let (message, remedy) = explain(&error, &path);
                    self.report().unready(place.node.position, &place.path, &message, Some(remedy));
                }
            }
            return Some(source);
        }
        let secret = read(self.report(), &place, |scalar| {
            let name = text_of(scalar)?;
            let shown = if is_variable(name) { format!("`{name}` ") } else { String::new() };
            let value = self.report().env(name).ok_or_else(|| {
                let message = format!("the environment variable {shown}is not set");
                Wrong::new(message, "set it, or use a `_file` key")
            })?;
            let value = value.to_str().map(without_newline);
            match value {
                Some("") => Err(Wrong {
                    message: format!("the environment variable {shown}is empty"),
                    remedy: None,
                }),
                Some(value) => Ok(SecretString::from(value.to_owned())),
                None => Err(Wrong {
                    message: format!("the environment variable {shown}is not UTF-8 text"),
                    remedy: None,
                }),
            }
        })?;
        self.warn_if_doubtful(key, &place, secret.expose_secret());
        Some(SecretSource::Literal(secret))
    }

    /// Warns of a secret that is probably not what was meant. A wrong one counts towards the lock-out.
    fn warn_if_doubtful(&self, key: &Key, place: &Place<'_>, secret: &str) {
        let warn = |message: &str, remedy: &str| {
            self.report().warning(place.node.position, &place.path, message, Some(remedy));
        };
        if secret.trim() != secret {
            let message = "blanks or line breaks around the secret are a part of it";
            warn(message, "remove them, unless the system has them too");
        }
        let is_between = |start: &str, end: &str| {
            secret.split_once(start).is_some_and(|(_, rest)| rest.contains(end))
        };
        if is_between("${", "}") || is_between("{{", "}}") {
            let message = "a placeholder, which is not filled in here, and is sent as it is";
            warn(
                message,
                &format!("name the variable with `{0}_env`, or a file with `{0}_file`", key.name),
            );
        }
    }
}

/// As of a secret in a file: one trailing newline is not part of it.
fn without_newline(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))
}

/// Whether it is surely the name of a variable and not a secret given by mistake.
fn is_variable(name: &str) -> bool {
    name.len() <= 80
        && name.contains('_')
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// A secret file that cannot be read, without its name unless that is surely a path: the secret
/// itself may have been given by mistake.
fn explain(error: &SecretError, path: &str) -> (String, &'static str) {
    let is_path = ["/", "./", "../"].iter().any(|start| path.starts_with(start));
    let shown = if is_path { format!("`{path}`") } else { "the file".to_owned() };
    match error {
        SecretError::Unreadable { source, .. } => {
            (format!("{shown} cannot be read: {}", io_reason(source)), RELATIVE_PATHS)
        }
        SecretError::Empty { .. } => (format!("{shown} is empty"), "write the secret into it"),
        SecretError::TooLong { .. } => {
            (format!("{shown} is longer than 64 KiB"), "name the file that holds the secret alone")
        }
        SecretError::NotText { .. } => {
            (format!("{shown} is not UTF-8 text"), "name the file that holds the secret alone")
        }
    }
}
