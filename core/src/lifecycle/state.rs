//! The state: one enum whose variants contain their own data.

use std::time::Duration;

use super::rejections::Rejections;
use super::status::Phase;
use crate::error::Error;
use crate::moment::Moment;

/// The current activity.
#[derive(Clone)]
pub(super) enum State {
    /// Nothing.
    Idle,
    /// A refresh ahead is in flight.
    Refreshing(InFlight),
    /// An attempt that callers may wait for is in flight.
    Acquiring(Acquisition, InFlight),
    /// An attempt failed. The next one may be sent from this monotonic time on.
    BackingOff(Acquisition, Duration),
}

/// The current flight.
#[derive(Clone, Copy)]
pub(super) struct InFlight {
    pub(super) number: u64,
    pub(super) sent: Moment,
    pub(super) deadline: Duration,
    /// If a rejection scheduled this refresh: the row of rejections before it.
    pub(super) before: Option<Rejections>,
}

/// Attempts until a token or an error.
#[derive(Clone)]
pub(super) struct Acquisition {
    /// The number of attempts that were sent.
    pub(super) attempts: u32,
    /// The number of attempts that may be sent.
    pub(super) max_attempts: u32,
    pub(super) deadline: Duration,
    /// The flight of the last attempt that failed, and its error.
    pub(super) failed: u64,
    pub(super) error: Option<Error>,
}

impl State {
    /// Returns the end of the flight or back-off on the monotonic clock.
    pub(super) fn end(&self) -> Duration {
        match self {
            Self::Idle => Duration::ZERO,
            Self::Refreshing(in_flight) | Self::Acquiring(_, in_flight) => in_flight.deadline,
            Self::BackingOff(_, end) => *end,
        }
    }

    /// Returns the current flight.
    pub(super) fn in_flight(&self) -> Option<&InFlight> {
        match self {
            Self::Refreshing(in_flight) | Self::Acquiring(_, in_flight) => Some(in_flight),
            Self::Idle | Self::BackingOff(..) => None,
        }
    }

    /// Returns the public view of the state.
    pub(super) fn phase(&self, now: Moment) -> Phase {
        match self {
            Self::Idle => Phase::Idle,
            Self::Refreshing(_) => Phase::Refreshing,
            Self::Acquiring(acquisition, _) => Phase::Acquiring {
                attempt: acquisition.attempts,
            },
            Self::BackingOff(acquisition, end) => Phase::BackingOff {
                attempts: acquisition.attempts,
                left: end.saturating_sub(now.mono),
            },
        }
    }
}

impl Acquisition {
    pub(super) fn left(&self, now: Moment) -> Duration {
        self.deadline.saturating_sub(now.mono)
    }
}
