//! The outputs of a shared machine: an attempt to send, and a waiter for a change.

use std::sync::Arc;
use std::time::Duration;

use event_listener::{EventListener, Listener};
use http::{Request, Response};

use super::inner::Inner;
use crate::config::Config;
use crate::error::Error;
use crate::lifecycle::step::{Flight, Transmit};
use crate::moment::Moment;
use crate::protocol::{BodyBuffer, RequestBody};

/// One request to send, on behalf of all waiting callers.
///
/// Dropping an unfinished attempt abandons its flight, and another caller sends.
#[derive(Debug)]
#[must_use = "dropping an attempt abandons its flight"]
pub struct Attempt {
    shared: Arc<Inner>,
    flight: Option<Flight>,
    request: Request<RequestBody>,
    timeout: Duration,
    max_body: usize,
}

impl Attempt {
    /// Wraps the flight at once, so that a panic abandons it.
    pub(super) fn new(shared: &Arc<Inner>, transmit: Transmit) -> Self {
        Self {
            shared: Arc::clone(shared),
            flight: Some(transmit.flight),
            request: transmit.request,
            timeout: transmit.timeout,
            max_body: transmit.max_body,
        }
    }

    /// Returns the request to send.
    #[must_use]
    pub fn request(&self) -> Request<RequestBody> {
        self.request.clone()
    }

    /// Returns the time-out for the HTTP client.
    ///
    /// The flight ends a little later, so that the HTTP client's own error about the time-out arrives
    /// first.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Self::timeout_within(self.timeout)
    }

    /// Returns the [`timeout`](Self::timeout) of an attempt that its acquisition's deadline does not
    /// shorten.
    #[must_use]
    pub fn usual_timeout(config: &Config) -> Duration {
        Self::timeout_within(config.attempt_timeout.min(config.acquisition_timeout))
    }

    fn timeout_within(flight: Duration) -> Duration {
        flight.saturating_sub(flight.div_f64(20.0).min(Duration::from_millis(250)))
    }

    /// Returns the limit of the response body for a [`BodyBuffer`], in bytes.
    #[must_use]
    pub fn max_body(&self) -> usize {
        self.max_body
    }

    /// Sends the request with `send`, and finishes the attempt with its result at the time of `clock`.
    ///
    /// With the feature `tracing`, `send` runs in the span of the acquisition or refresh ahead.
    pub fn run<B: Into<BodyBuffer>>(
        self,
        clock: impl FnOnce() -> Moment,
        send: impl FnOnce(&Self) -> Result<Response<B>, Error>,
    ) {
        let response = {
            #[cfg(feature = "tracing")]
            let _in_span = self.shared.span().entered();
            send(&self)
        };
        self.finish(clock(), response);
    }

    /// Awaits `sending`, and finishes the attempt with its result at the time of `clock`: the async form
    /// of [`run`](Self::run).
    pub async fn run_async<B: Into<BodyBuffer>>(
        self,
        clock: impl FnOnce() -> Moment,
        sending: impl Future<Output = Result<Response<B>, Error>>,
    ) {
        #[cfg(feature = "tracing")]
        let sending = tracing::Instrument::instrument(sending, self.shared.span());
        let response = sending.await;
        self.finish(clock(), response);
    }

    /// Finishes the attempt with its response or failure. The response is read before the machine is
    /// locked.
    pub fn finish(mut self, now: Moment, response: Result<Response<impl Into<BodyBuffer>>, Error>) {
        // The flight stays in `self` while other code runs, so that a panic abandons it.
        let Some(flight) = &self.flight else { return };
        let outcome = response.and_then(|response| flight.parse(response, now));
        if let Some(flight) = self.flight.take() {
            self.shared
                .change(|machine| machine.handle_outcome(now, flight, outcome));
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.shared.change(|machine| machine.handle_abandon(flight));
        }
    }
}

/// Waits for a change of the shared machine.
///
/// It misses no change since it was created, even if the waiting begins later.
#[derive(Debug)]
#[must_use = "a waiter does nothing until `changed` or `block` is called"]
pub struct Waiter {
    listener: EventListener,
    limit: Duration,
}

impl Waiter {
    pub(super) fn new(listener: EventListener, limit: Duration) -> Self {
        Self { listener, limit }
    }

    /// Returns the longest useful wait. Poll again after it in any case.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Waits for a change, without a limit. Add one with the timer of your runtime.
    pub fn changed(self) -> impl Future<Output = ()> + Send {
        self.listener
    }

    /// Blocks this thread until a change, at most for the limit. Returns whether there was a change.
    #[allow(
        clippy::must_use_candidate,
        reason = "the caller polls again either way"
    )]
    pub fn block(self) -> bool {
        self.listener.wait_timeout(self.limit).is_some()
    }
}
