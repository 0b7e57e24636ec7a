//! The TLS configuration: root certificates and crypto provider.

use std::sync::Arc;
use std::time::Duration;

use meshconnect_auth_core::{
    CertificateProblem, Error, TransportError, TransportErrorKind, read_der_certificate,
    read_pem_certificates,
};
use rustls::crypto::CryptoProvider;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};

use crate::clock;

use crate::no_tls;

/// The accepted root certificates.
#[derive(Clone)]
pub(crate) enum Trust {
    /// The platform's root certificates, read when a configuration is made.
    Platform,
    /// These root certificates.
    Only(Arc<RootCertStore>),
}

impl Trust {
    pub(crate) fn pem(pem: &[u8]) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        read_pem_certificates(pem, |der| roots.add(der.into()))?;
        Ok(Self::Only(roots.into()))
    }

    pub(crate) fn der(der: &[u8]) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        read_der_certificate(der, |der| roots.add(der.into()))?;
        Ok(Self::Only(roots.into()))
    }

    #[cfg(feature = "webpki-roots")]
    pub(crate) fn mozilla() -> Self {
        let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        Self::Only(roots.into())
    }
}

/// A complete TLS configuration, so that the features of other crates cannot change any part of it.
pub(crate) struct Tls {
    pub(crate) config: ClientConfig,
    /// What could not be read of the platform's certificates.
    pub(crate) unread: Option<String>,
}

/// Makes the TLS configuration. Reads files if `trust` is the platform's.
pub(crate) fn config(trust: Trust) -> Result<Tls, Error> {
    let provider = provider()?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| of_rustls(&error))?;
    let (config, unread) = match trust {
        Trust::Platform => platform::verify(builder, provider)?,
        Trust::Only(roots) => (builder.with_root_certificates(roots), None),
    };
    Ok(Tls {
        config: config.with_no_client_auth(),
        unread,
    })
}

/// Makes the configuration for plain http, with which nothing can be encrypted.
pub(crate) fn none() -> Result<Tls, Error> {
    Ok(Tls {
        config: no_tls::config().map_err(|error| of_rustls(&error))?,
        unread: None,
    })
}

#[cfg(feature = "ring")]
#[expect(clippy::unnecessary_wraps, reason = "the other one can fail")]
fn provider() -> Result<Arc<CryptoProvider>, Error> {
    Ok(Arc::new(rustls::crypto::ring::default_provider()))
}

/// Returns the process's default provider.
#[cfg(not(feature = "ring"))]
fn provider() -> Result<Arc<CryptoProvider>, Error> {
    if let Some(provider) = CryptoProvider::get_default() {
        return Ok(Arc::clone(provider));
    }
    // Only this function of rustls returns the provider that the enabled features determine. It
    // panics if they determine none.
    let builder = std::panic::catch_unwind(ClientConfig::builder).map_err(|_| {
        Error::configuration(
            "this process has no default TLS provider; install one at the start of the program \
             (rustls::crypto::CryptoProvider::install_default), or enable the feature `ring` of \
             meshconnect-auth",
        )
    })?;
    Ok(Arc::clone(builder.crypto_provider()))
}

/// The root certificates are files.
#[cfg(all(unix, not(target_os = "android"), not(target_vendor = "apple")))]
mod platform {
    use std::env;
    use std::fs;
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use meshconnect_auth_core::{CertificateFiles, Error};
    use rustls::client::WantsClientCert;
    use rustls::crypto::CryptoProvider;
    use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

    pub(super) fn verify(
        builder: ConfigBuilder<ClientConfig, WantsVerifier>,
        _provider: Arc<CryptoProvider>,
    ) -> Result<(ConfigBuilder<ClientConfig, WantsClientCert>, Option<String>), Error> {
        let files = CertificateFiles::locate(
            |name| env::var_os(name),
            || {
                let found = openssl_probe::probe();
                (found.cert_file, found.cert_dir)
            },
        );
        let mut roots = RootCertStore::empty();
        let unread = files.read(list, |file| fs::read(file), |der| roots.add(der.into()))?;
        Ok((builder.with_root_certificates(roots), unread))
    }

    fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            match fs::canonicalize(&path) {
                Ok(target) if target.is_file() => files.push(target),
                // Reading it fails for the same reason, which is then told of this file.
                Err(error) if error.kind() != io::ErrorKind::NotFound => files.push(path),
                // A directory, a device, or a link without a target.
                _ => {}
            }
        }
        Ok(files)
    }
}

/// The operating system verifies.
#[cfg(not(all(unix, not(target_os = "android"), not(target_vendor = "apple"))))]
mod platform {
    use std::sync::Arc;

