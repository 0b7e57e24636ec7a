//! Converts reqwest's errors to [`TransportError`].

use std::error::Error;
use std::io;
use std::iter;

use meshconnect_auth_core::{TransportError, TransportErrorKind};

/// Converts an error, and classifies it by the step that failed.
pub(crate) fn of(error: reqwest::Error) -> TransportError {
    // The caller knows the URL, which would make every message longer.
    let error = error.without_url();
    TransportError::new(kind(&error), &error)
}

fn kind(error: &reqwest::Error) -> TransportErrorKind {
    let tls = tls_kind(error);
    // The order matters: a stalled handshake is both a time-out and a failed connection, and a
    // refused certificate is also a failed connection.
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
    chain(error).filter_map(|error| error.downcast_ref()).last()
}

/// Returns the kind of the rustls error in this error's chain, if there is one.
pub(crate) fn tls_kind(error: &(dyn Error + 'static)) -> Option<TransportErrorKind> {
    match chain(error).find_map(|error| error.downcast_ref())? {
        // The platform's verifier returns `General` if it found no root certificate.
        rustls::Error::InvalidCertificate(_) | rustls::Error::General(_) => {
            Some(TransportErrorKind::Certificate)
        }
        _ => Some(TransportErrorKind::Tls),
    }
}

/// Iterates over an error and its sources, including the error that an `io::Error` wraps, which its
/// `source` skips.
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
    fn finds_nested_rustls_errors() {
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
            let nested = io::Error::other(io::Error::other(error));
            assert_eq!(tls_kind(&nested), Some(kind), "{nested}");
        }
        assert_eq!(tls_kind(&io::Error::other("broken pipe")), None);
    }
}
