//! A row of the table: what the server does, and what the caller must observe.

use std::fmt;
use std::io;
use std::net::TcpStream;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use meshconnect_auth::{Config, Error, ErrorKind, Token, TransportErrorKind};
use rustls::ServerConfig;

use crate::faults::peer::Peer;
use crate::support::Settings;
use crate::support::server::Server;

/// The attempt's time-out in rows that stall.
pub const SHORT_TIMEOUT: Duration = Duration::from_secs(1);

type Serve = dyn Fn(Peer) -> io::Result<()> + Send + Sync;

/// What the server does, and what the caller must observe.
pub struct Row {
    name: String,
    serve: Arc<Serve>,
    trusted: Option<String>,
    host: &'static str,
    port: Option<u16>,
    outcome: Outcome,
    differs: Option<(Library, Outcome, &'static str)>,
    /// An outcome that is also accepted because the result depends on timing, and why.
    or: Option<(Library, Outcome, &'static str)>,
    reported: Vec<&'static str>,
    retry_after: RetryAfter,
    pub connections: usize,
    /// The number of requests that the server reads completely.
    pub requests: usize,
    config: fn(&mut Config),
    timeout: Duration,
    /// The amount by which a client may exceed its deadline, and why.
    late: Option<(Library, Duration, &'static str)>,
    /// Why the row needs a multi-threaded runtime.
    pub threads: Option<&'static str>,
    /// Whether the row runs again with a limit on the client's memory.
    pub checks_memory: bool,
}

/// The delay that the error must report from `Retry-After`, in seconds.
#[derive(Debug)]
pub enum RetryAfter {
    /// The row does not check it.
    Unchecked,
    Never,
    In(Range<u64>),
}

impl RetryAfter {
    pub fn allows(&self, seconds: Option<u64>) -> bool {
        match (self, seconds) {
            (Self::Unchecked, _) | (Self::Never, None) => true,
            (Self::In(range), Some(seconds)) => range.contains(&seconds),
            (Self::Never, Some(_)) | (Self::In(_), None) => false,
        }
    }
}

/// The HTTP client under test. The two differ in some rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    Reqwest,
    Ureq,
}

/// The outcome that the caller observes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Token,
    /// An error, and the HTTP status of the response that it is about.
    Error(ErrorKind, Option<u16>),
}

impl Outcome {
    pub fn of(result: &Result<Token, Error>) -> Self {
        match result {
            Ok(_) => Self::Token,
            Err(error) => Self::Error(
                error.kind(),
                error.http_status().map(|status| status.as_u16()),
            ),
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token => write!(f, "a token"),
            Self::Error(kind, Some(status)) => write!(f, "{kind:?} of a {status}"),
            Self::Error(kind, None) => write!(f, "{kind:?}"),
        }
    }
}

pub const GRANTED: Outcome = Outcome::Token;
pub const NOT_HTTP: Outcome = transport_error(TransportErrorKind::NotHttp);
pub const BROKEN: Outcome = transport_error(TransportErrorKind::Broken);
pub const TIMEOUT: Outcome = transport_error(TransportErrorKind::Timeout);
pub const TLS: Outcome = transport_error(TransportErrorKind::Tls);
pub const CERTIFICATE: Outcome = transport_error(TransportErrorKind::Certificate);

const fn transport_error(kind: TransportErrorKind) -> Outcome {
    Outcome::Error(ErrorKind::Transport(kind), None)
}

/// The connection broke inside the body of a 200.
pub const TORN: Outcome =
    Outcome::Error(ErrorKind::Transport(TransportErrorKind::Broken), Some(200));

/// The body of a 200 did not end in time.
pub const STALLED: Outcome =
    Outcome::Error(ErrorKind::Transport(TransportErrorKind::Timeout), Some(200));

/// The body of a 200 violates the framing rules.
pub const MISFRAMED: Outcome =
    Outcome::Error(ErrorKind::Transport(TransportErrorKind::NotHttp), Some(200));

pub const MALFORMED: Outcome = malformed(200);

pub const fn malformed(status: u16) -> Outcome {
    Outcome::Error(ErrorKind::Malformed, Some(status))
}

/// The kind of a status that is not a 2xx.
pub const fn refused(status: u16) -> Outcome {
    let kind = match status {
        429 => ErrorKind::Throttled,
        408 | 425 | 500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Refused,
    };
    Outcome::Error(kind, Some(status))
}

impl Row {
    /// Returns a row whose server reads the request, sends `response` and closes the connection.
    pub fn responds(
        name: impl Into<String>,
        response: impl Into<Vec<u8>>,
        outcome: Outcome,
    ) -> Self {
        let response = response.into();
        Self::serves(name, outcome, move |mut peer| {
            peer.request()?;
            peer.send(&response)?;
            peer.close()
        })
    }

