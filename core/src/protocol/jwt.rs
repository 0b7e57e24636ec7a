//! The claims of a JWT that limit its life.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::json::{Object, integer};

/// The registered claims about the lifetime of a JWT (RFC 7519 §4.1), in seconds since the Unix epoch.
/// The signature is not verified.
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
    /// Reads the payload of a JWS in its compact form (RFC 7515 §7.1). Any other token has no claims.
    pub(super) fn read(id_token: &str) -> Self {
        Self::decode(id_token).unwrap_or_default()
    }

    fn decode(id_token: &str) -> Option<Self> {
        let mut dots = memchr::memchr_iter(b'.', id_token.as_bytes());
        let (before, after) = (dots.next()?, dots.next()?);
        let payload = id_token.get(before.checked_add(1)?..after)?;
        if dots.next().is_some() {
            return None;
        }
        let payload = URL_SAFE_NO_PAD.decode(payload);
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
