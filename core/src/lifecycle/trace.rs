//! Events for the `tracing` crate.

use http::StatusCode;
use tracing::{Span, debug, debug_span, warn};

use super::event::Event;
use crate::error::Rejection;

/// Returns the span that an event begins, if any: one for all attempts of an acquisition. A refresh
/// ahead belongs to no call, so its span has no parent.
pub(super) fn begin(event: &Event) -> Option<Span> {
    match event {
        Event::Attempt { ahead: true, .. } => Some(debug_span!(parent: None, "refresh_ahead")),
        Event::Attempt { number: 1, .. } => Some(debug_span!("acquire_token")),
        _ => None,
    }
}

/// Returns whether the span ends with this event.
pub(super) fn ends(event: &Event) -> bool {
    matches!(
        event,
        Event::Refreshed { .. }
            | Event::NotRenewed { .. }
            | Event::Failed { .. }
            | Event::Abandoned { number: 1, .. }
            | Event::CooldownStarted { .. }
    )
}

/// Emits the event to `tracing`. Of an error it emits only the kind, the status and the hash, because
/// the text of an error may come from a server.
pub(super) fn emit(event: &Event) {
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
