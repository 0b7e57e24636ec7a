//! HTTP client construction with explicit settings, and one exchange.

use std::mem;
use std::panic;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{Request, Response};
use meshconnect_auth_core::{
    BodyBuffer, Config, Endpoint, Error, Proxy, RequestBody, TransportError, TransportErrorKind,
};
use reqwest::{Url, redirect, retry};
use tokio::task;
use tokio::time::timeout;

use crate::tls::{self, Trust};
use crate::{clock, failure};

/// The HTTP client, which is made for the first exchange, and again after a certificate failure.
pub(crate) struct Http {
    /// The URL of every request, parsed once.
    url: Url,
    settings: Settings,
    kept: Mutex<Option<Arc<Made>>>,
}

/// The settings of our own HTTP client.
pub(crate) struct Settings {
    pub(crate) endpoint: Endpoint,
    pub(crate) config: Config,
    pub(crate) trust: Trust,
    pub(crate) proxy: Option<reqwest::Proxy>,
    pub(crate) change: Option<Box<Change>>,
}

/// The user's changes to our HTTP client.
pub(crate) type Change = dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync;

struct Made {
    client: reqwest::Client,
    /// What could not be read of the platform's certificates.
    unread: Option<String>,
    /// Whether another client, made now, may trust other certificates.
    is_replaceable: bool,
}

impl Http {
    /// Creates it with the user's HTTP client, if there is one.
    pub(crate) fn new(settings: Settings, own: Option<reqwest::Client>) -> Result<Self, Error> {
        // reqwest's URL parser refuses some international host names that `Endpoint` accepts.
        let url = settings.endpoint.token_uri().to_string().parse();
        let url = url.map_err(|error| {
            Error::configuration(format!("invalid base URL: {error}; check its host name"))
        })?;
        let own = own.map(|client| {
            Arc::new(Made {
                client,
                unread: None,
                is_replaceable: false,
            })
        });
        Ok(Self {
            url,
            settings,
            kept: Mutex::new(own),
        })
    }

    /// Sends one request and reads its response. All of it takes at most `limit`.
    pub(crate) async fn exchange(
        &self,
        request: Request<RequestBody>,
        limit: Duration,
        max_body: usize,
    ) -> Result<Response<BodyBuffer>, Error> {
        let _guard = clock::keep_time_paused(limit);
        let begun = Instant::now();
        let left = || limit.saturating_sub(begun.elapsed());
        loop {
            let kept = self.kept();
            let is_new = kept.is_none();
            let made = match kept {
                Some(made) => made,
                None => self.make(left()).await?,
            };
            let error = match self.send(&made.client, &request, left(), max_body).await {
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

    async fn send(
        &self,
        client: &reqwest::Client,
        request: &Request<RequestBody>,
        limit: Duration,
        max_body: usize,
    ) -> Result<Response<BodyBuffer>, TransportError> {
        let (head, body) = request.clone().into_parts();
        let mut request = reqwest::Request::new(head.method, self.url.clone());
        *request.headers_mut() = head.headers;
        *request.body_mut() = Some(body.into_bytes().into());
        *request.timeout_mut() = Some(limit);
        let mut response = client.execute(request).await.map_err(failure::of)?;

        let (mut head, ()) = Response::new(()).into_parts();
        head.status = response.status();
        head.version = response.version();
        head.headers = mem::take(response.headers_mut());
        let mut body = BodyBuffer::new(max_body, &head.headers);
        while body.wants_more() {
            match response.chunk().await {
                Ok(None) => break,
                Ok(Some(chunk)) => {
                    body.push(&chunk);
                }
                Err(error) => body.broken(failure::of(error)),
            }
        }
        Ok(Response::from_parts(head, body))
    }

    /// Makes a client and keeps it. Reads the platform's certificate files on a blocking thread, so that
    /// it does not block the runtime. A call does not wait for another one that does the same, because
    /// the other's runtime may be stopped.
    async fn make(&self, limit: Duration) -> Result<Arc<Made>, Error> {
        let is_https = self.settings.endpoint.is_https();
        let trust = self.settings.trust.clone();
        let is_replaceable = is_https && matches!(trust, Trust::Platform);
        let tls = if is_replaceable {
            let reading = task::spawn_blocking(move || tls::config(trust));
            let read = timeout(limit, reading).await.map_err(|_| {
                let text = "the platform's certificates were not read in time; check the disk, and \
                            whether the runtime's blocking threads are busy";
                TransportError::with_detail(TransportErrorKind::Client, text)
            })?;
            read.map_err(|error| match error.try_into_panic() {
                Ok(panic) => panic::resume_unwind(panic),
                // The runtime shuts down.
                Err(error) => TransportError::new(TransportErrorKind::Client, &error),
            })??
        } else if is_https {
            tls::config(trust)?
        } else {
            tls::none()?
        };
        let made = Arc::new(Made {
            client: self.settings.client(tls.config)?,
            unread: tls.unread,
            is_replaceable,
        });
        *self.lock() = Some(Arc::clone(&made));
        Ok(made)
    }

    fn kept(&self) -> Option<Arc<Made>> {
        self.lock().clone()
    }

    /// Forgets a client, unless another one replaced it.
    fn forget(&self, made: &Arc<Made>) {
        self.lock().take_if(|kept| Arc::ptr_eq(kept, made));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Made>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Converts a proxy to reqwest's type.
pub(crate) fn proxy(proxy: &Proxy) -> Result<reqwest::Proxy, Error> {
    // reqwest's error would quote the URL, which can contain a password.
    let url: Url = proxy.to_string().parse().map_err(|_| {
        Error::configuration(
            "the environment's proxy has an invalid host name; correct the proxy variable",
        )
    })?;
    let all = reqwest::Proxy::all(url).map_err(|_| {
        Error::configuration(
            "reqwest cannot use the environment's proxy; correct the proxy variable",
        )
    })?;
    Ok(match proxy.authorization() {
        Some(authorization) => all.custom_http_auth(authorization),
        None => all,
    })
}

impl Settings {
    fn client(&self, tls: rustls::ClientConfig) -> Result<reqwest::Client, Error> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(self.endpoint.is_https())
            .http1_only()
            .http1_max_headers(128)
            .connect_timeout(self.config.connect_timeout)
            // Requests are about an hour apart, so a pooled connection would be closed by then. It
            // also depends on the runtime that created it.
            .pool_max_idle_per_host(0)
            // reqwest must not read the environment, because the core decides about the proxy.
            .no_proxy();
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.clone());
        }
        if let Some(change) = &self.change {
            builder = change(builder);
        }
        builder
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            // Another crate's features must not enable compression.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .build()
            .map_err(|error| {
                let error = failure::of(error);
                if error.kind() == TransportErrorKind::Client {
                    return error.into();
                }
                Error::configuration(format!(
                    "reqwest cannot build the HTTP client: {error}; check what you change with \
                     `http`"
                ))
            })
    }
}
