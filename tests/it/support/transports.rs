//! The two transports behind one trait, and what an error of them says.

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

/// What a test wants of a client; the rest are defaults.
#[derive(Clone)]
pub struct Settings {
    pub endpoint: Endpoint,
    pub config: Config,
    pub pem: Option<String>,
    pub der: Option<Vec<u8>>,
    pub webpki_roots: bool,
    pub own_client: bool,
}

impl Settings {
    pub fn new(base_url: &str) -> Self {
        let mut config = Config::default();
        config.attempt_timeout = Duration::from_secs(5);
        // What is retried, and how, has scenarios of its own.
        config.attempts = 1;
        Self {
            endpoint: Endpoint::parse(base_url).unwrap(),
            config,
            pem: None,
            der: None,
            webpki_roots: false,
            own_client: false,
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

/// One transport, as far as the suites need to know.
pub trait Transport {
    /// Builds a client and asks it for a token.
    fn run(settings: &Settings) -> Result<Token, Error>;

    /// Sends an exchange's request with the bare HTTP client, and parses what comes back.
    fn exchange(exchange: &Exchange) -> Result<Grant, Error>;

    /// Asks for a token that does not come, and then, with the client still there, does more.
    fn token_then<R>(settings: &Settings, then: impl FnOnce() -> R) -> R;

    /// [`run`](Self::run), and no error of it may hold the secret or a token.
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

/// Builds a client of this type; the two builders have the same names.
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
        if settings.own_client {
            builder = builder.http_client($own());
        }
        builder.build()
    }};
}

impl Transport for Async {
    fn run(settings: &Settings) -> Result<Token, Error> {
        let client = build!(Client, settings, own_reqwest)?;
        runtime().block_on(client.token())
    }

    fn token_then<R>(settings: &Settings, then: impl FnOnce() -> R) -> R {
        let client = build!(Client, settings, own_reqwest).unwrap();
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
            let response = own_reqwest().execute(request).await.unwrap();
            let mut answer = Response::new(());
            *answer.status_mut() = response.status();
            answer.headers_mut().clone_from(response.headers());
            let body = BodyBuffer::from(response.bytes().await.unwrap());
            exchange.parse(answer.map(|()| body), now())
        })
    }
}

/// [`Async`] on a runtime of several threads, which it does not wait for.
pub struct AsyncOfThreads;

impl Transport for AsyncOfThreads {
    fn token_then<R>(settings: &Settings, then: impl FnOnce() -> R) -> R {
        Async::token_then(settings, then)
    }

    fn run(settings: &Settings) -> Result<Token, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let client = build!(Client, settings, own_reqwest)?;
        let flight = runtime.spawn(async move { client.token().await });
        let result = runtime.block_on(flight).unwrap();
        runtime.shutdown_background();
        result
    }

    fn exchange(exchange: &Exchange) -> Result<Grant, Error> {
        Async::exchange(exchange)
    }
}

impl Transport for Blocking {
    fn run(settings: &Settings) -> Result<Token, Error> {
        build!(blocking::Client, settings, own_ureq)?.token()
    }

    fn token_then<R>(settings: &Settings, then: impl FnOnce() -> R) -> R {
        let client = build!(blocking::Client, settings, own_ureq).unwrap();
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
        let answer = response.map(|mut body| body.read_to_vec().unwrap());
        exchange.parse(answer, now())
    }
}

/// A current-thread runtime: the least that a caller may bring.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// An own client as its documentation asks for it.
fn own_reqwest() -> reqwest::Client {
    reqwest_builder().build().unwrap()
}

/// An own client before it is one; whom to trust it does not know.
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

/// An own agent with every default that we must not rely on.
fn own_ureq() -> ureq::Agent {
    ureq::Agent::new_with_defaults()
}

/// Any moment: what these suites look at does not depend on it.
pub fn now() -> Moment {
    Moment {
        mono: Duration::ZERO,
        wall: Duration::from_secs(1_800_000_000),
    }
}

/// Everything that an error says to anyone.
pub fn all_words(error: &Error) -> String {
    let mut words = vec![format!(
        "{error}\n{}\n{error:?}\n{error:#?}",
        error.report()
    )];
    let mut source = error.source();
    while let Some(error) = source {
        words.push(format!("{error}\n{error:?}"));
        source = error.source();
    }
    for (name, value) in error.trace_ids() {
        words.push(format!("{name}: {value}"));
    }
    if let Some(rejection) = error.rejection() {
        words.push(format!("{rejection:?}"));
    }
    words.join("\n")
}

static SEARCH: LazyLock<Search> = LazyLock::new(|| Search::new(&[SECRET, TOKEN]));

/// No piece of the secret or of the contract's token is in any word of an error, encoded or not.
pub fn assert_clean(error: &Error) {
    let words = all_words(error);
    let revealed = SEARCH.revealed(&words);
    assert_eq!(revealed, None, "leaked: {words}");
}
