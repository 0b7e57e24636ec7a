//! Converts ureq's errors to [`TransportError`].

use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::mpsc;
use std::thread;

use http::Uri;
use meshconnect_auth_core::{TransportError, TransportErrorKind};
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver as Resolve};
use ureq::unversioned::transport::NextTimeout;

use crate::tls;

/// Converts an error, and classifies it by the step that failed.
pub(crate) fn of(error: ureq::Error) -> TransportError {
    // ureq's errors have no source, so convert the inner error to keep its message.
    match error {
        ureq::Error::Io(inner) => of_io(&inner),
        ureq::Error::Rustls(inner) => of_source(TransportErrorKind::Tls, &inner),
        ureq::Error::Other(inner) => match inner.downcast::<TransportError>() {
            Ok(dns_error) => *dns_error,
            Err(inner) => of_source(TransportErrorKind::Broken, &*inner),
        },
        error => TransportError::new(kind(&error), &error),
    }
}

/// Converts an error that may be one of TLS or of an exhausted resource.
fn of_source(default: TransportErrorKind, error: &(dyn Error + 'static)) -> TransportError {
    TransportError::exhausted(error)
        .or_else(|| tls::failure(error))
        .unwrap_or_else(|| TransportError::new(default, error))
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
    of_source(kind, error)
}

/// Resolves as ureq does, and marks the errors, so that they differ from a failed connection.
///
/// An address needs no look-up, and so no thread. Where no thread can be started, ureq's resolver
/// panics; this one fails.
#[derive(Debug, Default)]
pub(crate) struct Resolver;

impl Resolve for Resolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let resolved = if is_address(uri) {
            look_up(uri, config)
        } else {
            let (sender, receiver) = mpsc::sync_channel(1);
            let (uri, config) = (uri.clone(), config.clone());
            thread::Builder::new()
                .name("meshconnect-auth-dns".to_owned())
                .spawn(move || {
                    // The caller may have gone after its time-out.
                    let _ = sender.send(look_up(&uri, &config));
                })
                .map_err(|error| {
                    let error = TransportError::new(TransportErrorKind::Client, &error)
                        .with_note("the DNS look-up needs a thread");
                    ureq::Error::Other(Box::new(error))
                })?;
            receiver
                .recv_timeout(*timeout.after)
                .map_err(|_| ureq::Error::Timeout(timeout.reason))?
        };
        resolved.map_err(|error| match error {
            ureq::Error::Io(error) => ureq::Error::Other(Box::new(failed_look_up(&error))),
            error @ ureq::Error::HostNotFound => {
                ureq::Error::Other(Box::new(failed_look_up(&error)))
            }
            error => error,
        })
    }
}

fn failed_look_up(error: &(dyn Error + 'static)) -> TransportError {
    TransportError::look_up(error, || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)))
}

/// Returns whether the host is an IP address.
fn is_address(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.parse::<IpAddr>().is_ok()
}

/// Looks up on this thread.
fn look_up(uri: &Uri, config: &Config) -> Result<ResolvedSocketAddrs, ureq::Error> {
    // Without a time-out, ureq's resolver starts no thread.
    DefaultResolver::default().resolve(uri, config, NextTimeout::default())
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
    fn exhausted_resources_are_failures_of_this_process() {
        for code in [11, 12, 23, 24] {
            let error = || io::Error::from_raw_os_error(code);
            let words = error().to_string();
            for error in [
                ureq::Error::Io(error()),
                ureq::Error::Io(io::Error::other(error())),
                ureq::Error::Other(Box::new(error())),
            ] {
                let found = of(error);
                assert_eq!(found.kind(), TransportErrorKind::Client, "{words}");
                assert!(found.to_string().contains(&words), "{found}");
            }
        }
    }

    #[test]
    fn addresses_need_no_look_up() {
        let uris = [
            ("https://127.0.0.1:1/", true),
            ("https://[::1]:1/", true),
            ("https://localhost/", false),
            ("https://127.0.0.1.example/", false),
        ];
        for (uri, expected) in uris {
            assert_eq!(is_address(&uri.parse().unwrap()), expected, "{uri}");
        }
    }
}