    /// Returns a row whose server reads the request and then runs `serve`.
    pub fn after_request(
        name: impl Into<String>,
        outcome: Outcome,
        serve: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::serves(name, outcome, move |mut peer| {
            peer.request()?;
            serve(&mut peer)
        })
    }

    /// Returns a row whose server runs `serve` from the first byte on.
    pub fn serves(
        name: impl Into<String>,
        outcome: Outcome,
        serve: impl Fn(Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            serve: Arc::new(serve),
            trusted: None,
            host: "localhost",
            port: None,
            outcome,
            differs: None,
            or: None,
            reported: Vec::new(),
            retry_after: RetryAfter::Unchecked,
            connections: 1,
            requests: 1,
            config: |_| (),
            timeout: Duration::from_secs(5),
            late: None,
            threads: None,
            checks_memory: false,
        }
    }

    /// Sets the outcome for one of the clients if it differs, and why.
    pub fn except(mut self, library: Library, outcome: Outcome, why: &'static str) -> Self {
        assert!(!why.is_empty() && outcome != self.outcome);
        self.differs = Some((library, outcome, why));
        self
    }

    /// Accepts a second outcome for one of the clients because the result depends on timing, and
    /// why.
    pub fn or(mut self, library: Library, outcome: Outcome, why: &'static str) -> Self {
        assert!(!why.is_empty() && outcome != self.outcome);
        self.or = Some((library, outcome, why));
        self
    }

    /// Lets one of the clients exceed its deadline, and why.
    pub fn exceeds_deadline(mut self, library: Library, by: Duration, why: &'static str) -> Self {
        assert!(!why.is_empty());
        self.late = Some((library, by, why));
        self
    }

    /// Requires these words in the error's report.
    pub fn reporting(mut self, words: &'static str) -> Self {
        self.reported.push(words);
        self
    }

    /// Shortens the attempt's time-out, for rows that run into it.
    pub fn short_timeout(self) -> Self {
        self.attempt_timeout(SHORT_TIMEOUT)
    }

    /// Lengthens the attempt's time-out, for rows that must not reach it on a busy machine.
    pub fn long_timeout(self) -> Self {
        self.attempt_timeout(Duration::from_secs(15))
    }

    /// Sets the attempt's time-out.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub fn config(mut self, change: fn(&mut Config)) -> Self {
        self.config = change;
        self
    }

    /// Expects that the server reads no complete request.
    pub fn no_request(mut self) -> Self {
        self.requests = 0;
        self
    }

    /// Expects this many connections with one request each.
    pub fn attempts(mut self, attempts: usize) -> Self {
        self.connections = attempts;
        self.requests = attempts;
        self
    }

    pub fn retry_after_secs(mut self, seconds: Range<u64>) -> Self {
        self.retry_after = RetryAfter::In(seconds);
        self
    }

    pub fn no_retry_after(mut self) -> Self {
        self.retry_after = RetryAfter::Never;
        self
    }

    pub fn checks_memory(mut self) -> Self {
        self.checks_memory = true;
        self
    }

