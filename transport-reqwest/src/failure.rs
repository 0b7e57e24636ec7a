//! What reqwest's errors mean.

use std::error::Error;
use std::io;

use meshconnect_auth_core::{TransportError, TransportErrorKind};

/// Says at which step a request failed.
pub(crate) fn of(error: reqwest::Error) -> TransportError {
    // The URL is known to whoever configured it, and makes every message longer.
    let error = error.without_url();
    TransportError::new(kind(&error), &error)
}

fn kind(error: &reqwest::Error) -> TransportErrorKind {
    let tls = TransportErrorKind::of_tls(error);
    // The order matters: a handshake that stalls is both a failed connection and a time-out, and
    // a certificate that is refused is also a failed connection.
    if tls == Some(TransportErrorKind::Certificate) {
        return TransportErrorKind::Certificate;
    }
    if error.is_timeout() {
        return TransportErrorKind::Timeout;
    }
    if error.is_dns() {
        return TransportErrorKind::Dns;
    }
    if let Some(tls) = tls {
        return tls;
    }
    if find(error).is_some_and(hyper::Error::is_parse) {
        return TransportErrorKind::NotHttp;
    }
    // A connector wraps an error of IO in another, which says nothing.
    match find(error).map(io::Error::kind) {
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            TransportErrorKind::Broken
        }
        // How hyper says that chunks or trailers are against the rules.
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
            TransportErrorKind::NotHttp
        }
        _ if error.is_connect() => TransportErrorKind::Connect,
        _ => TransportErrorKind::Broken,
    }
}

/// The deepest error of this type below reqwest's own.
fn find<T: Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    TransportError::chain(error)
        .filter_map(|error| error.downcast_ref())
        .last()
}
