//! What can be set, and what goes without saying.

use std::env;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use meshconnect_auth_core::{Config, Credentials, Endpoint, Error, Event, Lead, Setup, Token};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Proxy};

use crate::client::{Client, Http, Inner, now};
use crate::failure::Resolver;
use crate::tls::Trust;

/// Settings for a [`Client`]. All have defaults.
#[must_use]
pub struct ClientBuilder {
    setup: Setup,
    trust: Option<Result<Trust, Error>>,
    agent: Option<Agent>,
}

impl ClientBuilder {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self {
            setup: Setup::new(credentials),
            trust: None,
            agent: None,
        }
    }

    /// Sets where to send. Default: [`Endpoint::PRODUCTION`].
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.setup.endpoint = endpoint;
        self
    }

    /// Sets the numbers: time-outs, attempts, waits, holds, when to refresh. [`Config`] tells
    /// what they are by default.
    ///
    /// ureq counts the time for the DNS and the time for the connection apart: each may take
    /// [`connect_timeout`](Config::connect_timeout).
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
        self.trust = Some(Ok(Trust::WebpkiRoots));
        self
    }

    /// Sends with an agent of your own, such as one with a client certificate or another TLS
    /// stack.
    ///
    /// Time-outs, redirects and what counts as an error are set with each request as for an own
    /// agent. What rests on you: its TLS settings (a provider and root certificates, without which
    /// ureq panics, and the call is an error), its proxies for https, its resolver and its
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
    /// setting cannot work: see [`Config::check`]; a proxy in the environment that is none; root certificates that are none; root
    /// certificates for an own agent.
    pub fn build(self) -> Result<Client, Error> {
        // The keys of a new hasher are random: all that the seed needs, and no dependency.
        let seed = RandomState::new().hash_one(());
        let (endpoint, config) = (self.setup.endpoint.clone(), self.setup.config.clone());
        let shared = self.setup.share(now(), seed)?;
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
            (None, trust) => agent(&endpoint, &config, &trust.unwrap_or(Trust::Platform))?,
        };
        let http = Http {
            agent,
            foreign: foreign.then_some(config),
            allows_proxy: endpoint.allows_proxy(),
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

fn agent(endpoint: &Endpoint, config: &Config, trust: &Trust) -> Result<Agent, Error> {
    let proxy = if endpoint.allows_proxy() {
        proxy_from_env()?
    } else {
        None
    };
    let settings = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .https_only(endpoint.is_https())
        .proxy(proxy)
        .accept_encoding("identity")
        .tls_config(trust.config())
        .timeout_global(Some(Lead::timeout_within(config.attempt_timeout)))
        .timeout_resolve(Some(config.connect_timeout))
        .timeout_connect(Some(config.connect_timeout))
        // Tokens are an hour apart: a pooled connection would be dead by then.
        .max_idle_connections(0)
        .build();
    let connector = DefaultConnector::default();
    Ok(Agent::with_parts(settings, connector, Resolver::default()))
}

/// The environment's proxy for https. ureq would also take `HTTP_PROXY`, which is for plain http,
/// and which whoever calls a CGI program can set (httpoxy); so it is asked only where it comes
/// upon a proxy for https first.
fn proxy_from_env() -> Result<Option<Proxy>, Error> {
    const FOR_HTTPS: [&str; 4] = ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"];
    let set = |name| Some((name, env::var_os(name).filter(|value| !value.is_empty())?));
    let Some((name, value)) = FOR_HTTPS.into_iter().find_map(set) else {
        return Ok(None);
    };
    if value
        .to_str()
        .is_none_or(|value| Proxy::new(value).is_err())
    {
        return Err(Error::configuration(format!(
            "the proxy in {name} is none that ureq can use; it should look like \
             http://proxy.example:3128"
        )));
    }
    Ok(Proxy::try_from_env())
}
