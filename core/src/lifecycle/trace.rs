//! Events for the `tracing` crate.

use http::StatusCode;
use tracing::{Span, debug, debug_span, warn};

use super::event::Event;
use crate::error::Rejection;

/// The span that an event begins, if it does: one for all attempts of an acquisition. A refresh
/// ahead is nobody's call, and so has no parent.
pub(super) fn begin(event: &Event) -> Option<Span> {
    match event {
        Event::Attempt { ahead: true, .. } => Some(debug_span!(parent: None, "refresh_ahead")),
        Event::Attempt { number: 1, .. } => Some(debug_span!("acquire_token")),
        _ => None,
    }
}

/// Whether the span ends with this event.
pub(super) fn ends(event: &Event) -> bool {
    matches!(
        event,
        Event::Refreshed { .. } | Event::NotRenewed { .. } | Event::Failed { .. }
    )
}

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
