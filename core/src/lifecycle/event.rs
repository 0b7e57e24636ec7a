//! What happens, for those who count it.

use std::fmt;
use std::time::Duration;

use crate::error::Error;

/// What is told of every event.
#[cfg(feature = "shared")]
pub(crate) type Observer = dyn Fn(&Event) + Send + Sync;

/// Something that happened to a token's life, for logs and metrics. It holds no secret.
///
/// Not exhaustive: finer events may be added.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A request is to be sent: number `number` of its acquisition (from 1), or a refresh ahead
    /// of a token that is still usable.
    #[non_exhaustive]
    Attempt {
        /// Which attempt it is; a refresh ahead is always the first.
        number: u32,
        /// Whether it is a refresh ahead.
        ahead: bool,
    },
    /// An attempt failed, and the next will be made.
    #[non_exhaustive]
    Retry {
        /// Which attempt failed, from 1.
        number: u32,
        /// How long it is until the next may be sent.
        delay: Duration,
        /// What went wrong.
        error: Error,
    },
    /// An acquisition, or a refresh ahead, has brought a token. (A late answer of a flight that was
    /// given up may bring one too, which is not told.)
    #[non_exhaustive]
    Refreshed {
        /// How long it is good for.
        lifetime: Duration,
    },
    /// A refresh ahead brought the very token that is cached.
    #[non_exhaustive]
    NotRenewed {
        /// How long it is until the next refresh.
        delay: Duration,
    },
    /// An acquisition ended in failure, or a refresh ahead did.
    #[non_exhaustive]
    Failed {
        /// What went wrong.
        error: Error,
        /// Whether it was a refresh ahead, which no caller noticed.
        ahead: bool,
        /// How long it is until the next request may be sent.
        delay: Duration,
    },
    /// The cached token was rejected where it was used, and is cached no more.
    #[non_exhaustive]
    Rejected {
        /// How many young tokens were rejected in a row, this one included.
        in_a_row: u32,
    },
    /// For a time, nothing is sent, and callers without a usable token get this error.
    #[non_exhaustive]
    CooldownStarted {
        /// The error that callers get.
        error: Error,
        /// For how long.
        delay: Duration,
    },
}

impl Event {
    /// What went wrong, if anything did.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Retry { error, .. }
            | Self::Failed { error, .. }
            | Self::CooldownStarted { error, .. } => Some(error),
            Self::Attempt { .. }
            | Self::Refreshed { .. }
            | Self::NotRenewed { .. }
            | Self::Rejected { .. } => None,
        }
    }

    /// How long nothing will be sent because of it, if there is such a time.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        match self {
            Self::Retry { delay, .. }
            | Self::NotRenewed { delay }
            | Self::Failed { delay, .. }
            | Self::CooldownStarted { delay, .. } => Some(*delay),
            Self::Attempt { .. } | Self::Refreshed { .. } | Self::Rejected { .. } => None,
        }
    }
}

impl fmt::Display for Event {
    /// The event in one line, without its error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt { ahead: true, .. } => write!(f, "asking for a token ahead of time"),
            Self::Attempt { number, .. } => write!(f, "asking for a token, attempt {number}"),
            Self::Retry { number, delay, .. } => {
                write!(f, "attempt {number} failed, the next comes in {delay:.1?}")
            }
            Self::Refreshed { lifetime } => write!(f, "got a token, good for {lifetime:.0?}"),
            Self::NotRenewed { delay } => {
                write!(
                    f,
                    "got the token that is cached, asking again in {delay:.1?}"
                )
            }
            Self::Failed {
                ahead: true, delay, ..
            } => {
                write!(
                    f,
                    "a refresh ahead of time failed, the next comes in {delay:.1?}"
                )
            }
            Self::Failed { .. } => write!(f, "no token could be had"),
            Self::Rejected { in_a_row: 1 } => write!(f, "the token was rejected"),
            Self::Rejected { in_a_row } => write!(f, "{in_a_row} tokens in a row were rejected"),
            Self::CooldownStarted { delay, .. } => {
                write!(f, "nothing will be sent for {delay:.1?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_one_line_and_tells_its_error_and_its_delay() {
        let delay = Duration::from_millis(1250);
        let error = || Error::configuration("what went wrong");
        let attempt = |ahead| Event::Attempt { number: 2, ahead };
        let failed = |ahead| Event::Failed {
            error: error(),
            ahead,
            delay,
        };
        for (event, line, tells_error, tells_delay) in [
            (
                attempt(false),
                "asking for a token, attempt 2",
                false,
                false,
            ),
            (
                attempt(true),
                "asking for a token ahead of time",
                false,
                false,
            ),
            (
                Event::Retry {
                    number: 2,
                    delay,
                    error: error(),
                },
                "attempt 2 failed, the next comes in 1.2s",
                true,
                true,
            ),
            (
                Event::Refreshed {
                    lifetime: Duration::from_secs(3600),
                },
                "got a token, good for 3600s",
                false,
                false,
            ),
            (
                Event::NotRenewed { delay },
                "got the token that is cached, asking again in 1.2s",
                false,
                true,
            ),
            (failed(false), "no token could be had", true, true),
            (
                failed(true),
                "a refresh ahead of time failed, the next comes in 1.2s",
                true,
                true,
            ),
            (
                Event::Rejected { in_a_row: 1 },
                "the token was rejected",
                false,
                false,
            ),
            (
                Event::Rejected { in_a_row: 3 },
                "3 tokens in a row were rejected",
                false,
                false,
            ),
            (
                Event::CooldownStarted {
                    error: error(),
                    delay,
                },
                "nothing will be sent for 1.2s",
                true,
                true,
            ),
        ] {
            assert_eq!(event.to_string(), line);
            let told = event.error().map(Error::to_string);
            assert_eq!(told, tells_error.then(|| error().to_string()), "{line}");
            assert_eq!(event.delay(), tells_delay.then_some(delay), "{line}");
        }
    }
}
