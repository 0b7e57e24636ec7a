//! What can be set, and what goes without saying.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};

use meshconnect_auth_core::{
    Config, Credentials, Endpoint, Error, Event, Setup, Token, TransportError, TransportErrorKind,
};
use reqwest::{redirect, retry};

use crate::client::{Client, Inner, now};
use crate::failure;
use crate::tls::Trust;

/// Settings for a [`Client`]. All have defaults.
#[must_use]
pub struct ClientBuilder {
    setup: Setup,
    trust: Option<Result<Trust, Error>>,
    http: Option<reqwest::Client>,
}

impl ClientBuilder {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self {
            setup: Setup::new(credentials),
            trust: None,
            http: None,
        }
    }

    /// Sets where to send. Default: [`Endpoint::PRODUCTION`].
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.setup.endpoint = endpoint;
        self
    }

    /// Sets the numbers: time-outs, attempts, waits, holds, when to refresh. [`Config`] tells
    /// what they are by default.
    pub fn config(mut self, config: Config) -> Self {
        self.setup.config = config;
        self
    }

    /// Sets what is told of every [`Event`], for metrics. It is called by whichever thread or
    /// task made it happen, outside of all locks: it should be quick, and must not wait for a
    /// token.
    pub fn observer(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.setup.observer = Some(Box::new(observer));
        self
    }

    /// Begins with a token from elsewhere: from another process, or from the last run of this
    /// one. It is used until its own expiry; one that has expired is left.
    pub fn held(mut self, token: Token) -> Self {
        self.setup.held = Some(token);
        self
    }

    /// Trusts the CAs in `pem`, and no others, instead of the platform's.
    pub fn root_certificates_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.trust = Some(Trust::pem(pem.as_ref()));
        self
    }

    /// Trusts this CA, and no other, instead of the platform's.
    pub fn root_certificate_der(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.trust = Some(Trust::der(der.into()));
        self
    }

    /// Trusts Mozilla's root certificates, compiled in, instead of the platform's: for machines
    /// and containers that have none.
    #[cfg(feature = "webpki-roots")]
    pub fn webpki_roots(mut self) -> Self {
        self.trust = Some(Ok(Trust::webpki_roots()));
        self
    }

    /// Sends with a client of your own, such as one with a client certificate or another TLS
    /// stack.
    ///
    /// The attempt's time-out and the body's limit are ours still. What rests on you: switch its
    /// redirects off ([`redirect::Policy::none`]), or the secret follows them; keep it from
    /// retrying and from decompressing; its connect time-out; its proxies, which see the secret
    /// where the endpoint is plain http; its trust.
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.http = Some(client);
        self
    }

    /// Makes the client. Nothing is sent and no file is read: the platform's certificates are
    /// loaded when the first connection needs them. It needs no runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](meshconnect_auth_core::ErrorKind::Configuration) where a
    /// setting cannot work: see [`Config::check`]; root certificates that are none; root
    /// certificates for an own client.
    pub fn build(self) -> Result<Client, Error> {
        // The keys of a new hasher are random: all that the seed needs, and no dependency.
        let seed = RandomState::new().hash_one(());
        let (endpoint, config) = (self.setup.endpoint.clone(), self.setup.config.clone());
        let shared = self.setup.share(now(), seed)?;
        let trust = self.trust.transpose()?;
        let http = match (self.http, trust) {
            (Some(_), Some(_)) => {
                return Err(Error::configuration(
                    "root certificates were set together with an own HTTP client, which brings \
                     its own; set them there",
                ));
            }
            (Some(client), None) => Http::ready(client),
            (None, trust) => Http::new(endpoint, config, trust.unwrap_or(Trust::Platform)),
        };
        Ok(Client::new(Inner {
            shared,
            http: Arc::new(http),
        }))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("setup", &self.setup)
            .finish_non_exhaustive()
    }
}

/// The HTTP client, made when it is first needed.
pub(crate) struct Http {
    client: OnceLock<reqwest::Client>,
    settings: Option<Arc<Settings>>,
}

struct Settings {
    endpoint: Endpoint,
    config: Config,
    trust: Trust,
}

impl Http {
    fn ready(client: reqwest::Client) -> Self {
        Self {
            client: client.into(),
            settings: None,
        }
    }

    fn new(endpoint: Endpoint, config: Config, trust: Trust) -> Self {
        Self {
            client: OnceLock::new(),
            settings: Some(Arc::new(Settings {
                endpoint,
                config,
                trust,
            })),
        }
    }

    /// The client. The first time, the platform's certificates are read from its files, which
    /// must not hold up the runtime.
    pub(crate) async fn client(&self) -> Result<&reqwest::Client, Error> {
        if let (None, Some(settings)) = (self.client.get(), &self.settings) {
            let client = if settings.reads_files() {
                let settings = Arc::clone(settings);
                tokio::task::spawn_blocking(move || settings.client())
                    .await
                    .map_err(|error| TransportError::new(TransportErrorKind::Broken, &error))?
            } else {
                settings.client()
            };
            // Of two that were made at once, one is as good as the other.
            let _ = self.client.set(client?);
        }
        self.client.get().ok_or_else(|| {
            TransportError::with_detail(TransportErrorKind::Broken, "no HTTP client").into()
        })
    }
}

impl Settings {
    fn reads_files(&self) -> bool {
        self.endpoint.is_https() && matches!(self.trust, Trust::Platform)
    }

    fn client(&self) -> Result<reqwest::Client, TransportError> {
        let tls = if self.endpoint.is_https() {
            self.trust.config()
        } else {
            // There is no TLS to be done, but reqwest would load the platform's certificates.
            Trust::nobody().config()
        };
        let tls = tls.map_err(|error| TransportError::new(failure::of_rustls(&error), &error))?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .https_only(self.endpoint.is_https())
            .http1_only()
            .http1_max_headers(128)
            // Another crate's features must not make it ask for compression.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .connect_timeout(self.config.connect_timeout)
            // Tokens are an hour apart: a pooled connection would be dead by then, and it dies
            // with the runtime that made it.
            .pool_max_idle_per_host(0);
        if !self.endpoint.allows_proxy() {
            builder = builder.no_proxy();
        }
        builder.build().map_err(failure::of)
    }
}
