// SPDX-License-Identifier: Apache-2.0
//! The error codes of a Yeastar P-Series, and the envelope they come in.
//!
//! Source: `help.yeastar.com`, P-Series developer guide: error-code-and-error-message.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    model::Reason,
    net::{Answer, Consequence, Fault, lenient::Number},
    systems::Refusal,
};

/// How long the caller's address is blocked where the answer does not say, or says something that
/// cannot be meant: a block without end is shown as one that ends in 2099.
const LOCK_OUT: Duration = Duration::from_secs(15 * 60);

/// No block that ends is known to last longer.
const LONGEST_LOCK_OUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Eight tokens may be valid at once; wait for one of them to expire or to be given back.
const NO_FREE_TOKEN: Duration = Duration::from_secs(5 * 60);

/// An address that is not allowed stays so until somebody changes it.
const NOT_ALLOWED: Duration = Duration::from_secs(10 * 60);

/// No error code is larger, with or without its sign.
const LARGEST_CODE: u64 = 99_999;

/// An error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// 10001, "interface not existed": the firmware is older than the call.
    NoSuchCall,
    /// 10002 and 10003: the version of the API is out of maintenance or unsupported.
    NoSuchVersion,
    /// 10004, "token expired".
    TokenExpired,
    /// 10005 "access denied", 70084 "action forbidden".
    Denied,
    /// 70087, "IP forbidden".
    AddressNotAllowed,
    /// 60001, "data not found".
    NotFound,
    /// 60002, "max limitation exceeded".
    NoFreeToken,
    /// 70004, "account IP blocked".
    LockedOut,
    /// 70123, "API unavailable".
    ApiOff,
    /// -2, 40001, 40002, 70082: the request or the PBX's state.
    Refused,
    /// Any other, and whether the vendor's table has it. It was seen in parts only: the gaps count
    /// as documented.
    Other { documented: bool },
}

impl Code {
    pub(super) const fn of(errcode: i64) -> Self {
        match errcode {
            10_001 => Self::NoSuchCall,
            10_002 | 10_003 => Self::NoSuchVersion,
            10_004 => Self::TokenExpired,
            10_005 | 70_084 => Self::Denied,
            70_087 => Self::AddressNotAllowed,
            60_001 => Self::NotFound,
            60_002 => Self::NoFreeToken,
            70_004 => Self::LockedOut,
            70_123 => Self::ApiOff,
            -2 | 40_001 | 40_002 | 70_082 => Self::Refused,
            -1 | 1..=2 | 10_006..=10_009 | 40_003..=40_004 | 60_003..=60_101 | 70_005..=70_599 => {
                Self::Other { documented: true }
            }
            _ => Self::Other { documented: false },
        }
    }

    /// What it means on a call that carries a token.
    pub(super) const fn on_query(self) -> Fault {
        match self {
            Self::TokenExpired => Fault::new(Reason::Auth).then(Consequence::RenewToken),
            Self::Denied | Self::AddressNotAllowed => Fault::new(Reason::Forbidden),
            Self::LockedOut => locked_out(),
            Self::NoSuchCall
            | Self::NoSuchVersion
            | Self::NotFound
            | Self::NoFreeToken
            | Self::ApiOff
            | Self::Refused
            // No code is documented for a token that is not known, after a restart say.
            | Self::Other { .. } => Fault::new(Reason::Vendor).then(Consequence::DoubtToken),
        }
    }

    /// What it means on the call for a token.
    pub(super) const fn on_login(self) -> Fault {
        match self {
            Self::LockedOut => locked_out(),
            Self::Denied | Self::AddressNotAllowed => {
                Fault::new(Reason::Forbidden).then(Consequence::HoldLogin(NOT_ALLOWED))
            }
            Self::NoFreeToken => {
                Fault::new(Reason::Vendor).then(Consequence::HoldLogin(NO_FREE_TOKEN))
            }
            // The firmware, the request or the PBX's state; no credentials were judged.
            Self::NoSuchCall | Self::NoSuchVersion | Self::ApiOff | Self::Refused => {
                Fault::new(Reason::Vendor)
            }
            // -1 is the documented refusal. Five of them block the address: count anything unknown.
            Self::TokenExpired | Self::NotFound | Self::Other { .. } => {
                Fault::new(Reason::Auth).then(Consequence::LoginRejected)
            }
        }
    }

