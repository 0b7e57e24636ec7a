//! A trait over the two transports, and checks of the text of their errors.

use std::error::Error as _;
use std::sync::LazyLock;
use std::time::Duration;

use http::Response;
use meshconnect_auth::{
    BodyBuffer, Client, Config, Endpoint, Error, Exchange, Grant, Moment, RequestBody, Token,
    blocking,
};

use super::search::Search;
use super::{SECRET, TOKEN, credentials, tls};

/// The settings of a test's client. Everything else has its default.
#[derive(Clone)]
pub struct Settings {
    pub endpoint: Endpoint,
    pub config: Config,
    pub pem: Option<String>,
    pub der: Option<Vec<u8>>,
    pub webpki_roots: bool,
    pub custom_client: bool,
}

impl Settings {
    pub fn new(base_url: &str) -> Self {
        let mut config = Config::default();
        config.attempt_timeout = Duration::from_secs(5);
        // Retries have tests of their own.
        config.attempts = 1;
        Self {
            endpoint: Endpoint::parse(base_url).unwrap(),
            config,
            pem: None,
            der: None,
            webpki_roots: false,
            custom_client: false,
        }
    }

    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.config.attempt_timeout = timeout;
        self
    }

    pub fn max_body(mut self, bytes: usize) -> Self {
        self.config.max_body = bytes;
        self
    }

    pub fn pem(mut self, pem: &str) -> Self {
        self.pem = Some(pem.to_owned());
        self
    }
}

/// A transport under test.
pub trait Transport {
    /// Builds a client and requests a token.
    fn run(settings: &Settings) -> Result<Token, Error>;

    /// Sends an exchange's request with the plain HTTP client and parses the response.
    fn exchange(exchange: &Exchange) -> Result<Grant, Error>;

    /// Requests a token, expects an error, then calls `then` while the client still exists.
    fn token_then<R>(settings: &Settings, then: impl FnOnce() -> R) -> R;

    /// Calls [`run`](Self::run) and asserts that its error contains neither the secret nor a token.
    fn token(settings: &Settings) -> Result<Token, Error> {
        let result = Self::run(settings);
        if let Err(error) = &result {
            assert_clean(error);
        }
        result
    }
}

pub struct Async;
pub struct Blocking;

/// Builds a client of the given type. A macro, because the builders share method names but no
/// trait.
macro_rules! build {
    ($client:ty, $settings:expr, $own:expr) => {{
        let settings: &Settings = $settings;
        let mut builder = <$client>::builder(credentials())
            .endpoint(settings.endpoint.clone())
            .config(settings.config.clone());
        if let Some(pem) = &settings.pem {
            builder = builder.root_certificates_pem(pem);
        }
        if let Some(der) = &settings.der {
            builder = builder.root_certificate_der(der);
        }
        if settings.webpki_roots {
            builder = builder.webpki_roots();
        }
        if settings.custom_client {
            builder = builder.http_client($own());
        }
        builder.build()
    }};
}

impl Transport for Async {
    fn run(settings: &Settings) -> Result<Token, Error> {
        let client = build!(Client, settings, custom_reqwest)?;
        runtime().block_on(client.token())
    }

    fn token_then<R>(settings: &Settings, then: impl FnOnce() -> R) -> R {
        let client = build!(Client, settings, custom_reqwest).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(client.token()).unwrap_err();
        then()
    }

    fn exchange(exchange: &Exchange) -> Result<Grant, Error> {
        runtime().block_on(async {
            let request = exchange.request().map(RequestBody::into_bytes);
            let request = reqwest::Request::try_from(request).unwrap();
            let received = custom_reqwest().execute(request).await.unwrap();
            let mut response = Response::new(());
            *response.status_mut() = received.status();
            response.headers_mut().clone_from(received.headers());
            let body = BodyBuffer::from(received.bytes().await.unwrap());
            exchange.parse(response.map(|()| body), now())
        })
    }
}

/// [`Async`] on a multi-threaded runtime that is shut down without waiting for its tasks.
pub struct AsyncMultiThread;

impl Transport for AsyncMultiThread {
    fn token_then<R>(settings: &Settings, then: impl FnOnce() -> R) -> R {
        Async::token_then(settings, then)
    }

    fn run(settings: &Settings) -> Result<Token, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let client = build!(Client, settings, custom_reqwest)?;
        let call = runtime.spawn(async move { client.token().await });
        let result = runtime.block_on(call).unwrap();
        runtime.shutdown_background();
        result
    }

    fn exchange(exchange: &Exchange) -> Result<Grant, Error> {
        Async::exchange(exchange)
    }
}

impl Transport for Blocking {
    fn run(settings: &Settings) -> Result<Token, Error> {
        build!(blocking::Client, settings, custom_ureq)?.token()
    }

    fn token_then<R>(settings: &Settings, then: impl FnOnce() -> R) -> R {
        let client = build!(blocking::Client, settings, custom_ureq).unwrap();
        client.token().unwrap_err();
        then()
    }

    fn exchange(exchange: &Exchange) -> Result<Grant, Error> {
        let (head, body) = exchange.request().into_parts();
        let request = http::Request::from_parts(head, body.as_ref());
        let response = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .new_agent()
            .run(request)
            .unwrap();
        let response = response.map(|mut body| body.read_to_vec().unwrap());
        exchange.parse(response, now())
    }
}

/// Returns a current-thread runtime, the minimum that a caller may bring.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Returns a `reqwest::Client` with the settings that the builder's documentation requires.
fn custom_reqwest() -> reqwest::Client {
    reqwest_builder().build().unwrap()
}

/// Returns a `reqwest` builder with an empty root store.
pub fn reqwest_builder() -> reqwest::ClientBuilder {
    let tls = rustls::ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
}

/// Returns an agent with ureq's defaults, on which the transport must not rely.
fn custom_ureq() -> ureq::Agent {
    ureq::Agent::new_with_defaults()
}

/// Returns an arbitrary moment. The tests that use it do not depend on the time.
pub fn now() -> Moment {
    Moment {
        mono: Duration::ZERO,
        wall: Duration::from_secs(1_800_000_000),
    }
}

/// Returns all text that an error exposes.
pub fn all_text(error: &Error) -> String {
    let mut parts = vec![format!(
        "{error}\n{}\n{error:?}\n{error:#?}",
        error.report()
    )];
    let mut source = error.source();
    while let Some(error) = source {
        parts.push(format!("{error}\n{error:?}"));
        source = error.source();
    }
    for (name, value) in error.trace_ids() {
        parts.push(format!("{name}: {value}"));
    }
    if let Some(rejection) = error.rejection() {
        parts.push(format!("{rejection:?}"));
    }
    parts.join("\n")
}

static SEARCH: LazyLock<Search> = LazyLock::new(|| Search::new(&[SECRET, TOKEN]));

/// Asserts that an error contains no piece of the secret or of the contract's token, encoded or
/// not.
pub fn assert_clean(error: &Error) {
    let text = all_text(error);
    let revealed = SEARCH.revealed(&text);
    assert_eq!(revealed, None, "leaked: {text}");
}
