//! What reqwest's errors mean.

use std::error;
use std::io;

use meshconnect_auth_core::{TransportError, TransportErrorKind};

/// Says at which step a request failed.
pub(crate) fn of(error: reqwest::Error) -> TransportError {
    // The URL is known to whoever configured it, and makes every message longer.
    let error = error.without_url();
    TransportError::new(kind(&error), &error)
}

fn kind(error: &reqwest::Error) -> TransportErrorKind {
    // The order matters: a handshake that stalls is both a failed connection and a time-out, and
    // a certificate that is refused is also a failed connection.
    let inner = Inner::of(error);
    if let Some(error) = inner.rustls
        && of_rustls(error) == TransportErrorKind::Certificate
    {
        return TransportErrorKind::Certificate;
    }
    if error.is_timeout() {
        return TransportErrorKind::Timeout;
    }
    if error.is_dns() {
        return TransportErrorKind::Dns;
    }
    if inner.rustls.is_some() {
        return TransportErrorKind::Tls;
    }
    if inner.hyper.is_some_and(hyper::Error::is_parse) {
        return TransportErrorKind::NotHttp;
    }
    match inner.io.map(io::Error::kind) {
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

pub(crate) fn of_rustls(error: &rustls::Error) -> TransportErrorKind {
    match error {
        // `General` is how the platform's verifier says that it found no CA at all.
        rustls::Error::InvalidCertificate(_) | rustls::Error::General(_) => {
            TransportErrorKind::Certificate
        }
        _ => TransportErrorKind::Tls,
    }
}

/// The errors below reqwest's own that tell more than its predicates.
#[derive(Default)]
struct Inner<'a> {
    rustls: Option<&'a rustls::Error>,
    hyper: Option<&'a hyper::Error>,
    io: Option<&'a io::Error>,
}

impl<'a> Inner<'a> {
    fn of(error: &'a reqwest::Error) -> Self {
        let mut found = Self::default();
        let mut next: Option<&(dyn error::Error + 'static)> = Some(error);
        while let Some(error) = next {
            found.rustls = found.rustls.or(error.downcast_ref());
            found.hyper = found.hyper.or(error.downcast_ref());
            // A connector wraps such an error in one that says nothing.
            found.io = error.downcast_ref().or(found.io);
            next = match error.downcast_ref::<io::Error>() {
                // The source of such an error is the source of what it wraps, which is skipped.
                Some(io) => io.get_ref().map(|inner| inner as _),
                None => error.source(),
            };
        }
        found
    }
}
