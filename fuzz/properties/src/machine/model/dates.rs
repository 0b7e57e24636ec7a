//! Times on both clocks. A time has come as soon as one of the clocks has reached it.

use std::time::Duration;

use meshconnect_auth_core::Moment;

/// The machine and the model may round a time differently.
const ROUNDING: Duration = Duration::from_micros(1);

/// Returns the expiry that a token reports. A time that the platform cannot express is 1970.
pub(super) fn reported_expiry(date: Moment) -> Duration {
    date.system_time().map_or(Duration::ZERO, |_| date.wall)
}

pub(super) fn has_come(date: Moment, now: Moment) -> bool {
    now.mono >= date.mono || now.wall >= date.wall
}

pub(super) fn until(date: Moment, now: Moment) -> Duration {
    let mono = date.mono.saturating_sub(now.mono);
    let wall = date.wall.saturating_sub(now.wall);
    mono.min(wall)
}

pub(super) fn sooner(a: Moment, b: Moment) -> Moment {
    Moment {
        mono: a.mono.min(b.mono),
        wall: a.wall.min(b.wall),
    }
}

pub(super) fn later(a: Moment, b: Moment) -> Moment {
    Moment {
        mono: a.mono.max(b.mono),
        wall: a.wall.max(b.wall),
    }
}

pub(super) fn near(a: Moment, b: Moment) -> bool {
    a.mono.abs_diff(b.mono) <= ROUNDING && a.wall.abs_diff(b.wall) <= ROUNDING
}

/// Returns whether two dates are near each other by one clock.
pub(super) fn near_by(a: Moment, b: Moment, clock: impl Fn(Moment) -> Duration) -> bool {
    clock(a).abs_diff(clock(b)) <= ROUNDING
}

pub(super) fn near_or_between([a, b]: [Moment; 2], date: Moment) -> bool {
    let allowed = |a: Duration, b: Duration, date: Duration| {
        a.saturating_sub(ROUNDING) <= date && date <= b.saturating_add(ROUNDING)
    };
    allowed(a.mono, b.mono, date.mono) && allowed(a.wall, b.wall, date.wall)
}
