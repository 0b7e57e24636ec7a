//! Pure functions: after which delay a request is retried.

use std::time::Duration;

use fastrand::Rng;

use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::moment::Moment;

/// The rest of an acquisition below which no further attempt is sent.
pub(crate) const MIN_RETRY_WINDOW: Duration = Duration::from_secs(1);

/// The shortest cooldown, and the shortest delay after a failed refresh.
pub(crate) const MIN_COOLDOWN: Duration = Duration::from_secs(1);

/// Returns the delay between attempt number `attempt` (from 1) and the next.
pub(crate) fn backoff(
    error: &Error,
    attempt: u32,
    now: Moment,
    config: &Config,
    rng: &mut Rng,
) -> Duration {
    let first = match error.kind() {
        ErrorKind::Throttled | ErrorKind::Unavailable => config.throttled_backoff,
        _ => config.backoff,
    };
    let backoff = equal_jitter(doubled(first, attempt.saturating_sub(1)), rng);
    match retry_after(error, now) {
        Some(requested) => later_than_requested(requested.max(backoff), rng),
        None => backoff,
    }
}

/// Returns the delay that the server requested, if any.
pub(crate) fn retry_after(error: &Error, now: Moment) -> Option<Duration> {
    Some(error.retry_moment()?.mono.saturating_sub(now.mono))
}

/// Adds jitter to a requested delay, so that not all clients return at once.
pub(crate) fn later_than_requested(delay: Duration, rng: &mut Rng) -> Duration {
    let jitter = delay.div_f64(10.0).max(Duration::from_secs(1));
    delay.saturating_add(jitter.mul_f64(rng.f64()))
}

/// Returns the cooldown after a failed acquisition, or the delay after a failed refresh, which
/// `failures` others preceded.
pub(crate) fn cooldown(failures: u32, config: &Config, rng: &mut Rng) -> Duration {
    let longest = doubled(config.first_cooldown, failures).min(config.max_cooldown);
    equal_jitter(longest, rng).max(MIN_COOLDOWN)
}

/// Returns the interval after a token is given up, which `given_up` others preceded in the row.
pub(crate) fn rejection_interval(given_up: u32, config: &Config, rng: &mut Rng) -> Duration {
    equal_jitter(
        doubled(config.first_cooldown, given_up).min(config.max_cooldown),
        rng,
    )
}

/// Returns a random duration between half and all of `delay`.
fn equal_jitter(delay: Duration, rng: &mut Rng) -> Duration {
    let half = delay.div_f64(2.0);
    half.saturating_add(half.mul_f64(rng.f64()))
}

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times))
}
