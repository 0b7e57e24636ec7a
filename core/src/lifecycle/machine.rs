//! The state machine: what to do next, decided from state and time alone.
//!
//! This file has the inputs and outputs, [`transitions`] the changes of state. Freshness and delays
//! are pure functions in [`freshness`](super::freshness) and [`retry`](super::retry).
//!
//! The state is the current activity. The cached token and the cooldown are separate fields, because
//! each of them may exist in any state.
//!
//! ```text
//! Idle       -> Acquiring   poll: a token is needed
//! Idle       -> Refreshing  poll_refresh: a usable token is past its refresh time
//! Acquiring  -> Idle        a grant, a failure, an abandoned first attempt, new credentials
//! Acquiring  -> BackingOff  a failed attempt, an abandoned later attempt
//! BackingOff -> Acquiring   poll: the next attempt
//! BackingOff -> Idle        past the deadline, new credentials
//! BackingOff -> Refreshing  poll_refresh: past the deadline, with a usable token
//! Refreshing -> Idle        a grant, a failure, an abandoned attempt, new credentials
//! Refreshing -> BackingOff  a failure after the token's end: the first failed attempt
//! Refreshing -> Acquiring   poll: past the deadline, without a usable token and without waiters
//! ```

mod transitions;

use std::collections::VecDeque;
use std::fmt;
#[cfg(feature = "shared")]
use std::mem;
use std::time::{Duration, SystemTime};

use fastrand::Rng;

use super::cached_token::CachedToken;
use super::cooldown::Cooldown;
use super::event::Event;
#[cfg(feature = "shared")]
use super::freshness::later;
use super::freshness::{has_come, until};
use super::rejected::Rejected;
use super::state::State;
use super::status::Status;
use super::step::{Flight, Need, Step, Ticket, Transmit};
use crate::config::Config;
use crate::error::Error;
use crate::moment::Moment;
use crate::protocol::{Credentials, Endpoint, Exchange, Grant, Token};

/// Decides when to request a token, from state and time alone.
///
/// It does no IO and reads no clock. The driver polls with a [`Ticket`], executes the [`Step`],
/// reports the outcome, and polls again:
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
    /// This instance's share of the refresh jitter, from 0 to 1. It is constant, so that the instances
    /// of a fleet stay spread out.
    jitter: f64,
    /// The highest reading of the monotonic clock.
    seen: Duration,
    /// Counts the credentials. Flights of older ones are ignored.
    generation: u64,
    /// Counts the flights; the number of the last one.
    flights: u64,
    /// Counts the failed acquisitions.
    failures: u64,
    last_failure: Option<Error>,
    state: State,
    cached: Option<CachedToken>,
    cooldown: Cooldown,
    /// Whether the last acquisition failed. If so, the next one is a probe of one attempt.
    probing: bool,
    rejected: Rejected,
    events: VecDeque<Event>,
}

impl Machine {
    /// Creates a machine without a token.
    ///
    /// All its randomness comes from `seed`: draw it at random, once per machine. Check the config with
    /// [`Config::check`] first.
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

    /// Returns the next step for the call with this ticket: the first row that applies.
    ///
    /// | # | when | answer |
    /// |---|---|---|
    /// | 1 | the cached token is usable and meets the need | [`Ready`](Step::Ready) |
    /// | 2 | an acquisition failed after the ticket was taken | [`Failed`](Step::Failed) with its error, the same for all waiting calls |
    /// | 3 | no token lives as long as needed | [`Failed`](Step::Failed); nothing is sent |
    /// | 4 | a request is in flight, or a back-off runs | [`Wait`](Step::Wait) until it ends |
    /// | 5 | a cooldown runs | [`Failed`](Step::Failed) with the error that began it |
    /// | 6 | otherwise | [`Send`](Step::Send) |
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

    /// Returns a refresh ahead if one is due: the cached token is usable and past its refresh time, and
    /// there is no flight, back-off or cooldown. No call has to wait for it.
    pub fn poll_refresh(&mut self, now: Moment) -> Option<Transmit> {
        let now = self.read(now);
        self.notice_deadlines(now, None);
        let due = self
            .usable(now)
            .is_some_and(|cached| has_come(cached.next_refresh, now));
        if !due || !matches!(self.state, State::Idle) || self.cooldown.running(now).is_some() {
            return None;
        }
        Some(self.send_refresh(now))
    }

