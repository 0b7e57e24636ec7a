//! The TLS configuration: root certificates and crypto provider.

use std::sync::Arc;

use meshconnect_auth_core::{Error, read_pem_certificates};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

/// The accepted root certificates.
#[derive(Clone)]
pub(crate) enum Trust {
    /// The platform's root certificates. The first connection loads them.
    Platform,
    /// These root certificates.
    Only(RootCertStore),
}

impl Trust {
    pub(crate) fn pem(pem: &[u8]) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        read_pem_certificates(pem, |der| roots.add(der.into()))?;
        Ok(Self::Only(roots))
    }

    pub(crate) fn der(der: &[u8]) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(der.into()).map_err(|error| {
            Error::configuration(format!(
                "the root certificate cannot be read: {error}; pass one X.509 certificate in DER"
            ))
        })?;
        Ok(Self::Only(roots))
    }

    #[cfg(feature = "webpki-roots")]
    pub(crate) fn mozilla() -> Self {
        Self::Only(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
    }

    /// Returns no root certificates, for a client that sends plain http.
    pub(crate) fn none() -> Self {
        Self::Only(RootCertStore::empty())
    }
}

/// Returns the complete TLS configuration, so that the features of other crates cannot change any
/// part of it.
pub(crate) fn config(trust: Trust) -> Result<ClientConfig, rustls::Error> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match trust {
        Trust::Platform => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(provider)?)),
        Trust::Only(roots) => builder.with_root_certificates(roots),
    };
    Ok(builder.with_no_client_auth())
}
