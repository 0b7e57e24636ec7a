//! The runtime of the program, and blocking work beside it.

use std::panic;

use tokio::runtime::{self, Runtime};

use super::failure::Failure;

pub(super) fn start_runtime() -> Result<Runtime, Failure> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::Setup(format!(
                "the tokio runtime did not start: {error}; check the limits on threads and open files"
            ))
        })
}

/// Runs blocking work on its own thread, so that signals are handled meanwhile.
pub(super) async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => panic::resume_unwind(error.into_panic()),
    }
}
