// SPDX-License-Identifier: Apache-2.0
//! What DingTalk's failures mean.
//!
//! The gateway answers `{"code","requestid","message"}` with HTTP 4xx or 5xx, but also
//! `{"errcode","errmsg"}` with HTTP 200, and a ban as a page or as `{"punish":…}` with a status
//! nobody documents. Messages are localised and carry addresses: only codes and statuses count.

use std::time::Duration;

use serde::{Deserialize, de::IgnoredAny};

use crate::{
    model::Reason,
    net::{
        Answer, Consequence, Fault,
        lenient::{Flag, Number, Object, Text, present},
    },
    systems::Refusal,
};

/// What the page has in it that answers banned addresses.
pub(super) const BAN_WORD: &str = "punish";

/// The pause after the per-second limit.
const SECOND: Duration = Duration::from_secs(1);

/// The pause after the per-minute limit, and where a throttling answer names no span.
const MINUTE: Duration = Duration::from_secs(60);

/// How long an address is banned.
const BAN: Duration = Duration::from_secs(5 * 60);

/// The quota is monthly, but more of it can be bought at any time.
const QUOTA_PAUSE: Duration = Duration::from_secs(60 * 60);

/// An address that is not allowed stays so until somebody changes it.
const NOT_ALLOWED: Duration = Duration::from_secs(10 * 60);

/// What an unknown path is answered, with HTTP 200.
const UNKNOWN_PATH: i64 = 404;

/// Letters of the longest code with a name, and digits of the longest number.
const LONGEST_NAME: usize = 64;
const LONGEST_NUMBER: usize = 6;

/// The kind of call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// The call for a token.
    Token,
    /// A call that carries one.
    Data,
}

/// An answer with HTTP 2xx.
pub(super) trait Reply {
    /// Whether it is the answer asked for: it carries what it must and no sign of a failure.
    fn is_answer(&self) -> bool;
}

/// A code, or a number of the old API that means the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Too many calls in a second.
    PerSecond,
    /// Too many calls in a minute, or no span is named.
    PerMinute,
    /// The calls of this month are used up.
    MonthlyQuota,
    /// The application has no permission.
    NoPermission,
    /// The address is not among those allowed.
    AddressNotAllowed,
    /// The token is invalid or has expired.
    TokenRefused,
    /// No token was sent: it is none that a header can carry.
    TokenMissing,
    /// The application's key or secret is wrong.
    BadCredentials,
    /// The ticket that is pushed every few hours is wrong.
    BadTicket,
    /// A meeting has ended.
    MeetingEnded,
    /// A meeting does not exist.
    MeetingNotFound,
    /// A meeting is unknown, or not of this organisation; or so the vendor says of whatever is
    /// wrong with the request.
    MeetingUnknown,
    /// Of a foreign organisation.
    ForeignMeeting,
    /// More meetings than one query may ask for. It is documented of a sibling call only.
    BatchTooLong,
    /// Wrong parameters that are not a meeting's id.
    BadParameters,
    /// Trouble at the vendor.
    Broken,
    /// What the unified call for a token was seen to answer to a corporation that does not exist, with HTTP 500. It is
    /// not documented.
    UnknownError,
    /// A failure by its shape that is not documented.
    Other,
}

impl Code {
    /// One name is spelt differently from call to call. `None`: it is not documented.
    pub(super) fn of(code: &str) -> Option<Self> {
        let code = code.to_ascii_lowercase();
        if let Some(denied) = code.strip_prefix("forbidden.accessdenied.") {
            return match denied {
                "accesstokenpermissiondenied" => Some(Self::NoPermission),
                "ipnotinwhitelist" => Some(Self::AddressNotAllowed),
                denied if denied.starts_with("qps") => Some(Self::PerSecond),
                denied if denied.starts_with("qpm") => Some(Self::PerMinute),
                denied if denied.starts_with("apicountlimit") => Some(Self::MonthlyQuota),
                _ => None,
            };
        }
        Some(match code.as_str() {
            "invalidauthentication" => Self::TokenRefused,
            "authenticationfailed.missingparameter" => Self::TokenMissing,
            "invalidsuiteticket" => Self::BadTicket,
            "invalidclientidorsecret"
            | "invalid.client"
            | "invalidsuitekey"
            | "invalidauthinfo"
            | "unsupported.grant.type"
            | "unauthorized.client" => Self::BadCredentials,
            "nopermission" | "no.priviledge" | "permissionerror" => Self::NoPermission,
            "orgaccessforbidden" => Self::ForeignMeeting,
            "waterlimiterror" | "system.busy" | "systembusy" => Self::PerMinute,
            "resourceclose" => Self::MeetingEnded,
            "roomnotfound" => Self::MeetingNotFound,
            "unknownusererror" | "paramserror" | "paramerror" | "param.error" | "missingroomid"
            | "invalidroomcode" => Self::MeetingUnknown,
            "paramstitleerror" | "missingroomcode" | "missingbody" => Self::BadParameters,
            "sizetoolarge" => Self::BatchTooLong,
            "systemerror" | "system.error" | "server.error" => Self::Broken,
            "unknownerror" => Self::UnknownError,
            _ => return None,
        })
    }

