// SPDX-License-Identifier: Apache-2.0
//! What BigBlueButton, and the load balancers before it, answer: success, or a refusal with a key.
//!
//! A server answers HTTP 200 to everything; b3scale refuses with HTTP 500, b3lb with HTTP 401 and plain text.
//! Source: bbb-web's `ValidationService` and templates (2.4 to 3.0), the API's documentation, Scalelite 1.8.5, b3scale.

use super::answers::{Body, Meetings};
use crate::{
    config::Conferences,
    model::Reason,
    net::{Answer, Consequence, Fault},
    session::each_call,
    systems::Refusal,
};

/// The key of a refusal, `messageKey`. Its `message` is prose that differs between versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// `checksumError`: the secret is wrong, or its algorithm is not allowed. Scalelite hands the
    /// refusal of a server behind it on.
    Checksum,
    /// `validationError`: of this call's parameters only the checksum can be invalid.
    Validation,
    /// `internalError`: Scalelite could not ask one of its servers.
    Internal,
    /// `apiNotEnabled`.
    ApiOff,
    /// `unsupportedRequest`: there is no call of that name, or nothing of the API at that path.
    Unsupported,
    /// Any other, or none.
    Other,
}

impl Code {
    fn of(key: &str) -> Self {
        match key {
            "checksumError" => Self::Checksum,
            "validationError" => Self::Validation,
            "internalError" => Self::Internal,
            "apiNotEnabled" => Self::ApiOff,
            "unsupportedRequest" => Self::Unsupported,
            _ => Self::Other,
        }
    }

    const fn meaning(self) -> Fault {
        match self {
            // There is no token: the secret itself is refused.
            Self::Checksum | Self::Validation => {
                Fault::new(Reason::Auth).then(Consequence::RenewToken)
            }
            Self::Internal | Self::ApiOff | Self::Unsupported | Self::Other => {
                Fault::new(Reason::Vendor)
            }
        }
    }

    /// What a person should look at, where the code says more than the reason.
    const fn advice(self) -> Option<&'static str> {
        match self {
            Self::Internal => {
                Some("a load balancer could not ask one of its servers: look at its log")
            }
            Self::ApiOff => Some("switch the API on in bbb-web.properties"),
            Self::Unsupported => Some(super::PATHS),
            Self::Checksum | Self::Validation | Self::Other => None,
        }
    }

    fn refusal(self, key: &str) -> Refusal<Self> {
        let fault = self.meaning().with_code_if(self != Self::Other, key);
        Refusal { code: Some(self), fault: fault.advise(self.advice()) }
    }
}

/// The meetings of a success; a refusal by what it means.
pub(super) fn unwrap(answer: &Answer, settings: Conferences) -> Result<Meetings<'_>, Fault> {
    if let Err(status) = each_call::check_status(answer) {
        return Err(match Body::read(answer.bytes(), settings) {
            Ok(Body::Failed { key }) if Code::of(&key) != Code::Other => {
                Code::of(&key).refusal(&key).with_status(status).into()
            }
            Ok(_) | Err(_) => status,
        });
    }
    match Body::read(answer.bytes(), settings)? {
        Body::Success(meetings) => Ok(meetings),
        Body::Failed { key } => Err(Code::of(&key).refusal(&key).into()),
    }
}
