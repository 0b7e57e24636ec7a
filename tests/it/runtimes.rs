//! The async client on tokio runtimes that are not driven, or shut down.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use meshconnect_auth::emulator::{Emulator, Reply};
use meshconnect_auth::{Client, Config, ErrorKind, Event, TransportErrorKind};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

const HOUR: Duration = Duration::from_secs(3600);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn emulator(lifetime: Duration) -> Emulator {
    Emulator::builder().expires_in(lifetime).start().unwrap()
}

/// Returns a client, and its number of attempts.
fn client(emulator: &Emulator, config: Config) -> (Client, Arc<AtomicU64>) {
    let attempts = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&attempts);
    let client = Client::builder(emulator.credentials().clone())
        .endpoint(emulator.endpoint())
        .config(config)
        .observer(move |event| {
            if matches!(event, Event::Attempt { .. }) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        })
        .build()
        .unwrap();
    (client, attempts)
}

/// A caller gives up. Its runtime is kept, but nothing drives it and the attempt in it.
#[test]
fn an_attempt_on_a_runtime_that_is_not_driven_is_taken_over() {
    let emulator = emulator(HOUR);
    emulator.script([Reply::token().delay(Duration::from_millis(300))]);
    let (client, attempts) = client(&emulator, Config::default());
    let idle = runtime();
    let gave_up = idle.block_on(async { timeout(Duration::from_millis(20), client.token()).await });
    assert!(gave_up.is_err());

    let started = Instant::now();
    assert!(runtime().block_on(client.token()).is_ok());
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(attempts.load(Ordering::SeqCst), 2);

    // The first attempt ends if its runtime is driven again, and changes nothing.
    let token = client.cached_token();
    // Long enough for the late answer of the server.
    idle.block_on(async { sleep(Duration::from_millis(500)).await });
    assert!(client.cached_token() == token);
}

/// The other runtime is driven by its own thread, so the second caller waits for its attempt.
#[test]
fn an_attempt_on_a_runtime_that_is_driven_is_not_taken_over() {
    let emulator = emulator(HOUR);
    emulator.script([Reply::token().delay(Duration::from_millis(1500))]);
    let (client, attempts) = client(&emulator, Config::default());
    let first = {
        let client = client.clone();
        thread::spawn(move || runtime().block_on(client.token()))
    };
    while attempts.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    let second = runtime().block_on(client.token()).unwrap();
    assert!(first.join().unwrap().unwrap() == second);
    assert_eq!(emulator.requests(), 1);
}

/// Both callers find the attempt on a runtime that is not driven. One takes it over, the other waits for
/// that one.
#[test]
fn callers_on_two_runtimes_take_an_attempt_over_once() {
    let emulator = emulator(HOUR);
    emulator.script((0..100).map(|_| Reply::token().delay(Duration::from_secs(2))));
    let (client, attempts) = client(&emulator, Config::default());
    let idle = runtime();
    let gave_up = idle.block_on(async { timeout(Duration::from_millis(20), client.token()).await });
    assert!(gave_up.is_err());
    let callers = [(); 3].map(|()| {
        let client = client.clone();
        thread::spawn(move || runtime().block_on(client.token()))
    });
    for caller in callers {
        caller.join().unwrap().unwrap();
    }
    assert_eq!(attempts.load(Ordering::SeqCst), 2);
    drop(idle);
}

/// The observer calls the client when an attempt is taken over, without waiting for a token.
#[test]
fn an_observer_can_call_the_client_during_a_take_over() {
    let emulator = emulator(HOUR);
    emulator.script([Reply::token().delay(Duration::from_secs(2))]);
    let shared: Arc<OnceLock<Client>> = Arc::default();
    let theirs = Arc::clone(&shared);
    let client = Client::builder(emulator.credentials().clone())
        .endpoint(emulator.endpoint())
        .observer(move |event| {
            if matches!(event, Event::Abandoned { .. }) {
                let call = theirs.get().unwrap().token();
                let _ = pin!(call).poll(&mut Context::from_waker(Waker::noop()));
            }
        })
        .build()
        .unwrap();
    shared.set(client.clone()).unwrap();
    let idle = runtime();
    let gave_up = idle.block_on(async { timeout(Duration::from_millis(20), client.token()).await });
    assert!(gave_up.is_err());
    let (done, ended) = mpsc::channel();
    thread::spawn(move || done.send(runtime().block_on(client.token()).is_ok()));
    assert_eq!(ended.recv_timeout(Duration::from_secs(8)), Ok(true));
    drop(idle);
}

/// The attempt of another runtime is in flight, and the caller's own runtime is gone.
#[test]
fn a_call_that_waits_on_a_runtime_that_was_shut_down_fails() {
    let emulator = emulator(HOUR);
    emulator.script([Reply::token().delay(Duration::from_secs(1))]);
    let (client, attempts) = client(&emulator, Config::default());
    let sender = {
        let client = client.clone();
        thread::spawn(move || runtime().block_on(client.token()))
    };
    while attempts.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    let gone = runtime();
    let handle = gone.handle().clone();
    drop(gone);
    let error = handle.block_on(client.token()).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Transport(TransportErrorKind::Client)
    );
    let text = error.to_string();
    assert!(
        text.contains("shutting down") && text.contains("127.0.0.1"),
        "{text}"
    );
    assert!(sender.join().unwrap().is_ok());
}

