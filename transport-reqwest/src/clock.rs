//! Reads the clocks for the core.

use std::sync::LazyLock;
use std::sync::mpsc::{self, Sender};
use std::time::{self, Duration, SystemTime};

use meshconnect_auth_core::Moment;
use tokio::task;
use tokio::time::Instant;

/// Added to every reading, because tokio's paused clock can read a time before `ORIGIN`.
const OFFSET: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads tokio's clock, which a test can pause and advance, and `std`'s wall clock.
#[inline] // Part of the path of a cached token, as `Shared::ready`.
pub(crate) fn now() -> Moment {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(|| Instant::from_std(time::Instant::now()));
    let now = Instant::now();
    let shifted = now.checked_add(OFFSET).unwrap_or(now);
    Moment::new(
        shifted.saturating_duration_since(*ORIGIN),
        SystemTime::now(),
    )
}

/// Keeps tokio's paused time from advancing until it is dropped.
pub(crate) struct PausedTimeGuard(
    #[expect(dead_code, reason = "dropping it ends the blocking task")] Sender<()>,
);

/// Keeps the runtime from advancing its paused time, for at most `limit` of real time. Returns
/// `None` if time is not paused.
///
/// Tokio advances paused time to the next timer when all tasks are idle, even if one waits for a
/// socket, so an attempt would time out at once. A running blocking task prevents that.
pub(crate) fn keep_time_paused(limit: Duration) -> Option<PausedTimeGuard> {
    is_paused().then(|| {
        let (guard, dropped) = mpsc::channel();
        task::spawn_blocking(move || dropped.recv_timeout(limit));
        PausedTimeGuard(guard)
    })
}

/// Returns whether tokio's clock stands still while `std`'s advances.
fn is_paused() -> bool {
    const READINGS: usize = 1000;
    let (paused, begun) = (Instant::now(), time::Instant::now());
    (0..READINGS).any(|_| time::Instant::now() > begun) && Instant::now() == paused
}
