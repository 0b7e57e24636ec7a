//! Events for the `tracing` crate.

use http::StatusCode;
use tracing::{debug, warn};

use super::event::Event;
use crate::error::Rejection;

/// Tells `tracing` what happened. Of an error it tells the kind, the status and the hash; the
/// error's words, which a server may have chosen, are left to whoever handles it.
pub(super) fn tell(event: &Event) {
    let delay = event.delay().map(|delay| delay.as_secs_f64());
    let Some(error) = event.error() else {
        debug!(delay, "{event}");
        return;
    };
    let kind = error.kind();
    let status = error.http_status().as_ref().map(StatusCode::as_u16);
    let error_hash = error.rejection().and_then(Rejection::error_hash);
    warn!(?kind, status, error_hash, delay, "{event}");
}
