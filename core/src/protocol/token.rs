//! What a good answer grants: the token as a header value, and how long it is good for.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroize;

use super::secret::Secret;
use crate::config::Config;
use crate::error::Error;
use crate::json::{Name, Scanner, Skipped, arbitrary_number};
use crate::moment::Moment;
use crate::wire::AuthenticationStatus;

/// The scheme, with the space that follows it (RFC 6750 §2.1).
const SCHEME: &str = "Bearer ";

/// The lifetime of a token about which nothing is known.
pub(crate) const UNKNOWN_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// Ten years: a longer lifetime is cut to this.
pub(crate) const LONGEST_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// An access token, ready to be sent.
///
/// A clone is a reference count; the one buffer with the token is wiped when the last clone, and
/// the last header value taken from it, is dropped. `Debug` does not show the token.
#[derive(Clone)]
pub struct Token(Arc<Inner>);

struct Inner {
    header: HeaderValue,
    expires_at: SystemTime,
    status: Option<AuthenticationStatus>,
}

impl Token {
    /// Makes a token that came from elsewhere: from another process, or for a test.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) where `id_token` is not a
    /// Bearer token (RFC 6750 §2.1): letters, digits and `-._~+/`, then any number of `=`.
    pub fn new(id_token: &str, expires_at: SystemTime) -> Result<Self, Error> {
        let Some(header) = bearer(id_token) else {
            return Err(Error::configuration(
                "the token has a character that cannot stand in an Authorization header \
                 (RFC 6750, section 2.1), or none at all",
            ));
        };
        Ok(Self(Arc::new(Inner {
            header,
            expires_at,
            status: None,
        })))
    }

    /// The value for an `Authorization` header, `Bearer …`, marked as sensitive.
    #[must_use]
    pub fn header_value(&self) -> &HeaderValue {
        &self.0.header
    }

    /// The token itself, without the scheme (the contract's `id_token`). It is a secret.
    #[must_use]
    pub fn id_token(&self) -> &str {
        let header = self.0.header.to_str().unwrap_or_default();
        header.strip_prefix(SCHEME).unwrap_or_default()
    }

    /// When the token expires, by this machine's wall clock and counted from before it was asked
    /// for, so that it errs on the early side.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.0.expires_at
    }

    /// What the answer said of the authentication (the contract's `content.status`), if anything.
    #[must_use]
    pub fn status(&self) -> Option<&AuthenticationStatus> {
        self.0.status.as_ref()
    }

    /// The claims of the token, if it is a JWT. Its signature is not checked: that is for whoever
    /// the token is for, and nobody else should decide anything by them.
    #[must_use]
    pub fn unverified_claims(&self) -> Option<Claims> {
        Claims::read(self.id_token())
    }
}

impl PartialEq for Token {
    /// Whether it is the same token, whatever is known of its life.
    fn eq(&self, other: &Self) -> bool {
        self.0.header == other.0.header
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("expires_at", &self.0.expires_at)
            .field("status", &self.0.status)
            .finish_non_exhaustive()
    }
}

/// What a good answer grants: a token, and for how long. It has no expiry yet, because that
/// depends on when it was asked for; [`into_token`](Self::into_token) takes that.
pub struct Grant {
    header: HeaderValue,
    lifetime: Duration,
    /// Whether the answer told the lifetime.
    lifetime_known: bool,
    status: Option<AuthenticationStatus>,
}

impl Grant {
    /// The token for its lifetime, counted from `sent`, the moment at which the request was
    /// handed out: the service may have made the token at any time since.
    #[must_use]
    pub fn into_token(self, sent: Moment) -> Token {
        Token(Arc::new(Inner {
            header: self.header,
            expires_at: sent
                .after(self.lifetime)
                .system_time()
                .unwrap_or(SystemTime::UNIX_EPOCH),
            status: self.status,
        }))
    }

    /// How long the token is good for, at most ten years.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// What the answer said of the authentication (the contract's `content.status`), if anything.
    #[must_use]
    pub fn status(&self) -> Option<&AuthenticationStatus> {
        self.status.as_ref()
    }

