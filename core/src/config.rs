//! The settings of a client, and which combinations of them are valid.

use std::time::Duration;

use crate::error::Error;

/// The default limit of a response body, in bytes.
pub(crate) const DEFAULT_MAX_BODY: usize = 64 * 1024;

/// The lifetime of a token whose answer has none.
pub(crate) const FALLBACK_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// Ten years. A longer lifetime is cut to this.
pub(crate) const MAX_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The numeric settings of a client, the same for every transport.
///
/// Start from [`Config::default`] and change what you need. A time-out may be longer than the
/// one that contains it; the shorter one applies.
///
/// ```
/// # use meshconnect_auth_core::Config;
/// # use std::time::Duration;
/// let mut config = Config::default();
/// config.attempts = 5;
/// config.acquisition_timeout = Duration::from_secs(60);
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The time-out for a connection, DNS included. Default: 5 s.
    pub connect_timeout: Duration,
    /// The time-out for one attempt, from before the connection to the last byte of the body.
    /// Default: 10 s.
    pub attempt_timeout: Duration,
    /// The time-out for an acquisition: all its attempts and the back-offs between them. Default: 30 s.
    pub acquisition_timeout: Duration,
    /// The largest response body in bytes; a longer one is an error. Default: 64 KiB, at most 1 MiB.
    pub max_body: usize,
    /// The number of attempts of an acquisition. Default: 3. After a failed acquisition the next one
    /// has a single attempt.
    pub attempts: u32,
    /// The back-off after the first attempt. Default: 500 ms. It doubles with each attempt; up to half
    /// of it is then removed at random.
    pub backoff: Duration,
    /// The back-off after an attempt that was [`Throttled`](crate::ErrorKind::Throttled) or
    /// [`Unavailable`](crate::ErrorKind::Unavailable). Default: 1 s.
    pub throttled_backoff: Duration,
    /// The longest cooldown that a server can request with `Retry-After`. Default: 5 min.
    pub max_retry_after: Duration,
    /// The cooldown after a first failed acquisition, the delay after a first failed refresh, and the
    /// interval after a first rejected token in which no other one is dropped. Default and minimum: 1 s.
    /// Each doubles with every failure or token given up; up to half of it is then removed at random.
    pub first_cooldown: Duration,
    /// The longest of those times. Default: 60 s. The cooldown after a failure of the HTTP client itself
    /// ([`TransportErrorKind::Client`](crate::TransportErrorKind::Client)) is at most 4 s, because nothing
    /// reached the server.
    pub max_cooldown: Duration,
    /// How long a grant must stand before earlier failures are forgotten, and the time without a
    /// rejection after which earlier ones are forgotten. Default: 60 s.
    pub settled_after: Duration,
    /// The lifetime of a token whose answer has none. Default: 5 min.
    pub fallback_lifetime: Duration,
    /// The longest accepted lifetime; a longer one is cut. Default and maximum: ten years.
    pub max_lifetime: Duration,
    /// How long before its end a token is refreshed, in percent of its lifetime. Default: 25.
    pub refresh_ahead_percent: u8,
    /// The upper limit of the refresh ahead. Default: 30 min.
    pub max_refresh_ahead: Duration,
    /// The random part of the refresh ahead, in percent of the lifetime: instances refresh up to this
    /// much earlier. Default: 10.
    pub refresh_jitter_percent: u8,
    /// How long before its end a token is no longer served, in percent of its lifetime. Default: 10.
    pub margin_percent: u8,
    /// The upper limit of the margin. Default: 30 s.
    pub max_margin: Duration,
}

impl Config {
    /// The largest [`max_body`](Self::max_body) that can be set: 1 MiB.
    pub const LARGEST_MAX_BODY: usize = 1024 * 1024;

    /// The longest time-out, back-off or cooldown that can be set: a day. Some HTTP clients add
    /// time-outs to clock readings and panic on overflow.
    pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