    /// What a number of the old API means; `None`: it is not documented.
    const fn of_number(errcode: i64) -> Option<Self> {
        match errcode {
            90002 | 90018 => Some(Self::PerSecond),
            90020 => Some(Self::MonthlyQuota),
            60020 => Some(Self::AddressNotAllowed),
            40014 | 42001 => Some(Self::TokenRefused),
            40096 => Some(Self::BadCredentials),
            _ => None,
        }
    }

    /// Whether a whole batch may be refused with it because of one meeting that is unknown, or whatever
    /// else is wrong with the request.
    pub(super) const fn is_unknown_meeting(self) -> bool {
        matches!(self, Self::MeetingUnknown | Self::ForeignMeeting)
    }

    /// Whether smaller batches may be answered where one is refused with it.
    pub(super) const fn is_about_the_batch(self) -> bool {
        self.is_unknown_meeting()
            || matches!(self, Self::MeetingEnded | Self::MeetingNotFound | Self::BatchTooLong)
    }

    /// What it means, and what a person should look at where the code says more than the reason. `None`: it
    /// is not documented of such a call.
    fn fault(self, on: On) -> Option<Fault> {
        let forbidden = match on {
            On::Token => Fault::new(Reason::Forbidden).then(Consequence::HoldLogin(NOT_ALLOWED)),
            On::Data => Fault::new(Reason::Forbidden),
        };
        Some(match self {
            Self::PerSecond => throttled(SECOND).advise(match on {
                On::Token => None,
                On::Data => Some(
                    "an application may make 20 calls a second: raise batch_size, or lower max_concurrency",
                ),
            }),
            Self::PerMinute => throttled(MINUTE),
            Self::MonthlyQuota => Fault::new(Reason::Quota)
                .then(Consequence::HoldRequests(QUOTA_PAUSE))
                .advise(Some("the enterprise's calls of this month are used up: raise min_interval, or buy more")),
            Self::NoPermission | Self::ForeignMeeting => forbidden,
            Self::AddressNotAllowed => forbidden
                .advise(Some("add this machine's address to the addresses allowed for the application")),
            Self::TokenRefused if on == On::Data => {
                Fault::new(Reason::Auth).then(Consequence::RenewToken)
            }
            Self::TokenMissing if on == On::Data => Fault::new(Reason::Auth),
            Self::TokenRefused | Self::TokenMissing => rejected(),
            Self::BadCredentials if on == On::Token => rejected(),
            Self::BadTicket if on == On::Token => rejected()
                .advise(Some("keep suite_ticket current: a new one is pushed every few hours")),
            Self::MeetingEnded
            | Self::MeetingNotFound
            | Self::MeetingUnknown
            | Self::BadParameters
                if on == On::Data =>
            {
                Fault::new(Reason::Vendor)
            }
            Self::Broken | Self::Other => Fault::new(Reason::Vendor),
            Self::BadCredentials
            | Self::BadTicket
            | Self::MeetingEnded
            | Self::MeetingNotFound
            | Self::MeetingUnknown
            | Self::BadParameters
            | Self::BatchTooLong
            | Self::UnknownError => return None,
        })
    }
}

/// Decodes the answer asked for.
///
/// # Errors
/// The failure it is instead.
pub(super) fn unwrap<'a, T: Deserialize<'a> + Reply>(
    answer: &'a Answer,
    on: On,
) -> Result<T, Refusal<Code>> {
    if answer.status.is_success()
        && let Ok(reply) = answer.decode::<T>()
        && (reply.is_answer() || (on == On::Data && says_nothing(answer)))
    {
        return Ok(reply);
    }
    Err(failure(answer, on))
}

