//! Any accepted base URL is safe, and a refusal does not repeat a password.

use std::net::IpAddr;

use http::Uri;
use meshconnect_auth_core::{Endpoint, Error, ErrorKind};

/// Checks that an accepted base URL is https or loopback, has no userinfo, and reads back from its
/// printed form. A refusal does not repeat a password.
pub fn endpoint(text: &str) {
    let lenient = Endpoint::parse_dangerously_allowing_plaintext(text);
    let endpoint = match Endpoint::parse(text) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(
                lenient.is_err()
                    || lenient.is_ok_and(|lenient| !lenient.is_https() && !lenient.is_loopback()),
                "only the strict parser refuses it, and not because of plain http"
            );
            refusal_hides_userinfo(text, &error);
            return;
        }
    };
    assert_eq!(
        lenient.ok().as_ref(),
        Some(&endpoint),
        "the lenient parser gives another result"
    );

    let printed = endpoint.to_string();
    let Ok(uri) = printed.parse::<Uri>() else {
        panic!("{printed:?} is not a URL");
    };
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost",
    };
    assert_eq!(endpoint.is_loopback(), loopback, "{printed:?}");
    match uri.scheme_str() {
        Some("https") => assert!(endpoint.is_https(), "{printed:?}"),
        Some("http") => assert!(
            !endpoint.is_https() && loopback,
            "{printed:?} allows plain http"
        ),
        scheme => panic!("{printed:?} has the scheme {scheme:?}"),
    }
    assert_eq!(
        endpoint.allows_proxy(),
        endpoint.is_https() && !loopback,
        "{printed:?}"
    );
    assert!(!host.is_empty(), "{printed:?} has no host");
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    assert!(!authority.contains('@'), "{printed:?} has userinfo");
    assert!(
        uri.query().is_none() && !printed.contains(['?', '#']),
        "{printed:?} has a query"
    );
    assert!(!printed.ends_with('/'), "{printed:?} ends in a slash");

    assert_eq!(
        endpoint.token_uri().to_string(),
        format!("{printed}{}", Endpoint::TOKEN_PATH)
    );
    let again = Endpoint::parse(&printed);
    assert_eq!(
        again.as_ref().ok(),
        Some(&endpoint),
        "{printed:?} does not read back"
    );
    assert_eq!(again.map(|again| again.to_string()).ok(), Some(printed));
}

/// Calls [`endpoint`] if `data` is UTF-8.
pub fn endpoint_bytes(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        endpoint(text);
    }
}

/// Checks that a refusal does not depend on the userinfo, so it cannot contain any of it.
fn refusal_hides_userinfo(text: &str, error: &Error) {
    let parts = text.split_once("://").and_then(|(scheme, rest)| {
        let (userinfo, rest) = rest.split_once('@')?;
        (!userinfo.contains(['/', '?', '#'])).then_some((scheme, rest))
    });
    if let Some((scheme, rest)) = parts
        && text.bytes().all(|byte| byte.is_ascii_graphic())
    {
        let other = Endpoint::parse(&format!("{scheme}://other@{rest}"));
        assert_eq!(
            other.map_err(|other| other.to_string()).err(),
            Some(error.to_string()),
            "a refusal depends on the userinfo"
        );
    }
}
