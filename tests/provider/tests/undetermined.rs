//! There is no default provider, and rustls cannot determine one.

#![cfg(all(feature = "undetermined", not(feature = "ring")))]

use meshconnect_auth::ErrorKind;
use meshconnect_auth_provider::{plain_server, tls_server, tokens};

#[test]
fn https_says_what_is_missing_and_plain_http_works() {
    let server = tls_server();
    for result in tokens(&server.endpoint, Some(&server.pem)) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error:?}");
        assert_eq!(error.attempts(), 1, "{error:?}");
        for part in ["install_default", "feature `ring`"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    for result in tokens(&plain_server(), None) {
        result.unwrap();
    }
}
