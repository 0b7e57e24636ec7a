//! What can be set, and what goes without saying.

use std::env;
use std::fmt;
use std::time::Duration;

use meshconnect_auth_core::{Config, Credentials, Endpoint, Error, Exchange};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Proxy};

use crate::client::{Client, Inner};
use crate::failure::Resolver;
use crate::tls::Trust;

/// Settings for a [`Client`]. All have defaults.
#[must_use]
pub struct ClientBuilder {
    credentials: Credentials,
    endpoint: Endpoint,
    config: Config,
    trust: Option<Result<Trust, Error>>,
    agent: Option<Agent>,
}

impl ClientBuilder {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            endpoint: Endpoint::default(),
            config: Config::default(),
            trust: None,
            agent: None,
        }
    }

    /// Sets where to send. Default: [`Endpoint::PRODUCTION`].
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// Sets how long making a connection may take, the DNS included. Default: 5 s.
    ///
    /// ureq counts the two apart: each may take this long.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// Sets how long one attempt may take, from before the connection to the last byte of the
    /// body. Default: 10 s.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.config.attempt_timeout = timeout;
        self
    }

    /// Sets the largest response body that is read, in bytes. Default: 64 KiB; at most
    /// [`Config::LARGEST_MAX_BODY`].
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.config.max_body = bytes;
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
        self.trust = Some(Ok(Trust::WebpkiRoots));
        self
    }

    /// Sends with an agent of your own, such as one with a client certificate or another TLS
    /// stack.
    ///
    /// Time-outs, redirects and what counts as an error are set with each request as for an own
    /// agent. What rests on you: its TLS settings, its proxies for https, its resolver and its
    /// middleware, which sees the secret and the token. ureq builds the TLS configuration of such
    /// an agent anew for each connection.
    pub fn http_client(mut self, agent: Agent) -> Self {
        self.agent = Some(agent);
        self
    }

    /// Makes the client. Nothing is sent and no file is read: the platform's certificates are
    /// loaded when the first connection needs them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](meshconnect_auth_core::ErrorKind::Configuration) where a
    /// setting cannot work: see [`Config::check`]; root certificates that are none; root
    /// certificates for an own agent.
    pub fn build(self) -> Result<Client, Error> {
        self.config.check()?;
        let trust = self.trust.transpose()?;
        let foreign = self.agent.is_some();
        let agent = match (self.agent, trust) {
            (Some(_), Some(_)) => {
                return Err(Error::configuration(
                    "root certificates were set together with an own HTTP client, which brings \
                     its own; set them there",
                ));
            }
            (Some(agent), None) => agent,
            (None, trust) => agent(
                &self.endpoint,
                &self.config,
                &trust.unwrap_or(Trust::Platform),
            ),
        };
        Ok(Client::new(Inner {
            exchange: Exchange::new(self.endpoint, self.credentials),
            config: self.config,
            agent,
            foreign,
        }))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("endpoint", &self.endpoint)
            .field("credentials", &self.credentials)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

fn agent(endpoint: &Endpoint, config: &Config, trust: &Trust) -> Agent {
    let settings = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .https_only(endpoint.is_https())
        .proxy(endpoint.allows_proxy().then(proxy_from_env).flatten())
        .accept_encoding("identity")
        .tls_config(trust.config())
        .timeout_global(Some(config.attempt_timeout))
        .timeout_resolve(Some(config.connect_timeout))
        .timeout_connect(Some(config.connect_timeout))
        // Tokens are an hour apart: a pooled connection would be dead by then.
        .max_idle_connections(0)
        .build();
    Agent::with_parts(settings, DefaultConnector::default(), Resolver::default())
}

/// The environment's proxy for https. ureq would also take `HTTP_PROXY`, which is for plain http,
/// and which whoever calls a CGI program can set (httpoxy).
fn proxy_from_env() -> Option<Proxy> {
    const FOR_HTTPS: [&str; 4] = ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"];
    let is_set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    FOR_HTTPS
        .iter()
        .any(is_set)
        .then(Proxy::try_from_env)
        .flatten()
}
