//! The token that is cached, and its dates.

use std::time::Duration;

use super::freshness::Lifespan;
use crate::moment::Moment;
use crate::protocol::Token;

/// The token that is cached, and its dates.
#[derive(Clone, Debug)]
pub struct CachedToken {
    pub(super) token: Token,
    pub(super) life: Lifespan,
    /// When it may be refreshed next: its refresh point, or later after a try.
    pub(super) next_refresh: Moment,
    /// The flight that brought it; 0 for one that was handed in.
    pub(super) flight: u64,
    /// When that flight was sent.
    pub(super) sent: Moment,
    /// What was left of it when it came in.
    pub(super) left_on_arrival: Duration,
}

impl CachedToken {
    /// The token.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Until when it is handed out; either clock ends that.
    #[must_use]
    pub fn usable_until(&self) -> Moment {
        self.life.usable_until
    }

    /// From when on it is worth refreshing; either clock begins that.
    #[must_use]
    pub fn next_refresh(&self) -> Moment {
        self.next_refresh
    }
}
