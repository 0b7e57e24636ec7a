//! One reading of both clocks.

use std::time::{Duration, SystemTime};

/// One reading of both clocks, taken by the caller of the core.
///
/// The core reads no clock; time is an argument. If both clocks matter, the sooner one counts. So a
/// clock that is set back, a suspended machine or a fast wall clock never makes a token live longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_structs,
    reason = "there are two clocks, and callers build this from both"
)]
pub struct Moment {
    /// The monotonic clock, since an origin of the caller's choice that stays the same.
    pub mono: Duration,
    /// The wall clock, since the Unix epoch.
    pub wall: Duration,
}

impl Moment {
    /// Combines the readings of two clocks: the monotonic one, since an origin of the caller's choice
    /// that stays the same, and the wall clock. A time before 1970 counts as 1970.
    #[must_use]
    pub fn new(mono: Duration, wall: SystemTime) -> Self {
        Self {
            mono,
            wall: wall
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    /// Returns the moment `delay` later on both clocks; saturates.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self {
            mono: self.mono.saturating_add(delay),
            wall: self.wall.saturating_add(delay),
        }
    }

    /// Returns `now`, with a reading of the monotonic clock that is not lower than that of `self`.
    pub(crate) fn advanced_to(self, now: Self) -> Self {
        Self {
            mono: self.mono.max(now.mono),
            wall: now.wall,
        }
    }

    /// Returns the wall clock's reading, or `None` if the platform cannot represent it.
    #[must_use]
    pub fn system_time(self) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(self.wall)
    }
}
