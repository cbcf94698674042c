//! The ways in which a system can misbehave.

use crate::body::Payload;
use crate::model::Vendor;
use crate::system::Answer;
use crate::{dingtalk, huawei_meeting, mangle, yeastar_p};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

/// What goes wrong with a call.
///
/// "The right answer" is what the system would have answered; faults that speak of it let the call have its effect
/// (a login issues a token), the others do not.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This HTTP status with a plain text body.
    Status(u16),
    /// This HTTP status with this body, announced as JSON.
    StatusJson(u16, String),
    /// HTTP 200 with these bytes, announced as JSON.
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
    /// The right answer, this much later.
    Delay(Duration),
    /// HTTP 200 without a body.
    Empty,
}

/// A fault waiting for its call.
#[derive(Clone, Debug)]
pub(crate) struct Injected {
    pub(crate) endpoint: Option<String>,
    pub(crate) fault: Fault,
    pub(crate) times: Option<u32>,
}

/// What goes out.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) payload: Payload,
    pub(crate) delay: Duration,
}

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
            | Self::Empty => false,
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
            | Self::Delay(_) => true,
        }
    }

    /// What goes out instead of the right answer.
    pub(crate) fn reply(&self, vendor: Vendor, endpoint: &str, right: Option<Answer>) -> Reply {
        let (status, body) =
            right.map_or((200, Bytes::new()), |answer| (answer.status, answer.body));
        let right = |body: Vec<u8>| Reply::of(status, body);
        let json = |change: &dyn Fn(&mut Value)| {
            let mut value: Value = serde_json::from_slice(&body).unwrap_or_default();
            change(&mut value);
            Reply::of(status, value.to_string())
        };
        match self {
            Self::Status(status) => {
                Reply::of(*status, "the server has a problem\n").announced(TEXT)
            }
            Self::StatusJson(status, body) => Reply::of(*status, body.clone()),
            Self::Body(bytes) => Reply::of(200, bytes.clone()),
            Self::VendorError(code) => {
                Reply::of(vendor_status(vendor, code), vendor_error(vendor, code).to_string())
            }
            Self::VendorErrorStatus(status, code) => {
                Reply::of(*status, vendor_error(vendor, code).to_string())
            }
            Self::RetryAfter { status, value } => Reply::of(*status, "try again later\n")
                .announced(TEXT)
                .with_header("retry-after", value),
            Self::Hang => Reply { payload: Payload::Never, ..Reply::of(200, "") },
            Self::Drip => Reply { payload: Payload::Drip(body), ..Reply::of(status, "") },
            Self::Endless => Reply { payload: Payload::Endless, ..Reply::of(200, "") },
            Self::Large(size) => right(mangle::padded(&body, *size)),
            Self::GzipBomb(size) => {
                Reply::of(200, bomb(*size)).with_header("content-encoding", "gzip")
            }
            Self::Truncate => {
                Reply { payload: Payload::Half { body, reset: false }, ..Reply::of(status, "") }
            }
            Self::CloseBeforeAnswer => Reply { payload: Payload::Close, ..Reply::of(200, "") },
            Self::ResetInsideBody => {
                Reply { payload: Payload::Half { body, reset: true }, ..Reply::of(status, "") }
            }
            Self::Redirect(to) => {
                Reply::of(302, "moved\n").announced(TEXT).with_header("location", to)
            }
            Self::WrongContentType => Reply::of(status, body).announced(HTML),
            Self::Html => Reply::of(200, LOGIN_PAGE).announced(HTML),
            Self::Bom => right([b"\xef\xbb\xbf", body.as_ref()].concat()),
            Self::InvalidUtf8 => right(mangle::with_key(&body, b"1,\"\xff\xfe\xc3\":1")),
            Self::ForeignText => right(mangle::with_key(&body, b"\"\xbb\xe1\xd2\xe9\"")),
            Self::DeepNesting(depth) => {
                right(mangle::with_main(&body, main_key(vendor, endpoint), &mangle::nested(*depth)))
            }
            Self::DeepNestingIgnoredKey(depth) => {
                right(mangle::with_key(&body, &mangle::nested(*depth)))
            }
            Self::WrongTypes => json(&mangle::wrong_types),
            Self::MissingKey => json(&|value| mangle::without(value, main_key(vendor, endpoint))),
            Self::DuplicateKeys => right(mangle::twice(&body)),
            Self::NotJson => right(mangle::with_main(&body, main_key(vendor, endpoint), b"NaN")),
            Self::HugeNumbers => right(mangle::huge(&body)),
            Self::NegativeNumbers => json(&mangle::negative),
            Self::LyingTotal(total) => json(&|value| mangle::total(value, *total)),
            Self::RepeatPages => json(&mangle::another_page),
            Self::DuplicateItems => {
                json(&|value| mangle::duplicate(value, main_key(vendor, endpoint)))
            }
            Self::Delay(delay) => Reply { delay: *delay, ..Reply::of(status, body) },
            Self::Empty => Reply::of(200, ""),
        }
    }
}

