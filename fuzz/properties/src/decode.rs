//! Any response is read without a panic as a usable token or an error, neither of which shows a
//! secret.

use std::error::Error as _;
use std::iter;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Response, StatusCode};
use meshconnect_auth_core::{
    AuthenticationStatus, BodyBuffer, Error, ErrorKind, Exchange, Grant, TransportError,
    TransportErrorKind,
};

use crate::exchange::{BEARER, Granted, RECEIVED, SECRETS, TEN_YEARS, exchange};
use crate::raw_message::response;
use crate::reveal::reveals;

/// The server's text is cut to 1 KiB or 8 KiB, plus an ellipsis.
const LONGEST_EXCERPT: usize = 1024;
const LONGEST_FIELD: usize = 8 * 1024;

/// Checks that any response is read without a panic as a usable token or an error, neither of which
/// shows a secret. The result does not depend on the chunks. [`response`] reads `data`.
pub fn decode(data: &[u8]) {
    let (head, body) = response(data).into_parts();
    check_chunking(&exchange(SECRETS[0]), &body);
    for secret in SECRETS {
        let exchange = exchange(secret);
        let parse =
            |body: BodyBuffer| exchange.parse(Response::from_parts(head.clone(), body), RECEIVED);
        let checked = |result: Result<Grant, Error>| match result {
            Ok(grant) => {
                assert!(head.status.is_success(), "{} granted a token", head.status);
                Ok(check_grant(grant, &exchange, &[secret, BEARER]))
            }
            Err(error) => {
                check_error(&error, head.status);
                check_hidden(&error, &[secret, BEARER]);
                Err(format!("{error:?}"))
            }
        };

        let whole = checked(parse(body.as_slice().into()));
        let mut by_byte = BodyBuffer::new(body.len(), &HeaderMap::new());
        assert!(body.chunks(1).all(|byte| by_byte.push(byte)));
        let by_byte = parse(by_byte)
            .map(Granted::of)
            .map_err(|error| format!("{error:?}"));
        assert_eq!(by_byte, whole, "reading byte by byte gives another result");

        let mut limited = BodyBuffer::new(body.len().saturating_sub(1), &HeaderMap::new());
        assert_eq!(
            limited.push(&body),
            body.is_empty(),
            "the limit is not applied"
        );
        let limited = checked(parse(limited));
        assert!(
            limited.is_err() || limited == whole,
            "an overlong body granted a token"
        );

        let mut torn = BodyBuffer::new(BodyBuffer::DEFAULT_LIMIT, &head.headers);
        torn.push(&body);
        torn.broken(TransportError::with_detail(
            TransportErrorKind::Broken,
            secret,
        ));
        assert!(checked(parse(torn)).is_err(), "a torn body granted a token");

        let result = exchange.parse_as::<serde_json::Value>(Response::from_parts(
            head.clone(),
            BodyBuffer::from(body.as_slice()),
        ));
        if let Err(error) = result {
            check_error(&error, head.status);
            check_hidden(&error, &[secret, BEARER]);
        }
    }
}

/// Checks that a body reads back from chunks of any size, with and without a `Content-Length`. The
/// document has one character for each byte of `body`.
fn check_chunking(exchange: &Exchange, body: &[u8]) {
    let written: String = body.iter().copied().map(char::from).collect();
    let document = serde_json::json!({ "status": "ok", "content": written }).to_string();
    let announced = HeaderMap::from_iter([(CONTENT_LENGTH, document.len().into())]);
    for size in [1, 2, 3, 7, 16, 63, 64, 100, 1000, 4096, document.len()] {
        for headers in [&announced, &HeaderMap::new()] {
            let mut chunked = BodyBuffer::new(document.len(), headers);
            assert!(
                document
                    .as_bytes()
                    .chunks(size)
                    .all(|chunk| chunked.push(chunk)),
                "a body within the limit was refused in chunks of {size} bytes"
            );
            let read = exchange.parse_as::<String>(Response::new(chunked));
            assert_eq!(
                read.ok().and_then(|read| read.content).as_ref(),
                Some(&written),
                "chunks of {size} bytes give another result"
            );
        }
    }
}