    pub fn multi_threaded(mut self, why: &'static str) -> Self {
        self.threads = Some(why);
        self
    }

    /// Makes the client use TLS and trust only this CA.
    pub fn trusting(mut self, pem: &str) -> Self {
        self.trusted = Some(pem.to_owned());
        self
    }

    /// Makes the server use TLS.
    pub fn encrypted(self, config: Arc<ServerConfig>) -> Self {
        let serve = self.serve;
        Self {
            serve: Arc::new(move |peer| serve(peer.encrypted(Arc::clone(&config)))),
            ..self
        }
    }

    /// Sets the host in the URL, for which the certificate must be valid.
    pub fn at(mut self, host: &'static str) -> Self {
        self.host = host;
        self
    }

    /// Points the client at a port without a listener and expects no connection.
    pub fn on_closed_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self.attempts(0)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the CA that the client trusts, if it uses TLS.
    pub fn trusted(&self) -> Option<&str> {
        self.trusted.as_deref()
    }

    pub fn expected(&self, library: Library) -> Outcome {
        self.difference(library).unwrap_or(self.outcome)
    }

    pub fn expects(&self, library: Library, outcome: Outcome) -> bool {
        let or = self
            .or
            .is_some_and(|(other, or, _why)| other == library && or == outcome);
        or || outcome == self.expected(library)
    }

    /// Returns the words that the report must contain. Empty for a client with an outcome of its
    /// own.
    pub fn reported(&self, library: Library) -> &[&'static str] {
        match self.difference(library) {
            Some(_) => &[],
            None => &self.reported,
        }
    }

    /// Returns the expected `Retry-After`. Unchecked for a client with an outcome of its own.
    pub fn retry_after(&self, library: Library) -> &RetryAfter {
        match self.difference(library) {
            Some(_) => &RetryAfter::Unchecked,
            None => &self.retry_after,
        }
    }

    fn difference(&self, library: Library) -> Option<Outcome> {
        let (other, outcome, _why) = self.differs?;
        (other == library).then_some(outcome)
    }

    /// Starts the server on a free port.
    pub fn listen(&self) -> Listening {
        let requests = Arc::new(AtomicUsize::new(0));
        let server = Server::raw({
            let (serve, requests) = (Arc::clone(&self.serve), Arc::clone(&requests));
            let connections = AtomicUsize::new(0);
            move |tcp: TcpStream| {
                let number = connections.fetch_add(1, Ordering::SeqCst);
                serve(Peer::new(tcp, number, Arc::clone(&requests))?)
            }
        });
        let port = self.port.unwrap_or(server.address.port());
        Listening {
            server,
            port,
            requests,
        }
    }

    /// Returns the base URL of a server on `port`.
    pub fn base_url(&self, port: u16) -> String {
        let scheme = match self.trusted {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}:{port}", self.host)
    }

    /// Returns the client's settings for a server on `port`.
    pub fn settings(&self, port: u16) -> Settings {
        let mut settings = Settings::new(&self.base_url(port));
        settings.pem.clone_from(&self.trusted);
        settings.config.attempt_timeout = self.timeout;
        settings.config.acquisition_timeout = self.timeout * 2;
        (self.config)(&mut settings.config);
        settings
    }

    /// Returns the time within which the caller must have a result.
    pub fn deadline(&self, library: Library) -> Duration {
        let Config {
            attempts,
            attempt_timeout,
            acquisition_timeout,
            ..
        } = self.settings(1).config;
        let deadline = match attempts {
            1 => attempt_timeout,
            _ => acquisition_timeout,
        };
        match self.late {
            Some((client, by, _why)) if client == library => deadline + by,
            _ => deadline,
        }
    }
}

/// A row's running server. Dropping it stops the server.
pub struct Listening {
    server: Server,
    pub port: u16,
    requests: Arc<AtomicUsize>,
}

impl Listening {
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}
