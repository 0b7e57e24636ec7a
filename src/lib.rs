#![cfg_attr(
    all(feature = "async", feature = "blocking", feature = "emulator"),
    doc = include_str!("../README.md")
)]
#![cfg_attr(
    not(all(feature = "async", feature = "blocking", feature = "emulator")),
    doc = "Tokens for Mesh Connect's Account Management API: see the README."
)]

#[cfg(feature = "emulator")]
pub mod emulator;

pub use meshconnect_auth_core::*;
#[cfg(feature = "async")]
pub use meshconnect_auth_reqwest::{Client, ClientBuilder, reqwest};

/// The blocking client: the same names as the async one at the crate's root, so that switching is
/// one line.
#[cfg(feature = "blocking")]
pub mod blocking {
    pub use meshconnect_auth_ureq::{Client, ClientBuilder, ureq};
}
