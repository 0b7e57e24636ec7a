//! Every transition of a token's life, and nothing else: whatever affects the state is in here,
//! and whatever is in here depends on state and time alone. How fresh a token is and how long to
//! wait are pure functions of [`freshness`](super::freshness) and [`retry`](super::retry).
//!
//! The state is what is being tried now. The token that is cached and the cooldown that keeps requests
//! back stand beside it, because each of them can go with any state.
//!
//! ```text
//! Idle       -> Acquiring   poll: a token is needed
//! Idle       -> Refreshing  poll_refresh: a usable token is worth refreshing
//! Acquiring  -> Idle        a token, a failure, an abandoned first flight, new credentials
//! Acquiring  -> BackingOff  a failed attempt, an abandoned later flight
//! BackingOff -> Acquiring   poll: the next attempt
//! BackingOff -> Idle        past the deadline, new credentials
//! BackingOff -> Refreshing  poll_refresh: past the deadline, with a usable token
//! Refreshing -> Idle        a token, a failure, an abandoned flight, new credentials
//! Refreshing -> BackingOff  a failure after the token's end, which is the waiters' first attempt
//! Refreshing -> Acquiring   poll: past the deadline, with the token gone and nobody waiting
//! ```

use std::collections::VecDeque;
use std::fmt;
#[cfg(feature = "shared")]
use std::mem;
use std::time::{Duration, SystemTime};

use fastrand::Rng;

use super::cached_token::CachedToken;
use super::cooldown::Cooldown;
use super::event::Event;
use super::freshness::{Lifespan, has_come, later, sooner, until};
use super::rejected::Rejected;
use super::retry::{self, MIN_RETRY_WINDOW};
use super::state::{Acquisition, InFlight, State};
use super::status::Status;
use super::step::{Flight, Need, Step, Ticket, Transmit};
use crate::config::Config;
use crate::error::{Error, TransportError, TransportErrorKind};
use crate::moment::Moment;
use crate::protocol::{Credentials, Endpoint, Exchange, Grant, Token};

/// How many events wait for an observer; then the oldest go.
const EVENTS: usize = 64;

/// Decides when to ask for a token, from state and time alone.
///
/// It does no IO and reads no clock. Whoever drives it polls with a [`Ticket`], does what the
/// [`Step`] says, and tells what came of it:
///
/// ```
/// # fn main() -> Result<(), meshconnect_auth_core::Error> {
/// use meshconnect_auth_core::{
///     Config, Credentials, Endpoint, Exchange, Machine, Moment, Need, Step,
/// };
/// # use std::time::Duration;
/// # let now = Moment { mono: Duration::ZERO, wall: Duration::from_secs(1_800_000_000) };
/// # let send = |_request| http::Response::new(
/// #     br#"{"status":"ok","content":{"id_token":"abc","expires_in":3600}}"#.to_vec());
///
/// let exchange = Exchange::new(Endpoint::default(), Credentials::new("id", "secret")?);
/// let mut machine = Machine::new(Config::default(), exchange, 42); // a random seed
///
/// let ticket = machine.ticket(Need::Usable);
/// let token = loop {
///     match machine.poll(now, &ticket) {
///         Step::Ready(token) => break token,
///         Step::Failed(error) => return Err(error),
///         Step::Wait(time) => std::thread::sleep(time),
///         Step::Send(transmit) => {
///             let response = send(transmit.request);
///             let outcome = transmit.flight.parse(response, now);
///             machine.handle_outcome(now, transmit.flight, outcome);
///         }
///     }
/// };
/// assert_eq!(token.header_value(), "Bearer abc");
/// # Ok(())
/// # }
/// ```
pub struct Machine {
    config: Config,
    exchange: Exchange,
    rng: Rng,
    /// This instance's share of the refresh jitter, from 0 to 1: stable, so that a fleet that
    /// started together spreads out and stays spread out.
    jitter: f64,
    /// The highest reading of the monotonic clock.
    seen: Duration,
    /// Which credentials these are; flights of older ones count for nothing.
    generation: u64,
    /// How many flights were sent, which is also the number of the last.
    flights: u64,
    /// How many acquisitions ended in failure, and how the last one did.
    failures: u64,
    last_failure: Option<Error>,
    state: State,
    cached: Option<CachedToken>,
    cooldown: Cooldown,
    /// Whether the last acquisition failed: then the next is a probe of one attempt.
    probing: bool,
    rejected: Rejected,
    events: VecDeque<Event>,
}

