//! Whom to trust, with which provider.

use std::sync::Arc;

use meshconnect_auth_core::{Error, Trust};
use rustls::crypto::ring;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

pub(crate) fn config(trust: &Trust) -> Result<TlsConfig, Error> {
    let roots = match trust {
        Trust::Platform => RootCerts::PlatformVerifier,
        #[cfg(feature = "webpki-roots")]
        Trust::Mozilla => RootCerts::WebPki,
        Trust::Only(certificates) => certificates
            .iter()
            .map(|certificate| Certificate::from_der(certificate).to_owned())
            .into(),
        _ => return Err(Error::configuration("whom to trust is not compiled in")),
    };
    Ok(TlsConfig::builder()
        // Said outright: other crates' features can change both defaults.
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(roots)
        .build())
}
