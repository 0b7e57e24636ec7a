//! Reads both clocks.

use meshconnect_auth_core::Moment;

/// The time of the kernel's last tick, some milliseconds ago at most: no margin is as fine as
/// that, and it is read several times as fast as the exact time.
#[cfg(target_os = "linux")]
#[inline] // with the hit: see `Shared::hit`
pub(crate) fn now() -> Moment {
    use rustix::time::{ClockId, clock_gettime};
    use std::time::Duration;
    // Before 1970 is 1970.
    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    Moment {
        mono: read(ClockId::MonotonicCoarse),
        wall: read(ClockId::RealtimeCoarse),
    }
}

#[cfg(not(target_os = "linux"))]
#[inline] // with the hit: see `Shared::hit`
pub(crate) fn now() -> Moment {
    use std::sync::LazyLock;
    use std::time::{Instant, SystemTime};
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    Moment::new(ORIGIN.elapsed(), SystemTime::now())
}
