//! Answers: content types, compression.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Bytes,
    header::{
        ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue,
        VARY,
    },
};

/// An answer.
pub(super) type Answer = Response<Full<Bytes>>;

/// Content type of messages for people.
const PLAIN: &str = "text/plain; charset=utf-8";

/// Below that a compressed answer is hardly smaller.
const LEAST_COMPRESSED: usize = 1024;

/// Compressing more than that would hold up the other connections of the thread.
const MOST_COMPRESSED_INLINE: usize = 64 * 1024;

/// An answer of `content_type`.
pub(super) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// A message for people.
pub(super) fn text(status: StatusCode, message: impl Into<String>) -> Answer {
    let mut message = message.into();
    message.push('\n');
    answer(status, PLAIN, message)
}

/// The same answer with another header.
pub(super) fn with(mut answer: Answer, name: HeaderName, value: &str) -> Answer {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
    answer
}

/// An answer that depends on what the client accepts, compressed where it does.
pub(super) async fn encoded(
    request: &HeaderMap,
    status: StatusCode,
    content_type: &'static str,
    body: String,
) -> Answer {
    let body = Bytes::from(body);
    let compressed = if body.len() >= LEAST_COMPRESSED && accepts_gzip(request) {
        compress(body.clone()).await
    } else {
        None
    };
    let mut answer = match compressed {
        Some(compressed) => {
            with(answer(status, content_type, compressed), CONTENT_ENCODING, "gzip")
        }
        None => answer(status, content_type, body),
    };
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    answer
}

/// The headers of an encoded answer whose body is not worth making: the answer to HEAD.
pub(super) fn encoded_headers(request: &HeaderMap, content_type: &'static str) -> Answer {
    let mut answer = answer(StatusCode::OK, content_type, Bytes::new());
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if accepts_gzip(request) {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    // It would say how long the body is that a GET gets, and nobody knows.
    answer.headers_mut().remove(CONTENT_LENGTH);
    answer
}

/// Whether the client takes gzip: named, or covered by `*`, and not refused by `q=0`.
pub(super) fn accepts_gzip(request: &HeaderMap) -> bool {
    let mut any = false;
    for value in request.get_all(ACCEPT_ENCODING) {
        for coding in value.to_str().unwrap_or_default().split(',') {
            let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
            let name = name.trim();
            if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
                return is_wanted(parameters);
            }
            any |= name == "*" && is_wanted(parameters);
        }
    }
    any
}

fn is_wanted(parameters: &str) -> bool {
    let quality = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>())
    });
    match quality {
        None => true,
        Some(quality) => quality.is_ok_and(|quality| quality > 0.0),
    }
}

/// `None`: it could not be done; the plain body will do.
async fn compress(body: Bytes) -> Option<Vec<u8>> {
    if body.len() <= MOST_COMPRESSED_INLINE {
        return gzip(&body);
    }
    tokio::task::spawn_blocking(move || gzip(&body)).await.ok().flatten()
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(values: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        accepts_gzip(&headers)
    }

    #[test]
    fn gzip_only_for_those_who_take_it() {
        for wanted in ["gzip", "deflate, GZIP;q=0.5", "br;q=1.0, gzip; q=0.001", "*", "x-gzip"] {
            assert!(accepts(&[wanted]), "{wanted}");
        }
        for refused in ["", "br", "gzip;q=0", "gzip; Q=0.000, *", "*;q=0", "gzip;q=much", "xgzip"] {
            assert!(!accepts(&[refused]), "{refused}");
        }
        assert!(accepts(&["br", "gzip"]));
        assert!(!accepts(&[]));
    }
}
