//! A naive reader of responses and claims: it splits an object into names and raw values, and reads
//! the members of the contract one by one.
//!
//! `serde_json` does not parse the raw values, so the value of an unknown member is never read.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meshconnect_auth_core::{AuthenticationStatus, ErrorKind};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Number;
use serde_json::value::RawValue;

use crate::exchange::{Granted, TEN_YEARS};

/// The result of reading a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Granted(Granted),
    Refused(ErrorKind),
}

impl Verdict {
    /// Reads the body of a 200.
    pub(crate) fn on(body: &[u8]) -> Self {
        judge(body).unwrap_or(Self::Refused(ErrorKind::Malformed))
    }
}

/// The body is not a valid response.
struct Malformed;

/// Returns the kind of a 2xx whose envelope has this status, which is not `ok`.
pub(crate) fn refused_as(status: &str) -> ErrorKind {
    match status {
        "tooManyRequest" => ErrorKind::Throttled,
        "serverFailure" => ErrorKind::Unavailable,
        _ => ErrorKind::Refused,
    }
}

fn judge(body: &[u8]) -> Result<Verdict, Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let envelope = Members::read(text).ok_or(Malformed)?;
    let status = envelope.text("status")?;
    for name in [
        "message",
        "displayMessage",
        "errorHash",
        "errorType",
        "teamCode",
    ] {
        envelope.once(name)?;
    }
    envelope.once("errorData")?;
    let content = envelope.once("content")?;
    // An empty status is the same as a missing one.
    let status = status.filter(|status| !status.is_empty());
    let status = status.ok_or(Malformed)?;
    if status != "ok" {
        return Ok(Verdict::Refused(refused_as(&status)));
    }

    let content = Members::read(content.ok_or(Malformed)?).ok_or(Malformed)?;
    let id_token = content.text("id_token")?;
    let status = content.text("status")?;
    let expires_in = content.once("expires_in")?.map(whole_seconds).transpose()?;
    let Some(id_token) = id_token.filter(|text| !text.is_empty()) else {
        return match status.as_deref() {
            Some("failed") => Ok(Verdict::Refused(ErrorKind::AuthenticationFailed)),
            Some("mfaRequired") => Ok(Verdict::Refused(ErrorKind::MfaRequired)),
            _ => Err(Malformed),
        };
    };
    if !is_bearer(&id_token) {
        return Err(Malformed);
    }
    // Without a `Date`, the claims matter only if there is no `expires_in`.
    let seconds = expires_in
        .or_else(|| claimed_lifetime(&id_token))
        .unwrap_or(300);
    let seconds = seconds.min(i128::from(TEN_YEARS.as_secs()));
    let seconds = u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .ok_or(Malformed)?;
    Ok(Verdict::Granted(Granted {
        id_token,
        lifetime: Duration::from_secs(seconds),
        status: status.as_deref().map(AuthenticationStatus::from),
    }))
}

/// Reads an `expires_in`: an integer or a string of digits. A float beyond the range of 64-bit
/// integers counts as an integer, because it has no fraction.
fn whole_seconds(value: &str) -> Result<i128, Malformed> {
    if let Some(text) = string(value) {
        let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        return digits
            .then(|| text.parse().unwrap_or(i128::MAX))
            .ok_or(Malformed);
    }
    let number = number(value).ok_or(Malformed)?;
    match (integer(&number), number.as_f64()) {
        (Some(seconds), _) => Ok(seconds),
        (None, Some(seconds)) if seconds >= 2_f64.powi(64) => Ok(i128::MAX),
        (None, Some(seconds)) if seconds <= -(2_f64.powi(63)) => Ok(i128::MIN),
        _ => Err(Malformed),
    }
}

/// Returns whether a text is a token of RFC 6750, section 2.1: 1*( ALPHA / DIGIT / "-" / "." / "_"
/// / "~" / "+" / "/" ) *"="
fn is_bearer(id_token: &str) -> bool {
    let end = id_token.find('=').unwrap_or(id_token.len());
    let (characters, padding) = id_token.split_at(end);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    !characters.is_empty() && characters.chars().all(allowed) && padding.chars().all(|c| c == '=')
}

/// Returns `exp - iat` of a JWT.
fn claimed_lifetime(id_token: &str) -> Option<i128> {
    let claims = claims(id_token)?;
    let lifetime = claims.exp?.checked_sub(claims.iat?)?;
    Some(lifetime.clamp(i128::from(i64::MIN), i128::from(i64::MAX)))
}

/// The times in a JWT, in whole seconds within the range of an `i64`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) exp: Option<i128>,
    pub(crate) iat: Option<i128>,
}

/// Reads the claims of a JWT.
pub(crate) fn claims(id_token: &str) -> Option<Claims> {
    let segments: Vec<&str> = id_token.split('.').collect();
    let [_, payload, _] = segments.as_slice() else {
        return None;
    };
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let members = Members::read(std::str::from_utf8(&payload).ok()?)?;
    let [exp, iat] = ["exp", "iat"].map(|name| members.once(name));
    let (exp, iat) = (exp.ok()?, iat.ok()?);
    Some(Claims {
        exp: exp.and_then(numeric_date),
        iat: iat.and_then(numeric_date),
    })
}

fn numeric_date(value: &str) -> Option<i128> {
    let number = number(value)?;
    let seconds = match integer(&number) {
        Some(seconds) => seconds,
        #[allow(
            clippy::cast_possible_truncation,
            reason = "saturates, as a date out of range does"
        )]
        None => number.as_f64()?.floor() as i128,
    };
    Some(seconds.clamp(i128::from(i64::MIN), i128::from(i64::MAX)))
}

/// Returns the text of a JSON string, if `value` is one.
fn string(value: &str) -> Option<String> {
    let is_string = value.starts_with('"');
    is_string.then(|| serde_json::from_str(value).ok())?
}

/// Returns a JSON number, if `value` is one and in range.
fn number(value: &str) -> Option<Number> {
    let is_number = value.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    is_number.then(|| serde_json::from_str(value).ok())?
}

fn integer(number: &Number) -> Option<i128> {
    let signed = number.as_i64().map(i128::from);
    signed.or_else(|| number.as_u64().map(i128::from))
}

/// The members of an object in their order. Unlike a map, it keeps duplicates.
struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// Reads a text that is exactly one object.
    fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Returns the raw value of a member that may occur once. `null` is the same as a missing
    /// member.
    fn once(&self, name: &str) -> Result<Option<&str>, Malformed> {
        let mut found = self.0.iter().filter(|(key, _)| key == name);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Malformed),
            (value, None) => Ok(value
                .map(|(_, value)| value.get())
                .filter(|value| *value != "null")),
        }
    }

    /// Returns the text of a member that may occur once.
    fn text(&self, name: &str) -> Result<Option<String>, Malformed> {
        let value = self.once(name)?;
        value
            .map(|value| string(value).ok_or(Malformed))
            .transpose()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}
