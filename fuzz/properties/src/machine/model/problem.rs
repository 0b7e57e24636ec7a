//! What a flight brings, as far as anything follows from it.

use std::error::Error as _;
use std::time::Duration;

use meshconnect_auth_core::{Error, ErrorKind, TransportErrorKind};

use super::LONGEST_LIFETIME;

const UNKNOWN_LIFETIME: Duration = Duration::from_secs(300);

/// What went wrong, as far as anything follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Problem {
    pub(in super::super) kind: ErrorKind,
    /// A number in the answer by which it is known again.
    pub(in super::super) mark: Option<u32>,
    /// Whether the same request may be sent again.
    pub(in super::super) retried: bool,
    /// Whether it was a 429 or a 503.
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
            retried: matches!(kind, ErrorKind::TokenRejected | ErrorKind::Transport(_)),
            throttled: false,
            retry_at: None,
            attempts,
        }
    }

    pub(in super::super) fn timeout() -> Self {
        Self::new(ErrorKind::Transport(TransportErrorKind::Timeout), 1)
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

/// What a flight brings.
#[derive(Clone, Debug)]
pub(in super::super) enum Brought {
    Token(String, Duration),
    Problem(Problem),
}

impl Brought {
    /// A token with this `expires_in`.
    pub(in super::super) fn token(name: String, seconds: Option<u64>) -> Self {
        let lifetime = seconds.map_or(UNKNOWN_LIFETIME, Duration::from_secs);
        if lifetime.is_zero() {
            return Self::Problem(Problem::new(ErrorKind::Malformed, 1));
        }
        Self::Token(name, lifetime.min(LONGEST_LIFETIME))
    }
}
