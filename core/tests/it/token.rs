//! The token, and the lifetime of a grant.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::DATE;
use http::{HeaderMap, Response};
use meshconnect_auth_core::{
    AuthenticationStatus, Credentials, Endpoint, Exchange, Grant, Moment, Token,
};

const NOW: Moment = Moment {
    mono: Duration::from_secs(1),
    wall: Duration::from_secs(1000),
};

const TEN_YEARS: u64 = 315_360_000;

/// The lifetime without `expires_in`, `exp` and `iat`.
const FALLBACK: u64 = 300;

/// Returns the grant of an answer, whose `Date` is in seconds since the Unix epoch.
fn granted(
    id_token: &str,
    expires_in: Option<i64>,
    status: Option<&str>,
    date: Option<u64>,
) -> Result<Grant, String> {
    let body = serde_json::json!({
        "status": "ok",
        "content": {"id_token": id_token, "expires_in": expires_in, "status": status},
    });
    let mut headers = HeaderMap::new();
    if let Some(date) = date {
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(date);
        let date = httpdate::fmt_http_date(date);
        headers.insert(DATE, date.parse().unwrap());
    }
    let mut response = Response::new(body.to_string().into_bytes());
    *response.headers_mut() = headers;
    let credentials = Credentials::new("id", "secret").unwrap();
    Exchange::new(Endpoint::default(), credentials)
        .parse(response, NOW)
        .map_err(|error| {
            let line = error.to_string();
            let (_, reason) = line.split_once("not a valid answer: ").unwrap();
            let (reason, _) = reason.rsplit_once(" (").unwrap();
            reason.to_owned()
        })
}

fn lifetime(token: &str, expires_in: Option<i64>, date: Option<u64>) -> Result<u64, String> {
    let grant = granted(token, expires_in, None, date)?;
    assert_eq!(grant.lifetime().subsec_nanos(), 0);
    Ok(grant.lifetime().as_secs())
}

fn jwt(payload: &str) -> String {
    format!(
        "eyJhbGciOiJIUzI1NiJ9.{}.sig",
        URL_SAFE_NO_PAD.encode(payload)
    )
}

