//! Failures and their effects: back-offs, cooldowns and delays.

use std::time::Duration;

use meshconnect_auth_core::{Event, Moment};

use super::cached::CachedToken;
use super::dates::{has_come, later};
use super::delays::{Range, backoff, part};
use super::{
    Acquisition, Checked, FIRST_COOLDOWN, LEFT_FOR_A_RETRY, LONGEST_COOLDOWN, Model, Problem,
    SETTLED, Ticket, acquisition_deadline, ensure, time_left,
};

const ATTEMPTS: usize = 3;

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
            let refreshing = self.acquisition.is_none();
            // A refresh ahead of a token that is not usable counts as the first attempt of an
            // acquisition.
            self.join_acquisition(flight);
            let over = self
                .acquisition
                .as_ref()
                .is_some_and(|acquisition| acquisition_deadline(acquisition) <= now.mono);
            // `poll_refresh` has no ticket, so the acquisition ends in failure.
            if over && asking.is_some_and(|ticket| ticket.flights >= flight) {
                return self.end_quietly(refreshing);
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
                    // The end of its attempt was an event already.
                    let range = self.end_in_failure(now, &problem);
                    let delay = self.expect_cooldown(&problem, range)?;
                    self.enter_cooldown(now, delay, problem);
                    Ok(())
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
            return self.refresh_failed(now, problem, true);
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
        self.failed_at = Some((now.wall, problem.clone()));
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
        let range = self.end_in_failure(now, &problem);
        let delay = self.expect_failed(&problem, false, range)?;
        self.expect_cooldown(&problem, Range::of(delay))?;
        self.enter_cooldown(now, delay, problem);
        Ok(())
    }

    /// Ends the flight and the acquisition without an outcome.
    pub(super) fn end_quietly(&mut self, refreshing: bool) -> Checked {
        let number = self
            .acquisition
            .take()
            .map_or(1, |acquisition| acquisition.failed.len().saturating_add(1));
        if self.in_flight.take().is_none() {
            return Ok(());
        }
        self.expect_abandoned(number, refreshing)
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

    /// Ends the acquisition, and returns the range of the cooldown.
    fn end_in_failure(&mut self, now: Moment, problem: &Problem) -> Range {
        self.forget_settled_failures(now);
        let range = self.delay_rule().or_retry_after(problem, now);
        let range = range.or_remaining_cooldown(self.cooldown_left(now));
        self.acquisition = None;
        self.probe = true;
        self.failures.push(problem.clone());
        range
    }

    fn enter_cooldown(&mut self, now: Moment, delay: Duration, problem: Problem) {
        self.delays.push(delay);
        self.begin_cooldown(now, delay, problem);
        self.restore_dropped(now);
    }

    /// Ends a refresh ahead of a usable token that failed or, if not `failed`, was abandoned.
    pub(super) fn refresh_failed(
        &mut self,
        now: Moment,
        problem: Problem,
        failed: bool,
    ) -> Checked {
        self.in_flight = None;
        self.failed_at = Some((now.wall, problem.clone()));
        self.forget_settled_failures(now);
        let mut range = self.delay_rule().or_retry_after(&problem, now);
        if problem.retry_at.is_some() {
            range = range.or_remaining_cooldown(self.cooldown_left(now));
        }
        let delay = self.expect_failed(&problem, true, range)?;
        self.delays.push(delay);
        self.delay_refresh(now, delay, failed);
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
                self.succeed(now, &same);
                self.cache(same);
                self.delay_refresh(now, delay, false);
                Ok(())
            }
            other => Err(format!(
                "got {other:?}, expected NotRenewed within {range:?}"
            )),
        }
    }

    fn delay_refresh(&mut self, now: Moment, delay: Duration, failed: bool) {
        if let Some(cached) = &mut self.cached {
            cached.delay = Some((now.after(delay), failed));
            [cached.next_refresh, _] = cached.next_refreshes();
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
    /// This is called at a failure. A failed attempt that is retried is not a failure.
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

    pub(super) fn expect_abandoned(&mut self, number: usize, ahead: bool) -> Checked {
        match self.events.pop_front() {
            Some(Event::Abandoned {
                number: reported,
                ahead: reported_ahead,
                ..
            }) if usize::try_from(reported) == Ok(number) && reported_ahead == ahead => Ok(()),
            other => Err(format!(
                "got {other:?}, expected Abandoned {number}, ahead: {ahead}"
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