    /// Judges what a 2xx answer says of a token. `date` reads the response's own `Date`, since the
    /// Unix epoch, for those tokens that need it. The error is the reason, and cooldowns no part of the
    /// token.
    pub(crate) fn judge(
        id_token: &str,
        expires_in: Option<i64>,
        status: Option<AuthenticationStatus>,
        date: impl FnOnce() -> Option<Duration>,
    ) -> Result<Self, &'static str> {
        let Some(header) = bearer(id_token) else {
            return Err("its id_token has a character that cannot stand in a header");
        };
        let claims = Claims::read(id_token).unwrap_or_default();
        let by_expiry = claims.exp.and_then(|exp| {
            let date = i64::try_from(date()?.as_secs()).ok()?;
            Some(exp.saturating_sub(date))
        });
        let by_issue = match (claims.exp, claims.iat) {
            (Some(exp), Some(iat)) => Some(exp.saturating_sub(iat)),
            _ => None,
        };
        if expires_in.is_some_and(|seconds| seconds <= 0) {
            return Err("its expires_in is not positive");
        }
        // A server that hands out cached tokens tells their full lifetime each time.
        let seconds = match (expires_in, by_expiry) {
            (Some(told), Some(left)) => Some(told.min(left)),
            (told, left) => told.or(left).or(by_issue),
        };
        let lifetime_known = seconds.is_some();
        let lifetime = match seconds.map(u64::try_from) {
            None => UNKNOWN_LIFETIME,
            Some(Ok(seconds)) if seconds > 0 => Duration::from_secs(seconds).min(LONGEST_LIFETIME),
            Some(_) => return Err("its token had expired when it arrived"),
        };
        Ok(Self {
            header,
            lifetime,
            lifetime_known,
            status,
        })
    }

    /// The same grant, within what the config says of lifetimes.
    pub(crate) fn within(mut self, config: &Config) -> Self {
        if !self.lifetime_known {
            self.lifetime = config.fallback_lifetime;
        }
        self.lifetime = self.lifetime.min(config.max_lifetime);
        self
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("lifetime", &self.lifetime)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// The header value for a token, if it is one by RFC 6750 §2.1.
fn bearer(id_token: &str) -> Option<HeaderValue> {
    let body = id_token.trim_end_matches('=');
    // To its end even after a bad one, because that is done for many bytes at once.
    let good = body.bytes().fold(true, |good, byte| {
        good & (byte.is_ascii_alphanumeric() | matches!(byte, b'-'..=b'/' | b'_' | b'~' | b'+'))
    });
    if !good || body.is_empty() {
        return None;
    }
    let secret = Secret::concat(&[SCHEME, id_token]);
    let mut header = HeaderValue::from_maybe_shared(secret.bytes()).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// The registered claims of a JWT that say how long it lives (RFC 7519 §4.1), as its issuer wrote
/// them and nobody checked them. A claim that is no number is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claims {
    /// `exp`: when the token expires, in seconds since the Unix epoch; a fraction is dropped.
    pub exp: Option<i64>,
    /// `iat`: when it was issued, in seconds since the Unix epoch; a fraction is dropped.
    pub iat: Option<i64>,
}

impl Claims {
    /// Reads the payload of a JWS in its compact form (RFC 7515 §7.1).
    fn read(id_token: &str) -> Option<Self> {
        let mut dots = memchr::memchr_iter(b'.', id_token.as_bytes());
        let (after_header, after_payload) = (dots.next()?, dots.next()?);
        if dots.next().is_some() {
            return None;
        }
        let payload = id_token.get(after_header.checked_add(1)?..after_payload)?;
        // Real payloads fit on the stack; the heap is for those that do not.
        let (mut stack, mut heap) = ([0; 1024], Vec::new());
        let buffer = if let Some(buffer) = stack.get_mut(..payload.len()) {
            buffer
        } else {
            heap.resize(payload.len(), 0);
            &mut heap
        };
        let claims = Self::decode(payload, buffer);
        // No more than was written, because a wipe goes byte by byte.
        buffer.zeroize();
        claims
    }

    fn decode(payload: &str, buffer: &mut [u8]) -> Option<Self> {
        let length = URL_SAFE_NO_PAD
            .decode_slice(payload.trim_end_matches('='), buffer)
            .ok()?;
        let text = std::str::from_utf8(buffer.get(..length)?).ok()?;
        Self::scan(text).or_else(|| serde_json::from_str(text).ok())
    }

    /// The claims of a payload as issuers usually write it; of any other this says nothing.
    fn scan(text: &str) -> Option<Self> {
        let mut claims = Self::default();
        let mut scanner = Scanner::new(text);
        scanner.object(|scanner, name| {
            match name {
                "exp" => claims.exp = Some(scanner.integer()?),
                "iat" => claims.iat = Some(scanner.integer()?),
                _ => scanner.skip()?,
            }
            Some(())
        })?;
        scanner.end()?;
        Some(claims)
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ClaimsVisitor;

        impl<'de> Visitor<'de> for ClaimsVisitor {
            type Value = Claims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JWT claims set")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
                let mut claims = Claims::default();
                while let Some(key) = map.next_key::<Name<'de>>()? {
                    match key.as_str() {
                        // Of two, the last: RFC 7519 §4 allows a parser that.
                        "exp" => claims.exp = map.next_value::<NumericDate>()?.0,
                        "iat" => claims.iat = map.next_value::<NumericDate>()?.0,
                        _ => map.next_value::<Skipped>().map(drop)?,
                    }
                }
                Ok(claims)
            }
        }

        deserializer.deserialize_map(ClaimsVisitor)
    }
}

