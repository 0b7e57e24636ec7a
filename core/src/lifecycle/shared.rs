//! One machine for many callers, threads and tasks alike. The only locks of this crate are here.
//!
//! The rules, each of which a test in `tests/it/shared.rs` fails without:
//!
//! - the machine's lock is never held over IO, and never while anyone else's code runs;
//! - a waiter's listener is registered inside the lock of the poll that told it to wait, so that
//!   nothing can happen unheard between the two;
//! - every change publishes the snapshot inside the lock, and then wakes everyone;
//! - the snapshot says when a refresh is worth a try, and is moved on at each one, so that hits
//!   during a refresh or its back-off never take the lock;
//! - a attempt that is dropped gives its flight back, and wakes everyone;
//! - poison is ignored: the machine assigns last, so a panic leaves it as it was.

#![allow(
    clippy::disallowed_types,
    reason = "this is the room of the locks that clippy.toml keeps out of every other"
)]

use std::fmt;
use std::mem;
use std::sync::{Arc, PoisonError};
#[cfg(not(all(test, loom)))]
use std::sync::{Mutex, MutexGuard, RwLock};
use std::thread;
use std::time::Duration;

use event_listener::{EventListener, Listener};
use http::{Request, Response};
#[cfg(all(test, loom))]
use loom::sync::{Mutex, MutexGuard, RwLock};

use super::cached_token::CachedToken;
use super::event::{Event, Observer};
use super::freshness::{has_come, until};
use super::machine::Machine;
use super::status::Status;
use super::step::{Flight, Need, Step, Ticket, Transmit};
use crate::config::Config;
use crate::error::Error;
use crate::moment::Moment;
use crate::protocol::{BodyBuffer, Credentials, Endpoint, RequestBody, Token};

/// One [`Machine`] for many callers. A clone shares it.
///
/// A call asks whether a token is [`ready`](Self::ready); where none is, it takes a
/// [`ticket`](Self::ticket) and [`poll`](Self::poll)s until there is a token or an error:
///
/// ```
/// # use meshconnect_auth_core::{Error, Attempt, Moment, Need, SharedStep, Shared, Token};
/// # fn now() -> Moment { Moment { mono: Default::default(), wall: Default::default() } }
/// # fn send_ahead(attempt: Option<Attempt>) {}
/// # fn send(attempt: &Attempt) -> Result<http::Response<Vec<u8>>, Error> { Ok(Default::default()) }
/// fn token(shared: &Shared, need: Need) -> Result<Token, Error> {
///     if let Some(token) = shared.ready(now(), need, || send_ahead(shared.refresh(now()))) {
///         return Ok(token); // nearly always
///     }
///     let ticket = shared.ticket(need);
///     loop {
///         match shared.poll(now(), &ticket) {
///             SharedStep::Ready(token) => return Ok(token),
///             SharedStep::Failed(error) => return Err(error),
///             SharedStep::Wait(waiter) => {
///                 waiter.block(); // or await its `changed()`, for at most its `limit()`
///             }
///             SharedStep::Send(attempt) => {
///                 // At most `attempt.max_body()` bytes, within `attempt.timeout()`.
///                 let response = attempt.in_span(|| send(&attempt));
///                 attempt.finish(now(), response);
///             }
///         }
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    machine: Mutex<Machine>,
    snapshot: RwLock<Option<Snapshot>>,
    changed: event_listener::Event,
    observer: Option<Box<Observer>>,
    /// The span of the acquisition, or of the refresh ahead, that goes on.
    #[cfg(feature = "tracing")]
    span: Mutex<tracing::Span>,
}

impl Drop for Inner {
    /// Who waits for a change waits in vain from here on.
    fn drop(&mut self) {
        self.changed.notify(usize::MAX);
    }
}

/// What a hit needs to know.
struct Snapshot {
    token: Token,
    usable_until: Moment,
    expires_at: Moment,
    next_refresh: Moment,
}

/// A usable token, without having waited for anyone.
#[derive(Debug)]
#[non_exhaustive]
pub struct Hit {
    /// The token.
    pub token: Token,
    /// Whether [`Shared::refresh`] is worth a call now.
    pub refresh_due: bool,
    /// When the token's life ends.
    pub expires_at: Moment,
}

/// What the caller of [`Shared::poll`] does next.
///
/// Exhaustive on purpose: whoever drives a call has to do all four.
#[derive(Debug)]
#[must_use]
#[allow(
    clippy::exhaustive_enums,
    clippy::large_enum_variant,
    reason = "whoever drives a call has to do all four, and no step is ever stored"
)]
pub enum SharedStep {
    /// Here it is.
    Ready(Token),
    /// Send this, finish it, and poll again.
    Send(Attempt),
    /// Wait for this, and poll again.
    Wait(Waiter),
    /// There is none.
    Failed(Error),
}

