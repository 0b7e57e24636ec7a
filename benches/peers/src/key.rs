//! The key of a service account, for the peers that sign their requests. It is generated at each
//! start, so that the repository contains no private key.

use std::sync::LazyLock;

use rsa::PrivateKey;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use serde_json::{Value, json};

/// Returns the content of a Google service account file.
pub fn service_account(token_uri: &str) -> Value {
    static KEY: LazyLock<String> = LazyLock::new(|| {
        // The smallest size that `ring` accepts for signing.
        let key = PrivateKey::new(&mut getrandom::SysRng, 2048).unwrap();
        key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
    });
    json!({
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "1",
        "private_key": *KEY,
        "client_email": "account@project.example.com",
        "client_id": "1",
        "token_uri": token_uri,
    })
}
