//! A request with any credentials reads back exactly, and its `Debug` output shows no secret.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use meshconnect_auth_core::{Credentials, Endpoint, ErrorKind, Exchange};

/// Checks that an independent reader reads any credentials back from the request's body, and that
/// no `Debug` output depends on the secret.
pub fn request(id: &str, secret: &str) {
    let credentials = match Credentials::new(id, secret) {
        Ok(credentials) => credentials,
        Err(error) => {
            assert!(id.is_empty() || secret.is_empty(), "refused: {error}");
            assert_eq!(error.kind(), ErrorKind::Configuration);
            return;
        }
    };
    assert!(
        !id.is_empty() && !secret.is_empty(),
        "an empty client id or secret was accepted"
    );
    assert_eq!(credentials.client_id().as_str(), id);
    assert_eq!(credentials.client_secret().expose(), secret);

    let exchange = Exchange::new(Endpoint::default(), credentials);
    let request = exchange.request();
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.uri(), exchange.endpoint().token_uri());
    assert_eq!(
        request.headers().get(CONTENT_TYPE),
        Some(&HeaderValue::from_static("application/json"))
    );
    assert!(!request.headers().contains_key(AUTHORIZATION));
    let read = serde_json::from_slice::<serde_json::Value>(request.body().as_ref()).ok();
    let written = serde_json::json!({ "clientId": id, "clientSecret": secret });
    assert_eq!(read, Some(written), "the body does not read back");
    assert_eq!(
        exchange.request().into_body().into_bytes(),
        request.body().as_ref()
    );

    // `Debug` output depends on the secret only through the length of the body.
    let size = |secret: &str| serde_json::to_string(secret).map_or(0, |json| json.len());
    let other = "x".repeat(size(secret).saturating_sub(size("")));
    if let Ok(other) = Credentials::new(id, other) {
        let other = Exchange::new(Endpoint::default(), other);
        assert_eq!(format!("{exchange:?}"), format!("{other:?}"));
        assert_eq!(
            format!("{:?}", exchange.credentials()),
            format!("{:?}", other.credentials())
        );
        assert_eq!(format!("{request:#?}"), format!("{:#?}", other.request()));
    }
}

/// Calls [`request`] with the client id before the first line feed of `data` and the secret after
/// it.
pub fn request_bytes(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let (id, secret) = text.split_once('\n').unwrap_or((text, ""));
        request(id, secret);
    }
}