    /// Checks that no settings are lost with an HTTP client of the user's own: root certificates, or
    /// changes of the transport's HTTP client. A transport calls it if there is such a client.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), which names the setting.
    pub fn check_own_client(roots: bool, changes: bool) -> Result<(), Error> {
        refuse_if(roots, || {
            "root certificates are set together with your own HTTP client, which ignores them; set \
             them in that client"
                .to_owned()
        })?;
        refuse_if(changes, || {
            "a function for `http` is set together with your own HTTP client, which it does not \
             change; change that client"
                .to_owned()
        })?;
        Ok(())
    }

    /// Checks that the settings can work together.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), which names the setting.
    pub fn check(&self) -> Result<(), Error> {
        for (name, time) in [
            ("connect_timeout", self.connect_timeout),
            ("attempt_timeout", self.attempt_timeout),
            ("acquisition_timeout", self.acquisition_timeout),
            ("backoff", self.backoff),
            ("throttled_backoff", self.throttled_backoff),
            ("max_retry_after", self.max_retry_after),
            ("first_cooldown", self.first_cooldown),
            ("max_cooldown", self.max_cooldown),
            ("settled_after", self.settled_after),
            ("max_refresh_ahead", self.max_refresh_ahead),
        ] {
            refuse_if(time.is_zero(), || format!("{name} is zero"))?;
            refuse_if(time > Self::LONGEST_TIMEOUT, || {
                format!("{name} is longer than a day")
            })?;
        }
        refuse_if(
            self.max_body == 0 || self.max_body > Self::LARGEST_MAX_BODY,
            || {
                let largest = Self::LARGEST_MAX_BODY;
                format!(
                    "max_body is {}; it must be from 1 to {largest}",
                    self.max_body
                )
            },
        )?;
        refuse_if(self.attempts == 0, || "attempts is zero".to_owned())?;
        refuse_if(self.first_cooldown < Duration::from_secs(1), || {
            "first_cooldown is under a second".to_owned()
        })?;
        refuse_if(self.first_cooldown > self.max_cooldown, || {
            "first_cooldown is longer than max_cooldown".to_owned()
        })?;
        refuse_if(self.fallback_lifetime.is_zero(), || {
            "fallback_lifetime is zero".to_owned()
        })?;
        refuse_if(self.fallback_lifetime > self.max_lifetime, || {
            "fallback_lifetime is longer than max_lifetime".to_owned()
        })?;
        refuse_if(self.max_lifetime > MAX_LIFETIME, || {
            "max_lifetime is longer than ten years".to_owned()
        })?;
        let ahead = u16::from(self.refresh_ahead_percent);
        refuse_if(
            ahead == 0 || ahead.saturating_add(self.refresh_jitter_percent.into()) >= 100,
            || {
                "refresh_ahead_percent must be at least 1, and together with \
                 refresh_jitter_percent less than 100"
                    .to_owned()
            },
        )?;
        refuse_if(
            self.margin_percent >= self.refresh_ahead_percent
                || self.max_margin >= self.max_refresh_ahead,
            || {
                "the margin (margin_percent, max_margin) must be less than the refresh ahead \
                 (refresh_ahead_percent, max_refresh_ahead), or tokens are never refreshed in time"
                    .to_owned()
            },
        )
    }
}

fn refuse_if(wrong: bool, why: impl FnOnce() -> String) -> Result<(), Error> {
    if wrong {
        return Err(Error::configuration(format!(
            "{}; leave it out for the default",
            why()
        )));
    }
    Ok(())
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(10),
            acquisition_timeout: Duration::from_secs(30),
            max_body: DEFAULT_MAX_BODY,
            attempts: 3,
            backoff: Duration::from_millis(500),
            throttled_backoff: Duration::from_secs(1),
            max_retry_after: Duration::from_secs(5 * 60),
            first_cooldown: Duration::from_secs(1),
            max_cooldown: Duration::from_secs(60),
            settled_after: Duration::from_secs(60),
            fallback_lifetime: FALLBACK_LIFETIME,
            max_lifetime: MAX_LIFETIME,
            refresh_ahead_percent: 25,
            max_refresh_ahead: Duration::from_secs(30 * 60),
            refresh_jitter_percent: 10,
            margin_percent: 10,
            max_margin: Duration::from_secs(30),
        }
    }
}