    /// Removes and returns the oldest event. At most 64 events are kept; older ones are dropped.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes the outcome of a flight. The next [`poll`](Self::poll) returns the consequence.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "each flight is returned exactly once"
    )]
    pub fn handle_outcome(&mut self, now: Moment, flight: Flight, outcome: Result<Grant, Error>) {
        let now = self.read(now);
        if flight.generation != self.generation {
            return;
        }
        let outcome = outcome.map_err(|error| flight.exchange.masked(error));
        let arrival = outcome.and_then(|grant| self.admit(now, &flight, grant));
        self.land(now, flight.number, arrival);
    }

    /// Abandons a flight without an outcome, as if it had never been sent.
    ///
    /// It takes no clock reading, so that a `Drop` can call it.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "each flight is returned exactly once"
    )]
    pub fn handle_abandon(&mut self, flight: Flight) {
        self.abandon(flight.number);
    }

    /// Records that `token` was rejected where it was used (a downstream 401).
    ///
    /// Drops the token and returns `true` if it is the cached one. Otherwise returns `false`.
    pub fn handle_rejection(&mut self, now: Moment, token: &Token) -> bool {
        let now = self.read(now);
        let Some(cached) = self.cached.take_if(|cached| cached.token == *token) else {
            return false;
        };
        self.rejected.remember(token.clone(), self.flights);
        let in_a_row = self.cooldown.reject(now, cached.sent, &self.config);
        self.emit(Event::Rejected { in_a_row });
        if in_a_row > 1 {
            // A downstream that rejects every token must not cause a request per call.
            let delay = self.cooldown.fail(now, &self.config, &mut self.rng);
            let error = Error::token_rejected();
            let delay = self.cooldown.begin(now, delay, error.clone());
            self.emit(Event::CooldownStarted { error, delay });
        }
        true
    }

    /// Caches a token from another source as if it had just been granted. A token that is not usable
    /// or was rejected is ignored.
    pub fn handle_token(&mut self, now: Moment, token: Token) {
        let now = self.read(now);
        let expiry = token.expires_at().duration_since(SystemTime::UNIX_EPOCH);
        let lifetime = expiry.unwrap_or_default().saturating_sub(now.wall);
        let lifetime = lifetime.min(self.config.max_lifetime);
        let life = self.lifespan(now, lifetime);
        if life.is_usable(now) && !self.rejected.covers(&token, 0) {
            self.cached = Some(CachedToken::new(token, life, 0, now, now));
            self.cooldown.grant(now);
        }
    }

    /// Replaces the credentials. Flights of the old ones are ignored from now on. The cached token stays
    /// if the client id is the same.
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

    /// Begins a call: returns a ticket with its need and the current counts of flights and failures.
    #[must_use]
    pub fn ticket(&self, need: Need) -> Ticket {
        Ticket {
            need,
            flights: self.flights,
            failures: self.failures,
        }
    }

    /// Returns the endpoint that requests go to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.exchange.endpoint()
    }

    /// Returns the cached token, usable or not.
    #[must_use]
    pub fn cached_token(&self) -> Option<&CachedToken> {
        self.cached.as_ref()
    }

    /// Returns the status, for a health check or a debug page. It contains no secret.
    #[must_use]
    pub fn status(&self, now: Moment) -> Status {
        let mono = now.mono.max(self.seen);
        let now = Moment { mono, ..now };
        let cooldown = self.cooldown.running(now);
        Status {
            phase: self.state.phase(now),
            token_left: self.usable(now).map(|cached| cached.life.left(now)),
            cooldown_left: cooldown.map(|cooldown| until(cooldown.until, now)),
            last_error: self.last_failure.clone(),
            client_id: self.exchange.credentials().client_id().clone(),
        }
    }

    /// Returns the time from which [`poll_refresh`](Self::poll_refresh) may send: the refresh time of
    /// the cached token, or the end of a flight, acquisition or cooldown if that is later.
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
        let next = free.map_or(cached.next_refresh, |free| later(cached.next_refresh, free));
        let cooldown_end = self.cooldown.ends_at();
        Some(cooldown_end.map_or(next, |end| later(next, end)))
    }

    /// Returns a fingerprint for change detection.
    #[cfg(feature = "shared")]
    pub(super) fn fingerprint(&self) -> impl PartialEq + use<> {
        let cached = self.cached.as_ref();
        (
            (self.generation, self.flights, self.failures),
            mem::discriminant(&self.state),
            cached.map(|cached| (cached.flight, cached.next_refresh, cached.life)),
            self.cooldown.ends_at(),
        )
    }

    /// Returns `now` with the highest reading of the monotonic clock so far.
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
