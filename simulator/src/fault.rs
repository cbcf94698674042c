// SPDX-License-Identifier: Apache-2.0
//! The ways in which a system can misbehave.

use crate::body::Payload;
use crate::call::Answer;
use crate::damage;
use crate::registry::Description;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use serde_json::Value;
use std::io::Write;
use std::time::Duration;

/// What goes wrong with a call.
///
/// "The right answer" is what the system would have answered; faults that speak of it let the call have its effect
/// (a login issues a token), the others do not. In a text protocol an answer is one message, and faults that need
/// HTTP ([`Fault::needs_http`]) do not exist. Faults that speak of keys change only answers that are JSON objects.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This HTTP status with a plain text body.
    Status(u16),
    /// This HTTP status with this body, announced as JSON.
    StatusJson(u16, String),
    /// HTTP 200 with these bytes, announced as JSON; in a text protocol these bytes, such as another service's banner.
    Body(Vec<u8>),
    /// The vendor's failure shape with this code (`errno`, `errcode`, `error_code`, `code`) and the HTTP status that
    /// is documented for it.
    VendorError(String),
    /// The vendor's failure shape with this code and this HTTP status.
    VendorErrorStatus(u16, String),
    /// This HTTP status with a `Retry-After` of this value.
    RetryAfter {
        /// The HTTP status.
        status: u16,
        /// The header's value.
        value: String,
    },
    /// Reads the request and never answers.
    Hang,
    /// The right answer, one byte a second.
    Drip,
    /// A body that never ends.
    Endless,
    /// The right answer with a key of padding, this many bytes in all.
    Large(usize),
    /// A gzip body of this many bytes once unpacked.
    GzipBomb(usize),
    /// Half of the right answer, announced as the whole, then an orderly close.
    Truncate,
    /// Closes the connection instead of answering.
    CloseBeforeAnswer,
    /// Half of the right answer, announced as the whole, then a reset (RST).
    ResetInsideBody,
    /// HTTP 302 to this location.
    Redirect(String),
    /// The right answer, announced as `text/html`.
    WrongContentType,
    /// HTTP 200 with the login page of a web interface.
    Html,
    /// The right answer after a byte order mark.
    Bom,
    /// The right answer with an unknown key that is not UTF-8.
    InvalidUtf8,
    /// The right answer with an unknown key whose text is in another encoding: GBK.
    ForeignText,
    /// The main key's value replaced by arrays nested this deep.
    DeepNesting(usize),
    /// The right answer with an unknown key of arrays nested this deep.
    DeepNestingIgnoredKey(usize),
    /// The right answer with the value of each top-level key replaced by another kind.
    WrongTypes,
    /// The right answer without its main key.
    MissingKey,
    /// The right answer with each top-level key given twice.
    DuplicateKeys,
    /// The main key's value replaced by `NaN`.
    NotJson,
    /// The right answer with every number replaced by 2^64 or more; codes of success stay.
    HugeNumbers,
    /// The right answer with every number made negative; codes of success stay.
    NegativeNumbers,
    /// The right answer with this total (`total_number`, `count`, `totalCount`).
    LyingTotal(i64),
    /// Every page is page one, and there is always another.
    RepeatPages,
    /// The right answer with each item of its list given twice.
    DuplicateItems,
    /// The right answer, this much later. The call is judged, and has its effect, when it arrives.
    Delay(Duration),
    /// The call is judged this much later, even if its sender has gone by then, and then answered rightly. Until then
    /// it has no effect, and its recorded status is 0.
    JudgeLater(Duration),
    /// HTTP 200 without a body; in a text protocol nothing, and the connection stays.
    Empty,
    /// The system's own answer for a token it does not accept, however new the token is. Without a call it
    /// concerns the calls that need what a login gave, and neither logins nor log-outs.
    TokenRefused,
    /// HTTP 401 with a plain text body, as a proxy sends it. Without a call it concerns the same calls as
    /// [`Fault::TokenRefused`].
    Unauthorized,
}

/// A fault waiting for its call.
#[derive(Clone, Debug)]
pub(crate) struct Injected {
    pub(crate) name: Option<String>,
    pub(crate) fault: Fault,
    pub(crate) times: Option<u32>,
}