/// The key an answer cannot do without.
fn main_key(vendor: Vendor, endpoint: &str) -> &'static [&'static str] {
    match (vendor, endpoint) {
        (Vendor::OpenvoxUc | Vendor::YeastarS, "login") => &["token"],
        (
            Vendor::OpenvoxUc | Vendor::YeastarS,
            "conference/query" | "conference/query_in_session",
        ) => &["conferences", "conference"],
        (Vendor::OpenvoxUc | Vendor::YeastarS, _) => &["status"],
        (Vendor::YeastarP, "get_token" | "refresh_token") => &["access_token"],
        (Vendor::YeastarP, "del_token") => &["errcode"],
        (Vendor::YeastarP, _) => &["data"],
        (Vendor::HuaweiMeeting, "appauth" | "account_login") => &["accessToken"],
        (Vendor::HuaweiMeeting, "realTimeInfo") => &["participants"],
        (Vendor::HuaweiMeeting, _) => &["data"],
        (Vendor::Dingtalk, "access_token") => &["accessToken", "access_token"],
        (Vendor::Dingtalk, "orgConferences") => &["onGoingConfList"],
        (Vendor::Dingtalk, _) => &["infos"],
    }
}

fn vendor_error(vendor: Vendor, code: &str) -> Value {
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => json!({ "status": "Failed", "errno": code }),
        Vendor::YeastarP => match code.parse() {
            Ok(code) => yeastar_p::failure(code),
            Err(_) => json!({ "errcode": code, "errmsg": "FAILURE" }),
        },
        Vendor::HuaweiMeeting => huawei_meeting::failure(code, "the request was refused"),
        Vendor::Dingtalk => dingtalk::failure(code),
    }
}

fn vendor_status(vendor: Vendor, code: &str) -> u16 {
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS | Vendor::YeastarP => 200,
        Vendor::HuaweiMeeting => huawei_meeting::status_of(code),
        Vendor::Dingtalk => dingtalk::status_of(code),
    }
}

/// A JSON object with one long string of zeros, packed.
fn bomb(size: usize) -> Vec<u8> {
    const HEAD: &[u8] = b"{\"padding\":\"";
    const TAIL: &[u8] = b"\"}";
    static BLOCK: [u8; 65_536] = [b'0'; 65_536];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let mut left = size.saturating_sub(HEAD.len() + TAIL.len());
    // Writing to a Vec cannot fail; a shorter bomb would show in the test that uses it.
    let _ = encoder.write_all(HEAD);
    while left > 0 {
        let part = left.min(BLOCK.len());
        let _ = encoder.write_all(&BLOCK[..part]);
        left -= part;
    }
    let _ = encoder.write_all(TAIL);
    encoder.finish().unwrap_or_default()
}
