//! The inputs and outputs of the machine: a need, its ticket, and the next step.

use std::fmt;
use std::time::Duration;

use http::{Request, Response};

use super::cached_token::CachedToken;
use crate::error::Error;
use crate::moment::Moment;
use crate::protocol::{BodyBuffer, Exchange, Grant, RequestBody, Token};

/// The token that a call needs.
///
/// Exhaustive on purpose: a new need would change what [`Machine::poll`](super::Machine::poll)
/// promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a new need changes what poll promises"
)]
pub enum Need {
    /// Any usable token.
    Usable,
    /// A token that lives for at least this long.
    For(Duration),
    /// A token that was requested after this call began.
    Newer,
}

/// One call: its need, and the counts of flights and failures when it began.
///
/// Poll with it until there is a token or an error, then drop it. Each call takes its own ticket.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub(super) need: Need,
    /// The number of flights that had been sent.
    pub(super) flights: u64,
    /// The number of acquisitions that had failed.
    pub(super) failures: u64,
}

impl Ticket {
    /// Returns whether this usable token meets the need.
    pub(super) fn is_met_by(&self, cached: &CachedToken, now: Moment) -> bool {
        match self.need {
            Need::Usable => true,
            Need::For(time) => cached.left(now) >= time,
            Need::Newer => cached.was_requested_after(self.flights),
        }
    }

    /// Returns whether another request would not help: the service's last grant had less life than
    /// needed on arrival, or this usable token was requested after the call began.
    pub(super) fn is_beyond(&self, granted: Option<Duration>, cached: &CachedToken) -> bool {
        match self.need {
            Need::For(time) => {
                granted.is_some_and(|lifetime| lifetime < time)
                    || cached.was_requested_after(self.flights)
            }
            Need::Usable | Need::Newer => false,
        }
    }
}

/// A request in flight.
///
/// It cannot be cloned. Return it to the machine exactly once: with its outcome, or abandoned.
#[must_use = "a flight that is neither finished nor abandoned blocks others until its deadline"]
pub struct Flight {
    pub(super) number: u64,
    pub(super) generation: u64,
    pub(super) sent: Moment,
    pub(super) exchange: Exchange,
}

impl Flight {
    /// Reads the answer to this flight's request, as [`Exchange::parse`] does, with the credentials of
    /// the request. It needs no access to the machine.
    ///
    /// # Errors
    ///
    /// As [`Exchange::parse`].
    pub fn parse(
        &self,
        response: Response<impl Into<BodyBuffer>>,
        received: Moment,
    ) -> Result<Grant, Error> {
        self.exchange.parse(response, received)
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight")
            .field("number", &self.number)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

/// A request to send now, and its limits.
#[derive(Debug)]
#[must_use = "a flight that is neither finished nor abandoned blocks others until its deadline"]
#[non_exhaustive]
pub struct Transmit {
    /// The flight to return to [`handle_outcome`](super::Machine::handle_outcome) or
    /// [`handle_abandon`](super::Machine::handle_abandon).
    pub flight: Flight,
    /// The request to send.
    pub request: Request<RequestBody>,
    /// The time-out of the whole attempt, after which the flight ends. If the request is not sent at
    /// once, see [`Machine::time_left`](super::Machine::time_left).
    pub timeout: Duration,
    /// The limit of the response body for a [`BodyBuffer`], in bytes.
    pub max_body: usize,
}

/// The next step of a call.
///
/// Exhaustive on purpose: a driver has to handle all four.
#[derive(Debug)]
#[must_use]
#[allow(
    clippy::exhaustive_enums,
    clippy::large_enum_variant,
    reason = "a driver has to handle all four, and steps are not stored"
)]
pub enum Step {
    /// The token.
    Ready(Token),
    /// Send this request, report its outcome, then poll again.
    Send(Transmit),
    /// Poll again after a change, at the latest after this time. It is positive.
    Wait(Duration),
    /// There is no token.
    Failed(Error),
}
