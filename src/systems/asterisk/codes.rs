// SPDX-License-Identifier: Apache-2.0
//! What Asterisk answers instead of what was asked for. It has no codes: its messages are compared,
//! and never shown.

use crate::{
    model::Reason,
    net::{Answer, Consequence, Fault},
    systems::Refusal,
};

use super::answers::Answered;

/// What an error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// `Authentication failed`: wrong user or password, or an address that `permit` does not name.
    LoginRefused,
    /// `Login Already In Use`: the user has `allowmultiplelogin = no`, and a session elsewhere. Nobody has looked
    /// at the password.
    InUse,
    /// `Permission denied`: the user lacks the privilege.
    Denied,
    /// `No active conferences.`
    NoConferences,
    /// `No Conference by that name found.`
    NoSuchConference,
    /// `Invalid/unknown command: ...`: the module of the action is not loaded.
    UnknownAction,
    /// Any other.
    Other,
}

impl Code {
    fn of(message: &str) -> Self {
        let message = message.trim_end_matches('.');
        let is = |known: &str| message.eq_ignore_ascii_case(known);
        if is("Authentication failed") {
            Self::LoginRefused
        } else if is("Login Already In Use") {
            Self::InUse
        } else if is("Permission denied") {
            Self::Denied
        } else if is("No active conferences") {
            Self::NoConferences
        } else if is("No Conference by that name found") {
            Self::NoSuchConference
        } else if message.starts_with("Invalid/unknown command") {
            Self::UnknownAction
        } else {
            Self::Other
        }
    }

    /// What it means on the request for a challenge, which names no user yet.
    pub(super) const fn on_challenge(self) -> Fault {
        match self {
            Self::LoginRefused => self.on_login(),
            Self::InUse
            | Self::Denied
            | Self::NoConferences
            | Self::NoSuchConference
            | Self::UnknownAction
            | Self::Other => self.on_query(),
        }
    }

    /// What it means on the login. Whatever is not known counts as refused: firewalls that read
    /// Asterisk's log lock out after a few of those.
    pub(super) const fn on_login(self) -> Fault {
        match self {
            Self::InUse => Fault::new(Reason::Vendor),
            Self::LoginRefused
            | Self::Denied
            | Self::NoConferences
            | Self::NoSuchConference
            | Self::UnknownAction
            | Self::Other => Fault::new(Reason::Auth).then(Consequence::LoginRejected),
        }
    }

    /// What it means on the list of conferences or of the people in one.
    pub(super) const fn on_query(self) -> Fault {
        match self {
            Self::Denied => Fault::new(Reason::Forbidden),
            Self::LoginRefused => Fault::new(Reason::Auth),
            Self::InUse
            | Self::NoConferences
            | Self::NoSuchConference
            | Self::UnknownAction
            | Self::Other => Fault::new(Reason::Vendor),
        }
    }

    /// What a person should look at, where the message says more than the reason.
    const fn advice(self) -> Option<&'static str> {
        match self {
            Self::InUse => Some(
                "the user is logged in elsewhere, and has allowmultiplelogin = no in manager.conf: give the exporter a user of its own",
            ),
            Self::UnknownAction => Some(
                "load the module app_confbridge.so: this Asterisk has no conferences without it",
            ),
            Self::LoginRefused
            | Self::Denied
            | Self::NoConferences
            | Self::NoSuchConference
            | Self::Other => None,
        }
    }
}

/// The answer, or what an error of Asterisk means, judged by `meaning`.
pub(super) fn unwrap<'a, T: serde::Deserialize<'a>>(
    answer: &'a Answer,
    meaning: impl FnOnce(Code) -> Fault,
) -> Result<Answered<'a, T>, Refusal<Code>> {
    let answered: Answered<'a, T> = answer.decode()?;
    match answered.response.kind.as_str() {
        "Success" | "Goodbye" => Ok(answered),
        "Error" => {
            let code = Code::of(answered.response.message.as_str());
            Err(Refusal { code: Some(code), fault: meaning(code).advise(code.advice()) })
        }
        _ => Err(Fault::new(Reason::Decode).into()),
    }
}
