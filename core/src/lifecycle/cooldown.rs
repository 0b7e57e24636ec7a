//! Cooldowns, and the growth of cooldowns and delays.

use std::time::Duration;

use fastrand::Rng;

use super::freshness::{has_come, later, until};
use super::retry;
use crate::config::Config;
use crate::error::Error;
use crate::moment::Moment;

/// The current cooldown, and the memory of failures.
#[derive(Default)]
pub(super) struct Cooldown {
    period: Option<Period>,
    /// Counts the cooldowns and delays in a row. Each doubles the next.
    growth: u32,
    /// The time of the first grant since the last failure.
    good_since: Option<Moment>,
}

/// A time in which no request is sent. It ends by the clock that says sooner.
pub(super) struct Period {
    pub(super) until: Moment,
    pub(super) error: Error,
}

impl Cooldown {
    /// Records a new token.
    pub(super) fn grant(&mut self, now: Moment) {
        self.good_since.get_or_insert(now);
    }

    /// Records a failure, and returns the delay that follows from it.
    pub(super) fn fail(&mut self, now: Moment, config: &Config, rng: &mut Rng) -> Duration {
        self.forget_settled(now, config);
        let delay = retry::cooldown(self.growth, config, rng);
        self.growth = self.growth.saturating_add(1);
        delay
    }

    /// Begins a cooldown and returns its length. It replaces a running one and does not end before it.
    pub(super) fn begin(&mut self, now: Moment, delay: Duration, error: Error) -> Duration {
        let end = now.after(delay);
        let running = self.running(now).map(|period| period.until);
        let end = running.map_or(end, |running| later(running, end));
        self.period = Some(Period { until: end, error });
        delay.max(until(end, now))
    }

    pub(super) fn running(&self, now: Moment) -> Option<&Period> {
        self.period
            .as_ref()
            .filter(|period| !has_come(period.until, now))
    }

    /// Returns the end of the last cooldown, which may be over.
    pub(super) fn ends_at(&self) -> Option<Moment> {
        self.period.as_ref().map(|period| period.until)
    }

    /// Forgets earlier failures if the first grant after them is old enough.
    fn forget_settled(&mut self, now: Moment, config: &Config) {
        if let Some(since) = self.good_since.take()
            && has_come(since.after(config.settled_after), now)
        {
            self.growth = 0;
        }
    }
}
