//! Everything that hands out a cached token as a header, behind one face.

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

/// Whose a candidate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ours,
    Floor,
    ByHand,
    Peer,
}

impl Kind {
    /// As the table says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Floor => "floor",
            Self::ByHand => "by hand",
            Self::Peer => "peer",
        }
    }
}

/// One way from "a header is needed now" to an owned `HeaderValue`, with its token cached.
pub struct Candidate {
    pub name: String,
    pub kind: Kind,
    stub: Option<Stub>,
    hit: Box<dyn Hit>,
}

/// All of them, each primed with its first and only request.
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
    /// One that is called in place.
    fn blocking(
        name: impl Into<String>,
        kind: Kind,
        hit: impl Fn() -> HeaderValue + Send + Sync + 'static,
    ) -> Self {
        Self::new(name.into(), kind, Box::new(Blocking(hit)))
    }

    /// One that is awaited.
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

    /// Says which stub it asks.
    fn asking(mut self, stub: Stub) -> Self {
        self.stub = Some(stub);
        self
    }

    /// How many requests it has sent; `None` where there is nobody to send one to.
    pub fn requests(&self) -> Option<usize> {
        self.stub.as_ref().map(Stub::requests)
    }

    /// One header.
    pub fn header(&self, runtime: &Runtime) -> HeaderValue {
        self.hit.header(runtime)
    }

    /// How long so many hits in a row take. The runtime is entered once, before the clock starts;
    /// dropping each header is part of the time.
    pub fn round(&self, runtime: &Runtime, calls: u32) -> Duration {
        self.hit.round(runtime, calls)
    }

    /// Whether a hit's future is ready when it is first polled; `None` where there is no future.
    pub fn ready_at_once(&self, runtime: &Runtime) -> Option<bool> {
        self.hit.ready_at_once(runtime)
    }
}

/// A dynamic call for a whole round, so that none is in the figure.
trait Hit: Send + Sync {
    fn header(&self, runtime: &Runtime) -> HeaderValue;
    fn round(&self, runtime: &Runtime, calls: u32) -> Duration;
    fn ready_at_once(&self, runtime: &Runtime) -> Option<bool>;
}

/// Looked at where it lies: to move it for that would take as long as the floor does.
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
        // Without `unconstrained`, tokio's own locks would give the thread back every 128 calls,
        // as they do to be fair in a task that never waits; no real caller asks so often.
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

/// A header as it is made from a token that is kept as a `String`, with the fewest copies that
/// `http` allows.
fn bearer(token: &str) -> HeaderValue {
    HeaderValue::try_from(format!("Bearer {token}")).unwrap()
}
