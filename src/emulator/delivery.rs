//! A response body that can be slow or end early.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// The pace of a slow body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drip {
    /// In bytes, at least 1.
    pub(super) chunk_size: usize,
    pub(super) interval: Duration,
}

/// A body that announces its whole length, even if it ends early.
#[derive(Debug)]
pub(super) struct Delivery {
    rest: Bytes,
    tear: Tear,
    drip: Option<Drip>,
    pause: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, Debug)]
enum Tear {
    Never,
    After(usize),
    Now,
}

impl Delivery {
    pub(super) fn new(body: Bytes, torn_after: Option<usize>, drip: Option<Drip>) -> Self {
        Self {
            rest: body,
            tear: torn_after.map_or(Tear::Never, Tear::After),
            drip,
            pause: None,
        }
    }

    /// Splits off the next chunk, of at most `limit` bytes.
    fn next_chunk(&mut self, limit: usize) -> Bytes {
        let pace = self.drip.map_or(usize::MAX, |drip| drip.chunk_size);
        let chunk = self.rest.split_to(self.rest.len().min(limit).min(pace));
        if let Some(drip) = self.drip
            && !self.rest.is_empty()
        {
            self.pause = Some(Box::pin(sleep(drip.interval)));
        }
        chunk
    }
}

impl Body for Delivery {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        if this.rest.is_empty() {
            return Poll::Ready(None);
        }
        let limit = match this.tear {
            Tear::Never => usize::MAX,
            Tear::After(0) => {
                // hyper flushes its buffer when a body is pending, but drops it when a body fails.
                this.tear = Tear::Now;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Tear::After(left) => left,
            Tear::Now => return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
        };
        let chunk = this.next_chunk(limit);
        if let Tear::After(left) = &mut this.tear {
            *left = left.saturating_sub(chunk.len());
        }
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }
}
