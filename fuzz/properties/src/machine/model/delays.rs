//! How long what is drawn at random may be.

use std::time::Duration;

use meshconnect_auth_core::Moment;

use super::Problem;

const BACKOFF: Duration = Duration::from_millis(500);
const THROTTLED_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// What may be drawn.
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

    /// A cooldown ends no sooner than the one that runs.
    pub(super) fn or_what_is_left(self, cooldown_left: Option<Duration>) -> Self {
        let left = cooldown_left.unwrap_or_default();
        Self {
            least: self.least.max(left),
            most: self.most.max(left),
        }
    }

    /// At least what the server asked for, and a little more, but not for ever.
    pub(super) fn or_as_asked(self, problem: &Problem, now: Moment) -> Self {
        let Some(retry_at) = problem.retry_at else {
            return self;
        };
        let asked = retry_at.saturating_sub(now.mono);
        Self {
            least: self.least.max(asked.min(LONGEST_RETRY_AFTER)),
            most: self
                .most
                .max(a_little_later(asked).min(LONGEST_RETRY_AFTER)),
        }
    }
}

/// How long it may be to the attempt after number `number`.
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
    let asked = retry_at.saturating_sub(now.mono);
    Range {
        least: asked.max(least),
        most: a_little_later(asked.max(most)),
    }
}

/// One of so many equal parts.
pub(super) fn part(time: Duration, parts: u32) -> Duration {
    time.checked_div(parts).unwrap_or_default()
}

pub(super) fn a_little_later(delay: Duration) -> Duration {
    delay.saturating_add(part(delay, 10).max(Duration::from_secs(1)))
}
