//! Whose certificates are accepted, and what it means when one is not.

use std::fmt;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{Error, TransportErrorKind};

/// Whose certificates are accepted.
#[derive(Clone)]
#[non_exhaustive]
pub enum Trust {
    /// Those that the platform trusts, which are loaded when the first connection needs them.
    Platform,
    /// Those that Mozilla trusts, compiled in.
    #[cfg(feature = "webpki-roots")]
    Mozilla,
    /// These alone. Each has been read once, and can be.
    Only(Vec<CertificateDer<'static>>),
}

impl Trust {
    pub(super) fn pem(pem: &[u8]) -> Result<Self, Error> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| {
                Error::configuration(format!("the root certificates are not PEM: {error}"))
            })?;
        Self::only(certificates)
    }

    pub(super) fn der(der: Vec<u8>) -> Result<Self, Error> {
        Self::only(vec![der.into()])
    }

    /// HTTP clients would pass over what cannot be read, and trust nobody in the end.
    fn only(certificates: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        if certificates.is_empty() {
            return Err(Error::configuration(
                "the root certificates hold no certificate (-----BEGIN CERTIFICATE-----)",
            ));
        }
        for certificate in &certificates {
            RootCertStore::empty()
                .add(certificate.clone())
                .map_err(|error| {
                    Error::configuration(format!("a root certificate cannot be read: {error}"))
                })?;
        }
        Ok(Self::Only(certificates))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => f.write_str("Platform"),
            #[cfg(feature = "webpki-roots")]
            Self::Mozilla => f.write_str("Mozilla"),
            Self::Only(certificates) => write!(f, "Only({} certificates)", certificates.len()),
        }
    }
}

impl TransportErrorKind {
    /// What an error of rustls means: whether it is about whom to trust, or about how to talk.
    #[must_use]
    pub fn of_rustls(error: &rustls::Error) -> Self {
        match error {
            // `General` is how the platform's verifier says that it found no CA at all.
            rustls::Error::InvalidCertificate(_) | rustls::Error::General(_) => Self::Certificate,
            _ => Self::Tls,
        }
    }
}
