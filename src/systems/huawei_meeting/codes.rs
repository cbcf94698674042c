// SPDX-License-Identifier: Apache-2.0
//! What an answer means that is not the one asked for.
//!
//! The vendor's own table ("API Error Center") is not public. Sources: the API pages at
//! `support.huaweicloud.com/api-meeting/`, the error table of the vendor's client SDK
//! (`HWMSDKCommonDefine.h`), its Terraform provider. Codes are told apart by their number alone:
//! the prefixes (`MMC.`, `USG.`) are not documented for all of them.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, de::IgnoredAny};

use crate::{
    model::Reason,
    net::{
        Answer, Consequence, Fault,
        lenient::{Object, Text},
    },
};

/// "User locked, retry after 60 s."
const USER_LOCK: Duration = Duration::from_secs(60);

/// For how long the control login of a meeting is locked is not documented.
const HOST_LOCK: Duration = Duration::from_secs(15 * 60);

/// The one code in words: the meeting is not found.
const NOT_FOUND: &str = "CONF_DATA_NOT_FOUND";

/// A code, whatever its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    /// Wrong account or password.
    WrongPassword,
    /// The account is not active.
    AccountInactive,
    /// The App ID is unknown, expired or not bound to an enterprise.
    AppIdRefused,
    /// The user is unknown, and the App ID may not register it.
    UserUnknown,
    /// "User locked, retry after 60 s."
    UserLocked,
    /// The access token is invalid, of the disaster recovery site, kicked out, or missing.
    TokenRefused,
    /// The access token is not known: seen with HTTP 400 and 403.
    TokenUnknown,
    /// "Authentication failed", the control API's word for a token it does not know.
    NotAuthenticated,
    /// No permission; no permission to view this meeting. Logging in again would not help.
    NoPermission,
    /// The control login of a meeting is locked after too many wrong host passwords.
    HostLocked,
    /// No such meeting, or the wrong host password.
    HostRefused,
    /// "The meeting does not exist or is over", "not started or already over".
    Over,
    /// Flow control of the meeting service, or of the gateway before it.
    FlowControl,
    /// A bad request, an internal error, a list that could not be queried: no credentials were judged.
    NotJudged,
    /// Any other of the form that the vendor documents: nine digits, whatever stands before them,
    /// or one of the gateway's.
    Other,
    /// A code in another form, such as that of a proxy.
    Foreign,
}

impl Code {
    fn of(code: &str) -> Self {
        let number = code.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        match number {
            "206010000" => Self::WrongPassword,
            "206010007" => Self::AccountInactive,
            "206010025" | "206010057" | "206010058" => Self::AppIdRefused,
            "206010030" | "206010031" | "201040000" => Self::UserUnknown,
            "206030015" => Self::UserLocked,
            "206020000" | "206020001" | "206020002" | "111070111" => Self::TokenRefused,
            "000000004" => Self::TokenUnknown,
            "111070004" => Self::NotAuthenticated,
            "111070002" | "111070010" => Self::NoPermission,
            "111072064" => Self::HostLocked,
            "111072065" => Self::HostRefused,
            "111070005" | "111072005" => Self::Over,
            "111070001" | "111070003" | "111071008" => Self::NotJudged,
            number if number.ends_with("100000429") => Self::FlowControl,
            _ if code.eq_ignore_ascii_case("APIG.0308") => Self::FlowControl,
            _ if code.eq_ignore_ascii_case(NOT_FOUND) => Self::Over,
            number if number.len() == 9 => Self::Other,
            _ if code.get(..5).is_some_and(|api| api.eq_ignore_ascii_case("APIG.")) => Self::Other,
            _ => Self::Foreign,
        }
    }

