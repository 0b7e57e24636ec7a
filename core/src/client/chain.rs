//! Where the error that tells most is often hidden.

use std::error::Error;
use std::io;
use std::iter;

use crate::error::TransportError;

impl TransportError {
    /// An error and all that it came from, also through errors of IO, whose own
    /// [`source`](Error::source) passes over the error that they wrap.
    pub fn chain<'a>(
        error: &'a (dyn Error + 'static),
    ) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
        iter::successors(Some(error), |&error| {
            match error.downcast_ref::<io::Error>() {
                Some(io) => io.get_ref().map(|inner| inner as _),
                None => error.source(),
            }
        })
    }
}
