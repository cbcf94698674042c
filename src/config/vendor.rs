//! The keys only one vendor has.

use std::collections::HashSet;

use super::{
    Dingtalk, DingtalkLogin, HuaweiHost, HuaweiLogin, HuaweiMeeting, Pbx, System, YeastarP,
    file::Position,
    keys::{self, Key, Login, VendorKeys},
    secret::SecretSource,
    section::{Section, io_reason},
};
use crate::model::Vendor;

/// Reads what is particular to the vendor; `None` if a problem was reported.
pub(super) fn read(section: &Section<'_>, keys: &'static VendorKeys) -> Option<System> {
    let login = login(section, keys.logins);
    match keys.vendor {
        Vendor::OpenvoxUc => pbx(section, login).map(System::OpenvoxUc),
        Vendor::YeastarS => pbx(section, login).map(System::YeastarS),
        Vendor::YeastarP => yeastar_p(section, login).map(System::YeastarP),
        Vendor::HuaweiMeeting => huawei(section, login).map(System::HuaweiMeeting),
        Vendor::Dingtalk => dingtalk(section, login).map(System::Dingtalk),
    }
}

/// Which login the keys given make: its index in the vendor's table. Reports keys of two logins
/// together, and what the one lacks.
fn login(section: &Section<'_>, logins: &'static [Login]) -> Option<usize> {
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
            only.required.iter().for_each(|key| missing(section, key));
        } else {
            let remedy = format!("add one of: {ways}");
            let at = section.position();
            section.report().error(at, &section.path(), "missing credential", Some(&remedy));
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
        missing(section, key);
        complete = false;
    }
    complete.then_some(chosen)
}

fn missing(section: &Section<'_>, key: &Key) {
    section.missing(key, "missing credential");
}

fn pbx(section: &Section<'_>, login: Option<usize>) -> Option<Pbx> {
    let username = section.text(&keys::USERNAME);
    let password = section.secret(&keys::PASSWORD);
    let event_port = section.integer(&keys::EVENT_PORT);
    let live = section.flag(&keys::LIVE);
    login?;
    Some(Pbx {
        username: username?,
        password: password?,
        event_port: u16::try_from(event_port).ok()?,
        live,
    })
}

fn yeastar_p(section: &Section<'_>, login: Option<usize>) -> Option<YeastarP> {
    let client_id = section.text(&keys::CLIENT_ID);
    let client_secret = section.secret(&keys::CLIENT_SECRET);
    let page_size = section.integer(&keys::PAGE_SIZE);
    let live = section.flag(&keys::LIVE);
    let room_details = section.flag(&keys::ROOM_DETAILS);
    let interval = section.duration(&keys::ROOM_DETAILS_INTERVAL, None);
    login?;
    Some(YeastarP {
        client_id: client_id?,
        client_secret: client_secret?,
        page_size: u32::try_from(page_size).ok()?,
        live,
        room_details: room_details.then_some(interval),
    })
}

fn huawei(section: &Section<'_>, login: Option<usize>) -> Option<HuaweiMeeting> {
    let app_id = section.text(&keys::APP_ID);
    let app_key = section.secret(&keys::APP_ID_KEY);
    let user_id = section.text(&keys::USER_ID);
    let corp_id = section.text(&keys::SP_CORP_ID);
    let account = section.text(&keys::ACCOUNT);
    let password = section.secret(&keys::ACCOUNT_PASSWORD);
    let enterprise = section.choice(&keys::SCOPE) != Some("own");
    let discover = section.flag(&keys::DISCOVER);
    let conference_ids = section.ids(&keys::HUAWEI_IDS);
    let attendees = section.flag(&keys::ATTENDEES);
    let details = section.flag(&keys::DETAILS);
    let hosts = hosts(section, discover, &conference_ids);
    check_anything_to_ask(section, discover, !section.items(&keys::HUAWEI_IDS).is_empty());
    let login = match login? {
        0 => HuaweiLogin::AppId { app_id: app_id?, app_key: app_key?, user_id, corp_id },
        _ => HuaweiLogin::Account { account: account?, password: password? },
    };
    Some(HuaweiMeeting {
        login,
        enterprise,
        discover,
        conference_ids,
        attendees,
        details,
        hosts: hosts?,
    })
}

