//! How long to leave the server alone: holds, the delays of refreshes, and how both grow.

use std::time::Duration;

use fastrand::Rng;

use super::freshness::{has_come, later, until};
use super::retry;
use crate::config::Config;
use crate::error::Error;
use crate::moment::Moment;

/// What is remembered of failures and rejections.
#[derive(Default)]
pub(super) struct Patience {
    hold: Option<Hold>,
    /// How many holds and delays there were in a row; they double with it.
    growth: u32,
    /// Since when there was a grant without a failure or rejection.
    good_since: Option<Moment>,
    /// How many young tokens were rejected in a row.
    rejections: u32,
}

/// Nothing is sent until then, by either clock.
pub(super) struct Hold {
    pub(super) until: Moment,
    pub(super) error: Error,
}

impl Patience {
    /// Takes notice of a new token.
    pub(super) fn grant(&mut self, now: Moment) {
        self.good_since.get_or_insert(now);
    }

    /// Takes notice of a failure, and gives the delay that follows from it.
    pub(super) fn fail(&mut self, now: Moment, config: &Config, rng: &mut Rng) -> Duration {
        self.judge_growth(now, config);
        let delay = retry::hold(self.growth, config, rng);
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

    /// Begins a hold, and gives its length. Inside of another it takes its place, and ends no
    /// sooner.
    pub(super) fn begin_hold(&mut self, now: Moment, delay: Duration, error: Error) -> Duration {
        let end = now.after(delay);
        let running = self.running_hold(now).map(|hold| hold.until);
        let end = running.map_or(end, |running| later(running, end));
        self.hold = Some(Hold { until: end, error });
        delay.max(until(end, now))
    }

    pub(super) fn running_hold(&self, now: Moment) -> Option<&Hold> {
        self.hold.as_ref().filter(|hold| !has_come(hold.until, now))
    }

    /// The end of the last hold, which may be over.
    #[cfg(feature = "shared")]
    pub(super) fn hold_until(&self) -> Option<Moment> {
        self.hold.as_ref().map(|hold| hold.until)
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
