//! Any request to the emulator gets the answer of the contract.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use meshconnect_auth::emulator::Issuer;
use meshconnect_auth_core::{AuthenticationStatus, Credentials, Endpoint, ErrorKind, Exchange};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::exchange::{RECEIVED, SECRETS};
use crate::naive_reader;
use crate::raw_message::{self, split_head};
use crate::reveal::reveals;

/// The client id that the issuer accepts, with each of [`SECRETS`].
pub const CLIENT_ID: &str = "canary-client";

const JSON: &str = "application/json";

/// The contract's `ClientAdminTokenRequest`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TokenRequest {
    client_id: String,
    client_secret: String,
}

/// Checks that any request gets the answer of the contract for its path, method, media type and
/// body, and that a client can read it. Answers are fixed, so they repeat nothing of the request
/// and no secret. [`request`] reads `data`.
pub fn emulator(data: &[u8]) {
    let request = request(data);
    for secret in SECRETS {
        let Ok(credentials) = Credentials::new(CLIENT_ID, secret) else {
            panic!("the canaries are valid credentials");
        };
        let issuer = Issuer::new(credentials.clone());
        let answer = |request: &Request<Bytes>, serial| {
            let response = issuer.answer(request, RECEIVED.wall, serial);
            let (head, body) = response.into_parts();
            (head.status, head.headers, body)
        };
        let (status, headers, body) = answer(&request, 1);
        assert_eq!(
            status,
            expected_status(&request, &credentials),
            "the answer to {request:?}"
        );

        let examples = examples(status, &credentials);
        let repeated = examples.iter().any(|example| {
            let example = answer(example, 1);
            example == (status, headers.clone(), body.clone())
        });
        assert!(
            repeated,
            "the answer to {request:?} is not a fixed one: {body:?}"
        );
        let is_new = answer(&request, 2).2 != body;
        assert_eq!(
            is_new,
            status == StatusCode::OK,
            "only a token differs in the next answer"
        );

        check_headers(status, &headers);
        let shown = String::from_utf8_lossy(&body);
        assert!(!reveals(&shown, secret), "{secret:?} shows in {shown:?}");
        check_client_reading(status, headers, &body, credentials);
    }
}

