// SPDX-License-Identifier: Apache-2.0
//! What an error on the way to an answer means: its reason, and what became of the request.
//!
//! The libraries' own words are never shown: fixed words stand for them.

use std::{error::Error as StdError, io, iter};

use hyper::StatusCode;
use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use super::{ApiError, Fault, proxy::Route, trust::Distrust};
use crate::model::{CallName, Reason};

/// Why a request has no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) reason: Reason,
    /// More about it in fixed words.
    pub(super) detail: Option<&'static str>,
    pub(super) state: RequestState,
    /// Whether an answer had come over the same connection before.
    pub(super) on_used_connection: bool,
    /// Whether the proxy failed, and not the system behind it.
    pub(super) at_proxy: bool,
    /// With which HTTP status the proxy refused.
    pub(super) status: Option<StatusCode>,
}

/// What became of a request that has no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestState {
    /// There was no connection to send it on.
    NotSent,
    /// The server did not begin with it: it said so, or the connection ended before a byte of it was
    /// written. It may be sent again, whatever it asks for.
    NotBegun,
    /// The connection ended before an answer began. The server may have acted upon it.
    Lost,
    /// An answer began.
    Answered,
}

/// How far a request had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its answer had not begun.
    Asked,
    /// The body of its answer was read.
    Read,
}

impl Broken {
    /// An answer came, and cannot be used for `reason`.
    pub(super) const fn answered(reason: Reason) -> Self {
        Self {
            reason,
            detail: None,
            state: RequestState::Answered,
            on_used_connection: false,
            at_proxy: false,
            status: None,
        }
    }

    /// A proxy answered in place of the system.
    pub(super) fn refused_by_proxy(status: StatusCode) -> Self {
        let is_unauthorized = status == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        Self {
            detail: is_unauthorized.then_some(NO_CREDENTIALS),
            // Without credentials it forwards nothing.
            state: if is_unauthorized { RequestState::NotSent } else { RequestState::Answered },
            at_proxy: true,
            status: Some(status),
            ..Self::answered(if status.is_server_error() {
                Reason::Http5xx
            } else {
                Reason::Http4xx
            })
        }
    }

    /// There is no connection for `reason`.
    const fn not_sent(reason: Reason, detail: Option<&'static str>) -> Self {
        Self { detail, state: RequestState::NotSent, ..Self::answered(reason) }
    }

    /// The name of the host was not resolved.
    pub(super) const fn not_resolved() -> Self {
        Self::not_sent(Reason::Dns, None)
    }

    /// No address answered in time.
    pub(super) const fn no_connection(route: Route) -> Self {
        let detail = match route {
            Route::Direct => "no connection",
            Route::Forwarded | Route::Tunnelled | Route::Socks => "no connection through the proxy",
        };
        Self::not_sent(Reason::Timeout, Some(detail))
    }

    /// The connection or its handshake failed with `error`. `has_shown_certificate`: the other side has, so a
    /// handshake did not fail for want of a common cipher.
    pub(super) fn not_connected(error: &io::Error, has_shown_certificate: bool) -> Self {
        let (reason, detail) = of_io(error, has_shown_certificate);
        Self::not_sent(reason, Some(detail))
    }

    /// HTTP did not begin on a new connection.
    pub(super) fn not_begun(error: &hyper::Error) -> Self {
        Self { state: RequestState::NotSent, ..Self::of(error, Stage::Asked, Route::Direct) }
    }

    /// The proxy does not connect to the system: it answered with `status`, or not as a proxy does.
    pub(super) fn refused_tunnel(status: Option<StatusCode>, detail: &'static str) -> Self {
        let is_unauthorized = status == Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        let detail = if is_unauthorized { NO_CREDENTIALS } else { detail };
        Self { status, at_proxy: true, ..Self::not_sent(Reason::Connect, Some(detail)) }
    }

    /// The same of a SOCKS proxy, in the `words` of the library. It keeps its types to itself, there are
    /// only the words: an update may change them, and `tests/connections/proxies.rs` notices.
    pub(super) fn refused_by_socks(words: &str) -> Self {
        let detail = match words.strip_prefix("SOCKS error: ").unwrap_or(words) {
            "credentials not accepted" | "server does not support user/pass authentication" => {
                "it does not accept the user and password"
            }
            "io error during SOCKS handshake" => "it closed the connection",
            "failed parsing server response" | "server implements authentication incorrectly" => {
                "it is no SOCKS proxy"
            }
            _ => NOT_CONNECTING,
        };
        Self::refused_tunnel(None, detail)
    }

