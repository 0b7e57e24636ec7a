//! Failures of the transport: the step that failed, and the HTTP client's text.

use std::any::Any;
use std::borrow::Cow;
use std::error;
use std::fmt;
use std::io;
use std::iter;
use std::time::Duration;

use super::escaped::Escaped;
use super::report::http_date;

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
            Self::Certificate => "the server's certificate could not be verified",
            Self::Timeout => "the server did not answer in time",
            Self::NotHttp => "the server's answer is not HTTP",
            Self::Broken => "the connection to the server broke off",
            Self::Client => "the request failed within this process",
        }
    }
}

/// Why a server's certificate was not accepted. Each has its own remedy, which the error names.
///
/// Not exhaustive: finer causes may be added. Times are since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// No trusted authority issued it.
    UnknownIssuer,
    /// It is for other host names.
    WrongName,
    /// Its time is over.
    Expired {
        /// The time by this machine's clock.
        now: Duration,
        /// The end of its validity, if the platform tells it.
        not_after: Option<Duration>,
    },
    /// Its time has not begun.
    NotYetValid {
        /// The time by this machine's clock.
        now: Duration,
        /// The begin of its validity, if the platform tells it.
        not_before: Option<Duration>,
    },
    /// The server presented the certificate of an authority as its own.
    CaAsServer,
    /// This machine has no root certificates to verify it with.
    NoRoots,
    /// Another cause, which the HTTP client's text names.
    Other,
}

impl CertificateProblem {
    /// Returns the cause and its remedy.
    fn describe(self) -> String {
        let (cause, remedy) = match self {
            Self::UnknownIssuer => (
                "its issuer is not trusted here".to_owned(),
                "let the CA be trusted that issued it: install it on this machine, name its file \
                 in SSL_CERT_FILE (Linux), or use the setters root_certificates_pem or \
                 webpki_roots; if a CA is trusted already, it is another one: an intercepting \
                 proxy, for example, issues certificates of its own",
            ),
            Self::WrongName => (
                "it is not valid for the server's host name".to_owned(),
                "use a base URL with a host name of the certificate, or let the server present \
                 the certificate for this host",
            ),
            Self::Expired { now, not_after } => (
                format!(
                    "it expired{}, and this machine's clock says {}",
                    not_after.map_or_else(String::new, |end| format!(" at {}", date(end))),
                    date(now)
                ),
                "check this machine's clock; if it is right, let the server's certificate be renewed",
            ),
            Self::NotYetValid { now, not_before } => (
                format!(
                    "it is valid from {}, and this machine's clock says {}",
                    not_before.map_or_else(|| "a later time".to_owned(), date),
                    date(now)
                ),
                "check this machine's clock and that of the certificate's issuer",
            ),
            Self::CaAsServer => (
                "it is the certificate of a CA, which a server cannot use as its own".to_owned(),
                "trusting it does not help: make a certificate for the server with \
                 basicConstraints=CA:FALSE",
            ),
            Self::NoRoots => (
                "no root certificates were found on this machine".to_owned(),
                "install CA certificates (on Linux the package ca-certificates), name a file of \
                 them in SSL_CERT_FILE (Linux), or use the setter webpki_roots",
            ),
            Self::Other => (
                "see the cause".to_owned(),
                "check the server's certificate and its chain",
            ),
        };
        format!("the server's certificate could not be verified: {cause}; {remedy}")
    }
}

/// Returns a time as an HTTP-date, or in seconds if an HTTP-date cannot express it.
fn date(time: Duration) -> String {
    http_date(time).unwrap_or_else(|| format!("{} s since 1970", time.as_secs()))
}

/// What is known of a failure beyond its step.
#[derive(Clone, Copy, Debug)]
enum Cause {
    Certificate(CertificateProblem),
    NothingInCommon,
}

/// A failure of the transport: the step, and the HTTP client's text.
///
/// The text is a copy of the client's whole chain of sources. So no type of the HTTP client is part
/// of this API, and secrets in it can be masked.
#[derive(Clone, Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    cause: Option<Cause>,
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
        Self {
            kind,
            cause: None,
            detail,
        }
    }

    /// Creates a failure of the kind [`Certificate`](TransportErrorKind::Certificate), which names the
    /// problem and its remedy.
    #[must_use]
    pub fn certificate(problem: CertificateProblem, error: &(dyn error::Error + 'static)) -> Self {
        Self {
            cause: Some(Cause::Certificate(problem)),
            ..Self::new(TransportErrorKind::Certificate, error)
        }
    }

    /// Creates a failure of the kind [`Tls`](TransportErrorKind::Tls) for the alert
    /// `handshake_failure` (RFC 8446 §6.2): client and server have no protocol version, cipher suite
    /// or signature algorithm in common.
    #[must_use]
    pub fn handshake_failure(error: &(dyn error::Error + 'static)) -> Self {
        Self {
            cause: Some(Cause::NothingInCommon),
            ..Self::new(TransportErrorKind::Tls, error)
        }
    }

    /// Creates a failure from the caller's description.
    #[must_use]
    pub fn with_detail(kind: TransportErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            cause: None,
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

    /// Creates a failure of a look-up. The C library reports exhausted file descriptors as an unknown host,
    /// so `probe` opens one, for example a socket, and its error tells.
    #[must_use]
    pub fn look_up<T>(
        error: &(dyn error::Error + 'static),
        probe: impl FnOnce() -> io::Result<T>,
    ) -> Self {
        let exhausted = Self::exhausted(error).or_else(|| {
            let exhausted = Self::exhausted(&probe().err()?)?;
            Some(exhausted.with_note("during the DNS look-up"))
        });
        exhausted.unwrap_or_else(|| Self::new(TransportErrorKind::Dns, error))
    }

    /// Creates a failure of the kind [`Client`](TransportErrorKind::Client) from the payload of a panic of
    /// the HTTP client, with the panic's own words.
    #[must_use]
    pub fn panicked(payload: &(dyn Any + Send)) -> Self {
        let words = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .map_or("", str::trim);
        let separator = if words.is_empty() { "" } else { ": " };
        Self::with_detail(
            TransportErrorKind::Client,
            format!("the HTTP client panicked{separator}{words}"),
        )
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

    /// Returns what failed, and the remedy if the cause is known.
    pub(super) fn describe(&self) -> Cow<'static, str> {
        match self.cause {
            Some(Cause::Certificate(problem)) => problem.describe().into(),
            Some(Cause::NothingInCommon) => {
                "the TLS handshake with the server failed: server and client share no protocol \
                 version, cipher suite or signature algorithm; compare what the server's \
                 certificate needs with what the provider of this process has (a P-521 \
                 certificate, for example, does not work with ring), and check whether the server \
                 demands a client certificate"
                    .into()
            }
            None => self.kind.describe().into(),
        }
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