fn hosts(section: &Section<'_>, discover: bool, watched: &[String]) -> Option<Vec<HuaweiHost>> {
    let mut hosts: Vec<HuaweiHost> = Vec::new();
    let mut seen = HashSet::new();
    let mut complete = true;
    for place in section.items(&keys::HOSTS) {
        let Some(entry) = Section::open(section.report(), &place) else {
            complete = false;
            continue;
        };
        entry.check_keys(keys::HOST_KEYS, |_| None);
        let Some(host) = host(&entry) else {
            complete = false;
            continue;
        };
        let at = entry.own(keys::HOST_CONFERENCE_ID.name);
        let at = at.map_or(entry.position(), |place| place.node.position);
        let path = entry.path_of(keys::HOST_CONFERENCE_ID.name);
        if !seen.insert(host.conference_id.clone()) {
            let remedy = Some("keep one entry for each meeting");
            section.report().error(at, &path, "a second entry for this meeting", remedy);
        }
        if !discover && !watched.contains(&host.conference_id) {
            let message = "this meeting is never asked for";
            let remedy = Some("add it to `conference_ids`, or turn `discover` on");
            section.report().warning(at, &path, message, remedy);
        }
        hosts.push(host);
    }
    complete.then_some(hosts)
}

fn host(entry: &Section<'_>) -> Option<HuaweiHost> {
    if entry.has_key(&keys::HOST_CONFERENCE_ID).is_none() {
        entry.missing(&keys::HOST_CONFERENCE_ID, "missing");
    }
    if entry.has_key(&keys::HOST_PASSWORD).is_none() {
        missing(entry, &keys::HOST_PASSWORD);
    }
    let conference_id = entry.text(&keys::HOST_CONFERENCE_ID);
    let password = entry.secret(&keys::HOST_PASSWORD);
    Some(HuaweiHost { conference_id: conference_id?, password: password? })
}

fn dingtalk(section: &Section<'_>, login: Option<usize>) -> Option<Dingtalk> {
    let text = |key| section.text(key);
    let secret = |key| section.secret(key);
    let (app_key, app_secret) = (text(&keys::APP_KEY), secret(&keys::APP_SECRET));
    let corp_id = text(&keys::CORP_ID);
    let client_id = text(&keys::DINGTALK_CLIENT_ID);
    let client_secret = secret(&keys::DINGTALK_CLIENT_SECRET);
    let (suite_key, suite_secret) = (text(&keys::SUITE_KEY), secret(&keys::SUITE_SECRET));
    let (auth_corp_id, suite_ticket) = (text(&keys::AUTH_CORP_ID), secret(&keys::SUITE_TICKET));
    let discover = section.flag(&keys::DISCOVER);
    let conference_ids = section.ids(&keys::DINGTALK_IDS);
    let conference_ids_file = conference_ids_file(section);
    let batch_size = section.integer(&keys::BATCH_SIZE);
    let listed = !section.items(&keys::DINGTALK_IDS).is_empty()
        || section.has_key(&keys::CONFERENCE_IDS_FILE).is_some();
    check_anything_to_ask(section, discover, listed);
    let login = dingtalk_login(
        login?,
        (app_key, app_secret),
        (corp_id, client_id, client_secret),
        (suite_key, suite_secret, auth_corp_id, suite_ticket),
    )?;
    Some(Dingtalk {
        login,
        discover,
        conference_ids,
        conference_ids_file,
        batch_size: usize::try_from(batch_size).ok()?,
    })
}

fn dingtalk_login(
    chosen: usize,
    internal: (Option<String>, Option<SecretSource>),
    unified: (Option<String>, Option<String>, Option<SecretSource>),
    suite: (Option<String>, Option<SecretSource>, Option<String>, Option<SecretSource>),
) -> Option<DingtalkLogin> {
    Some(match chosen {
        0 => DingtalkLogin::Internal { app_key: internal.0?, app_secret: internal.1? },
        1 => DingtalkLogin::Unified {
            corp_id: unified.0?,
            client_id: unified.1?,
            client_secret: unified.2?,
        },
        _ => DingtalkLogin::ThirdParty {
            suite_key: suite.0?,
            suite_secret: suite.1?,
            auth_corp_id: suite.2?,
            suite_ticket: suite.3?,
        },
    })
}

/// The file is read at each collection; that it is there is checked now.
fn conference_ids_file(section: &Section<'_>) -> Option<std::path::PathBuf> {
    let path = section.file(&keys::CONFERENCE_IDS_FILE)?;
    let reason = match std::fs::File::open(&path).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_dir() => "it is a directory".to_owned(),
        Ok(_) => return Some(path),
        Err(error) => io_reason(&error),
    };
    let place = section.find(&keys::CONFERENCE_IDS_FILE)?;
    let message = format!("`{}` cannot be read: {reason}", path.display());
    let remedy = Some("a relative path starts at the directory of the configuration file");
    section.report().error(place.node.position, &place.path, &message, remedy);
    None
}

fn check_anything_to_ask(section: &Section<'_>, discover: bool, ids: bool) {
    if discover || ids {
        return;
    }
    if let Some(place) = section.find(&keys::DISCOVER) {
        let message = "nothing to ask: `discover` is off and there are no `conference_ids`";
        let remedy = Some("add `conference_ids`, or turn `discover` on");
        section.report().error(place.node.position, &place.path, message, remedy);
    }
}
