//! The outputs of a shared machine: an attempt to send, and a waiter for a change.

use std::sync::Arc;
use std::time::Duration;

use event_listener::{EventListener, Listener};
use http::{Request, Response};

use super::inner::Inner;
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

    /// Returns the request to send, and the time-out for the HTTP client: the rest of the flight at
    /// `now`, in which the HTTP client is also made. Returns `None` if the flight is over or its
    /// credentials were replaced: then drop the attempt, because nobody waits for it.
    ///
    /// The flight ends a little later than the time-out, so that the HTTP client's own error about the
    /// time-out arrives first.
    #[must_use]
    pub fn start(&self, now: Moment) -> Option<(Request<RequestBody>, Duration)> {
        let flight = self.flight.as_ref()?;
        let left = self.shared.lock().time_left(now, flight)?;
        let earlier = left.div_f64(10.0).min(Duration::from_millis(250));
        Some((self.request.clone(), left.saturating_sub(earlier)))
    }

    /// Returns the number of its flight, which [`Waiter::flight_number`] refers to.
    #[must_use]
    pub fn flight_number(&self) -> Option<u64> {
        self.flight.as_ref().map(|flight| flight.number)
    }

    /// Returns a waiter for the end of this attempt, for a caller that runs it in a task of its own. Like
    /// every waiter it ends after the observer was called. Its limit is zero if the attempt is over.
    pub fn waiter(&self) -> Waiter {
        // The listener is first, so that it hears what the check does not see.
        let listener = self.shared.listen();
        let number = self.flight_number();
        let is_over = self.shared.lock().flight_number() != number;
        let limit = if is_over {
            Duration::ZERO
        } else {
            self.timeout
        };
        Waiter::new(listener, limit, number)
    }

    /// Returns the limit of the response body for a [`BodyBuffer`], in bytes.
    #[must_use]
    pub fn max_body(&self) -> usize {
        self.max_body
    }

    /// Starts the attempt, calls `send` with the request and its time-out, and finishes the attempt with
    /// the result. Does nothing if the attempt [cannot start](Self::start) any more.
    ///
    /// With the feature `tracing`, `send` runs in the span of the acquisition or refresh ahead.
    pub fn run<B: Into<BodyBuffer>>(
        self,
        clock: impl Fn() -> Moment,
        send: impl FnOnce(Request<RequestBody>, Duration) -> Result<Response<B>, Error>,
    ) {
        let Some((request, timeout)) = self.start(clock()) else {
            return;
        };
        let response = {
            #[cfg(feature = "tracing")]
            let _in_span = self.shared.span().entered();
            send(request, timeout)
        };
        self.finish(clock(), response);
    }

    /// Does the same as [`run`](Self::run) with an async `send`. The attempt starts when the future is
    /// first polled.
    pub async fn run_async<B: Into<BodyBuffer>, S>(
        self,
        clock: impl Fn() -> Moment,
        send: impl FnOnce(Request<RequestBody>, Duration) -> S,
    ) where
        S: Future<Output = Result<Response<B>, Error>>,
    {
        let Some((request, timeout)) = self.start(clock()) else {
            return;
        };
        let sending = send(request, timeout);
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

    /// Abandons the attempt because it cannot start, for the reason in `cause`. Dropping the attempt does
    /// the same without a reason.
    pub fn abandon(mut self, cause: Error) {
        if let Some(flight) = self.flight.take() {
            self.shared
                .change(|machine| machine.abandon_flight(&flight, Some(cause)));
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
    flight: Option<u64>,
}

impl Waiter {
    pub(super) fn new(listener: EventListener, limit: Duration, flight: Option<u64>) -> Self {
        Self {
            listener,
            limit,
            flight,
        }
    }

    /// Returns the number of the flight that it waits for, or `None` if it waits for a back-off.
    #[must_use]
    pub fn flight_number(&self) -> Option<u64> {
        self.flight
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