    /// What a person should look at, where the code says more than the reason.
    const fn advice(self) -> Option<&'static str> {
        match self {
            Self::AccountInactive => Some("the account is not active: activate it, or use another"),
            Self::AppIdRefused => Some(
                "the App ID is unknown, expired or bound to no enterprise: check it and app_key",
            ),
            Self::UserUnknown => {
                Some("user_id is no user of the enterprise, and this App ID may not create it")
            }
            Self::HostLocked => Some(
                "too many wrong host passwords: correct the meeting's password in hosts, and wait",
            ),
            Self::HostRefused => Some("check conference_id and password of the meeting in hosts"),
            Self::WrongPassword
            | Self::UserLocked
            | Self::TokenRefused
            | Self::TokenUnknown
            | Self::NotAuthenticated
            | Self::NoPermission
            | Self::Over
            | Self::FlowControl
            | Self::NotJudged
            | Self::Other
            | Self::Foreign => None,
        }
    }
}

/// Whether this is a code by its form: up to nine digits, after a short prefix of letters or none
/// (`MMC.111070005`, `APIG.0308`, `13`), or a code in words that is known.
fn has_form(code: &str) -> bool {
    let (prefix, number) = code.split_once('.').unwrap_or(("", code));
    let is_numbered = prefix.len() <= 5
        && prefix.bytes().all(|letter| letter.is_ascii_alphabetic())
        && (1..=9).contains(&number.len())
        && number.bytes().all(|digit| digit.is_ascii_digit());
    is_numbered || code.eq_ignore_ascii_case(NOT_FOUND)
}

/// An answer without what was asked for.
pub(super) struct Refused {
    status: u16,
    /// The vendor's code, where the body has one.
    code: Option<Box<str>>,
    /// The pause to make, should this be throttling.
    pause: Consequence,
    /// What it means where nothing documented says more.
    plain: Fault,
}

/// What a call wants to find in its answer.
pub(super) trait Content {
    /// Whether an answer that decodes says nothing: then it may still be a failure.
    fn is_empty(&self) -> bool;
}

/// Decodes a success; anything else is what `meaning` makes of it.
pub(super) fn unwrap<'a, T: Deserialize<'a> + Content>(
    answer: &'a Answer,
    meaning: impl Fn(&Refused) -> Fault,
) -> Result<T, Fault> {
    content(answer).map_err(|refused| meaning(&refused))
}

/// As [`unwrap`], of a call about one meeting. `None`: the meeting is over by now.
pub(super) fn unwrap_meeting<'a, T: Deserialize<'a> + Content>(
    answer: &'a Answer,
    meaning: impl Fn(&Refused) -> Fault,
) -> Result<Option<T>, Fault> {
    match content(answer) {
        Ok(content) => Ok(Some(content)),
        Err(refused) if refused.is_over() => Ok(None),
        Err(refused) => Err(meaning(&refused)),
    }
}

/// As [`unwrap_meeting`], of the call with a host password. One that `has_worked` before is not to blame where the
/// meeting does not exist or its password is wrong: the meeting has ended since it was listed.
pub(super) fn unwrap_control_token<'a, T: Deserialize<'a> + Content>(
    answer: &'a Answer,
    has_worked: bool,
) -> Result<Option<T>, Fault> {
    match content(answer) {
        Ok(content) => Ok(Some(content)),
        Err(refused) if refused.is_over() => Ok(None),
        Err(refused) if has_worked && refused.is(&[Code::HostRefused]) => Ok(None),
        Err(refused) => Err(host_password(&refused)),
    }
}

fn content<'a, T: Deserialize<'a> + Content>(answer: &'a Answer) -> Result<T, Refused> {
    let (plain, content) = match answer.check_status() {
        Err(status) => (status, None),
        Ok(()) => match answer.decode::<Object<T>>() {
            Ok(Object(content)) if !content.is_empty() => return Ok(content),
            Ok(Object(content)) => (Fault::new(Reason::Decode), Some(content)),
            Err(undecodable) => (undecodable, None),
        },
    };
    let status = answer.status.as_u16();
    let code = code(answer, status).map(String::into_boxed_str);
    match content {
        Some(content) if code.is_none() => Ok(content),
        Some(_) | None => Err(Refused { status, code, pause: answer.pause(), plain }),
    }
}

