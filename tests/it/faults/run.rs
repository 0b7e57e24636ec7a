//! Runs rows, many at a time, and tells of all that are wrong and not of the first alone.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use meshconnect_auth::{Error, Token};

use crate::faults::row::{Row, Seen, Which};
use crate::support::{Async, AsyncOfThreads, Blocking, TOKEN, Transport};

/// How many rows run at a time. They wait more than they work.
const AT_A_TIME: usize = 8;

/// A transport, and which it is.
pub trait Client: Transport {
    const WHICH: Which;

    /// The same where a runtime of one thread is not enough.
    type OfThreads: Transport;
}

impl Client for Async {
    const WHICH: Which = Which::Reqwest;
    type OfThreads = AsyncOfThreads;
}

impl Client for Blocking {
    const WHICH: Which = Which::Ureq;
    type OfThreads = Self;
}

/// Runs all `rows` over one client.
pub fn run<C: Client>(rows: &[Row]) {
    for_each(rows, |row| row.name().to_owned(), |row| check::<C>(row));
}

/// Does something with every row, on a few threads, and panics with all that was wrong.
pub fn for_each<R: Sync>(
    rows: &[R],
    name: impl Fn(&R) -> String + Sync,
    check: impl Fn(&R) -> Result<(), String> + Sync,
) {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(rows.len()) {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let checked = catch_unwind(AssertUnwindSafe(|| check(row)));
                    let what = match checked {
                        Ok(Ok(())) => continue,
                        Ok(Err(what)) => what,
                        Err(panic) => match panic.downcast::<String>() {
                            Ok(message) => format!("\n  it panicked: {message}"),
                            Err(_) => "\n  it panicked".to_owned(),
                        },
                    };
                    wrong.lock().unwrap().push(format!("{}{what}", name(row)));
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let (count, all) = (wrong.len(), rows.len());
    assert!(
        wrong.is_empty(),
        "{count} of {all} rows:\n{}",
        wrong.join("\n")
    );
}

/// Asks for a token as the row wants it. An error that leaks is a panic.
pub fn ask<C: Client>(row: &Row, port: u16) -> Result<Token, Error> {
    let settings = row.settings(port);
    match row.threads {
        Some(_why) => C::OfThreads::token(&settings),
        None => C::token(&settings),
    }
}

/// Waits until it is so, or for a second: what follows says that it is not.
fn within_a_second(done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() && begun.elapsed() < Duration::from_secs(1) {
        thread::sleep(Duration::from_millis(2));
    }
}

fn check<C: Client>(row: &Row) -> Result<(), String> {
    let listening = row.listen();
    let (begun, asked_at) = (Instant::now(), SystemTime::now());
    let result = ask::<C>(row, listening.port);
    let took = begun.elapsed();
    // A client that gave up may be done before the server's thread has read what it sent.
    within_a_second(|| listening.requests() >= row.requests);

    let mut wrong = String::new();
    let mut compare = |what: &str, seen: String, expected: String| {
        if seen != expected {
            let _ = write!(wrong, "\n  {what}: {seen}, where it should be {expected}");
        }
    };
    let show = |seen: Seen| format!("{seen:?}");
    let count = |count: usize| count.to_string();
    let seen = Seen::of(&result);
    if !row.expects(C::WHICH, seen) {
        compare("the caller sees", show(seen), show(row.expected(C::WHICH)));
    }
    compare(
        "connections",
        count(listening.connections()),
        count(row.connections),
    );
    compare("requests", count(listening.requests()), count(row.requests));
    let most = row.deadline(C::WHICH) + Duration::from_secs(1);
    if took > most {
        compare("time", format!("{took:?}"), format!("{most:?} at most"));
    }
    match &result {
        Ok(token) => compare("the token", token.id_token().to_owned(), TOKEN.to_owned()),
        Err(error) => {
            // Where no connection is made there was an attempt all the same.
            let attempts = row.connections.max(1);
            compare("attempts", error.attempts().to_string(), count(attempts));
            let report = error.report().to_string();
            for words in row.says(C::WHICH) {
                if !report.contains(words) {
                    compare("the report", report.clone(), format!("with {words:?}"));
                }
            }
            let asked = error.retry_at();
            // It counts from the answer's arrival, a moment ago.
            let asked = asked.map(|at| at.duration_since(asked_at).unwrap().as_secs());
            let expected = row.retry_after(C::WHICH);
            if !expected.allows(asked) {
                compare("Retry-After", format!("{asked:?}"), format!("{expected:?}"));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    if let Err(error) = result {
        let _ = write!(wrong, "\n  the error: {error:?}");
    }
    Err(wrong)
}
