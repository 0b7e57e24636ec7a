//! The outcome of a flight, reduced to what affects the machine.

use std::error::Error as _;
use std::time::Duration;

use meshconnect_auth_core::{Error, ErrorKind, TransportErrorKind};

use super::LONGEST_LIFETIME;

const UNKNOWN_LIFETIME: Duration = Duration::from_secs(300);

/// A failure, reduced to what affects the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Problem {
    pub(in super::super) kind: ErrorKind,
    /// A number in the answer that identifies it.
    pub(in super::super) mark: Option<u32>,
    /// Whether the attempt may be retried.
    pub(in super::super) retried: bool,
    /// Whether the kind is `Throttled` or `Unavailable`.
    pub(in super::super) throttled: bool,
    /// `Retry-After`, as a reading of the monotonic clock.
    pub(in super::super) retry_at: Option<Duration>,
    pub(in super::super) attempts: usize,
}

impl Problem {
    pub(in super::super) fn new(kind: ErrorKind, attempts: usize) -> Self {
        Self {
            kind,
            mark: None,
            retried: matches!(kind, ErrorKind::Transport(_)),
            throttled: false,
            retry_at: None,
            attempts,
        }
    }

    pub(in super::super) fn timeout() -> Self {
        Self::new(ErrorKind::Transport(TransportErrorKind::Timeout), 1)
    }

    pub(in super::super) fn abandoned() -> Self {
        Self::new(ErrorKind::Transport(TransportErrorKind::Client), 1)
    }

    pub(in super::super) fn is(&self, error: &Error) -> bool {
        let mark = error.trace_ids().next().map(|(_, mark)| mark.to_owned());
        let mark = mark.or_else(|| error.source().map(ToString::to_string));
        let mark = mark.and_then(|mark| mark.parse().ok());
        self.kind == error.kind()
            && self.mark == mark
            && usize::try_from(error.attempts()).is_ok_and(|attempts| attempts == self.attempts)
    }
}

/// The outcome of a flight.
#[derive(Clone, Debug)]
pub(in super::super) enum Outcome {
    Token(String, Duration),
    Problem(Problem),
}

impl Outcome {
    /// Returns the outcome of a token with this `expires_in`.
    pub(in super::super) fn token(name: String, seconds: Option<u64>) -> Self {
        let lifetime = seconds.map_or(UNKNOWN_LIFETIME, Duration::from_secs);
        if lifetime.is_zero() {
            return Self::Problem(Problem::new(ErrorKind::Malformed, 1));
        }
        Self::Token(name, lifetime.min(LONGEST_LIFETIME))
    }
}
