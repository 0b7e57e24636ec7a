//! The row of rejections: how soon after another a token may be given up.

use std::time::Duration;

use fastrand::Rng;

use super::freshness::has_come;
use super::retry;
use crate::config::Config;
use crate::moment::Moment;

/// The rejections in a row. Each token that is given up begins an interval in which no other one is.
#[derive(Clone, Copy, Default)]
pub(super) struct Rejections {
    /// Counts the tokens that were given up. Each doubles the next interval.
    given_up: u32,
    interval_end: Option<Moment>,
    /// The last rejection. The row ends some time after it.
    last: Option<Moment>,
}

impl Rejections {
    /// Records a rejection of the cached token.
    pub(super) fn record(&mut self, now: Moment, config: &Config) {
        self.end_settled(now, config);
        self.last = Some(now);
    }

    /// Records that a token is given up: an accepted rejection, or a refresh that a rejection scheduled.
    /// Returns the length of the interval that begins.
    pub(super) fn give_up(&mut self, now: Moment, config: &Config, rng: &mut Rng) -> Duration {
        self.end_settled(now, config);
        self.last.get_or_insert(now);
        let interval = retry::rejection_interval(self.given_up, config, rng);
        self.interval_end = Some(now.after(interval));
        self.given_up = self.given_up.saturating_add(1);
        interval
    }

    /// Takes back the last token that was given up. `before` is the row before that.
    pub(super) fn take_back(&mut self, before: Self) {
        self.given_up = before.given_up;
        self.interval_end = before.interval_end;
    }

    /// Returns the end of the last interval, which may be over.
    pub(super) fn interval_end(&self) -> Option<Moment> {
        self.interval_end
    }

    fn end_settled(&mut self, now: Moment, config: &Config) {
        let settled = |last: Moment| has_come(last.after(config.settled_after), now);
        if self.last.is_some_and(settled) {
            *self = Self::default();
        }
    }
}
