//! The state machine: what to do next, decided from state and time alone.
//!
//! This file has the inputs and outputs, [`transitions`] the changes of state, [`cache`] the changes
//! of the cached token, [`view`] what can be read. Freshness and delays are pure functions in
//! [`freshness`](super::freshness) and [`retry`](super::retry).
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

mod cache;
mod transitions;
mod view;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, SystemTime};

use fastrand::Rng;

use super::cached_token::{CachedToken, Origin};
use super::cooldown::Cooldown;
use super::event::Event;
use super::freshness::has_come;
use super::rejections::Rejections;
use super::state::State;
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
    /// The last reading of the wall clock, and the highest one of the monotonic clock.
    seen: Moment,
    /// Counts the credentials. Flights of older ones are ignored.
    generation: u64,
    /// Counts the flights; the number of the last one.
    flights: u64,
    /// Counts the failed acquisitions.
    failures: u64,
    /// The error of the last failed acquisition.
    last_failure: Option<Error>,
    /// The last failed attempt since the last success, and its time by the wall clock.
    failed_at: Option<(Duration, Error)>,
    /// The time of the last success by the wall clock.
    granted_at: Option<Duration>,
    /// The life of the service's last grant on arrival.
    granted_life: Option<Duration>,
    state: State,
    cached: Option<CachedToken>,
    /// The token whose rejection was accepted, until there is another one.
    dropped: Option<CachedToken>,
    /// [`CachedToken::requested`] of the last token that was cached, even if it was dropped.
    newest: u64,
    cooldown: Cooldown,
    /// Whether the last acquisition failed. If so, the next one is a probe of one attempt.
    probing: bool,
    rejections: Rejections,
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
            seen: Moment {
                mono: Duration::ZERO,
                wall: Duration::ZERO,
            },
            generation: 0,
            flights: 0,
            failures: 0,
            last_failure: None,
            failed_at: None,
            granted_at: None,
            granted_life: None,
            state: State::Idle,
            cached: None,
            dropped: None,
            newest: 0,
            cooldown: Cooldown::default(),
            probing: false,
            rejections: Rejections::default(),
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
        if usable.is_some_and(|cached| ticket.is_beyond(self.granted_life, cached)) {
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
            .is_some_and(|cached| has_come(cached.next_refresh(), now));
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

    /// Abandons a flight without an outcome: its task or thread could not start, or ended.
    ///
    /// An attempt of an acquisition counts as never sent, and the next poll sends. A refresh ahead of a
    /// usable token counts as failed. It takes no clock reading, so that a `Drop` can call it; the last
    /// readings count.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "each flight is returned exactly once"
    )]
    pub fn handle_abandon(&mut self, flight: Flight) {
        self.abandon_flight(&flight, None);
    }

    /// Does the same, with the reason if it is known.
    pub(super) fn abandon_flight(&mut self, flight: &Flight, cause: Option<Error>) {
        if self.is_current(flight) {
            let cause = cause.map(|error| flight.exchange.masked(error));
            self.abandon(self.seen, cause);
        }
    }

    /// Returns the time that is left for a flight whose request is about to be sent. Returns `None` if
    /// its deadline has passed or its credentials were replaced: then do not send the request.
    pub fn time_left(&mut self, now: Moment, flight: &Flight) -> Option<Duration> {
        let now = self.read(now);
        let in_flight = self.state.in_flight().filter(|_| self.is_current(flight))?;
        let left = in_flight.deadline.saturating_sub(now.mono);
        (!left.is_zero()).then_some(left)
    }

    /// Records that `token` was rejected where it was used (a downstream 401). Returns whether it is
    /// worth repeating the call with another token.
    ///
    /// | the token is | effect | answer |
    /// |---|---|---|
    /// | not the cached one, or no longer usable | none | `true` |
    /// | the cached one | dropped: the next call requests another one | `true` |
    /// | the cached one, but another one was given up shortly before, or a cooldown, a back-off or the delay after a failed refresh runs | stays in use; a refresh ahead is scheduled for the end of that time | `false` |
    ///
    /// The interval between two tokens that are given up doubles with each of them, from
    /// [`Config::first_cooldown`] up to [`Config::max_cooldown`], less up to half of it at random. A
    /// time of [`Config::settled_after`] without a rejection resets it. If no other token is obtained
    /// after an accepted rejection, the dropped one is served again while it is usable.
    pub fn handle_rejection(&mut self, now: Moment, token: &Token) -> bool {
        let now = self.read(now);
        self.notice_deadlines(now, None);
        self.reject(now, token)
    }

    /// Caches a token from another source as if it had just been requested. It is ignored if it is not
    /// usable, or if the cached token is usable and expires no sooner.
    pub fn handle_token(&mut self, now: Moment, token: Token) {
        let now = self.read(now);
        let expiry = token.expires_at().duration_since(SystemTime::UNIX_EPOCH);
        let lifetime = expiry.unwrap_or_default().saturating_sub(now.wall);
        let lifetime = lifetime.min(self.config.max_lifetime);
        let life = self.lifespan(now, lifetime);
        let lives_longer = self
            .usable(now)
            .is_none_or(|cached| cached.left(now) < life.left(now));
        if life.is_usable(now) && lives_longer {
            self.cache(CachedToken::new(
                token,
                life,
                Origin::HandedIn(self.flights),
            ));
            self.cooldown.grant(now);
        }
    }

    /// Replaces the credentials. Flights of the old ones are ignored from now on. The cached token stays
    /// if the client id is the same.
    pub fn set_credentials(&mut self, credentials: Credentials) {
        if credentials.client_id() != self.exchange.credentials().client_id() {
            self.cached = None;
            self.dropped = None;
            self.granted_life = None;
        }
        if let Some(cached) = &mut self.cached {
            cached.scheduled = None;
            cached.delay = None;
        }
        self.exchange = self.exchange.clone().with_credentials(credentials);
        self.generation = self.generation.saturating_add(1);
        self.end_quietly();
        self.cooldown = Cooldown::default();
        self.rejections = Rejections::default();
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

    /// Abandons the flight with this number if it is the current one.
    #[cfg(feature = "shared")]
    pub(super) fn abandon_number(&mut self, flight: u64) {
        if self.flight_number() == Some(flight) {
            self.abandon(self.seen, None);
        }
    }

    /// Returns `now` with the highest reading of the monotonic clock so far.
    fn read(&mut self, now: Moment) -> Moment {
        self.seen = self.seen.advanced_to(now);
        self.seen
    }

    /// Returns whether this is the current flight.
    fn is_current(&self, flight: &Flight) -> bool {
        let current = self.state.in_flight().map(|in_flight| in_flight.number);
        flight.generation == self.generation && current == Some(flight.number)
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
