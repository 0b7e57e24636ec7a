//! The application installs its provider.

use meshconnect_auth_provider::{AWS_LC, RING, tls_server, tokens};
use rustls::crypto::aws_lc_rs;

#[test]
fn clients_leave_the_choice_to_the_application() {
    let server = tls_server();
    if cfg!(feature = "ring") {
        // The clients work before there is a default, and install none.
        for result in tokens(&server.endpoint, Some(&server.pem)) {
            result.unwrap();
            assert_eq!(server.groups.recv().unwrap(), RING);
        }
    }
    aws_lc_rs::default_provider().install_default().unwrap();
    let _ = rustls::ClientConfig::builder();
    let expected = if cfg!(feature = "ring") { RING } else { AWS_LC };
    for result in tokens(&server.endpoint, Some(&server.pem)) {
        result.unwrap();
        assert_eq!(server.groups.recv().unwrap(), expected);
    }
}
