//! A second reader of answers: it builds the whole document first, and judges it by the table.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meshconnect_auth_core::{AuthenticationStatus, ErrorKind};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::exchange::{Reading, TEN_YEARS};

/// What the table of answers makes of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Granted(Reading),
    Refused(ErrorKind),
    /// Granted for ten years or refused for what it says: `serde_json` hands out `1e30` and thirty
    /// digits alike, and only the latter are an integer.
    Undecided,
}

impl Verdict {
    /// The second reader's verdict on the body of a 200.
    pub(crate) fn on(body: &[u8]) -> Self {
        judge(body).unwrap_or(Self::Refused(ErrorKind::Malformed))
    }
}

/// No valid answer.
struct Malformed;

fn judge(body: &[u8]) -> Result<Verdict, Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document: Document = serde_json::from_str(text).map_err(|_| Malformed)?;
    let status = document.text("status")?;
    for name in [
        "message",
        "displayMessage",
        "errorHash",
        "errorType",
        "teamCode",
    ] {
        document.text(name)?;
    }
    document.once("errorData")?;
    let content = document.once("content")?;
    // An empty one says no more than none.
    let status = status.filter(|status| !status.is_empty());
    if status.ok_or(Malformed)? != "ok" {
        return Ok(Verdict::Refused(ErrorKind::Rejected));
    }

    let content = content.ok_or(Malformed)?;
    let id_token = content.text("id_token")?;
    let status = content.text("status")?;
    let expires_in = match content.once("expires_in")? {
        None => None,
        Some(Document::Integer(seconds)) => Some(*seconds),
        Some(Document::Float(seconds)) if *seconds > 1e19 => return Ok(Verdict::Undecided),
        // A whole number all the same, and as little a lifetime as any other below zero.
        Some(Document::Float(seconds)) if *seconds <= -(2_f64.powi(63)) => Some(i128::MIN),
        Some(Document::Text(text))
            if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) =>
        {
            Some(text.parse().unwrap_or(i128::MAX))
        }
        Some(_) => return Err(Malformed),
    };
    let Some(id_token) = id_token.filter(|text| !text.is_empty()) else {
        return match status {
            Some("failed") => Ok(Verdict::Refused(ErrorKind::AuthenticationFailed)),
            Some("mfaRequired") => Ok(Verdict::Refused(ErrorKind::MfaRequired)),
            _ => Err(Malformed),
        };
    };

    let end = id_token.find('=').unwrap_or(id_token.len());
    let (characters, padding) = id_token.split_at(end);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    if characters.is_empty()
        || !characters.chars().all(allowed)
        || !padding.chars().all(|c| c == '=')
    {
        return Err(Malformed);
    }
    // There is no Date, so the claims matter only where nothing else tells.
    let seconds = expires_in
        .or_else(|| claimed_lifetime(id_token))
        .unwrap_or(300);
    let seconds = seconds.min(i128::from(TEN_YEARS.as_secs()));
    let seconds = u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .ok_or(Malformed)?;
    Ok(Verdict::Granted(Reading {
        id_token: id_token.to_owned(),
        lifetime: Duration::from_secs(seconds),
        status: status.map(AuthenticationStatus::from),
    }))
}

/// `exp - iat` of a JWT.
fn claimed_lifetime(id_token: &str) -> Option<i128> {
    let (exp, iat) = claims(id_token)?;
    let lifetime = exp?.checked_sub(iat?)?;
    Some(lifetime.clamp(i128::from(i64::MIN), i128::from(i64::MAX)))
}

/// `exp` and `iat` of a JWT, in whole seconds within the range of an `i64`.
pub(crate) fn claims(id_token: &str) -> Option<(Option<i128>, Option<i128>)> {
    let segments: Vec<&str> = id_token.split('.').collect();
    let [_, payload, _] = segments.as_slice() else {
        return None;
    };
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Document = serde_json::from_str(std::str::from_utf8(&payload).ok()?).ok()?;
    let Document::Object(_) = claims else {
        return None;
    };
    let time = |name: &str| match claims.last(name)? {
        Document::Integer(seconds) => {
            Some((*seconds).clamp(i128::from(i64::MIN), i128::from(i64::MAX)))
        }
        #[allow(
            clippy::cast_possible_truncation,
            reason = "saturates, as a date out of range does"
        )]
        Document::Float(seconds) => Some(i128::from(seconds.floor() as i64)),
        _ => None,
    };
    Some((time("exp"), time("iat")))
}

/// A whole JSON document, with every member in its place: unlike a map, it forgets no duplicate.
enum Document {
    Null,
    Integer(i128),
    Float(f64),
    Text(String),
    Object(Vec<(String, Document)>),
    /// A list or a boolean, which nothing here looks into.
    Other,
}

impl Document {
    /// A member that may stand once; `null` is the same as none.
    fn once(&self, name: &str) -> Result<Option<&Self>, Malformed> {
        let Self::Object(members) = self else {
            return Err(Malformed);
        };
        let mut found = members
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Malformed),
            (Some(Self::Null) | None, None) => Ok(None),
            (value, None) => Ok(value),
        }
    }

    /// A string that may stand once.
    fn text(&self, name: &str) -> Result<Option<&str>, Malformed> {
        match self.once(name)? {
            None => Ok(None),
            Some(Self::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Malformed),
        }
    }

    fn last(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        members
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Document, E> {
        Ok(Document::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Document, E> {
        Ok(Document::Integer(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Document, E> {
        Ok(Document::Integer(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Document, E> {
        Ok(Document::Float(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Document, E> {
        Ok(Document::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Document, A::Error> {
        while seq.next_element::<Document>()?.is_some() {}
        Ok(Document::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Document::Object(members))
    }
}