/// A number of seconds, or nothing where the value is something else.
struct NumericDate(Option<i64>);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumericDateVisitor;

        impl<'de> Visitor<'de> for NumericDateVisitor {
            type Value = NumericDate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a claim")
            }

            fn visit_i64<E>(self, number: i64) -> Result<NumericDate, E> {
                Ok(NumericDate(Some(number)))
            }

            fn visit_u64<E>(self, number: u64) -> Result<NumericDate, E> {
                Ok(NumericDate(Some(i64::try_from(number).unwrap_or(i64::MAX))))
            }

            #[allow(
                clippy::cast_possible_truncation,
                reason = "the cast saturates and drops the fraction, which is what is wanted"
            )]
            fn visit_f64<E>(self, number: f64) -> Result<NumericDate, E> {
                Ok(NumericDate(Some(number.floor() as i64)))
            }

            fn visit_bool<E>(self, _: bool) -> Result<NumericDate, E> {
                Ok(NumericDate(None))
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<NumericDate, E> {
                Ok(NumericDate(None))
            }

            fn visit_unit<E>(self) -> Result<NumericDate, E> {
                Ok(NumericDate(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<NumericDate, A::Error> {
                while seq.next_element::<Skipped>()?.is_some() {}
                Ok(NumericDate(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<NumericDate, A::Error> {
                let number = arbitrary_number(map)?;
                match number.and_then(|text| text.parse().ok()) {
                    Some(number) => self.visit_f64(number),
                    None => Ok(NumericDate(None)),
                }
            }
        }

        deserializer.deserialize_any(NumericDateVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(payload: &str) -> String {
        format!(
            "eyJhbGciOiJIUzI1NiJ9.{}.sig",
            URL_SAFE_NO_PAD.encode(payload)
        )
    }

    fn lifetime(
        token: &str,
        expires_in: Option<i64>,
        date: Option<u64>,
    ) -> Result<u64, &'static str> {
        Grant::judge(token, expires_in, None, || date.map(Duration::from_secs))
            .map(|grant| grant.lifetime().as_secs())
    }

    #[test]
    fn the_lifetime_is_the_soonest_that_is_known() {
        const TEN_YEARS: u64 = 315_360_000;
        let timed = jwt(r#"{"iat":1000,"exp":4600}"#);
        let opaque = "opaque";
        for (token, expires_in, date, expected) in [
            (opaque, Some(3600), None, Ok(3600)),
            (opaque, Some(1), Some(5), Ok(1)),
            (opaque, None, Some(5), Ok(300)),
            (opaque, Some(i64::MAX), None, Ok(TEN_YEARS)),
            (opaque, Some(0), None, Err("its expires_in is not positive")),
            (
                opaque,
                Some(-1),
                None,
                Err("its expires_in is not positive"),
            ),
            (
                opaque,
                Some(i64::MIN),
                None,
                Err("its expires_in is not positive"),
            ),
            // A cached token: its expiry is sooner than its lifetime says.
            (&timed, Some(3600), Some(4000), Ok(600)),
            (&timed, Some(60), Some(4000), Ok(60)),
            (&timed, Some(3600), None, Ok(3600)),
            (&timed, None, Some(4000), Ok(600)),
            (&timed, None, None, Ok(3600)),
            (
                &timed,
                Some(3600),
                Some(4600),
                Err("its token had expired when it arrived"),
            ),
            (
                &timed,
                None,
                Some(9999),
                Err("its token had expired when it arrived"),
            ),
            (&jwt(r#"{"exp":1e300}"#), None, Some(5), Ok(TEN_YEARS)),
            (&jwt(r#"{"exp":105.9}"#), None, Some(5), Ok(100)),
            (&jwt(r#"{"exp":105}"#), None, None, Ok(300)),
            (&jwt(r#"{"exp":"105","iat":true}"#), None, Some(5), Ok(300)),
            (
                &jwt(r#"{"exp":null,"iat":[1,{"a":2}]}"#),
                None,
                Some(5),
                Ok(300),
            ),
            (
                &jwt(r#"{"exp":-9223372036854775808}"#),
                None,
                Some(5),
                Err("its token had expired when it arrived"),
            ),
            (&jwt("not json"), None, Some(5), Ok(300)),
            (&jwt(r#"{"exp":105} x"#), None, Some(5), Ok(300)),
            (
                "a.!.c",
                Some(9),
                Some(5),
                Err("its id_token has a character that cannot stand in a header"),
            ),
            ("a.e30.c.d", Some(9), Some(5), Ok(9)),
        ] {
            assert_eq!(
                lifetime(token, expires_in, date),
                expected,
                "{token} {expires_in:?} {date:?}"
            );
        }
    }

    #[test]
    fn usual_claims_are_scanned_and_say_the_same() {
        for (text, scanned) in [
            (
                r#"{"sub":"a\nb","iat":1,"exp":2,"admin":true,"aud":["x"]}"#,
                true,
            ),
            (r#" { "exp" : 5 } "#, true),
            (r#"{"exp":1,"exp":2}"#, true),
            ("{}", true),
            (r#"{"exp":1.5}"#, false),
            (r#"{"exp":"1"}"#, false),
            (r#"{"exp":null}"#, false),
            (r#"{"iat":[1]}"#, false),
            (r#"{"exp":1} x"#, false),
            (r#"{"aud":[1,]}"#, false),
            ("[]", false),
        ] {
            let claims = Claims::scan(text);
            assert_eq!(claims.is_some(), scanned, "{text}");
            let read = serde_json::from_str::<Claims>(text).ok();
            assert!(claims.is_none() || claims == read, "{text}");
        }
    }

    #[test]
    fn a_large_payload_is_read_as_a_small_one() {
        for size in [0, 700, 1000, 5000] {
            let token = jwt(&format!(r#"{{"pad":"{}","exp":105}}"#, "x".repeat(size)));
            assert_eq!(lifetime(&token, None, Some(5)), Ok(100), "{size}");
        }
    }

    #[test]
    fn only_rfc_6750_characters_make_a_token() {
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
    fn life_counts_from_the_sending() {
        let sent = Moment {
            mono: Duration::from_secs(1),
            wall: Duration::from_secs(1000),
        };
        let grant = Grant::judge("abc", Some(60), Some("available".into()), || None).unwrap();
        let token = grant.into_token(sent);
        let expiry = token.expires_at().duration_since(SystemTime::UNIX_EPOCH);
        assert_eq!(expiry.unwrap(), Duration::from_secs(1060));
        assert_eq!(token.status(), Some(&AuthenticationStatus::Available));
    }

    #[test]
    fn debug_shows_no_token() {
        let grant = Grant::judge("canary-token", Some(60), None, || None).unwrap();
        let shown = format!("{grant:?}");
        let token = grant.into_token(Moment {
            mono: Duration::ZERO,
            wall: Duration::ZERO,
        });
        let shown = format!("{shown} {token:?} {:?}", token.header_value());
        assert!(!shown.contains("canary"), "{shown}");
    }
}
