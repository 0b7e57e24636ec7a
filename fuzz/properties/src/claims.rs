//! The claims of a token can shorten its lifetime, but never extend it.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Response;
use http::header::{DATE, HeaderValue};
use meshconnect_auth_core::{Error, ErrorKind, Grant, Moment, Token};
use serde_json::json;

use crate::exchange::{RECEIVED, SECRETS, TEN_YEARS, exchange};
use crate::naive_reader;
use crate::retry_after::http_date;

/// Checks that the claims are those that the naive reader finds, and that the lifetime is the
/// shortest known one. Claims never extend an `expires_in`, and an expiry overflows at no reading
/// of the clock.
pub fn claims(id_token: &str, expires_in: Option<i64>, date: Option<&HeaderValue>) {
    if Token::new(id_token, SystemTime::UNIX_EPOCH).is_err() {
        let refused = grant(id_token, Some(3600), date).map_err(|error| error.kind());
        let refused = refused.map(|_| ()).err();
        assert_eq!(refused, Some(ErrorKind::Malformed), "{id_token:?}");
        return;
    }
    let claims = naive_reader::claims(id_token);
    let (exp, iat) = claims.map_or((None, None), |claims| (claims.exp, claims.iat));

    let date_read = date.and_then(|date| http_date(date, RECEIVED.wall));
    let left = exp
        .zip(date_read)
        .and_then(|(exp, date)| exp.checked_sub(date.into()));
    let span = exp.zip(iat).and_then(|(exp, iat)| exp.checked_sub(iat));
    let announced = expires_in.map(i128::from);
    let soonest = announced.into_iter().chain(left).min();
    let seconds = soonest.or(span).unwrap_or(300);
    let expected = u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(|seconds| Duration::from_secs(seconds).min(TEN_YEARS));
    let lifetime = lifetime(id_token, expires_in, date);
    assert_eq!(
        lifetime, expected,
        "{id_token} with {expires_in:?} at {date:?}"
    );
    if expires_in.is_some() {
        let alone = self::lifetime("opaque", expires_in, date);
        assert!(
            lifetime <= alone,
            "{id_token} extends the lifetime from {alone:?} to {lifetime:?}"
        );
    }

    for wall in [Duration::ZERO, RECEIVED.wall, Duration::MAX] {
        let sent = Moment {
            mono: Duration::MAX,
            wall,
        };
        if let Ok(grant) = grant(id_token, expires_in, date) {
            let end = wall.saturating_add(grant.lifetime());
            let end = SystemTime::UNIX_EPOCH.checked_add(end);
            assert_eq!(
                grant.into_token(sent).expires_at(),
                end.unwrap_or(SystemTime::UNIX_EPOCH)
            );
        }
    }
}

/// Calls [`claims`] with a `Date` from the first line of `bytes` and an `expires_in` from the
/// second. The rest is used both as a token and as the payload of a JWT.
pub fn claims_bytes(bytes: &[u8]) {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (date, expires_in, rest) = (line(), line(), line());
    let date = HeaderValue::from_bytes(date).ok();
    let date = date.as_ref().filter(|date| !date.is_empty());
    let expires_in = std::str::from_utf8(expires_in)
        .unwrap_or_default()
        .parse()
        .ok();
    let jwt = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(rest));
    claims(&jwt, expires_in, date);
    if let Ok(token) = std::str::from_utf8(rest) {
        claims(token, expires_in, date);
    }
}

fn grant(
    id_token: &str,
    expires_in: Option<i64>,
    date: Option<&HeaderValue>,
) -> Result<Grant, Error> {
    let content = json!({ "id_token": id_token, "expires_in": expires_in });
    let body = json!({ "status": "ok", "content": content }).to_string();
    let mut response = Response::new(body.into_bytes());
    if let Some(date) = date {
        response.headers_mut().insert(DATE, date.clone());
    }
    exchange(SECRETS[0]).parse(response, RECEIVED)
}

/// Returns the granted lifetime, if any.
fn lifetime(
    id_token: &str,
    expires_in: Option<i64>,
    date: Option<&HeaderValue>,
) -> Option<Duration> {
    match grant(id_token, expires_in, date) {
        Ok(grant) => Some(grant.lifetime()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Malformed, "{id_token}");
            None
        }
    }
}
