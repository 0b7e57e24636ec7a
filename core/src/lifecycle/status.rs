//! What is going on, for a person to look at.

use std::time::Duration;

use crate::error::Error;
use crate::protocol::ClientId;

/// What is going on, for a person to look at: a health check, a debug page. It holds no secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// What is being tried.
    pub phase: Phase,
    /// What is left of the cached token, if there is a usable one.
    pub token_left: Option<Duration>,
    /// For how long nothing will be sent, if a cooldown runs.
    pub cooldown_left: Option<Duration>,
    /// How the last acquisition that failed did so; it stays after a success.
    pub last_error: Option<Error>,
    /// Whom the tokens are for.
    pub client_id: ClientId,
}

/// What is being tried.
///
/// Not exhaustive: finer phases may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Nothing.
    Idle,
    /// A token that is still usable is being refreshed.
    Refreshing,
    /// A request is on its way that callers may wait for.
    #[non_exhaustive]
    Acquiring {
        /// Which attempt it is, from 1.
        attempt: u32,
    },
    /// An attempt has failed, and the next comes later.
    #[non_exhaustive]
    BackingOff {
        /// How many attempts have failed.
        attempts: u32,
        /// How long it is until the next may be sent.
        left: Duration,
    },
}
