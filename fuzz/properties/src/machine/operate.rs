//! Applies each operation to the machine and to the model, and compares their answers.

use std::time::{Duration, SystemTime};

use meshconnect_auth_core::{CachedToken, Event, Moment, Need, Step, Transmit};

use super::answers::{exchange, expected_outcome, outcome, token};
use super::model::{Checked, Expected, Outcome, ensure};
use super::ops::{Answer, Clock, Move, Nudge, Op, Which};
use super::{LONGEST_WAIT, Reply, World};

impl World {
    /// Applies an operation. Returns whether it applied to anything.
    pub(super) fn apply(&mut self, op: Op) -> Checked<bool> {
        let now = self.now;
        let usable = self.machine.status(now).expires_at.is_some();
        let before = self.machine.cached_token().filter(|_| usable).cloned();
        let reply = match op {
            Op::Call(need) => {
                self.begin(need);
                self.poll(0)?
            }
            Op::Begin(need) => Some(self.begin(need)),
            Op::Poll(back) => self.poll(back)?,
            Op::Refresh => self.refresh()?,
            Op::Answer(back, answer) => self.answer(back, answer)?,
            Op::Abandon(back) => self.abandon(back)?,
            Op::Reject(which) => self.reject(which)?,
            Op::NewCredentials { same_id } => Some(self.new_credentials(same_id)?),
            Op::HandIn(which, lifetime) => self.hand_in(which, lifetime)?,
            Op::Set(clock, movement) => self.set(clock, movement),
        };
        let Some(reply) = reply else { return Ok(false) };
        self.log.push((op, now, reply));

        let reads_the_clock = !matches!(
            op,
            Op::Begin(_) | Op::Abandon(_) | Op::NewCredentials { .. } | Op::Set(..)
        );
        if reads_the_clock {
            self.invariants.advance(now);
        }
        let may_replace = matches!(
            op,
            Op::Answer(_, Answer::Token(..))
                | Op::Reject(_)
                | Op::NewCredentials { .. }
                | Op::HandIn(..)
        );
        if let Some(before) = before.filter(|_| !may_replace) {
            let cached = self.machine.cached_token().map(CachedToken::token);
            ensure(cached == Some(before.token()), || {
                "a usable token was removed from the cache".to_owned()
            })?;
        }
        Ok(true)
    }

    fn begin(&mut self, need: Need) -> Reply {
        self.tickets
            .push((self.machine.ticket(need), self.model.ticket(need)));
        Reply::Nothing
    }

    fn poll(&mut self, back: u8) -> Checked<Option<Reply>> {
        let index = counted_back(self.tickets.len(), back);
        let Some((ticket, mine)) = self.tickets.get(index).cloned() else {
            return Ok(None);
        };
        let failures = self.model.failures();
        let step = self.machine.poll(self.now, &ticket);
        self.drain_events();
        let expected = self.model.poll(self.now, &mine)?;
        let reply = match (step, expected) {
            (Step::Ready(token), Expected::Ready(name)) if token.id_token() == name => {
                self.invariants.check_served(&name, self.now)?;
                Reply::Ready
            }
            (Step::Send(transmit), Expected::Send(timeout)) => self.sent(transmit, timeout)?,
            (Step::Wait(time), Expected::Wait(mine)) if time == mine => {
                ensure(!time.is_zero() && time <= LONGEST_WAIT, || {
                    format!("the wait {time:?} is out of range")
                })?;
                Reply::Wait(time)
            }
            (Step::Failed(error), Expected::Failed(problem)) if problem.is(&error) => {
                Reply::Failed(error.kind())
            }
            (step, expected) => {
                return Err(format!("poll returned {step:?}, expected {expected:?}"));
            }
        };
        self.check_waiters_share_the_error(failures)?;
        Ok(Some(reply))
    }

    fn refresh(&mut self) -> Checked<Option<Reply>> {
        let failures = self.model.failures();
        let transmit = self.machine.poll_refresh(self.now);
        self.drain_events();
        let expected = self.model.poll_refresh(self.now)?;
        let reply = match (transmit, expected) {
            (Some(transmit), Some(timeout)) => self.sent(transmit, timeout)?,
            (None, None) => Reply::Nothing,
            (transmit, expected) => {
                return Err(format!(
                    "poll_refresh returned {transmit:?}, expected {expected:?}"
                ));
            }
        };
        self.check_waiters_share_the_error(failures)?;
        Ok(Some(reply))
    }

