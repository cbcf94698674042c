// SPDX-License-Identifier: Apache-2.0
//! The error codes of Janus and of its plug-ins, and the two envelopes they come in.
//!
//! Every answer of the admin API is HTTP 200. Outside is the answer of the server (`janus`, and `error`
//! with a `code`), inside of a success that of the plug-in (`response`, with an `error_code` instead of what was asked for).
//! Source: `src/apierror.h`, `src/plugins/janus_audiobridge.c` and `src/plugins/janus_videoroom.c` of Janus 1.1.2
//! and 1.4.1; 403, 426, 433, 460, 485 and 489 were seen on both.

use serde::{Deserialize, de::IgnoredAny};

use super::{Plugin, answers::Id};
use crate::{
    model::{CallName, Reason},
    net::{
        Answer, Consequence, Fault,
        lenient::{Number, Text},
    },
    session::each_call,
    systems::Refusal,
};

/// No error code is larger.
const LARGEST_CODE: u64 = 9_999;

/// An error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// 403: the admin secret is wrong or missing.
    SecretRefused,
    /// 405: no access to this plug-in.
    NoAccess,
    /// 457, "unhandled request at this path": the ordinary API answers, not the admin API.
    OrdinaryApi,
    /// 460: the plug-in is not loaded.
    NoPlugin,
    /// 433 of the VideoRoom, 489 of the AudioBridge: the plug-in's admin key is wrong.
    KeyRefused,
    /// 426 of the VideoRoom, 485 of the AudioBridge: the room is gone.
    NoRoom,
    /// Any other.
    Other,
}

impl Code {
    /// A code of the server.
    const fn of_server(code: i64) -> Self {
        match code {
            403 => Self::SecretRefused,
            405 => Self::NoAccess,
            457 => Self::OrdinaryApi,
            460 => Self::NoPlugin,
            _ => Self::Other,
        }
    }

    /// A code of a plug-in. Each has numbers of its own.
    const fn of_plugin(plugin: Plugin, code: i64) -> Self {
        match (plugin, code) {
            (Plugin::Audiobridge, 489) | (Plugin::Videoroom, 433) => Self::KeyRefused,
            (Plugin::Audiobridge, 485) | (Plugin::Videoroom, 426) => Self::NoRoom,
            (Plugin::Audiobridge | Plugin::Videoroom, _) => Self::Other,
        }
    }

    const fn meaning(self) -> Fault {
        match self {
            // There is no token: the secret itself is refused.
            Self::SecretRefused | Self::KeyRefused => {
                Fault::new(Reason::Auth).then(Consequence::RenewToken)
            }
            Self::NoAccess => Fault::new(Reason::Forbidden),
            Self::OrdinaryApi | Self::NoPlugin | Self::NoRoom | Self::Other => {
                Fault::new(Reason::Vendor)
            }
        }
    }

    /// What a person should look at, where the code says more than the reason.
    const fn advice(self) -> Option<&'static str> {
        match self {
            Self::SecretRefused => {
                Some("admin_secret is not that of janus.jcfg (general: admin_secret)")
            }
            Self::KeyRefused => {
                Some("this admin key is not that of the plug-in's own .jcfg (general: admin_key)")
            }
            Self::OrdinaryApi => Some(
                "this is the ordinary API: base_url and api_path must name the admin API (usually port 7088, /admin)",
            ),
            Self::NoPlugin => Some("none of the plugins configured is loaded in this Janus"),
            Self::NoAccess | Self::NoRoom | Self::Other => None,
        }
    }

    fn refusal(self, number: i64) -> Refusal<Self> {
        let has_form = number.unsigned_abs() <= LARGEST_CODE;
        let fault = self.meaning().with_code_if(has_form, &number.to_string());
        Refusal { code: Some(self), fault: fault.advise(self.advice()) }
    }
}

/// The answer of the server.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Outer<'a, T> {
    #[serde(borrow)]
    janus: Text<'a>,
    #[serde(borrow, default)]
    transaction: Text<'a>,
    error: Option<Failed>,
    response: Option<Inner<T>>,
}

#[derive(Deserialize)]
struct Failed {
    code: Number,
}

/// The answer of a plug-in: a list, of rooms or of the people in one.
#[derive(Deserialize)]
struct Inner<T> {
    #[serde(default)]
    error_code: Number,
    /// Which room it is about; a list of rooms does not say.
    room: Option<Id>,
    #[serde(rename = "list", alias = "participants")]
    items: Option<Vec<T>>,
}

/// The list with which `plugin` answered `call`, and the room it is about.
pub(super) fn unwrap<'a, T: Deserialize<'a>>(
    answer: &'a Answer,
    plugin: Plugin,
    call: CallName,
) -> Result<(Vec<T>, Option<Id>), Refusal<Code>> {
    if let Err(status) = each_call::check_status(answer) {
        return Err(match answer.decode::<Outer<'_, IgnoredAny>>() {
            Ok(Outer { error: Some(Failed { code: Number(Some(code)) }), .. })
                if Code::of_server(code) != Code::Other =>
            {
                Code::of_server(code).refusal(code).with_status(status)
            }
            Ok(_) | Err(_) => status.into(),
        });
    }
    let outer = answer.decode::<Outer<'_, T>>()?;
    let decode = || Refusal::from(Fault::new(Reason::Decode));
    // An answer to another request, out of a cache between, say. A request that the server could not
    // read is refused without one.
    let is_refusal = outer.janus.as_str() == "error" && outer.transaction.is_empty();
    if outer.transaction.as_str() != call.as_str() && !is_refusal {
        return Err(decode());
    }
    match (outer.janus.as_str(), outer.error, outer.response) {
        ("error", Some(Failed { code: Number(Some(code)) }), _) => {
            Err(Code::of_server(code).refusal(code))
        }
        ("success", None, Some(Inner { error_code: Number(Some(code)), .. })) => {
            Err(Code::of_plugin(plugin, code).refusal(code))
        }
        ("success", None, Some(Inner { items: Some(items), room, .. })) => Ok((items, room)),
        _ => Err(decode()),
    }
}
