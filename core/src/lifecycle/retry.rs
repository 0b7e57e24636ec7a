//! Pure: from what happened to what to do next.

use std::time::Duration;

use fastrand::Rng;
use http::StatusCode;

use crate::config::Config;
use crate::error::{Error, ErrorKind, TransportErrorKind};
use crate::moment::Moment;
use crate::wire::ApiResultStatus;

/// What is left of an acquisition must be at least this for another attempt to make sense.
pub(crate) const MIN_RETRY_WINDOW: Duration = Duration::from_secs(1);

/// No cooldown, and no delay of a refresh, is shorter.
pub(crate) const MIN_COOLDOWN: Duration = Duration::from_secs(1);

/// Whether the same request may well succeed a little later.
pub(crate) fn is_worth_a_retry(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::TokenRejected => true,
        ErrorKind::Transport(kind) => !matches!(
            kind,
            TransportErrorKind::Certificate | TransportErrorKind::NotHttp
        ),
        ErrorKind::Rejected => error.http_status().is_some_and(|status| {
            if status.is_success() {
                // Within a 2xx the envelope decides. It never does elsewhere.
                matches!(
                    error.rejection().and_then(|rejection| rejection.status()),
                    Some(ApiResultStatus::ServerFailure | ApiResultStatus::TooManyRequest)
                )
            } else {
                matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
            }
        }),
        _ => false,
    }
}

/// How long to wait after attempt number `attempt` (from 1) before the next.
pub(crate) fn backoff(
    error: &Error,
    attempt: u32,
    now: Moment,
    config: &Config,
    rng: &mut Rng,
) -> Duration {
    let first = match error.http_status() {
        Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
            config.throttled_backoff
        }
        _ => config.backoff,
    };
    let backoff = equal_jitter(doubled(first, attempt.saturating_sub(1)), rng);
    match retry_after(error, now) {
        Some(asked) => later_than_asked(asked.max(backoff), rng),
        None => backoff,
    }
}

/// How long the server asks to be left alone, if it does.
pub(crate) fn retry_after(error: &Error, now: Moment) -> Option<Duration> {
    Some(error.retry_at()?.mono.saturating_sub(now.mono))
}

/// A little later than a server asked for, so that not everyone whom it asked comes back at once.
pub(crate) fn later_than_asked(delay: Duration, rng: &mut Rng) -> Duration {
    let most = delay.div_f64(10.0).max(Duration::from_secs(1));
    delay.saturating_add(most.mul_f64(rng.f64()))
}

/// The cooldown after this failed acquisition, or the delay after this failed refresh: `failures`
/// is how many there were before it.
pub(crate) fn cooldown(failures: u32, config: &Config, rng: &mut Rng) -> Duration {
    let most = doubled(config.first_cooldown, failures).min(config.max_cooldown);
    equal_jitter(most, rng).max(MIN_COOLDOWN)
}

/// Between a half and the whole of `delay`.
fn equal_jitter(delay: Duration, rng: &mut Rng) -> Duration {
    let half = delay.div_f64(2.0);
    half.saturating_add(half.mul_f64(rng.f64()))
}

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times))
}
