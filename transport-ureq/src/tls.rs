//! Whom to trust, with which provider.

use std::sync::Arc;

use meshconnect_auth_core::{Error, read_pem_certificates};
use rustls::RootCertStore;
use rustls::crypto::ring;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// The roots in `pem`, each of which can be read.
pub(crate) fn pem_roots(pem: &[u8]) -> Result<RootCerts, Error> {
    let mut roots = Vec::new();
    read_pem_certificates(pem, |der| {
        roots.push(certificate(der)?);
        Ok::<_, rustls::Error>(())
    })?;
    Ok(roots.into())
}

/// This one root, if it can be read.
pub(crate) fn der_root(der: &[u8]) -> Result<RootCerts, Error> {
    let root = certificate(der).map_err(|error| {
        Error::configuration(format!("the root certificate cannot be read: {error}"))
    })?;
    Ok([root].into())
}

/// ureq would pass over a root that cannot be read.
fn certificate(der: &[u8]) -> Result<Certificate<'static>, rustls::Error> {
    RootCertStore::empty().add(der.into())?;
    Ok(Certificate::from_der(der).to_owned())
}

/// The whole TLS configuration, so that no other crate's features can change a part of it.
pub(crate) fn config(roots: RootCerts) -> TlsConfig {
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(roots)
        .build()
}
