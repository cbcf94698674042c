// SPDX-License-Identifier: Apache-2.0
//! What FreeSWITCH answers instead of what was asked for. It has no codes: its messages are compared,
//! and never shown.

use crate::{
    model::Reason,
    net::{Consequence, Fault},
};

/// What a refusal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// `-ERR permission denied`: the user may not use the command `conference`.
    Denied,
    /// `-ERR Conference json_list not found`, before 1.8 without `-ERR`: the word is taken for the name of a
    /// conference.
    NoJsonList,
    /// `Command not found` and `INVALID COMMAND!`: the module of the command is not loaded.
    UnknownCommand,
    /// Any other.
    Other,
}

impl Code {
    /// Of the text of a refusal.
    pub(super) fn of(text: &str) -> Self {
        let text = text.trim().to_ascii_lowercase();
        if text.contains("permission denied") {
            Self::Denied
        } else if text.contains("conference json_list not found") {
            Self::NoJsonList
        } else if text.contains("command not found") || text.contains("invalid command") {
            Self::UnknownCommand
        } else {
            Self::Other
        }
    }

    /// What it means on the login. Whatever is not known counts as refused.
    pub(super) const fn on_login() -> Fault {
        Fault::new(Reason::Auth).then(Consequence::LoginRejected)
    }

    /// What it means on a command, and what a person should look at where it says more than the reason.
    pub(super) const fn on_query(self) -> Fault {
        match self {
            Self::Denied => Fault::new(Reason::Forbidden),
            Self::NoJsonList => Fault::new(Reason::Vendor)
                .advise(Some("this FreeSWITCH has no json_list: 1.8 or later is needed")),
            Self::UnknownCommand => Fault::new(Reason::Vendor)
                .advise(Some("load mod_conference: this FreeSWITCH has no conferences without it")),
            Self::Other => Fault::new(Reason::Vendor),
        }
    }
}