    fn answer(&mut self, back: u8, answer: Answer) -> Checked<Option<Reply>> {
        let name = match answer {
            Answer::Token(which, _) => self.name(which),
            _ => Some(String::new()),
        };
        let Some(name) = name else { return Ok(None) };
        let Some((flight, number)) = take(&mut self.flights, back) else {
            return Ok(None);
        };
        self.answers = self.answers.saturating_add(1);
        let outcome = outcome(&flight, answer, &name, self.answers, self.now)?;
        let expected_outcome = expected_outcome(answer, &name, self.answers, self.now);
        ensure(
            outcome.is_ok() == matches!(expected_outcome, Outcome::Token(..)),
            || format!("{answer:?} was parsed as {outcome:?}"),
        )?;
        self.invariants.record_end(number);
        if let Outcome::Token(name, lifetime) = &expected_outcome {
            self.invariants.record_grant(name, number, *lifetime);
        }
        let failures = self.model.failures();
        self.machine.handle_outcome(self.now, flight, outcome);
        self.drain_events();
        self.model
            .handle_outcome(self.now, number, expected_outcome)?;
        self.check_waiters_share_the_error(failures)?;
        Ok(Some(Reply::Nothing))
    }

    fn abandon(&mut self, back: u8) -> Checked<Option<Reply>> {
        let Some((flight, number)) = take(&mut self.flights, back) else {
            return Ok(None);
        };
        let failures = self.model.failures();
        self.invariants.record_end(number);
        self.machine.handle_abandon(flight);
        self.drain_events();
        self.model.abandon(number)?;
        self.check_waiters_share_the_error(failures)?;
        Ok(Some(Reply::Nothing))
    }

    fn reject(&mut self, which: Which) -> Checked<Option<Reply>> {
        let Some(name) = self.name(which) else {
            return Ok(None);
        };
        let token = token(&name, SystemTime::UNIX_EPOCH)?;
        let failures = self.model.failures();
        let usable = self.cached_and_usable();
        let answer = self.machine.handle_rejection(self.now, &token);
        self.drain_events();
        self.model.rejection(self.now, &name, answer)?;
        let still = self.cached_and_usable();
        let kept = usable.is_none() || usable == still;
        ensure(kept || (answer && usable.as_ref() == Some(&name)), || {
            format!("the rejection of {name} removed {usable:?}")
        })?;
        if !kept {
            self.invariants.record_rejection(name);
        }
        self.check_waiters_share_the_error(failures)?;
        Ok(Some(Reply::Nothing))
    }

    /// Returns the cached token, if it is usable.
    fn cached_and_usable(&self) -> Option<String> {
        self.machine.status(self.now).expires_at?;
        let cached = self.machine.cached_token()?;
        Some(cached.token().id_token().to_owned())
    }

    fn new_credentials(&mut self, same_id: bool) -> Checked<Reply> {
        self.clients = self.clients.saturating_add(usize::from(!same_id));
        let generation = self.invariants.new_credentials();
        self.exchange = exchange(self.clients, generation);
        self.machine
            .set_credentials(self.exchange.credentials().clone());
        self.drain_events();
        self.model.new_credentials(same_id)?;
        Ok(Reply::Nothing)
    }

    /// Hands in a token other than the cached one, because the tables do not define the effect of
    /// the cached token with another expiry.
    fn hand_in(&mut self, which: Which, lifetime: Duration) -> Checked<Option<Reply>> {
        let cached = self.machine.cached_token();
        let cached = cached.map(|cached| cached.token().id_token().to_owned());
        let name = self
            .name(which)
            .filter(|name| cached.as_ref() != Some(name));
        let expiry = self.now.after(lifetime).system_time();
        let (Some(name), Some(expiry)) = (name, expiry) else {
            return Ok(None);
        };
        self.machine.handle_token(self.now, token(&name, expiry)?);
        self.drain_events();
        self.invariants.record_hand_in(&name, self.now, lifetime);
        self.model.handed_in(self.now, name, lifetime);
        Ok(Some(Reply::Nothing))
    }

