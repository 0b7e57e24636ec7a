//! What ureq's errors mean.

use std::error;
use std::fmt;
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
        ureq::Error::Io(inner) => TransportError::new(of_io(&inner), &inner),
        ureq::Error::Rustls(inner) => {
            TransportError::new(TransportErrorKind::of_rustls(&inner), &inner)
        }
        ureq::Error::Other(inner) if inner.is::<NotResolved>() => {
            TransportError::new(TransportErrorKind::Dns, &*inner)
        }
        error => TransportError::new(kind(&error), &error),
    }
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

fn of_io(error: &io::Error) -> TransportErrorKind {
    // rustls hides its errors in those of the stream that it reads from.
    let rustls = TransportError::chain(error).find_map(|error| error.downcast_ref());
    if let Some(error) = rustls {
        return TransportErrorKind::of_rustls(error);
    }
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => TransportErrorKind::Timeout,
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable => TransportErrorKind::Connect,
        _ => TransportErrorKind::Broken,
    }
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
        self.0
            .resolve(uri, config, timeout)
            .map_err(|error| match error {
                ureq::Error::Io(error) => ureq::Error::Other(Box::new(NotResolved(error))),
                error => error,
            })
    }
}

#[derive(Debug)]
struct NotResolved(io::Error);

impl fmt::Display for NotResolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl error::Error for NotResolved {}
