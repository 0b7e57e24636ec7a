//! One row of the table: what a server does, and what must come of it.

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

/// The attempt's time-out of rows in which something stalls.
pub const SOON: Duration = Duration::from_secs(1);

type Serve = dyn Fn(Peer) -> io::Result<()> + Send + Sync;

/// What a server does, and what the caller must see of it.
pub struct Row {
    name: String,
    serve: Arc<Serve>,
    trusted: Option<String>,
    host: &'static str,
    port: Option<u16>,
    seen: Seen,
    differs: Option<(Which, Seen, &'static str)>,
    /// What may come of it as well, where that is chance, and why it is.
    or: Option<(Which, Seen, &'static str)>,
    says: Vec<&'static str>,
    retry_after: RetryAfter,
    pub connections: usize,
    /// How many requests the server reads to their ends.
    pub requests: usize,
    config: fn(&mut Config),
    timeout: Duration,
    /// By how much a client may miss its deadline by nature, and why.
    late: Option<(Which, Duration, &'static str)>,
    /// Why this needs more of a runtime than one thread.
    pub threads: Option<&'static str>,
    /// Whether a client could be made to use up memory here.
    pub hungry: bool,
}

/// In how many seconds the server wants to be asked again.
#[derive(Debug)]
pub enum RetryAfter {
    /// The row does not say.
    Untold,
    Never,
    In(Range<u64>),
}

impl RetryAfter {
    pub fn allows(&self, seconds: Option<u64>) -> bool {
        match (self, seconds) {
            (Self::Untold, _) | (Self::Never, None) => true,
            (Self::In(range), Some(seconds)) => range.contains(&seconds),
            (Self::Never, Some(_)) | (Self::In(_), None) => false,
        }
    }
}

/// The two clients, which are sometimes different by nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Reqwest,
    Ureq,
}

/// What the caller sees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Token,
    /// An error, and the HTTP status of the answer that it is about.
    No(ErrorKind, Option<u16>),
}

impl Seen {
    pub fn of(result: &Result<Token, Error>) -> Self {
        match result {
            Ok(_) => Self::Token,
            Err(error) => Self::No(
                error.kind(),
                error.http_status().map(|status| status.as_u16()),
            ),
        }
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token => write!(f, "a token"),
            Self::No(kind, Some(status)) => write!(f, "{kind:?} of a {status}"),
            Self::No(kind, None) => write!(f, "{kind:?}"),
        }
    }
}

pub const TOKEN_SEEN: Seen = Seen::Token;
pub const NOT_HTTP: Seen = no_answer(TransportErrorKind::NotHttp);
pub const BROKEN: Seen = no_answer(TransportErrorKind::Broken);
pub const TIMEOUT: Seen = no_answer(TransportErrorKind::Timeout);
pub const TLS: Seen = no_answer(TransportErrorKind::Tls);
pub const CERTIFICATE: Seen = no_answer(TransportErrorKind::Certificate);

const fn no_answer(kind: TransportErrorKind) -> Seen {
    Seen::No(ErrorKind::Transport(kind), None)
}

/// A body that broke off, of a 2xx.
pub const TORN: Seen = Seen::No(ErrorKind::Transport(TransportErrorKind::Broken), Some(200));

/// A body that did not come to its end in time, of a 2xx.
pub const STALLED: Seen = Seen::No(ErrorKind::Transport(TransportErrorKind::Timeout), Some(200));

/// A body whose framing is against the rules, of a 2xx.
pub const MISFRAMED: Seen = Seen::No(ErrorKind::Transport(TransportErrorKind::NotHttp), Some(200));

pub const MALFORMED: Seen = malformed(200);

pub const fn malformed(status: u16) -> Seen {
    Seen::No(ErrorKind::Malformed, Some(status))
}

pub const fn rejected(status: u16) -> Seen {
    Seen::No(ErrorKind::Rejected, Some(status))
}

impl Row {
    /// The server reads the request and says `answer`.
    pub fn answers(name: impl Into<String>, answer: impl Into<Vec<u8>>, seen: Seen) -> Self {
        let answer = answer.into();
        Self::serves(name, seen, move |mut peer| {
            peer.request()?;
            peer.say(&answer)?;
            peer.close()
        })
    }

    /// The server reads the request, and goes on as `serve` says.
    pub fn goes_on(
        name: impl Into<String>,
        seen: Seen,
        serve: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::serves(name, seen, move |mut peer| {
            peer.request()?;
            serve(&mut peer)
        })
    }

    /// The server does as `serve` says from the first byte on.
    pub fn serves(
        name: impl Into<String>,
        seen: Seen,
        serve: impl Fn(Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            serve: Arc::new(serve),
            trusted: None,
            host: "localhost",
            port: None,
            seen,
            differs: None,
            or: None,
            says: Vec::new(),
            retry_after: RetryAfter::Untold,
            connections: 1,
            requests: 1,
            config: |_| (),
            timeout: Duration::from_secs(5),
            late: None,
            threads: None,
            hungry: false,
        }
    }

