//! Whose certificates are accepted, and what it means when one is not.

use std::error;
use std::fmt;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{Error, TransportError, TransportErrorKind};

/// Whose certificates are accepted.
///
/// Exhaustive on purpose: a transport that passed over one would trust the wrong people.
#[derive(Clone)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a transport that passed over one would trust the wrong people"
)]
pub enum Trust {
    /// Those that the platform trusts, which are loaded when the first connection needs them.
    Platform,
    /// Those that Mozilla trusts, which the transport brings if it is [`MozillaRoots`](super::MozillaRoots).
    Mozilla,
    /// These alone, in DER. Each has been read once, and can be.
    Only(Vec<Vec<u8>>),
}

impl Trust {
    pub(super) fn pem(pem: &[u8]) -> Result<Self, Error> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .map(|certificate| certificate.map(|certificate| certificate.to_vec()))
            .collect::<Result<_, _>>()
            .map_err(|error| {
                Error::configuration(format!("the root certificates are not PEM: {error}"))
            })?;
        Self::only(certificates)
    }

    pub(super) fn der(der: Vec<u8>) -> Result<Self, Error> {
        Self::only(vec![der])
    }

    /// HTTP clients would pass over what cannot be read, and trust nobody in the end.
    fn only(certificates: Vec<Vec<u8>>) -> Result<Self, Error> {
        if certificates.is_empty() {
            return Err(Error::configuration(
                "the root certificates hold no certificate (-----BEGIN CERTIFICATE-----)",
            ));
        }
        for certificate in &certificates {
            RootCertStore::empty()
                .add(certificate.as_slice().into())
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
            Self::Mozilla => f.write_str("Mozilla"),
            Self::Only(certificates) => write!(f, "Only({} certificates)", certificates.len()),
        }
    }
}

impl TransportErrorKind {
    /// What an error of an HTTP client over rustls has to do with TLS: whether it is about whom to
    /// trust, or about how to talk; nothing, if rustls is not among its
    /// [chain](TransportError::chain).
    #[must_use]
    pub fn of_tls(error: &(dyn error::Error + 'static)) -> Option<Self> {
        match TransportError::chain(error).find_map(|error| error.downcast_ref())? {
            // `General` is how the platform's verifier says that it found no CA at all.
            rustls::Error::InvalidCertificate(_) | rustls::Error::General(_) => {
                Some(Self::Certificate)
            }
            _ => Some(Self::Tls),
        }
    }
}
