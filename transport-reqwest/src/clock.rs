//! Reads both clocks, which the core does not.

use std::sync::LazyLock;
use std::sync::mpsc::{self, Sender};
use std::time::{self, Duration, SystemTime};

use meshconnect_auth_core::Moment;
use tokio::task;
use tokio::time::Instant;

/// A paused clock of a runtime that is older than the origin shows a time before it.
const LEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads tokio's clock, which a test can pause and advance, and `std`'s wall clock.
#[inline] // with `Shared::ready`
pub(crate) fn now() -> Moment {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(|| Instant::from_std(time::Instant::now()));
    let now = Instant::now();
    let ahead = now.checked_add(LEAD).unwrap_or(now);
    Moment::new(ahead.saturating_duration_since(*ORIGIN), SystemTime::now())
}

/// Holds paused time, for as long as it exists.
pub(crate) struct Hold(
    #[expect(dead_code, reason = "the other end waits until it is dropped")] Sender<()>,
);

/// Keeps the runtime from advancing its paused time while a server is waited for, at most for
/// `limit` of real time. Returns nothing where time is not paused.
///
/// Tokio advances paused time to the next timer whenever all tasks wait, be it for a socket, so
/// every time-out would end at once. It does not while a blocking task runs.
pub(crate) fn hold_paused_time(limit: Duration) -> Option<Hold> {
    is_paused().then(|| {
        let (hold, released) = mpsc::channel();
        task::spawn_blocking(move || released.recv_timeout(limit));
        Hold(hold)
    })
}

/// Whether tokio's clock stands still while `std`'s goes on.
fn is_paused() -> bool {
    const READINGS: usize = 1000;
    let (paused, begun) = (Instant::now(), time::Instant::now());
    (0..READINGS).any(|_| time::Instant::now() > begun) && Instant::now() == paused
}
