//! The async client.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use meshconnect_auth_core::shared::{Attempt, Shared, SharedStep};
use meshconnect_auth_core::{
    BodyBuffer, Credentials, Endpoint, Error, Need, RequestBody, Status, Token, TokenSource,
};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::http::Http;
use crate::{clock, failure};

/// How many dropped attempts in a row a call starts again before it fails.
const MAX_DROPPED: u32 = 10;

/// Obtains tokens and keeps them fresh.
///
/// Clones are cheap and share all state. Create one client for each set of credentials, and clone
/// it.
///
/// A call without a usable token needs a tokio runtime with its IO and time drivers enabled. Each
/// attempt runs in its own task, so that a cancelled caller does not end the request that others
/// wait for. A refresh ahead is such a task too. It makes no progress in a program that enters its
/// runtime only for single calls with `block_on`; use the blocking client there.
///
/// Do not use a client in a forked process if it was built before the fork; see the
/// [crate's page](crate#fork).
///
/// ```no_run
/// # async fn run() -> Result<(), meshconnect_auth_core::Error> {
/// use meshconnect_auth_core::Credentials;
/// use meshconnect_auth_reqwest::Client;
///
/// let client = Client::builder(Credentials::new("id", "secret")?).build()?;
/// let token = client.token().await?;
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
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = meshconnect_auth_reqwest::Client::builder(meshconnect_auth_core::Credentials::new("id", "secret")?).build()?;
    /// let token = client.token().await?;
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
    /// [`TokenRejected`](meshconnect_auth_core::ErrorKind::TokenRejected), or
    /// [`NoRuntime`](meshconnect_auth_core::ErrorKind::NoRuntime) outside of tokio.
    pub async fn token(&self) -> Result<Token, Error> {
        self.obtain(Need::Usable).await
    }

    /// Returns a token with a remaining lifetime of at least `time`.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = meshconnect_auth_reqwest::Client::builder(meshconnect_auth_core::Credentials::new("id", "secret")?).build()?;
    /// let for_an_upload = client.token_for(Duration::from_secs(600)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token), and
    /// [`LifetimeTooShort`](meshconnect_auth_core::ErrorKind::LifetimeTooShort) if the service
    /// grants shorter lifetimes.
    pub async fn token_for(&self, time: Duration) -> Result<Token, Error> {
        self.obtain(Need::For(time)).await
    }

    /// Returns a token that was requested after this call began.
    ///
    /// After a downstream 401, call [`reject`](Self::reject) instead: it never drops a newer token.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = meshconnect_auth_reqwest::Client::builder(meshconnect_auth_core::Credentials::new("id", "secret")?).build()?;
    /// let new = client.refresh().await?;
    /// assert_eq!(client.cached_token(), Some(new));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token). A failed call does not remove the cached token.
    pub async fn refresh(&self) -> Result<Token, Error> {
        self.obtain(Need::Newer).await
    }

    /// Records that `token` was rejected where it was used (a downstream 401).
    ///
    /// Returns `true` if `token` was the cached token, which this call drops. Then get another
    /// token and repeat the call once. If that token is rejected too, a cooldown begins.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = meshconnect_auth_reqwest::Client::builder(meshconnect_auth_core::Credentials::new("id", "secret")?).build()?;
    /// # fn call(token: &meshconnect_auth_core::Token) -> u16 { 401 }
    /// let mut token = client.token().await?;
    /// if call(&token) == 401 {
    ///     client.reject(&token);
    ///     token = client.token().await?;
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
    /// # let client = meshconnect_auth_reqwest::Client::builder(Credentials::new("id", "secret")?).build()?;
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
    /// # let client = meshconnect_auth_reqwest::Client::builder(Credentials::new("id", "secret")?).build()?;
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
    /// # let client = meshconnect_auth_reqwest::Client::builder(Credentials::new("id", "secret")?).build()?;
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
    /// # let client = meshconnect_auth_reqwest::Client::builder(Credentials::new("id", "secret")?).build()?;
    /// assert_eq!(client.endpoint().to_string(), "https://admin-api.meshconnect.com");
    /// # Ok::<_, meshconnect_auth_core::Error>(())
    /// ```
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.shared.endpoint()
    }

    async fn obtain(&self, need: Need) -> Result<Token, Error> {
        let ready = self
            .shared
            .ready(clock::now(), need, || self.refresh_ahead());
        if let Some(token) = ready {
            return Ok(token);
        }
        let runtime = Handle::try_current().map_err(|_| {
            Error::no_runtime(
                "the async client was called outside of a tokio runtime; call it within one, or \
                 use the blocking client",
            )
        })?;
        let ticket = self.shared.ticket(need);
        let mut dropped = 0_u32;
        loop {
            match self.shared.poll(clock::now(), &ticket) {
                SharedStep::Ready(token) => return Ok(token),
                SharedStep::Failed(error) => return Err(error),
                // A runtime that is shutting down drops every task.
                SharedStep::Send(_) if dropped == MAX_DROPPED => {
                    return Err(Error::no_runtime(
                        "the tokio runtime is shutting down; call the client before the shutdown",
                    ));
                }
                SharedStep::Send(attempt) => {
                    dropped = dropped.saturating_add(1);
                    self.spawn(&runtime, attempt);
                }
                SharedStep::Wait(waiter) => {
                    dropped = 0;
                    // tokio panics if the runtime has no time driver.
                    let limit = waiter.limit();
                    let wait = AssertUnwindSafe(|| timeout(limit, waiter.changed()));
                    let wait = panic::catch_unwind(wait).map_err(|_| runtime_error())?;
                    let _ = wait.await;
                }
            }
        }
    }

    fn refresh_ahead(&self) {
        // Outside of a runtime, leave the refresh to a later call; the token is still usable.
        if let Ok(runtime) = Handle::try_current()
            && let Some(attempt) = self.shared.refresh(clock::now())
        {
            self.spawn(&runtime, attempt);
        }
    }

    /// Runs an attempt in its own task. Only a runtime that is shutting down drops the task.
    fn spawn(&self, runtime: &Handle, attempt: Attempt) {
        let http = Arc::clone(&self.http);
        let (request, timeout, limit) = (attempt.request(), attempt.timeout(), attempt.max_body());
        let sending = catch_panic(async move { exchange(&http, request, timeout, limit).await });
        let sending = async { sending.await.unwrap_or_else(|| Err(runtime_error())) };
        runtime.spawn(attempt.run_async(clock::now, sending));
    }
}

