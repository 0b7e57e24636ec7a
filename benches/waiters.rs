//! The time until all callers that wait for one request have its token. The time per waiter should
//! not depend on the number of waiters: compare the items per second.
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

const COUNTS: [usize; 5] = [1, 10, 100, 1000, 10_000];

const NOW: Moment = Moment {
    mono: Duration::from_secs(1000),
    wall: Duration::from_secs(1_800_000_000),
};

fn main() {
    divan::main();
}

/// Returns a machine with an attempt in flight.
fn in_flight() -> (Shared, Attempt) {
    let credentials = Credentials::new("a-client-id", "a-client-secret").unwrap();
    let exchange = Exchange::new(Endpoint::default(), credentials);
    let shared = Shared::new(Machine::new(Config::default(), exchange, 1), None);
    match shared.poll(NOW, &shared.ticket(Need::Usable)) {
        SharedStep::Send(attempt) => (shared, attempt),
        next => panic!("{next:?}"),
    }
}

fn finish(attempt: Attempt) {
    const BODY: &[u8] = br#"{"status":"ok","content":{"id_token":"a.b.c","expires_in":3600}}"#;
    attempt.finish(NOW, Ok(Response::new(BODY)));
}

/// Waits for the token as a call of the async client does.
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

/// Tasks on one thread, all of which wait.
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
        // The task spawned last is polled last.
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

/// Wakes as many tasks through tokio and clones a token for each. This is the floor.
#[divan::bench(args = COUNTS)]
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

#[divan::bench(args = COUNTS)]
fn tasks(bencher: Bencher, count: usize) {
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| {
            let (shared, attempt) = in_flight();
            (attempt, Tasks::waiting(count, || wait(shared.clone())))
        })
        .bench_local_values(|(attempt, tasks)| {
            finish(attempt);
            tasks.served()
        });
}

/// Threads that are blocked or about to block.
struct Threads {
    /// The number of threads without a token.
    left: Arc<AtomicUsize>,
}

impl Threads {
    fn waiting(count: usize, shared: &Shared) -> Self {
        let (started, left) = (AtomicUsize::new(0), AtomicUsize::new(count));
        let (started, left) = (Arc::new(started), Arc::new(left));
        let main = thread::current();
        for _ in 0..count {
            let (shared, main) = (shared.clone(), main.clone());
            let (started, left) = (Arc::clone(&started), Arc::clone(&left));
            let wait = move || {
                Self::wait(&shared, &shared.ticket(Need::Usable), &started);
                if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                    main.unpark();
                }
            };
            let thread = thread::Builder::new().stack_size(64 * 1024);
            thread.spawn(wait).unwrap();
        }
        while started.load(Ordering::Acquire) < count {
            thread::yield_now();
        }
        // The threads have counted themselves but may not be asleep yet.
        thread::sleep(Duration::from_millis(2));
        Self { left }
    }

    fn wait(shared: &Shared, ticket: &Ticket, started: &AtomicUsize) -> Token {
        loop {
            match shared.poll(NOW, ticket) {
                SharedStep::Ready(token) => return token,
                SharedStep::Wait(waiter) => {
                    started.fetch_add(1, Ordering::AcqRel);
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

/// Blocks threads. The operating system takes most of this time.
#[divan::bench(args = [1, 10, 100, 1000], sample_count = 20, sample_size = 1)]
fn threads(bencher: Bencher, count: usize) {
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| {
            let (shared, attempt) = in_flight();
            (attempt, Threads::waiting(count, &shared))
        })
        .bench_local_values(|(attempt, threads)| {
            finish(attempt);
            threads.served();
        });
}