/// What a login is refused with.
const LOGIN_REFUSED: [Code; 4] =
    [Code::WrongPassword, Code::AccountInactive, Code::AppIdRefused, Code::UserUnknown];

/// What a login that is not accepted means.
pub(super) fn login(refused: &Refused) -> Fault {
    let fault = if refused.is(&[Code::UserLocked]) || refused.status == 423 {
        Fault::new(Reason::LockedOut).then(Consequence::LockedOut(USER_LOCK))
    } else if let Some(throttled) = refused.throttled() {
        throttled
    } else if refused.is(&LOGIN_REFUSED)
        || matches!(refused.status, 400 | 401 | 403 | 412)
        || refused.is_by_a_code()
    {
        Fault::new(Reason::Auth).then(Consequence::LoginRejected)
    } else {
        refused.plain()
    };
    refused.coded(fault)
}

/// What a call with the access token that fails means.
pub(super) fn query(refused: &Refused) -> Fault {
    let fault = if refused.is(&[Code::UserLocked]) {
        Fault::new(Reason::LockedOut).then(Consequence::LockedOut(USER_LOCK))
    } else if refused.is(&[Code::TokenRefused, Code::TokenUnknown]) {
        Fault::new(Reason::Auth).then(Consequence::RenewToken)
    } else {
        refused.documented().unwrap_or_else(|| refused.doubtful())
    };
    refused.coded(fault)
}

/// What it means that a host password yields no control token.
fn host_password(refused: &Refused) -> Fault {
    let fault = if let Some(locked) = refused.host_locked() {
        locked
    } else if let Some(documented) = refused.documented() {
        documented
    } else if refused.is(&[
        Code::HostRefused,
        Code::NotAuthenticated,
        Code::WrongPassword,
        Code::TokenRefused,
    ]) || refused.status == 401
        || (refused.status != 403 && refused.is_by_a_code())
    {
        // Passwords that are tried again and again lock the meeting. (403 says that a right is missing.)
        Fault::new(Reason::Auth).then(Consequence::LoginRejected)
    } else {
        refused.plain()
    };
    refused.coded(fault)
}

/// What it means that the live view is refused. [`Consequence::RenewToken`] is about the control
/// token here.
pub(super) fn control(refused: &Refused) -> Fault {
    let fault = if let Some(locked) = refused.host_locked() {
        locked
    } else if refused.is(&[Code::TokenRefused, Code::NotAuthenticated, Code::HostRefused]) {
        Fault::new(Reason::Auth).then(Consequence::RenewToken)
    } else {
        refused.documented().unwrap_or_else(|| refused.plain())
    };
    refused.coded(fault)
}

