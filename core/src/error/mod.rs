//! Errors, and which party can fix them.

#[allow(
    clippy::module_inception,
    reason = "the file is named for its one type"
)]
mod error;
mod escaped;
mod rejection;
mod report;
mod target;
mod transport;

pub(crate) use error::Answer;
pub use error::{Blame, Error, ErrorKind};
pub use rejection::Rejection;
pub(crate) use target::Target;
pub use transport::{CertificateProblem, TransportError, TransportErrorKind};
