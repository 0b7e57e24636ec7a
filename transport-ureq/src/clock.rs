//! Reads both clocks, which the core does not.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

use meshconnect_auth_core::Moment;

/// Reads `std`'s two clocks.
#[inline] // with `Shared::ready`
pub(crate) fn now() -> Moment {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    Moment::new(ORIGIN.elapsed(), SystemTime::now())
}