    /// What `error` means.
    pub(super) fn of(error: &hyper::Error, stage: Stage, route: Route) -> Self {
        let mut broken = Self::answered(Reason::Connect);
        broken.state = match stage {
            Stage::Asked => RequestState::Lost,
            Stage::Read => RequestState::Answered,
        };
        for cause in causes(error) {
            if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
                broken.reason = Reason::Tls;
                // The handshake is over on our side.
                broken.detail = Some(describe_tls(tls, true));
                return broken;
            } else if let Some(http) = cause.downcast_ref::<hyper::Error>() {
                broken.note_http(http);
                // A proxy that forwards requests speaks HTTP itself.
                broken.at_proxy |= broken.reason == Reason::Decode && route == Route::Forwarded;
            } else if let Some(http2) = cause.downcast_ref::<h2::Error>() {
                broken.note_http2(http2);
            } else if let Some(io) = cause.downcast_ref::<io::Error>() {
                let is_malformed =
                    matches!(io.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData);
                if let Some((reason, detail)) = describe_io(io) {
                    (broken.reason, broken.detail) = (reason, Some(detail));
                } else if is_malformed && stage == Stage::Read {
                    // The chunks of the body.
                    (broken.reason, broken.detail) = (Reason::Decode, Some(NOT_HTTP));
                } else if broken.detail.is_none() {
                    broken.detail = Some(CUT);
                }
            }
        }
        broken
    }

    /// An answer is not compressed as it says.
    pub(super) const fn badly_compressed() -> Self {
        Self { detail: Some("broken compression"), ..Self::answered(Reason::Decode) }
    }

    /// The failure of `call`.
    pub(super) fn into_error(self, call: CallName) -> ApiError {
        let mut fault = Fault::new(self.reason);
        if let Some(status) = self.status {
            fault = fault.with_code(status.as_str());
        }
        fault.at_proxy = self.at_proxy;
        let may_have_arrived = matches!(self.state, RequestState::Lost | RequestState::Answered);
        ApiError { call, fault, detail: self.detail, may_have_arrived }
    }

    fn note_http(&mut self, error: &hyper::Error) {
        if error.is_parse() {
            (self.reason, self.detail) = (Reason::Decode, Some(NOT_HTTP));
            self.state = RequestState::Answered;
        } else if error.is_timeout() {
            (self.reason, self.detail) = (Reason::Timeout, Some("the connection went silent"));
        } else if error.is_incomplete_message() {
            self.detail = Some(CUT);
        } else if error.is_canceled() || error.is_closed() {
            if self.state == RequestState::Lost {
                self.detail = Some("connection closed");
                self.state = RequestState::NotBegun;
            }
        } else if error.source().is_none() && self.state != RequestState::Answered {
            // All others have a cause. This one is of a server that spoke before it was asked.
            (self.reason, self.detail) = (Reason::Decode, Some(NOT_HTTP));
        }
    }

    fn note_http2(&mut self, error: &h2::Error) {
        let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        // The library gives this error to the requests that the server says it did not begin.
        let is_leaving = error.is_go_away();
        if error.is_remote() && (is_refused || is_leaving) {
            self.detail = Some("the server takes no more requests on this connection");
            if self.state == RequestState::Lost {
                self.state = RequestState::NotBegun;
            }
        } else if !error.is_io() {
            self.detail = Some("the server broke the exchange off");
        }
    }
}

/// Said of a proxy that answers 407.
const NO_CREDENTIALS: &str = "it asks for a user and a password";

/// Said of a proxy that answers that it does not connect to the system.
pub(super) const NOT_CONNECTING: &str = "it does not connect to the system";

/// Said of what breaks the rules of HTTP.
const NOT_HTTP: &str = "not an HTTP answer";

/// Said of a connection that ended too early, where nothing more is known.
pub(super) const CUT: &str = "closed before the answer was whole";

/// `error` and what caused it, the nearest first. An I/O error may wrap another error, which `source()`
/// passes over.
pub(crate) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    iter::successors(Some(error), |cause| cause_of(*cause))
}

fn cause_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// The reason and fixed words for an error of a connection. `has_shown_certificate` as in
/// [`Broken::not_connected`].
pub(super) fn of_io(error: &io::Error, has_shown_certificate: bool) -> (Reason, &'static str) {
    let mut last = (Reason::Connect, CUT);
    for cause in causes(error) {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return (Reason::Tls, describe_tls(tls, has_shown_certificate));
        }
        last = cause.downcast_ref::<io::Error>().and_then(describe_io).unwrap_or(last);
    }
    last
}

/// Whether a body that ends with the connection ended as TLS does not allow, or with a reset: many
/// servers close the connection without close_notify.
pub(super) fn is_abrupt_end(error: &hyper::Error) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|io| {
        matches!(io.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
    })
}

fn describe_io(error: &io::Error) -> Option<(Reason, &'static str)> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign, non-exhaustive enum")]
    let text = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset",
        io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => "connection closed",
        io::ErrorKind::HostUnreachable => "host unreachable",
        io::ErrorKind::NetworkUnreachable => "network unreachable",
        io::ErrorKind::TimedOut => "connection timed out",
        io::ErrorKind::UnexpectedEof if error.to_string().contains("tls handshake") => {
            return Some((Reason::Tls, "closed during the handshake"));
        }
        _ => return None,
    };
    Some((Reason::Connect, text))
}

/// What is wrong with TLS. The advice of `systems/advice.rs` follows from these words.
pub(super) fn describe_tls(error: &rustls::Error, has_shown_certificate: bool) -> &'static str {
    use rustls::Error;
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign, non-exhaustive enum")]
    match error {
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer => {
                "the certificate is self-signed or its issuer is unknown"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate is for another name"
            }
            CertificateError::Revoked => "the certificate is revoked",
            CertificateError::Other(other) => match other.0.downcast_ref::<Distrust>() {
                Some(distrust) => distrust.as_str(),
                None => "the certificate is self-signed or not made for a server",
            },
            _ => "the certificate is not acceptable",
        },
        Error::InvalidMessage(_) => "the answer is not TLS",
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => "it offers nothing newer than TLS 1.1",
        Error::AlertReceived(
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
        ) if !has_shown_certificate => NO_CIPHER,
        Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            "it does not know the name that was asked for"
        }
        // What else they could be about: a server knows no other certificate of ours. One that misses
        // it may say `BadCertificate`.
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError,
        ) => "it does not accept the client certificate",
        Error::AlertReceived(_) => "the other side refused the handshake",
        Error::PeerIncompatible(_) => NO_CIPHER,
        _ => "the handshake failed",
    }
}

/// What a server must offer is more than one thing, and it does not say which it lacks.
const NO_CIPHER: &str = "no common cipher: needs TLS 1.2 with ECDHE and AES-GCM or ChaCha20";
