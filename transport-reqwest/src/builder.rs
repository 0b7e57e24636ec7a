//! The HTTP client: what goes without saying, and is said.

use std::panic;
use std::sync::{Arc, OnceLock};

use meshconnect_auth_core::{Error, HttpSettings, TransportError, TransportErrorKind, Trust};
use reqwest::{Url, redirect, retry};
use tokio::task;

use crate::failure;
use crate::tls;

/// The HTTP client, made when it is first needed.
pub(crate) struct Http {
    /// Where every request goes; reqwest would read it anew for each.
    pub(crate) url: Url,
    client: OnceLock<reqwest::Client>,
    settings: Arc<HttpSettings<reqwest::Client>>,
}

impl Http {
    pub(crate) fn new(mut settings: HttpSettings<reqwest::Client>) -> Result<Self, Error> {
        // Its URLs are stricter about international names.
        let url = settings.endpoint.token_uri().to_string().parse();
        let url = url.map_err(|error| {
            let what = format!("the base URL is none that reqwest can use: {error}");
            Error::configuration(what)
        })?;
        Ok(Self {
            url,
            client: settings
                .client
                .take()
                .map_or_else(OnceLock::new, OnceLock::from),
            settings: Arc::new(settings),
        })
    }

    /// The client. The first time, the platform's certificates are read from its files, which
    /// must not hold up the runtime.
    pub(crate) async fn client(&self) -> Result<&reqwest::Client, TransportError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let settings = Arc::clone(&self.settings);
        let made = if settings.endpoint.is_https() && matches!(settings.trust, Trust::Platform) {
            let making = task::spawn_blocking(move || client(&settings)).await;
            making.map_err(|error| match error.try_into_panic() {
                Ok(panic) => panic::resume_unwind(panic),
                Err(error) => TransportError::new(TransportErrorKind::Broken, &error),
            })?
        } else {
            client(&settings)
        };
        // Of two that were made at once, one is as good as the other; to wait for the other's
        // would be to wait for its runtime.
        let made = made?;
        Ok(self.client.get_or_init(|| made))
    }
}

fn client(settings: &HttpSettings<reqwest::Client>) -> Result<reqwest::Client, TransportError> {
    // For plain http there is no TLS to be done, but left alone, reqwest would load the platform's
    // certificates.
    let https = settings.endpoint.is_https();
    let nobody = Trust::Only(Vec::new());
    let tls = tls::config(if https { &settings.trust } else { &nobody }).map_err(|error| {
        let kind = TransportErrorKind::of_tls(&error);
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
        .pool_max_idle_per_host(0);
    if !settings.endpoint.allows_proxy() {
        builder = builder.no_proxy();
    }
    builder.build().map_err(failure::of)
}
