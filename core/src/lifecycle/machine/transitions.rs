//! The transitions of the state machine.

use std::time::Duration;

use super::Machine;
use crate::error::{Error, TransportError, TransportErrorKind};
use crate::lifecycle::cached_token::{CachedToken, Origin};
use crate::lifecycle::event::Event;
use crate::lifecycle::freshness::{Lifespan, sooner, until};
use crate::lifecycle::retry::{self, MIN_RETRY_WINDOW};
use crate::lifecycle::state::{Acquisition, InFlight, State};
use crate::lifecycle::step::{Flight, Ticket, Transmit};
use crate::moment::Moment;
use crate::protocol::Grant;

/// The number of events that are kept. After that, the oldest are dropped.
const MAX_EVENTS: usize = 64;

/// The outcome of a flight: a token with its dates, or a failure.
pub(super) type Arrival = Result<CachedToken, Error>;

impl Machine {
    /// Ends flights and back-offs that are past their deadlines. `ticket` is that of the polling call,
    /// if there is one.
    pub(super) fn notice_deadlines(&mut self, now: Moment, ticket: Option<&Ticket>) {
        let waited = |flight| ticket.is_some_and(|ticket| ticket.flights < flight);
        let (acquisition, in_flight) = match self.state.clone() {
            State::Refreshing(in_flight) if now.mono >= in_flight.deadline => {
                if self.usable(now).is_some() {
                    return self.fail_refresh(now, in_flight, timed_out());
                }
                (self.joined(in_flight), in_flight)
            }
            State::Acquiring(acquisition, in_flight) if now.mono >= in_flight.deadline => {
                (acquisition, in_flight)
            }
            State::BackingOff(acquisition, end)
                if now.mono >= end && acquisition.left(now) < MIN_RETRY_WINDOW =>
            {
                return match acquisition.error.clone() {
                    Some(error) if waited(acquisition.failed) => {
                        // The end of its last attempt was an event already.
                        let delay = self.fail(now, error.clone());
                        self.emit(Event::CooldownStarted { error, delay });
                    }
                    _ => self.state = State::Idle,
                };
            }
            _ => return,
        };
        // A caller that arrived after the last attempt does not inherit its error.
        if now.mono >= acquisition.deadline && ticket.is_some() && !waited(in_flight.number) {
            self.end_quietly();
        } else {
            self.fail_attempt(now, &acquisition, in_flight, timed_out());
        }
    }

    /// Sends the next attempt of an acquisition, or the first one of a new acquisition.
    pub(super) fn send_attempt(&mut self, now: Moment) -> Transmit {
        let mut acquisition = match &self.state {
            State::BackingOff(acquisition, _) => acquisition.clone(),
            _ => self.acquisition(now.mono),
        };
        acquisition.attempts = acquisition.attempts.saturating_add(1);
        let number = acquisition.attempts;
        let timeout = self.config.attempt_timeout.min(acquisition.left(now));
        let (in_flight, transmit) = self.begin_flight(now, timeout);
        self.state = State::Acquiring(acquisition, in_flight);
        self.emit(Event::Attempt {
            number,
            ahead: false,
        });
        transmit
    }

    pub(super) fn send_refresh(&mut self, now: Moment) -> Transmit {
        let before = self.take_scheduled_refresh(now);
        let (mut in_flight, transmit) = self.begin_flight(now, self.config.attempt_timeout);
        in_flight.before = before;
        self.state = State::Refreshing(in_flight);
        self.emit(Event::Attempt {
            number: 1,
            ahead: true,
        });
        transmit
    }

    fn begin_flight(&mut self, now: Moment, timeout: Duration) -> (InFlight, Transmit) {
        self.flights = self.flights.saturating_add(1);
        let in_flight = InFlight {
            number: self.flights,
            sent: now,
            deadline: now.mono.saturating_add(timeout),
            before: None,
        };
        let transmit = Transmit {
            request: self.exchange.request(),
            flight: Flight {
                number: in_flight.number,
                generation: self.generation,
                sent: now,
                exchange: self.exchange.clone(),
            },
            timeout,
            max_body: self.config.max_body,
        };
        (in_flight, transmit)
    }

    fn acquisition(&self, start: Duration) -> Acquisition {
        Acquisition {
            attempts: 0,
            max_attempts: if self.probing {
                1
            } else {
                self.config.attempts
            },
            deadline: start.saturating_add(self.config.acquisition_timeout),
            failed: 0,
            error: None,
        }
    }

    /// Returns the acquisition that a refresh ahead becomes when its token has ended, so that callers
    /// wait for it.
    fn joined(&self, in_flight: InFlight) -> Acquisition {
        Acquisition {
            attempts: 1,
            ..self.acquisition(in_flight.sent.mono)
        }
    }

