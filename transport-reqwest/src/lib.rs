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