/// Checks a grant and its `Debug` output, and returns its contents.
fn check_grant(grant: Grant, exchange: &Exchange, secrets: &[&str]) -> Granted {
    let lifetime = grant.lifetime();
    assert!(
        lifetime > Duration::ZERO && lifetime <= TEN_YEARS,
        "the lifetime {lifetime:?} is out of range"
    );
    let status = grant.status().cloned();
    let shown = format!("{grant:?}");
    let token = grant.into_token(RECEIVED);
    let id_token = token.id_token();

    // RFC 6750, section 2.1: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
    let characters = id_token.trim_end_matches('=');
    assert!(!characters.is_empty(), "{id_token:?} is not a Bearer token");
    for c in characters.chars() {
        assert!(
            c.is_ascii_alphanumeric() || "-._~+/".contains(c),
            "{c:?} in a Bearer token"
        );
    }
    assert_eq!(token.header_value(), &format!("Bearer {id_token}"));
    assert!(token.header_value().is_sensitive());

    // The `Debug` output depends only on the lifetime and the status, and the status shows no
    // secret.
    let document = serde_json::json!({
        "status": "ok",
        "content": { "id_token": "reference", "expires_in": lifetime.as_secs(), "status": status },
    });
    let reference = exchange.parse(Response::new(document.to_string().into_bytes()), RECEIVED);
    match reference {
        Ok(reference) => {
            assert_eq!(shown, format!("{reference:?}"));
            assert_eq!(
                format!("{token:?}"),
                format!("{:?}", reference.into_token(RECEIVED))
            );
        }
        Err(error) => panic!("the reference of {shown} is refused: {error}"),
    }
    let text = status.as_ref().map_or("", |status| status.as_str());
    for secret in iter::once(id_token).chain(secrets.iter().copied()) {
        let short = secret.len() < 8
            || AuthenticationStatus::KNOWN
                .iter()
                .any(|known| known.as_str() == text);
        assert!(
            short || !reveals(text, secret),
            "the status {text:?} shows a secret"
        );
    }
    Granted {
        id_token: id_token.to_owned(),
        lifetime,
        status,
    }
}

fn check_error(error: &Error, status: StatusCode) {
    assert_eq!(error.http_status(), Some(status));
    let expected = match status.as_u16() {
        200..=299 => error.kind(),
        429 => ErrorKind::Throttled,
        408 | 425 | 500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Refused,
    };
    assert_eq!(error.kind(), expected, "{status}");
    assert_eq!(error.attempts(), 1);
    assert!(
        error
            .excerpt()
            .is_none_or(|text| text.len() <= LONGEST_EXCERPT)
    );
    let fields = error.rejection().into_iter().flat_map(|rejection| {
        [
            rejection.message(),
            rejection.display_message(),
            rejection.error_hash(),
            rejection.error_type(),
            rejection.error_data(),
            rejection.team_code(),
        ]
    });
    for field in fields.flatten() {
        assert!(!field.is_empty(), "an empty field is present");
        assert!(
            field.len() <= LONGEST_FIELD,
            "a field of {} bytes",
            field.len()
        );
    }
    let line = error.to_string();
    assert!(
        !line.chars().any(char::is_control),
        "a control character in {line:?}"
    );
    let report = error.report().to_string().replace("\n  ", "");
    assert!(
        !report.chars().any(char::is_control),
        "a forged line in {report:?}"
    );
}

/// Checks that no text of an error contains one of the secrets.
fn check_hidden(error: &Error, secrets: &[&str]) {
    let mut texts = vec![
        error.to_string(),
        error.report().to_string(),
        format!("{error:?}"),
    ];
    let mut source = error.source();
    while let Some(error) = source {
        texts.extend([error.to_string(), format!("{error:?}")]);
        source = error.source();
    }
    let rejection = error.rejection();
    let fields = [
        rejection.and_then(|rejection| Some(rejection.status()?.as_str())),
        rejection.and_then(|rejection| rejection.message()),
        rejection.and_then(|rejection| rejection.display_message()),
        rejection.and_then(|rejection| rejection.error_hash()),
        rejection.and_then(|rejection| rejection.error_type()),
        rejection.and_then(|rejection| rejection.error_data()),
        rejection.and_then(|rejection| rejection.team_code()),
        error.excerpt(),
        error.content_type(),
        error.date(),
        error.www_authenticate(),
    ];
    texts.extend(fields.into_iter().flatten().map(str::to_owned));
    texts.extend(error.trace_ids().map(|(_, value)| value.to_owned()));
    for text in texts {
        for secret in secrets {
            assert!(!reveals(&text, secret), "{secret:?} shows in {text:?}");
        }
    }
}