impl Machine {
    /// A machine that holds no token.
    ///
    /// All its randomness comes from `seed`: draw it at random, once per machine. The config is
    /// taken as it stands; [`Config::check`] tells whether it makes sense.
    #[must_use]
    pub fn new(config: Config, exchange: Exchange, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        Self {
            config,
            exchange,
            jitter: rng.f64(),
            rng,
            seen: Duration::ZERO,
            generation: 0,
            flights: 0,
            failures: 0,
            last_failure: None,
            state: State::Idle,
            cached: None,
            cooldown: Cooldown::default(),
            probing: false,
            rejected: Rejected::default(),
            events: VecDeque::new(),
        }
    }

    /// What to do next for the call with this ticket. The first that fits:
    ///
    /// 1. the cached token is usable and meets the need: [`Ready`](Step::Ready);
    /// 2. an acquisition has failed since the ticket was taken: [`Failed`](Step::Failed) with its
    ///    error, which all who waited share;
    /// 3. no token lives as long as is needed: [`Failed`](Step::Failed), and nothing is sent;
    /// 4. a flight is in flight, or a back-off runs: [`Wait`](Step::Wait) until its end;
    /// 5. a cooldown runs: [`Failed`](Step::Failed) with its error;
    /// 6. else [`Send`](Step::Send).
    pub fn poll(&mut self, now: Moment, ticket: &Ticket) -> Step {
        let now = self.read(now);
        self.notice_deadlines(now, Some(ticket));
        let usable = self.usable(now);
        if let Some(cached) = usable.filter(|cached| ticket.is_met_by(cached, now)) {
            return Step::Ready(cached.token.clone());
        }
        if let Some(error) = self.last_failure.as_ref()
            && self.failures > ticket.failures
        {
            return Step::Failed(error.clone());
        }
        if usable.is_some_and(|cached| ticket.is_beyond(cached)) {
            return Step::Failed(Error::lifetime_too_short());
        }
        let end = self.state.end();
        if end > now.mono {
            return Step::Wait(end.saturating_sub(now.mono));
        }
        if let Some(cooldown) = self.cooldown.running(now) {
            return Step::Failed(cooldown.error.clone());
        }
        Step::Send(self.send_attempt(now))
    }

    /// A refresh ahead, if now is the time for one: the cached token is usable and past its
    /// refresh point, and there is no flight, back-off or cooldown. Nobody has to wait for it.
    pub fn poll_refresh(&mut self, now: Moment) -> Option<Transmit> {
        let now = self.read(now);
        self.notice_deadlines(now, None);
        let due = self
            .usable(now)
            .is_some_and(|cached| has_come(cached.next_refresh, now));
        if !due || !matches!(self.state, State::Idle) || self.cooldown.running(now).is_some() {
            return None;
        }
        let timeout = self.config.attempt_timeout;
        let (in_flight, transmit) = self.take_off(now, timeout);
        if let Some(cached) = &mut self.cached {
            // Until its end is known, nobody else needs to ask.
            cached.next_refresh = now.after(timeout);
        }
        self.state = State::Refreshing(in_flight);
        self.tell(Event::Attempt {
            number: 1,
            ahead: true,
        });
        Some(transmit)
    }

