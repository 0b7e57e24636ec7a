//! How long it takes until everyone who waits for one flight has its token. Per waiter it should
//! cost the same, however many they are: the items a second are what to read.
//!
//! ```sh
//! cargo bench --bench waiters
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use http::Response;
use meshconnect_auth::shared::{Attempt, Shared, SharedStep};
use meshconnect_auth::{
    Config, Credentials, Endpoint, Exchange, Machine, Moment, Need, Ticket, Token,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const CROWDS: [usize; 5] = [1, 10, 100, 1000, 10_000];

const NOW: Moment = Moment {
    mono: Duration::from_secs(1000),
    wall: Duration::from_secs(1_800_000_000),
};

fn main() {
    divan::main();
}

/// One request that is in flight.
fn flight() -> (Shared, Attempt) {
    let credentials = Credentials::new("a-client-id", "a-client-secret").unwrap();
    let exchange = Exchange::new(Endpoint::default(), credentials);
    let shared = Shared::new(Machine::new(Config::default(), exchange, 1), None);
    match shared.poll(NOW, &shared.ticket(Need::Usable)) {
        SharedStep::Send(attempt) => (shared, attempt),
        next => panic!("{next:?}"),
    }
}

fn land(attempt: Attempt) {
    const BODY: &[u8] = br#"{"status":"ok","content":{"id_token":"a.b.c","expires_in":3600}}"#;
    attempt.finish(NOW, Ok(Response::new(BODY)));
}

/// What a call does that needs to wait.
async fn wait(shared: Shared) -> Token {
    let ticket = shared.ticket(Need::Usable);
    loop {
        match shared.poll(NOW, &ticket) {
            SharedStep::Ready(token) => return token,
            SharedStep::Wait(waiter) => waiter.changed().await,
            next => panic!("{next:?}"),
        }
    }
}

/// So many tasks of one thread, each of which has begun to wait.
struct Tasks<T> {
    runtime: Runtime,
    tasks: Vec<JoinHandle<T>>,
}

impl<T: Send + 'static> Tasks<T> {
    fn waiting<F>(count: usize, wait: impl Fn() -> F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let runtime = Builder::new_current_thread().build().unwrap();
        let tasks = (0..count).map(|_| runtime.spawn(wait())).collect();
        // The last to be spawned is the last to be polled.
        runtime.block_on(runtime.spawn(async {})).unwrap();
        Self { runtime, tasks }
    }

    fn served(self) -> Runtime {
        self.runtime.block_on(async {
            for task in self.tasks {
                drop(task.await.unwrap());
            }
        });
        self.runtime
    }
}

/// What tokio needs by itself in order to wake so many and give each a clone.
#[divan::bench(args = CROWDS)]
fn floor_watch(bencher: Bencher, count: usize) {
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| {
            let (sender, receiver) = watch::channel(None::<Token>);
            let tasks = Tasks::waiting(count, || {
                let mut receiver = receiver.clone();
                async move {
                    receiver.changed().await.unwrap();
                    receiver.borrow().clone()
                }
            });
            let token = Token::new("a.b.c", std::time::SystemTime::now()).unwrap();
            (sender, token, tasks)
        })
        .bench_local_values(|(sender, token, tasks)| {
            sender.send(Some(token)).unwrap();
            tasks.served()
        });
}

#[divan::bench(args = CROWDS)]
fn tasks(bencher: Bencher, count: usize) {
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| {
            let (shared, attempt) = flight();
            (attempt, Tasks::waiting(count, || wait(shared.clone())))
        })
        .bench_local_values(|(attempt, tasks)| {
            land(attempt);
            tasks.served()
        });
}

/// So many threads that are blocked, or about to be.
struct Threads {
    /// How many have no token yet.
    left: Arc<AtomicUsize>,
}

impl Threads {
    fn waiting(count: usize, shared: &Shared) -> Self {
        let (begun, left) = (AtomicUsize::new(0), AtomicUsize::new(count));
        let (begun, left) = (Arc::new(begun), Arc::new(left));
        let main = thread::current();
        for _ in 0..count {
            let (shared, main) = (shared.clone(), main.clone());
            let (begun, left) = (Arc::clone(&begun), Arc::clone(&left));
            let wait = move || {
                Self::wait(&shared, &shared.ticket(Need::Usable), &begun);
                if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                    main.unpark();
                }
            };
            let thread = thread::Builder::new().stack_size(64 * 1024);
            thread.spawn(wait).unwrap();
        }
        while begun.load(Ordering::Acquire) < count {
            thread::yield_now();
        }
        // From having begun to being asleep.
        thread::sleep(Duration::from_millis(2));
        Self { left }
    }

    fn wait(shared: &Shared, ticket: &Ticket, begun: &AtomicUsize) -> Token {
        loop {
            match shared.poll(NOW, ticket) {
                SharedStep::Ready(token) => return token,
                SharedStep::Wait(waiter) => {
                    begun.fetch_add(1, Ordering::AcqRel);
                    waiter.block();
                }
                next => panic!("{next:?}"),
            }
        }
    }

    fn served(&self) {
        while self.left.load(Ordering::Acquire) > 0 {
            thread::park();
        }
    }
}

/// The system's share is nearly all of it.
#[divan::bench(args = [1, 10, 100, 1000], sample_count = 20, sample_size = 1)]
fn threads(bencher: Bencher, count: usize) {
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| {
            let (shared, attempt) = flight();
            (attempt, Threads::waiting(count, &shared))
        })
        .bench_local_values(|(attempt, threads)| {
            land(attempt);
            threads.served();
        });
}