impl Shared {
    /// Shares `machine`. The observer is told of every event, outside of all locks, by whichever
    /// thread or task made it happen, which may be about to send a request: it should be quick,
    /// and must not wait for a token. Events of several threads may reach it out of order.
    #[must_use]
    pub fn new(machine: Machine, observer: Option<Box<Observer>>) -> Self {
        let shared = Self(Arc::new(Inner {
            endpoint: machine.endpoint().clone(),
            snapshot: RwLock::new(None),
            machine: Mutex::new(machine),
            changed: event_listener::Event::new(),
            observer,
            #[cfg(feature = "tracing")]
            span: Mutex::new(tracing::Span::none()),
        }));
        // A token may have been handed in.
        shared.0.publish(&shared.0.lock());
        shared
    }

    /// The cached token, if it is usable. It takes no lock that is ever held for long.
    #[must_use]
    #[inline] // else the moments go through memory, which takes as long as all that is done here
    pub fn hit(&self, now: Moment) -> Option<Hit> {
        let snapshot = self
            .0
            .snapshot
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let snapshot = snapshot.as_ref()?;
        (!has_come(snapshot.usable_until, now)).then(|| Hit {
            token: snapshot.token.clone(),
            refresh_due: has_come(snapshot.next_refresh, now),
            expires_at: snapshot.expires_at,
        })
    }

    /// The cached token, if that is all that a call needs. Where it is worth refreshing, whether it is
    /// enough or not, `refresh_ahead` is called first, to send what [`refresh`](Self::refresh) gives.
    /// It must not wait for that.
    #[must_use]
    #[inline] // as `hit`
    pub fn ready(&self, now: Moment, need: Need, refresh_ahead: impl FnOnce()) -> Option<Token> {
        // What is cached is older than the call, and so would be a refresh ahead.
        let hit = self.hit(now).filter(|_| need != Need::Newer)?;
        if hit.refresh_due {
            refresh_ahead();
        }
        match need {
            Need::For(time) if until(hit.expires_at, now) < time => None,
            _ => Some(hit.token),
        }
    }

    /// Begins a call: what it needs, and what has happened up to now.
    #[must_use]
    pub fn ticket(&self, need: Need) -> Ticket {
        self.0.lock().ticket(need)
    }

    /// What to do next for the call with this ticket; see [`Machine::poll`].
    pub fn poll(&self, now: Moment, ticket: &Ticket) -> SharedStep {
        self.change(|machine| match machine.poll(now, ticket) {
            Step::Ready(token) => SharedStep::Ready(token),
            Step::Failed(error) => SharedStep::Failed(error),
            Step::Wait(limit) => SharedStep::Wait(self.waiter(limit)),
            Step::Send(transmit) => SharedStep::Send(self.attempt(transmit)),
        })
    }

    /// A refresh ahead, if now is the time for one; see [`Machine::poll_refresh`].
    #[must_use]
    pub fn refresh(&self, now: Moment) -> Option<Attempt> {
        self.change(|machine| {
            let transmit = machine.poll_refresh(now);
            transmit.map(|transmit| self.attempt(transmit))
        })
    }

