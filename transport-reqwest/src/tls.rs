//! Whom to trust, with which provider.

use std::sync::Arc;

use meshconnect_auth_core::Trust;
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, Error, RootCertStore};
use rustls_platform_verifier::Verifier;

/// The whole TLS configuration, so that no other crate's features can change a part of it.
pub(crate) fn config(trust: &Trust) -> Result<ClientConfig, Error> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match trust {
        Trust::Platform => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(provider)?)),
        #[cfg(feature = "webpki-roots")]
        Trust::Mozilla => {
            let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
            builder.with_root_certificates(roots.collect::<RootCertStore>())
        }
        #[cfg(not(feature = "webpki-roots"))]
        Trust::Mozilla => builder.with_root_certificates(RootCertStore::empty()),
        Trust::Only(certificates) => {
            let mut roots = RootCertStore::empty();
            let certificates = certificates.iter().map(|der| der.as_slice().into());
            roots.add_parsable_certificates(certificates);
            builder.with_root_certificates(roots)
        }
    };
    Ok(builder.with_no_client_auth())
}
