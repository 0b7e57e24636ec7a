//! Failures and their effects: back-offs, cooldowns and delays.

use std::time::Duration;

use meshconnect_auth_core::{Event, Moment};

use super::cached::CachedToken;
use super::dates::{has_come, later};
use super::delays::{Range, backoff, part};
use super::{
    ACQUISITION, Acquisition, Checked, LEFT_FOR_A_RETRY, Model, Problem, SETTLED, Ticket, ensure,
    time_left,
};

const ATTEMPTS: usize = 3;
const FIRST_COOLDOWN: Duration = Duration::from_secs(1);
const LONGEST_COOLDOWN: Duration = Duration::from_secs(60);

impl Model {
    /// Ends the flight or the acquisition whose deadline has passed.
    pub(super) fn notice_deadlines(&mut self, now: Moment, asking: Option<&Ticket>) -> Checked {
        if let Some(flight) = self
            .in_flight
            .filter(|flight| self.flight_deadline(*flight) <= now.mono)
        {
            if self.acquisition.is_none() && self.usable(now).is_some() {
                return self.failed(now, flight, Problem::timeout());
            }
            // A refresh ahead of a token that is not usable counts as the first attempt of an
            // acquisition.
            self.join_acquisition(flight);
            let over = self.acquisition.as_ref().is_some_and(|acquisition| {
                acquisition.begun.saturating_add(ACQUISITION) <= now.mono
            });
            // `poll_refresh` has no ticket, so the acquisition ends in failure.
            if over && asking.is_some_and(|ticket| ticket.flights >= flight) {
                self.in_flight = None;
                self.acquisition = None;
                return Ok(());
            }
            return self.failed(now, flight, Problem::timeout());
        }
        if let Some(acquisition) = &self.acquisition
            && self.in_flight.is_none()
            && acquisition.again_at <= now.mono
            && time_left(acquisition, now) < LEFT_FOR_A_RETRY
        {
            let last = acquisition.failed.last().cloned();
            return match (last, asking) {
                (Some((flight, problem)), Some(ticket)) if ticket.flights < flight => {
                    self.end_in_failure(now, problem)
                }
                _ => {
                    self.acquisition = None;
                    Ok(())
                }
            };
        }
        Ok(())
    }

    /// Records the failure of the flight in flight.
    pub(super) fn failed(&mut self, now: Moment, flight: usize, problem: Problem) -> Checked {
        if self.acquisition.is_none() && self.usable(now).is_some() {
            return self.refresh_failed(now, problem);
        }
        self.join_acquisition(flight);
        self.in_flight = None;
        let Some(acquisition) = &mut self.acquisition else {
            return Err("the model has no acquisition".to_owned());
        };
        let number = acquisition.failed.len().saturating_add(1);
        let problem = Problem {
            attempts: number,
            ..problem
        };
        acquisition.failed.push((flight, problem.clone()));
        let most = if acquisition.probe { 1 } else { ATTEMPTS };
        if number < most && problem.retried {
            let range = backoff(&problem, number, now);
            let fits = |delay: Duration| {
                delay.saturating_add(LEFT_FOR_A_RETRY) <= time_left(acquisition, now)
            };
            if let Some(Event::Retry {
                number: reported,
                delay,
                error,
                ..
            }) = self.events.front()
            {
                let right = range.allows(*delay)
                    && fits(*delay)
                    && usize::try_from(*reported) == Ok(number)
                    && problem.is(error);
                ensure(right, || {
                    format!(
                        "got {:?}, expected Retry of {problem:?} within {range:?}",
                        self.events
                    )
                })?;
                acquisition.again_at = now.mono.saturating_add(*delay);
                self.events.pop_front();
                return Ok(());
            }
            ensure(!fits(range.most), || {
                format!(
                    "got {:?}, expected Retry after attempt {number}",
                    self.events
                )
            })?;
        }
        self.end_in_failure(now, problem)
    }

    /// Makes the refresh ahead the first attempt of an acquisition.
    pub(super) fn join_acquisition(&mut self, flight: usize) {
        let sent = flight
            .checked_sub(1)
            .and_then(|index| self.flights.get(index));
        let begun = sent.map_or(Duration::ZERO, |sent| sent.at.mono);
        let probe = self.probe;
        self.acquisition.get_or_insert_with(|| Acquisition {
            begun,
            probe,
            failed: Vec::new(),
            again_at: begun,
        });
    }

