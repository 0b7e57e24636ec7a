//! The blocking client for Mesh Connect's token endpoint, over [`ureq`].
//!
//! Most programs use it as `meshconnect_auth::blocking::Client`. The crate `meshconnect-auth-core`
//! decides what to send and what a response means. This crate sends requests, reads bodies up to a
//! limit, and classifies failures.
//!
//! # Limits of ureq
//!
//! - Names are resolved on a separate thread, to be able to time out. That thread ends when the
//!   system's resolver returns. Addresses need none.
//! - The DNS look-up and the connection have separate time-outs: each can take
//!   [`connect_timeout`](meshconnect_auth_core::Config::connect_timeout).
//! - `ureq-proto` writes headers and bodies to the `log` crate at `TRACE`, the secret and the token
//!   included. Do not enable `ureq_proto` at that level.
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
//! The client reads `std`'s monotonic clock and wall clock, so libfaketime works.
//!
//! # Crypto provider
//!
//! With the feature `ring` (default), TLS uses ring. Without it, TLS uses the process's default rustls
//! provider, or the one that rustls determines from its features, which then becomes the default.
//! Without a provider, the first https request fails with an error about it. rustls panics in the search
//! for one, so a program whose panics abort has to install its provider.
//!
//! # Your own agent
//!
//! [`ClientBuilder::http`] changes settings of this crate's agent. [`ClientBuilder::http_client`] takes a
//! whole [`ureq::Agent`]. This crate sets time-outs, redirects and
//! the handling of error statuses with each request. Configure the rest yourself:
//!
//! - Set the TLS provider and the root certificates. Without them ureq panics, and the call fails.
//! - Check its proxies for https.
//! - Check its resolver. A failed look-up is reported as
//!   [`Broken`](meshconnect_auth_core::TransportErrorKind::Broken), because ureq's error does not
//!   say more.
//! - Check its middleware, which can read the secret and the token.
//!
//! ureq builds the TLS configuration of your agent again for each connection.

mod builder;
mod client;
mod clock;
mod failure;
mod http;
mod tls;

pub use builder::ClientBuilder;
pub use client::Client;
/// The HTTP client crate. Your own agent must be of this version. It is compiled without a crypto
/// provider: https panics where neither the agent nor the process has one.
pub use ureq;
