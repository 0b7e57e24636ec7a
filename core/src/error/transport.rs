//! Failures of the transport: the step that failed, and the HTTP client's text.

use std::error;
use std::fmt;
use std::io;
use std::iter;

use super::escaped::Escaped;

/// The step at which a transport failed.
///
/// Not exhaustive: finer kinds may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The host name could not be resolved.
    Dns,
    /// Connecting failed, to the server or through the proxy.
    Connect,
    /// The TLS handshake failed for a reason other than the certificate.
    Tls,
    /// The server's certificate was not accepted.
    Certificate,
    /// A time-out expired.
    Timeout,
    /// The answer is not HTTP.
    NotHttp,
    /// The connection failed after it was established, or for a reason without a kind of its own.
    Broken,
    /// The HTTP client panicked, or a resource of this process was exhausted, such as threads or file
    /// descriptors.
    Client,
}

impl TransportErrorKind {
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Dns => "the server's host name could not be resolved",
            Self::Connect => "no connection to the server could be made",
            Self::Tls => "the TLS handshake with the server failed",
            Self::Certificate => {
                "the server's certificate could not be verified; let its CA be trusted: install \
                 CA certificates on this machine, name a file of them in SSL_CERT_FILE (Linux), \
                 or use the setters root_certificates_pem or webpki_roots"
            }
            Self::Timeout => "the server did not answer in time",
            Self::NotHttp => "the server's answer is not HTTP",
            Self::Broken => "the connection to the server broke off",
            Self::Client => "the HTTP client of this process failed before it had an answer",
        }
    }
}

/// A failure of the transport: the step, and the HTTP client's text.
///
/// The text is a copy of the client's whole chain of sources. So no type of the HTTP client is part
/// of this API, and secrets in it can be masked.
#[derive(Clone, Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    detail: String,
}

impl TransportError {
    /// Creates a failure from the HTTP client's error and its chain of sources.
    #[must_use]
    pub fn new(kind: TransportErrorKind, error: &(dyn error::Error + 'static)) -> Self {
        let mut detail = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let text = error.to_string();
            // Many errors repeat the text of their source.
            if !detail.contains(&text) {
                detail.push_str(": ");
                detail.push_str(&text);
            }
            source = error.source();
        }
        Self { kind, detail }
    }

    /// Creates a failure from the caller's description.
    #[must_use]
    pub fn with_detail(kind: TransportErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    /// Creates a failure of the kind [`Client`](TransportErrorKind::Client) if a resource of this
    /// process or machine was exhausted, according to an IO error in the chain of `error`: file
    /// descriptors, memory, threads or buffers.
    #[must_use]
    pub fn exhausted(error: &(dyn error::Error + 'static)) -> Option<Self> {
        Self::chain(error)
            .filter_map(|error| error.downcast_ref::<io::Error>())
            .any(is_exhaustion)
            .then(|| Self::new(TransportErrorKind::Client, error))
    }

    /// Iterates over an error and its sources, including the error that an `io::Error` wraps, which
    /// its `source` skips.
    pub fn chain<'a>(
        error: &'a (dyn error::Error + 'static),
    ) -> impl Iterator<Item = &'a (dyn error::Error + 'static)> {
        iter::successors(Some(error), |&error| {
            match error.downcast_ref::<io::Error>() {
                Some(io) => io.get_ref().map(|inner| inner as _),
                None => error.source(),
            }
        })
    }

    /// Appends a fact to the text.
    #[must_use]
    pub fn with_note(mut self, note: &str) -> Self {
        self.detail.push_str("; ");
        self.detail.push_str(note);
        self
    }

    /// Returns the step that failed.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    pub(crate) fn map_detail(&mut self, map: impl FnOnce(&str) -> String) {
        self.detail = map(&self.detail);
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.detail).fmt(f)
    }
}

impl error::Error for TransportError {}

/// Returns whether the operating system had no descriptor, memory, thread or buffer left.
fn is_exhaustion(error: &io::Error) -> bool {
    // In this order: ENOMEM, EAGAIN, ENFILE, EMFILE, ENOBUFS. `std` has no kind for most of them.
    const UNIX: &[i32] = if cfg!(any(target_os = "linux", target_os = "android")) {
        &[12, 11, 23, 24, 105]
    } else {
        &[12, 35, 23, 24, 55]
    };
    // ERROR_TOO_MANY_OPEN_FILES, ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, WSAEMFILE, WSAENOBUFS
    const WINDOWS: &[i32] = &[4, 8, 14, 10024, 10055];
    let codes = if cfg!(windows) { WINDOWS } else { UNIX };
    error.kind() == io::ErrorKind::OutOfMemory
        || error
            .raw_os_error()
            .is_some_and(|code| codes.contains(&code))
}
