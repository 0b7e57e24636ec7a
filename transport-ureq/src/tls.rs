//! The TLS configuration: root certificates and crypto provider.

use std::sync::Arc;

use meshconnect_auth_core::{Error, read_pem_certificates};
use rustls::RootCertStore;
use rustls::crypto::ring;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// Returns the root certificates in `pem`. Fails if any of them cannot be read.
pub(crate) fn pem_roots(pem: &[u8]) -> Result<RootCerts, Error> {
    let mut roots = Vec::new();
    read_pem_certificates(pem, |der| {
        roots.push(certificate(der)?);
        Ok::<_, rustls::Error>(())
    })?;
    Ok(roots.into())
}

/// Returns the root certificate in `der`. Fails if it cannot be read.
pub(crate) fn der_root(der: &[u8]) -> Result<RootCerts, Error> {
    let root = certificate(der).map_err(|error| {
        Error::configuration(format!(
            "the root certificate cannot be read: {error}; pass one X.509 certificate in DER"
        ))
    })?;
    Ok([root].into())
}

/// Checks a root certificate, because ureq ignores one that it cannot read.
fn certificate(der: &[u8]) -> Result<Certificate<'static>, rustls::Error> {
    RootCertStore::empty().add(der.into())?;
    Ok(Certificate::from_der(der).to_owned())
}

/// Returns the complete TLS configuration, so that the features of other crates cannot change any
/// part of it.
pub(crate) fn config(roots: RootCerts) -> TlsConfig {
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(roots)
        .build()
}