    /// The next event that nobody has taken yet. Of those that nobody takes, the last 64 are
    /// kept.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes what came of a flight. The next [`poll`](Self::poll) tells what follows from it.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a flight goes back exactly once"
    )]
    pub fn handle_outcome(&mut self, now: Moment, flight: Flight, outcome: Result<Grant, Error>) {
        let now = self.read(now);
        if flight.generation != self.generation {
            return;
        }
        let outcome = outcome.map_err(|error| flight.exchange.masked(error));
        let arrival = outcome.and_then(|grant| self.admit(now, &flight, grant));
        match (self.state.clone(), arrival) {
            (State::Acquiring(acquisition, in_flight), arrival)
                if in_flight.number == flight.number =>
            {
                match arrival {
                    Ok(cached) => self.accept(now, cached),
                    Err(error) => self.fail_attempt(now, &acquisition, in_flight, error),
                }
            }
            (State::Refreshing(in_flight), arrival) if in_flight.number == flight.number => {
                match arrival {
                    Ok(cached) if self.is_no_news(now, &cached) => self.fail_to_renew(now, cached),
                    Ok(cached) => self.accept(now, cached),
                    Err(error) => self.fail_refresh(now, in_flight, error),
                }
            }
            // The flight was given up before. What it brings is welcome; nothing else changes.
            (_, Ok(mut late)) => match &self.cached {
                Some(cached) if cached.flight >= late.flight => {}
                cached => {
                    if let Some(cached) =
                        cached.as_ref().filter(|cached| cached.token == late.token)
                    {
                        late.next_refresh = later(late.next_refresh, cached.next_refresh);
                    }
                    self.cached = Some(late);
                }
            },
            _ => {}
        }
    }

    /// Takes back a flight whose outcome nobody will know: as if it had never been sent. It needs
    /// no clock, so that it can be called from a `Drop`.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a flight goes back exactly once"
    )]
    pub fn handle_abandon(&mut self, flight: Flight) {
        match &self.state {
            State::Refreshing(in_flight) if in_flight.number == flight.number => {
                if let Some(cached) = &mut self.cached {
                    cached.next_refresh = cached.life.refresh_at;
                }
                self.state = State::Idle;
            }
            State::Acquiring(acquisition, in_flight) if in_flight.number == flight.number => {
                self.state = match acquisition.attempts {
                    0 | 1 => State::Idle,
                    attempts => State::BackingOff(
                        Acquisition {
                            attempts: attempts.saturating_sub(1),
                            ..acquisition.clone()
                        },
                        Duration::ZERO,
                    ),
                };
            }
            _ => {}
        }
    }

    /// Takes notice that `token` was refused where it was used (a downstream 401). It counts only
    /// for the cached token, which is then cached no more; the answer tells whether it was that.
    pub fn handle_rejection(&mut self, now: Moment, token: &Token) -> bool {
        let now = self.read(now);
        let Some(cached) = self.cached.take_if(|cached| cached.token == *token) else {
            return false;
        };
        self.rejected.remember(token.clone(), self.flights);
        let in_a_row = self.cooldown.reject(now, cached.sent, &self.config);
        self.tell(Event::Rejected { in_a_row });
        if in_a_row > 1 {
            // A downstream that refuses everything must not cost a request per call.
            let delay = self.cooldown.fail(now, &self.config, &mut self.rng);
            let error = Error::token_rejected();
            let delay = self.cooldown.begin(now, delay, error.clone());
            self.tell(Event::CooldownStarted { error, delay });
        }
        true
    }

    /// Takes a token that came from elsewhere, as if it had just been granted. One that is no
    /// longer usable, or that was rejected, is left.
    pub fn handle_token(&mut self, now: Moment, token: Token) {
        let now = self.read(now);
        let expiry = token.expires_at().duration_since(SystemTime::UNIX_EPOCH);
        let lifetime = expiry.unwrap_or_default().saturating_sub(now.wall);
        let lifetime = lifetime.min(self.config.max_lifetime);
        let life = self.lifespan(now, lifetime);
        if life.is_usable(now) && !self.rejected.covers(&token, 0) {
            self.cached = Some(CachedToken {
                token,
                life,
                next_refresh: life.refresh_at,
                flight: 0,
                sent: now,
                left_on_arrival: life.left(now),
            });
            self.cooldown.grant(now);
        }
    }

    /// Goes on with other credentials. What is in flight for the old ones counts for nothing any
    /// more; the cached token stays if the client id is the same.
    pub fn set_credentials(&mut self, credentials: Credentials) {
        if credentials.client_id() != self.exchange.credentials().client_id() {
            self.cached = None;
        }
        if let Some(cached) = &mut self.cached {
            cached.next_refresh = cached.life.refresh_at;
        }
        self.exchange = self.exchange.clone().with_credentials(credentials);
        self.generation = self.generation.saturating_add(1);
        self.state = State::Idle;
        self.cooldown = Cooldown::default();
        self.probing = false;
    }

    /// Begins a call: what it needs, and what has happened up to now.
    #[must_use]
    pub fn ticket(&self, need: Need) -> Ticket {
        Ticket {
            need,
            flights: self.flights,
            failures: self.failures,
        }
    }

    /// Where requests go.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.exchange.endpoint()
    }

    /// The token that is cached, usable or not.
    #[must_use]
    pub fn cached_token(&self) -> Option<&CachedToken> {
        self.cached.as_ref()
    }

    /// What is going on, for a person to look at. It holds no secret.
    #[must_use]
    pub fn status(&self, now: Moment) -> Status {
        let mono = now.mono.max(self.seen);
        let now = Moment { mono, ..now };
        Status {
            phase: self.state.phase(now),
            token_left: self.usable(now).map(|cached| cached.life.left(now)),
            cooldown_left: self
                .cooldown
                .running(now)
                .map(|running| until(running.until, now)),
            last_error: self.last_failure.clone(),
            client_id: self.exchange.credentials().client_id().clone(),
        }
    }

    /// From when on [`poll_refresh`](Self::poll_refresh) is worth a call, for a token that is
    /// usable: not while something is under way that it would wait for.
    #[cfg(feature = "shared")]
    pub(super) fn next_refresh(&self) -> Option<Moment> {
        let cached = self.cached.as_ref()?;
        let busy = match &self.state {
            State::Idle => None,
            State::Refreshing(in_flight) | State::Acquiring(_, in_flight) => {
                Some(in_flight.deadline)
            }
            State::BackingOff(acquisition, _) => Some(acquisition.deadline),
        };
        let free = busy.map(|mono| Moment {
            mono,
            wall: Duration::MAX,
        });
        let next_refresh =
            free.map_or(cached.next_refresh, |free| later(cached.next_refresh, free));
        let cooldown_end = self.cooldown.ends_at();
        Some(cooldown_end.map_or(next_refresh, |until| later(next_refresh, until)))
    }

    /// Tells two states apart, for those who have to tell others of a change.
    #[cfg(feature = "shared")]
    pub(super) fn stamp(&self) -> impl PartialEq + use<> {
        let cached = self.cached.as_ref();
        (
            (self.generation, self.flights, self.failures),
            mem::discriminant(&self.state),
            cached.map(|cached| (cached.flight, cached.next_refresh, cached.life)),
            self.cooldown.ends_at(),
        )
    }

    /// The monotonic clock is held at its highest reading; the wall clock may go anywhere.
    fn read(&mut self, now: Moment) -> Moment {
        self.seen = self.seen.max(now.mono);
        Moment {
            mono: self.seen,
            wall: now.wall,
        }
    }

    fn usable(&self, now: Moment) -> Option<&CachedToken> {
        self.cached
            .as_ref()
            .filter(|cached| cached.life.is_usable(now))
    }

    fn lifespan(&self, start: Moment, lifetime: Duration) -> Lifespan {
        Lifespan::new(start, lifetime, &self.config, self.jitter)
    }

    /// Ends what is past its deadline. Nothing does so by itself, since nothing here runs.
    fn notice_deadlines(&mut self, now: Moment, asking: Option<&Ticket>) {
        let waited = |flight| asking.is_some_and(|ticket| ticket.flights < flight);
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
                    Some(error) if waited(acquisition.failed) => self.fail(now, error),
                    _ => self.state = State::Idle,
                };
            }
            _ => return,
        };
        // Whoever comes long after everyone has gone is not told of their failure.
        if now.mono >= acquisition.deadline && asking.is_some() && !waited(in_flight.number) {
            self.state = State::Idle;
        } else {
            self.fail_attempt(now, &acquisition, in_flight, timed_out());
        }
    }

    fn send_attempt(&mut self, now: Moment) -> Transmit {
        let mut acquisition = match &self.state {
            State::BackingOff(acquisition, _) => acquisition.clone(),
            _ => self.acquisition(now.mono),
        };
        acquisition.attempts = acquisition.attempts.saturating_add(1);
        let number = acquisition.attempts;
        let timeout = self.config.attempt_timeout.min(acquisition.left(now));
        let (in_flight, transmit) = self.take_off(now, timeout);
        self.state = State::Acquiring(acquisition, in_flight);
        self.tell(Event::Attempt {
            number,
            ahead: false,
        });
        transmit
    }

    fn acquisition(&self, begun: Duration) -> Acquisition {
        Acquisition {
            attempts: 0,
            max_attempts: if self.probing {
                1
            } else {
                self.config.attempts
            },
            deadline: begun.saturating_add(self.config.acquisition_timeout),
            failed: 0,
            error: None,
        }
    }

    /// A refresh ahead, as those see it who wait for it since its token has gone.
    fn joined(&self, in_flight: InFlight) -> Acquisition {
        Acquisition {
            attempts: 1,
            ..self.acquisition(in_flight.sent.mono)
        }
    }

    fn take_off(&mut self, now: Moment, timeout: Duration) -> (InFlight, Transmit) {
        self.flights = self.flights.saturating_add(1);
        let in_flight = InFlight {
            number: self.flights,
            sent: now,
            deadline: now.mono.saturating_add(timeout),
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

    /// The token of a grant with its dates, if it can be cached.
    fn admit(&mut self, now: Moment, flight: &Flight, grant: Grant) -> Result<CachedToken, Error> {
        let grant = grant.within(&self.config);
        let mut life = self.lifespan(flight.sent, grant.lifetime());
        let mut token = grant.into_token(flight.sent);
        if self.rejected.covers(&token, flight.number) {
            return Err(Error::token_rejected().with_attempts(1));
        }
        if let Some(cached) = self.cached.as_mut().filter(|cached| cached.token == token) {
            // The same token again does not live longer for that.
            cached.life.expires_at = sooner(life.expires_at, cached.life.expires_at);
            cached.life.usable_until = sooner(life.usable_until, cached.life.usable_until);
            if cached.token.expires_at() < token.expires_at() {
                token = cached.token.clone();
            }
            life = cached.life;
            if !life.is_usable(now) || matches!(self.state, State::Acquiring(..)) {
                life = self.lifespan(now, until(life.expires_at, now));
            }
        }
        if !life.is_usable(now) {
            return Err(timed_out());
        }
        Ok(CachedToken {
            token,
            life,
            next_refresh: life.refresh_at,
            flight: flight.number,
            sent: flight.sent,
            left_on_arrival: life.left(now),
        })
    }

    fn accept(&mut self, now: Moment, cached: CachedToken) {
        let lifetime = cached.left_on_arrival;
        self.cached = Some(cached);
        self.state = State::Idle;
        self.probing = false;
        self.cooldown.grant(now);
        self.tell(Event::Refreshed { lifetime });
    }

    /// Whether a refresh ahead has brought what was there before.
    fn is_no_news(&self, now: Moment, cached: &CachedToken) -> bool {
        self.usable(now)
            .is_some_and(|old| old.token == cached.token)
    }

    fn fail_to_renew(&mut self, now: Moment, mut cached: CachedToken) {
        let delay = self.cooldown.fail(now, &self.config, &mut self.rng);
        cached.next_refresh = later(cached.life.refresh_at, now.after(delay));
        self.cached = Some(cached);
        self.state = State::Idle;
        self.tell(Event::NotRenewed { delay });
    }

    fn fail_refresh(&mut self, now: Moment, in_flight: InFlight, error: Error) {
        if self.usable(now).is_none() {
            // The token has gone meanwhile: whoever waits now waits for this flight.
            let acquisition = self.joined(in_flight);
            self.fail_attempt(now, &acquisition, in_flight, error);
            return;
        }
        let (delay, asked) = self.delay_after(now, &error);
        let delay = match asked {
            Some(asked) => self.cooldown.begin(now, delay.max(asked), error.clone()),
            None => delay,
        };
        if let Some(cached) = &mut self.cached {
            cached.next_refresh = later(cached.life.refresh_at, now.after(delay));
        }
        self.state = State::Idle;
        self.tell(Event::Failed {
            error: error.clone(),
            ahead: true,
            delay,
        });
        if asked.is_some() {
            self.tell(Event::CooldownStarted { error, delay });
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
        let error = error.with_attempts(number);
        if number < acquisition.max_attempts && retry::is_worth_a_retry(&error) {
            let delay = retry::backoff(&error, number, now, &self.config, &mut self.rng);
            if delay.saturating_add(MIN_RETRY_WINDOW) <= acquisition.left(now) {
                let acquisition = Acquisition {
                    failed: in_flight.number,
                    error: Some(error.clone()),
                    ..acquisition.clone()
                };
                self.state = State::BackingOff(acquisition, now.mono.saturating_add(delay));
                self.tell(Event::Retry {
                    number,
                    delay,
                    error,
                });
                return;
            }
        }
        self.fail(now, error);
    }

    /// Ends an acquisition in failure.
    fn fail(&mut self, now: Moment, error: Error) {
        let (delay, asked) = self.delay_after(now, &error);
        let delay = asked.map_or(delay, |asked| asked.max(delay));
        self.state = State::Idle;
        self.probing = true;
        self.failures = self.failures.saturating_add(1);
        self.last_failure = Some(error.clone());
        let delay = self.cooldown.begin(now, delay, error.clone());
        self.tell(Event::Failed {
            error: error.clone(),
            ahead: false,
            delay,
        });
        self.tell(Event::CooldownStarted { error, delay });
    }

    /// The delay that follows from a failure, and the one that the server asked for, if it did: a
    /// little later than that, and not for ever.
    fn delay_after(&mut self, now: Moment, error: &Error) -> (Duration, Option<Duration>) {
        let delay = self.cooldown.fail(now, &self.config, &mut self.rng);
        let asked = retry::retry_after(error, now).map(|asked| {
            let later = retry::later_than_asked(asked, &mut self.rng);
            later.min(self.config.max_retry_after)
        });
        (delay, asked)
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() >= EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("cached", &self.cached)
            .field("flights", &self.flights)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

/// The failure of a flight that nobody heard of in time, or that brought a token too late.
fn timed_out() -> Error {
    let what = "no usable token came in time";
    TransportError::with_detail(TransportErrorKind::Timeout, what).into()
}
