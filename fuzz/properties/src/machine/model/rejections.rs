//! The third table: what a rejection changes.

use std::time::Duration;

use meshconnect_auth_core::{Event, Moment};

use super::cached::{CachedToken, Unknown};
use super::dates::{has_come, later, until};
use super::delays::part;
use super::{Checked, FIRST_COOLDOWN, LONGEST_COOLDOWN, Model, SETTLED, ensure};

/// The rejections in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    given_up: u32,
    /// The interval in which no other token is given up.
    interval: Option<Unknown>,
    last: Option<Moment>,
}

impl Row {
    fn end_settled(&mut self, now: Moment) {
        if self
            .last
            .is_some_and(|last| has_come(last.after(SETTLED), now))
        {
            *self = Self::default();
        }
    }

    /// Begins the next interval.
    pub(super) fn give_up(&mut self, now: Moment) {
        self.end_settled(now);
        self.last.get_or_insert(now);
        let mut most = FIRST_COOLDOWN;
        for _ in 0..self.given_up {
            most = most.saturating_mul(2).min(LONGEST_COOLDOWN);
        }
        self.interval = Some(Unknown {
            start: now,
            least: part(most, 2),
            most,
        });
        self.given_up = self.given_up.saturating_add(1);
    }

    pub(super) fn take_back(&mut self, before: &Self) {
        self.given_up = before.given_up;
        self.interval = before.interval;
    }

    /// Returns the time of the row's end.
    pub(super) fn end(&self) -> Option<Moment> {
        self.last.map(|last| last.after(SETTLED))
    }

    /// Returns the latest end of the interval.
    pub(super) fn interval_end(&self) -> Option<Moment> {
        self.interval
            .map(|interval| interval.start.after(interval.most))
    }

    /// Narrows the length of the interval that began at `start`.
    pub(super) fn narrow(&mut self, known: &Unknown) {
        if let Some(interval) = &mut self.interval
            && interval.start == known.start
        {
            interval.least = interval.least.max(known.least);
            interval.most = interval.most.min(known.most);
        }
    }
}

impl Model {
    /// Records a rejection that the machine answered with `answer`. If the end of the interval is not
    /// known, the answer tells whether it has come.
    pub(in super::super) fn rejection(
        &mut self,
        now: Moment,
        token: &str,
        answer: bool,
    ) -> Checked {
        let now = self.advance(now);
        self.notice_deadlines(now, None)?;
        let right = |expected: bool| {
            ensure(answer == expected, || {
                format!("the rejection of {token} was answered with {answer}")
            })
        };
        let Some(mut cached) = self.cached.take_if(|cached| cached.token == token) else {
            return right(true);
        };
        if has_come(cached.unusable, now) {
            return right(true);
        }
        self.row.end_settled(now);
        self.row.last = Some(now);
        let waits = self.waits(now, &cached);
        let runs = match &mut self.row.interval {
            None => false,
            Some(interval) => {
                let [earliest, latest] = interval.ends();
                if has_come(earliest, now) && !has_come(latest, now) && !waits {
                    let mono = now.mono.saturating_sub(interval.start.mono);
                    let elapsed = mono.max(now.wall.saturating_sub(interval.start.wall));
                    if answer {
                        interval.most = elapsed;
                    } else {
                        interval.least = elapsed;
                    }
                    !answer
                } else {
                    !has_come(latest, now)
                }
            }
        };
        right(!waits && !runs)?;
        if answer {
            self.row.give_up(now);
            self.row_before = None;
            let interval = self.expect_rejected(true)?;
            let allowed = self
                .row
                .interval
                .as_ref()
                .is_some_and(|range| (range.least..=range.most).contains(&interval));
            ensure(allowed, || {
                format!("the interval {interval:?} is out of range")
            })?;
            if let Some(range) = &mut self.row.interval {
                range.least = interval;
                range.most = interval;
            }
            self.dropped = Some(cached);
            return Ok(());
        }
        let first = cached.scheduled.is_none();
        if first {
            cached.scheduled = Some(self.row.interval.unwrap_or_else(|| Unknown::known(now)));
        }
        let possible = cached.next_refreshes();
        self.cached = Some(cached);
        if first {
            let delay = self.expect_rejected(false)?;
            let [least, most] = possible.map(|next| until(self.not_while_busy(next), now));
            ensure((least..=most).contains(&delay), || {
                format!("the delay {delay:?} of the refresh is not within {least:?} to {most:?}")
            })?;
        }
        Ok(())
    }

    /// A failed acquisition returns the token that was dropped before it.
    pub(super) fn restore_dropped(&mut self, now: Moment) {
        let cooldown_end = self.cooldown.as_ref().map(|(end, _)| *end);
        if let Some(mut dropped) = self.dropped.take()
            && !has_come(dropped.unusable, now)
        {
            dropped.scheduled = cooldown_end.map(Unknown::known);
            dropped.delay = None;
            self.cached = Some(dropped);
        }
    }

    /// Returns whether no other token can be had now.
    fn waits(&self, now: Moment, cached: &CachedToken) -> bool {
        let backs_off = self.in_flight.is_none()
            && self
                .acquisition
                .as_ref()
                .is_some_and(|acquisition| acquisition.again_at > now.mono);
        let delayed = cached
            .delay
            .is_some_and(|(end, failed)| failed && !has_come(end, now));
        backs_off || delayed || self.running(now).is_some()
    }

    /// Returns `next`, or the end of the flight, acquisition or cooldown if that is later.
    pub(super) fn not_while_busy(&self, next: Moment) -> Moment {
        let busy = match (self.in_flight, &self.acquisition) {
            (Some(flight), _) => Some(self.flight_deadline(flight)),
            (None, Some(acquisition)) => Some(super::acquisition_deadline(acquisition)),
            (None, None) => None,
        };
        let wall = Duration::MAX;
        let next = busy.map_or(next, |mono| later(next, Moment { mono, wall }));
        let cooldown = self.cooldown.as_ref();
        cooldown.map_or(next, |(end, _)| later(next, *end))
    }

    fn expect_rejected(&mut self, expected: bool) -> Checked<Duration> {
        match self.events.pop_front() {
            Some(Event::Rejected { dropped, delay, .. }) if dropped == expected => Ok(delay),
            other => Err(format!(
                "got {other:?}, expected Rejected, dropped: {expected}"
            )),
        }
    }
}
