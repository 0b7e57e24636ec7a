//! A TLS configuration for plain http: reqwest builds no client without one, and with its own one reads
//! the platform's certificates and needs a crypto provider.
//!
//! Nothing can be encrypted with it. A handshake would fail at its first random number.

use std::sync::Arc;

use rustls::crypto::cipher::{
    AeadKey, Iv, MessageDecrypter, MessageEncrypter, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::hash::{self, Hash, HashAlgorithm};
use rustls::crypto::hmac::{self, Hmac};
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::crypto::{
    ActiveKeyExchange, CipherSuiteCommon, CryptoProvider, GetRandomFailed, KeyProvider,
    SecureRandom, SupportedKxGroup, WebPkiSupportedAlgorithms,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{
    CipherSuite, ClientConfig, ConnectionTrafficSecrets, Error, NamedGroup, RootCertStore,
    SupportedCipherSuite, Tls13CipherSuite,
};

pub(crate) fn config() -> Result<ClientConfig, Error> {
    let provider = CryptoProvider {
        cipher_suites: vec![SupportedCipherSuite::Tls13(&SUITE)],
        kx_groups: vec![&Nothing],
        signature_verification_algorithms: WebPkiSupportedAlgorithms {
            all: &[],
            mapping: &[],
        },
        secure_random: &Nothing,
        key_provider: &Nothing,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?;
    Ok(builder
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

static SUITE: Tls13CipherSuite = Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
        hash_provider: &Nothing,
        confidentiality_limit: 0,
    },
    hkdf_provider: &HkdfUsingHmac(&Nothing),
    aead_alg: &Nothing,
    quic: None,
};

#[derive(Debug)]
struct Nothing;

const UNREACHABLE: &str = "there is no handshake without random numbers";

impl SecureRandom for Nothing {
    fn fill(&self, _: &mut [u8]) -> Result<(), GetRandomFailed> {
        Err(GetRandomFailed)
    }
}

impl SupportedKxGroup for Nothing {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Err(Error::FailedToGetRandomBytes)
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl KeyProvider for Nothing {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("plain http has no private key".to_owned()))
    }
}

impl Hash for Nothing {
    fn start(&self) -> Box<dyn hash::Context> {
        unreachable!("{UNREACHABLE}")
    }

    fn hash(&self, _: &[u8]) -> hash::Output {
        hash::Output::new(&[])
    }

    fn output_len(&self) -> usize {
        0
    }

    fn algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }
}

impl Hmac for Nothing {
    fn with_key(&self, _: &[u8]) -> Box<dyn hmac::Key> {
        unreachable!("{UNREACHABLE}")
    }

    fn hash_output_len(&self) -> usize {
        0
    }
}

impl Tls13AeadAlgorithm for Nothing {
    fn encrypter(&self, _: AeadKey, _: Iv) -> Box<dyn MessageEncrypter> {
        unreachable!("{UNREACHABLE}")
    }

    fn decrypter(&self, _: AeadKey, _: Iv) -> Box<dyn MessageDecrypter> {
        unreachable!("{UNREACHABLE}")
    }

    fn key_len(&self) -> usize {
        0
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

#[cfg(test)]
mod tests {
    use rustls::ClientConnection;

    use super::*;

    #[test]
    fn handshake_fails_at_once() {
        let config = Arc::new(config().unwrap());
        let error = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap_err();
        assert_eq!(error, Error::FailedToGetRandomBytes);
    }
}
