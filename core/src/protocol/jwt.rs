//! The claims of a JWT that limit its life.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::json::{Object, integer};

/// The registered claims that say how long a JWT lives (RFC 7519 §4.1), in seconds since the Unix
/// epoch. Nobody has verified them.
///
/// A claim that is not a number counts as absent. A fraction is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) exp: Option<i64>,
    pub(super) iat: Option<i64>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    exp: Option<&'a RawValue>,
    #[serde(borrow)]
    iat: Option<&'a RawValue>,
}

impl Claims {
    /// Reads the payload of a JWS in its compact form (RFC 7515 §7.1); of any other token, nothing.
    pub(super) fn read(id_token: &str) -> Self {
        Self::decode(id_token).unwrap_or_default()
    }

    fn decode(id_token: &str) -> Option<Self> {
        let mut segments = id_token.split('.');
        let (_header, payload, _signature) = (segments.next()?, segments.next()?, segments.next()?);
        if segments.next().is_some() {
            return None;
        }
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('='));
        let payload = Zeroizing::new(payload.ok()?);
        let payload = std::str::from_utf8(&payload).ok()?;
        let Object(payload) = serde_json::from_str::<Object<Payload<'_>>>(payload).ok()?;
        Some(Self {
            exp: payload.exp.and_then(numeric_date),
            iat: payload.iat.and_then(numeric_date),
        })
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the cast saturates and drops the fraction, as intended"
)]
fn numeric_date(claim: &RawValue) -> Option<i64> {
    integer(claim.get()).or_else(|| {
        let number = claim.get().parse::<f64>().ok();
        Some(number.filter(|it| it.is_finite())?.floor() as i64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(payload: &str) -> (Option<i64>, Option<i64>) {
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let claims = Claims::read(&format!("eyJhbGciOiJIUzI1NiJ9.{payload}.sig"));
        (claims.exp, claims.iat)
    }

    #[test]
    fn reads_numbers_and_skips_the_rest() {
        let long = format!(r#"{{"pad":"{}","exp":5}}"#, "x".repeat(5000));
        for (payload, expected) in [
            (r#"{"iat":1,"exp":2,"aud":["x"]}"#, (Some(2), Some(1))),
            (r#"{"exp":105.9,"iat":-1.5}"#, (Some(105), Some(-2))),
            (
                r#"{"exp":1e300,"iat":-1e300}"#,
                (Some(i64::MAX), Some(i64::MIN)),
            ),
            (r#"{"exp":99999999999999999999}"#, (Some(i64::MAX), None)),
            (r#"{"exp":1e400,"iat":1}"#, (None, Some(1))),
            (r#"{"exp":"105","iat":true}"#, (None, None)),
            (r#"{"exp":null,"iat":[1,{"a":2}]}"#, (None, None)),
            (r#"{"exp":1,"x":"\ud800","y":1e400}"#, (Some(1), None)),
            (r#"{"exp":1,"exp":2}"#, (None, None)),
            (r#"{"exp":1} x"#, (None, None)),
            ("[1,2]", (None, None)),
            ("not json", (None, None)),
            ("{}", (None, None)),
            (&long, (Some(5), None)),
        ] {
            assert_eq!(claims(payload), expected, "{payload:.60}");
        }
    }

    #[test]
    fn reads_three_segments_only() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"exp":1}"#);
        for (token, exp) in [
            (format!("a.{payload}.c"), Some(1)),
            (format!("a.{payload}==.c"), Some(1)),
            (format!(".{payload}."), Some(1)),
            (format!("a.{payload}"), None),
            (format!("a.{payload}.c.d"), None),
            ("a.!.c".to_owned(), None),
            ("opaque".to_owned(), None),
        ] {
            assert_eq!(Claims::read(&token).exp, exp, "{token}");
        }
    }
}
