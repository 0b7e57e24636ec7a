//! Reads both clocks, which the core does not.

#[cfg(target_os = "linux")]
pub(crate) use linux::{last_tick, now};
#[cfg(not(target_os = "linux"))]
pub(crate) use {now as last_tick, other::now};

#[cfg(target_os = "linux")]
mod linux {
    use meshconnect_auth_core::Moment;
    use rustix::time::{ClockId, clock_gettime};
    use std::time::Duration;

    pub(crate) fn now() -> Moment {
        let (mono, wall) = (read(ClockId::Monotonic), read(ClockId::Realtime));
        Moment { mono, wall }
    }

    /// The same clocks at the kernel's last tick, ten milliseconds ago at most, several times as
    /// fast. For hits alone: what takes the time of a request can have the exact ones.
    #[inline] // with the hit: see `Shared::hit`
    pub(crate) fn last_tick() -> Moment {
        Moment {
            mono: read(ClockId::MonotonicCoarse),
            wall: read(ClockId::RealtimeCoarse),
        }
    }

    #[inline]
    fn read(clock: ClockId) -> Duration {
        // Before 1970 is 1970.
        Duration::try_from(clock_gettime(clock)).unwrap_or_default()
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use meshconnect_auth_core::Moment;
    use std::sync::LazyLock;
    use std::time::{Instant, SystemTime};

    pub(crate) fn now() -> Moment {
        static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        Moment::new(ORIGIN.elapsed(), SystemTime::now())
    }
}