    /// Returns the granted token with its dates, or an error if it cannot be cached.
    pub(super) fn admit(&mut self, now: Moment, flight: &Flight, grant: Grant) -> Arrival {
        let grant = grant.within(&self.config);
        let mut life = self.lifespan(flight.sent, grant.lifetime());
        let mut token = grant.into_token(flight.sent);
        let is_cached = matches!(&self.cached, Some(cached) if cached.token == token);
        let mut known = self.cached.iter_mut().chain(&mut self.dropped);
        if let Some(known) = known.find(|known| known.token == token) {
            // The same token again does not live longer: the sooner expiry counts.
            known.life.expires_at = sooner(life.expires_at, known.life.expires_at);
            known.life.usable_until = sooner(life.usable_until, known.life.usable_until);
            if known.token.expires_at() < token.expires_at() {
                token = known.token.clone();
            }
            life = known.life;
            let refreshed = is_cached && !matches!(self.state, State::Acquiring(..));
            if !refreshed || !life.is_usable(now) {
                life = self.lifespan(now, until(life.expires_at, now));
            }
        }
        if !life.is_usable(now) {
            return Err(timed_out());
        }
        Ok(CachedToken::new(
            token,
            life,
            Origin::Granted(flight.number),
        ))
    }

    pub(super) fn lifespan(&self, start: Moment, lifetime: Duration) -> Lifespan {
        Lifespan::new(start, lifetime, &self.config, self.jitter)
    }

    /// Ends a flight of the current credentials.
    pub(super) fn land(&mut self, now: Moment, flight: u64, arrival: Arrival) {
        match (self.state.clone(), arrival) {
            (State::Acquiring(acquisition, in_flight), arrival) if in_flight.number == flight => {
                match arrival {
                    Ok(granted) => self.accept(now, granted),
                    Err(error) => self.fail_attempt(now, &acquisition, in_flight, error),
                }
            }
            (State::Refreshing(in_flight), arrival) if in_flight.number == flight => {
                match arrival {
                    Ok(granted) if self.is_cached(now, &granted) => {
                        self.fail_to_renew(now, granted);
                    }
                    Ok(granted) => self.accept(now, granted),
                    Err(error) => self.fail_refresh(now, in_flight, error),
                }
            }
            // The flight is over. A late grant is cached if it is newer, and has no other effect.
            (_, Ok(late)) if late.requested() > self.newest => {
                let late = self.with_delay_of_same(late);
                self.cache_granted(now, late);
            }
            _ => {}
        }
    }

    /// Abandons the current flight. `cause` is the reason, if it is known.
    pub(super) fn abandon(&mut self, now: Moment, cause: Option<Error>) {
        match self.state.clone() {
            State::Refreshing(in_flight) => {
                if let Some(before) = in_flight.before {
                    self.rejections.take_back(before);
                }
                if self.usable(now).is_some() {
                    self.end_refresh(now, cause.unwrap_or_else(abandoned), false);
                } else if now.mono >= in_flight.deadline {
                    let acquisition = self.joined(in_flight);
                    self.fail_attempt(now, &acquisition, in_flight, timed_out());
                } else {
                    self.end_quietly();
                }
            }
            State::Acquiring(acquisition, in_flight) if now.mono >= in_flight.deadline => {
                self.fail_attempt(now, &acquisition, in_flight, timed_out());
            }
            State::Acquiring(acquisition, _) => {
                self.end_quietly();
                let attempts = acquisition.attempts.saturating_sub(1);
                if attempts > 0 {
                    let acquisition = Acquisition {
                        attempts,
                        ..acquisition
                    };
                    self.state = State::BackingOff(acquisition, Duration::ZERO);
                }
            }
            State::Idle | State::BackingOff(..) => {}
        }
    }

    /// Ends the current activity without an outcome.
    pub(super) fn end_quietly(&mut self) {
        let abandoned = match &self.state {
            State::Refreshing(_) => Some((1, true)),
            State::Acquiring(acquisition, _) => Some((acquisition.attempts, false)),
            State::Idle | State::BackingOff(..) => None,
        };
        self.state = State::Idle;
        if let Some((number, ahead)) = abandoned {
            self.emit(Event::Abandoned { number, ahead });
        }
    }

    fn accept(&mut self, now: Moment, granted: CachedToken) {
        let lifetime = granted.left(now);
        self.state = State::Idle;
        self.probing = false;
        self.succeed(now);
        self.cooldown.grant(now);
        self.cache_granted(now, granted);
        self.emit(Event::Refreshed { lifetime });
    }

