//! The async client.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use meshconnect_auth_core::shared::{Attempt, Shared, SharedStep, Waiter};
use meshconnect_auth_core::{Credentials, Endpoint, Error, Need, Status, Token, TokenSource};
use tokio::runtime::{Handle, Id};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::http::Http;
use crate::panics::catch_panic;
use crate::runtimes::{PROBE_INTERVAL, Probe, Running};
use crate::{clock, failure};

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
    /// The last attempt, while it exists.
    running: Arc<Mutex<Weak<Running>>>,
    /// Whether the next attempt is sent in place of one that was taken over.
    replaces: Arc<AtomicBool>,
    /// The last runtime that was found shut down.
    shut_down: Arc<Mutex<Option<Id>>>,
}

impl Client {
    pub(crate) fn new(shared: Shared, http: Http) -> Self {
        Self {
            shared,
            http: Arc::new(http),
            running: Arc::default(),
            replaces: Arc::default(),
            shut_down: Arc::default(),
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
    /// [`Transport`](meshconnect_auth_core::ErrorKind::Transport) failure, or
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

    /// Records that `token` was rejected where it was used (a downstream 401). Returns whether it is
    /// worth repeating the call with another token.
    ///
    /// `true`: `token` is dropped, or was replaced before. Get another token and repeat the call once,
    /// unless it is the same token: it is served again while no other one can be had.
    /// `false`: another token was rejected shortly before, or no other token can be had now. So
    /// `token` stays in use, and is refreshed in the background. Return the 401 to your caller.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = meshconnect_auth_reqwest::Client::builder(meshconnect_auth_core::Credentials::new("id", "secret")?).build()?;
    /// # fn call(token: &meshconnect_auth_core::Token) -> u16 { 401 }
    /// let token = client.token().await?;
    /// let mut status = call(&token);
    /// if status == 401 && client.reject(&token) {
    ///     let another = client.token().await?;
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
        // A runtime that is shut down never runs a task again, so its calls begin no attempt.
        if *lock(&self.shut_down) == Some(runtime.id()) {
            return Err(self.shared.could_not_start(failure::shut_down()));
        }
        let ticket = self.shared.ticket(need);
        let mut probe = Probe::default();
        loop {
            let waiter = match self.shared.poll(clock::now(), &ticket) {
                SharedStep::Ready(token) => return Ok(token),
                SharedStep::Failed(error) => return Err(error),
                SharedStep::Wait(waiter) => waiter,
                SharedStep::Send(attempt) => {
                    let waiter = attempt.waiter();
                    let task = self.spawn(&runtime, attempt);
                    // A runtime that is shut down drops every new task.
                    if task.is_finished() && task.await.is_err_and(|error| error.is_cancelled()) {
                        *lock(&self.shut_down) = Some(runtime.id());
                        return Err(self.shared.could_not_start(failure::shut_down()));
                    }
                    waiter
                }
            };
            self.wait(&runtime, &mut probe, waiter).await?;
            // Most calls are served here, without the lock of the machine.
            if let Some(token) = self.shared.ready(clock::now(), need, || {}) {
                return Ok(token);
            }
        }
    }

    /// Waits for a change, within the waiter's limit. Takes the attempt over if it is on another runtime
    /// that is not driven.
    async fn wait(&self, runtime: &Handle, probe: &mut Probe, waiter: Waiter) -> Result<(), Error> {
        let mut limit = waiter.limit();
        let mut paused = None;
        let running = lock(&self.running).upgrade();
        let known = running.filter(|running| running.flight == waiter.flight_number());
        // An attempt that is not known is about to be spawned, or has just ended.
        let is_here = known
            .as_ref()
            .is_some_and(|running| running.runtime.id() == runtime.id());
        if waiter.flight_number().is_some() && !is_here {
            // Each attempt is taken over once at most, or two busy runtimes could take turns.
            if let Some(running) = known.filter(|running| !running.is_replacement)
                && probe.is_unanswered(&running)
            {
                self.replaces.store(true, Ordering::Relaxed);
                self.shared.take_over(&waiter);
                return Ok(());
            }
            limit = limit.min(PROBE_INTERVAL);
            paused = clock::keep_time_paused(limit);
        }
        // tokio panics if the runtime has no time driver or is shut down.
        let caught = catch_panic(async { timeout(limit, waiter.changed()).await }).await;
        drop(paused);
        caught
            .map(drop)
            .map_err(|panic| self.shared.could_not_start(failure::of_panic(&*panic)))
    }

    fn refresh_ahead(&self) {
        // Outside of a runtime, leave the refresh to a later call; the token is still usable.
        if let Ok(runtime) = Handle::try_current()
            && let Some(attempt) = self.shared.refresh(clock::now())
        {
            self.spawn(&runtime, attempt);
        }
    }

    /// Runs an attempt in its own task.
    fn spawn(&self, runtime: &Handle, attempt: Attempt) -> JoinHandle<()> {
        let http = Arc::clone(&self.http);
        let (flight, max_body) = (attempt.flight_number(), attempt.max_body());
        let attempt = attempt.run_async(clock::now, move |request, timeout| async move {
            let sending =
                catch_panic(async move { http.exchange(request, timeout, max_body).await });
            let sent = sending.await;
            sent.unwrap_or_else(|panic| Err(failure::of_panic(&*panic)))
        });
        // The task has the only strong reference, so that the handle lives no longer than the attempt.
        let started = Arc::new(Running {
            flight,
            runtime: runtime.clone(),
            is_replacement: self.replaces.swap(false, Ordering::Relaxed),
        });
        let mut running = lock(&self.running);
        if running.upgrade().is_none_or(|other| other.flight < flight) {
            *running = Arc::downgrade(&started);
        }
        drop(running);
        runtime.spawn(async move {
            attempt.await;
            drop(started);
        })
    }
}

/// Locks, even if another thread panicked meanwhile.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
