//! The HTTP client: what goes without saying, and is said.

use std::env;
use std::time::Duration;

use http::{Request, Response};
use meshconnect_auth_core::{Error, HttpSettings};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, Proxy};

use crate::failure::Resolver;
use crate::tls;

/// An agent, and how to send with it.
pub(crate) struct Http {
    agent: Agent,
    /// An agent that we did not make needs our settings with every request.
    is_user_supplied: bool,
    settings: HttpSettings<Agent>,
}

impl Http {
    pub(crate) fn new(mut settings: HttpSettings<Agent>) -> Result<Self, Error> {
        let own = settings.client.take();
        Ok(Self {
            is_user_supplied: own.is_some(),
            agent: own.map_or_else(|| agent(&settings), Ok)?,
            settings,
        })
    }

    pub(crate) fn send(
        &self,
        request: Request<&[u8]>,
        timeout: Duration,
    ) -> Result<Response<Body>, ureq::Error> {
        let as_configured = self.agent.config().timeouts().global == Some(timeout);
        if !self.is_user_supplied && as_configured {
            // Settings of a request's own would make ureq build its TLS anew.
            return self.agent.run(request);
        }
        let settings = self.agent.configure_request(request);
        let mut settings = settings.timeout_global(Some(timeout));
        // Each of these is a promise of ours, or an answer that we want to read.
        if self.is_user_supplied {
            let connect = self.settings.config.connect_timeout;
            settings = settings
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .accept_encoding("identity")
                .timeout_resolve(Some(connect))
                .timeout_connect(Some(connect));
            if !self.settings.endpoint.allows_proxy() {
                settings = settings.proxy(None);
            }
        }
        self.agent.run(settings.build())
    }
}

fn agent(settings: &HttpSettings<Agent>) -> Result<Agent, Error> {
    let (endpoint, config) = (&settings.endpoint, &settings.config);
    let proxy = if endpoint.allows_proxy() {
        proxy_from_env()?
    } else {
        None
    };
    let agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .https_only(endpoint.is_https())
        .proxy(proxy)
        .accept_encoding("identity")
        .tls_config(tls::config(&settings.trust))
        .timeout_global(Some(settings.usual_timeout()))
        .timeout_resolve(Some(config.connect_timeout))
        .timeout_connect(Some(config.connect_timeout))
        // Tokens are an hour apart: a pooled connection would be dead by then.
        .max_idle_connections(0)
        .build();
    let connector = DefaultConnector::default();
    Ok(Agent::with_parts(agent, connector, Resolver::default()))
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
