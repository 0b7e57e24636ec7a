//! HTTP client construction with explicit settings.

use std::io::Read;
use std::time::Duration;

use http::{Request, Response};
use meshconnect_auth_core::{BodyBuffer, Config, Endpoint, Error, Proxy, RequestBody};
use ureq::tls::RootCerts;
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, ProxyProtocol};
use zeroize::Zeroizing;

use crate::failure::{self, Resolver};
use crate::tls;

/// An agent, and the settings of each request.
pub(crate) struct Http {
    agent: Agent,
    /// The settings that each request needs with the user's agent, which was built without them.
    per_request: Option<PerRequest>,
}

struct PerRequest {
    connect_timeout: Duration,
    allows_proxy: bool,
}

/// The settings of our own agent.
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

    /// Creates it with the user's agent.
    pub(crate) fn with_agent(agent: Agent, endpoint: &Endpoint, config: &Config) -> Self {
        Self {
            agent,
            per_request: Some(PerRequest {
                connect_timeout: config.connect_timeout,
                allows_proxy: endpoint.allows_proxy(),
            }),
        }
    }

    /// Sends one request and reads its response. All of it takes at most `limit`.
    pub(crate) fn exchange(
        &self,
        request: Request<RequestBody>,
        limit: Duration,
        max_body: usize,
    ) -> Result<Response<BodyBuffer>, Error> {
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, body.as_ref());
        let response = self.send(request, limit).map_err(failure::of)?;

        let (head, body) = response.into_parts();
        let mut buffer = BodyBuffer::new(max_body, &head.headers);
        // `BodyBuffer` applies the limit.
        let mut reader = body.into_with_config().limit(u64::MAX).reader();
        let mut chunk = Zeroizing::new([0; 8192]);
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
        if self.per_request.is_none() && as_configured {
            // Settings per request make ureq build the TLS configuration again.
            return self.agent.run(request);
        }
        let settings = self.agent.configure_request(request);
        let mut settings = settings.timeout_global(Some(timeout));
        // The documentation promises these settings, and the core needs to read every status.
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

/// Converts a proxy to ureq's type.
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
    builder.build().map_err(|_| {
        Error::configuration("ureq cannot use the environment's proxy; correct the proxy variable")
    })
}

fn agent(settings: Settings<'_>) -> Agent {
    let connect_timeout = settings.config.connect_timeout;
    let agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .https_only(settings.endpoint.is_https())
        // ureq must not read the environment, because the core decides about the proxy.
        .proxy(settings.proxy)
        .accept_encoding("identity")
        .tls_config(tls::config(settings.roots))
        .timeout_global(Some(settings.config.attempt_timeout))
        .timeout_resolve(Some(connect_timeout))
        .timeout_connect(Some(connect_timeout))
        // Requests are about an hour apart, so a pooled connection would be closed by then.
        .max_idle_connections(0)
        .build();
    Agent::with_parts(agent, DefaultConnector::default(), Resolver::default())
}
