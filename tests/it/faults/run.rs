//! Runs rows in parallel and reports every failed row, not only the first.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use meshconnect_auth::{Error, Token};

use crate::faults::row::{Library, Outcome, Row};
use crate::support::{Async, AsyncMultiThread, Blocking, TOKEN, Transport};

/// The number of rows that run in parallel. They mostly wait.
const PARALLEL: usize = 8;

/// A transport with its identity.
pub trait Client: Transport {
    const LIBRARY: Library;

    /// The same transport on a multi-threaded runtime.
    type MultiThread: Transport;
}

impl Client for Async {
    const LIBRARY: Library = Library::Reqwest;
    type MultiThread = AsyncMultiThread;
}

impl Client for Blocking {
    const LIBRARY: Library = Library::Ureq;
    type MultiThread = Self;
}

/// Runs all `rows` over one client.
pub fn run<C: Client>(rows: &[Row]) {
    for_each(rows, |row| row.name().to_owned(), |row| check::<C>(row));
}

/// Calls `check` for every row on a few threads, and panics with all failures.
pub fn for_each<R: Sync>(
    rows: &[R],
    name_of: impl Fn(&R) -> String + Sync,
    check: impl Fn(&R) -> Result<(), String> + Sync,
) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..PARALLEL.min(rows.len()) {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let checked = catch_unwind(AssertUnwindSafe(|| check(row)));
                    let failure = match checked {
                        Ok(Ok(())) => continue,
                        Ok(Err(failure)) => failure,
                        Err(panic) => match panic.downcast::<String>() {
                            Ok(message) => format!("\n  it panicked: {message}"),
                            Err(_) => "\n  it panicked".to_owned(),
                        },
                    };
                    failures
                        .lock()
                        .unwrap()
                        .push(format!("{}{failure}", name_of(row)));
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let (count, all) = (failures.len(), rows.len());
    assert!(
        failures.is_empty(),
        "{count} of {all} rows failed:\n{}",
        failures.join("\n")
    );
}

/// Requests a token with the row's settings. Panics if an error leaks a secret.
pub fn request_token<C: Client>(row: &Row, port: u16) -> Result<Token, Error> {
    let settings = row.settings(port);
    match row.threads {
        Some(_why) => C::MultiThread::token(&settings),
        None => C::token(&settings),
    }
}

/// Polls `done` for up to a second. The caller's assertions then report a failure.
fn within_a_second(done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() && started.elapsed() < Duration::from_secs(1) {
        thread::sleep(Duration::from_millis(2));
    }
}

fn check<C: Client>(row: &Row) -> Result<(), String> {
    let listening = row.listen();
    let (started, sent_at) = (Instant::now(), SystemTime::now());
    let result = request_token::<C>(row, listening.port);
    let elapsed = started.elapsed();
    // A client may time out before the server's thread has read the request.
    within_a_second(|| listening.requests() >= row.requests);

    let mut failures = String::new();
    let mut compare = |name: &str, actual: String, expected: String| {
        if actual != expected {
            let _ = write!(failures, "\n  {name}: {actual}, expected {expected}");
        }
    };
    let show = |outcome: Outcome| format!("{outcome:?}");
    let count = |count: usize| count.to_string();
    let outcome = Outcome::of(&result);
    if !row.expects(C::LIBRARY, outcome) {
        compare("outcome", show(outcome), show(row.expected(C::LIBRARY)));
    }
    compare(
        "connections",
        count(listening.connections()),
        count(row.connections),
    );
    compare("requests", count(listening.requests()), count(row.requests));
    let limit = row.deadline(C::LIBRARY) + Duration::from_secs(1);
    if elapsed > limit {
        compare("time", format!("{elapsed:?}"), format!("{limit:?} at most"));
    }
    match &result {
        Ok(token) => compare("token", token.id_token().to_owned(), TOKEN.to_owned()),
        Err(error) => {
            // An attempt counts even without a connection.
            let attempts = row.connections.max(1);
            compare("attempts", error.attempts().to_string(), count(attempts));
            let base_url = row.base_url(listening.port);
            compare(
                "endpoint",
                error.endpoint().unwrap_or_default().to_owned(),
                base_url.clone(),
            );
            let line = error.to_string();
            if !line.ends_with(&format!(" ({base_url})")) {
                compare("line", line, format!("with {base_url}"));
            }
            let report = error.report().to_string();
            for words in row.reported(C::LIBRARY) {
                if !report.contains(words) {
                    compare("report", report.clone(), format!("with {words:?}"));
                }
            }
            let delay = error.retry_at();
            // The delay counts from the arrival of the response, a moment ago.
            let delay = delay.map(|at| at.duration_since(sent_at).unwrap().as_secs());
            let expected = row.retry_after(C::LIBRARY);
            if !expected.allows(delay) {
                compare("Retry-After", format!("{delay:?}"), format!("{expected:?}"));
            }
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    if let Err(error) = result {
        let _ = write!(failures, "\n  error: {error:?}");
    }
    Err(failures)
}
