//! HTTP client construction with explicit settings.

use std::mem;
use std::panic;
use std::sync::OnceLock;
use std::time::Duration;

use http::{Request, Response};
use meshconnect_auth_core::{
    BodyBuffer, Config, Endpoint, Error, Proxy, RequestBody, TransportError, TransportErrorKind,
};
use reqwest::{Url, redirect, retry};
use tokio::task;

use crate::tls::{self, Trust};
use crate::{clock, failure};

/// The HTTP client, which is built on first use.
pub(crate) struct Http {
    /// The URL of every request, parsed once.
    url: Url,
    client: OnceLock<reqwest::Client>,
    settings: Settings,
}

/// The settings of our own HTTP client.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) endpoint: Endpoint,
    pub(crate) config: Config,
    pub(crate) trust: Trust,
    pub(crate) proxy: Option<reqwest::Proxy>,
}

impl Http {
    /// Creates it with the user's HTTP client, if there is one.
    pub(crate) fn new(settings: Settings, client: Option<reqwest::Client>) -> Result<Self, Error> {
        // reqwest's URL parser refuses some international host names that `Endpoint` accepts.
        let url = settings.endpoint.token_uri().to_string().parse();
        let url = url.map_err(|error| {
            Error::configuration(format!("invalid base URL: {error}; check its host name"))
        })?;
        Ok(Self {
            url,
            client: client.map_or_else(OnceLock::new, OnceLock::from),
            settings,
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
        let client = self.client().await?;
        let (head, body) = request.into_parts();
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

    /// Returns the client. The first call reads the platform's certificate files, on a blocking
    /// thread, so that it does not block the runtime.
    async fn client(&self) -> Result<&reqwest::Client, TransportError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let settings = self.settings.clone();
        let built = if settings.endpoint.is_https() && matches!(settings.trust, Trust::Platform) {
            let building = task::spawn_blocking(move || client(settings)).await;
            building.map_err(|error| match error.try_into_panic() {
                Ok(panic) => panic::resume_unwind(panic),
                Err(error) => TransportError::new(TransportErrorKind::Broken, &error),
            })?
        } else {
            client(settings)
        };
        // Two calls may build a client at the same time; the first one stays. A call does not wait
        // for the other, because the other's runtime may be stopped.
        let built = built?;
        Ok(self.client.get_or_init(|| built))
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

fn client(settings: Settings) -> Result<reqwest::Client, TransportError> {
    let https = settings.endpoint.is_https();
    // By default reqwest loads the platform's certificates for plain http, too.
    let trust = if https { settings.trust } else { Trust::none() };
    let tls = tls::config(trust).map_err(|error| {
        let kind = failure::tls_kind(&error);
        TransportError::new(kind.unwrap_or(TransportErrorKind::Tls), &error)
    })?;
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .https_only(https)
        .http1_only()
        .http1_max_headers(128)
        // Another crate's features must not enable compression.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .connect_timeout(settings.config.connect_timeout)
        // Requests are about an hour apart, so a pooled connection would be closed by then. It also
        // depends on the runtime that created it.
        .pool_max_idle_per_host(0)
        // reqwest must not read the environment, because the core decides about the proxy.
        .no_proxy();
    if let Some(proxy) = settings.proxy {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(failure::of)
}
