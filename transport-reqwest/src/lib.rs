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
//! - With an own client ([`ClientBuilder::http_client`]), redirects, proxies, decompression and
//!   trust are that client's.

mod builder;
mod client;
mod failure;
mod tls;

pub use builder::ClientBuilder;
pub use client::Client;
/// The HTTP client, for those who bring an own one: its version must be this.
pub use reqwest;
