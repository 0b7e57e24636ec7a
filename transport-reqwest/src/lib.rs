//! The async client for Mesh Connect's token endpoint, over [`reqwest`].
//!
//! Most programs use it as `meshconnect_auth::Client`. What is sent, and what an answer means, is
//! decided in `meshconnect-auth-core`; this crate sends, reads a bounded body, and tells how
//! sending failed. It needs a tokio runtime with its IO and time drivers enabled.
//!
//! # What reqwest does that this crate cannot change
//!
//! - hyper reads an endless flood of `100 Continue` without giving the runtime a turn, so that a
//!   time-out fires late, also on a multi-thread runtime if that worker held its timer. Who must
//!   be sure keeps a timer on a runtime of its own.
//!
//! # Under paused time
//!
//! The client reads tokio's clock, so a test with `start_paused` can advance time past a token's
//! refresh or end. The wall clock does not move with it. While a request is on its way, paused
//! time stands still, and the request's time-out is real time; back-offs take no time, as all that
//! tokio's timers wait for.
//!
//! ```no_run
//! # use std::time::Duration;
//! # async fn test(client: meshconnect_auth_reqwest::Client) -> Result<(), meshconnect_auth_core::Error> {
//! // In a test with `#[tokio::test(start_paused = true)]`, and tokio's feature `test-util`.
//! let first = client.token().await?;
//! # #[cfg(any())]
//! tokio::time::advance(Duration::from_secs(3600)).await;
//! assert_ne!(client.token().await?, first);
//! # Ok(())
//! # }
//! ```
//!
//! # With an own client
//!
//! [`ClientBuilder::http_client`] takes a [`reqwest::Client`]. The attempt's time-out and the
//! body's limit are ours still. What rests on you: switch its redirects off
//! ([`reqwest::redirect::Policy::none`]), or the secret follows them; keep it from retrying and from
//! decompressing; its connect time-out; its proxies, which see the secret where the endpoint is
//! plain http; its trust.

mod builder;
mod client;
mod clock;
mod failure;
mod http;
mod tls;

pub use builder::ClientBuilder;
pub use client::Client;
/// The HTTP client, for those who bring an own one: its version must be this.
pub use reqwest;
