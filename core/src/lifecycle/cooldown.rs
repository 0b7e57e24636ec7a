//! How long to leave the server alone: cooldowns, the delays of refreshes, and how both grow.

use std::time::Duration;

use fastrand::Rng;

use super::freshness::{has_come, later, until};
use super::retry;
use crate::config::Config;
use crate::error::Error;
use crate::moment::Moment;

/// What is remembered of failures and rejections.
#[derive(Default)]
pub(super) struct Cooldown {
    period: Option<Period>,
    /// How many holds and delays there were in a row; they double with it.
    growth: u32,
    /// Since when there was a grant without a failure or rejection.
    good_since: Option<Moment>,
    /// How many young tokens were rejected in a row.
    rejections: u32,
}

/// Nothing is sent until then, by either clock.
pub(super) struct Period {
    pub(super) until: Moment,
    pub(super) error: Error,
}

impl Cooldown {
    /// Takes notice of a new token.
    pub(super) fn grant(&mut self, now: Moment) {
        self.good_since.get_or_insert(now);
    }

    /// Takes notice of a failure, and gives the delay that follows from it.
    pub(super) fn fail(&mut self, now: Moment, config: &Config, rng: &mut Rng) -> Duration {
        self.judge_growth(now, config);
        let delay = retry::cooldown(self.growth, config, rng);
        self.growth = self.growth.saturating_add(1);
        delay
    }

    /// Takes notice of the rejection of a token that was sent for at `sent`, and gives the number
    /// of young tokens that were rejected in a row.
    pub(super) fn reject(&mut self, now: Moment, sent: Moment, config: &Config) -> u32 {
        if has_come(sent.after(config.settled_after), now) {
            self.rejections = 0;
        }
        self.rejections = self.rejections.saturating_add(1);
        self.judge_growth(now, config);
        self.rejections
    }

    /// Begins a cooldown, and gives its length. Inside of another it takes its place, and ends no
    /// sooner.
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

    /// The end of the last cooldown, which may be over.
    #[cfg(feature = "shared")]
    pub(super) fn ends_at(&self) -> Option<Moment> {
        self.period.as_ref().map(|period| period.until)
    }

    /// At each failure and rejection: whether the ones before it are forgotten.
    fn judge_growth(&mut self, now: Moment, config: &Config) {
        if let Some(since) = self.good_since.take()
            && has_come(since.after(config.settled_after), now)
        {
            self.growth = 0;
        }
    }
}
