//! The blocking client for Mesh Connect's token endpoint, over [`ureq`].
//!
//! Most programs use it as `meshconnect_auth::blocking::Client`. What is sent, and what an answer
//! means, is decided in `meshconnect-auth-core`; this crate sends, reads a bounded body, and tells
//! how sending failed.
//!
//! # What ureq does that this crate cannot change
//!
//! - It resolves names on a thread of its own, to be able to give up in time; that thread ends
//!   when the system's resolver does.
//! - It counts the time for the DNS and the time for the connection apart: each may take
//!   [`connect_timeout`](meshconnect_auth_core::Config::connect_timeout).
//! - `ureq-proto` writes headers and bodies to the `log` crate at `TRACE`, the secret and the
//!   token included. Do not enable `ureq_proto` at that level.
//!
//! # With an own agent
//!
//! [`ClientBuilder::http_client`] takes a [`ureq::Agent`]. Time-outs, redirects and what counts as
//! an error are set with each request as for an agent of ours. What rests on you: its TLS settings
//! (a provider and root certificates, without which ureq panics, and the call is an error), its
//! proxies for https, its resolver (a name that cannot be resolved is reported as broken off, for
//! it says no more) and its middleware, which sees the secret and the token. ureq builds the TLS
//! configuration of such an agent anew for each connection.

mod builder;
mod client;
mod clock;
mod failure;
mod http;
mod tls;

pub use builder::ClientBuilder;
pub use client::Client;
/// The HTTP client, for those who bring an own agent: its version must be this.
pub use ureq;
