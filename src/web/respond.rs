// SPDX-License-Identifier: Apache-2.0
//! Answers: content types, compression.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::Write,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use flate2::{Compression, write::GzEncoder};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::{Body, Bytes, Frame, SizeHint},
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, VARY},
};

use super::negotiate::accepts_gzip;

/// An answer.
pub(super) type Answer = Response<Blocks>;

/// A body that is there as a whole, in one block or several.
#[derive(Clone, Default)]
pub(super) struct Blocks(VecDeque<Bytes>);

impl Blocks {
    /// Its length in bytes.
    fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }
}

impl<T: Into<Bytes>> FromIterator<T> for Blocks {
    fn from_iter<I: IntoIterator<Item = T>>(blocks: I) -> Self {
        Self(blocks.into_iter().map(Into::into).filter(|block| !block.is_empty()).collect())
    }
}

impl Body for Blocks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|block| Ok(Frame::data(block))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}

/// Content type of messages for people.
pub(super) const PLAIN: &str = "text/plain; charset=utf-8";

/// Below that a compressed answer is hardly smaller.
const LEAST_COMPRESSED: usize = 1024;

/// A block of a compressed answer is at least that long.
const COMPRESSED_BLOCK: usize = 64 * 1024;

/// Compressing more than that would hold up the other connections of the thread.
const MOST_COMPRESSED_INLINE: usize = 64 * 1024;

/// An answer of `content_type`.
pub(super) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    answer_of(status, content_type, Blocks::from_iter([body]))
}

fn answer_of(status: StatusCode, content_type: &'static str, body: Blocks) -> Answer {
    let mut answer = Response::new(body);
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
    body: impl IntoIterator<Item = String>,
) -> Answer {
    let body = Blocks::from_iter(body);
    let compressed = if body.len() >= LEAST_COMPRESSED && accepts_gzip(request) {
        compress(body.clone()).await
    } else {
        None
    };
    let mut answer = match compressed {
        Some(compressed) => {
            with(answer_of(status, content_type, compressed), CONTENT_ENCODING, "gzip")
        }
        None => answer_of(status, content_type, body),
    };
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    answer
}

/// The headers of an encoded answer to HEAD, for which no body is made.
pub(super) fn encoded_headers(request: &HeaderMap, content_type: &'static str) -> Answer {
    let mut answer = answer(StatusCode::OK, content_type, Bytes::new());
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if accepts_gzip(request) {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    // It would have to be the length of a GET's body, which is not known without making it.
    answer.headers_mut().remove(CONTENT_LENGTH);
    answer
}

/// The same answer to HEAD. The server leaves bodies out by itself over HTTP/1 only.
pub(super) fn without_body(mut answer: Answer) -> Answer {
    let body = mem::take(answer.body_mut());
    if body.is_end_stream() {
        answer
    } else {
        with(answer, CONTENT_LENGTH, &body.len().to_string())
    }
}

/// `None`: it could not be done; the plain body will do.
async fn compress(body: Blocks) -> Option<Blocks> {
    if body.len() <= MOST_COMPRESSED_INLINE {
        return gzip(body);
    }
    tokio::task::spawn_blocking(move || gzip(body)).await.ok().flatten()
}

fn gzip(body: Blocks) -> Option<Blocks> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let mut full = Vec::new();
    for block in body.0 {
        encoder.write_all(&block).ok()?;
        if encoder.get_ref().len() >= COMPRESSED_BLOCK {
            full.push(mem::take(encoder.get_mut()));
        }
    }
    full.push(encoder.finish().ok()?);
    Some(full.into_iter().collect())
}

/// What a client named, as an answer may repeat it.
pub(super) fn shortened(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use hyper::header::ACCEPT_ENCODING;

    use super::*;

    fn bytes(blocks: &Blocks) -> Vec<u8> {
        blocks.0.iter().flatten().copied().collect()
    }

    #[tokio::test]
    async fn many_blocks_are_one_body() {
        // Hardly compressible, so that the compressed body has several blocks as well.
        let line = |number: u64| format!("{:016x}\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let blocks: Vec<String> = (0..40)
            .map(|block| (0..1_000).map(|number| line(block * 1_000 + number)).collect())
            .collect();
        let text = blocks.concat();
        let plain = encoded(&HeaderMap::new(), StatusCode::OK, PLAIN, blocks.clone()).await;
        assert_eq!(bytes(plain.body()), text.as_bytes());
        assert_eq!(plain.body().size_hint().exact(), Some(text.len() as u64));
        let gzip = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))]);
        let compressed = encoded(&gzip, StatusCode::OK, PLAIN, blocks).await;
        assert!(compressed.body().0.len() > 1, "one block proves nothing");
        let mut unpacked = String::new();
        GzDecoder::new(&*bytes(compressed.body())).read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, text);
    }
}