/// An attempt that new credentials superseded is spawned after the one that followed it, which nothing
/// drives.
#[test]
fn a_superseded_attempt_hides_no_other_one() {
    let emulator = emulator(HOUR);
    emulator.script((0..3).map(|_| Reply::token().delay(Duration::from_millis(700))));
    let attempts = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&attempts);
    let client = Client::builder(emulator.credentials().clone())
        .endpoint(emulator.endpoint())
        .observer(move |event| {
            let begins = matches!(event, Event::Attempt { .. });
            if begins && count.fetch_add(1, Ordering::SeqCst) == 0 {
                // Holds the first attempt up between its poll and its task.
                thread::sleep(Duration::from_millis(600));
            }
        })
        .build()
        .unwrap();
    let first = {
        let client = client.clone();
        thread::spawn(move || runtime().block_on(client.token()))
    };
    while attempts.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    client.set_credentials(emulator.credentials().clone());
    let idle = runtime();
    let gave_up = idle.block_on(async { timeout(Duration::from_millis(20), client.token()).await });
    assert!(gave_up.is_err());
    // Until the first attempt is spawned, which the observer held up.
    thread::sleep(Duration::from_millis(700));
    let started = Instant::now();
    runtime().block_on(client.token()).unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
    assert!(first.join().unwrap().is_ok());
    drop(idle);
}

/// A program enters its runtime once for each call, so that no refresh ahead makes progress.
#[test]
fn refreshes_that_were_queued_in_vain_send_nothing() {
    let emulator = emulator(Duration::from_secs(16));
    let mut config = Config::default();
    config.attempt_timeout = Duration::from_secs(1);
    config.acquisition_timeout = Duration::from_secs(3);
    config.max_cooldown = config.first_cooldown;
    let (client, attempts) = client(&emulator, config);
    let runtime = runtime();
    let first = runtime.block_on(client.token()).unwrap();
    let mut longest = Duration::ZERO;
    loop {
        let started = Instant::now();
        let token = runtime.block_on(client.token()).unwrap();
        longest = longest.max(started.elapsed());
        if token != first {
            break;
        }
        // The sleep limits the number of calls. It is outside of the runtime on purpose.
        thread::sleep(Duration::from_millis(20));
    }
    // The refreshes before the token's end, which sent nothing, and one request at its end.
    let attempts = attempts.load(Ordering::SeqCst);
    assert!(attempts >= 3, "{attempts} attempts");
    assert!(emulator.requests() <= 3, "{} requests", emulator.requests());
    assert!(longest < Duration::from_secs(3), "{longest:?}");
}

/// New credentials supersede the attempt of a call between its poll and its wait.
#[test]
fn new_credentials_hold_up_no_call() {
    let emulator = emulator(HOUR);
    let shared: Arc<OnceLock<Client>> = Arc::default();
    let theirs = Arc::clone(&shared);
    let once = AtomicU64::new(0);
    let credentials = emulator.credentials().clone();
    let again = credentials.clone();
    let client = Client::builder(credentials)
        .endpoint(emulator.endpoint())
        .observer(move |event| {
            let begins = matches!(event, Event::Attempt { .. });
            if begins && once.fetch_add(1, Ordering::SeqCst) == 0 {
                theirs.get().unwrap().set_credentials(again.clone());
            }
        })
        .build()
        .unwrap();
    shared.set(client.clone()).unwrap();
    let started = Instant::now();
    runtime().block_on(client.token()).unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}

/// A call in the context of a runtime that was shut down.
#[test]
fn a_runtime_that_was_shut_down_fails_calls_but_not_hits() {
    let emulator = emulator(Duration::from_secs(8));
    let (client, attempts) = client(&emulator, Config::default());
    let gone = runtime();
    let handle = gone.handle().clone();
    drop(gone);
    let _context = handle.enter();
    let poll = || match pin!(client.token()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the call waits for a runtime that was shut down"),
    };

    let error = poll().unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Transport(TransportErrorKind::Client),
        "{error}"
    );
    let text = error.report().to_string();
    for part in ["shutting down", "127.0.0.1"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(emulator.requests(), 0);
    for _ in 0..1000 {
        poll().unwrap_err();
    }
    assert_eq!(attempts.load(Ordering::SeqCst), 1, "a storm of events");

    // A refresh ahead that cannot start backs off as a failed one, and hits stay hits.
    thread::spawn({
        let client = client.clone();
        move || runtime().block_on(client.token())
    })
    .join()
    .unwrap()
    .unwrap();
    let before = attempts.load(Ordering::SeqCst);
    let (mut hits, started) = (0_u64, Instant::now());
    while started.elapsed() < Duration::from_secs(7) {
        poll().unwrap();
        hits += 1;
    }
    let refreshes = attempts.load(Ordering::SeqCst) - before;
    assert!(
        (1..=3).contains(&refreshes),
        "{refreshes} refreshes in {hits} hits"
    );
    let failure = client.status().last_failure.unwrap();
    assert_eq!(
        failure.error.kind(),
        ErrorKind::Transport(TransportErrorKind::Client)
    );
}
