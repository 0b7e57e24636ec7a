//! HTTP client construction with explicit settings.

use std::panic;
use std::sync::OnceLock;

use meshconnect_auth_core::{Config, Endpoint, Error, Proxy, TransportError, TransportErrorKind};
use reqwest::{Url, redirect, retry};
use tokio::task;

use crate::failure;
use crate::tls::{self, Trust};

/// The HTTP client, made when it is first needed.
pub(crate) struct Http {
    /// Where every request goes; reqwest would read it anew for each.
    pub(crate) url: Url,
    client: OnceLock<reqwest::Client>,
    settings: Settings,
}

/// What an HTTP client of ours is made from.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) endpoint: Endpoint,
    pub(crate) config: Config,
    pub(crate) trust: Trust,
    pub(crate) proxy: Option<reqwest::Proxy>,
}

impl Http {
    /// With the user's HTTP client, if there is one.
    pub(crate) fn new(settings: Settings, client: Option<reqwest::Client>) -> Result<Self, Error> {
        // reqwest's URLs are stricter about international names.
        let url = settings.endpoint.token_uri().to_string().parse();
        let url =
            url.map_err(|error| Error::configuration(format!("invalid base URL: {error}")))?;
        Ok(Self {
            url,
            client: client.map_or_else(OnceLock::new, OnceLock::from),
            settings,
        })
    }

    /// The client. The first time, the platform's certificates are read from its files, which
    /// must not hold up the runtime.
    pub(crate) async fn client(&self) -> Result<&reqwest::Client, TransportError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let settings = self.settings.clone();
        let made = if settings.endpoint.is_https() && matches!(settings.trust, Trust::Platform) {
            let making = task::spawn_blocking(move || client(settings)).await;
            making.map_err(|error| match error.try_into_panic() {
                Ok(panic) => panic::resume_unwind(panic),
                Err(error) => TransportError::new(TransportErrorKind::Broken, &error),
            })?
        } else {
            client(settings)
        };
        // Of two that were made at once, one is as good as the other; to wait for the other's
        // would be to wait for its runtime.
        let made = made?;
        Ok(self.client.get_or_init(|| made))
    }
}

/// `proxy` as reqwest knows it.
pub(crate) fn proxy(proxy: &Proxy) -> Result<reqwest::Proxy, Error> {
    // reqwest's own words would quote it.
    let url: Url = proxy
        .to_string()
        .parse()
        .map_err(|_| Error::configuration("the environment's proxy has an invalid host name"))?;
    let all = reqwest::Proxy::all(url)
        .map_err(|_| Error::configuration("reqwest cannot use the environment's proxy"))?;
    Ok(match proxy.authorization() {
        Some(authorization) => all.custom_http_auth(authorization),
        None => all,
    })
}

fn client(settings: Settings) -> Result<reqwest::Client, TransportError> {
    let https = settings.endpoint.is_https();
    // Left alone, reqwest would load the platform's certificates for plain http, too.
    let trust = if https {
        settings.trust
    } else {
        Trust::nobody()
    };
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
        // Another crate's features must not make it ask for compression.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .connect_timeout(settings.config.connect_timeout)
        // Tokens are an hour apart: a pooled connection would be dead by then, and it dies with
        // the runtime that made it.
        .pool_max_idle_per_host(0)
        // It would read the environment in its own way.
        .no_proxy();
    if let Some(proxy) = settings.proxy {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(failure::of)
}
