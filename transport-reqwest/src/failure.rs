//! Converts reqwest's errors to [`TransportError`].

use std::any::Any;
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};

use meshconnect_auth_core::{Error as Failure, TransportError, TransportErrorKind};

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
        _ if error.is_dns() && !error.is_timeout() => {
            TransportError::look_up(&error, || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)))
        }
        _ => TransportError::new(kind(&error), &error),
    }
}

/// Converts a panic of reqwest, hyper or tokio. Only tokio's own words tell that a driver is missing.
pub(crate) fn of_panic(payload: &(dyn Any + Send)) -> Failure {
    let panicked = TransportError::panicked(payload);
    let words = panicked.to_string();
    let names = |part: &str| words.contains(part);
    if names("Tokio") && (names("enable_io") || names("enable_time")) {
        return Failure::no_runtime(
            "the tokio runtime lacks its IO or time driver; enable both when you build it \
             (enable_all)",
        );
    }
    if names("Tokio") && names("being shutdown") {
        return shut_down();
    }
    panicked.into()
}

/// Returns the failure of a call whose runtime is shutting down.
pub(crate) fn shut_down() -> Failure {
    let what = "the tokio runtime is shutting down; call the client before the shutdown";
    TransportError::with_detail(TransportErrorKind::Client, what).into()
}

/// Returns the kind of an error of neither TLS nor the look-up.
fn kind(error: &reqwest::Error) -> TransportErrorKind {
    if error.is_timeout() {
        return TransportErrorKind::Timeout;
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::panic::{self, AssertUnwindSafe};
    use std::time::Duration;

    use meshconnect_auth_core::ErrorKind;

    use super::*;

    #[test]
    fn missing_drivers_are_told_from_other_panics() {
        let without_drivers = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let timer = || {
            without_drivers.block_on(async { tokio::time::sleep(Duration::ZERO).await });
        };
        let socket = || {
            let address = SocketAddr::from(([127, 0, 0, 1], 1));
            let _ = without_drivers.block_on(tokio::net::TcpStream::connect(address));
        };
        let refused = || {
            panic!("OS can't spawn worker thread: Resource temporarily unavailable (os error 11)")
        };
        let client = ErrorKind::Transport(TransportErrorKind::Client);
        let cases: [(&dyn Fn(), _, _); 3] = [
            (&timer, ErrorKind::NoRuntime, "enable_all"),
            (&socket, ErrorKind::NoRuntime, "enable_all"),
            (&refused, client, "(os error 11)"),
        ];
        for (panics, kind, words) in cases {
            let payload = panic::catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
            let error = of_panic(&*payload);
            assert_eq!(error.kind(), kind, "{error}");
            let told = error.report().to_string();
            assert!(told.contains(words), "{told}");
        }
    }
}
