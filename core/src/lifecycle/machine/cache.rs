//! The changes of the cached token.

use super::Machine;
use crate::lifecycle::cached_token::{CachedToken, Delay};
use crate::lifecycle::event::Event;
use crate::lifecycle::freshness::{has_come, until};
use crate::lifecycle::rejections::Rejections;
use crate::lifecycle::state::State;
use crate::moment::Moment;
use crate::protocol::Token;

impl Machine {
    pub(super) fn cache(&mut self, token: CachedToken) {
        self.newest = token.requested();
        self.dropped = None;
        self.cached = Some(token);
    }

    /// Caches a token that the service granted, unless one that was handed in since its request is
    /// usable.
    pub(super) fn cache_granted(&mut self, now: Moment, granted: CachedToken) {
        self.granted_life = Some(granted.left(now));
        if granted.requested() > self.newest || self.usable(now).is_none() {
            self.cache(granted);
        }
    }

    /// Returns `granted`; if it is the cached token, with the delay of its refresh.
    pub(super) fn with_delay_of_same(&self, mut granted: CachedToken) -> CachedToken {
        let cached = self.cached.as_ref();
        if let Some(same) = cached.filter(|cached| cached.token == granted.token) {
            granted.scheduled = same.scheduled;
            granted.delay = same.delay;
        }
        granted
    }

    /// Sets the delay after a refresh that obtained no other token.
    pub(super) fn delay_refresh(&mut self, until: Moment, failed: bool) {
        if let Some(cached) = &mut self.cached {
            cached.delay = Some(Delay { until, failed });
        }
    }

    /// Drops the rejected token, or keeps it and schedules a refresh. Returns whether it is worth
    /// repeating the call with another token.
    pub(super) fn reject(&mut self, now: Moment, token: &Token) -> bool {
        let Some(mut cached) = self.cached.take_if(|cached| cached.token == *token) else {
            return true;
        };
        if !cached.life.is_usable(now) {
            return true;
        }
        self.rejections.record(now, &self.config);
        let interval_end = self.rejections.interval_end();
        let is_over = interval_end.is_none_or(|end| has_come(end, now));
        if is_over && !self.is_waiting(now, &cached) {
            let interval = self.rejections.give_up(now, &self.config, &mut self.rng);
            if let State::Refreshing(in_flight) = &mut self.state {
                in_flight.before = None;
            }
            self.dropped = Some(cached);
            self.emit(Event::Rejected {
                dropped: true,
                delay: interval,
            });
            return true;
        }
        let first = cached.scheduled.is_none();
        cached.scheduled.get_or_insert(interval_end.unwrap_or(now));
        self.cached = Some(cached);
        if first {
            let next = self.next_refresh().unwrap_or(now);
            self.emit(Event::Rejected {
                dropped: false,
                delay: until(next, now),
            });
        }
        false
    }

    /// If a rejection scheduled a refresh: takes the schedule, and begins the next interval. Returns the
    /// row of rejections before that.
    pub(super) fn take_scheduled_refresh(&mut self, now: Moment) -> Option<Rejections> {
        self.cached.as_mut()?.scheduled.take()?;
        let before = self.rejections;
        self.rejections.give_up(now, &self.config, &mut self.rng);
        Some(before)
    }

    /// Serves the dropped token again while it is usable, because no other one was obtained.
    pub(super) fn restore_dropped(&mut self, now: Moment) {
        let dropped = self.dropped.take();
        if let Some(mut dropped) = dropped.filter(|dropped| dropped.life.is_usable(now)) {
            dropped.scheduled = self.cooldown.ends_at();
            dropped.delay = None;
            self.cached = Some(dropped);
        }
    }

    /// Returns whether no other token can be had now: a cooldown, a back-off, or the delay after a failed
    /// refresh runs.
    fn is_waiting(&self, now: Moment, cached: &CachedToken) -> bool {
        let backs_off = matches!(&self.state, State::BackingOff(_, end) if *end > now.mono);
        let delayed = cached
            .delay
            .is_some_and(|delay| delay.failed && !has_come(delay.until, now));
        backs_off || delayed || self.cooldown.running(now).is_some()
    }
}
