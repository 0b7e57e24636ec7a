//! The blocking client.

use std::fmt;
use std::io::Read;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http::{Request, Response};
use meshconnect_auth_core::shared::{Attempt, Shared, SharedStep};
use meshconnect_auth_core::{
    BlockingTokenSource, BodyBuffer, Credentials, Endpoint, Error, Need, Status, Token,
};
use zeroize::Zeroizing;

use crate::http::Http;
use crate::{clock, failure};

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
    /// [`Exchange::parse`](meshconnect_auth_core::Exchange::parse), a
    /// [`Transport`](meshconnect_auth_core::ErrorKind::Transport) failure,
    /// or [`TokenRejected`](meshconnect_auth_core::ErrorKind::TokenRejected).
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

    /// Records that `token` was rejected where it was used (a downstream 401).
    ///
    /// Returns `true` if `token` was the cached token, which this call drops. Then get another
    /// token and repeat the call once. If that token is rejected too, a cooldown begins.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = meshconnect_auth_ureq::Client::builder(meshconnect_auth_core::Credentials::new("id", "secret")?).build()?;
    /// # fn call(token: &meshconnect_auth_core::Token) -> u16 { 401 }
    /// let mut token = client.token()?;
    /// if call(&token) == 401 {
    ///     client.reject(&token);
    ///     token = client.token()?;
    ///     call(&token);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[allow(
        clippy::must_use_candidate,
        reason = "most callers request another token either way"
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
    /// assert!(status.token_left.is_none() && status.cooldown_left.is_none());
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
                }
            }
        }
    }

    fn refresh_ahead(&self) {
        let Some(attempt) = self.shared.refresh(clock::now()) else {
            return;
        };
        let http = Arc::clone(&self.http);
        // If no thread can be started, the closure drops the attempt, and a later call tries again.
        let _ = thread::Builder::new()
            .name("meshconnect-auth".to_owned())
            .spawn(move || run_attempt(&http, attempt));
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
    attempt.run(clock::now, |attempt| {
        let sending = AssertUnwindSafe(|| exchange(http, attempt));
        panic::catch_unwind(sending).unwrap_or_else(|_| {
            Err(Error::configuration(
                "ureq panicked; if you use your own agent, set the TLS provider and the root \
                 certificates in its tls_config",
            ))
        })
    });
}

/// Sends one request and reads its response.
fn exchange(http: &Http, attempt: &Attempt) -> Result<Response<BodyBuffer>, Error> {
    let (head, body) = attempt.request().into_parts();
    let request = Request::from_parts(head, body.as_ref());
    let response = http.send(request, attempt.timeout()).map_err(failure::of)?;

    let (head, body) = response.into_parts();
    let mut buffer = BodyBuffer::new(attempt.max_body(), &head.headers);
    // `BodyBuffer` applies the limit.
    let mut reader = body.into_with_config().limit(u64::MAX).reader();
    let mut chunk = Zeroizing::new([0; 8192]);
    while buffer.wants_more() {
        match reader.read(chunk.as_mut_slice()) {
            Ok(0) => break,
            Ok(length) => {
                buffer.push(chunk.get(..length).unwrap_or_default());
            }
            Err(error) => buffer.broken(failure::of(ureq::Error::from(error))),
        }
    }
    Ok(Response::from_parts(head, buffer))
}
