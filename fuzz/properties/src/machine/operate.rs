//! What each operation does to the machine and to the model, and that both answer alike.

use std::time::{Duration, SystemTime};

use meshconnect_auth_core::{CachedToken, Moment, Need, Step, Transmit};

use super::answers::{brought, exchange, outcome, token};
use super::model::{Brought, Checked, Expected, ensure};
use super::ops::{Answer, Clock, Move, Nudge, Op, Which};
use super::{LONGEST_WAIT, Reply, World};

impl World {
    /// Whether there was anything to apply it to.
    pub(super) fn apply(&mut self, op: Op) -> Checked<bool> {
        let now = self.now;
        let usable = self.machine.status(now).token_left.is_some();
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
            Op::Abandon(back) => self.abandon(back),
            Op::Reject(which) => self.reject(which)?,
            Op::NewCredentials { same_id } => Some(self.new_credentials(same_id)),
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
            self.facts.read(now);
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
                "a usable token is cached no more".to_owned()
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
        self.listen();
        let expected = self.model.poll(self.now, &mine)?;
        let reply = match (step, expected) {
            (Step::Ready(token), Expected::Ready(name)) if token.id_token() == name => {
                self.facts.served(&name, self.now)?;
                Reply::Ready
            }
            (Step::Send(transmit), Expected::Send(timeout)) => self.sent(transmit, timeout)?,
            (Step::Wait(time), Expected::Wait(mine)) if time == mine => {
                ensure(!time.is_zero() && time <= LONGEST_WAIT, || {
                    format!("a wait of {time:?}")
                })?;
                Reply::Wait(time)
            }
            (Step::Failed(error), Expected::Failed(problem)) if problem.is(&error) => {
                Reply::Failed(error.kind())
            }
            (step, expected) => {
                return Err(format!("it answers {step:?}, and not {expected:?}"));
            }
        };
        self.one_error_for_all(failures)?;
        Ok(Some(reply))
    }

    fn refresh(&mut self) -> Checked<Option<Reply>> {
        let failures = self.model.failures();
        let transmit = self.machine.poll_refresh(self.now);
        self.listen();
        let expected = self.model.poll_refresh(self.now)?;
        let reply = match (transmit, expected) {
            (Some(transmit), Some(timeout)) => self.sent(transmit, timeout)?,
            (None, None) => Reply::Nothing,
            (transmit, expected) => {
                return Err(format!("it refreshes {transmit:?}, and not {expected:?}"));
            }
        };
        self.one_error_for_all(failures)?;
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
        let brought = brought(answer, &name, self.answers, self.now);
        ensure(
            outcome.is_ok() == matches!(brought, Brought::Token(..)),
            || format!("{answer:?} is read as {outcome:?}"),
        )?;
        self.facts.back(number);
        if let Brought::Token(name, lifetime) = &brought {
            self.facts.granted(name, number, *lifetime);
        }
        let failures = self.model.failures();
        self.machine.handle_outcome(self.now, flight, outcome);
        self.listen();
        self.model.outcome(self.now, number, brought)?;
        self.one_error_for_all(failures)?;
        Ok(Some(Reply::Nothing))
    }

    fn abandon(&mut self, back: u8) -> Option<Reply> {
        let (flight, number) = take(&mut self.flights, back)?;
        self.facts.back(number);
        self.machine.handle_abandon(flight);
        self.listen();
        self.model.abandon(number);
        Some(Reply::Nothing)
    }

    fn reject(&mut self, which: Which) -> Checked<Option<Reply>> {
        let Some(name) = self.name(which) else {
            return Ok(None);
        };
        let token = token(&name, SystemTime::UNIX_EPOCH)?;
        let counts = self.machine.handle_rejection(self.now, &token);
        self.listen();
        let expected = self.model.rejection(self.now, &name)?;
        ensure(counts == expected, || {
            format!("a rejection of {name} counts: {counts}")
        })?;
        if counts {
            self.facts.rejected(name);
        }
        Ok(Some(Reply::Nothing))
    }

    fn new_credentials(&mut self, same_id: bool) -> Reply {
        self.clients = self.clients.saturating_add(usize::from(!same_id));
        let generation = self.facts.new_credentials();
        self.exchange = exchange(self.clients, generation);
        self.machine
            .set_credentials(self.exchange.credentials().clone());
        self.listen();
        self.model.new_credentials(same_id);
        Reply::Nothing
    }

    /// The cached token itself, with another expiry, is not handed in: the tables know of a hand-in
    /// at the very beginning alone.
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
        self.listen();
        self.facts.handed_in(&name, self.now, lifetime);
        self.model.handed_in(self.now, name, lifetime);
        Ok(Some(Reply::Nothing))
    }

    fn set(&mut self, clock: Clock, movement: Move) -> Option<Reply> {
        self.now = self.moved(clock, movement)?;
        Some(Reply::Nothing)
    }

    /// If an acquisition has just failed, everyone who began before gets its error, or a token, and
    /// sends nothing. `before` is how many had failed.
    fn one_error_for_all(&mut self, before: usize) -> Checked {
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
                format!("one who waited, {ticket:?}, does not get the error")
            })?;
        }
        Ok(())
    }

    fn sent(&mut self, transmit: Transmit, timeout: Duration) -> Checked<Reply> {
        let number = self.model.flights();
        ensure(transmit.timeout == timeout, || {
            format!("a time-out of {:?}, and not {timeout:?}", transmit.timeout)
        })?;
        ensure(transmit.max_body == 64 * 1024, || {
            format!("a body of {}", transmit.max_body)
        })?;
        let current = self.exchange.request();
        ensure(
            transmit.request.body().as_ref() == current.body().as_ref(),
            || "it sends other credentials".to_owned(),
        )?;
        self.facts.sent(self.now, timeout)?;
        self.flights.push((transmit.flight, number));
        Ok(Reply::Send(number))
    }

    fn listen(&mut self) {
        while let Some(event) = self.machine.poll_event() {
            self.model.hear(event.clone());
            self.told.push(event);
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

/// The index of what is `back` steps from the last, wrapping around.
fn counted_back(length: usize, back: u8) -> usize {
    let back = usize::from(back).checked_rem(length).unwrap_or_default();
    length.saturating_sub(back).saturating_sub(1)
}

fn take<T>(list: &mut Vec<T>, back: u8) -> Option<T> {
    let index = counted_back(list.len(), back);
    (!list.is_empty()).then(|| list.remove(index))
}
