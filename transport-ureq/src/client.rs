//! The calls.

use std::fmt;
use std::io::Read;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use http::{Request, Response};
use meshconnect_auth_core::{
    BlockingTokenSource, BodyBuffer, Config, Credentials, Endpoint, Error, Lead, Moment, Need,
    Next, Shared, Status, Token,
};
use ureq::{Agent, Body};
use zeroize::Zeroizing;

use crate::builder::ClientBuilder;
use crate::failure;

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
pub struct Client(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) shared: Shared,
    pub(crate) http: Arc<Http>,
}

pub(crate) struct Http {
    pub(crate) agent: Agent,
    /// An agent that we did not make needs our settings with every request.
    pub(crate) foreign: Option<Config>,
    pub(crate) allows_proxy: bool,
}

impl Client {
    /// Begins a client for `credentials`, at the real service unless told otherwise.
    pub fn builder(credentials: Credentials) -> ClientBuilder {
        ClientBuilder::new(credentials)
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// A token that can be used now: the one that is held, nearly always and at once, else a new
    /// one. When the held one is worth refreshing, this begins that, and does not wait for it.
    ///
    /// # Errors
    ///
    /// The error of the acquisition that this call waited for, shared with everyone who did;
    /// while a hold runs, the error that began it. It is one of
    /// [`Exchange::parse`](meshconnect_auth_core::Exchange::parse), a
    /// [`Transport`](meshconnect_auth_core::ErrorKind::Transport) failure,
    /// or [`TokenRejected`](meshconnect_auth_core::ErrorKind::TokenRejected).
    pub fn token(&self) -> Result<Token, Error> {
        match self.hit(Duration::ZERO) {
            Some(token) => Ok(token),
            None => self.acquire(Need::Usable),
        }
    }

    /// A token that is good for at least `time` from now on.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token), and
    /// [`LifetimeTooShort`](meshconnect_auth_core::ErrorKind::LifetimeTooShort) where the service
    /// gives none that lives for so long.
    pub fn token_for(&self, time: Duration) -> Result<Token, Error> {
        match self.hit(time) {
            Some(token) => Ok(token),
            None => self.acquire(Need::For(time)),
        }
    }

    /// A token that was asked for after this call began. To react to a downstream 401, use
    /// [`reject`](Self::reject) instead, which cannot throw away a newer token.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token). The token that was held stays held.
    pub fn refresh(&self) -> Result<Token, Error> {
        self.acquire(Need::Newer)
    }

    /// Takes notice that `token` was refused where it was used (a downstream 401): if it is the
    /// one that is held, it is not given out again, and the answer is true. Then ask for another,
    /// once. Where that is refused too, nothing more is asked of the service for a while.
    #[allow(
        clippy::must_use_candidate,
        reason = "most who reject ask for another token either way"
    )]
    pub fn reject(&self, token: &Token) -> bool {
        self.0.shared.reject(now(), token)
    }

    /// Goes on with other credentials. The held token stays if the client id is the same.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.0.shared.set_credentials(credentials);
    }

    /// The token that is held, usable or not: to hand it on to another process, say, which gives
    /// it to its builder's [`held`](ClientBuilder::held).
    #[must_use]
    pub fn held(&self) -> Option<Token> {
        Some(self.0.shared.held()?.token().clone())
    }

    /// What is going on, for a health check or a debug page. It holds no secret.
    #[must_use]
    pub fn state(&self) -> Status {
        self.0.shared.status(now())
    }

    /// Blocks until a new token has come or the [`state`](Self::state) has turned, at most for
    /// `limit`; tells whether anything has. What happened before this call is not waited for.
    #[allow(
        clippy::must_use_candidate,
        reason = "who waits looks at the state either way"
    )]
    pub fn changed(&self, limit: Duration) -> bool {
        self.0.shared.changed(limit).block()
    }

    /// Where this client sends its requests.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.0.shared.endpoint()
    }

    /// The held token, if it is usable and good for this long; and if it is worth refreshing, that
    /// is begun.
    fn hit(&self, time: Duration) -> Option<Token> {
        let now = now();
        let hit = self.0.shared.hit(now)?;
        if hit.refresh_due {
            self.refresh_ahead(now);
        }
        (hit.left >= time).then_some(hit.token)
    }

    fn acquire(&self, need: Need) -> Result<Token, Error> {
        let ticket = self.0.shared.ticket(need);
        loop {
            match self.0.shared.poll(now(), &ticket) {
                Next::Ready(token) => return Ok(token),
                Next::Failed(error) => return Err(error),
                Next::Lead(lead) => self.0.http.fly(lead),
                Next::Wait(waiter) => {
                    waiter.block();
                }
            }
        }
    }

    fn refresh_ahead(&self, now: Moment) {
        let Some(lead) = self.0.shared.refresh(now) else {
            return;
        };
        let http = Arc::clone(&self.0.http);
        // Where no thread can be had, the lead is dropped with the closure, and somebody else
        // tries.
        let _ = thread::Builder::new()
            .name("meshconnect-auth".to_owned())
            .spawn(move || http.fly(lead));
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
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Http {
    fn fly(&self, lead: Lead) {
        #[cfg(feature = "tracing")]
        let _span = lead.span().entered();
        let attempt = AssertUnwindSafe(|| self.attempt(&lead));
        let response = panic::catch_unwind(attempt).unwrap_or_else(|_| {
            Err(Error::configuration(
                "ureq panicked; perhaps an agent of your own lacks the TLS provider or the root \
                 certificates that it needs for https (its tls_config)",
            ))
        });
        lead.finish(now(), response);
    }

    /// Sends one request and reads its answer, whatever that is.
    fn attempt(&self, lead: &Lead) -> Result<Response<BodyBuffer>, Error> {
        let (head, body) = lead.request().into_parts();
        let request = Request::from_parts(head, body.as_ref());
        let response = self.send(request, lead.timeout()).map_err(failure::of)?;

        let (head, body) = response.into_parts();
        let mut buffer = BodyBuffer::new(lead.max_body(), &head.headers);
        // ureq has a limit of its own, which must not come first.
        let mut reader = body.into_with_config().limit(u64::MAX).reader();
        let mut chunk = Zeroizing::new([0; 8 * 1024]);
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

    fn send(
        &self,
        request: Request<&[u8]>,
        timeout: Duration,
    ) -> Result<Response<Body>, ureq::Error> {
        let as_configured = self.agent.config().timeouts().global == Some(timeout);
        if self.foreign.is_none() && as_configured {
            // Settings of a request's own would make ureq build its TLS anew.
            return self.agent.run(request);
        }
        let settings = self.agent.configure_request(request);
        let mut settings = settings.timeout_global(Some(timeout));
        // Each of these is a promise of ours, or an answer that we want to read.
        if let Some(config) = &self.foreign {
            settings = settings
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .accept_encoding("identity")
                .timeout_resolve(Some(config.connect_timeout))
                .timeout_connect(Some(config.connect_timeout));
            if !self.allows_proxy {
                settings = settings.proxy(None);
            }
        }
        self.agent.run(settings.build())
    }
}

/// Both clocks, the monotonic one since its first reading in this process.
pub(crate) fn now() -> Moment {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    Moment {
        mono: ORIGIN.get_or_init(Instant::now).elapsed(),
        wall: SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    }
}
