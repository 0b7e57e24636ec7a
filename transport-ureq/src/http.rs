//! HTTP client construction with explicit settings.

use std::time::Duration;

use http::{Request, Response};
use meshconnect_auth_core::shared::Attempt;
use meshconnect_auth_core::{Config, Endpoint, Error, Proxy};
use ureq::tls::RootCerts;
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, ProxyProtocol};

use crate::failure::Resolver;
use crate::tls;

/// An agent, and how to send with it.
pub(crate) struct Http {
    agent: Agent,
    /// What every request must set again, for the user's agent does not know it.
    per_request: Option<PerRequest>,
}

struct PerRequest {
    connect_timeout: Duration,
    allows_proxy: bool,
}

/// What an agent of ours is made from.
pub(crate) struct Settings<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) config: &'a Config,
    pub(crate) roots: RootCerts,
    pub(crate) proxy: Option<ureq::Proxy>,
}

impl Http {
    pub(crate) fn new(settings: Settings<'_>) -> Self {
        Self {
            agent: agent(settings),
            per_request: None,
        }
    }

    /// With the user's agent.
    pub(crate) fn with_agent(agent: Agent, endpoint: &Endpoint, config: &Config) -> Self {
        Self {
            agent,
            per_request: Some(PerRequest {
                connect_timeout: config.connect_timeout,
                allows_proxy: endpoint.allows_proxy(),
            }),
        }
    }

    pub(crate) fn send(
        &self,
        request: Request<&[u8]>,
        timeout: Duration,
    ) -> Result<Response<Body>, ureq::Error> {
        let as_configured = self.agent.config().timeouts().global == Some(timeout);
        if self.per_request.is_none() && as_configured {
            // Settings of a request's own would make ureq build its TLS anew.
            return self.agent.run(request);
        }
        let settings = self.agent.configure_request(request);
        let mut settings = settings.timeout_global(Some(timeout));
        // Each of these is a promise of ours, or an answer that we want to read.
        if let Some(per_request) = &self.per_request {
            settings = settings
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .accept_encoding("identity")
                .timeout_resolve(Some(per_request.connect_timeout))
                .timeout_connect(Some(per_request.connect_timeout));
            if !per_request.allows_proxy {
                settings = settings.proxy(None);
            }
        }
        self.agent.run(settings.build())
    }
}

/// `proxy` as ureq knows it.
pub(crate) fn proxy(proxy: &Proxy) -> Result<ureq::Proxy, Error> {
    let protocol = if proxy.is_https() {
        ProxyProtocol::Https
    } else {
        ProxyProtocol::Http
    };
    let mut builder = ureq::Proxy::builder(protocol)
        .host(proxy.host())
        .port(proxy.port());
    if let Some((user, password)) = proxy.credentials() {
        builder = builder.username(user).password(password);
    }
    builder
        .build()
        .map_err(|_| Error::configuration("ureq cannot use the environment's proxy"))
}

fn agent(settings: Settings<'_>) -> Agent {
    let connect_timeout = settings.config.connect_timeout;
    let agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .https_only(settings.endpoint.is_https())
        // Left alone, it would read the environment in its own way.
        .proxy(settings.proxy)
        .accept_encoding("identity")
        .tls_config(tls::config(settings.roots))
        .timeout_global(Some(Attempt::usual_timeout(settings.config)))
        .timeout_resolve(Some(connect_timeout))
        .timeout_connect(Some(connect_timeout))
        // Tokens are an hour apart: a pooled connection would be dead by then.
        .max_idle_connections(0)
        .build();
    Agent::with_parts(agent, DefaultConnector::default(), Resolver::default())
}
