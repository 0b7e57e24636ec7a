//! The calls.

use std::fmt;
use std::io::Read;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http::{Request, Response};
use meshconnect_auth_core::{
    Attempt, BlockingTokenSource, BodyBuffer, Credentials, Endpoint, Error, Need, Shared,
    SharedStep, Status, Token,
};
use zeroize::Zeroizing;

use crate::builder::ClientBuilder;
use crate::http::Http;
use crate::{clock, failure};

/// Gives tokens, blocking the thread that asks where it must, and keeps them fresh.
///
/// A clone shares everything with its original and costs a reference count: make one client per
/// set of credentials, and clone it to wherever it is needed. Of several threads that need a new
/// token, one sends the request and the others wait for it; a refresh ahead of time runs on a
/// thread of its own for as long as it takes.
///
/// ```no_run
/// # fn main() -> Result<(), meshconnect_auth_core::Error> {
/// use meshconnect_auth_core::Credentials;
/// use meshconnect_auth_ureq::Client;
///
/// let client = Client::builder(Credentials::new("id", "secret")?).build()?;
/// let token = client.token()?;
/// println!("good until {:?}", token.expires_at());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    shared: Shared,
    http: Arc<Http>,
}

impl Client {
    /// Begins a client for `credentials`, at the real service unless told otherwise.
    pub fn builder(credentials: Credentials) -> ClientBuilder {
        ClientBuilder::new(credentials)
    }

    pub(crate) fn new(shared: Shared, http: Http) -> Self {
        Self {
            shared,
            http: Arc::new(http),
        }
    }

    /// A token that can be used now: the one that is cached, nearly always and at once, else a new
    /// one. When the cached one is worth refreshing, this begins that, and does not wait for it.
    ///
    /// # Errors
    ///
    /// The error of the acquisition that this call waited for, shared with everyone who did;
    /// while a cooldown runs, the error that began it. It is one of
    /// [`Exchange::parse`](meshconnect_auth_core::Exchange::parse), a
    /// [`Transport`](meshconnect_auth_core::ErrorKind::Transport) failure,
    /// or [`TokenRejected`](meshconnect_auth_core::ErrorKind::TokenRejected).
    pub fn token(&self) -> Result<Token, Error> {
        self.obtain(Need::Usable)
    }

    /// A token that is good for at least `time` from now on.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token), and
    /// [`LifetimeTooShort`](meshconnect_auth_core::ErrorKind::LifetimeTooShort) where the service
    /// gives none that lives for so long.
    pub fn token_for(&self, time: Duration) -> Result<Token, Error> {
        self.obtain(Need::For(time))
    }

    /// A token that was asked for after this call began. To react to a downstream 401, use
    /// [`reject`](Self::reject) instead, which cannot throw away a newer token.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token). The token that was cached stays cached.
    pub fn refresh(&self) -> Result<Token, Error> {
        self.obtain(Need::Newer)
    }

    /// Takes notice that `token` was refused where it was used (a downstream 401): if it is the
    /// one that is cached, it is not given out again, and the answer is true. Then ask for another,
    /// once. Where that is refused too, nothing more is asked of the service for a while.
    #[allow(clippy::must_use_candidate)] // most who reject ask for another token either way
    pub fn reject(&self, token: &Token) -> bool {
        self.shared.reject(clock::now(), token)
    }

    /// Goes on with other credentials. The cached token stays if the client id is the same.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.shared.set_credentials(credentials);
    }

    /// The token that is cached, usable or not: to hand it on to another process, say, which gives
    /// it to its builder's [`initial_token`](ClientBuilder::initial_token).
    #[must_use]
    pub fn cached_token(&self) -> Option<Token> {
        Some(self.shared.cached_token()?.token().clone())
    }

    /// What is going on, for a health check or a debug page. It holds no secret.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status(clock::now())
    }

    /// Where this client sends its requests.
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
        // Where no thread can be had, the attempt is dropped with the closure, and somebody else
        // tries.
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

/// Sends one request, and tells the machine how that went.
fn run_attempt(http: &Http, attempt: Attempt) {
    let sending = AssertUnwindSafe(|| attempt.in_span(|| exchange(http, &attempt)));
    let response = panic::catch_unwind(sending).unwrap_or_else(|_| {
        Err(Error::configuration(
            "ureq panicked; perhaps an agent of your own lacks the TLS provider or the root \
             certificates that it needs for https (its tls_config)",
        ))
    });
    attempt.finish(clock::now(), response);
}

/// Sends one request and reads its answer, whatever that is.
fn exchange(http: &Http, attempt: &Attempt) -> Result<Response<BodyBuffer>, Error> {
    let (head, body) = attempt.request().into_parts();
    let request = Request::from_parts(head, body.as_ref());
    let response = http.send(request, attempt.timeout()).map_err(failure::of)?;

    let (head, body) = response.into_parts();
    let mut buffer = BodyBuffer::new(attempt.max_body(), &head.headers);
    // ureq has a limit of its own, which must not come first.
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
