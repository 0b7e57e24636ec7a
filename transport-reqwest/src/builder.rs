//! The HTTP client: what goes without saying, and is said.

use std::sync::Arc;

use meshconnect_auth_core::{HttpSettings, TransportError, TransportErrorKind, Trust};
use reqwest::{redirect, retry};
use tokio::sync::OnceCell;
use tokio::task;

use crate::failure;
use crate::tls;

/// The HTTP client, made when it is first needed.
pub(crate) struct Http {
    client: OnceCell<reqwest::Client>,
    settings: Arc<HttpSettings<reqwest::Client>>,
}

impl Http {
    pub(crate) fn new(mut settings: HttpSettings<reqwest::Client>) -> Self {
        Self {
            client: OnceCell::new_with(settings.client.take()),
            settings: Arc::new(settings),
        }
    }

    /// The client. The first time, the platform's certificates are read from its files, which
    /// must not hold up the runtime.
    pub(crate) async fn client(&self) -> Result<&reqwest::Client, TransportError> {
        let make = async || {
            let settings = Arc::clone(&self.settings);
            if !(settings.endpoint.is_https() && matches!(settings.trust, Trust::Platform)) {
                return client(&settings);
            }
            let made = task::spawn_blocking(move || client(&settings)).await;
            made.map_err(|error| TransportError::new(TransportErrorKind::Broken, &error))?
        };
        self.client.get_or_try_init(make).await
    }
}

fn client(settings: &HttpSettings<reqwest::Client>) -> Result<reqwest::Client, TransportError> {
    // For plain http there is no TLS to be done, but left alone, reqwest would load the platform's
    // certificates.
    let https = settings.endpoint.is_https();
    let nobody = Trust::Only(Vec::new());
    let tls = tls::config(if https { &settings.trust } else { &nobody })
        .map_err(|error| TransportError::new(TransportErrorKind::of_rustls(&error), &error))?;
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
