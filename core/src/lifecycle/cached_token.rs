//! The cached token, and its dates.

use std::time::Duration;

use super::freshness::{Lifespan, later, sooner};
use crate::moment::Moment;
use crate::protocol::Token;

/// The cached token, and its dates.
#[derive(Clone, Debug)]
pub struct CachedToken {
    pub(super) token: Token,
    pub(super) life: Lifespan,
    pub(super) origin: Origin,
    /// The time for which a rejection scheduled a refresh.
    pub(super) scheduled: Option<Moment>,
    /// The delay after a refresh that obtained no other token.
    pub(super) delay: Option<Delay>,
}

/// Where a token comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// The flight with this number.
    Granted(u64),
    /// Another source, after the flight with this number was sent.
    HandedIn(u64),
}

/// A time in which a token is not refreshed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delay {
    pub(super) until: Moment,
    /// Whether the refresh failed. Otherwise it was abandoned, or returned the same token.
    pub(super) failed: bool,
}

impl CachedToken {
    pub(super) fn new(token: Token, life: Lifespan, origin: Origin) -> Self {
        Self {
            token,
            life,
            origin,
            scheduled: None,
            delay: None,
        }
    }

    /// Returns the token.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Returns the time until which it is served, by the clock that says sooner.
    #[must_use]
    pub fn usable_until(&self) -> Moment {
        self.life.usable_until
    }

    /// Returns the time from which it is refreshed ahead, by the clock that says sooner: its refresh
    /// time or a sooner one after a rejection, and not before the end of a delay.
    #[must_use]
    pub fn next_refresh(&self) -> Moment {
        let refresh_at = self.life.refresh_at;
        let due = self
            .scheduled
            .map_or(refresh_at, |scheduled| sooner(refresh_at, scheduled));
        self.delay.map_or(due, |delay| later(due, delay.until))
    }

    /// Returns the number of flights that had been sent when it was requested or handed in. Of two
    /// tokens the one with the higher number is newer.
    pub(super) fn requested(&self) -> u64 {
        match self.origin {
            Origin::Granted(flight) | Origin::HandedIn(flight) => flight,
        }
    }

    /// Returns whether it was requested by a flight after number `flights`.
    pub(super) fn was_requested_after(&self, flights: u64) -> bool {
        matches!(self.origin, Origin::Granted(flight) if flight > flights)
    }

    /// Returns the rest of its life, by the clock that says less.
    pub(super) fn left(&self, now: Moment) -> Duration {
        self.life.left(now)
    }
}
