//! One builder for the clients of all transports.

use std::fmt;
use std::time::Duration;

use super::trust::Trust;
use crate::config::Config;
use crate::error::Error;
use crate::lifecycle::{Attempt, Event, Machine, Observer, Shared};
use crate::moment::Moment;
use crate::protocol::{Credentials, Endpoint, Exchange, Token};

/// A client: a [`Shared`] machine, and an HTTP client that does what it says.
///
/// Implemented by each transport for its client, so that [`ClientBuilder`] can make one. What the
/// client then does at each call:
///
/// ```
/// # use meshconnect_auth_core::{Error, Attempt, Moment, Need, SharedStep, Shared, Token};
/// # fn now() -> Moment { Moment { mono: Default::default(), wall: Default::default() } }
/// # fn send_ahead(attempt: Option<Attempt>) {}
/// # fn send(attempt: &Attempt) -> Result<http::Response<Vec<u8>>, Error> { Ok(Default::default()) }
/// fn token(shared: &Shared, need: Need) -> Result<Token, Error> {
///     if let Some(token) = shared.ready(now(), need, || send_ahead(shared.refresh(now()))) {
///         return Ok(token); // nearly always
///     }
///     let ticket = shared.ticket(need);
///     loop {
///         match shared.poll(now(), &ticket) {
///             SharedStep::Ready(token) => return Ok(token),
///             SharedStep::Failed(error) => return Err(error),
///             SharedStep::Wait(waiter) => {
///                 waiter.block(); // or await its `changed()`, for at most its `limit()`
///             }
///             SharedStep::Send(attempt) => {
///                 // At most `attempt.max_body()` bytes, within `attempt.timeout()`.
///                 let response = attempt.in_span(|| send(&attempt));
///                 attempt.finish(now(), response);
///             }
///         }
///     }
/// }
/// ```
pub trait Transport: Sized {
    /// The HTTP client that sends.
    type HttpClient;

    /// Both clocks.
    fn now() -> Moment;

    /// A number that another client, here or elsewhere, does not draw: it keeps a fleet from
    /// asking at the same moments.
    fn seed() -> u64;

    /// Makes the client. Nothing is sent, and no file is read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) where the HTTP client cannot
    /// be set up so.
    fn build(shared: Shared, settings: HttpSettings<Self::HttpClient>) -> Result<Self, Error>;
}

/// A transport that brings Mozilla's root certificates, compiled in.
#[diagnostic::on_unimplemented(
    message = "`{Self}` brings no root certificates",
    note = "switch on the feature `webpki-roots`"
)]
pub trait MozillaRoots: Transport {}

/// What a transport needs to know in order to send.
#[non_exhaustive]
pub struct HttpSettings<H> {
    /// The HTTP client that the user brought. Whom it trusts, and through which proxy it goes, is
    /// up to it.
    pub client: Option<H>,
    /// Where to send.
    pub endpoint: Endpoint,
    /// The numbers. Most are the machine's; a transport keeps to
    /// [`connect_timeout`](Config::connect_timeout).
    pub config: Config,
    /// Whose certificates are accepted.
    pub trust: Trust,
}

impl<H> HttpSettings<H> {
    /// What [`Attempt::timeout`] says of every attempt that no acquisition's end cuts short.
    #[must_use]
    pub fn usual_timeout(&self) -> Duration {
        Attempt::timeout_within(
            self.config
                .attempt_timeout
                .min(self.config.acquisition_timeout),
        )
    }
}

/// Settings for a client. All have defaults.
#[must_use]
pub struct ClientBuilder<C: Transport> {
    credentials: Credentials,
    initial_token: Option<Token>,
    observer: Option<Box<Observer>>,
    /// What was wrong with the root certificates.
    wrong: Option<Error>,
    http: HttpSettings<C::HttpClient>,
}

