//! Properties of any input. Each property is a function that panics if the property is violated.
//!
//! The property tests, the fuzz targets and the replay of the seeds call the same functions, so an
//! input that one of them finds is a test for all of them. A property that needs an expected result
//! computes it independently of the code under test. Everything here uses only the public API.
//!
//! This crate is not published. It exists only for the tests of this repository.

#![allow(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a panic reports a violated property"
)]

mod claims;
mod decode;
mod differential;
#[cfg(feature = "emulator")]
pub mod emulator;
mod endpoint;
mod envelope;
mod exchange;
pub mod machine;
mod naive_reader;
mod raw_message;
mod request;
mod retry_after;
mod reveal;
#[cfg(feature = "strategies")]
pub mod strategies;

pub use self::claims::{claims, claims_bytes};
pub use self::decode::decode;
pub use self::differential::differential;
pub use self::endpoint::{endpoint, endpoint_bytes};
pub use self::envelope::{Newer, envelope, envelope_bytes};
pub use self::exchange::{BEARER, RECEIVED, SECRETS};
pub use self::raw_message::response;
pub use self::request::{request, request_bytes};
pub use self::retry_after::{retry_after, retry_after_bytes};
pub use self::reveal::{echoes, reveals};

/// A property of any bytes.
pub type Property = fn(&[u8]);

/// The properties of the core, with the names of their fuzz targets and seed folders.
pub const TARGETS: [(&str, Property); 8] = [
    ("claims", claims_bytes),
    ("decode", decode),
    ("differential", differential),
    ("endpoint", endpoint_bytes),
    ("envelope", envelope_bytes),
    ("machine", machine::machine),
    ("request", request_bytes),
    ("retry_after", retry_after_bytes),
];
