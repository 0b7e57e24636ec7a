//! What ureq's errors mean.

use std::error::Error;
use std::io;
use std::iter;

use http::Uri;
use meshconnect_auth_core::{TransportError, TransportErrorKind};
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver as Resolve};
use ureq::unversioned::transport::NextTimeout;

/// Says at which step a request failed.
pub(crate) fn of(error: ureq::Error) -> TransportError {
    // ureq's errors have no source, so that the words of an inner error would be lost.
    match error {
        ureq::Error::Io(inner) => of_io(&inner),
        ureq::Error::Rustls(inner) => of_tls_or(TransportErrorKind::Tls, &inner),
        ureq::Error::Other(inner) => match inner.downcast::<TransportError>() {
            Ok(not_resolved) => *not_resolved,
            Err(inner) => TransportError::new(TransportErrorKind::Broken, &*inner),
        },
        error => TransportError::new(kind(&error), &error),
    }
}

/// rustls hides its errors in those of the stream that it reads from.
fn of_tls_or(otherwise: TransportErrorKind, error: &(dyn Error + 'static)) -> TransportError {
    TransportError::new(tls_kind(error).unwrap_or(otherwise), error)
}

/// What an error of rustls below this one says of the certificate or the handshake; nothing, if
/// there is none.
fn tls_kind(error: &(dyn Error + 'static)) -> Option<TransportErrorKind> {
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

/// ureq's own resolver, but its failures can be told from a failed connection.
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

    /// What no server of the fault suite can bring about.
    #[test]
    fn each_error_is_of_the_step_that_failed() {
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
            let words = error.to_string();
            assert_eq!(of(error).kind(), kind, "{words}");
        }
    }

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
