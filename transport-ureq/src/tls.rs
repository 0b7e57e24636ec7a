//! Whom to trust, with which provider.

use std::sync::Arc;

use meshconnect_auth_core::Trust;
use rustls::crypto::ring;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

pub(crate) fn config(trust: &Trust) -> TlsConfig {
    let roots = match trust {
        Trust::Platform => RootCerts::PlatformVerifier,
        #[cfg(feature = "webpki-roots")]
        Trust::Mozilla => RootCerts::WebPki,
        Trust::Only(certificates) => certificates
            .iter()
            .map(|der| Certificate::from_der(der).to_owned())
            .into(),
        #[cfg(not(feature = "webpki-roots"))]
        Trust::Mozilla => RootCerts::new_with_certs(&[]),
    };
    TlsConfig::builder()
        // Said outright: other crates' features can change both defaults.
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(roots)
        .build()
}
