//! What holds for any input: property bodies as plain functions, which panic where a property does
//! not hold.
//!
//! The property tests, the fuzz targets and the replay of their seeds all call these, so that a
//! find of one is a test of the others. A body that needs a second opinion reads for itself, by
//! other means than the code that it judges. Everything here goes through the public API.
//!
//! Nothing of this is published: it exists for the tests of this repository alone.

#![allow(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a panic is how a property that does not hold is reported"
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
mod raw_response;
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
pub use self::raw_response::response;
pub use self::request::{request, request_bytes};
pub use self::retry_after::{retry_after, retry_after_bytes};
pub use self::reveal::{echoes, reveals};

/// A property over plain bytes.
pub type Property = fn(&[u8]);

/// The properties of the core, each by the name of its fuzz target and of the folder of its seeds.
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
