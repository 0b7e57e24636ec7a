//! Any request to the emulator gets an answer that the contract allows.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use meshconnect_auth::emulator::Issuer;
use meshconnect_auth_core::{AuthenticationStatus, Credentials, Endpoint, ErrorKind, Exchange};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::exchange::{RECEIVED, SECRETS};
use crate::naive_reader;
use crate::reveal::reveals;

/// Whom the issuer lets in, with each of [`SECRETS`].
pub const CLIENT_ID: &str = "canary-client";

const JSON: &str = "application/json";

/// The contract's `ClientAdminTokenRequest`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TokenRequest {
    client_id: String,
    client_secret: String,
}

/// Any request gets an answer that the contract allows: the one that its path, method, media type
/// and body deserve, readable for a client. It is a fixed one, so it repeats nothing of the
/// request, and no secret. `data` is read by [`request`].
pub fn emulator(data: &[u8]) {
    let request = request(data);
    for secret in SECRETS {
        let Ok(credentials) = Credentials::new(CLIENT_ID, secret) else {
            panic!("the canaries are good credentials");
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
            deserved(&request, &credentials),
            "the answer to {request:?}"
        );

        let examples = examples(status, &credentials);
        let repeated = examples.iter().any(|example| {
            let example = answer(example, 1);
            example == (status, headers.clone(), body.clone())
        });
        assert!(repeated, "an answer of its own to {request:?}: {body:?}");
        let is_new = answer(&request, 2).2 != body;
        assert_eq!(is_new, status == StatusCode::OK, "the next answer");

        framed(status, &headers);
        let shown = String::from_utf8_lossy(&body);
        assert!(!reveals(&shown, secret), "{secret:?} shows in {shown:?}");
        readable(status, headers, &body, credentials);
    }
}

/// A raw HTTP request out of any bytes: a request line, header lines and an empty line, each
/// ended by LF, then the body to the last byte. A header line that is none is left out, and
/// without a request line all of it is the body of a request for a token.
#[must_use]
pub fn request(data: &[u8]) -> Request<Bytes> {
    let split = data.windows(2).position(|pair| pair == b"\n\n");
    let parts = split.and_then(|at| Some((data.get(..at)?, data.get(at.checked_add(2)?..)?)));
    let whole = || token_request(data);
    let Some((head, body)) = parts else {
        return whole();
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let words: Vec<&[u8]> = first.split(|byte| *byte == b' ').collect();
    let [method, uri, version] = *words.as_slice() else {
        return whole();
    };
    let (Ok(method), Ok(uri), true) = (
        Method::from_bytes(method),
        Uri::try_from(uri),
        version.starts_with(b"HTTP/"),
    ) else {
        return whole();
    };
    let mut request = Request::new(Bytes::copy_from_slice(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    for line in lines {
        let Some(at) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = line.split_at(at);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            request.headers_mut().append(name, value);
        }
    }
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

/// The status that a request deserves, by a second reading of the contract.
fn deserved(request: &Request<Bytes>, credentials: &Credentials) -> StatusCode {
    let media_types: Vec<_> = request.headers().get_all(CONTENT_TYPE).iter().collect();
    let path = request.uri().path();
    if path != Endpoint::TOKEN_PATH {
        // No request holds a token of this issuer by chance.
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
    // The reading that refuses a field that stands twice, and the one that takes objects alone.
    let asked: Option<TokenRequest> = serde_json::from_slice(body).ok();
    let document: Option<Value> = serde_json::from_slice(body).ok();
    match asked.filter(|_| document.is_some_and(|document| document.is_object())) {
        Some(asked) if !asked.client_id.is_empty() && !asked.client_secret.is_empty() => {
            let given = (asked.client_id.as_str(), asked.client_secret.as_str());
            let right = (
                credentials.client_id().as_str(),
                credentials.client_secret().expose(),
            );
            if given == right {
                StatusCode::OK
            } else {
                StatusCode::FORBIDDEN
            }
        }
        _ => StatusCode::BAD_REQUEST,
    }
}

/// An endpoint with a name, and not one that looks like the token endpoint.
fn is_downstream(rest: &str) -> bool {
    let name = rest.split_once('/').map_or(rest, |(name, _)| name);
    matches!(name.as_bytes().first(), Some(b'a'..=b'z' | b'A'..=b'Z'))
        && !name.eq_ignore_ascii_case("token")
}

/// `application/json`, `text/json` or `application/*+json`, with or without parameters.
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

/// The plainest requests that deserve this status.
fn examples(status: StatusCode, credentials: &Credentials) -> Vec<Request<Bytes>> {
    let asked = |secret: &str| {
        let id = credentials.client_id().as_str();
        json!({ "clientId": id, "clientSecret": secret }).to_string()
    };
    let bodies = match status {
        StatusCode::OK => vec![asked(credentials.client_secret().expose())],
        StatusCode::FORBIDDEN => vec![asked("another")],
        // No client id, no client secret, no such object, no JSON.
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

/// What the documentation of [`Issuer`] says of headers, and nothing more.
fn framed(status: StatusCode, headers: &HeaderMap) {
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

/// A client gets a token out of the answer, or what the contract tells of the refusal.
fn readable(status: StatusCode, headers: HeaderMap, body: &Bytes, credentials: Credentials) {
    let mut response = Response::new(body.clone());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    let result = Exchange::new(Endpoint::default(), credentials).parse(response, RECEIVED);
    let envelope = match status.as_u16() {
        200 => {
            let Ok(grant) = result else {
                panic!("{body:?} grants nothing");
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
        _ => panic!("no answer of the contract: {status}"),
    };
    let Err(error) = result else {
        panic!("{status} grants a token");
    };
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(error.http_status(), Some(status));
    let told = error
        .rejection()
        .and_then(|rejection| Some(rejection.status()?.as_str()));
    assert_eq!(told, envelope, "{body:?}");
    if envelope.is_none() {
        let document: Option<Value> = serde_json::from_slice(body).ok();
        assert_eq!(document, Some(json!({ "statusCode": status.as_u16() })));
    }
}
