//! Whom to trust, with which provider.

use std::sync::Arc;

use meshconnect_auth_core::Error;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// Whose certificates are accepted.
pub(crate) enum Trust {
    /// Those that the platform trusts; loaded when the first connection needs them.
    Platform,
    /// Those that Mozilla trusts, compiled in.
    #[cfg(feature = "webpki-roots")]
    WebpkiRoots,
    /// These alone.
    Only(Vec<Certificate<'static>>),
}

impl Trust {
    pub(crate) fn pem(pem: &[u8]) -> Result<Self, Error> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| {
                Error::configuration(format!("the root certificates are not PEM: {error}"))
            })?;
        Self::only(&certificates)
    }

    pub(crate) fn der(der: Vec<u8>) -> Result<Self, Error> {
        Self::only(&[der.into()])
    }

    /// ureq would pass over what cannot be read, and trust nobody in the end.
    fn only(certificates: &[CertificateDer<'_>]) -> Result<Self, Error> {
        if certificates.is_empty() {
            return Err(Error::configuration(
                "the root certificates hold no certificate (-----BEGIN CERTIFICATE-----)",
            ));
        }
        let mut store = RootCertStore::empty();
        for certificate in certificates {
            store.add(certificate.clone()).map_err(|error| {
                Error::configuration(format!("a root certificate cannot be read: {error}"))
            })?;
        }
        Ok(Self::Only(
            certificates
                .iter()
                .map(|certificate| Certificate::from_der(certificate).to_owned())
                .collect(),
        ))
    }

    pub(crate) fn config(&self) -> TlsConfig {
        let roots = match self {
            Self::Platform => RootCerts::PlatformVerifier,
            #[cfg(feature = "webpki-roots")]
            Self::WebpkiRoots => RootCerts::WebPki,
            Self::Only(certificates) => RootCerts::new_with_certs(certificates),
        };
        TlsConfig::builder()
            // Said outright: other crates' features can change both defaults.
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .root_certs(roots)
            .build()
    }
}
