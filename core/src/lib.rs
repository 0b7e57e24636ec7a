//! The runtime-free core of `meshconnect-auth`: the protocol of Mesh Connect's token endpoint, and
//! the life of a token, as values in and values out.
//!
//! It uses no socket, clock, sleep, thread, random source, file or environment variable, so it runs
//! under any runtime and any HTTP client. Most programs use it through the
//! `meshconnect-auth` crate, which brings two clients.
//!
//! # In scope
//!
//! - *Requests and answers*: [`Exchange`] turns [`Credentials`] and an [`Endpoint`]
//!   into an [`http::Request`], and an [`http::Response`] into a [`Token`] as a ready header.
//! - *When to send*: [`Machine`] decides from state and time whether to use the token, refresh it
//!   ahead, request one, wait, retry or start a cooldown. `Shared` (feature `shared`) is one machine
//!   for many callers. [`TokenSource`] is the trait that a user's code takes.
//! - *Settings that all clients share*: [`Proxy`] reads the proxy variables, and
//!   [`read_pem_certificates`] root certificates.
//! - *Errors*: one [`Error`], which says which party has to act on it.
//! - *The contract's schemas*: [`ApiResult`], [`OAuthTokenResponse`].
//!
//! # Out of scope
//!
//! - Sending, sleeping and reading clocks: time is an argument, a [`Moment`].
//! - The other endpoints of the admin API: [`Exchange::parse_as`] reads only their envelope.
//! - Checking the signature of a token: its recipient does that.
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
//! If the token ends during its refresh, the refresh becomes the first attempt of an acquisition.
//! Every state may have a cached token, which is used while it is usable, and a cooldown, during
//! which no request is sent.
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
//! // Nothing is cached, so the first call sends a request …
//! let ticket = machine.ticket(Need::Usable);
//! let Step::Send(transmit) = machine.poll(at(0.0), &ticket) else { unreachable!() };
//! assert!(matches!(machine.status(at(0.0)).phase, Phase::Acquiring { attempt: 1, .. }));
//! // … and every other call waits for it.
//! assert!(matches!(machine.poll(at(0.1), &ticket), Step::Wait(_)));
//!
//! // It fails, and is retried after a back-off.
//! let outcome = transmit.flight.parse(unavailable, at(0.2));
//! machine.handle_outcome(at(0.2), transmit.flight, outcome);
//! assert!(matches!(machine.status(at(0.2)).phase, Phase::BackingOff { attempts: 1, .. }));
//! assert!(matches!(machine.poll(at(0.3), &ticket), Step::Wait(_)));
//!
//! // The first poll after the back-off sends the next attempt.
//! let Step::Send(transmit) = machine.poll(at(1.3), &ticket) else { unreachable!() };
//! let outcome = transmit.flight.parse(token("first"), at(1.4));
//! machine.handle_outcome(at(1.4), transmit.flight, outcome);
//! let Step::Ready(first) = machine.poll(at(1.4), &ticket) else { unreachable!() };
//! assert_eq!(first.header_value(), "Bearer first");
//!
//! // Late in its life it is refreshed ahead, and still used.
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
//! // A downstream rejected it: it is not served again.
//! assert!(machine.handle_rejection(at(3001.0), &second));
//! assert!(matches!(machine.poll(at(3001.0), &ticket), Step::Send(_)));
//! # Ok(())
//! # }
//! ```
//!
//! # Secrets
//!
//! The client secret and the token each live in one buffer that is wiped when the last reference
//! to it is dropped. This covers only the buffers of this crate: HTTP and TLS libraries make
//! copies. No `Debug` or `Display` of this crate shows either of them, and text from a server is
//! masked before it becomes part of an error.

mod config;
mod error;
mod json;
mod lifecycle;
mod moment;
mod protocol;
mod wire;

/// One machine for many callers, for a client of your own.
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
