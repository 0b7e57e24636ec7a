//! The cached token and its times.

use std::time::Duration;

use meshconnect_auth_core::Moment;

use super::Model;
use super::dates::{later, near_by as near, reported_expiry, sooner};
use super::delays::part;

const LONGEST_AHEAD: Duration = Duration::from_secs(30 * 60);
const LONGEST_MARGIN: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(super) struct CachedToken {
    pub(super) token: String,
    /// The expiry that the token reports.
    pub(super) reported_expiry: Duration,
    pub(super) expires: Moment,
    pub(super) unusable: Moment,
    pub(super) refresh: Moment,
    /// The time for which a rejection scheduled a refresh.
    pub(super) scheduled: Option<Unknown>,
    /// The end of the delay after a refresh that obtained no other token, and whether it failed.
    pub(super) delay: Option<(Moment, bool)>,
    /// The time of the next refresh, as the machine reports it.
    pub(super) next_refresh: Moment,
    /// The number of its flight, or of the last flight before it was handed in.
    pub(super) flight: usize,
    pub(super) handed_in: bool,
}

/// A time that the machine draws and does not report: some time after `start`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unknown {
    pub(super) start: Moment,
    pub(super) least: Duration,
    pub(super) most: Duration,
}

impl Unknown {
    pub(super) fn known(at: Moment) -> Self {
        Self {
            start: at,
            least: Duration::ZERO,
            most: Duration::ZERO,
        }
    }

    /// Returns the earliest and the latest possible time.
    pub(super) fn ends(&self) -> [Moment; 2] {
        [self.start.after(self.least), self.start.after(self.most)]
    }
}

impl CachedToken {
    /// Returns the earliest and the latest possible time of the next refresh.
    pub(super) fn next_refreshes(&self) -> [Moment; 2] {
        let due = match &self.scheduled {
            Some(scheduled) => scheduled.ends().map(|end| sooner(self.refresh, end)),
            None => [self.refresh; 2],
        };
        due.map(|due| self.delay.map_or(due, |(end, _)| later(due, end)))
    }

    /// Takes over the machine's time of the next refresh, and what it tells of the refresh time and
    /// of the scheduled time.
    pub(super) fn adopt(&mut self, next: Moment) {
        let [mine, latest] = self.next_refreshes();
        if let Some(scheduled) = &mut self.scheduled
            && mine != latest
        {
            // The time is neither the refresh time nor the end of a delay, so it is the scheduled one.
            let start = scheduled.start;
            let others = [Some(self.refresh), self.delay.map(|(end, _)| end)];
            let others: Vec<_> = others.into_iter().flatten().collect();
            let drawn = if others.iter().all(|other| !near(*other, next, |at| at.mono)) {
                Some(next.mono.saturating_sub(start.mono))
            } else if others.iter().all(|other| !near(*other, next, |at| at.wall)) {
                Some(next.wall.saturating_sub(start.wall))
            } else {
                None
            };
            if let Some(drawn) = drawn {
                scheduled.least = drawn;
                scheduled.most = drawn;
            }
        }
        if near(next, self.refresh, |at| at.mono) {
            self.refresh.mono = next.mono;
        }
        if near(next, self.refresh, |at| at.wall) {
            self.refresh.wall = next.wall;
        }
        self.next_refresh = next;
    }

    /// Returns whether it was requested by a flight after number `flights`.
    pub(super) fn was_requested_after(&self, flights: usize) -> bool {
        !self.handed_in && self.flight > flights
    }
}

impl Model {
    pub(super) fn cached_token(
        &self,
        token: String,
        start: Moment,
        lifetime: Duration,
        flight: usize,
    ) -> CachedToken {
        let ahead = part(lifetime, 4).min(LONGEST_AHEAD);
        let jitter = part(lifetime, 10).mul_f64(self.jitter);
        let margin = part(lifetime, 10).min(LONGEST_MARGIN);
        let before_end = |time: Duration| start.after(lifetime.saturating_sub(time));
        let refresh = before_end(ahead.saturating_add(jitter));
        CachedToken {
            token,
            reported_expiry: reported_expiry(start.after(lifetime)),
            expires: before_end(Duration::ZERO),
            unusable: before_end(margin),
            refresh,
            scheduled: None,
            delay: None,
            next_refresh: refresh,
            flight,
            handed_in: false,
        }
    }
}
