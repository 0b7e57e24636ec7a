//! What goes in and out of the machine: a need, a ticket for it, and what to do next.

use std::fmt;
use std::time::Duration;

use http::{Request, Response};

use super::cached_token::CachedToken;
use crate::error::Error;
use crate::moment::Moment;
use crate::protocol::{BodyBuffer, Exchange, Grant, RequestBody, Token};

/// What a caller needs of a token.
///
/// Exhaustive on purpose: a new need would change what [`Machine::poll`](super::Machine::poll)
/// promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a new need changes what poll promises"
)]
pub enum Need {
    /// Any token that can be used now.
    Usable,
    /// A token that is good for at least this long.
    For(Duration),
    /// A token that was asked for after this call began.
    Newer,
}

/// One call: what it needs, and what had happened when it began. It is polled with until there
/// is an answer, and not kept for another call.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub(super) need: Need,
    /// How many flights had been sent.
    pub(super) flights: u64,
    /// How many acquisitions had failed.
    pub(super) failures: u64,
}

impl Ticket {
    /// Whether this token, which is usable, is what the call needs.
    pub(super) fn is_met_by(&self, cached: &CachedToken, now: Moment) -> bool {
        match self.need {
            Need::Usable => true,
            Need::For(time) => cached.life.left(now) >= time,
            Need::Newer => cached.flight > self.flights,
        }
    }

    /// Whether asking again would not help: the token came in with less than is needed, or was
    /// asked for on behalf of this very call.
    pub(super) fn is_beyond(&self, cached: &CachedToken) -> bool {
        match self.need {
            Need::For(time) => cached.left_on_arrival < time || cached.flight > self.flights,
            Need::Usable | Need::Newer => false,
        }
    }
}

/// One request that is on its way. It cannot be cloned, and goes back to the machine exactly
/// once: with its outcome, or as abandoned.
#[must_use = "a flight that is neither finished nor abandoned blocks others until its deadline"]
pub struct Flight {
    pub(super) number: u64,
    pub(super) generation: u64,
    pub(super) sent: Moment,
    pub(super) exchange: Exchange,
}

impl Flight {
    /// Reads the answer to this flight's request, as [`Exchange::parse`] does, with the
    /// credentials that it was sent with. No machine is needed for that, nor any lock around one.
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

/// A request to send now.
#[derive(Debug)]
#[must_use = "a flight that is neither finished nor abandoned blocks others until its deadline"]
#[non_exhaustive]
pub struct Transmit {
    /// Goes back with the outcome, to [`handle_outcome`](super::Machine::handle_outcome) or
    /// [`handle_abandon`](super::Machine::handle_abandon).
    pub flight: Flight,
    /// What to send.
    pub request: Request<RequestBody>,
    /// How long all of it may take; longer, and the flight is given up.
    pub timeout: Duration,
    /// The limit for a [`BodyBuffer`], in bytes.
    pub max_body: usize,
}

/// What to do next.
///
/// Exhaustive on purpose: whoever drives a machine has to do all four.
#[derive(Debug)]
#[must_use]
#[allow(
    clippy::exhaustive_enums,
    clippy::large_enum_variant,
    reason = "whoever drives a machine has to do all four, and no step is ever stored"
)]
pub enum Step {
    /// Here it is.
    Ready(Token),
    /// Send this, then tell the machine what came of it, then poll again.
    Send(Transmit),
    /// Poll again when something has happened, at the latest after this time; it is positive.
    Wait(Duration),
    /// There is none.
    Failed(Error),
}
