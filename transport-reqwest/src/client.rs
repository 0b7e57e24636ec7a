//! The calls.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use meshconnect_auth_core::{
    Attempt, BodyBuffer, Credentials, Endpoint, Error, Need, RequestBody, Shared, SharedStep,
    Status, Token, TokenSource,
};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::builder::ClientBuilder;
use crate::http::Http;
use crate::{clock, failure};

/// How often a call tries to have its request sent by a runtime that gives each away.
const MOST_GIVEN_AWAY: u32 = 10;

/// Gives tokens, asynchronously, and keeps them fresh.
///
/// A clone shares everything with its original and costs a reference count: make one client per
/// set of credentials, and clone it to wherever it is needed. Calls that find no usable token
/// need a tokio runtime with its IO and time drivers enabled. Each request is a task of its own,
/// so a caller that gives up or is cancelled takes nothing from the others. A refresh ahead of time
/// is such a task too: a program that only ever enters its runtime for one call at a time, with
/// `block_on`, gives it no time to run, and is better served by the blocking client.
///
/// ```no_run
/// # async fn run() -> Result<(), meshconnect_auth_core::Error> {
/// use meshconnect_auth_core::Credentials;
/// use meshconnect_auth_reqwest::Client;
///
/// let client = Client::builder(Credentials::new("id", "secret")?).build()?;
/// let token = client.token().await?;
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
    /// [`TokenRejected`](meshconnect_auth_core::ErrorKind::TokenRejected), or
    /// [`NoRuntime`](meshconnect_auth_core::ErrorKind::NoRuntime) outside of tokio.
    pub async fn token(&self) -> Result<Token, Error> {
        self.obtain(Need::Usable).await
    }

    /// A token that is good for at least `time` from now on.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token), and
    /// [`LifetimeTooShort`](meshconnect_auth_core::ErrorKind::LifetimeTooShort) where the service
    /// gives none that lives for so long.
    pub async fn token_for(&self, time: Duration) -> Result<Token, Error> {
        self.obtain(Need::For(time)).await
    }

    /// A token that was asked for after this call began. To react to a downstream 401, use
    /// [`reject`](Self::reject) instead, which cannot throw away a newer token.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token). The token that was cached stays cached.
    pub async fn refresh(&self) -> Result<Token, Error> {
        self.obtain(Need::Newer).await
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
        let mut given_away = 0_u32;
        loop {
            match self.shared.poll(clock::now(), &ticket) {
                SharedStep::Ready(token) => return Ok(token),
                SharedStep::Failed(error) => return Err(error),
                // A runtime that is shutting down takes no task, for as often as it is tried.
                SharedStep::Send(_) if given_away == MOST_GIVEN_AWAY => {
                    return Err(Error::no_runtime("the tokio runtime is shutting down"));
                }
                SharedStep::Send(attempt) => {
                    given_away = given_away.saturating_add(1);
                    self.spawn(&runtime, attempt);
                }
                SharedStep::Wait(waiter) => {
                    given_away = 0;
                    // Without a time driver, tokio panics where a timer is made.
                    let limit = waiter.limit();
                    let wait = AssertUnwindSafe(|| timeout(limit, waiter.changed()));
                    let wait = panic::catch_unwind(wait).map_err(|_| runtime_error())?;
                    let _ = wait.await;
                }
            }
        }
    }

    fn refresh_ahead(&self) {
        // Outside of a runtime the token is given all the same; someone else will refresh it.
        if let Ok(runtime) = Handle::try_current()
            && let Some(attempt) = self.shared.refresh(clock::now())
        {
            self.spawn(&runtime, attempt);
        }
    }

    /// Sends a request in a task of its own. Only a runtime that ends gives its flight away.
    fn spawn(&self, runtime: &Handle, attempt: Attempt) {
        let http = Arc::clone(&self.http);
        runtime.spawn(async move {
            let (request, timeout, limit) =
                (attempt.request(), attempt.timeout(), attempt.max_body());
            let sending = async move { exchange(&http, request, timeout, limit).await };
            // In no second task: those who wait would have to wait for its turn as well.
            let response = caught(attempt.in_span_async(sending)).await;
            attempt.finish(
                clock::now(),
                response.unwrap_or_else(|| Err(runtime_error())),
            );
        });
    }
}

/// What a future comes to; nothing, if it panics, even if only when it is dropped.
async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
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
        "the HTTP client or its timer panicked; perhaps the tokio runtime lacks its IO or time \
         driver (enable_all)",
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

/// Sends one request and reads its answer, whatever that is.
async fn exchange(
    http: &Http,
    request: Request<RequestBody>,
    timeout: Duration,
    limit: usize,
) -> Result<Response<BodyBuffer>, Error> {
    let _hold = clock::hold_paused_time(timeout);
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

    use super::caught;

    /// Panics when it is dropped.
    struct Grenade;

    impl Drop for Grenade {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    fn outcome(future: impl Future<Output = u8>) -> Poll<Option<u8>> {
        pin!(caught(future)).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_panic_is_caught_wherever_it_comes_up() {
        assert_eq!(outcome(async { 1 }), Poll::Ready(Some(1)));
        assert_eq!(outcome(async { panic!("polled") }), Poll::Ready(None));
        // What a future holds it may keep until it is dropped itself.
        let grenade = Grenade;
        let holds = poll_fn(move |_| {
            let _ = &grenade;
            Poll::Ready(1)
        });
        assert_eq!(outcome(holds), Poll::Ready(None));
    }
}
