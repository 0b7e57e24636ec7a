//! Events, for logs and metrics.

use std::fmt;
use std::time::Duration;

use crate::error::Error;

/// A function that is called with each event.
#[cfg(feature = "shared")]
pub(crate) type Observer = dyn Fn(&Event) + Send + Sync;

/// An event in the life of a token, for logs and metrics. It contains no secret.
///
/// Each [`Attempt`](Self::Attempt) is followed by exactly one event that
/// [ends](Self::ends_attempt) it.
///
/// Not exhaustive: finer events may be added.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An attempt starts: of an acquisition, or a refresh ahead of a usable token.
    #[non_exhaustive]
    Attempt {
        /// The number of the attempt in its acquisition, from 1; a refresh ahead is always 1.
        number: u32,
        /// Whether it is a refresh ahead.
        ahead: bool,
    },
    /// An attempt failed, and the next one follows.
    #[non_exhaustive]
    Retry {
        /// The number of the failed attempt, from 1.
        number: u32,
        /// The back-off before the next attempt.
        delay: Duration,
        /// The error of the attempt.
        error: Error,
    },
    /// An acquisition or a refresh ahead obtained a token. A late grant causes no event.
    #[non_exhaustive]
    Refreshed {
        /// The rest of the token's life.
        lifetime: Duration,
    },
    /// A refresh ahead returned the token that is already cached.
    #[non_exhaustive]
    NotRenewed {
        /// The delay before the next refresh.
        delay: Duration,
    },
    /// The last attempt of an acquisition failed, or a refresh ahead failed or was abandoned.
    #[non_exhaustive]
    Failed {
        /// The error of the attempt.
        error: Error,
        /// Whether it was a refresh ahead, which fails no caller.
        ahead: bool,
        /// The delay before the next request.
        delay: Duration,
    },
    /// An attempt ended without an outcome: its task or thread ended, its credentials were replaced,
    /// or its deadline passed and no caller waits any more. An abandoned refresh ahead is
    /// [`Failed`](Self::Failed) instead.
    #[non_exhaustive]
    Abandoned {
        /// The number of the attempt.
        number: u32,
        /// Whether it was a refresh ahead.
        ahead: bool,
    },
    /// The cached token was rejected where it was used. If it stays in use, only its first rejection is
    /// an event.
    #[non_exhaustive]
    Rejected {
        /// Whether it is dropped. Otherwise it stays in use, because another token was rejected
        /// shortly before, or because no other token can be had now.
        dropped: bool,
        /// If it is dropped: the interval in which no other token is. Otherwise: the time until the next
        /// refresh may be sent.
        delay: Duration,
    },
    /// A cooldown started: no request is sent, and callers without a usable token get this error.
    #[non_exhaustive]
    CooldownStarted {
        /// The error for those callers.
        error: Error,
        /// The length of the cooldown.
        delay: Duration,
    },
}

impl Event {
    /// Returns whether the event ends an attempt. So the attempts that began, less the events that end
    /// one, are the attempts in flight.
    #[must_use]
    pub fn ends_attempt(&self) -> bool {
        match self {
            Self::Retry { .. }
            | Self::Refreshed { .. }
            | Self::NotRenewed { .. }
            | Self::Failed { .. }
            | Self::Abandoned { .. } => true,
            Self::Attempt { .. } | Self::Rejected { .. } | Self::CooldownStarted { .. } => false,
        }
    }

    /// Returns the error of the event, if it has one.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Retry { error, .. }
            | Self::Failed { error, .. }
            | Self::CooldownStarted { error, .. } => Some(error),
            Self::Attempt { .. }
            | Self::Refreshed { .. }
            | Self::NotRenewed { .. }
            | Self::Abandoned { .. }
            | Self::Rejected { .. } => None,
        }
    }

    /// Returns the delay after the event, if it has one.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        match self {
            Self::Retry { delay, .. }
            | Self::NotRenewed { delay }
            | Self::Failed { delay, .. }
            | Self::Rejected { delay, .. }
            | Self::CooldownStarted { delay, .. } => Some(*delay),
            Self::Attempt { .. } | Self::Refreshed { .. } | Self::Abandoned { .. } => None,
        }
    }
}

impl fmt::Display for Event {
    /// Writes the event in one line, without its error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt { ahead: true, .. } => write!(f, "requesting a token ahead of time"),
            Self::Attempt { number, .. } => write!(f, "requesting a token, attempt {number}"),
            Self::Retry { number, delay, .. } => {
                write!(f, "attempt {number} failed, next attempt in {delay:.1?}")
            }
            Self::Refreshed { lifetime } => write!(f, "obtained a token, valid for {lifetime:.0?}"),
            Self::NotRenewed { delay } => {
                write!(
                    f,
                    "received the cached token again, next refresh in {delay:.1?}"
                )
            }
            Self::Failed {
                ahead: true, delay, ..
            } => {
                write!(f, "refresh ahead failed, next refresh in {delay:.1?}")
            }
            Self::Failed { .. } => write!(f, "failed to obtain a token"),
            Self::Abandoned { ahead: true, .. } => write!(f, "refresh ahead abandoned"),
            Self::Abandoned { number, .. } => write!(f, "attempt {number} abandoned"),
            Self::Rejected { dropped: true, .. } => write!(f, "token rejected"),
            Self::Rejected { delay, .. } => {
                write!(f, "token rejected but kept, next refresh in {delay:.1?}")
            }
            Self::CooldownStarted { delay, .. } => {
                write!(f, "cooldown started: no requests for {delay:.1?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_one_line_with_its_error_and_delay() {
        let delay = Duration::from_millis(1250);
        let error = || Error::configuration("what went wrong");
        let attempt = |ahead| Event::Attempt { number: 2, ahead };
        let abandoned = |ahead| Event::Abandoned { number: 2, ahead };
        let rejected = |dropped| Event::Rejected { dropped, delay };
        let failed = |ahead| Event::Failed {
            error: error(),
            ahead,
            delay,
        };
        for (event, line, has_error, has_delay) in [
            (
                attempt(false),
                "requesting a token, attempt 2",
                false,
                false,
            ),
            (
                attempt(true),
                "requesting a token ahead of time",
                false,
                false,
            ),
            (
                Event::Retry {
                    number: 2,
                    delay,
                    error: error(),
                },
                "attempt 2 failed, next attempt in 1.2s",
                true,
                true,
            ),
            (
                Event::Refreshed {
                    lifetime: Duration::from_secs(3600),
                },
                "obtained a token, valid for 3600s",
                false,
                false,
            ),
            (
                Event::NotRenewed { delay },
                "received the cached token again, next refresh in 1.2s",
                false,
                true,
            ),
            (failed(false), "failed to obtain a token", true, true),
            (
                failed(true),
                "refresh ahead failed, next refresh in 1.2s",
                true,
                true,
            ),
            (abandoned(false), "attempt 2 abandoned", false, false),
            (abandoned(true), "refresh ahead abandoned", false, false),
            (rejected(true), "token rejected", false, true),
            (
                rejected(false),
                "token rejected but kept, next refresh in 1.2s",
                false,
                true,
            ),
            (
                Event::CooldownStarted {
                    error: error(),
                    delay,
                },
                "cooldown started: no requests for 1.2s",
                true,
                true,
            ),
        ] {
            assert_eq!(event.to_string(), line);
            let shown = event.error().map(Error::to_string);
            assert_eq!(shown, has_error.then(|| error().to_string()), "{line}");
            assert_eq!(event.delay(), has_delay.then_some(delay), "{line}");
        }
    }
}
