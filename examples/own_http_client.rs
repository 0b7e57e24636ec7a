//! Changes of the HTTP client, and a whole one of your own, over TLS with a CA of your own.
//!
//! Run it with `cargo run --features blocking --example own_http_client --
//! https://localhost:8443 ca.pem` against a server of the API whose certificate that CA issued.

#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::env;
use std::error::Error;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use meshconnect_auth::{Client, Credentials, Endpoint, blocking, reqwest};
use rustls::crypto::ring;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(base_url), Some(file)) = (args.next(), args.next()) else {
        return Err("give the base URL and a file with the CA's certificate".into());
    };
    run(&Endpoint::parse(&base_url)?, &fs::read(file)?)
}

/// Requests a token with each of four clients.
pub(crate) fn run(endpoint: &Endpoint, ca: &[u8]) -> Result<(), Box<dyn Error>> {
    let credentials = Credentials::new("id", "secret")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for client in [
        changed_reqwest(&credentials, endpoint, ca)?,
        own_reqwest(&credentials, endpoint, ca)?,
    ] {
        let token = runtime.block_on(client.token())?;
        println!("async: a token, valid until {:?}", token.expires_at());
    }
    for client in [
        changed_ureq(&credentials, endpoint, ca)?,
        own_ureq(&credentials, endpoint, ca)?,
    ] {
        let token = client.token()?;
        println!("blocking: a token, valid until {:?}", token.expires_at());
    }
    Ok(())
}

/// Changes one setting of the client that the builder makes.
fn changed_reqwest(
    credentials: &Credentials,
    endpoint: &Endpoint,
    ca: &[u8],
) -> Result<Client, Box<dyn Error>> {
    let client = Client::builder(credentials.clone())
        .endpoint(endpoint.clone())
        .root_certificates_pem(ca)
        .http(|builder| builder.local_address(IpAddr::from(Ipv4Addr::UNSPECIFIED)))
        .build()?;
    Ok(client)
}

/// Makes everything itself: TLS with a provider, no redirects, a time-out for connecting.
fn own_reqwest(
    credentials: &Credentials,
    endpoint: &Endpoint,
    ca: &[u8],
) -> Result<Client, Box<dyn Error>> {
    let mut roots = rustls::RootCertStore::empty();
    meshconnect_auth::read_pem_certificates(ca, |der| roots.add(der.into()))?;
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let own = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(std::time::Duration::from_secs(5))
        .build()?;
    let client = Client::builder(credentials.clone())
        .endpoint(endpoint.clone())
        .http_client(own)
        .build()?;
    Ok(client)
}

/// Changes one setting of the agent that the builder makes.
fn changed_ureq(
    credentials: &Credentials,
    endpoint: &Endpoint,
    ca: &[u8],
) -> Result<blocking::Client, Box<dyn Error>> {
    let client = blocking::Client::builder(credentials.clone())
        .endpoint(endpoint.clone())
        .root_certificates_pem(ca)
        .http(|builder| builder.ip_family(blocking::ureq::config::IpFamily::Ipv4Only))
        .build()?;
    Ok(client)
}

/// Makes everything itself: TLS with a provider and root certificates.
fn own_ureq(
    credentials: &Credentials,
    endpoint: &Endpoint,
    ca: &[u8],
) -> Result<blocking::Client, Box<dyn Error>> {
    use blocking::ureq::{
        Agent,
        tls::{Certificate, RootCerts, TlsConfig},
    };

    let mut roots = Vec::new();
    meshconnect_auth::read_pem_certificates(ca, |der| {
        roots.push(Certificate::from_der(der).to_owned());
        Ok::<_, String>(())
    })?;
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .build();
    let own = Agent::config_builder().tls_config(tls).build();
    let client = blocking::Client::builder(credentials.clone())
        .endpoint(endpoint.clone())
        .http_client(own.into())
        .build()?;
    Ok(client)
}
