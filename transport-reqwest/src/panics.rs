//! Catches panics of the HTTP client and of its runtime.

use std::future::poll_fn;
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::task::Poll;
use std::thread;

/// Returns the output of a future, or the payload of the panic if polling or dropping it panics.
pub(crate) async fn catch_panic<T>(future: impl Future<Output = T>) -> thread::Result<T> {
    let mut future = pin!(Some(future));
    poll_fn(|context| {
        let poll = AssertUnwindSafe(|| {
            let polled = future.as_mut().as_pin_mut()?.poll(context);
            if polled.is_ready() {
                future.set(None);
            }
            Some(polled)
        });
        match panic::catch_unwind(poll) {
            Ok(Some(polled)) => polled.map(Ok),
            Ok(None) => Poll::Pending,
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::catch_panic;

    /// Panics when it is dropped.
    struct PanicOnDrop;

    impl Drop for PanicOnDrop {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    /// Returns the output, or the panic's words.
    fn outcome(future: impl Future<Output = u8>) -> Poll<Result<u8, &'static str>> {
        let caught = pin!(catch_panic(future)).poll(&mut Context::from_waker(Waker::noop()));
        caught.map_err(|panic| *panic.downcast().unwrap())
    }

    #[test]
    fn catches_panics_of_poll_and_drop() {
        assert_eq!(outcome(async { 1 }), Poll::Ready(Ok(1)));
        let panics = outcome(async { panic!("polled") });
        assert_eq!(panics, Poll::Ready(Err("polled")));
        // A future may keep what it captures until it is dropped itself.
        let captured = PanicOnDrop;
        let future = poll_fn(move |_| {
            let _ = &captured;
            Poll::Ready(1)
        });
        assert_eq!(outcome(future), Poll::Ready(Err("dropped")));
    }
}
