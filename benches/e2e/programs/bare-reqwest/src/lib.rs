//! The exchange by hand over reqwest, with the settings of meshconnect-auth.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use reqwest::{Client, redirect, retry};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use serde::Deserialize;

#[derive(Deserialize)]
struct Envelope {
    content: Content,
}

#[derive(Deserialize)]
struct Content {
    id_token: String,
    #[serde(rename = "expires_in")]
    _expires_in: u64,
}

/// Returns a client that trusts one CA, in DER, or the platform's CAs.
pub fn client(https: bool, ca: Option<&[u8]>) -> Result<Client, Box<dyn Error>> {
    let provider = Arc::new(ring::default_provider());
    let tls = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let tls = if https && ca.is_none() {
        tls.dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(provider)?))
    } else {
        let mut roots = RootCertStore::empty();
        if let (true, Some(ca)) = (https, ca) {
            roots.add(ca.into())?;
        }
        tls.with_root_certificates(roots)
    };
    let builder = Client::builder()
        .tls_backend_preconfigured(tls.with_no_client_auth())
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .https_only(https)
        .http1_only()
        .http1_max_headers(128)
        .connect_timeout(Duration::from_secs(5))
        .pool_max_idle_per_host(0)
        .no_proxy();
    Ok(builder.build()?)
}

/// Returns a token from the server with this base URL.
pub async fn token(client: &Client, url: &str) -> Result<String, Box<dyn Error>> {
    let request = client
        .post(format!("{url}/admin/api/v1/Token"))
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "meshconnect-auth/0.1.0")
        .timeout(Duration::from_secs(10))
        .body(r#"{"clientId":"id","clientSecret":"secret"}"#);
    let response = request.send().await?.error_for_status()?;
    let envelope: Envelope = serde_json::from_slice(&response.bytes().await?)?;
    Ok(envelope.content.id_token)
}
