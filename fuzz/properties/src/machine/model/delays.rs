//! The ranges of the random delays.

use std::time::Duration;

use meshconnect_auth_core::Moment;

use super::Problem;

const BACKOFF: Duration = Duration::from_millis(500);
const THROTTLED_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// A range of delays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) least: Duration,
    pub(super) most: Duration,
}

impl Range {
    pub(super) fn of(delay: Duration) -> Self {
        Self {
            least: delay,
            most: delay,
        }
    }

    pub(super) fn allows(&self, delay: Duration) -> bool {
        self.least <= delay && delay <= self.most
    }

    pub(super) fn at_most(self, longest: Duration) -> Self {
        Self {
            least: self.least.min(longest),
            most: self.most.min(longest),
        }
    }

    /// Extends the range to the time that is left of a running cooldown, because a new cooldown
    /// does not end sooner.
    pub(super) fn or_remaining_cooldown(self, cooldown_left: Option<Duration>) -> Self {
        let left = cooldown_left.unwrap_or_default();
        Self {
            least: self.least.max(left),
            most: self.most.max(left),
        }
    }

    /// Extends the range to the time of `Retry-After` plus jitter, up to the longest one.
    pub(super) fn or_retry_after(self, problem: &Problem, now: Moment) -> Self {
        let Some(retry_at) = problem.retry_at else {
            return self;
        };
        let requested = retry_at.saturating_sub(now.mono);
        Self {
            least: self.least.max(requested.min(LONGEST_RETRY_AFTER)),
            most: self
                .most
                .max(with_jitter(requested).min(LONGEST_RETRY_AFTER)),
        }
    }
}

/// Returns the range of the back-off after attempt `number`.
pub(super) fn backoff(problem: &Problem, number: usize, now: Moment) -> Range {
    let mut most = if problem.throttled {
        THROTTLED_BACKOFF
    } else {
        BACKOFF
    };
    for _ in 1..number {
        most = most.saturating_mul(2);
    }
    let least = part(most, 2);
    let Some(retry_at) = problem.retry_at else {
        return Range { least, most };
    };
    let requested = retry_at.saturating_sub(now.mono);
    Range {
        least: requested.max(least),
        most: with_jitter(requested.max(most)),
    }
}

/// Divides a duration; a division by zero gives zero.
pub(super) fn part(time: Duration, parts: u32) -> Duration {
    time.checked_div(parts).unwrap_or_default()
}

pub(super) fn with_jitter(delay: Duration) -> Duration {
    delay.saturating_add(part(delay, 10).max(Duration::from_secs(1)))
}
