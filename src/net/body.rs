// SPDX-License-Identifier: Apache-2.0
//! The body of an answer, within a bound of its size.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Version,
    body::{Body, Bytes, Frame},
    header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING},
};
use serde::de::IgnoredAny;

use super::{broken::is_abrupt_end, json, wiped::Wiped};

/// Most bytes that are reserved for an answer because of its `Content-Length`, which may be wrong.
const LARGEST_ROOM: usize = 64 * 1024;

/// Why a body was not read to its end.
pub(super) enum Unread {
    /// It has more bytes than it may have.
    TooLarge,
    /// The connection ended, or was used wrongly.
    Broken(hyper::Error),
    /// The compression.
    BadlyCompressed,
}

/// The body of an answer with these headers, unpacked, of `limit` bytes at most.
///
/// A body that only the end of the connection ends is whole if it is a whole document. Servers that
/// answer like that often end the connection as TLS does not allow.
///
/// # Errors
/// What came instead of the end of the body.
pub(super) async fn read(
    version: Version,
    headers: &HeaderMap,
    mut incoming: impl Body<Data = Bytes, Error = hyper::Error> + Unpin,
    limit: usize,
) -> Result<Wiped, Unread> {
    let announced = incoming.size_hint().exact().unwrap_or(0);
    if announced > limit as u64 {
        return Err(Unread::TooLarge);
    }
    let ends_with_connection = version < Version::HTTP_2
        && !headers.contains_key(CONTENT_LENGTH)
        && !headers.contains_key(TRANSFER_ENCODING);
    let is_packed = headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
    let mut body = Wiped::with_capacity((announced as usize).min(LARGEST_ROOM));
    while let Some(frame) = incoming.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(part)) if body.len() + part.len() > limit => return Err(Unread::TooLarge),
            Ok(Ok(part)) => body.extend(&part),
            // Trailers say nothing that is needed.
            Ok(Err(_)) => {}
            Err(error) if ends_with_connection && is_abrupt_end(&error) => {
                let body = if is_packed { unpacked(&body, limit) } else { Ok(body) };
                return body.ok().filter(|body| is_whole(body)).ok_or(Unread::Broken(error));
            }
            Err(error) => return Err(Unread::Broken(error)),
        }
    }
    if is_packed && !body.is_empty() { unpacked(&body, limit) } else { Ok(body) }
}

fn unpacked(packed: &[u8], limit: usize) -> Result<Wiped, Unread> {
    let mut body = Wiped::with_capacity(packed.len().min(LARGEST_ROOM));
    let mut unpacking = MultiGzDecoder::new(packed).take(limit as u64 + 1);
    io::copy(&mut unpacking, &mut body).map_err(|_| Unread::BadlyCompressed)?;
    if body.len() > limit { Err(Unread::TooLarge) } else { Ok(body) }
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
