//! What the clients of all transports have in common: one builder, and whom to trust.

mod builder;
mod chain;
mod trust;

pub use builder::{ClientBuilder, HttpSettings, MozillaRoots, Transport};
pub use trust::Trust;
