//! HTTP client construction with explicit settings, and one exchange.

use std::io::Read;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use http::{Request, Response};
use meshconnect_auth_core::{
    BodyBuffer, Config, Endpoint, Error, Proxy, RequestBody, TransportError, TransportErrorKind,
};
use ureq::config::ConfigBuilder;
use ureq::tls::TlsConfig;
use ureq::typestate::AgentScope;
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector};
use ureq::{Agent, ProxyProtocol};
use zeroize::Zeroizing;

use crate::failure::{self, Resolver};
use crate::tls::{self, Tls, Trust};

/// The agent, which is made for the first exchange, and again after a certificate failure.
pub(crate) struct Http {
    settings: Settings,
    kept: Mutex<Option<Arc<Made>>>,
}

/// The settings of our own agent.
pub(crate) struct Settings {
    pub(crate) endpoint: Endpoint,
    pub(crate) config: Config,
    pub(crate) trust: Trust,
    pub(crate) proxy: Option<ureq::Proxy>,
    pub(crate) change: Option<Box<Change>>,
}

/// The user's changes to our agent's configuration.
pub(crate) type Change =
    dyn Fn(ConfigBuilder<AgentScope>) -> ConfigBuilder<AgentScope> + Send + Sync;

struct Made {
    agent: Agent,
    /// What could not be read of the platform's certificates.
    unread: Option<String>,
    /// Whether another agent, made now, may trust other certificates.
    is_replaceable: bool,
    /// Whether the user made it.
    is_own: bool,
}

impl Http {
    /// Creates it with the user's agent, if there is one.
    pub(crate) fn new(settings: Settings, own: Option<Agent>) -> Self {
        let own = own.map(|agent| {
            Arc::new(Made {
                agent,
                unread: None,
                is_replaceable: false,
                is_own: true,
            })
        });
        Self {
            settings,
            kept: Mutex::new(own),
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
        let begun = Instant::now();
        let left = || limit.saturating_sub(begun.elapsed());
        loop {
            let kept = self.kept();
            let is_new = kept.is_none();
            let made = match kept {
                Some(made) => made,
                None => self.make(left())?,
            };
            let request = Request::from_parts(head.clone(), body.as_ref());
            let error = match self.send(&made, request, left(), max_body) {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if error.kind() != TransportErrorKind::Certificate || !made.is_replaceable {
                return Err(error.into());
            }
            self.forget(&made);
            // The platform's certificates may have changed since they were read. Nothing was sent, so
            // the same attempt tries with the new ones.
            if is_new {
                return Err(match &made.unread {
                    Some(unread) => error.with_note(&format!("not read: {unread}")).into(),
                    None => error.into(),
                });
            }
        }
    }

    fn send(
        &self,
        made: &Made,
        request: Request<&[u8]>,
        limit: Duration,
        max_body: usize,
    ) -> Result<Response<BodyBuffer>, TransportError> {
        if limit.is_zero() {
            let text = "no time is left for the request; raise the attempt's time-out";
            return Err(TransportError::with_detail(
                TransportErrorKind::Timeout,
                text,
            ));
        }
        let mut request = made
            .agent
            .configure_request(request)
            .timeout_global(Some(limit))
            // Neither the user's agent nor the user's changes decide about these: the secret must not
            // follow a redirect, and the core reads every status and body.
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .accept_encoding("identity");
        if made.is_own {
            let connect_timeout = Some(self.settings.config.connect_timeout);
            request = request
                .timeout_resolve(connect_timeout)
                .timeout_connect(connect_timeout);
            if !self.settings.endpoint.allows_proxy() {
                request = request.proxy(None);
            }
        }
        let response = made.agent.run(request.build()).map_err(failure::of)?;

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

    /// Makes an agent and keeps it.
    fn make(&self, limit: Duration) -> Result<Arc<Made>, Error> {
        let settings = &self.settings;
        let is_https = settings.endpoint.is_https();
        let is_replaceable = is_https && matches!(settings.trust, Trust::Platform);
        let tls = match &settings.trust {
            _ if !is_https => None,
            Trust::Platform => Some(within(limit, || tls::config(Trust::Platform))?),
            Trust::Only(_) => Some(tls::config(settings.trust.clone())?),
        };
        let (tls, unread) = tls.map_or((None, None), |Tls { config, unread }| {
            (Some(config), unread)
        });
        let made = Arc::new(Made {
            agent: settings.agent(tls),
            unread,
            is_replaceable,
            is_own: false,
        });
        *self.lock() = Some(Arc::clone(&made));
        Ok(made)
    }

    fn kept(&self) -> Option<Arc<Made>> {
        self.lock().clone()
    }

    /// Forgets an agent, unless another one replaced it.
    fn forget(&self, made: &Arc<Made>) {
        self.lock().take_if(|kept| Arc::ptr_eq(kept, made));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Made>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects as ureq does, and keeps the TLS configuration between requests, so that TLS sessions are
/// resumed. ureq builds it anew for a request with settings of its own, such as our time-out.
#[derive(Debug, Default)]
struct KeepsTls(DefaultConnector);

impl Connector for KeepsTls {
    type Out = <DefaultConnector as Connector>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let details = ConnectionDetails {
            // No request changes the TLS settings of our agent.
            request_level: false,
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
        };
        self.0.connect(&details, chained)
    }
}

/// Returns the result of `read`, which may wait for a disk. It runs on a thread of its own, or on this
/// one, without the limit, if no thread can be started.
fn within<T: Send + 'static>(limit: Duration, read: fn() -> Result<T, Error>) -> Result<T, Error> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let started = thread::Builder::new()
        .name("meshconnect-auth-roots".to_owned())
        .spawn(move || sender.send(read()));
    if started.is_err() {
        return read();
    }
    receiver.recv_timeout(limit).unwrap_or_else(|error| {
        Err(match error {
            RecvTimeoutError::Timeout => TransportError::with_detail(
                TransportErrorKind::Client,
                "the platform's certificates were not read in time; check the disk",
            ),
            RecvTimeoutError::Disconnected => TransportError::with_detail(
                TransportErrorKind::Client,
                "the thread that reads the platform's certificates panicked; report this",
            ),
        }
        .into())
    })
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

impl Settings {
    fn agent(&self, tls: Option<TlsConfig>) -> Agent {
        let connect_timeout = Some(self.config.connect_timeout);
        let mut builder = Agent::config_builder()
            .https_only(self.endpoint.is_https())
            // ureq must not read the environment, because the core decides about the proxy.
            .proxy(self.proxy.clone())
            .timeout_resolve(connect_timeout)
            .timeout_connect(connect_timeout)
            // Requests are about an hour apart, so a pooled connection would be closed by then.
            .max_idle_connections(0);
        if let Some(tls) = tls {
            builder = builder.tls_config(tls);
        }
        if let Some(change) = &self.change {
            builder = change(builder);
        }
        Agent::with_parts(builder.build(), KeepsTls::default(), Resolver)
    }
}