/// An answer without the list it was asked for. Empty parts may be left out; a key that is none of
/// these may be a failure in words that nobody documented.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {
    #[serde(default)]
    errcode: Number,
    #[serde(default, rename = "errmsg")]
    _errmsg: IgnoredAny,
    #[serde(default, rename = "requestId", alias = "requestid", alias = "request_id")]
    _request_id: IgnoredAny,
    #[serde(default)]
    success: Flag,
    #[serde(default, rename = "totalCount")]
    total: Number,
    #[serde(default, rename = "hasMore")]
    has_more: Flag,
    #[serde(default, rename = "nextToken")]
    _next_token: IgnoredAny,
}

/// Whether this is a success with nothing in it.
fn says_nothing(answer: &Answer) -> bool {
    answer.decode::<Object<Nothing>>().is_ok_and(|Object(nothing)| {
        nothing.errcode.0.unwrap_or(0) == 0
            && nothing.total.0.unwrap_or(0) == 0
            && nothing.success.0 != Some(false)
            && nothing.has_more.0 != Some(true)
    })
}

fn failure(answer: &Answer, on: On) -> Refusal<Code> {
    let status = answer.status.as_u16();
    let by_status = answer.check_status().err().unwrap_or(Fault::new(Reason::Decode));
    match answer.decode::<Body<'_>>() {
        Ok(body) => body.refusal(status, by_status, on),
        Err(_) if is_ban_page(answer.bytes()) => banned().into(),
        Err(_) => undocumented("", status, by_status, on),
    }
}

/// Whatever shape a failure has.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    code: Text<'a>,
    #[serde(borrow, default, rename = "Code")]
    capital: Text<'a>,
    #[serde(default)]
    errcode: Number,
    #[serde(default, deserialize_with = "present")]
    punish: Option<IgnoredAny>,
}

impl Body<'_> {
    fn refusal(&self, status: u16, by_status: Fault, on: On) -> Refusal<Code> {
        if self.punish.is_some() {
            return banned().into();
        }
        let code = if self.code.is_empty() { self.capital.as_str() } else { self.code.as_str() };
        let number = match self.errcode.0 {
            Some(errcode) if errcode != 0 => Some(errcode),
            Some(_) | None => code.parse().ok(),
        };
        let text = number.map_or_else(|| code.to_owned(), |number| number.to_string());
        let known = match number {
            Some(number) => Code::of_number(number),
            None => Code::of(code),
        };
        let documented = known.and_then(|code| Some((code, code.fault(on)?))).or_else(|| {
            // A failure by its shape, whatever the number.
            let number = number.filter(|_| status < 400)?;
            Some(match on {
                On::Token if number != UNKNOWN_PATH => (Code::Other, rejected()),
                On::Token | On::Data => (Code::Other, Fault::new(Reason::Vendor)),
            })
        });
        match documented {
            Some((code, fault)) => {
                Refusal { code: Some(code), fault: coded(fault, &text) }.with_status(by_status)
            }
            // A code that is not documented of such a call may still say what is wrong.
            None => {
                let Refusal { fault, .. } = undocumented(&text, status, by_status, on);
                let is_corporation = known == Some(Code::UnknownError) && on == On::Token;
                let advice = is_corporation.then_some(
                    "a wrong corp_id is answered so; else it is trouble at the vendor, which usually passes",
                );
                Refusal { code: known, fault: fault.advise(advice) }
            }
        }
    }
}

/// What a code without documentation, or none at all, means: what the status says.
fn undocumented(code: &str, status: u16, by_status: Fault, on: On) -> Refusal<Code> {
    // Any code may be another reason to refuse a login: trying on and on would not make it a better one.
    // A copy of the status is none of the vendor's codes.
    let has_code = !code.is_empty() && code != status.to_string();
    let refused = match status {
        401 => true,
        429 => false,
        _ => status < 500 && has_code,
    };
    let fault = match on {
        On::Token if refused => rejected(),
        // A code that is not known here may be about the token.
        On::Data if status == 400 && !code.is_empty() => by_status.then(Consequence::DoubtToken),
        On::Token | On::Data => by_status,
    };
    coded(fault, code).into()
}

/// The fault with its code: a number, or a name that is documented. Where there is none, the code
/// of the status stays.
fn coded(fault: Fault, code: &str) -> Fault {
    if code.is_empty() {
        return fault;
    }
    let is_name = |code: &str| {
        code.len() <= LONGEST_NAME
            && code.bytes().all(|b| b.is_ascii_alphabetic() || b == b'.')
            && Code::of(code).is_some()
    };
    let is_number = |code: &str| {
        code.len() <= LONGEST_NUMBER && code.bytes().all(|b| b.is_ascii_digit() || b == b'-')
    };
    fault.with_code_if(is_name(code) || is_number(code), code)
}

