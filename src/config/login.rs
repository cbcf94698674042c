// SPDX-License-Identifier: Apache-2.0
//! Which of a system's ways to log in the keys of a source make.

use super::{
    file::Position,
    keys::{Key, Login},
    section::Section,
};

const CREDENTIAL: &str = "missing credential";

/// Which login the keys given make: its index in the vendor's table. Reports keys of two logins
/// together, and what the one lacks.
pub(super) fn login(section: &Section<'_>, logins: &'static [Login]) -> Option<usize> {
    let has = |login: &'static Login, key: &Key| login.keys().any(|own| own.name == key.name);
    let mut given: Vec<(Position, &Key)> = Vec::new();
    for key in logins.iter().flat_map(Login::keys) {
        if let Some(at) = section.has_key(key)
            && !given.iter().any(|(_, known)| known.name == key.name)
        {
            given.push((at, key));
        }
    }
    given.sort_by_key(|(at, _)| *at);
    let ways: Vec<String> = logins.iter().map(Login::describe).collect();
    let ways = ways.join("; or ");
    let Some((_, first)) = given.first() else {
        if let [only] = logins {
            only.required.iter().for_each(|key| section.missing(key, CREDENTIAL));
        } else {
            let remedy = format!("add one of: {ways}");
            let at = section.position();
            section.report().error(at, &section.path(), CREDENTIAL, Some(&remedy));
        }
        return None;
    };
    let fits = |login: &'static Login| given.iter().all(|(_, key)| has(login, key));
    let Some(chosen) = logins.iter().position(fits) else {
        let mixed = given
            .iter()
            .find(|(_, key)| !logins.iter().any(|login| has(login, key) && has(login, first)));
        let (at, second) = mixed.or(given.last())?;
        let message = format!("`{}` cannot be combined with `{}`", second.name, first.name);
        let remedy = format!("keep one of: {ways}");
        section.report().error(*at, &section.path_of(second.name), &message, Some(&remedy));
        return None;
    };
    let absent = logins[chosen].required.iter().filter(|key| section.has_key(key).is_none());
    let mut complete = true;
    for key in absent {
        section.missing(key, CREDENTIAL);
        complete = false;
    }
    complete.then_some(chosen)
}