/// Returns the output of a future, or `None` if polling or dropping it panics.
async fn catch_panic<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(Some(future));
    poll_fn(|context| {
        let poll = AssertUnwindSafe(|| {
            let polled = future.as_mut().as_pin_mut()?.poll(context);
            if polled.is_ready() {
                future.set(None);
            }
            Some(polled)
        });
        match panic::catch_unwind(poll) {
            Ok(Some(polled)) => polled.map(Some),
            Ok(None) | Err(_) => Poll::Ready(None),
        }
    })
    .await
}

fn runtime_error() -> Error {
    Error::no_runtime(
        "the HTTP client or its timer panicked; enable the IO and time drivers of the tokio \
         runtime (enable_all)",
    )
}

impl TokenSource for Client {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token, Error>> + Send + '_>> {
        Box::pin(Self::token(self))
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

/// Sends one request and reads its response.
async fn exchange(
    http: &Http,
    request: Request<RequestBody>,
    timeout: Duration,
    limit: usize,
) -> Result<Response<BodyBuffer>, Error> {
    let _guard = clock::keep_time_paused(timeout);
    let client = http.client().await?;
    let (head, body) = request.into_parts();
    let mut request = reqwest::Request::new(head.method, http.url.clone());
    *request.headers_mut() = head.headers;
    *request.body_mut() = Some(body.into_bytes().into());
    *request.timeout_mut() = Some(timeout);
    let mut response = client.execute(request).await.map_err(failure::of)?;

    let (mut head, ()) = Response::new(()).into_parts();
    head.status = response.status();
    head.version = response.version();
    head.headers = mem::take(response.headers_mut());
    let mut body = BodyBuffer::new(limit, &head.headers);
    while body.wants_more() {
        match response.chunk().await {
            Ok(None) => break,
            Ok(Some(chunk)) => {
                body.push(&chunk);
            }
            Err(error) => body.broken(failure::of(error)),
        }
    }
    Ok(Response::from_parts(head, body))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::catch_panic;

    /// Panics when it is dropped.
    struct PanicOnDrop;

    impl Drop for PanicOnDrop {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    fn outcome(future: impl Future<Output = u8>) -> Poll<Option<u8>> {
        pin!(catch_panic(future)).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn catches_panics_of_poll_and_drop() {
        assert_eq!(outcome(async { 1 }), Poll::Ready(Some(1)));
        assert_eq!(outcome(async { panic!("polled") }), Poll::Ready(None));
        // A future may keep what it captures until it is dropped itself.
        let captured = PanicOnDrop;
        let future = poll_fn(move |_| {
            let _ = &captured;
            Poll::Ready(1)
        });
        assert_eq!(outcome(future), Poll::Ready(None));
    }
}