    use meshconnect_auth_core::Error;
    use rustls::client::WantsClientCert;
    use rustls::crypto::CryptoProvider;
    use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};
    use rustls_platform_verifier::Verifier;

    pub(super) fn verify(
        builder: ConfigBuilder<ClientConfig, WantsVerifier>,
        provider: Arc<CryptoProvider>,
    ) -> Result<(ConfigBuilder<ClientConfig, WantsClientCert>, Option<String>), Error> {
        let verifier = Verifier::new(provider).map_err(|error| super::of_rustls(&error))?;
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        Ok((builder, None))
    }
}

/// Returns the failure if there is a rustls error in this error's chain.
pub(crate) fn failure(error: &(dyn std::error::Error + 'static)) -> Option<TransportError> {
    let found = TransportError::chain(error).find_map(|error| error.downcast_ref())?;
    Some(match found {
        rustls::Error::InvalidCertificate(invalid) => {
            TransportError::certificate(problem(invalid), error)
        }
        rustls::Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            TransportError::handshake_failure(error)
        }
        _ => TransportError::new(TransportErrorKind::Tls, error),
    })
}

fn of_rustls(error: &rustls::Error) -> TransportError {
    failure(error).unwrap_or_else(|| TransportError::new(TransportErrorKind::Tls, error))
}

fn problem(error: &CertificateError) -> CertificateProblem {
    match error {
        // The signature is not that of a trusted CA with the issuer's name, but of another one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            CertificateProblem::UnknownIssuer
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            CertificateProblem::WrongName
        }
        CertificateError::ExpiredContext { time, not_after } => CertificateProblem::Expired {
            now: Duration::from_secs(time.as_secs()),
            not_after: Some(Duration::from_secs(not_after.as_secs())),
        },
        CertificateError::NotValidYetContext { time, not_before } => {
            CertificateProblem::NotYetValid {
                now: Duration::from_secs(time.as_secs()),
                not_before: Some(Duration::from_secs(not_before.as_secs())),
            }
        }
        // The verifiers of some platforms tell no dates.
        CertificateError::Expired => CertificateProblem::Expired {
            now: clock::now().wall,
            not_after: None,
        },
        CertificateError::NotValidYet => CertificateProblem::NotYetValid {
            now: clock::now().wall,
            not_before: None,
        },
        // rustls passes errors of webpki on without a variant of its own.
        CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity" => {
            CertificateProblem::CaAsServer
        }
        _ => CertificateProblem::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::OtherError;
    use rustls::pki_types::UnixTime;

    use super::*;

    #[derive(Debug)]
    struct Named(&'static str);

    impl std::fmt::Display for Named {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Named {}

    #[test]
    fn tells_certificate_problems_apart() {
        use TransportErrorKind::{Certificate, Tls};
        use rustls::Error::{AlertReceived, General, InvalidCertificate};
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let other = |text| CertificateError::Other(OtherError(Arc::new(Named(text))));
        for (error, kind, text) in [
            (
                InvalidCertificate(CertificateError::UnknownIssuer),
                Certificate,
                "issuer is not trusted",
            ),
            (
                InvalidCertificate(CertificateError::BadSignature),
                Certificate,
                "issuer is not trusted",
            ),
            (
                InvalidCertificate(CertificateError::NotValidForName),
                Certificate,
                "not valid for the server's host name",
            ),
            (
                InvalidCertificate(CertificateError::ExpiredContext {
                    time: at(86_400),
                    not_after: at(0),
                }),
                Certificate,
                "expired at Thu, 01 Jan 1970 00:00:00 GMT, and this machine's clock says Fri, 02 Jan 1970",
            ),
            (
                InvalidCertificate(CertificateError::NotValidYetContext {
                    time: at(0),
                    not_before: at(86_400),
                }),
                Certificate,
                "valid from Fri, 02 Jan 1970 00:00:00 GMT, and this machine's clock says Thu, 01 Jan 1970",
            ),
            (
                InvalidCertificate(other("CaUsedAsEndEntity")),
                Certificate,
                "the certificate of a CA",
            ),
            (
                InvalidCertificate(other("another cause")),
                Certificate,
                "see the cause",
            ),
            (
                InvalidCertificate(CertificateError::Expired),
                Certificate,
                "it expired, and",
            ),
            (
                InvalidCertificate(CertificateError::NotValidYet),
                Certificate,
                "from a later time, and",
            ),
            (
                AlertReceived(AlertDescription::HandshakeFailure),
                Tls,
                "share no protocol version",
            ),
            (
                AlertReceived(AlertDescription::InternalError),
                Tls,
                "TLS handshake",
            ),
            (
                General("no usable cipher suites".to_owned()),
                Tls,
                "TLS handshake",
            ),
        ] {
            let nested = io::Error::other(io::Error::other(error.clone()));
            for found in [failure(&error), failure(&nested)] {
                let found = found.unwrap();
                assert_eq!(found.kind(), kind, "{error}");
                assert!(found.to_string().contains(&error.to_string()), "{found}");
                let told = Error::from(found).to_string();
                assert!(told.contains(text), "{told}");
            }
        }
        assert!(failure(&io::Error::other("broken pipe")).is_none());
    }
}
