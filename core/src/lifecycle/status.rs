//! The status: a view of the machine for a health check or a debug page.

use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::protocol::{ClientId, Endpoint};

/// A view of the machine, for a health check or a debug page. It contains no secret.
///
/// Times are by the wall clock of the reading that the status was taken with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The current activity.
    pub phase: Phase,
    /// When the cached token expires. `None` if there is no usable token.
    pub expires_at: Option<SystemTime>,
    /// The time from which a call starts the next refresh ahead. `None` if there is no usable token.
    pub next_refresh_at: Option<SystemTime>,
    /// The end of the cooldown, if one runs.
    pub cooldown_until: Option<SystemTime>,
    /// When the service last granted a token.
    pub last_success_at: Option<SystemTime>,
    /// The last failed attempt or refresh ahead since the last success.
    pub last_failure: Option<Failure>,
    /// The client id of the current credentials.
    pub client_id: ClientId,
    /// The endpoint that requests go to.
    pub endpoint: Endpoint,
}

/// A failed attempt, and its time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// When the attempt ended.
    pub at: SystemTime,
    /// Its error.
    pub error: Error,
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