impl<C: Transport> ClientBuilder<C> {
    /// Begins a client for `credentials`.
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            initial_token: None,
            observer: None,
            wrong: None,
            http: HttpSettings {
                client: None,
                endpoint: Endpoint::default(),
                config: Config::default(),
                trust: Trust::Platform,
            },
        }
    }

    /// Sets where to send. Default: [`Endpoint::PRODUCTION`].
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.http.endpoint = endpoint;
        self
    }

    /// Sets the numbers: time-outs, attempts, waits, cooldowns, when to refresh. [`Config`] tells
    /// what they are by default.
    pub fn config(mut self, config: Config) -> Self {
        self.http.config = config;
        self
    }

    /// Sets what is told of every [`Event`], for metrics. It is called by whichever thread or
    /// task made it happen, outside of all locks: it should be quick, and must not wait for a
    /// token.
    pub fn observer(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Begins with a token from elsewhere: from another process, or from the last run of this
    /// one. It is used until its own expiry; one that has expired is left.
    pub fn initial_token(mut self, token: Token) -> Self {
        self.initial_token = Some(token);
        self
    }

    /// Trusts the CAs in `pem`, and no others, instead of the platform's.
    pub fn root_certificates_pem(self, pem: impl AsRef<[u8]>) -> Self {
        self.trusting(Trust::pem(pem.as_ref()))
    }

    /// Trusts this CA, and no other, instead of the platform's.
    pub fn root_certificate_der(self, der: impl Into<Vec<u8>>) -> Self {
        self.trusting(Trust::der(der.into()))
    }

    /// Trusts Mozilla's root certificates, compiled in, instead of the platform's: for machines
    /// and containers that have none. Needs the feature `webpki-roots`.
    pub fn webpki_roots(self) -> Self
    where
        C: MozillaRoots,
    {
        self.trusting(Ok(Trust::Mozilla))
    }

    fn trusting(mut self, trust: Result<Trust, Error>) -> Self {
        (self.http.trust, self.wrong) = match trust {
            Ok(trust) => (trust, None),
            Err(error) => (Trust::Platform, Some(error)),
        };
        self
    }

    /// Sends with an HTTP client of your own, such as one with a client certificate or another
    /// TLS stack.
    ///
    /// The attempt's time-out and the body's limit are ours still. The rest is yours, and the docs
    /// of `meshconnect-auth-reqwest` and `meshconnect-auth-ureq` say what that means: above all, a
    /// `reqwest::Client` that follows redirects takes the secret along, and one that goes through a
    /// proxy shows it a secret sent in plain http.
    pub fn http_client(mut self, client: C::HttpClient) -> Self {
        self.http.client = Some(client);
        self
    }

    /// Makes the client. Nothing is sent and no file is read: the platform's certificates are
    /// loaded when the first connection needs them. It needs no runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) where a setting cannot work:
    /// see [`Config::check`]; root certificates that are none; root certificates for an own HTTP
    /// client; whatever else the transport cannot be set up with, such as (ureq) a proxy in the
    /// environment that is none.
    pub fn build(self) -> Result<C, Error> {
        self.http.config.check()?;
        if let Some(error) = self.wrong {
            return Err(error);
        }
        if self.http.client.is_some() && !matches!(self.http.trust, Trust::Platform) {
            return Err(Error::configuration(
                "root certificates were set together with an own HTTP client, which brings its \
                 own; set them there",
            ));
        }
        let exchange = Exchange::new(self.http.endpoint.clone(), self.credentials);
        let mut machine = Machine::new(self.http.config.clone(), exchange, C::seed());
        if let Some(token) = self.initial_token {
            machine.handle_token(C::now(), token);
        }
        C::build(Shared::new(machine, self.observer), self.http)
    }
}

impl<C: Transport> fmt::Debug for ClientBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("credentials", &self.credentials)
            .field("initial_token", &self.initial_token)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

impl<H> fmt::Debug for HttpSettings<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSettings")
            .field("endpoint", &self.endpoint)
            .field("config", &self.config)
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}
