//! Converts reqwest's errors to [`TransportError`].

use std::error::Error;
use std::io;

use meshconnect_auth_core::{TransportError, TransportErrorKind};

use crate::tls;

/// Converts an error, and classifies it by the step that failed.
pub(crate) fn of(error: reqwest::Error) -> TransportError {
    // The caller knows the URL, which would make every message longer.
    let error = error.without_url();
    if let Some(exhausted) = TransportError::exhausted(&error) {
        return exhausted;
    }
    let tls = tls::failure(&error);
    // The order matters: a stalled handshake is both a time-out and a failed connection, and a
    // refused certificate is also a failed connection.
    let is_certificate = |tls: &TransportError| tls.kind() == TransportErrorKind::Certificate;
    match tls {
        Some(tls) if is_certificate(&tls) || !(error.is_timeout() || error.is_dns()) => tls,
        _ => TransportError::new(kind(&error), &error),
    }
}

/// Returns the kind of an error without TLS.
fn kind(error: &reqwest::Error) -> TransportErrorKind {
    if error.is_timeout() {
        return TransportErrorKind::Timeout;
    }
    if error.is_dns() {
        return TransportErrorKind::Dns;
    }
    if find(error).is_some_and(hyper::Error::is_parse) {
        return TransportErrorKind::NotHttp;
    }
    // A connector wraps the IO error in another one without a meaningful kind, so use the deepest.
    match find(error).map(io::Error::kind) {
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            TransportErrorKind::Broken
        }
        // hyper reports malformed chunks and trailers like this.
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
            TransportErrorKind::NotHttp
        }
        _ if error.is_connect() => TransportErrorKind::Connect,
        _ => TransportErrorKind::Broken,
    }
}

/// Returns the deepest error of type `T` in the chain.
fn find<T: Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    TransportError::chain(error)
        .filter_map(|error| error.downcast_ref())
        .last()
}
