//! The blocking client.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use meshconnect_auth_core::shared::{Attempt, Shared, SharedStep};
use meshconnect_auth_core::{
    BlockingTokenSource, Credentials, Endpoint, Error, Need, Status, Token, TransportError,
    TransportErrorKind,
};

use crate::clock;
use crate::http::Http;

/// Obtains tokens and keeps them fresh.
///
/// Clones are cheap and share all state. Create one client for each set of credentials, and clone
/// it. A call without a usable token blocks its thread. If several threads need a new token, one
/// sends the request and the others wait for it. A refresh ahead runs on its own short-lived
/// thread.
///
/// Do not use a client in a forked process if it was built before the fork; see the
/// [crate's page](crate#fork).
///
/// ```no_run
/// # fn main() -> Result<(), meshconnect_auth_core::Error> {
/// use meshconnect_auth_core::Credentials;
/// use meshconnect_auth_ureq::Client;
///
/// let client = Client::builder(Credentials::new("id", "secret")?).build()?;
/// let token = client.token()?;
/// println!("valid until {:?}", token.expires_at());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    shared: Shared,
    http: Arc<Http>,
}

impl Client {
    pub(crate) fn new(shared: Shared, http: Http) -> Self {
        Self {
            shared,
            http: Arc::new(http),
        }
    }

    /// Returns a usable token: the cached one at once, or a new one if no usable token is cached.
    ///
    /// If the cached token is due for a refresh, this call starts the refresh and does not wait for
    /// it.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = meshconnect_auth_ureq::Client::builder(meshconnect_auth_core::Credentials::new("id", "secret")?).build()?;
    /// let token = client.token()?;
    /// let request = http::Request::get("https://admin-api.meshconnect.com/admin/api/v1/Client")
    ///     .header(http::header::AUTHORIZATION, token.header_value());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the acquisition that this call waited for. All callers that waited get the same
    /// error. During a cooldown: the error that began it. It is one of
    /// [`Exchange::parse`](meshconnect_auth_core::Exchange::parse), or a
    /// [`Transport`](meshconnect_auth_core::ErrorKind::Transport) failure.
    pub fn token(&self) -> Result<Token, Error> {
        self.obtain(Need::Usable)
    }

    /// Returns a token with a remaining lifetime of at least `time`.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = meshconnect_auth_ureq::Client::builder(meshconnect_auth_core::Credentials::new("id", "secret")?).build()?;
    /// let for_an_upload = client.token_for(Duration::from_secs(600))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token), and
    /// [`LifetimeTooShort`](meshconnect_auth_core::ErrorKind::LifetimeTooShort) if the service
    /// grants shorter lifetimes.
    pub fn token_for(&self, time: Duration) -> Result<Token, Error> {
        self.obtain(Need::For(time))
    }

    /// Returns a token that was requested after this call began.
    ///
    /// After a downstream 401, call [`reject`](Self::reject) instead: it never drops a newer token.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = meshconnect_auth_ureq::Client::builder(meshconnect_auth_core::Credentials::new("id", "secret")?).build()?;
    /// let new = client.refresh()?;
    /// assert_eq!(client.cached_token(), Some(new));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token). A failed call does not remove the cached token.
    pub fn refresh(&self) -> Result<Token, Error> {
        self.obtain(Need::Newer)
    }