    /// What a person should look at, where the code says more than the reason.
    const fn advice(self) -> Option<&'static str> {
        match self {
            Self::NoFreeToken => {
                Some("all tokens of this PBX are in use: does something else log in and never out?")
            }
            Self::NoSuchVersion => {
                Some("this firmware does not have the version of the API that api_path names")
            }
            Self::ApiOff => Some("switch the API on: Integrations > API"),
            Self::NoSuchCall
            | Self::TokenExpired
            | Self::Denied
            | Self::AddressNotAllowed
            | Self::NotFound
            | Self::LockedOut
            | Self::Refused
            | Self::Other { .. } => None,
        }
    }

    const fn is_documented(self) -> bool {
        !matches!(self, Self::Other { documented: false })
    }
}

const fn locked_out() -> Fault {
    Fault::new(Reason::LockedOut).then(Consequence::LockedOut(LOCK_OUT))
}

/// When the block of our address ends. Seen in answers with 70004; not in the vendor's table.
#[derive(Deserialize)]
struct Blocked {
    #[serde(default)]
    block_expire_time: Number,
}

/// The same fault, which waits for the end of the block that the answer tells.
fn until_unblocked(fault: Fault, answer: &Answer) -> Fault {
    if !matches!(fault.consequence, Consequence::LockedOut(_)) {
        return fault;
    }
    let end = answer.decode::<Blocked>().ok().and_then(|blocked| blocked.block_expire_time.0);
    let now = answer.sent_at().as_second();
    let pause = end
        .and_then(|end| u64::try_from(end.saturating_sub(now)).ok())
        .map(Duration::from_secs)
        .filter(|pause| !pause.is_zero() && *pause <= LONGEST_LOCK_OUT)
        .unwrap_or(LOCK_OUT);
    fault.then(Consequence::LockedOut(pause))
}

/// The part all answers have.
pub(super) trait Enveloped {
    /// `errcode`; 0 is success.
    fn errcode(&self) -> Option<i64>;
}

/// Says that these answers have their code in a field named like that.
macro_rules! enveloped {
    ($($answer:ty),+) => {
        $(impl $crate::systems::yeastar_p::codes::Enveloped for $answer {
            fn errcode(&self) -> Option<i64> {
                self.errcode.0
            }
        })+
    };
}
pub(super) use enveloped;

/// An answer of which only the code matters.
#[derive(Deserialize)]
pub(super) struct Bare {
    errcode: Number,
}

enveloped!(Bare);

/// Decodes a success; a failure becomes what `meaning` makes of its code.
pub(super) fn unwrap<'a, T: Deserialize<'a> + Enveloped>(
    answer: &'a Answer,
    meaning: impl Fn(Code) -> Fault,
) -> Result<T, Refusal<Code>> {
    let refusal = |errcode: i64| {
        let code = Code::of(errcode);
        let fault = until_unblocked(meaning(code), answer);
        let fault = fault
            .with_code_if(errcode.unsigned_abs() <= LARGEST_CODE, &errcode.to_string())
            .advise(code.advice());
        Refusal { code: Some(code), fault }
    };
    if let Err(status) = answer.check_status() {
        return Err(match answer.decode::<Bare>() {
            Ok(Bare { errcode: Number(None | Some(0)) }) | Err(_) => status.into(),
            Ok(Bare { errcode: Number(Some(errcode)) }) if Code::of(errcode).is_documented() => {
                refusal(errcode).with_status(status)
            }
            Ok(Bare { errcode: Number(Some(errcode)) }) => refusal(errcode).undocumented(status),
        });
    }
    let decoded = answer.decode::<T>()?;
    match decoded.errcode() {
        Some(0) => Ok(decoded),
        Some(errcode) => Err(refusal(errcode)),
        None => Err(Fault::new(Reason::Decode).into()),
    }
}
