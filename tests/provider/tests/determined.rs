//! The application uses the provider that rustls determines from its features, aws-lc-rs, and names none.
//! With the feature `ring`, rustls cannot determine one: that is why the feature can be turned off.

#![cfg(not(any(feature = "ring", feature = "undetermined")))]

use meshconnect_auth_provider::{AWS_LC, tls_server, tokens};

#[test]
fn application_and_clients_use_the_same_provider() {
    let server = tls_server();
    for result in tokens(&server.endpoint, Some(&server.pem)) {
        result.unwrap();
        assert_eq!(server.groups.recv().unwrap(), AWS_LC);
    }
    let _ = rustls::ClientConfig::builder();
    for result in tokens(&server.endpoint, Some(&server.pem)) {
        result.unwrap();
        assert_eq!(server.groups.recv().unwrap(), AWS_LC);
    }
}
