//! The token as a header value, and the grant that becomes a token.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;

use super::jwt::Claims;
use super::secret::Secret;
use crate::config::{Config, FALLBACK_LIFETIME, MAX_LIFETIME};
use crate::error::Error;
use crate::moment::Moment;
use crate::wire::AuthenticationStatus;

/// The scheme, with the space that follows it (RFC 6750 §2.1).
const SCHEME: &str = "Bearer ";

/// An access token as a header value.
///
/// A clone costs a reference count. The token lives in one buffer, which is wiped when the last clone
/// and the last header value taken from it are dropped. `Debug` does not show the token.
///
/// ```
/// # fn main() -> Result<(), meshconnect_auth_core::Error> {
/// # let expiry = std::time::SystemTime::UNIX_EPOCH;
/// let token = meshconnect_auth_core::Token::new("eyJ.e30.c2ln", expiry)?;
/// assert_eq!(token.header_value(), "Bearer eyJ.e30.c2ln");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Token(Arc<Inner>);

struct Inner {
    header: HeaderValue,
    expires_at: SystemTime,
    status: Option<AuthenticationStatus>,
}

impl Token {
    /// Creates a token from another source, such as another process or a test.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if `id_token` is not a Bearer token
    /// (RFC 6750 §2.1): letters, digits and `-._~+/`, then any number of `=`.
    pub fn new(id_token: &str, expires_at: SystemTime) -> Result<Self, Error> {
        let Some(header) = bearer(id_token) else {
            return Err(Error::configuration(
                "the token is empty or has a character that an Authorization header must not \
                 contain (RFC 6750, section 2.1); pass the token alone, without `Bearer `",
            ));
        };
        Ok(Self(Arc::new(Inner {
            header,
            expires_at,
            status: None,
        })))
    }

    /// Returns the value for an `Authorization` header, `Bearer …`, marked as sensitive.
    #[must_use]
    pub fn header_value(&self) -> &HeaderValue {
        &self.0.header
    }

    /// Returns the token itself, without the scheme (the contract's `id_token`). It is a secret.
    #[must_use]
    pub fn id_token(&self) -> &str {
        let header = self.0.header.to_str().unwrap_or_default();
        header.strip_prefix(SCHEME).unwrap_or_default()
    }

    /// Returns the expiry by this machine's wall clock.
    ///
    /// The lifetime counts from the start of the request, so the expiry is rather too early.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.0.expires_at
    }

    /// Returns the outcome of the authentication (the contract's `content.status`), if the answer had
    /// one.
    #[must_use]
    pub fn status(&self) -> Option<&AuthenticationStatus> {
        self.0.status.as_ref()
    }
}

impl PartialEq for Token {
    /// Compares the tokens alone, not their expiry.
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

/// A granted token and its lifetime.
///
/// It has no expiry, because that depends on the time of the request.
/// [`into_token`](Self::into_token) takes that time.
pub struct Grant {
    header: HeaderValue,
    lifetime: Duration,
    /// Whether the lifetime is from the answer.
    lifetime_known: bool,
    status: Option<AuthenticationStatus>,
}

impl Grant {
    /// Returns the token. Its lifetime counts from `sent`, the start of the request, because the service
    /// may have created the token at any time since.
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

    /// Returns the lifetime of the token, at most ten years.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Returns the outcome of the authentication (the contract's `content.status`), if the answer had
    /// one.
    #[must_use]
    pub fn status(&self) -> Option<&AuthenticationStatus> {
        self.status.as_ref()
    }

    /// Returns the grant of a 2xx answer, or the reason against it.
    ///
    /// `date` reads the response's own `Date`, since the Unix epoch. The reason contains no part of the
    /// token.
    pub(crate) fn new(
        id_token: &str,
        expires_in: Option<i64>,
        status: Option<AuthenticationStatus>,
        date: impl FnOnce() -> Option<Duration>,
    ) -> Result<Self, &'static str> {
        let Some(header) = bearer(id_token) else {
            return Err("its id_token has a character that a header must not contain");
        };
        let claims = Claims::read(id_token);
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
        // A server that caches its tokens sends their full lifetime each time.
        let seconds = match (expires_in, by_expiry) {
            (Some(lifetime), Some(left)) => Some(lifetime.min(left)),
            (lifetime, left) => lifetime.or(left).or(by_issue),
        };
        let lifetime_known = seconds.is_some();
        let lifetime = match seconds.map(u64::try_from) {
            None => FALLBACK_LIFETIME,
            Some(Ok(seconds)) if seconds > 0 => Duration::from_secs(seconds).min(MAX_LIFETIME),
            Some(_) => return Err("its token had expired when it arrived"),
        };
        Ok(Self {
            header,
            lifetime,
            lifetime_known,
            status,
        })
    }

    /// Returns the same grant within the limits of `config`.
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

/// Returns the header value for a token, if it is a Bearer token by RFC 6750 §2.1.
fn bearer(id_token: &str) -> Option<HeaderValue> {
    let body = id_token.trim_end_matches('=');
    // A fold without an early exit is vectorized.
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
