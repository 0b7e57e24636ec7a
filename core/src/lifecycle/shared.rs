//! One machine for many threads and tasks. [`inner`] has the only locks of this crate.
//!
//! A test fails if one of these rules is broken:
//!
//! - the machine stays unlocked during IO and during calls of other code;
//! - a waiter's listener is registered inside the lock of the poll that returned `Wait`, so that it
//!   misses no change;
//! - every change publishes the snapshot inside the lock, calls the observer after the lock, then wakes
//!   all waiters, even if the observer panics;
//! - the snapshot contains the next refresh time, which each refresh moves, so that calls with a
//!   usable token take no lock during a refresh or its delay;
//! - a dropped attempt abandons its flight and wakes all waiters;
//! - poison is ignored: a panic in the machine leaves it in a state from which it goes on.

mod attempt;
mod inner;

use std::fmt;
use std::sync::Arc;

pub use self::attempt::{Attempt, Waiter};
use self::inner::Inner;
use super::cached_token::CachedToken;
use super::event::Observer;
use super::freshness::until;
use super::machine::Machine;
use super::status::Status;
use super::step::{Need, Step, Ticket};
use crate::error::Error;
use crate::moment::Moment;
use crate::protocol::{Credentials, Endpoint, Token};

/// One [`Machine`] for many callers. A clone shares it.
///
/// A call first looks for a [`ready`](Self::ready) token. Without one it takes a
/// [`ticket`](Self::ticket) and [`poll`](Self::poll)s until there is a token or an error:
///
/// ```
/// # use meshconnect_auth_core::shared::{Attempt, Shared, SharedStep};
/// # use meshconnect_auth_core::{Error, Moment, Need, Token};
/// # fn now() -> Moment { Moment { mono: Default::default(), wall: Default::default() } }
/// # fn send_ahead(attempt: Option<Attempt>) {}
/// # use meshconnect_auth_core::RequestBody;
/// # use std::time::Duration;
/// # fn send(request: http::Request<RequestBody>, timeout: Duration) -> Result<http::Response<Vec<u8>>, Error> {
/// #     Ok(Default::default())
/// # }
/// fn token(shared: &Shared, need: Need) -> Result<Token, Error> {
///     if let Some(token) = shared.ready(now(), need, || send_ahead(shared.refresh(now()))) {
///         return Ok(token); // the usual case
///     }
///     let ticket = shared.ticket(need);
///     loop {
///         match shared.poll(now(), &ticket) {
///             SharedStep::Ready(token) => return Ok(token),
///             SharedStep::Failed(error) => return Err(error),
///             SharedStep::Wait(waiter) => {
///                 waiter.block(); // or await its `changed()`, for at most its `limit()`
///             }
///             // The response has at most `attempt.max_body()` bytes.
///             SharedStep::Send(attempt) => attempt.run(now, send),
///         }
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

/// The next step for the caller of [`Shared::poll`].
///
/// Exhaustive on purpose: a driver has to handle all four.
#[derive(Debug)]
#[must_use]
#[allow(
    clippy::exhaustive_enums,
    clippy::large_enum_variant,
    reason = "a driver has to handle all four, and steps are not stored"
)]
pub enum SharedStep {
    /// The token.
    Ready(Token),
    /// Send this attempt, finish it, and poll again.
    Send(Attempt),
    /// Wait for a change, and poll again.
    Wait(Waiter),
    /// There is no token.
    Failed(Error),
}

impl Shared {
    /// Shares `machine`.
    ///
    /// The observer is called with every event, outside all locks, on the thread or task that caused
    /// it, before the waiting callers are woken. It should be quick, because that thread may be about to
    /// send a request, and must not wait for a token. Events of several threads may reach it out of
    /// order.
    #[must_use]
    pub fn new(machine: Machine, observer: Option<Box<Observer>>) -> Self {
        Self(Arc::new(Inner::new(machine, observer)))
    }

    /// Returns the cached token, if it is usable and meets the need.
    ///
    /// `refresh_ahead` is called first if the token is due for a refresh. It starts the attempt that
    /// [`refresh`](Self::refresh) returns, and must not wait for its end. Only the short lock of the
    /// snapshot is taken.
    #[must_use]
    #[inline] // so that `now` stays in registers
    pub fn ready(&self, now: Moment, need: Need, refresh_ahead: impl FnOnce()) -> Option<Token> {
        if need == Need::Newer {
            return None;
        }
        let (token, expires_at, refresh_due) = self.0.usable(now)?;
        if refresh_due {
            refresh_ahead();
        }
        match need {
            Need::For(time) if until(expires_at, now) < time => None,
            _ => Some(token),
        }
    }

    /// Begins a call; see [`Machine::ticket`].
    #[must_use]
    pub fn ticket(&self, need: Need) -> Ticket {
        self.0.lock().ticket(need)
    }

    /// Returns the next step for the call with this ticket; see [`Machine::poll`].
    pub fn poll(&self, now: Moment, ticket: &Ticket) -> SharedStep {
        self.0.change(|machine| match machine.poll(now, ticket) {
            Step::Ready(token) => SharedStep::Ready(token),
            Step::Failed(error) => SharedStep::Failed(error),
            Step::Wait(limit) => {
                let flight = machine.flight_number();
                SharedStep::Wait(Waiter::new(self.0.listen(), limit, flight))
            }
            Step::Send(transmit) => SharedStep::Send(Attempt::new(&self.0, transmit)),
        })
    }

    /// Returns a refresh ahead if one is due; see [`Machine::poll_refresh`].
    #[must_use]
    pub fn refresh(&self, now: Moment) -> Option<Attempt> {
        self.0.change(|machine| {
            let transmit = machine.poll_refresh(now);
            transmit.map(|transmit| Attempt::new(&self.0, transmit))
        })
    }

    /// Records a downstream 401, and returns whether it is worth repeating the call with another token;
    /// see [`Machine::handle_rejection`].
    #[allow(
        clippy::must_use_candidate,
        reason = "a caller that does not repeat the call ignores it"
    )]
    pub fn reject(&self, now: Moment, token: &Token) -> bool {
        self.0
            .change(|machine| machine.handle_rejection(now, token))
    }

    /// Replaces the credentials; see [`Machine::set_credentials`].
    pub fn set_credentials(&self, credentials: Credentials) {
        self.0
            .change(|machine| machine.set_credentials(credentials));
    }

    /// Returns the endpoint that requests go to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.0.endpoint()
    }

    /// Returns the cached token, usable or not.
    #[must_use]
    pub fn cached_token(&self) -> Option<CachedToken> {
        self.0.lock().cached_token().cloned()
    }

    /// Returns the status, for a health check or a debug page.
    #[must_use]
    pub fn status(&self, now: Moment) -> Status {
        self.0.lock().status(now)
    }

    /// Returns the error for a caller whose own attempt could not start. It names the endpoint, counts no
    /// attempt, and secrets in it are masked.
    #[must_use]
    pub fn could_not_start(&self, cause: Error) -> Error {
        self.0.lock().named(cause).with_attempts(0)
    }

    /// Abandons the flight that `waiter` waits for, if it is still in flight. Then poll again.
    ///
    /// Only for a driver that knows that the flight makes no progress: its event loop has stopped.
    pub fn take_over(&self, waiter: &Waiter) {
        if let Some(flight) = waiter.flight_number() {
            self.0.change(|machine| machine.abandon_number(flight));
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

// A unit test, because it needs loom's locks in this crate; the file is with the other tests, so that
// it is not published.
#[cfg(all(test, loom))]
#[path = "../../tests/it/schedules.rs"]
mod schedules;
