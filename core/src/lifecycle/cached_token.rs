//! The cached token, and its dates.

use std::time::Duration;

use super::freshness::Lifespan;
use crate::moment::Moment;
use crate::protocol::Token;

/// The cached token, and its dates.
#[derive(Clone, Debug)]
pub struct CachedToken {
    pub(super) token: Token,
    pub(super) life: Lifespan,
    /// When it may be refreshed next: its refresh time, or later after an attempt.
    pub(super) next_refresh: Moment,
    /// The flight that obtained it; 0 for one from another source.
    pub(super) flight: u64,
    /// When that flight was sent.
    pub(super) sent: Moment,
    /// The rest of its life on arrival.
    pub(super) left_on_arrival: Duration,
}

impl CachedToken {
    pub(super) fn new(
        token: Token,
        life: Lifespan,
        flight: u64,
        sent: Moment,
        arrived: Moment,
    ) -> Self {
        Self {
            token,
            life,
            next_refresh: life.refresh_at,
            flight,
            sent,
            left_on_arrival: life.left(arrived),
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

    /// Returns the time from which it is refreshed ahead, by the clock that says sooner.
    #[must_use]
    pub fn next_refresh(&self) -> Moment {
        self.next_refresh
    }
}