impl Refused {
    fn is(&self, codes: &[Code]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&Code::of(code)))
    }

    /// Of the calls about a meeting's live view.
    fn host_locked(&self) -> Option<Fault> {
        let pause = if self.is(&[Code::HostLocked]) {
            HOST_LOCK
        } else if self.is(&[Code::UserLocked]) {
            USER_LOCK
        } else {
            return None;
        };
        Some(Fault::new(Reason::LockedOut).then(Consequence::LockedOut(pause)))
    }

    /// Whether the vendor refused something with a code. That of a login or of a host password that is not
    /// known here may mean wrong credentials: those who try on are locked out.
    fn is_by_a_code(&self) -> bool {
        let is_foreign = self.status >= 400 && self.is(&[Code::Foreign]);
        let judges_nobody = self.is(&[Code::NotJudged, Code::Over]);
        self.status < 500 && self.code.is_some() && !is_foreign && !judges_nobody
    }

    fn is_over(&self) -> bool {
        matches!(self.status, 400 | 404) && self.is(&[Code::Over])
    }

    fn throttled(&self) -> Option<Fault> {
        let throttled = self.status == 429 || self.is(&[Code::FlowControl]);
        throttled.then(|| Fault::new(Reason::RateLimited).then(self.pause))
    }

    /// What the documented codes mean whatever was called. With HTTP 401 they only tell that a new
    /// login would not help.
    fn documented(&self) -> Option<Fault> {
        let fault = self
            .throttled()
            .or_else(|| self.is(&[Code::NoPermission]).then(|| Fault::new(Reason::Forbidden)))?;
        Some(if self.status == 401 { Fault { reason: Reason::Auth, ..fault } } else { fault })
    }

    /// What the status means, unless it says too little and the body has a code of the vendor's.
    fn plain(&self) -> Fault {
        match self.status {
            401 | 403 => self.plain.clone(),
            400.. if self.code.is_none() || self.is(&[Code::Foreign]) => self.plain.clone(),
            _ if self.code.is_some() => Fault::new(Reason::Vendor),
            _ => self.plain.clone(),
        }
    }

    /// As [`plain`](Self::plain), of a call with the access token. The table of codes is not
    /// public: one that is not known here may be about the token.
    fn doubtful(&self) -> Fault {
        let fault = self.plain();
        if fault.reason == Reason::Vendor && self.status < 500 {
            fault.then(Consequence::DoubtToken)
        } else {
            fault
        }
    }

    fn coded(&self, fault: Fault) -> Fault {
        match &self.code {
            Some(code) => fault.with_code_if(has_form(code), code).advise(Code::of(code).advice()),
            None => fault,
        }
    }
}

/// The four spellings of a code that the vendor's own clients know.
#[derive(Deserialize)]
struct Codes<'a> {
    #[serde(borrow)]
    error_code: Option<Lenient<Text<'a>>>,
    #[serde(borrow, rename = "errorCode")]
    error_code_too: Option<Lenient<Text<'a>>>,
    #[serde(borrow)]
    code: Option<Lenient<Text<'a>>>,
    #[serde(borrow, rename = "returnCode")]
    return_code: Option<Lenient<Text<'a>>>,
}

#[derive(Deserialize)]
struct Nested<'a> {
    #[serde(borrow)]
    error: Lenient<Object<Codes<'a>>>,
}

/// Something of the expected kind, or anything else.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient<T> {
    Expected(T),
    Other(IgnoredAny),
}

fn code(answer: &Answer, status: u16) -> Option<String> {
    let outer = answer.decode::<Object<Codes<'_>>>().ok().and_then(|codes| codes.0.first(status));
    outer.or_else(|| match answer.decode::<Nested<'_>>() {
        Ok(Nested { error: Lenient::Expected(Object(codes)) }) => codes.first(status),
        Ok(Nested { error: Lenient::Other(_) }) | Err(_) => None,
    })
}