    fn succeed(&mut self, now: Moment) {
        self.granted_at = Some(now.wall);
        self.failed_at = None;
    }

    /// Returns whether a refresh ahead returned the usable cached token.
    fn is_cached(&self, now: Moment, granted: &CachedToken) -> bool {
        self.usable(now)
            .is_some_and(|cached| cached.token == granted.token)
    }

    fn fail_to_renew(&mut self, now: Moment, granted: CachedToken) {
        let delay = self.cooldown.fail(now, &self.config, &mut self.rng);
        self.state = State::Idle;
        self.succeed(now);
        self.granted_life = Some(granted.left(now));
        let granted = self.with_delay_of_same(granted);
        self.cache(granted);
        self.delay_refresh(now.after(delay), false);
        self.emit(Event::NotRenewed { delay });
    }

    fn fail_refresh(&mut self, now: Moment, in_flight: InFlight, error: Error) {
        if self.usable(now).is_none() {
            // The token has ended during the flight, so callers wait for this flight.
            let acquisition = self.joined(in_flight);
            self.fail_attempt(now, &acquisition, in_flight, error);
        } else {
            self.end_refresh(now, error, true);
        }
    }

    /// Ends a refresh ahead of a usable token that failed or, if not `failed`, was abandoned.
    fn end_refresh(&mut self, now: Moment, error: Error, failed: bool) {
        let error = self.exchange.named(error);
        let (delay, requested) = self.delay_after(now, &error);
        let delay = match requested {
            Some(requested) => self
                .cooldown
                .begin(now, delay.max(requested), error.clone()),
            None => delay,
        };
        self.delay_refresh(now.after(delay), failed);
        self.state = State::Idle;
        self.failed_at = Some((now.wall, error.clone()));
        self.emit(Event::Failed {
            error: error.clone(),
            ahead: true,
            delay,
        });
        if requested.is_some() {
            self.emit(Event::CooldownStarted { error, delay });
        }
    }

    fn fail_attempt(
        &mut self,
        now: Moment,
        acquisition: &Acquisition,
        in_flight: InFlight,
        error: Error,
    ) {
        let number = acquisition.attempts;
        let error = self.exchange.named(error).with_attempts(number);
        self.failed_at = Some((now.wall, error.clone()));
        if number < acquisition.max_attempts && error.is_transient() {
            let delay = retry::backoff(&error, number, now, &self.config, &mut self.rng);
            if delay.saturating_add(MIN_RETRY_WINDOW) <= acquisition.left(now) {
                let acquisition = Acquisition {
                    failed: in_flight.number,
                    error: Some(error.clone()),
                    ..acquisition.clone()
                };
                self.state = State::BackingOff(acquisition, now.mono.saturating_add(delay));
                self.emit(Event::Retry {
                    number,
                    delay,
                    error,
                });
                return;
            }
        }
        let delay = self.fail(now, error.clone());
        self.emit(Event::Failed {
            error: error.clone(),
            ahead: false,
            delay,
        });
        self.emit(Event::CooldownStarted { error, delay });
    }

    /// Ends an acquisition with a failure, and returns the length of the cooldown.
    fn fail(&mut self, now: Moment, error: Error) -> Duration {
        let (delay, requested) = self.delay_after(now, &error);
        let delay = retry::cooldown_after(&error, delay);
        let delay = requested.map_or(delay, |requested| requested.max(delay));
        self.state = State::Idle;
        self.probing = true;
        self.failures = self.failures.saturating_add(1);
        self.last_failure = Some(error.clone());
        let delay = self.cooldown.begin(now, delay, error);
        self.restore_dropped(now);
        delay
    }

    /// Returns the delay after a failure, and the one that the server requested, if any, with jitter and
    /// within the limit.
    fn delay_after(&mut self, now: Moment, error: &Error) -> (Duration, Option<Duration>) {
        let delay = self.cooldown.fail(now, &self.config, &mut self.rng);
        let requested = retry::retry_after(error, now).map(|requested| {
            let later = retry::later_than_requested(requested, &mut self.rng);
            later.min(self.config.max_retry_after)
        });
        (delay, requested)
    }

    pub(super) fn emit(&mut self, event: Event) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

fn abandoned() -> Error {
    let what = "the task or thread of the attempt could not start, or ended early";
    TransportError::with_detail(TransportErrorKind::Client, what).into()
}

/// Returns the error for a flight past its deadline, or for a token that is not usable on arrival.
fn timed_out() -> Error {
    let what = "no usable token came in time";
    TransportError::with_detail(TransportErrorKind::Timeout, what).into()
}
