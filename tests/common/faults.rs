// SPDX-License-Identifier: Apache-2.0
//! The ways in which a system can misbehave, and what is to become of it.

use std::time::Duration;

use simulator::Fault;

use Effect::{HeldBack, Honest, None as Harmless, Once, Plausible};

const ELSEWHERE: &str = "http://127.0.0.1:9/elsewhere";

/// What is to become of a source at which a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// Up, with the right numbers: the fault is none.
    None,
    /// Down for this reason, and complete again at the next scrape.
    Once(&'static str),
    /// Down for this reason, and still held back at the next scrape.
    HeldBack(&'static str),
    /// Up or down, but honest: right numbers or none at all.
    Honest,
    /// Up, with what could be counted: the answer looks like one the vendor might give.
    Plausible,
}

/// The faults that mean the same at every call.
pub fn faults() -> Vec<(&'static str, Fault, Effect)> {
    vec![
        ("status-500", Fault::Status(500), Once("http_5xx")),
        ("status-503", Fault::Status(503), Once("http_5xx")),
        ("status-404", Fault::Status(404), Once("http_4xx")),
        ("status-429", Fault::Status(429), HeldBack("rate_limited")),
        (
            "retry-after",
            Fault::RetryAfter { status: 429, value: "120".into() },
            HeldBack("rate_limited"),
        ),
        ("hang", Fault::Hang, Once("timeout")),
        ("drip", Fault::Drip, Once("timeout")),
        ("endless", Fault::Endless, Once("too_large")),
        ("large", Fault::Large(300 * 1024), Once("too_large")),
        ("gzip-bomb", Fault::GzipBomb(50 * 1024 * 1024), Once("too_large")),
        ("truncate", Fault::Truncate, Once("connect")),
        ("close", Fault::CloseBeforeAnswer, Once("connect")),
        ("reset", Fault::ResetInsideBody, Once("connect")),
        ("redirect", Fault::Redirect(ELSEWHERE.into()), Once("redirect")),
        ("html", Fault::Html, Once("decode")),
        ("empty", Fault::Empty, Once("decode")),
        ("not-utf-8", Fault::InvalidUtf8, Once("decode")),
        ("deep", Fault::DeepNesting(100_000), Once("decode")),
        ("deep-ignored", Fault::DeepNestingIgnoredKey(100_000), Once("decode")),
        ("wrong-types", Fault::WrongTypes, Once("decode")),
        ("missing-key", Fault::MissingKey, Once("decode")),
        ("duplicate-keys", Fault::DuplicateKeys, Once("decode")),
        ("nan", Fault::NotJson, Once("decode")),
        ("wrong-content-type", Fault::WrongContentType, Harmless),
        ("bom", Fault::Bom, Harmless),
        ("foreign-text", Fault::ForeignText, Harmless),
        ("delay", Fault::Delay(Duration::from_millis(50)), Harmless),
        ("duplicate-items", Fault::DuplicateItems, Harmless),
        ("lying-total", Fault::LyingTotal(1_000_000), Harmless),
        ("repeat-pages", Fault::RepeatPages, Plausible),
        ("huge-numbers", Fault::HugeNumbers, Honest),
        ("negative-numbers", Fault::NegativeNumbers, Honest),
    ]
}

/// The faults that mean the same at every call of a text protocol.
pub fn text_faults() -> Vec<(&'static str, Fault, Effect)> {
    let bytes = |bytes: &[u8]| Fault::Body(bytes.to_vec());
    vec![
        ("hang", Fault::Hang, Once("timeout")),
        ("empty", Fault::Empty, Once("timeout")),
        ("drip", Fault::Drip, Once("timeout")),
        ("no-line-end", Fault::Html, Once("timeout")),
        ("endless", Fault::Endless, Once("too_large")),
        ("truncate", Fault::Truncate, Once("connect")),
        ("close", Fault::CloseBeforeAnswer, Once("connect")),
        ("reset", Fault::ResetInsideBody, Once("connect")),
        ("nul", bytes(b"a: \0\r\n\r\n"), Once("decode")),
        ("page", bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Once("decode")),
        ("ssh", bytes(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n"), Once("decode")),
        ("smtp", bytes(b"220 mail.example.com ESMTP\r\n\r\n"), Once("decode")),
        ("delay", Fault::Delay(Duration::from_millis(50)), Harmless),
    ]
}
