//! Reads the clocks for the core.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

use meshconnect_auth_core::Moment;

/// Reads `std`'s monotonic clock and wall clock.
#[inline] // Part of the path of a cached token, as `Shared::ready`.
pub(crate) fn now() -> Moment {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    Moment::new(ORIGIN.elapsed(), SystemTime::now())
}
