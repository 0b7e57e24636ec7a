//! The exchange by hand over ureq, with the settings of meshconnect-auth.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use serde::Deserialize;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

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

/// Returns an agent that trusts one CA, in DER, or the platform's CAs.
pub fn agent(https: bool, ca: Option<&[u8]>) -> Agent {
    let roots = ca.map_or(RootCerts::PlatformVerifier, |ca| {
        RootCerts::new_with_certs(&[Certificate::from_der(ca).to_owned()])
    });
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(roots)
        .build();
    Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .https_only(https)
        .proxy(None)
        .accept_encoding("identity")
        .tls_config(tls)
        .timeout_global(Some(Duration::from_secs(10)))
        .timeout_resolve(Some(Duration::from_secs(5)))
        .timeout_connect(Some(Duration::from_secs(5)))
        .max_idle_connections(0)
        .build()
        .into()
}

/// Returns a token from the server with this base URL.
pub fn token(agent: &Agent, url: &str) -> Result<String, Box<dyn Error>> {
    let mut response = agent
        .post(format!("{url}/admin/api/v1/Token"))
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .header("user-agent", "meshconnect-auth/0.1.0")
        .send(r#"{"clientId":"id","clientSecret":"secret"}"#)?;
    let body = response.body_mut().read_to_vec()?;
    let envelope: Envelope = serde_json::from_slice(&body)?;
    Ok(envelope.content.id_token)
}