    /// Takes notice of a downstream 401; see [`Machine::handle_rejection`].
    #[allow(
        clippy::must_use_candidate,
        reason = "most who reject ask for another token either way"
    )]
    pub fn reject(&self, now: Moment, token: &Token) -> bool {
        self.change(|machine| machine.handle_rejection(now, token))
    }

    /// Goes on with other credentials; see [`Machine::set_credentials`].
    pub fn set_credentials(&self, credentials: Credentials) {
        self.change(|machine| machine.set_credentials(credentials));
    }

    /// Where requests go.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// The token that is cached, usable or not.
    #[must_use]
    pub fn cached_token(&self) -> Option<CachedToken> {
        self.0.lock().cached_token().cloned()
    }

    /// What is going on, for a person to look at.
    #[must_use]
    pub fn status(&self, now: Moment) -> Status {
        self.0.lock().status(now)
    }

    /// Made before anything can panic, so that the flight is given back then.
    fn attempt(&self, transmit: Transmit) -> Attempt {
        Attempt {
            shared: self.clone(),
            flight: Some(transmit.flight),
            request: transmit.request,
            timeout: transmit.timeout,
            max_body: transmit.max_body,
        }
    }

    fn waiter(&self, limit: Duration) -> Waiter {
        Waiter {
            listener: self.0.changed.listen(),
            limit,
        }
    }

    /// Does something to the machine, and tells everyone if it has changed.
    fn change<T>(&self, act: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.0.lock();
        let before = machine.stamp();
        let done = act(&mut machine);
        let changed = machine.stamp() != before;
        if changed {
            self.0.publish(&machine);
        }
        let events = self.0.take_events(&mut machine);
        drop(machine);
        if changed {
            self.0.changed.notify(usize::MAX);
        }
        for event in &events {
            #[cfg(feature = "tracing")]
            self.0.trace(event);
            if let Some(observer) = &self.0.observer {
                observer(event);
            }
        }
        done
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock is an argument to show that it is held.
    fn publish(&self, machine: &MutexGuard<'_, Machine>) {
        let snapshot =
            machine
                .cached_token()
                .zip(machine.next_refresh())
                .map(|(cached, next_refresh)| Snapshot {
                    token: cached.token().clone(),
                    usable_until: cached.usable_until(),
                    expires_at: cached.life.expires_at,
                    next_refresh,
                });
        let mut published = self
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let old = mem::replace(&mut *published, snapshot);
        drop(published);
        // Wiping a token is not for those who wait for this lock.
        drop(old);
    }

    /// All that an acquisition tells, whoever polls for it, is told in one span, and a cooldown that
    /// follows from it in none.
    #[cfg(feature = "tracing")]
    fn trace(&self, event: &Event) {
        let lock = || self.span.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(begun) = super::trace::begin(event) {
            *lock() = begun;
        }
        let span = lock().clone();
        span.in_scope(|| super::trace::tell(event));
        if super::trace::ends(event) {
            *lock() = tracing::Span::none();
        }
    }

    fn take_events(&self, machine: &mut Machine) -> Vec<Event> {
        // An observer that panics during a panic would end the process; they wait for the next
        // change instead.
        let heard = self.observer.is_some() || cfg!(feature = "tracing");
        if !heard || thread::panicking() {
            return Vec::new();
        }
        std::iter::from_fn(|| machine.poll_event()).collect()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// A request to send now, on behalf of everyone who waits. Dropped before it is finished, it
/// gives its flight back, and somebody else attempts.
#[derive(Debug)]
#[must_use = "dropped, it gives its flight back"]
pub struct Attempt {
    shared: Shared,
    flight: Option<Flight>,
    request: Request<RequestBody>,
    timeout: Duration,
    max_body: usize,
}

impl Attempt {
    /// What to send.
    #[must_use]
    pub fn request(&self) -> Request<RequestBody> {
        self.request.clone()
    }

    /// How long all of it may take. The flight itself ends a little later, so that what the HTTP
    /// client knows of a time-out is told before that.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Self::timeout_within(self.timeout)
    }

    /// Returns the [`timeout`](Self::timeout) of every attempt that the end of its acquisition does
    /// not cut short.
    #[must_use]
    pub fn usual_timeout(config: &Config) -> Duration {
        Self::timeout_within(config.attempt_timeout.min(config.acquisition_timeout))
    }

    /// The [`timeout`](Self::timeout) of a flight that ends after so long.
    fn timeout_within(flight: Duration) -> Duration {
        flight.saturating_sub(flight.div_f64(20.0).min(Duration::from_millis(250)))
    }

    /// The limit for a [`BodyBuffer`], in bytes.
    #[must_use]
    pub fn max_body(&self) -> usize {
        self.max_body
    }

    /// Calls `attempt` in the span of its acquisition, or of the refresh ahead; without the feature
    /// `tracing` there is none.
    pub fn in_span<T>(&self, attempt: impl FnOnce() -> T) -> T {
        #[cfg(feature = "tracing")]
        let _in_span = self.span().entered();
        attempt()
    }

    /// As [`in_span`](Self::in_span), for a future.
    pub fn in_span_async<F: Future>(&self, attempt: F) -> impl Future<Output = F::Output> + use<F> {
        #[cfg(feature = "tracing")]
        let attempt = tracing::Instrument::instrument(attempt, self.span());
        attempt
    }

    #[cfg(feature = "tracing")]
    fn span(&self) -> tracing::Span {
        let span = self.shared.0.span.lock();
        span.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the flight with its response, or with how it failed. The response is read before the
    /// machine is locked.
    pub fn finish(mut self, now: Moment, response: Result<Response<impl Into<BodyBuffer>>, Error>) {
        // The flight stays in here while other code runs, to be given back if that panics.
        let Some(flight) = &self.flight else { return };
        let outcome = response.and_then(|response| flight.parse(response, now));
        if let Some(flight) = self.flight.take() {
            self.shared
                .change(|machine| machine.handle_outcome(now, flight, outcome));
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.shared.change(|machine| machine.handle_abandon(flight));
        }
    }
}

/// Waits until something has changed. Nothing that happens after it was given out is missed,
/// however late the waiting begins.
#[derive(Debug)]
#[must_use = "it waits only when it is told to"]
pub struct Waiter {
    listener: EventListener,
    limit: Duration,
}

impl Waiter {
    /// The longest that it makes sense to wait; then poll again all the same.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Waits without a limit, which a runtime's timer has to add.
    pub fn changed(self) -> impl Future<Output = ()> + Send {
        self.listener
    }

    /// Blocks this thread until something has changed, at most for the limit; tells whether
    /// anything has.
    #[allow(
        clippy::must_use_candidate,
        reason = "who waits for an answer polls again either way"
    )]
    pub fn block(self) -> bool {
        self.listener.wait_timeout(self.limit).is_some()
    }
}

#[cfg(all(test, loom))]
mod schedules;
