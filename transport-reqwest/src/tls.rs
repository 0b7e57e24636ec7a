//! Whom to trust, with which provider.

use std::sync::Arc;

use meshconnect_auth_core::Error;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

/// Whose certificates are accepted.
pub(crate) enum Trust {
    /// Those that the platform trusts, which are loaded from its files.
    Platform,
    /// These alone.
    Only(Arc<RootCertStore>),
}

impl Trust {
    pub(crate) fn pem(pem: &[u8]) -> Result<Self, Error> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| {
                Error::configuration(format!("the root certificates are not PEM: {error}"))
            })?;
        Self::only(certificates)
    }

    pub(crate) fn der(der: Vec<u8>) -> Result<Self, Error> {
        Self::only(vec![der.into()])
    }

    #[cfg(feature = "webpki-roots")]
    pub(crate) fn webpki_roots() -> Self {
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
        Self::Only(Arc::new(roots.collect()))
    }

    pub(crate) fn nobody() -> Self {
        Self::Only(Arc::new(RootCertStore::empty()))
    }

    fn only(certificates: Vec<CertificateDer<'_>>) -> Result<Self, Error> {
        if certificates.is_empty() {
            return Err(Error::configuration(
                "the root certificates hold no certificate (-----BEGIN CERTIFICATE-----)",
            ));
        }
        let mut store = RootCertStore::empty();
        for certificate in certificates {
            store.add(certificate).map_err(|error| {
                Error::configuration(format!("a root certificate cannot be read: {error}"))
            })?;
        }
        Ok(Self::Only(Arc::new(store)))
    }

    /// The whole TLS configuration, so that no other crate's features can change a part of it.
    pub(crate) fn config(&self) -> Result<ClientConfig, rustls::Error> {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match self {
            Self::Platform => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Verifier::new(provider)?)),
            Self::Only(roots) => builder.with_root_certificates(Arc::clone(roots)),
        };
        Ok(builder.with_no_client_auth())
    }
}
