//! Pure functions: when a token is refreshed, and until when it is usable.

use std::time::Duration;

use crate::config::Config;
use crate::moment::Moment;

/// The dates in the life of a token.
///
/// Each date is on both clocks, and the clock that reaches it first counts. So a clock that is set back
/// or stops in a suspend never makes a token live longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifespan {
    /// The time from which it is refreshed ahead.
    pub(crate) refresh_at: Moment,
    /// The time from which it is not served, because it might expire in transit.
    pub(crate) usable_until: Moment,
    pub(crate) expires_at: Moment,
}

impl Lifespan {
    /// Returns the dates of a token that lives for `lifetime` from `start` on. `jitter`, from 0 to 1,
    /// is this instance's share of the refresh jitter.
    pub(crate) fn new(start: Moment, lifetime: Duration, config: &Config, jitter: f64) -> Self {
        let ahead = percent(lifetime, config.refresh_ahead_percent).min(config.max_refresh_ahead);
        let jitter = percent(lifetime, config.refresh_jitter_percent).mul_f64(jitter);
        let margin = percent(lifetime, config.margin_percent).min(config.max_margin);
        let before_end = |time| start.after(lifetime.saturating_sub(time));
        Self {
            refresh_at: before_end(ahead.saturating_add(jitter)),
            usable_until: before_end(margin),
            expires_at: start.after(lifetime),
        }
    }

    /// Returns the rest of its life, by the clock that says less.
    pub(crate) fn left(&self, now: Moment) -> Duration {
        until(self.expires_at, now)
    }

    pub(crate) fn is_usable(&self, now: Moment) -> bool {
        !has_come(self.usable_until, now)
    }
}

/// Returns whether either clock has reached `date`.
#[inline]
pub(crate) fn has_come(date: Moment, now: Moment) -> bool {
    now.mono >= date.mono || now.wall >= date.wall
}

/// Returns how long it takes until either clock reaches `date`.
#[inline]
pub(crate) fn until(date: Moment, now: Moment) -> Duration {
    let mono = date.mono.saturating_sub(now.mono);
    mono.min(date.wall.saturating_sub(now.wall))
}

/// Returns the sooner of two dates, on each clock.
pub(crate) fn sooner(a: Moment, b: Moment) -> Moment {
    Moment {
        mono: a.mono.min(b.mono),
        wall: a.wall.min(b.wall),
    }
}

/// Returns the later of two dates, on each clock.
pub(crate) fn later(a: Moment, b: Moment) -> Moment {
    Moment {
        mono: a.mono.max(b.mono),
        wall: a.wall.max(b.wall),
    }
}

fn percent(time: Duration, percent: u8) -> Duration {
    time.mul_f64(f64::from(percent) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment {
            mono: Duration::from_secs(seconds),
            wall: Duration::from_secs(seconds.saturating_add(1_000_000)),
        }
    }

    /// For each lifetime: the refresh time without and with full jitter, and the end of use, in
    /// seconds.
    #[test]
    fn the_dates_follow_from_the_lifetime() {
        for (lifetime, refresh, jittered, usable) in [
            (3600, 2700, 2340, 3570),
            (7200, 5400, 4680, 7170),
            (86_400, 84_600, 75_960, 86_370),
            (300, 225, 195, 270),
            (100, 75, 65, 90),
            (20, 15, 13, 18),
        ] {
            let config = Config::default();
            let life =
                |jitter| Lifespan::new(at(0), Duration::from_secs(lifetime), &config, jitter);
            assert_eq!(life(0.0).refresh_at, at(refresh), "{lifetime}");
            assert_eq!(life(1.0).refresh_at, at(jittered), "{lifetime}");
            assert_eq!(life(0.0).usable_until, at(usable), "{lifetime}");
            assert_eq!(life(0.0).expires_at, at(lifetime), "{lifetime}");
        }
    }

    #[test]
    fn the_sooner_clock_counts() {
        let life = Lifespan::new(at(0), Duration::from_secs(100), &Config::default(), 0.0);
        assert!(life.is_usable(at(89)) && !life.is_usable(at(90)));
        let apart = |mono, wall| Moment {
            mono: at(mono).mono,
            wall: at(wall).wall,
        };
        assert!(!life.is_usable(apart(90, 0)) && !life.is_usable(apart(0, 90)));
        assert_eq!(life.left(apart(10, 40)), Duration::from_secs(60));
        assert_eq!(life.left(apart(40, 10)), Duration::from_secs(60));
        assert_eq!(life.left(apart(500, 0)), Duration::ZERO);
    }
}