#[test]
fn the_shortest_known_lifetime_counts() {
    const NOT_POSITIVE: &str = "its expires_in is not positive";
    const EXPIRED: &str = "its token had expired when it arrived";
    const CHARACTER: &str = "its id_token has a character that a header must not contain";
    let timed = &jwt(r#"{"iat":1000,"exp":4600}"#);
    let opaque = "opaque";
    for (token, expires_in, date, expected) in [
        (opaque, Some(3600), None, Ok(3600)),
        (opaque, Some(1), Some(5), Ok(1)),
        (opaque, None, Some(5), Ok(FALLBACK)),
        (opaque, Some(i64::MAX), None, Ok(TEN_YEARS)),
        (opaque, Some(0), None, Err(NOT_POSITIVE)),
        (opaque, Some(-1), None, Err(NOT_POSITIVE)),
        (opaque, Some(i64::MIN), None, Err(NOT_POSITIVE)),
        // A token from the server's cache expires sooner than its `expires_in`.
        (timed, Some(3600), Some(4000), Ok(600)),
        (timed, Some(60), Some(4000), Ok(60)),
        (timed, Some(3600), None, Ok(3600)),
        (timed, None, Some(4000), Ok(600)),
        (timed, None, None, Ok(3600)),
        (timed, Some(3600), Some(4600), Err(EXPIRED)),
        (timed, None, Some(9999), Err(EXPIRED)),
        ("a.!.c", Some(9), Some(5), Err(CHARACTER)),
        ("a.e30.c.d", Some(9), Some(5), Ok(9)),
    ] {
        assert_eq!(
            lifetime(token, expires_in, date),
            expected.map_err(str::to_owned),
            "{token} {expires_in:?} {date:?}"
        );
    }
}

/// For each payload: the lifetime without a `Date`, and with one five seconds after the epoch.
#[test]
fn the_claims_of_a_jwt_limit_its_lifetime() {
    const EXPIRED: Result<u64, &str> = Err("its token had expired when it arrived");
    let long = format!(r#"{{"pad":"{}","exp":105}}"#, "x".repeat(5000));
    for (payload, without, with) in [
        (r#"{"iat":100,"exp":105,"aud":["x"]}"#, Ok(5), Ok(100)),
        (r#"{"exp":105}"#, Ok(FALLBACK), Ok(100)),
        // A fraction is dropped.
        (r#"{"exp":105.9}"#, Ok(FALLBACK), Ok(100)),
        (r#"{"exp":105.9,"iat":-1.5}"#, Ok(107), Ok(100)),
        (r#"{"exp":1e300}"#, Ok(FALLBACK), Ok(TEN_YEARS)),
        (
            r#"{"exp":1e300,"iat":-1e300}"#,
            Ok(TEN_YEARS),
            Ok(TEN_YEARS),
        ),
        (r#"{"exp":5,"iat":1e300}"#, EXPIRED, EXPIRED),
        (
            r#"{"exp":99999999999999999999}"#,
            Ok(FALLBACK),
            Ok(TEN_YEARS),
        ),
        (r#"{"exp":-9223372036854775808}"#, Ok(FALLBACK), EXPIRED),
        // A claim that is not a number counts as absent.
        (r#"{"exp":1e400,"iat":1}"#, Ok(FALLBACK), Ok(FALLBACK)),
        (r#"{"exp":"105","iat":true}"#, Ok(FALLBACK), Ok(FALLBACK)),
        (r#"{"exp":105,"iat":true}"#, Ok(FALLBACK), Ok(100)),
        (
            r#"{"exp":null,"iat":[1,{"a":2}]}"#,
            Ok(FALLBACK),
            Ok(FALLBACK),
        ),
        (
            r#"{"exp":105,"x":"\ud800","y":1e400}"#,
            Ok(FALLBACK),
            Ok(100),
        ),
        (r#"{"exp":105,"exp":106}"#, Ok(FALLBACK), Ok(FALLBACK)),
        (r#"{"exp":105} x"#, Ok(FALLBACK), Ok(FALLBACK)),
        ("[105,100]", Ok(FALLBACK), Ok(FALLBACK)),
        ("not json", Ok(FALLBACK), Ok(FALLBACK)),
        ("{}", Ok(FALLBACK), Ok(FALLBACK)),
        (&long, Ok(FALLBACK), Ok(100)),
    ] {
        for (date, expected) in [(None, without), (Some(5), with)] {
            assert_eq!(
                lifetime(&jwt(payload), None, date),
                expected.map_err(str::to_owned),
                "{payload:.60} {date:?}"
            );
        }
    }
}

#[test]
fn a_jwt_has_three_segments() {
    let payload = URL_SAFE_NO_PAD.encode(r#"{"exp":105}"#);
    for (token, seconds) in [
        (format!("a.{payload}.c"), 100),
        (format!("a.{payload}.c=="), 100),
        (format!(".{payload}."), 100),
        (format!("a.{payload}"), FALLBACK),
        (format!("a.{payload}.c.d"), FALLBACK),
        ("a.~.c".to_owned(), FALLBACK),
        ("opaque".to_owned(), FALLBACK),
    ] {
        assert_eq!(lifetime(&token, None, Some(5)), Ok(seconds), "{token}");
    }
}

#[test]
fn accepts_the_characters_of_rfc_6750_only() {
    for good in ["a", "A9-._~+/", "a==", "a.b.c"] {
        let token = Token::new(good, SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(token.id_token(), good);
        assert_eq!(token.header_value(), &format!("Bearer {good}"));
        assert!(token.header_value().is_sensitive());
    }
    for bad in [
        "",
        "=",
        "===",
        "a=b",
        "a b",
        "a\r\nX: y",
        "a\u{0}",
        "é",
        "a,b",
        "\"a\"",
    ] {
        assert!(Token::new(bad, SystemTime::UNIX_EPOCH).is_err(), "{bad:?}");
    }
}

#[test]
fn the_lifetime_counts_from_the_request() {
    let sent = Moment {
        mono: Duration::ZERO,
        wall: Duration::from_secs(900),
    };
    let grant = granted("abc", Some(60), Some("available"), None).unwrap();
    let token = grant.into_token(sent);
    let expiry = token.expires_at().duration_since(SystemTime::UNIX_EPOCH);
    assert_eq!(expiry.unwrap(), Duration::from_secs(960));
    assert_eq!(token.status(), Some(&AuthenticationStatus::Available));
}

#[test]
fn debug_shows_no_token() {
    let grant = granted("canary-token", Some(60), None, None).unwrap();
    let shown = format!("{grant:?}");
    let token = grant.into_token(NOW);
    let shown = format!("{shown} {token:?} {:?}", token.header_value());
    assert!(!shown.contains("canary"), "{shown}");
}