    fn set(&mut self, clock: Clock, movement: Move) -> Option<Reply> {
        self.now = self.moved(clock, movement)?;
        Some(Reply::Nothing)
    }

    /// If an acquisition has just failed, checks that all earlier callers get its error or a token,
    /// and that none of them sends. `before` is the number of failed acquisitions before the
    /// operation.
    fn check_waiters_share_the_error(&mut self, before: usize) -> Checked {
        if self.model.failures() == before {
            return Ok(());
        }
        for (ticket, _) in &self.tickets {
            let right = match self.machine.poll(self.now, ticket) {
                Step::Ready(_) => true,
                Step::Failed(error) => {
                    let last = self.model.last_failure();
                    last.is_some_and(|problem| problem.is(&error))
                }
                _ => false,
            };
            ensure(right, || {
                format!("the waiter {ticket:?} did not get the error")
            })?;
        }
        Ok(())
    }

    fn sent(&mut self, transmit: Transmit, timeout: Duration) -> Checked<Reply> {
        let number = self.model.flights();
        ensure(transmit.timeout == timeout, || {
            format!(
                "the time-out is {:?}, expected {timeout:?}",
                transmit.timeout
            )
        })?;
        ensure(transmit.max_body == 64 * 1024, || {
            format!("max_body is {}", transmit.max_body)
        })?;
        let current = self.exchange.request();
        ensure(
            transmit.request.body().as_ref() == current.body().as_ref(),
            || "the request has other credentials".to_owned(),
        )?;
        self.invariants.record_attempt(self.now, timeout)?;
        self.flights.push((transmit.flight, number));
        Ok(Reply::Send(number))
    }

    fn drain_events(&mut self) {
        while let Some(event) = self.machine.poll_event() {
            if matches!(event, Event::CooldownStarted { .. }) {
                self.invariants.record_failed_acquisition();
            }
            let begins = matches!(event, Event::Attempt { .. });
            self.begun = self.begun.saturating_add(begins.into());
            self.ended = self.ended.saturating_add(event.ends_attempt().into());
            self.model.record_event(event.clone());
            self.events.push(event);
        }
    }

    fn name(&mut self, which: Which) -> Option<String> {
        match which {
            Which::New => {
                let name = format!("token-{}", self.tokens.len());
                self.tokens.push(name.clone());
                Some(name)
            }
            Which::CachedToken => Some(self.machine.cached_token()?.token().id_token().to_owned()),
            Which::Former(back) => {
                let index = counted_back(self.tokens.len(), back);
                self.tokens.get(index).cloned()
            }
        }
    }

    fn moved(&self, clock: Clock, movement: Move) -> Option<Moment> {
        let now = self.now;
        let both = |mono: Duration, wall: Duration| Moment { mono, wall };
        let then = match movement {
            Move::On(time) => now.after(time),
            Move::Back(time) => both(now.mono.saturating_sub(time), now.wall.saturating_sub(time)),
            Move::First => both(Duration::ZERO, Duration::ZERO),
            Move::Last => both(Duration::MAX, Duration::MAX),
            Move::To(edge, nudge) => {
                let date = self.model.date(edge, now)?;
                let mono = date.mono.saturating_sub(now.mono);
                let wall = date.wall.saturating_sub(now.wall);
                let time = match clock {
                    Clock::Both => mono.min(wall),
                    Clock::Mono => mono,
                    Clock::Wall => wall,
                };
                if time.is_zero() {
                    return None;
                }
                let nanosecond = Duration::from_nanos(1);
                now.after(match nudge {
                    Nudge::Before => time.saturating_sub(nanosecond),
                    Nudge::At => time,
                    Nudge::After => time.saturating_add(nanosecond),
                })
            }
        };
        Some(match clock {
            Clock::Both => then,
            Clock::Mono => both(then.mono, now.wall),
            Clock::Wall => both(now.mono, then.wall),
        })
    }
}

/// Returns the index `back` steps before the last element, wrapping around.
fn counted_back(length: usize, back: u8) -> usize {
    let back = usize::from(back).checked_rem(length).unwrap_or_default();
    length.saturating_sub(back).saturating_sub(1)
}

fn take<T>(list: &mut Vec<T>, back: u8) -> Option<T> {
    let index = counted_back(list.len(), back);
    (!list.is_empty()).then(|| list.remove(index))
}
