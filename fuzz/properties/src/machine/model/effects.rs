//! The second table: the effects of outcomes, new credentials and handed-in tokens.

use std::time::Duration;

use meshconnect_auth_core::{Event, Moment};

use super::cached::CachedToken;
use super::dates::{has_come, reported_expiry, sooner, until};
use super::{Checked, LONGEST_LIFETIME, Model, Outcome, Problem, Row};

impl Model {
    pub(in super::super) fn handle_outcome(
        &mut self,
        now: Moment,
        flight: usize,
        expected_outcome: Outcome,
    ) -> Checked {
        let now = self.advance(now);
        let Some(sent) = flight
            .checked_sub(1)
            .and_then(|index| self.flights.get(index))
        else {
            return Err(format!("unknown flight {flight}"));
        };
        if sent.generation != self.generation {
            return Ok(());
        }
        let sent = sent.at;
        let is_in_flight = self.in_flight == Some(flight);
        let joined = self.acquisition.is_some();
        let (token, lifetime) = match expected_outcome {
            Outcome::Token(token, lifetime) => (token, lifetime),
            Outcome::Problem(problem) if is_in_flight => return self.failed(now, flight, problem),
            Outcome::Problem(_) => return Ok(()),
        };

        let mut new = self.cached_token(token, sent, lifetime, flight);
        let is_cached = self
            .cached
            .as_ref()
            .is_some_and(|cached| cached.token == new.token);
        let mut same = self.cached.iter_mut().chain(&mut self.dropped);
        if let Some(same) = same.find(|same| same.token == new.token) {
            // Any answer, even a late one, may shorten the lifetime of the same token.
            same.expires = sooner(same.expires, new.expires);
            same.unusable = sooner(same.unusable, new.unusable);
            new.reported_expiry = new.reported_expiry.min(same.reported_expiry);
            let same = same.clone();
            let usable = !has_come(same.unusable, now);
            if usable && is_cached && !(joined && self.in_flight.is_some()) {
                new.expires = same.expires;
                new.unusable = same.unusable;
                new.refresh = same.refresh;
                if is_in_flight {
                    new.scheduled = same.scheduled;
                    return self.not_renewed(now, new);
                }
            } else {
                // In an acquisition, or in a refresh that waiters have joined, the margin and the
                // refresh time follow from the time that is left. The same applies to a late answer
                // while an acquisition is in flight; the tables do not define that case.
                let reported_expiry = new.reported_expiry;
                let left = until(same.expires, now);
                new = self.cached_token(new.token, now, left, flight);
                new.reported_expiry = reported_expiry;
            }
            if !is_in_flight && is_cached {
                // A late answer changes nothing else, so a delay continues.
                new.scheduled = same.scheduled;
                new.delay = same.delay;
            }
        }
        if has_come(new.unusable, now) {
            return if is_in_flight {
                self.failed(now, flight, Problem::timeout())
            } else {
                Ok(())
            };
        }
        let left = until(new.expires, now);
        if !is_in_flight {
            if flight > self.newest {
                self.granted_life = Some(left);
                self.cache(new);
            }
            return Ok(());
        }
        self.in_flight = None;
        self.acquisition = None;
        self.probe = false;
        self.grants.push(now);
        self.succeed(now, &new);
        if flight > self.newest || self.usable(now).is_none() {
            self.cache(new);
        }
        match self.events.pop_front() {
            Some(Event::Refreshed { lifetime, .. }) if lifetime == left => Ok(()),
            other => Err(format!(
                "got {other:?}, expected Refreshed with the lifetime {left:?}"
            )),
        }
    }

    pub(super) fn succeed(&mut self, now: Moment, granted: &CachedToken) {
        self.granted_at = Some(now.wall);
        self.granted_life = Some(until(granted.expires, now));
        self.failed_at = None;
    }

    pub(super) fn cache(&mut self, mut token: CachedToken) {
        [token.next_refresh, _] = token.next_refreshes();
        self.newest = token.flight;
        self.dropped = None;
        self.cached = Some(token);
    }

    /// Abandons a flight without an outcome.
    pub(in super::super) fn abandon(&mut self, flight: usize) -> Checked {
        if self.in_flight != Some(flight) {
            return Ok(());
        }
        let now = self.seen;
        let over = self.flight_deadline(flight) <= now.mono;
        let refreshing = self.acquisition.is_none();
        if refreshing {
            if let Some(before) = self.row_before.take() {
                self.row.take_back(&before);
            }
            if self.usable(now).is_some() {
                return self.refresh_failed(now, Problem::abandoned(), false);
            }
        }
        if over {
            return self.failed(now, flight, Problem::timeout());
        }
        self.in_flight = None;
        let failed = self
            .acquisition
            .as_ref()
            .map_or(0, |acquisition| acquisition.failed.len());
        if failed == 0 {
            self.acquisition = None;
        }
        self.expect_abandoned(failed.saturating_add(1), refreshing)
    }

    /// Replaces the credentials. This also ends the row of rejections, the probe and the delay of a
    /// refresh.
    pub(in super::super) fn new_credentials(&mut self, same_id: bool) -> Checked {
        self.generation = self.generation.saturating_add(1);
        let refreshing = self.acquisition.is_none();
        self.end_quietly(refreshing)?;
        self.cooldown = None;
        self.probe = false;
        self.delays.clear();
        self.grants.clear();
        self.row = Row::default();
        if !same_id {
            self.cached = None;
            self.dropped = None;
            self.granted_life = None;
        }
        if let Some(cached) = &mut self.cached {
            cached.scheduled = None;
            cached.delay = None;
        }
        Ok(())
    }

    /// Hands in a token with the remaining `lifetime` by the wall clock.
    pub(in super::super) fn handed_in(&mut self, now: Moment, token: String, lifetime: Duration) {
        let reported_expiry = reported_expiry(now.after(lifetime));
        let now = self.advance(now);
        let lifetime = lifetime.min(LONGEST_LIFETIME);
        let mut new = self.cached_token(token, now, lifetime, self.flights.len());
        new.reported_expiry = reported_expiry;
        new.handed_in = true;
        let longer = self
            .usable(now)
            .is_none_or(|cached| until(cached.expires, now) < until(new.expires, now));
        if longer && !has_come(new.unusable, now) {
            self.cache(new);
            self.grants.push(now);
        }
    }
}
