//! The status: a view of the machine for a health check or a debug page.

use std::time::Duration;

use crate::error::Error;
use crate::protocol::ClientId;

/// A view of the machine, for a health check or a debug page. It contains no secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The current activity.
    pub phase: Phase,
    /// The rest of the cached token's life, if it is usable.
    pub token_left: Option<Duration>,
    /// The rest of the cooldown, if one runs.
    pub cooldown_left: Option<Duration>,
    /// The error of the last failed acquisition. A success does not clear it.
    pub last_error: Option<Error>,
    /// The client id of the current credentials.
    pub client_id: ClientId,
}

/// The current activity of a machine.
///
/// Not exhaustive: finer phases may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// No attempt is in flight, and none is planned.
    Idle,
    /// A usable token is being refreshed ahead.
    Refreshing,
    /// An attempt that callers may wait for is in flight.
    #[non_exhaustive]
    Acquiring {
        /// The number of the attempt, from 1.
        attempt: u32,
    },
    /// An attempt failed, and the next one follows.
    #[non_exhaustive]
    BackingOff {
        /// The number of failed attempts.
        attempts: u32,
        /// The time until the next attempt may be sent.
        left: Duration,
    },
}