impl Injected {
    /// Whether this call is one it waits for.
    pub(crate) fn concerns(&self, name: &str, description: &Description) -> bool {
        match (&self.name, &self.fault) {
            (Some(only), _) => only == name,
            (None, Fault::TokenRefused | Fault::Unauthorized) => {
                description.with_token.contains(&name)
            }
            // The greeting of a text protocol answers no call.
            (None, _) => name != GREETING,
        }
    }
}

/// What goes out.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) payload: Payload,
    pub(crate) delay: Duration,
}

/// What faults for the greeting of a text protocol are injected for.
pub(crate) const GREETING: &str = "greeting";
pub(crate) const JSON: &str = "application/json;charset=UTF-8";
const TEXT: &str = "text/plain";
const HTML: &str = "text/html; charset=utf-8";
const LOGIN_PAGE: &str =
    "<!DOCTYPE html><html><head><title>Login</title></head><body><form>Login</form></body></html>";

impl Reply {
    pub(crate) fn of(status: u16, body: impl Into<Bytes>) -> Self {
        let payload = Payload::Whole(body.into());
        Self { status, kind: JSON, headers: Vec::new(), payload, delay: Duration::ZERO }
    }

    /// A right answer with this payload.
    pub(crate) fn to(answer: &Answer, payload: Payload) -> Self {
        Self { kind: answer.kind, payload, ..Self::of(answer.status, "") }
    }

    /// The HTTP status, or 0 if no answer is begun.
    pub(crate) fn begun(&self) -> u16 {
        match self.payload {
            Payload::Never | Payload::Close => 0,
            Payload::Whole(_)
            | Payload::UntilClose(_)
            | Payload::Drip(_)
            | Payload::Half { .. }
            | Payload::Endless => self.status,
        }
    }

