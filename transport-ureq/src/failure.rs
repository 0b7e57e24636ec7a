//! Converts ureq's errors to [`TransportError`].

use std::error::Error;
use std::io;
use std::iter;

use http::Uri;
use meshconnect_auth_core::{TransportError, TransportErrorKind};
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver as Resolve};
use ureq::unversioned::transport::NextTimeout;

/// Converts an error, and classifies it by the step that failed.
pub(crate) fn of(error: ureq::Error) -> TransportError {
    // ureq's errors have no source, so convert the inner error to keep its message.
    match error {
        ureq::Error::Io(inner) => of_io(&inner),
        ureq::Error::Rustls(inner) => of_tls_or(TransportErrorKind::Tls, &inner),
        ureq::Error::Other(inner) => match inner.downcast::<TransportError>() {
            Ok(dns_error) => *dns_error,
            Err(inner) => TransportError::new(TransportErrorKind::Broken, &*inner),
        },
        error => TransportError::new(kind(&error), &error),
    }
}

/// Converts an error that may wrap a rustls error.
fn of_tls_or(default: TransportErrorKind, error: &(dyn Error + 'static)) -> TransportError {
    TransportError::new(tls_kind(error).unwrap_or(default), error)
}

/// Returns the kind of the rustls error in this error's chain, if there is one.
fn tls_kind(error: &(dyn Error + 'static)) -> Option<TransportErrorKind> {
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

fn kind(error: &ureq::Error) -> TransportErrorKind {
    match error {
        ureq::Error::Timeout(_) => TransportErrorKind::Timeout,
        ureq::Error::HostNotFound => TransportErrorKind::Dns,
        ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::InvalidProxyUrl => TransportErrorKind::Connect,
        ureq::Error::Tls(_) | ureq::Error::TlsRequired => TransportErrorKind::Tls,
        ureq::Error::Protocol(_) | ureq::Error::Http(_) | ureq::Error::LargeResponseHeader(..) => {
            TransportErrorKind::NotHttp
        }
        _ => TransportErrorKind::Broken,
    }
}

fn of_io(error: &io::Error) -> TransportError {
    let kind = match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => TransportErrorKind::Timeout,
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable => TransportErrorKind::Connect,
        _ => TransportErrorKind::Broken,
    };
    of_tls_or(kind, error)
}

/// Wraps ureq's resolver, and marks its errors, so that they differ from a failed connection.
#[derive(Debug, Default)]
pub(crate) struct Resolver(DefaultResolver);

impl Resolve for Resolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let resolved = self.0.resolve(uri, config, timeout);
        resolved.map_err(|error| match error {
            ureq::Error::Io(error) => {
                let error = TransportError::new(TransportErrorKind::Dns, &error);
                ureq::Error::Other(Box::new(error))
            }
            error => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers the errors that the fault suite's servers cannot cause.
    #[test]
    fn classifies_errors_by_step() {
        let io = |kind: io::ErrorKind| ureq::Error::Io(kind.into());
        for (error, kind) in [
            (ureq::Error::HostNotFound, TransportErrorKind::Dns),
            (ureq::Error::InvalidProxyUrl, TransportErrorKind::Connect),
            (ureq::Error::Tls("no provider"), TransportErrorKind::Tls),
            (ureq::Error::TlsRequired, TransportErrorKind::Tls),
            (io(io::ErrorKind::TimedOut), TransportErrorKind::Timeout),
            (io(io::ErrorKind::WouldBlock), TransportErrorKind::Timeout),
            (
                io(io::ErrorKind::AddrNotAvailable),
                TransportErrorKind::Connect,
            ),
            (io(io::ErrorKind::BrokenPipe), TransportErrorKind::Broken),
            (ureq::Error::BodyStalled, TransportErrorKind::Broken),
        ] {
            let message = error.to_string();
            assert_eq!(of(error).kind(), kind, "{message}");
        }
    }

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
