// SPDX-License-Identifier: Apache-2.0
//! The body of an answer, within a bound of its size.

use reqwest::{
    Response, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use serde::de::IgnoredAny;

use super::{broken::is_abrupt_end, json, wiped::Wiped};

/// Most bytes that are reserved for an answer because of its `Content-Length`, which may be wrong.
const LARGEST_ROOM: usize = 64 * 1024;

/// Why a body was not read to its end.
pub(super) enum Unread {
    /// It has more bytes than it may have.
    TooLarge,
    /// The connection, or the compression.
    Broken(reqwest::Error),
}

/// The body of `response`, of `limit` bytes at most.
///
/// A body that only the end of the connection ends is whole if it is a whole document. Servers that
/// answer like that often end the connection as TLS does not allow.
///
/// # Errors
/// What came instead of the end of the body.
pub(super) async fn read(mut response: Response, limit: usize) -> Result<Wiped, Unread> {
    let announced = response.content_length().unwrap_or(0);
    if announced > limit as u64 {
        return Err(Unread::TooLarge);
    }
    let headers = response.headers();
    let ends_with_connection = response.version() < Version::HTTP_2
        && !headers.contains_key(CONTENT_LENGTH)
        && !headers.contains_key(TRANSFER_ENCODING);
    let mut body = Wiped::with_capacity((announced as usize).min(LARGEST_ROOM));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => return Err(Unread::TooLarge),
            Ok(Some(chunk)) => body.extend(&chunk),
            Ok(None) => return Ok(body),
            Err(error) if ends_with_connection && is_abrupt_end(&error) && is_whole(&body) => {
                return Ok(body);
            }
            Err(error) => return Err(Unread::Broken(error)),
        }
    }
}

/// Whether `body` is a document of JSON or XML from its first to its last character.
pub(super) fn is_whole(body: &[u8]) -> bool {
    let body = body.strip_prefix(json::BYTE_ORDER_MARK).unwrap_or(body).trim_ascii();
    match body.first() {
        Some(b'{' | b'[') => json::decode::<IgnoredAny>(body).is_some(),
        Some(b'<') => is_whole_xml(body).unwrap_or(false),
        _ => false,
    }
}

/// Whether `body` is a document as the APIs answer it: whole, and no page for people.
pub(super) fn is_of_api(body: &[u8]) -> bool {
    let begins_with = |text: &str| {
        body.trim_ascii()
            .get(..text.len())
            .is_some_and(|it| it.eq_ignore_ascii_case(text.as_bytes()))
    };
    is_whole(body) && !begins_with("<!doctype html") && !begins_with("<html")
}

/// Whether the last tag of `body` closes its first element; `None`: there is none.
fn is_whole_xml(body: &[u8]) -> Option<bool> {
    let body = str::from_utf8(body).ok()?;
    let is_name = |c: char| !c.is_whitespace() && !matches!(c, '>' | '/');
    let mut tags = body.split('<').skip(1).filter(|tag| !tag.starts_with(['?', '!']));
    let root = tags.next()?.split(|c| !is_name(c)).next()?;
    let last = body.rsplit_once("</")?.1;
    Some(last.strip_suffix('>')?.trim_end() == root)
}
