//! The second table: what an answer, a rejection, other credentials or a token from elsewhere does.

use std::time::Duration;

use meshconnect_auth_core::{ErrorKind, Event, Moment};

use super::dates::{has_come, later, sooner, told_expiry, until};
use super::{Brought, Checked, LONGEST_LIFETIME, Model, Problem, SETTLED};

const REMEMBERED_REJECTIONS: usize = 8;

impl Model {
    pub(in super::super) fn outcome(
        &mut self,
        now: Moment,
        flight: usize,
        brought: Brought,
    ) -> Checked {
        let now = self.read(now);
        let Some(sent) = flight
            .checked_sub(1)
            .and_then(|index| self.flights.get(index))
        else {
            return Err(format!("there is no flight {flight}"));
        };
        if sent.generation != self.generation {
            return Ok(());
        }
        let sent = sent.at;
        let is_in_flight = self.in_flight == Some(flight);
        let joined = self.acquisition.is_some();
        let (token, lifetime) = match brought {
            Brought::Token(token, lifetime) => (token, lifetime),
            Brought::Problem(problem) if is_in_flight => return self.failed(now, flight, problem),
            Brought::Problem(_) => return Ok(()),
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

        let mut new = self.life(token, sent, sent, lifetime, flight, now);
        let same = self
            .cached
            .as_mut()
            .filter(|cached| cached.token == new.token);
        if let Some(cached) = same {
            // Any answer may make the life of the cached token shorter, an old one too.
            cached.expires = sooner(cached.expires, new.expires);
            cached.unusable = sooner(cached.unusable, new.unusable);
            new.told_expiry = new.told_expiry.min(cached.told_expiry);
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
                // Of an acquisition, or of a refresh that waiters have joined: the margin and the
                // refresh point follow from what is left. (So they do for a late answer, if at
                // that time an acquisition is in flight; the tables say neither.)
                let told_expiry = new.told_expiry;
                let left = until(cached.expires, now);
                new = self.life(new.token, sent, now, left, flight, now);
                new.told_expiry = told_expiry;
            }
            if !is_in_flight {
                // It comes late, and so changes nothing else: a delay goes on too.
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
        match self.heard.pop_front() {
            Some(Event::Refreshed { lifetime, .. }) if lifetime == left => Ok(()),
            other => Err(format!("it told {other:?} of a new token for {left:?}")),
        }
    }

    /// As if it had never been sent.
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
        let now = self.read(now);
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
        match self.heard.pop_front() {
            Some(Event::Rejected { in_a_row, .. }) if usize::try_from(in_a_row) == Ok(self.row) => {
            }
            other => {
                return Err(format!(
                    "it told {other:?} of rejection {} in a row",
                    self.row
                ));
            }
        }
        self.judge(now);
        if self.row > 1 {
            let problem = Problem::new(ErrorKind::TokenRejected, 0);
            let range = self.delay_rule().or_what_is_left(self.cooldown_left(now));
            let delay = self.expect_cooldown(&problem, range)?;
            self.delays.push(delay);
            self.begin(now, delay, problem);
        }
        Ok(true)
    }

    /// The other credentials forget the row of rejections, the probe and the delay of a refresh
    /// too, which the tables do not say.
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

    /// A token from elsewhere, `lifetime` of which is left by the wall clock. The tables know of
    /// it at the very beginning alone; later it takes the place of whatever is cached. What was
    /// rejected stays so.
    pub(in super::super) fn handed_in(&mut self, now: Moment, token: String, lifetime: Duration) {
        let told_expiry = told_expiry(now.after(lifetime));
        let now = self.read(now);
        let last = self.rejected.len().saturating_sub(REMEMBERED_REJECTIONS);
        let mut refused = self.rejected.iter().skip(last);
        if refused.any(|(refused, _)| *refused == token) {
            return;
        }
        let lifetime = lifetime.min(LONGEST_LIFETIME);
        let mut new = self.life(token, now, now, lifetime, 0, now);
        new.told_expiry = told_expiry;
        if !has_come(new.unusable, now) {
            self.cached = Some(new);
            self.grants.push(now);
        }
    }
}