    pub(super) fn end_in_failure(&mut self, now: Moment, problem: Problem) -> Checked {
        self.forget_settled_failures(now);
        let range = self.delay_rule().or_retry_after(&problem, now);
        let range = range.or_remaining_cooldown(self.cooldown_left(now));
        let delay = self.expect_failed(&problem, false, range)?;
        let cached = self.expect_cooldown(&problem, Range::of(delay))?;
        self.delays.push(cached);
        self.acquisition = None;
        self.probe = true;
        self.failures.push(problem.clone());
        self.begin_cooldown(now, delay, problem);
        Ok(())
    }

    pub(super) fn refresh_failed(&mut self, now: Moment, problem: Problem) -> Checked {
        self.in_flight = None;
        self.forget_settled_failures(now);
        let mut range = self.delay_rule().or_retry_after(&problem, now);
        if problem.retry_at.is_some() {
            range = range.or_remaining_cooldown(self.cooldown_left(now));
        }
        let delay = self.expect_failed(&problem, true, range)?;
        self.delays.push(delay);
        self.delay_refresh(now, delay);
        if problem.retry_at.is_some() {
            self.expect_cooldown(&problem, Range::of(delay))?;
            self.begin_cooldown(now, delay, problem);
        }
        Ok(())
    }

    pub(super) fn not_renewed(&mut self, now: Moment, same: CachedToken) -> Checked {
        self.in_flight = None;
        self.forget_settled_failures(now);
        let range = self.delay_rule();
        match self.events.pop_front() {
            Some(Event::NotRenewed { delay, .. }) if range.allows(delay) => {
                self.delays.push(delay);
                self.cached = Some(same);
                self.delay_refresh(now, delay);
                Ok(())
            }
            other => Err(format!(
                "got {other:?}, expected NotRenewed within {range:?}"
            )),
        }
    }

    /// Sets the next refresh to the end of the delay, but not before the refresh time.
    pub(super) fn delay_refresh(&mut self, now: Moment, delay: Duration) {
        if let Some(cached) = &mut self.cached {
            cached.next_refresh = later(cached.refresh, now.after(delay));
        }
    }

    pub(super) fn begin_cooldown(&mut self, now: Moment, delay: Duration, problem: Problem) {
        let end = now.after(delay);
        let end = match self.running(now) {
            Some((running, _)) => later(*running, end),
            None => end,
        };
        self.cooldown = Some((end, problem));
    }

    /// Forgets the earlier failures if the first grant since then is old enough.
    ///
    /// This is called at a failure or a rejection. A failed attempt that is retried is not a
    /// failure.
    pub(super) fn forget_settled_failures(&mut self, now: Moment) {
        let first = self.grants.first();
        if first.is_some_and(|grant| has_come(grant.after(SETTLED), now)) {
            self.delays.clear();
        }
        self.grants.clear();
    }

    /// Returns the range of the next cooldown or delay.
    pub(super) fn delay_rule(&self) -> Range {
        let mut most = FIRST_COOLDOWN;
        for _ in &self.delays {
            most = most.saturating_mul(2).min(LONGEST_COOLDOWN);
        }
        Range {
            least: part(most, 2).max(FIRST_COOLDOWN),
            most,
        }
    }

    pub(super) fn expect_attempt(&mut self, number: usize, ahead: bool) -> Checked {
        match self.events.pop_front() {
            Some(Event::Attempt {
                number: reported,
                ahead: reported_ahead,
                ..
            }) if usize::try_from(reported) == Ok(number) && reported_ahead == ahead => Ok(()),
            other => Err(format!(
                "got {other:?}, expected Attempt {number}, ahead: {ahead}"
            )),
        }
    }

    pub(super) fn expect_failed(
        &mut self,
        problem: &Problem,
        ahead: bool,
        range: Range,
    ) -> Checked<Duration> {
        match self.events.pop_front() {
            Some(Event::Failed {
                error,
                ahead: reported,
                delay,
                ..
            }) if problem.is(&error) && reported == ahead && range.allows(delay) => Ok(delay),
            other => Err(format!(
                "got {other:?}, expected Failed with {problem:?}, ahead: {ahead}, within {range:?}"
            )),
        }
    }

    pub(super) fn expect_cooldown(&mut self, problem: &Problem, range: Range) -> Checked<Duration> {
        match self.events.pop_front() {
            Some(Event::CooldownStarted { error, delay, .. })
                if problem.is(&error) && range.allows(delay) =>
            {
                Ok(delay)
            }
            other => Err(format!(
                "got {other:?}, expected CooldownStarted after {problem:?}, within {range:?}"
            )),
        }
    }
}
