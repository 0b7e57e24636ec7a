//! The calls.

use std::fmt;
use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use http::{Request, Response};
use meshconnect_auth_core::{
    BodyBuffer, Config, Credentials, Endpoint, Error, Exchange, Moment, Token,
};
use ureq::{Agent, Body};
use zeroize::Zeroizing;

use crate::builder::ClientBuilder;
use crate::failure;

/// Gets tokens, blocking the thread that asks.
///
/// A clone shares everything with its original and costs a reference count.
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
    pub(crate) exchange: Exchange,
    pub(crate) config: Config,
    pub(crate) agent: Agent,
    /// An agent that we did not make needs our settings with every request.
    pub(crate) foreign: bool,
}

impl Client {
    /// Begins a client for `credentials`, at the real service unless told otherwise.
    pub fn builder(credentials: Credentials) -> ClientBuilder {
        ClientBuilder::new(credentials)
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Gets a new token: one request, no retry.
    ///
    /// # Errors
    ///
    /// Whatever [`Exchange::parse`] makes of the answer, or
    /// [`ErrorKind::Transport`](meshconnect_auth_core::ErrorKind::Transport) where there is none.
    pub fn token(&self) -> Result<Token, Error> {
        let sent = now();
        let request = self.0.exchange.request();
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, body.as_ref());
        let response = self.0.send(request).map_err(failure::of)?;
        let response = receive(response, self.0.config.max_body);
        let grant = self.0.exchange.parse(response, now())?;
        Ok(grant.into_token(sent))
    }

    /// Where this client sends its requests.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.0.exchange.endpoint()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", self.endpoint())
            .field("client_id", self.0.exchange.credentials().client_id())
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn send(&self, request: Request<&[u8]>) -> Result<Response<Body>, ureq::Error> {
        if !self.foreign {
            return self.agent.run(request);
        }
        // Each of these is a promise of ours, or an answer that we want to read.
        let mut settings = self
            .agent
            .configure_request(request)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .accept_encoding("identity")
            .timeout_global(Some(self.config.attempt_timeout))
            .timeout_resolve(Some(self.config.connect_timeout))
            .timeout_connect(Some(self.config.connect_timeout));
        if !self.exchange.endpoint().allows_proxy() {
            settings = settings.proxy(None);
        }
        self.agent.run(settings.build())
    }
}

/// Reads the body as far as the limit allows. The status and all headers are kept as they are.
fn receive(response: Response<Body>, limit: usize) -> Response<BodyBuffer> {
    let (head, body) = response.into_parts();
    let mut buffer = BodyBuffer::new(limit, &head.headers);
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
    Response::from_parts(head, buffer)
}

/// Both clocks, the monotonic one since its first reading in this process.
fn now() -> Moment {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    Moment {
        mono: ORIGIN.get_or_init(Instant::now).elapsed(),
        wall: SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO),
    }
}