    /// Records that `token` was rejected where it was used (a downstream 401). Returns whether it is
    /// worth repeating the call with another token.
    ///
    /// `true`: `token` is dropped, or was replaced before. Get another token and repeat the call once,
    /// unless it is the same token: it is served again while no other one can be had.
    /// `false`: another token was rejected shortly before, or no other token can be had now. So
    /// `token` stays in use, and is refreshed in the background. Return the 401 to your caller.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = meshconnect_auth_ureq::Client::builder(meshconnect_auth_core::Credentials::new("id", "secret")?).build()?;
    /// # fn call(token: &meshconnect_auth_core::Token) -> u16 { 401 }
    /// let token = client.token()?;
    /// let mut status = call(&token);
    /// if status == 401 && client.reject(&token) {
    ///     let another = client.token()?;
    ///     if another != token {
    ///         status = call(&another);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[allow(
        clippy::must_use_candidate,
        reason = "a caller that does not repeat the call ignores it"
    )]
    pub fn reject(&self, token: &Token) -> bool {
        self.shared.reject(clock::now(), token)
    }

    /// Replaces the credentials. This ends the acquisition in progress and any cooldown. The cached
    /// token stays if the client id is the same.
    ///
    /// ```
    /// # use meshconnect_auth_core::Credentials;
    /// # let client = meshconnect_auth_ureq::Client::builder(Credentials::new("id", "secret")?).build()?;
    /// client.set_credentials(Credentials::new("id", "the-rotated-secret")?);
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    pub fn set_credentials(&self, credentials: Credentials) {
        self.shared.set_credentials(credentials);
    }

    /// Returns the cached token, usable or not.
    ///
    /// Another process can start with this token; see
    /// [`ClientBuilder::initial_token`](crate::ClientBuilder::initial_token).
    ///
    /// ```
    /// # use meshconnect_auth_core::Credentials;
    /// # let client = meshconnect_auth_ureq::Client::builder(Credentials::new("id", "secret")?).build()?;
    /// assert!(client.cached_token().is_none()); // nothing was requested yet
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    #[must_use]
    pub fn cached_token(&self) -> Option<Token> {
        Some(self.shared.cached_token()?.token().clone())
    }

    /// Returns the client's state, for a health check or a debug page. It contains no secret.
    ///
    /// ```
    /// # use meshconnect_auth_core::{Credentials, Phase};
    /// # let client = meshconnect_auth_ureq::Client::builder(Credentials::new("id", "secret")?).build()?;
    /// let status = client.status();
    /// assert_eq!(status.phase, Phase::Idle);
    /// assert!(status.expires_at.is_none() && status.last_failure.is_none());
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status(clock::now())
    }

    /// Returns the endpoint that this client sends its requests to.
    ///
    /// ```
    /// # use meshconnect_auth_core::Credentials;
    /// # let client = meshconnect_auth_ureq::Client::builder(Credentials::new("id", "secret")?).build()?;
    /// assert_eq!(client.endpoint().to_string(), "https://admin-api.meshconnect.com");
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.shared.endpoint()
    }

    fn obtain(&self, need: Need) -> Result<Token, Error> {
        let ready = self
            .shared
            .ready(clock::now(), need, || self.refresh_ahead());
        if let Some(token) = ready {
            return Ok(token);
        }
        let ticket = self.shared.ticket(need);
        loop {
            match self.shared.poll(clock::now(), &ticket) {
                SharedStep::Ready(token) => return Ok(token),
                SharedStep::Failed(error) => return Err(error),
                SharedStep::Send(attempt) => run_attempt(&self.http, attempt),
                SharedStep::Wait(waiter) => {
                    waiter.block();
                    // Most calls are served here, without the lock of the machine.
                    if let Some(token) = self.shared.ready(clock::now(), need, || {}) {
                        return Ok(token);
                    }
                }
            }
        }
    }

    fn refresh_ahead(&self) {
        let Some(attempt) = self.shared.refresh(clock::now()) else {
            return;
        };
        let http = Arc::clone(&self.http);
        let (sender, receiver) = mpsc::channel();
        let thread = thread::Builder::new().name("meshconnect-auth".to_owned());
        let started = thread.spawn(move || {
            if let Ok(attempt) = receiver.recv() {
                run_attempt(&http, attempt);
            }
        });
        match started {
            Ok(_) => {
                // Without a receiver, the attempt is dropped, which abandons it.
                let _ = sender.send(attempt);
            }
            Err(error) => {
                let error = TransportError::new(TransportErrorKind::Client, &error);
                attempt.abandon(error.into());
            }
        }
    }
}

impl BlockingTokenSource for Client {
    fn token(&self) -> Result<Token, Error> {
        Self::token(self)
    }

    fn reject(&self, token: &Token) -> bool {
        Self::reject(self, token)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", self.endpoint())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// Runs an attempt on this thread.
fn run_attempt(http: &Http, attempt: Attempt) {
    let max_body = attempt.max_body();
    attempt.run(clock::now, |request, timeout| {
        let sending = AssertUnwindSafe(|| http.exchange(request, timeout, max_body));
        panic::catch_unwind(sending)
            .unwrap_or_else(|panic| Err(TransportError::panicked(&*panic).into()))
    });
}
