//! The calls.

use std::fmt;
use std::mem;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use http::Response;
use meshconnect_auth_core::{
    BodyBuffer, Config, Credentials, Endpoint, Error, Exchange, Moment, RequestBody, Token,
};
use tokio::runtime::Handle;

use crate::builder::{ClientBuilder, Http};
use crate::failure;

/// Gets tokens, asynchronously.
///
/// A clone shares everything with its original and costs a reference count. Calls need a tokio
/// runtime with its IO and time drivers enabled.
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
pub struct Client(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) exchange: Exchange,
    pub(crate) config: Config,
    pub(crate) http: Http,
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
    /// Whatever [`Exchange::parse`] makes of the answer;
    /// [`ErrorKind::Transport`](meshconnect_auth_core::ErrorKind::Transport) where there is none;
    /// [`ErrorKind::NoRuntime`](meshconnect_auth_core::ErrorKind::NoRuntime) outside of tokio.
    pub async fn token(&self) -> Result<Token, Error> {
        if Handle::try_current().is_err() {
            return Err(Error::no_runtime(
                "the async client was called outside of a tokio runtime; call it within one, or \
                 use the blocking client",
            ));
        }
        let http = self.0.http.client().await?;
        let sent = now();
        let request = self.0.exchange.request().map(RequestBody::into_bytes);
        let mut request = reqwest::Request::try_from(request).map_err(failure::of)?;
        *request.timeout_mut() = Some(self.0.config.attempt_timeout);
        let response = http.execute(request).await.map_err(failure::of)?;
        let response = receive(response, self.0.config.max_body).await;
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

/// Reads the body as far as the limit allows. The status and all headers are kept as they are.
async fn receive(mut response: reqwest::Response, limit: usize) -> Response<BodyBuffer> {
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = response.status();
    head.version = response.version();
    head.headers = mem::take(response.headers_mut());
    let mut buffer = BodyBuffer::new(limit, &head.headers);
    while buffer.wants_more() {
        match response.chunk().await {
            Ok(None) => break,
            Ok(Some(chunk)) => {
                buffer.push(&chunk);
            }
            Err(error) => buffer.broken(failure::of(error)),
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
