//! The candidates: everything that returns a cached token as a header, behind one interface.

mod by_hand;
mod ours;
mod peers;

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use http::HeaderValue;
use tokio::runtime::Runtime;
use tokio::task::unconstrained;

use crate::stub::Stub;

/// The origin of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ours,
    Floor,
    ByHand,
    Peer,
}

impl Kind {
    /// Returns the name of the kind in the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Floor => "floor",
            Self::ByHand => "by hand",
            Self::Peer => "peer",
        }
    }
}

/// A way to obtain an owned `HeaderValue` from a cached token.
pub struct Candidate {
    pub name: String,
    pub kind: Kind,
    stub: Option<Stub>,
    hit: Box<dyn Hit>,
}

/// Returns all candidates, each with a token from its only request.
pub fn all(runtime: &Runtime) -> Vec<Candidate> {
    let candidates = [
        by_hand::floor(),
        ours::all(),
        by_hand::all(),
        peers::all(runtime),
    ];
    let candidates: Vec<Candidate> = candidates.into_iter().flatten().collect();
    for candidate in &candidates {
        candidate.header(runtime);
    }
    candidates
}

impl Candidate {
    /// Creates a candidate that blocks.
    fn blocking(
        name: impl Into<String>,
        kind: Kind,
        hit: impl Fn() -> HeaderValue + Send + Sync + 'static,
    ) -> Self {
        Self::new(name.into(), kind, Box::new(Blocking(hit)))
    }

    /// Creates a candidate that is awaited.
    fn awaited(
        name: impl Into<String>,
        kind: Kind,
        hit: impl AsyncFn() -> HeaderValue + Send + Sync + 'static,
    ) -> Self {
        Self::new(name.into(), kind, Box::new(Awaited(hit)))
    }

    fn new(name: String, kind: Kind, hit: Box<dyn Hit>) -> Self {
        Self {
            name,
            kind,
            stub: None,
            hit,
        }
    }

    /// Sets the stub that it requests its token from.
    fn with_stub(mut self, stub: Stub) -> Self {
        self.stub = Some(stub);
        self
    }

    /// Returns the number of requests sent, or `None` without a stub.
    pub fn requests(&self) -> Option<usize> {
        self.stub.as_ref().map(Stub::requests)
    }

    /// Returns one header.
    pub fn header(&self, runtime: &Runtime) -> HeaderValue {
        self.hit.header(runtime)
    }

    /// Returns the time of `calls` hits. The runtime is entered before the clock starts. The time
    /// includes dropping each header.
    pub fn round(&self, runtime: &Runtime, calls: u32) -> Duration {
        self.hit.round(runtime, calls)
    }

    /// Returns whether a hit's future is ready on its first poll, or `None` if there is no future.
    pub fn ready_at_once(&self, runtime: &Runtime) -> Option<bool> {
        self.hit.ready_at_once(runtime)
    }
}

/// One dynamic call per round keeps the cost of dispatch out of the figures.
trait Hit: Send + Sync {
    fn header(&self, runtime: &Runtime) -> HeaderValue;
    fn round(&self, runtime: &Runtime, calls: u32) -> Duration;
    fn ready_at_once(&self, runtime: &Runtime) -> Option<bool>;
}

/// Takes a reference, because moving the header would take as long as the floor.
fn used(header: HeaderValue) {
    black_box(&header);
}

struct Blocking<F>(F);

impl<F: Fn() -> HeaderValue + Send + Sync> Hit for Blocking<F> {
    fn header(&self, _: &Runtime) -> HeaderValue {
        (self.0)()
    }

    fn round(&self, _: &Runtime, calls: u32) -> Duration {
        let begin = Instant::now();
        for _ in 0..calls {
            used((self.0)());
        }
        begin.elapsed()
    }

    fn ready_at_once(&self, _: &Runtime) -> Option<bool> {
        None
    }
}

struct Awaited<F>(F);

impl<F: AsyncFn() -> HeaderValue + Send + Sync> Hit for Awaited<F> {
    fn header(&self, runtime: &Runtime) -> HeaderValue {
        runtime.block_on((self.0)())
    }

    fn round(&self, runtime: &Runtime, calls: u32) -> Duration {
        // Without `unconstrained`, tokio's budget for a task would make its locks yield every 128
        // calls. Real callers do not call in such a tight loop.
        runtime.block_on(unconstrained(async {
            let begin = Instant::now();
            for _ in 0..calls {
                used((self.0)().await);
            }
            begin.elapsed()
        }))
    }

    fn ready_at_once(&self, runtime: &Runtime) -> Option<bool> {
        let _entered = runtime.enter();
        let mut context = Context::from_waker(Waker::noop());
        Some(pin!((self.0)()).poll(&mut context).is_ready())
    }
}

/// Builds a header from a token in a `String`, with the fewest copies that `http` allows.
fn bearer(token: &str) -> HeaderValue {
    HeaderValue::try_from(format!("Bearer {token}")).unwrap()
}
