//! What reqwest's errors mean.

use std::error::Error;
use std::io;
use std::iter;

use meshconnect_auth_core::{TransportError, TransportErrorKind};

/// Says at which step a request failed.
pub(crate) fn of(error: reqwest::Error) -> TransportError {
    // The URL is known to whoever configured it, and makes every message longer.
    let error = error.without_url();
    TransportError::new(kind(&error), &error)
}

fn kind(error: &reqwest::Error) -> TransportErrorKind {
    let tls = tls_kind(error);
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
    chain(error).filter_map(|error| error.downcast_ref()).last()
}

/// What an error of rustls below this one says of the certificate or the handshake; nothing, if
/// there is none.
pub(crate) fn tls_kind(error: &(dyn Error + 'static)) -> Option<TransportErrorKind> {
    match chain(error).find_map(|error| error.downcast_ref())? {
        // `General` is how the platform's verifier says that it found no root certificate.
        rustls::Error::InvalidCertificate(_) | rustls::Error::General(_) => {
            Some(TransportErrorKind::Certificate)
        }
        _ => Some(TransportErrorKind::Tls),
    }
}

/// An error and its sources, also through an `io::Error`, whose own source passes over the error
/// that it wraps.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| {
        match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => error.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_errors_of_rustls_wherever_they_hide() {
        use rustls::{AlertDescription, CertificateError, Error};
        for (error, kind) in [
            (
                Error::InvalidCertificate(CertificateError::Expired),
                TransportErrorKind::Certificate,
            ),
            (
                Error::General("no root certificate".into()),
                TransportErrorKind::Certificate,
            ),
            (
                Error::AlertReceived(AlertDescription::HandshakeFailure),
                TransportErrorKind::Tls,
            ),
        ] {
            assert_eq!(tls_kind(&error), Some(kind), "{error}");
            let hidden = io::Error::other(io::Error::other(error));
            assert_eq!(tls_kind(&hidden), Some(kind), "{hidden}");
        }
        assert_eq!(tls_kind(&io::Error::other("broken pipe")), None);
    }
}