    /// What one of the clients, by nature and for this reason, makes of it instead.
    pub fn but(mut self, which: Which, seen: Seen, why: &'static str) -> Self {
        assert!(!why.is_empty() && seen != self.seen);
        self.differs = Some((which, seen, why));
        self
    }

    /// What may by chance come of it as well, with one of the clients and for this reason.
    pub fn or(mut self, which: Which, seen: Seen, why: &'static str) -> Self {
        assert!(!why.is_empty() && seen != self.seen);
        self.or = Some((which, seen, why));
        self
    }

    /// By how much one of the clients, by nature and for this reason, may miss its deadline.
    pub fn late(mut self, which: Which, by: Duration, why: &'static str) -> Self {
        assert!(!why.is_empty());
        self.late = Some((which, by, why));
        self
    }

    /// What must stand in the error's report.
    pub fn saying(mut self, words: &'static str) -> Self {
        self.says.push(words);
        self
    }

    pub fn soon(self) -> Self {
        self.within(SOON)
    }

    /// For what takes its time, and must not be cut short on a busy machine.
    pub fn patiently(self) -> Self {
        self.within(Duration::from_secs(15))
    }

    /// The attempt's time-out.
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub fn config(mut self, change: fn(&mut Config)) -> Self {
        self.config = change;
        self
    }

    /// The server does not get as far as a whole request.
    pub fn unasked(mut self) -> Self {
        self.requests = 0;
        self
    }

    /// How many connections are made, with a whole request on each.
    pub fn times(mut self, attempts: usize) -> Self {
        self.connections = attempts;
        self.requests = attempts;
        self
    }

    pub fn asking_again_in(mut self, seconds: Range<u64>) -> Self {
        self.retry_after = RetryAfter::In(seconds);
        self
    }

    pub fn asking_nothing(mut self) -> Self {
        self.retry_after = RetryAfter::Never;
        self
    }

    pub fn hungry(mut self) -> Self {
        self.hungry = true;
        self
    }

    pub fn on_threads(mut self, why: &'static str) -> Self {
        self.threads = Some(why);
        self
    }

    /// The client speaks TLS, and trusts this CA alone.
    pub fn trusting(mut self, pem: &str) -> Self {
        self.trusted = Some(pem.to_owned());
        self
    }

    /// The server speaks TLS.
    pub fn encrypted(self, config: Arc<ServerConfig>) -> Self {
        let serve = self.serve;
        Self {
            serve: Arc::new(move |peer| serve(peer.encrypted(Arc::clone(&config)))),
            ..self
        }
    }

    /// The host in the URL, for which a certificate has to be good.
    pub fn at(mut self, host: &'static str) -> Self {
        self.host = host;
        self
    }

    /// Nobody listens on this port, so that no connection is made.
    pub fn at_dead_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self.times(0)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The CA that the client trusts, where it speaks TLS.
    pub fn trusted(&self) -> Option<&str> {
        self.trusted.as_deref()
    }

    pub fn expected(&self, which: Which) -> Seen {
        self.difference(which).unwrap_or(self.seen)
    }

    pub fn expects(&self, which: Which, seen: Seen) -> bool {
        let or = self
            .or
            .is_some_and(|(other, or, _why)| other == which && or == seen);
        or || seen == self.expected(which)
    }

    /// What must stand in the report of the error that both see.
    pub fn says(&self, which: Which) -> &[&'static str] {
        match self.difference(which) {
            Some(_) => &[],
            None => &self.says,
        }
    }

    /// When the error that both see must want to be asked again.
    pub fn retry_after(&self, which: Which) -> &RetryAfter {
        match self.difference(which) {
            Some(_) => &RetryAfter::Untold,
            None => &self.retry_after,
        }
    }

    fn difference(&self, which: Which) -> Option<Seen> {
        let (other, seen, _why) = self.differs?;
        (other == which).then_some(seen)
    }

    /// Starts the server, on a port of its own.
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

    /// How the client is set up for the server on `port`.
    pub fn settings(&self, port: u16) -> Settings {
        let scheme = match self.trusted {
            Some(_) => "https",
            None => "http",
        };
        let mut settings = Settings::new(&format!("{scheme}://{}:{port}", self.host));
        settings.pem.clone_from(&self.trusted);
        settings.config.attempt_timeout = self.timeout;
        settings.config.acquisition_timeout = self.timeout * 2;
        (self.config)(&mut settings.config);
        settings
    }

    /// How long it may take at most, until the caller knows.
    pub fn deadline(&self, which: Which) -> Duration {
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
            Some((client, by, _why)) if client == which => deadline + by,
            _ => deadline,
        }
    }
}

/// A row's server, until it is dropped.
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