const fn throttled(pause: Duration) -> Fault {
    Fault::new(Reason::RateLimited).then(Consequence::HoldRequests(pause))
}

const fn rejected() -> Fault {
    Fault::new(Reason::Auth).then(Consequence::LoginRejected)
}

fn banned() -> Fault {
    throttled(BAN).advise(Some("the address is banned for some minutes: scrape less often"))
}

/// Whether this is the page a banned address gets. JSON never is, even cut short: the word may be
/// part of a person's name.
fn is_ban_page(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start();
    !matches!(body.first(), Some(b'{' | b'['))
        && body.windows(BAN_WORD.len()).any(|word| word == BAN_WORD.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reason, the consequence and the code of a failure, as [`failure`] would find them.
    fn judged(status: u16, json: &str, on: On) -> (Reason, Consequence) {
        let by_status = match status {
            200..=299 => Fault::new(Reason::Decode),
            401 => Fault::new(Reason::Auth).then(Consequence::RenewToken),
            403 => Fault::new(Reason::Forbidden),
            429 => throttled(Duration::from_secs(7)),
            400..=499 => Fault::new(Reason::Http4xx),
            _ => Fault::new(Reason::Http5xx),
        };
        let fault = match serde_json::from_str::<Body<'_>>(json) {
            Ok(body) => body.refusal(status, by_status, on),
            Err(_) => undocumented("", status, by_status, on),
        }
        .fault;
        (fault.reason, fault.consequence)
    }

    fn hold(seconds: u64) -> Consequence {
        Consequence::HoldRequests(Duration::from_secs(seconds))
    }

    #[test]
    fn codes_of_calls_with_a_token() {
        use Consequence::{DoubtToken, None, RenewToken};
        use Reason::{Auth, Forbidden, Http4xx, Http5xx, Quota, RateLimited, Vendor};
        let table = [
            (400, "InvalidAuthentication", Auth, RenewToken),
            (401, "", Auth, RenewToken),
            (401, "anything", Auth, RenewToken),
            (400, "AuthenticationFailed.MissingParameter", Auth, None),
            (403, "Forbidden.AccessDenied.AccessTokenPermissionDenied", Forbidden, None),
            (403, "Forbidden.AccessDenied.IpNotInWhiteList", Forbidden, None),
            (403, "Forbidden.AccessDenied.SomethingNew", Forbidden, None),
            (403, "noPermission", Forbidden, None),
            (400, "no.priviledge", Forbidden, None),
            (400, "Missingbody", Vendor, None),
            (404, "permissionError", Forbidden, None),
            (403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", RateLimited, hold(1)),
            (403, "Forbidden.AccessDenied.QpsLimitForSuitekeyAndOrgAndApi", RateLimited, hold(1)),
            (403, "forbidden.accessdenied.qpslimitforapi", RateLimited, hold(1)),
            (403, "Forbidden.AccessDenied.QpmLimitForAppkeyAndApi", RateLimited, hold(60)),
            (403, "Forbidden.AccessDenied.ApiCountLimitForOrg", Quota, hold(3600)),
            (404, "waterLimitError", RateLimited, hold(60)),
            (429, "system.busy", RateLimited, hold(60)),
            (429, "", RateLimited, hold(7)),
            (429, "anything", RateLimited, hold(7)),
            (500, "systemError", Vendor, None),
            (500, "system.error", Vendor, None),
            (500, "unknownError", Http5xx, None),
            (503, "", Http5xx, None),
            (400, "paramError", Vendor, None),
            (400, "paramsTitleError", Vendor, None),
            (400, "resourceClose", Vendor, None),
            (400, "somethingNew", Http4xx, DoubtToken),
            (418, "", Http4xx, None),
            (403, "90020", Quota, hold(3600)),
            (401, "resourceClose", Auth, RenewToken),
            (429, "paramsError", RateLimited, hold(7)),
            (403, "roomNotFound", Forbidden, None),
        ];
        for (status, code, reason, consequence) in table {
            for key in ["code", "Code"] {
                let body = format!(r#"{{"{key}":"{code}","requestid":"r","message":"m"}}"#);
                assert_eq!(judged(status, &body, On::Data), (reason, consequence), "{body}");
            }
        }
    }

    #[test]
    fn codes_of_the_call_for_a_token() {
        use Consequence::{HoldLogin, LoginRejected, None};
        use Reason::{Auth, Forbidden, Http4xx, Http5xx, Quota, RateLimited, Vendor};
        let table = [
            (400, "invalidClientIdOrSecret", Auth, LoginRejected),
            (400, "invalid.client", Auth, LoginRejected),
            (400, "invalidSuiteKey", Auth, LoginRejected),
            (400, "invalidSuiteTicket", Auth, LoginRejected),
            (400, "invalidAuthInfo", Auth, LoginRejected),
            (400, "unsupported.grant.type", Auth, LoginRejected),
            (401, "unauthorized.client", Auth, LoginRejected),
            (400, "paramsError", Auth, LoginRejected),
            (403, "somethingNew", Auth, LoginRejected),
            (401, "", Auth, LoginRejected),
            (403, "", Forbidden, None),
            (400, "", Http4xx, None),
            (404, "somethingNew", Auth, LoginRejected),
            (200, "somethingNew", Auth, LoginRejected),
            (400, "AuthenticationFailed.MissingParameter", Auth, LoginRejected),
            (404, "404", Http4xx, None),
            (429, "somethingNew", RateLimited, hold(7)),
            (403, "Forbidden.AccessDenied.IpNotInWhiteList", Forbidden, HoldLogin(NOT_ALLOWED)),
            (403, "Forbidden.AccessDenied.QpsLimitForApi", RateLimited, hold(1)),
            (403, "Forbidden.AccessDenied.ApiCountLimitForOrg", Quota, hold(3600)),
            (500, "server.error", Vendor, None),
            (500, "unknownError", Http5xx, None),
        ];
        for (status, code, reason, consequence) in table {
            let body = format!(r#"{{"code":"{code}","requestid":"r","message":"m"}}"#);
            assert_eq!(judged(status, &body, On::Token), (reason, consequence), "{body}");
        }
    }

    #[test]
    fn failures_that_come_with_success() {
        use Consequence::{LoginRejected, None, RenewToken};
        use Reason::{Auth, Decode, Forbidden, Quota, RateLimited, Vendor};
        let table = [
            (r#"{"errcode":404,"errmsg":"m"}"#, Vendor, None),
            (r#"{"errcode":"90018"}"#, RateLimited, hold(1)),
            (r#"{"errcode":90002}"#, RateLimited, hold(1)),
            (r#"{"errcode":90020}"#, Quota, hold(3600)),
            (r#"{"errcode":60020}"#, Forbidden, None),
            (r#"{"errcode":40014}"#, Auth, RenewToken),
            (r#"{"errcode":42001}"#, Auth, RenewToken),
            (r#"{"status":1111,"wait":5,"punish":"deny"}"#, RateLimited, hold(300)),
            (r#"{"code":"InvalidAuthentication"}"#, Auth, RenewToken),
            (r#"{"errcode":0}"#, Decode, None),
            ("{}", Decode, None),
            ("[]", Decode, None),
        ];
        for (body, reason, consequence) in table {
            assert_eq!(judged(200, body, On::Data), (reason, consequence), "{body}");
        }
        assert_eq!(judged(200, r#"{"errcode":40096}"#, On::Token), (Auth, LoginRejected));
        assert_eq!(judged(200, r#"{"errcode":40097}"#, On::Token), (Auth, LoginRejected));
        assert_eq!(judged(200, r#"{"errcode":404}"#, On::Token), (Vendor, None));
        assert_eq!(judged(403, r#"{"punish":"deny"}"#, On::Token), (RateLimited, hold(300)));
        assert_eq!(judged(400, r#"{"errcode":123456}"#, On::Data).0, Reason::Http4xx);
    }

    #[test]
    fn only_codes_about_ids_split_a_batch() {
        for (code, is_unknown) in [
            ("resourceClose", false),
            ("roomNotFound", false),
            ("sizeTooLarge", false),
            ("orgAccessForbidden", true),
            ("unknownUserError", true),
            ("paramsError", true),
            ("paramError", true),
            ("missingRoomId", true),
            ("invalidRoomCode", true),
        ] {
            let found = Code::of(code).unwrap();
            assert!(found.is_about_the_batch(), "{code}");
            assert_eq!(found.is_unknown_meeting(), is_unknown, "{code}");
        }
        for code in ["InvalidAuthentication", "systemError", "permissionError", "paramsTitleError"]
        {
            assert!(!Code::of(code).unwrap().is_about_the_batch(), "{code}");
        }
    }

    #[test]
    fn a_ban_page_is_no_json() {
        assert!(is_ban_page(b"<html><a href=\"//punish.example\">"));
        assert!(is_ban_page(b"punish"));
        assert!(!is_ban_page(b"<html>Bad gateway"));
        assert!(!is_ban_page(b" {\"infos\":[{\"title\":\"crime and punishment\""));
        assert!(!is_ban_page(b""));
    }
}
