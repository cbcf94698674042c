// SPDX-License-Identifier: Apache-2.0
//! The error numbers of OpenVox UC and of the Yeastar S-Series, and the envelope they come in.
//!
//! Source: `help.yeastar.com/en/s-series-developer-v2/api-v2/`: `api_error_code`. OpenVox's own
//! table is not published; its API was modelled on Yeastar's.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    model::Reason,
    net::{Answer, Consequence, Fault, lenient::Text},
    systems::Refusal,
};

/// Five refused logins lock the caller's address out for that long.
const LOCK_OUT: Duration = Duration::from_secs(10 * 60);

/// Digits of the longest error number.
const LONGEST_NUMBER: usize = 5;

/// An error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::systems) enum Code {
    /// 10110: "conference number does not exist". Of the live query: no conference is active.
    NoSuchConference,
    /// 20002: "login failed, locked out".
    LockedOut,
    /// 20003: "login failed, bad user or password".
    BadCredentials,
    /// 20004 to 20006: no such token, no token, a token that timed out.
    TokenRefused,
    /// 20015: the address is not allowed.
    AddressNotAllowed,
    /// 20010, 30001, 30003: the part of the PBX that answers API calls does not work.
    ApiDown,
    /// 10003, "unsupported API request": the firmware is older than the call.
    NoSuchCall,
    /// 10002, 10004, 20000, 20001, 20007 to 20009: the request is not one this PBX understands.
    BadRequest,
    /// Any other, and whether the vendors' tables have it. They were seen in parts only: the gaps
    /// count as documented.
    Other { documented: bool },
}

impl Code {
    pub(in crate::systems) fn of(errno: &str) -> Self {
        let Ok(number) = errno.parse::<u32>() else { return Self::Other { documented: false } };
        match number {
            10_110 => Self::NoSuchConference,
            20_002 => Self::LockedOut,
            20_003 => Self::BadCredentials,
            20_004..=20_006 => Self::TokenRefused,
            20_015 => Self::AddressNotAllowed,
            20_010 | 30_001 | 30_003 => Self::ApiDown,
            10_003 => Self::NoSuchCall,
            10_002 | 10_004 | 20_000 | 20_001 | 20_007..=20_009 => Self::BadRequest,
            10_005..=10_109 | 20_011..=20_021 => Self::Other { documented: true },
            _ => Self::Other { documented: false },
        }
    }

    /// What it means on any call but the login.
    pub(in crate::systems) const fn on_query(self) -> Fault {
        match self {
            Self::TokenRefused => Fault::new(Reason::Auth).then(Consequence::RenewToken),
            Self::LockedOut => locked_out(),
            Self::BadCredentials => Fault::new(Reason::Auth),
            Self::AddressNotAllowed => Fault::new(Reason::Forbidden),
            // After a restart, tokens that are no longer known are answered with 10001, 10002 and
            // 30003 as well.
            Self::NoSuchConference
            | Self::ApiDown
            | Self::NoSuchCall
            | Self::BadRequest
            | Self::Other { .. } => Fault::new(Reason::Vendor).then(Consequence::DoubtToken),
        }
    }

    /// What it means on the login of a system that sends this number only where no credentials
    /// were judged, if `tells_other_faults`. Anything else counts as refused: five of those lock
    /// the address out.
    pub(in crate::systems) const fn on_login(self, tells_other_faults: bool) -> Fault {
        match self {
            Self::LockedOut => locked_out(),
            Self::ApiDown | Self::NoSuchCall | Self::BadRequest if tells_other_faults => {
                Fault::new(Reason::Vendor)
            }
            Self::NoSuchConference
            | Self::BadCredentials
            | Self::TokenRefused
            | Self::AddressNotAllowed
            | Self::ApiDown
            | Self::NoSuchCall
            | Self::BadRequest
            | Self::Other { .. } => Fault::new(Reason::Auth).then(Consequence::LoginRejected),
        }
    }

    /// What a person should look at, where the number says more than the reason.
    const fn advice(self, reason: Reason) -> Option<&'static str> {
        match (self, reason) {
            (Self::ApiDown, Reason::Vendor) => {
                Some("the PBX' own API service does not work: restart it, or the PBX")
            }
            _ => None,
        }
    }

    const fn is_documented(self) -> bool {
        !matches!(self, Self::Other { documented: false })
    }
}

const fn locked_out() -> Fault {
    Fault::new(Reason::LockedOut).then(Consequence::LockedOut(LOCK_OUT))
}

/// The part all answers have.
pub(in crate::systems) trait Enveloped {
    /// `status` and `errno`.
    fn envelope(&self) -> (&str, &str);
}

/// Says that these answers have their envelope in fields named like that.
macro_rules! enveloped {
    ($($answer:ident),+) => {
        $(impl $crate::systems::pbx::codes::Enveloped for $answer<'_> {
            fn envelope(&self) -> (&str, &str) {
                (self.status.as_str(), self.errno.as_str())
            }
        })+
    };
}
pub(in crate::systems) use enveloped;

/// An answer of which only the envelope matters.
#[derive(Deserialize)]
pub(super) struct Bare<'a> {
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    errno: Text<'a>,
}

enveloped!(Bare);

/// Decodes a success; a failure becomes what `meaning` makes of its number.
///
/// The systems answer HTTP 200 to everything; other statuses come from what stands before them,
/// unless the body says otherwise.
pub(in crate::systems) fn unwrap<'a, T: Deserialize<'a> + Enveloped>(
    answer: &'a Answer,
    meaning: impl Fn(Code) -> Fault,
) -> Result<T, Refusal<Code>> {
    let refusal = |errno: &str| {
        let code = Code::of(errno);
        let fault = meaning(code).with_code_if(has_form(errno), errno);
        let advice = code.advice(fault.reason);
        Refusal { code: Some(code), fault: fault.advise(advice) }
    };
    if let Err(status) = answer.check_status() {
        return Err(match answer.decode::<Bare<'_>>() {
            Ok(bare) if failed(&bare) && !bare.errno.is_empty() => {
                let refusal = refusal(bare.errno.as_str());
                if Code::of(bare.errno.as_str()).is_documented() {
                    refusal.with_status(status)
                } else {
                    refusal.undocumented(status)
                }
            }
            Ok(_) | Err(_) => status.into(),
        });
    }
    let decoded = answer.decode::<T>()?;
    let (status, errno) = decoded.envelope();
    if status.eq_ignore_ascii_case("success") {
        Ok(decoded)
    } else if failed(&decoded) {
        Err(refusal(errno))
    } else {
        Err(Fault::new(Reason::Decode).into())
    }
}

/// Whether this is an error number by its form.
fn has_form(errno: &str) -> bool {
    errno.len() <= LONGEST_NUMBER && errno.bytes().all(|digit| digit.is_ascii_digit())
}

fn failed(answer: &impl Enveloped) -> bool {
    let (status, errno) = answer.envelope();
    // The old guide's table says "Failure" where the answers say "Failed". Should there be a third word, the
    // number tells: a refused login that is not understood would be tried on and on.
    let is = |word: &str| status.eq_ignore_ascii_case(word);
    is("failed") || is("failure") || !matches!(errno, "" | "0")
}