    fn announced(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl Fault {
    /// Whether it means something only in HTTP.
    pub fn needs_http(&self) -> bool {
        matches!(
            self,
            Self::Status(_)
                | Self::StatusJson(..)
                | Self::VendorErrorStatus(..)
                | Self::RetryAfter { .. }
                | Self::GzipBomb(_)
                | Self::Redirect(_)
                | Self::WrongContentType
                | Self::RepeatPages
                | Self::Unauthorized
        )
    }

    /// Whether the call is to have its effect.
    pub(crate) fn needs_answer(&self) -> bool {
        match self {
            Self::Status(_)
            | Self::StatusJson(..)
            | Self::Body(_)
            | Self::VendorError(_)
            | Self::VendorErrorStatus(..)
            | Self::RetryAfter { .. }
            | Self::Hang
            | Self::Endless
            | Self::GzipBomb(_)
            | Self::CloseBeforeAnswer
            | Self::Redirect(_)
            | Self::Html
            | Self::Empty
            | Self::TokenRefused
            | Self::Unauthorized => false,
            Self::Drip
            | Self::Large(_)
            | Self::Truncate
            | Self::ResetInsideBody
            | Self::WrongContentType
            | Self::Bom
            | Self::InvalidUtf8
            | Self::ForeignText
            | Self::DeepNesting(_)
            | Self::DeepNestingIgnoredKey(_)
            | Self::WrongTypes
            | Self::MissingKey
            | Self::DuplicateKeys
            | Self::NotJson
            | Self::HugeNumbers
            | Self::NegativeNumbers
            | Self::LyingTotal(_)
            | Self::RepeatPages
            | Self::DuplicateItems
            | Self::Delay(_)
            | Self::JudgeLater(_) => true,
        }
    }

    /// What goes out instead of the right answer, which is there if [`Fault::needs_answer`] says so. `failure` makes
    /// the system's failure answer for a code; `main_keys` are those of the call's right answer.
    pub(crate) fn reply(
        &self,
        right: Option<Answer>,
        failure: &dyn Fn(&str) -> Answer,
        main_keys: &[&str],
        description: &Description,
    ) -> Reply {
        let right = right.unwrap_or_else(|| Answer::bytes(Bytes::new()));
        let body = &right.body;
        let damaged = |body: Vec<u8>| Reply::to(&right, Payload::Whole(body.into()));
        let changed = |change: &dyn Fn(&mut Value)| damaged(damage::changed(body, change));
        match self {
            Self::Status(status) => {
                Reply::of(*status, "the server has a problem\n").announced(TEXT)
            }
            Self::StatusJson(status, body) => Reply::of(*status, body.clone()),
            Self::Body(bytes) => Reply::of(200, bytes.clone()),
            Self::VendorError(code) => whole(failure(code)),
            Self::VendorErrorStatus(status, code) => {
                Reply { status: *status, ..whole(failure(code)) }
            }
            Self::TokenRefused => whole(failure(description.codes.token_refused)),
            Self::Unauthorized => Reply::of(401, "authorization required\n").announced(TEXT),
            Self::RetryAfter { status, value } => Reply::of(*status, "try again later\n")
                .announced(TEXT)
                .with_header("retry-after", value),
            Self::Hang => Reply::to(&right, Payload::Never),
            Self::Drip => Reply::to(&right, Payload::Drip(body.clone())),
            Self::Endless => Reply::to(&right, Payload::Endless),
            Self::Large(size) => damaged(damage::padded(body, *size)),
            Self::GzipBomb(size) => {
                Reply::of(200, bomb(*size)).with_header("content-encoding", "gzip")
            }
            Self::Truncate => Reply::to(&right, Payload::Half { body: body.clone(), reset: false }),
            Self::CloseBeforeAnswer => Reply::to(&right, Payload::Close),
            Self::ResetInsideBody => {
                Reply::to(&right, Payload::Half { body: body.clone(), reset: true })
            }
            Self::Redirect(to) => {
                Reply::of(302, "moved\n").announced(TEXT).with_header("location", to)
            }
            Self::WrongContentType => whole(right).announced(HTML),
            Self::Html => Reply::of(200, LOGIN_PAGE).announced(HTML),
            Self::Bom => damaged([b"\xef\xbb\xbf", body.as_ref()].concat()),
            Self::InvalidUtf8 => damaged(damage::with_key(body, b"1,\"\xff\xfe\xc3\":1")),
            Self::ForeignText => damaged(damage::with_key(body, b"\"\xbb\xe1\xd2\xe9\"")),
            Self::DeepNesting(depth) => {
                damaged(damage::with_main(body, main_keys, &damage::nested(*depth)))
            }
            Self::DeepNestingIgnoredKey(depth) => {
                damaged(damage::with_key(body, &damage::nested(*depth)))
            }
            Self::WrongTypes => changed(&damage::wrong_types),
            Self::MissingKey => changed(&|value| damage::without(value, main_keys)),
            Self::DuplicateKeys => damaged(damage::twice(body)),
            Self::NotJson => damaged(damage::with_main(body, main_keys, b"NaN")),
            Self::HugeNumbers => damaged(damage::huge(body)),
            Self::NegativeNumbers => changed(&damage::negative),
            Self::LyingTotal(total) => changed(&|value| damage::total(value, *total)),
            Self::RepeatPages => changed(&damage::another_page),
            Self::DuplicateItems => changed(&|value| damage::duplicate(value, main_keys)),
            Self::Delay(delay) => Reply { delay: *delay, ..whole(right) },
            Self::JudgeLater(_) => whole(right),
            Self::Empty => Reply::of(200, ""),
        }
    }
}

fn whole(answer: Answer) -> Reply {
    let payload = Payload::Whole(answer.body.clone());
    Reply::to(&answer, payload)
}

/// A JSON object with one long string of zeros, packed.
fn bomb(size: usize) -> Vec<u8> {
    const HEAD: &[u8] = b"{\"padding\":\"";
    const TAIL: &[u8] = b"\"}";
    static BLOCK: [u8; 65_536] = [b'0'; 65_536];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let mut left = size.saturating_sub(HEAD.len() + TAIL.len());
    // Writing to a Vec cannot fail; a body that is too short would fail the test that uses it.
    let _ = encoder.write_all(HEAD);
    while left > 0 {
        let part = left.min(BLOCK.len());
        let _ = encoder.write_all(&BLOCK[..part]);
        left -= part;
    }
    let _ = encoder.write_all(TAIL);
    encoder.finish().unwrap_or_default()
}