impl Codes<'_> {
    /// The first code that says something: 0 is success, and a copy of the HTTP status is none of
    /// the vendor's codes.
    fn first(self, status: u16) -> Option<String> {
        let spellings = [self.error_code, self.error_code_too, self.code, self.return_code];
        spellings
            .into_iter()
            .flatten()
            .filter_map(|code| match code {
                Lenient::Expected(Text(code)) => Some(code),
                Lenient::Other(_) => None,
            })
            .find(|code| !code.bytes().all(|b| b == b'0') && **code != *status.to_string())
            .map(Cow::into_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Consequence = Consequence::HoldRequests(Duration::from_secs(7));

    fn refusal(status: u16, code: &str) -> Refused {
        let plain = match status {
            401 => Fault::new(Reason::Auth).then(Consequence::RenewToken),
            403 => Fault::new(Reason::Forbidden),
            429 => Fault::new(Reason::RateLimited).then(PAUSE),
            400..=499 => Fault::new(Reason::Http4xx),
            500..=599 => Fault::new(Reason::Http5xx),
            _ => Fault::new(Reason::Decode),
        };
        let code = (!code.is_empty()).then(|| code.into());
        Refused { status, code, pause: PAUSE, plain }
    }

    fn check(meaning: fn(&Refused) -> Fault, table: &[(u16, &str, Reason, Consequence)]) {
        for &(status, code, reason, consequence) in table {
            let fault = meaning(&refusal(status, code));
            assert_eq!((fault.reason, fault.consequence), (reason, consequence), "{status} {code}");
            if has_form(code) {
                assert_eq!(fault.code.as_deref(), Some(code));
            }
        }
    }

    #[test]
    fn of_a_login() {
        let rejected = Consequence::LoginRejected;
        let locked = Consequence::LockedOut(Duration::from_secs(60));
        check(
            login,
            &[
                (400, "", Reason::Auth, rejected),
                (401, "USG.206010025", Reason::Auth, rejected),
                (403, "", Reason::Auth, rejected),
                (412, "USG.206010007", Reason::Auth, rejected),
                (200, "206010000", Reason::Auth, rejected),
                (500, "USG.206010031", Reason::Auth, rejected),
                (423, "", Reason::LockedOut, locked),
                (400, "USG.206030015", Reason::LockedOut, locked),
                (429, "", Reason::RateLimited, PAUSE),
                (400, "MMC.100000429", Reason::RateLimited, PAUSE),
                (503, "APIG.0308", Reason::RateLimited, PAUSE),
                (200, "13", Reason::Auth, rejected),
                (200, "USG.299999999", Reason::Auth, rejected),
                (404, "USG.299999999", Reason::Auth, rejected),
                (404, "NoRoute", Reason::Http4xx, Consequence::None),
                (200, "MMC.111070003", Reason::Vendor, Consequence::None),
                (404, "", Reason::Http4xx, Consequence::None),
                (500, "", Reason::Http5xx, Consequence::None),
                (500, "USG.206000000", Reason::Vendor, Consequence::None),
                (200, "", Reason::Decode, Consequence::None),
            ],
        );
    }

    #[test]
    fn of_a_query() {
        let (renew, doubt) = (Consequence::RenewToken, Consequence::DoubtToken);
        check(
            query,
            &[
                (401, "", Reason::Auth, renew),
                (401, "MMC.111070004", Reason::Auth, renew),
                (400, "USG.206020000", Reason::Auth, renew),
                (403, "USG.206020002", Reason::Auth, renew),
                (200, "MMC.111070111", Reason::Auth, renew),
                (403, "", Reason::Forbidden, Consequence::None),
                (400, "MMC.111070002", Reason::Forbidden, Consequence::None),
                (401, "MMC.111070010", Reason::Auth, Consequence::None),
                (401, "MMC.100000429", Reason::Auth, PAUSE),
                (429, "", Reason::RateLimited, PAUSE),
                (429, "APIG.0308", Reason::RateLimited, PAUSE),
                (500, "USG.100000429", Reason::RateLimited, PAUSE),
                (400, "MBI.000000004", Reason::Auth, renew),
                (403, "USG.000000004", Reason::Auth, renew),
                (400, "MMC.111070001", Reason::Vendor, doubt),
                (400, "APIG.0101", Reason::Vendor, doubt),
                (500, "MMC.111070003", Reason::Vendor, Consequence::None),
                (200, "MMC.111071008", Reason::Vendor, doubt),
                (400, "", Reason::Http4xx, Consequence::None),
                (400, "invalid", Reason::Http4xx, Consequence::None),
                (502, "", Reason::Http5xx, Consequence::None),
                (502, "13", Reason::Http5xx, Consequence::None),
                (200, "", Reason::Decode, Consequence::None),
                (200, "13", Reason::Vendor, doubt),
            ],
        );
    }

    #[test]
    fn of_the_control_calls() {
        let locked = Consequence::LockedOut(Duration::from_secs(15 * 60));
        let user_locked = Consequence::LockedOut(Duration::from_secs(60));
        check(
            host_password,
            &[
                (400, "MMC.111072065", Reason::Auth, Consequence::LoginRejected),
                (401, "", Reason::Auth, Consequence::LoginRejected),
                (400, "USG.206020000", Reason::Auth, Consequence::LoginRejected),
                (400, "USG.206030015", Reason::LockedOut, user_locked),
                (400, "MMC.111072064", Reason::LockedOut, locked),
                (403, "MMC.111070002", Reason::Forbidden, Consequence::None),
                (403, "", Reason::Forbidden, Consequence::None),
                (403, "MMC.199999999", Reason::Forbidden, Consequence::None),
                (400, "MMC.199999999", Reason::Auth, Consequence::LoginRejected),
                (200, "MMC.199999999", Reason::Auth, Consequence::LoginRejected),
                (200, "MMC.111072005", Reason::Vendor, Consequence::None),
                (500, "MMC.199999999", Reason::Vendor, Consequence::None),
                (404, "", Reason::Http4xx, Consequence::None),
                (400, "MMC.100000429", Reason::RateLimited, PAUSE),
                (400, "MMC.111070001", Reason::Vendor, Consequence::None),
                (400, "MMC.111071008", Reason::Vendor, Consequence::None),
                (500, "", Reason::Http5xx, Consequence::None),
            ],
        );
        check(
            control,
            &[
                (400, "MMC.111070004", Reason::Auth, Consequence::RenewToken),
                (401, "", Reason::Auth, Consequence::RenewToken),
                (400, "USG.206030015", Reason::LockedOut, user_locked),
                (400, "MMC.111072064", Reason::LockedOut, locked),
                (403, "", Reason::Forbidden, Consequence::None),
                (429, "", Reason::RateLimited, PAUSE),
                (400, "MMC.111070001", Reason::Vendor, Consequence::None),
            ],
        );
    }

    #[test]
    fn a_meeting_is_over_by_its_code_and_status() {
        assert!(refusal(400, "MMC.111070005").is_over());
        assert!(refusal(400, "111072005").is_over());
        assert!(refusal(404, "MMC.111070005").is_over());
        assert!(refusal(404, "CONF_DATA_NOT_FOUND").is_over());
        assert!(!refusal(404, "").is_over());
        assert!(!refusal(400, "MMC.111070001").is_over());
        assert!(!refusal(500, "MMC.111070005").is_over());
        assert!(!refusal(400, "").is_over());
    }

    #[test]
    fn codes_come_under_many_names() {
        let first = |json: &str| serde_json::from_str::<Codes<'_>>(json).unwrap().first(500);
        let found =
            |json: &str, code: &str| assert_eq!(first(json).as_deref(), Some(code), "{json}");
        found(r#"{"error_code":"MMC.111070005","error_msg":"over"}"#, "MMC.111070005");
        found(r#"{"errorCode":"USG.206020000","errorMsg":null}"#, "USG.206020000");
        found(r#"{"code":111070002,"message":{}}"#, "111070002");
        found(r#"{"returnCode":13,"returnDesc":""}"#, "13");
        found(r#"{"error_code":"","code":"APIG.0308"}"#, "APIG.0308");
        for nothing in [
            "{}",
            r#"{"returnCode":0}"#,
            r#"{"error_code":null}"#,
            r#"{"code":["MMC.1"]}"#,
            r#"{"code":500}"#,
        ] {
            assert_eq!(first(nothing), None, "{nothing}");
        }
        let nested: Nested<'_> =
            serde_json::from_str(r#"{"error":{"error_code":"MMC.1","x":[{}]}}"#).unwrap();
        let Lenient::Expected(Object(codes)) = nested.error else { panic!("no codes") };
        assert_eq!(codes.first(400).as_deref(), Some("MMC.1"));
    }
}
