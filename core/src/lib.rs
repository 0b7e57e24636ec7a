//! The runtime-free core of `meshconnect-auth`: the protocol of Mesh Connect's token endpoint, and
//! the life of a token, as values in and values out.
//!
//! No socket, clock, sleep, thread, random source, file or environment variable is touched here,
//! so it runs under any runtime and any HTTP client. Most programs use it through the
//! `meshconnect-auth` crate, which brings two clients.
//!
//! # In scope
//!
//! - *What to send, and what came back*: [`Exchange`] turns [`Credentials`] and an [`Endpoint`]
//!   into an [`http::Request`], and an [`http::Response`] into a [`Token`] as a ready header.
//! - *When to send*: [`Machine`] decides from state and time whether to use the token, refresh it
//!   ahead, fetch, wait, retry or cooldown back; `Shared` (feature `shared`) is one machine for many
//!   callers, threads and tasks alike; [`TokenSource`] is what a user's code takes.
//! - *Settings that every client reads alike*: [`Proxy`] reads the proxy variables, and
//!   [`read_pem_certificates`] root certificates.
//! - *What went wrong*: one [`Error`] that says who has to do something about it.
//! - *The contract's schemas*: [`ApiResult`], [`OAuthTokenResponse`].
//!
//! # Out of scope
//!
//! Sending, sleeping, and reading clocks: time is an argument, a [`Moment`]. The other endpoints
//! of the admin API: [`Exchange::parse_as`] reads their envelope, and that is all. Checking the
//! signature of a token: that is for whoever it is for.
//!
//! # The states
//!
//! ```text
//!              poll                      a failed attempt
//!   Idle ───────────────► Acquiring ───────────────────────► BackingOff
//!    ▲ │                   │     ▲                            │      │
//!    │ │ poll_refresh      │     └────── poll, in time ───────┘      │
//!    │ ▼                   ▼                                         ▼
//!    │ Refreshing ──► a token, a failure, an abandoned flight, a deadline
//!    └───────────────────────────────────┘
//! ```
//!
//! A refresh whose token ends before it does is the first attempt of those who wait by then.
//! Beside the state there may be a cached token, which is used all the while, and a cooldown, during
//! which nothing is sent.
//!
//! ```
//! use std::time::Duration;
//!
//! use http::Response;
//! use meshconnect_auth_core::{
//!     Config, Credentials, Endpoint, Exchange, Machine, Moment, Need, Phase, Step,
//! };
//!
//! # fn main() -> Result<(), meshconnect_auth_core::Error> {
//! let at = |seconds| Moment {
//!     mono: Duration::from_secs_f64(seconds),
//!     wall: Duration::from_secs_f64(1_800_000_000.0 + seconds),
//! };
//! let token = |id: &str| {
//!     let body = format!(r#"{{"status":"ok","content":{{"id_token":"{id}","expires_in":3600}}}}"#);
//!     Response::new(body.into_bytes())
//! };
//! let unavailable = Response::builder().status(503).body(Vec::new()).unwrap_or_default();
//!
//! let exchange = Exchange::new(Endpoint::default(), Credentials::new("id", "secret")?);
//! let mut machine = Machine::new(Config::default(), exchange, 42);
//! assert_eq!(machine.status(at(0.0)).phase, Phase::Idle);
//!
//! // Nothing is cached, so a call has something to send …
//! let ticket = machine.ticket(Need::Usable);
//! let Step::Send(transmit) = machine.poll(at(0.0), &ticket) else { unreachable!() };
//! assert!(matches!(machine.status(at(0.0)).phase, Phase::Acquiring { attempt: 1, .. }));
//! // … and every other call waits for it.
//! assert!(matches!(machine.poll(at(0.1), &ticket), Step::Wait(_)));
//!
//! // It fails, and is worth a retry a little later.
//! let outcome = transmit.flight.parse(unavailable, at(0.2));
//! machine.handle_outcome(at(0.2), transmit.flight, outcome);
//! assert!(matches!(machine.status(at(0.2)).phase, Phase::BackingOff { attempts: 1, .. }));
//! assert!(matches!(machine.poll(at(0.3), &ticket), Step::Wait(_)));
//!
//! // Whoever polls first when the back-off has ended sends the next attempt.
//! let Step::Send(transmit) = machine.poll(at(1.3), &ticket) else { unreachable!() };
//! let outcome = transmit.flight.parse(token("first"), at(1.4));
//! machine.handle_outcome(at(1.4), transmit.flight, outcome);
//! let Step::Ready(first) = machine.poll(at(1.4), &ticket) else { unreachable!() };
//! assert_eq!(first.header_value(), "Bearer first");
//!
//! // Late in its life it is refreshed ahead, and used all the while.
//! assert!(machine.poll_refresh(at(60.0)).is_none());
//! let Some(transmit) = machine.poll_refresh(at(3000.0)) else { unreachable!() };
//! assert_eq!(machine.status(at(3000.0)).phase, Phase::Refreshing);
//! let ticket = machine.ticket(Need::Usable);
//! assert!(matches!(machine.poll(at(3000.0), &ticket), Step::Ready(token) if token == first));
//! let outcome = transmit.flight.parse(token("second"), at(3000.1));
//! machine.handle_outcome(at(3000.1), transmit.flight, outcome);
//! let Step::Ready(second) = machine.poll(at(3000.1), &ticket) else { unreachable!() };
//! assert_eq!(second.header_value(), "Bearer second");
//!
//! // A downstream refused it: it is not given out again.
//! assert!(machine.handle_rejection(at(3001.0), &second));
//! assert!(matches!(machine.poll(at(3001.0), &ticket), Step::Send(_)));
//! # Ok(())
//! # }
//! ```
//!
//! # Secrets
//!
//! The client secret and the token each live in one buffer that is wiped when the last reference
//! to it is dropped. That is promised for this crate's own buffers alone: HTTP and TLS libraries
//! copy what they send and receive. Nothing in here shows either of them under `Debug` or
//! `Display`, and what a server echoes is masked before it becomes part of an error.

mod config;
mod error;
mod json;
mod lifecycle;
mod moment;
mod protocol;
mod wire;

/// One machine for many callers: what a client of your own drives.
///
/// [`Shared`](shared::Shared) is the entry point; its page has the loop.
#[cfg(feature = "shared")]
pub mod shared {
    pub use crate::lifecycle::{Attempt, Shared, SharedStep, Waiter};
}

pub use config::Config;
pub use error::{Blame, Error, ErrorKind, Rejection, TransportError, TransportErrorKind};
pub use lifecycle::{
    BlockingTokenSource, CachedToken, Event, Flight, Machine, Need, Phase, StaticToken, Status,
    Step, Ticket, TokenSource, Transmit,
};
pub use moment::Moment;
pub use protocol::{
    BodyBuffer, ClientId, ClientSecret, Credentials, Endpoint, Exchange, Grant, MediaType, Proxy,
    RequestBody, Token, read_pem_certificates,
};
pub use wire::{ApiResult, ApiResultStatus, AuthenticationStatus, OAuthTokenResponse};
