//! The async client for Mesh Connect's token endpoint, over [`reqwest`].
//!
//! Most programs use it as `meshconnect_auth::Client`. The crate `meshconnect-auth-core` decides
//! what to send and what a response means. This crate sends requests, reads bodies up to a limit,
//! and classifies failures. It needs a tokio runtime with its IO and time drivers enabled.
//!
//! # Limits of reqwest
//!
//! - hyper reads an endless flood of `100 Continue` without yielding to the runtime, so a time-out
//!   fires late, even on a multi-thread runtime if that worker drives the timers. If that matters,
//!   run a timer on a separate runtime.
//! - reqwest opens no TLS connection through a proxy to a host that is an IPv6 address. Use a host
//!   name there.
//!
//! # Fork
//!
//! Build the client in the forked process. A client that was built before the fork shares its jitter
//! with its copies, and can hang, because a fork copies a lock that another thread holds. The seed of
//! the jitter comes from the operating system's random source. If that fails, the process id and the
//! time are the seed.
//!
//! # Clocks
//!
//! The client reads `std`'s wall clock and tokio's monotonic clock, so libfaketime works, and a test
//! with `start_paused` can advance time past a token's refresh or expiry. The wall clock does not
//! advance with it. While an attempt is in flight, paused time does not advance, and the attempt's
//! time-out is in real time. Back-offs take no real time.
//!
//! ```no_run
//! # use std::time::Duration;
//! # async fn test(client: meshconnect_auth_reqwest::Client) -> Result<(), meshconnect_auth_core::Error> {
//! // In a test with `#[tokio::test(start_paused = true)]`, and tokio's feature `test-util`.
//! let first = client.token().await?;
//! tokio::time::advance(Duration::from_secs(3600)).await;
//! assert_ne!(client.token().await?, first);
//! # Ok(())
//! # }
//! ```
//!
//! # Crypto provider
//!
//! With the feature `ring` (default), TLS uses ring. Without it, TLS uses the process's default rustls
//! provider, or the one that rustls determines from its features, which then becomes the default.
//! Without a provider, the first https request fails with an error about it. rustls panics in the search
//! for one, so a program whose panics abort has to install its provider.
//!
//! # Your own client
//!
//! [`ClientBuilder::http`] changes settings of this crate's client. [`ClientBuilder::http_client`] takes
//! a whole [`reqwest::Client`]. This crate still applies the attempt's time-out and the body's limit.
//! Configure the rest yourself:
//!
//! - Set a TLS configuration with a crypto provider
//!   ([`tls_backend_preconfigured`](reqwest::ClientBuilder::tls_backend_preconfigured)), or install a
//!   default provider before. Without one, `reqwest::Client::new()` panics.
//! - Disable redirects ([`reqwest::redirect::Policy::none`]). A redirect can send the secret to
//!   another server.
//! - Disable retries and decompression.
//! - Set the connect time-out.
//! - Check its proxies. A proxy can read the secret if the endpoint is plain http.

mod builder;
mod client;
mod clock;
mod failure;
mod http;
mod no_tls;
mod panics;
mod runtimes;
mod tls;

pub use builder::ClientBuilder;
pub use client::Client;
/// The HTTP client crate. Your own client must be of this version. It is compiled without a crypto
/// provider: `Client::new` panics where the process has no default one.
pub use reqwest;
