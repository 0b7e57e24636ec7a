//! The runtime-free core of `meshconnect-auth`: the protocol of Mesh Connect's token endpoint and the
//! life of a token, as values in and values out.
//!
//! It opens no socket, reads no clock, file or environment variable, and starts no thread, so it runs
//! under any runtime and any HTTP client. Most programs use it through the crate `meshconnect-auth`,
//! which has an async and a blocking client.
//!
//! # In scope
//!
//! - *Requests and answers*: [`Exchange`] turns [`Credentials`] and an [`Endpoint`] into an
//!   [`http::Request`], and an [`http::Response`] into a [`Token`], which is a ready header value.
//! - *When to send*: [`Machine`] decides from its state and the time whether to serve the token,
//!   refresh it ahead, request one, wait, retry or start a cooldown. `Shared` (feature `shared`) is
//!   one machine for many callers.
//! - *Tokens as an argument*: code that takes a [`TokenSource`] or [`BlockingTokenSource`] works with
//!   a client, and with a [`StaticToken`] in its tests.
//! - *Settings that all clients share*: [`Proxy`] interprets the proxy variables that the caller
//!   looks up, [`read_pem_certificates`] and [`read_der_certificate`] read root certificates, and
//!   [`CertificateFiles`] those of the platform.
//! - *Errors*: one [`Error`], which says who has to act on it.
//! - *The contract's schemas*: [`ApiResult`], [`OAuthTokenResponse`].
//!
//! # Out of scope
//!
//! - Sending, sleeping and reading clocks: time is an argument, a [`Moment`].
//! - The other endpoints of the admin API: [`Exchange::parse_as`] reads their envelope only.
//! - Verifying the signature of a token: its recipient does that.
//!
//! # The loop
//!
//! A driver takes a [`Ticket`] for a call and polls with it: [`Machine::poll`] returns the token, an
//! error, a time to wait, or a request to send. The driver sends the request, hands its outcome back
//! with [`Machine::handle_outcome`], and polls again. [`Machine::poll_refresh`] returns a refresh
//! ahead when one is due.
//!
//! # The states
//!
//! ```text
//!            poll                    a retryable failure
//!   Idle ──────────────► Acquiring ──────────────────────► BackingOff
//!   ▲ │                  │       ▲                         │       │
//!   │ │ poll_refresh     │       └─────────────────────────┘       │
//!   │ ▼                  │          poll, after the back-off       │
//!   │ Refreshing         │                                         │
//!   │     │              │                                         │
//!   └─────┴──────────────┴─────────────────────────────────────────┘
//!      a grant, a failure that ends it, the deadline of the acquisition
//! ```
//!
//! If a token ends during its refresh, the refresh becomes the first attempt of an acquisition. The
//! head of `lifecycle/machine.rs` lists every transition. Beside the state there may be a cached
//! token, which is served while it is usable, and a cooldown, in which no request is sent.
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
//! let mut unavailable = Response::new(Vec::new());
//! *unavailable.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
//!
//! let exchange = Exchange::new(Endpoint::default(), Credentials::new("id", "secret")?);
//! let mut machine = Machine::new(Config::default(), exchange, 42); // a random seed, for jitter
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
//! // A downstream service rejected it, and no other token shortly before: the next call replaces it.
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
pub use error::{
    Blame, CertificateProblem, Error, ErrorKind, Rejection, TransportError, TransportErrorKind,
};
pub use lifecycle::{
    BlockingTokenSource, CachedToken, Event, Failure, Flight, Machine, Need, Phase, StaticToken,
    Status, Step, Ticket, TokenSource, Transmit,
};
pub use moment::Moment;
pub use protocol::{
    BodyBuffer, CertificateFiles, ClientId, ClientSecret, Credentials, Endpoint, Exchange, Grant,
    MediaType, Proxy, RequestBody, Token, read_der_certificate, read_pem_certificates,
};
pub use wire::{ApiResult, ApiResultStatus, AuthenticationStatus, OAuthTokenResponse};
