//! What fails, and what follows: back-offs, cooldowns and delays.

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
const FIRST_HOLD: Duration = Duration::from_secs(1);
const LONGEST_HOLD: Duration = Duration::from_secs(60);

impl Model {
    /// What is past its deadline ends.
    pub(super) fn notice_deadlines(&mut self, now: Moment, asking: Option<&Ticket>) -> Checked {
        if let Some(flight) = self
            .in_flight
            .filter(|flight| self.flight_over(*flight) <= now.mono)
        {
            if self.acquisition.is_none() && self.usable(now).is_some() {
                return self.failed(now, flight, Problem::timeout());
            }
            // A refresh ahead whose token has gone is the first attempt of an acquisition.
            self.join(flight);
            let over = self.acquisition.as_ref().is_some_and(|acquisition| {
                acquisition.begun.saturating_add(ACQUISITION) <= now.mono
            });
            // Where nobody asks, in `poll_refresh`, the failure is as loud as any.
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

    /// The flight in flight failed.
    pub(super) fn failed(&mut self, now: Moment, flight: usize, problem: Problem) -> Checked {
        if self.acquisition.is_none() && self.usable(now).is_some() {
            return self.refresh_failed(now, problem);
        }
        self.join(flight);
        self.in_flight = None;
        let Some(acquisition) = &mut self.acquisition else {
            return Err("there is no acquisition".to_owned());
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
                number: told,
                delay,
                error,
                ..
            }) = self.heard.front()
            {
                let right = range.allows(*delay)
                    && fits(*delay)
                    && usize::try_from(*told) == Ok(number)
                    && problem.is(error);
                ensure(right, || {
                    format!("it told {:?} of {problem:?}, with {range:?}", self.heard)
                })?;
                acquisition.again_at = now.mono.saturating_add(*delay);
                self.heard.pop_front();
                return Ok(());
            }
            ensure(!fits(range.most), || {
                format!(
                    "it told {:?} and gave up after attempt {number}",
                    self.heard
                )
            })?;
        }
        self.end_in_failure(now, problem)
    }

    /// Makes a refresh ahead the first attempt of an acquisition that began with it.
    pub(super) fn join(&mut self, flight: usize) {
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
        self.judge(now);
        let range = self.delay_rule().or_as_asked(&problem, now);
        let range = range.or_what_is_left(self.cooldown_left(now));
        let delay = self.expect_failed(&problem, false, range)?;
        let cached = self.expect_cooldown(&problem, Range::of(delay))?;
        self.delays.push(cached);
        self.acquisition = None;
        self.probe = true;
        self.failures.push(problem.clone());
        self.begin(now, delay, problem);
        Ok(())
    }

    pub(super) fn refresh_failed(&mut self, now: Moment, problem: Problem) -> Checked {
        self.in_flight = None;
        self.judge(now);
        let mut range = self.delay_rule().or_as_asked(&problem, now);
        if problem.retry_at.is_some() {
            range = range.or_what_is_left(self.cooldown_left(now));
        }
        let delay = self.expect_failed(&problem, true, range)?;
        self.delays.push(delay);
        self.put_off(now, delay);
        if problem.retry_at.is_some() {
            self.expect_cooldown(&problem, Range::of(delay))?;
            self.begin(now, delay, problem);
        }
        Ok(())
    }

    pub(super) fn not_renewed(&mut self, now: Moment, same: CachedToken) -> Checked {
        self.in_flight = None;
        self.judge(now);
        let range = self.delay_rule();
        match self.heard.pop_front() {
            Some(Event::NotRenewed { delay, .. }) if range.allows(delay) => {
                self.delays.push(delay);
                self.cached = Some(same);
                self.put_off(now, delay);
                Ok(())
            }
            other => Err(format!(
                "it told {other:?} of the same token again, with {range:?}"
            )),
        }
    }

    /// The next refresh is after the delay, and not before the refresh point.
    pub(super) fn put_off(&mut self, now: Moment, delay: Duration) {
        if let Some(cached) = &mut self.cached {
            cached.next_refresh = later(cached.refresh, now.after(delay));
        }
    }

    pub(super) fn begin(&mut self, now: Moment, delay: Duration, problem: Problem) {
        let end = now.after(delay);
        let end = match self.running(now) {
            Some((running, _)) => later(*running, end),
            None => end,
        };
        self.cooldown = Some((end, problem));
    }

    /// At a failure or rejection: whether a grant has stood long enough for the failures before it
    /// to be forgotten. An attempt that is retried is no failure here; of several grants, the
    /// first counts.
    pub(super) fn judge(&mut self, now: Moment) {
        let first = self.grants.first();
        if first.is_some_and(|grant| has_come(grant.after(SETTLED), now)) {
            self.delays.clear();
        }
        self.grants.clear();
    }

    /// How long the next cooldown or delay is.
    pub(super) fn delay_rule(&self) -> Range {
        let mut most = FIRST_HOLD;
        for _ in &self.delays {
            most = most.saturating_mul(2).min(LONGEST_HOLD);
        }
        Range {
            least: part(most, 2).max(FIRST_HOLD),
            most,
        }
    }

    pub(super) fn expect_attempt(&mut self, number: usize, ahead: bool) -> Checked {
        match self.heard.pop_front() {
            Some(Event::Attempt {
                number: told,
                ahead: told_ahead,
                ..
            }) if usize::try_from(told) == Ok(number) && told_ahead == ahead => Ok(()),
            other => Err(format!(
                "it told {other:?} of attempt {number}, ahead: {ahead}"
            )),
        }
    }

    pub(super) fn expect_failed(
        &mut self,
        problem: &Problem,
        ahead: bool,
        range: Range,
    ) -> Checked<Duration> {
        match self.heard.pop_front() {
            Some(Event::Failed {
                error,
                ahead: told,
                delay,
                ..
            }) if problem.is(&error) && told == ahead && range.allows(delay) => Ok(delay),
            other => Err(format!(
                "it told {other:?} of {problem:?}, ahead: {ahead}, with {range:?}"
            )),
        }
    }

    pub(super) fn expect_cooldown(&mut self, problem: &Problem, range: Range) -> Checked<Duration> {
        match self.heard.pop_front() {
            Some(Event::CooldownStarted { error, delay, .. })
                if problem.is(&error) && range.allows(delay) =>
            {
                Ok(delay)
            }
            other => Err(format!(
                "it told {other:?} of a cooldown after {problem:?}, with {range:?}"
            )),
        }
    }
}
