//! What ureq's errors mean.

use std::error;
use std::io;

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
fn of_tls_or(
    otherwise: TransportErrorKind,
    error: &(dyn error::Error + 'static),
) -> TransportError {
    TransportError::new(
        TransportErrorKind::of_tls(error).unwrap_or(otherwise),
        error,
    )
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
}
