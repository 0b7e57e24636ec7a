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
//! - Of proxies, it takes one for every scheme: `ALL_PROXY` goes before `HTTPS_PROXY`. Its
//!   `NO_PROXY` knows host names and suffixes, not address ranges.
//! - With an own agent ([`ClientBuilder::http_client`]), a name that cannot be resolved is
//!   reported as broken off, because the agent's resolver says no more.
//! - `ureq-proto` writes headers and bodies to the `log` crate at `TRACE`, the secret and the
//!   token included. Do not enable `ureq_proto` at that level.

mod builder;
mod client;
mod failure;
mod tls;

pub use builder::ClientBuilder;
pub use client::Client;
/// The HTTP client, for those who bring an own agent: its version must be this.
pub use ureq;
