//! The second table: the effects of outcomes, rejections, new credentials and handed-in tokens.

use std::time::Duration;

use meshconnect_auth_core::{ErrorKind, Event, Moment};

use super::dates::{has_come, later, reported_expiry, sooner, until};
use super::{Checked, LONGEST_LIFETIME, Model, Outcome, Problem, SETTLED};

const REMEMBERED_REJECTIONS: usize = 8;

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

        let last = self.rejected.len().saturating_sub(REMEMBERED_REJECTIONS);
        let refused = self.rejected.iter().skip(last);
        if { refused }.any(|(refused, flights)| *refused == token && flight <= *flights) {
            let problem = Problem::new(ErrorKind::TokenRejected, 1);
            return if is_in_flight {
                self.failed(now, flight, problem)
            } else {
                Ok(())
            };
        }

        let mut new = self.cached_token(token, sent, sent, lifetime, flight, now);
        let same = self
            .cached
            .as_mut()
            .filter(|cached| cached.token == new.token);
        if let Some(cached) = same {
            // Any answer, even a late one, may shorten the lifetime of the cached token.
            cached.expires = sooner(cached.expires, new.expires);
            cached.unusable = sooner(cached.unusable, new.unusable);
            new.reported_expiry = new.reported_expiry.min(cached.reported_expiry);
            let delayed_until = cached.next_refresh;
            let usable = !has_come(cached.unusable, now);
            if usable && !(joined && self.in_flight.is_some()) {
                new.expires = cached.expires;
                new.unusable = cached.unusable;
                new.refresh = cached.refresh;
                new.left_on_arrival = until(cached.expires, now);
                if is_in_flight {
                    return self.not_renewed(now, new);
                }
            } else {
                // In an acquisition, or in a refresh that waiters have joined, the margin and the
                // refresh time follow from the time that is left. The same applies to a late answer
                // while an acquisition is in flight; the tables do not define that case.
                let reported_expiry = new.reported_expiry;
                let left = until(cached.expires, now);
                new = self.cached_token(new.token, sent, now, left, flight, now);
                new.reported_expiry = reported_expiry;
            }
            if !is_in_flight {
                // A late answer changes nothing else, so a delay continues.
                new.next_refresh = later(new.refresh, delayed_until);
            }
        }
        if has_come(new.unusable, now) {
            return if is_in_flight {
                self.failed(now, flight, Problem::timeout())
            } else {
                Ok(())
            };
        }
        if !is_in_flight {
            if self
                .cached
                .as_ref()
                .is_none_or(|cached| cached.flight < new.flight)
            {
                self.cached = Some(new);
            }
            return Ok(());
        }
        let left = new.left_on_arrival;
        self.cached = Some(new);
        self.in_flight = None;
        self.acquisition = None;
        self.probe = false;
        self.grants.push(now);
        match self.events.pop_front() {
            Some(Event::Refreshed { lifetime, .. }) if lifetime == left => Ok(()),
            other => Err(format!(
                "got {other:?}, expected Refreshed with the lifetime {left:?}"
            )),
        }
    }

    /// Abandons a flight without an outcome, as if it had never been sent.
    pub(in super::super) fn abandon(&mut self, flight: usize) {
        if self.in_flight != Some(flight) {
            return;
        }
        self.in_flight = None;
        match &self.acquisition {
            None => {
                if let Some(cached) = &mut self.cached {
                    cached.next_refresh = cached.refresh;
                }
            }
            Some(acquisition) if acquisition.failed.is_empty() => self.acquisition = None,
            Some(_) => {}
        }
    }

    pub(in super::super) fn rejection(&mut self, now: Moment, token: &str) -> Checked<bool> {
        let now = self.advance(now);
        let Some(cached) = self.cached.take_if(|cached| cached.token == token) else {
            return Ok(false);
        };
        self.rejected.push((cached.token, self.flights.len()));
        self.row = if has_come(cached.sent.after(SETTLED), now) {
            0
        } else {
            self.row
        };
        self.row = self.row.saturating_add(1);
        match self.events.pop_front() {
            Some(Event::Rejected { in_a_row, .. }) if usize::try_from(in_a_row) == Ok(self.row) => {
            }
            other => {
                return Err(format!(
                    "got {other:?}, expected Rejected with in_a_row {}",
                    self.row
                ));
            }
        }
        self.forget_settled_failures(now);
        if self.row > 1 {
            let problem = Problem::new(ErrorKind::TokenRejected, 0);
            let range = self
                .delay_rule()
                .or_remaining_cooldown(self.cooldown_left(now));
            let delay = self.expect_cooldown(&problem, range)?;
            self.delays.push(delay);
            self.begin_cooldown(now, delay, problem);
        }
        Ok(true)
    }

    /// Replaces the credentials. This also ends the row of rejections, the probe and the delay of a
    /// refresh, which the tables do not define.
    pub(in super::super) fn new_credentials(&mut self, same_id: bool) {
        self.generation = self.generation.saturating_add(1);
        self.in_flight = None;
        self.acquisition = None;
        self.cooldown = None;
        self.probe = false;
        self.delays.clear();
        self.grants.clear();
        self.row = 0;
        if !same_id {
            self.cached = None;
        }
        if let Some(cached) = &mut self.cached {
            cached.next_refresh = cached.refresh;
        }
    }

    /// Hands in a token with the remaining `lifetime` by the wall clock. It replaces the cached
    /// token, unless it was rejected. The tables define this only for a new machine.
    pub(in super::super) fn handed_in(&mut self, now: Moment, token: String, lifetime: Duration) {
        let reported_expiry = reported_expiry(now.after(lifetime));
        let now = self.advance(now);
        let last = self.rejected.len().saturating_sub(REMEMBERED_REJECTIONS);
        let mut refused = self.rejected.iter().skip(last);
        if refused.any(|(refused, _)| *refused == token) {
            return;
        }
        let lifetime = lifetime.min(LONGEST_LIFETIME);
        let mut new = self.cached_token(token, now, now, lifetime, 0, now);
        new.reported_expiry = reported_expiry;
        if !has_come(new.unusable, now) {
            self.cached = Some(new);
            self.grants.push(now);
        }
    }
}