/// Reads a raw HTTP request from any bytes: a request line, header lines and an empty line, each
/// terminated by LF, then the body. Invalid header lines are ignored. Without a request line, all
/// bytes are the body of a token request.
#[must_use]
pub fn request(data: &[u8]) -> Request<Bytes> {
    let body_only = || token_request(data);
    let Some((head, body)) = split_head(data) else {
        return body_only();
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let words: Vec<&[u8]> = first.split(|byte| *byte == b' ').collect();
    let [method, uri, version] = *words.as_slice() else {
        return body_only();
    };
    let (Ok(method), Ok(uri), true) = (
        Method::from_bytes(method),
        Uri::try_from(uri),
        version.starts_with(b"HTTP/"),
    ) else {
        return body_only();
    };
    let mut request = Request::new(Bytes::copy_from_slice(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = raw_message::headers(lines);
    request
}

fn token_request(body: &[u8]) -> Request<Bytes> {
    let mut request = Request::new(Bytes::copy_from_slice(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(Endpoint::TOKEN_PATH);
    let json = HeaderValue::from_static(JSON);
    request.headers_mut().insert(CONTENT_TYPE, json);
    request
}

/// Returns the expected status, by an independent implementation of the contract.
fn expected_status(request: &Request<Bytes>, credentials: &Credentials) -> StatusCode {
    let media_types: Vec<_> = request.headers().get_all(CONTENT_TYPE).iter().collect();
    let path = request.uri().path();
    if path != Endpoint::TOKEN_PATH {
        // The fuzzer cannot guess a token of this issuer.
        return match path.strip_prefix("/admin/api/v1/") {
            Some(rest) if is_downstream(rest) => StatusCode::UNAUTHORIZED,
            _ => StatusCode::NOT_FOUND,
        };
    }
    if request.method().as_str() != "POST" {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    if !matches!(*media_types.as_slice(), [declared] if is_json(declared.as_bytes())) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE;
    }
    let body = request.body();
    if body.len() > 65_536 {
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    // The struct refuses duplicate fields; the value refuses anything but an object.
    let given: Option<TokenRequest> = serde_json::from_slice(body).ok();
    let document: Option<Value> = serde_json::from_slice(body).ok();
    match given.filter(|_| document.is_some_and(|document| document.is_object())) {
        Some(given) if !given.client_id.is_empty() && !given.client_secret.is_empty() => {
            let given = (given.client_id.as_str(), given.client_secret.as_str());
            let accepted = (
                credentials.client_id().as_str(),
                credentials.client_secret().expose(),
            );
            if given == accepted {
                StatusCode::OK
            } else {
                StatusCode::FORBIDDEN
            }
        }
        _ => StatusCode::BAD_REQUEST,
    }
}

/// Returns whether a path names an endpoint other than the token endpoint.
fn is_downstream(rest: &str) -> bool {
    let name = rest.split_once('/').map_or(rest, |(name, _)| name);
    matches!(name.as_bytes().first(), Some(b'a'..=b'z' | b'A'..=b'Z'))
        && !name.eq_ignore_ascii_case("token")
}

/// Returns whether a media type is `application/json`, `text/json` or `application/*+json`, with or
/// without parameters.
fn is_json(declared: &[u8]) -> bool {
    let visible = |byte: &u8| matches!(*byte, b'\t' | b' '..=b'~');
    let end = declared.iter().position(|byte| *byte == b';');
    let media_type = declared.get(..end.unwrap_or(declared.len()));
    let media_type = media_type.unwrap_or_default().trim_ascii();
    let media_type = String::from_utf8_lossy(media_type).to_ascii_lowercase();
    // RFC 6838, section 4.2: restricted-name
    let name = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
            && text.chars().next().is_some_and(char::is_alphanumeric)
    };
    let suffixed = media_type
        .strip_prefix("application/")
        .and_then(|subtype| subtype.strip_suffix("+json"));
    declared.iter().all(visible)
        && (media_type == JSON || media_type == "text/json" || suffixed.is_some_and(name))
}

/// Returns simple requests that get this status.
fn examples(status: StatusCode, credentials: &Credentials) -> Vec<Request<Bytes>> {
    let credentials_body = |secret: &str| {
        let id = credentials.client_id().as_str();
        json!({ "clientId": id, "clientSecret": secret }).to_string()
    };
    let bodies = match status {
        StatusCode::OK => vec![credentials_body(credentials.client_secret().expose())],
        StatusCode::FORBIDDEN => vec![credentials_body("another")],
        // Without a client id, without a client secret, not an object, not JSON.
        StatusCode::BAD_REQUEST => vec![
            "{}".to_owned(),
            r#"{"clientId":"x"}"#.to_owned(),
            "null".to_owned(),
            String::new(),
        ],
        StatusCode::PAYLOAD_TOO_LARGE => vec![" ".repeat(65_537)],
        _ => vec![String::new()],
    };
    let request = |body: String| {
        let mut request = token_request(body.as_bytes());
        match status {
            StatusCode::NOT_FOUND => *request.uri_mut() = Uri::from_static("/"),
            StatusCode::UNAUTHORIZED => {
                *request.uri_mut() = Uri::from_static("/admin/api/v1/SubClient");
            }
            StatusCode::METHOD_NOT_ALLOWED => *request.method_mut() = Method::GET,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => request.headers_mut().clear(),
            _ => {}
        }
        request
    };
    bodies.into_iter().map(request).collect()
}

/// Checks that the answer has exactly the headers in the documentation of [`Issuer`].
fn check_headers(status: StatusCode, headers: &HeaderMap) {
    let expected = [
        (CONTENT_TYPE, Some("application/json; charset=utf-8")),
        (
            ALLOW,
            (status == StatusCode::METHOD_NOT_ALLOWED).then_some("POST"),
        ),
        (
            WWW_AUTHENTICATE,
            (status == StatusCode::UNAUTHORIZED).then_some("Bearer"),
        ),
    ];
    for (name, value) in &expected {
        let given = headers.get(name).map(HeaderValue::as_bytes);
        assert_eq!(given, value.map(str::as_bytes), "{name} of {status}");
    }
    let expected = expected.iter().filter(|(_, value)| value.is_some());
    assert_eq!(
        headers.len(),
        expected.count(),
        "{headers:?} with a {status}"
    );
}

/// Checks that a client reads the answer as a token, or as the refusal of the contract.
fn check_client_reading(
    status: StatusCode,
    headers: HeaderMap,
    body: &Bytes,
    credentials: Credentials,
) {
    let mut response = Response::new(body.clone());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    let result = Exchange::new(Endpoint::default(), credentials).parse(response, RECEIVED);
    let envelope = match status.as_u16() {
        200 => {
            let Ok(grant) = result else {
                panic!("{body:?} does not grant a token");
            };
            assert_eq!(grant.lifetime(), Duration::from_secs(3600));
            assert_eq!(grant.status(), Some(&AuthenticationStatus::Available));
            let claims = naive_reader::claims(grant.into_token(RECEIVED).id_token());
            let issued = Some(i128::from(RECEIVED.wall.as_secs()));
            assert_eq!(claims.and_then(|claims| claims.iat), issued, "{body:?}");
            return;
        }
        400 => Some("badRequest"),
        403 => Some("permissionDenied"),
        404 => Some("notFound"),
        401 | 405 | 413 | 415 => None,
        _ => panic!("{status} is not a status of the contract"),
    };
    let Err(error) = result else {
        panic!("{status} grants a token");
    };
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.http_status(), Some(status));
    let reported = error
        .rejection()
        .and_then(|rejection| Some(rejection.status()?.as_str()));
    assert_eq!(reported, envelope, "{body:?}");
    if envelope.is_none() {
        let document: Option<Value> = serde_json::from_slice(body).ok();
        assert_eq!(document, Some(json!({ "statusCode": status.as_u16() })));
    }
}
