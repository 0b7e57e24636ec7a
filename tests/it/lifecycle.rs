//! The lifecycle of a token over real sockets, for both transports: one request for many callers,
//! one error for all of them, refresh ahead without a wait.
//!
//! The core's scenarios cover the same on virtual time. These tests run in real time.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::support::credentials;
use crate::support::process::wait_until;
use crate::support::tls::Ca;
use http::StatusCode;
use meshconnect_auth::emulator::{Emulator, Reply};
use meshconnect_auth::{
    BlockingTokenSource, Client, Config, Credentials, Endpoint, Error, ErrorKind, Event, Phase,
    StaticToken, Status, Token, TokenSource, TransportErrorKind, blocking,
};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

for_both! { Tasks, Threads:
    concurrent_callers_share_one_request,
    concurrent_callers_share_one_error,
    concurrent_callers_share_three_attempts,
    acquisition_timeout_limits_the_last_attempt,
    short_lived_tokens_are_refreshed_in_time,
    callers_do_not_wait_for_a_refresh_ahead,
    failed_refreshes_are_hidden_until_the_token_expires,
    rejected_tokens_stay_in_use_and_cost_one_request_per_interval,
    token_is_cached_until_refresh_or_rejection,
    new_credentials_take_effect_and_end_cooldowns,
    initial_token_is_used_unless_expired,
    status_reports_the_token,
    status_reports_failed_refreshes_until_a_success,
    observer_receives_events_in_order,
    observer_is_called_before_the_caller_has_the_token,
    token_source_is_dyn_compatible,
}

/// A client and its callers, which are tasks or threads.
trait Callers: Sized {
    const COUNT: usize;

    fn build(emulator: &Emulator, setup: Setup) -> Self;
    fn token(&self) -> Result<Token, Error>;
    fn token_for(&self, time: Duration) -> Result<Token, Error>;
    fn refresh(&self) -> Result<Token, Error>;
    fn reject(&self, token: &Token) -> bool;
    fn set_credentials(&self, credentials: Credentials);
    fn cached_token(&self) -> Option<Token>;
    fn status(&self) -> Status;
    fn source(&self) -> Result<Token, Error>;
    fn source_rejects(&self, token: &Token) -> bool;

    /// Calls `token` once from each caller, all at the same time.
    fn call_concurrently(&self) -> Vec<Result<Token, Error>>;

    /// Calls `token` repeatedly from `callers` callers until `end`.
    fn call_until(&self, end: Instant, callers: usize) -> Vec<Result<Token, Error>>;
}

#[derive(Default)]
struct Setup {
    config: Config,
    cached: Option<Token>,
    observer: Option<Box<dyn Fn(&Event) + Send + Sync>>,
}

impl Setup {
    fn config(config: Config) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }
}

/// Builds a client of the given type. A macro, because the builders share method names but no
/// trait.
macro_rules! build {
    ($client:ty, $emulator:expr, $setup:expr) => {{
        let (emulator, setup): (&Emulator, Setup) = ($emulator, $setup);
        let mut builder = <$client>::builder(emulator.credentials().clone())
            .endpoint(emulator.endpoint())
            .config(setup.config);
        if let Some(token) = setup.cached {
            builder = builder.initial_token(token);
        }
        if let Some(observer) = setup.observer {
            builder = builder.observer(observer);
        }
        builder.build().unwrap()
    }};
}

struct Tasks {
    client: Client,
    runtime: Runtime,
}

impl Callers for Tasks {
    const COUNT: usize = 1000;

    fn build(emulator: &Emulator, setup: Setup) -> Self {
        Self {
            client: build!(Client, emulator, setup),
            runtime: runtime(),
        }
    }

    fn token(&self) -> Result<Token, Error> {
        self.runtime.block_on(self.client.token())
    }

    fn token_for(&self, time: Duration) -> Result<Token, Error> {
        self.runtime.block_on(self.client.token_for(time))
    }

    fn refresh(&self) -> Result<Token, Error> {
        self.runtime.block_on(self.client.refresh())
    }

    fn reject(&self, token: &Token) -> bool {
        self.client.reject(token)
    }

    fn set_credentials(&self, credentials: Credentials) {
        self.client.set_credentials(credentials);
    }

    fn cached_token(&self) -> Option<Token> {
        self.client.cached_token()
    }

    fn status(&self) -> Status {
        self.client.status()
    }

    fn source(&self) -> Result<Token, Error> {
        let source: Arc<dyn TokenSource> = Arc::new(self.client.clone());
        self.runtime.block_on(source.token())
    }

    fn source_rejects(&self, token: &Token) -> bool {
        TokenSource::reject(&self.client, token)
    }

    fn call_concurrently(&self) -> Vec<Result<Token, Error>> {
        self.runtime.block_on(async {
            let calls: Vec<_> = (0..Self::COUNT)
                .map(|_| {
                    let client = self.client.clone();
                    tokio::spawn(async move { client.token().await })
                })
                .collect();
            let mut results = Vec::new();
            for call in calls {
                results.push(call.await.unwrap());
            }
            results
        })
    }

    fn call_until(&self, end: Instant, callers: usize) -> Vec<Result<Token, Error>> {
        self.runtime.block_on(async {
            let calls: Vec<_> = (0..callers)
                .map(|_| {
                    let client = self.client.clone();
                    tokio::spawn(async move {
                        let mut results = Vec::new();
                        while Instant::now() < end {
                            results.push(client.token().await);
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                        results
                    })
                })
                .collect();
            let mut results = Vec::new();
            for call in calls {
                results.extend(call.await.unwrap());
            }
            results
        })
    }
}

struct Threads(blocking::Client);

impl Callers for Threads {
    const COUNT: usize = 200;

    fn build(emulator: &Emulator, setup: Setup) -> Self {
        Self(build!(blocking::Client, emulator, setup))
    }

    fn token(&self) -> Result<Token, Error> {
        self.0.token()
    }

    fn token_for(&self, time: Duration) -> Result<Token, Error> {
        self.0.token_for(time)
    }

    fn refresh(&self) -> Result<Token, Error> {
        self.0.refresh()
    }

    fn reject(&self, token: &Token) -> bool {
        self.0.reject(token)
    }

    fn set_credentials(&self, credentials: Credentials) {
        self.0.set_credentials(credentials);
    }

    fn cached_token(&self) -> Option<Token> {
        self.0.cached_token()
    }

    fn status(&self) -> Status {
        self.0.status()
    }

    fn source(&self) -> Result<Token, Error> {
        let source: Arc<dyn BlockingTokenSource> = Arc::new(self.0.clone());
        source.token()
    }

    fn source_rejects(&self, token: &Token) -> bool {
        BlockingTokenSource::reject(&self.0, token)
    }

    fn call_concurrently(&self) -> Vec<Result<Token, Error>> {
        thread::scope(|scope| {
            let calls: Vec<_> = (0..Self::COUNT)
                .map(|_| scope.spawn(|| self.0.token()))
                .collect();
            let results = calls.into_iter().map(|call| call.join().unwrap());
            results.collect()
        })
    }

    fn call_until(&self, end: Instant, callers: usize) -> Vec<Result<Token, Error>> {
        thread::scope(|scope| {
            let calls: Vec<_> = (0..callers)
                .map(|_| {
                    scope.spawn(|| {
                        let mut results = Vec::new();
                        while Instant::now() < end {
                            results.push(self.0.token());
                            thread::sleep(Duration::from_millis(5));
                        }
                        results
                    })
                })
                .collect();
            let results = calls.into_iter().flat_map(|call| call.join().unwrap());
            results.collect()
        })
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn emulator(lifetime: Duration) -> Emulator {
    Emulator::builder()
        .credentials(credentials())
        .expires_in(lifetime)
        .start()
        .unwrap()
}

const HOUR: Duration = Duration::from_secs(3600);
const DELAY: Duration = Duration::from_millis(300);

fn failing() -> Reply {
    Reply::status(StatusCode::INTERNAL_SERVER_ERROR)
}

fn concurrent_callers_share_one_request<C: Callers>() {
    let emulator = emulator(HOUR);
    emulator.script([Reply::token().delay(DELAY)]);
    let client = C::build(&emulator, Setup::default());
    let started = Instant::now();
    let tokens: Vec<_> = client
        .call_concurrently()
        .into_iter()
        .map(Result::unwrap)
        .collect();
    // The result wakes the callers. Without a wake-up they would wait for the attempt's deadline,
    // 10 s.
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(tokens.len(), C::COUNT);
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(emulator.requests(), 1);
}

fn concurrent_callers_share_one_error<C: Callers>() {
    let emulator = emulator(HOUR);
    emulator.script([Reply::status(StatusCode::FORBIDDEN).delay(DELAY)]);
    let client = C::build(&emulator, Setup::default());
    for result in client.call_concurrently() {
        let error = result.unwrap_err();
        assert_eq!(error.http_status(), Some(StatusCode::FORBIDDEN));
        assert_eq!(error.attempts(), 1);
    }
    assert_eq!(emulator.requests(), 1);
    assert!(client.status().cooldown_until.is_some());
}

fn concurrent_callers_share_three_attempts<C: Callers>() {
    let emulator = emulator(HOUR);
    emulator.script((0..9).map(|_| failing().delay(DELAY / 3)));
    let mut config = Config::default();
    config.throttled_backoff = Duration::from_millis(50);
    let client = C::build(&emulator, Setup::config(config));
    for result in client.call_concurrently() {
        let error = result.unwrap_err();
        assert_eq!(error.http_status(), Some(StatusCode::INTERNAL_SERVER_ERROR));
        assert_eq!(error.attempts(), 3);
    }
    assert_eq!(emulator.requests(), 3);
}

/// The first attempt takes nearly half of the acquisition's 2 s.
fn acquisition_timeout_limits_the_last_attempt<C: Callers>() {
    let emulator = emulator(HOUR);
    emulator.script([
        failing().delay(Duration::from_millis(900)),
        Reply::stalled(),
    ]);
    let mut config = Config::default();
    config.throttled_backoff = Duration::from_millis(50);
    config.acquisition_timeout = Duration::from_secs(2);
    config.attempt_timeout = Duration::from_secs(2);
    let client = C::build(&emulator, Setup::config(config));
    let started = Instant::now();
    let error = client.token().unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Transport(TransportErrorKind::Timeout)
    );
    assert!(
        started.elapsed() < Duration::from_millis(2500),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(emulator.requests(), 2);
}

fn short_lived_tokens_are_refreshed_in_time<C: Callers>() {
    let emulator = emulator(Duration::from_secs(2));
    let client = C::build(&emulator, Setup::default());
    let time = Duration::from_secs(10);
    let results = client.call_until(Instant::now() + time, 50);
    assert!(results.len() > 50 * 100, "only {} calls", results.len());
    let tokens: HashSet<_> = results
        .into_iter()
        .map(|result| result.unwrap().id_token().to_owned())
        .collect();
    // A token of 2 s is refreshed after 1.3 s at the earliest. The last one may not have been
    // returned to a caller.
    let (tokens, requests) = (tokens.len() as u64, emulator.requests());
    assert!((5..=9).contains(&tokens), "{tokens}");
    assert!(
        (tokens..=tokens + 1).contains(&requests),
        "{requests} for {tokens}"
    );
}

/// During a slow refresh, every call of `token` and `token_for` still returns the cached token.
fn callers_do_not_wait_for_a_refresh_ahead<C: Callers>() {
    let emulator = emulator(Duration::from_secs(4));
    let slow = Duration::from_millis(400);
    let client = C::build(&emulator, Setup::default());
    let first = client.token().unwrap();
    emulator.script((0..9).map(|_| Reply::token().delay(slow)));
    let end = Instant::now() + Duration::from_millis(3500);
    let (mut slowest, mut calls) = (Duration::ZERO, 0);
    while Instant::now() < end {
        let started = Instant::now();
        calls += 1;
        let good = match calls % 2 {
            0 => client.token(),
            _ => client.token_for(Duration::from_millis(300)),
        };
        good.unwrap();
        slowest = slowest.max(started.elapsed());
        // The sleep limits the number of calls.
        thread::sleep(Duration::from_millis(5));
    }
    assert!(
        client.token().unwrap() != first,
        "the token was never refreshed"
    );
    assert!(slowest < slow / 2, "{slowest:?}");
}

fn failed_refreshes_are_hidden_until_the_token_expires<C: Callers>() {
    let emulator = emulator(Duration::from_secs(4));
    let client = C::build(&emulator, Setup::default());
    let first = client.token().unwrap();
    let minted = Instant::now();
    emulator.script((0..100).map(|_| failing()));
    // The token is usable until 0.4 s before it expires. The rest is tolerance.
    for result in client.call_until(minted + Duration::from_millis(3400), 5) {
        assert!(result.unwrap() == first);
    }
    let requests = emulator.requests();
    assert!((2..=4).contains(&requests), "{requests} requests");
    // Waits until the token expires. The core's scenarios cover the same on virtual time.
    thread::sleep((minted + Duration::from_secs(4)).saturating_duration_since(Instant::now()));
    let error = client.token().unwrap_err();
    assert_eq!(error.http_status(), Some(StatusCode::INTERNAL_SERVER_ERROR));
}

fn rejected_tokens_stay_in_use_and_cost_one_request_per_interval<C: Callers>() {
    let emulator = emulator(HOUR);
    let client = C::build(&emulator, Setup::default());
    let end = Instant::now() + Duration::from_secs(4);
    let (mut accepted, mut kept) = (0, 0);
    while Instant::now() < end {
        let token = client.token().unwrap();
        if client.reject(&token) {
            accepted += 1;
        } else {
            assert!(client.token().is_ok());
            kept += 1;
        }
        // The sleep limits the number of calls.
        thread::sleep(Duration::from_millis(1));
    }
    // Two tokens without a wait, then intervals of up to 1 s, 2 s and 4 s.
    let requests = emulator.requests();
    assert!((3..=5).contains(&requests), "{requests}");
    assert!(
        kept > 100 && accepted < 4,
        "{kept} kept, {accepted} accepted"
    );
}

fn token_is_cached_until_refresh_or_rejection<C: Callers>() {
    let emulator = emulator(HOUR);
    let client = C::build(&emulator, Setup::default());
    let first = client.token().unwrap();
    assert!(client.token().unwrap() == first);
    assert!(client.token_for(HOUR / 2).unwrap() == first);
    assert_eq!(emulator.requests(), 1);
    let second = client.refresh().unwrap();
    assert!(second != first && client.token().unwrap() == second);
    assert_eq!(emulator.requests(), 2);
    // No token lives for two hours, and the client knows it from the lifetime of the last one.
    let too_long = |client: &C| client.token_for(HOUR * 2).unwrap_err().kind();
    assert_eq!(too_long(&client), ErrorKind::LifetimeTooShort);
    assert_eq!(emulator.requests(), 2);
    assert!(client.reject(&first) && client.token().unwrap() == second);
    assert!(client.reject(&second));
    assert!(client.token().unwrap() != second);
    assert_eq!(emulator.requests(), 3);
}

fn new_credentials_take_effect_and_end_cooldowns<C: Callers>() {
    let emulator = emulator(HOUR);
    let client = C::build(&emulator, Setup::default());
    let id = credentials().client_id().as_str().to_owned();
    let first = client.token().unwrap();
    client.set_credentials(Credentials::new(&id, "a wrong secret").unwrap());
    assert!(
        client.token().unwrap() == first,
        "a new secret of the same client discarded the token"
    );
    let refused = client.refresh().unwrap_err();
    assert_eq!(refused.http_status(), Some(StatusCode::FORBIDDEN));
    assert!(
        client.token().unwrap() == first,
        "an error discarded a usable token"
    );
    client.set_credentials(credentials());
    assert!(
        client.refresh().unwrap() != first,
        "new credentials did not end the cooldown"
    );
    client.set_credentials(Credentials::new("another", "a wrong secret").unwrap());
    assert!(
        client.cached_token().is_none(),
        "another client's token is still cached"
    );
    assert_eq!(
        client.token().unwrap_err().http_status(),
        Some(StatusCode::FORBIDDEN)
    );
}

fn initial_token_is_used_unless_expired<C: Callers>() {
    let emulator = emulator(HOUR);
    let token = C::build(&emulator, Setup::default());
    let token = {
        token.token().unwrap();
        token.cached_token().unwrap()
    };
    let cached = Some(Token::new(token.id_token(), token.expires_at()).unwrap());
    let client = C::build(
        &emulator,
        Setup {
            cached,
            ..Setup::default()
        },
    );
    assert!(client.token().unwrap() == token);
    assert_eq!(emulator.requests(), 1);
    let at = SystemTime::now() - Duration::from_millis(1);
    let expired = Some(Token::new("expired", at).unwrap());
    let client = C::build(
        &emulator,
        Setup {
            cached: expired,
            ..Setup::default()
        },
    );
    assert!(client.token().unwrap().id_token() != "expired");
    assert_eq!(emulator.requests(), 2);
}

fn status_reports_the_token<C: Callers>() {
    let emulator = emulator(HOUR);
    let client = C::build(&emulator, Setup::default());
    let token = client.token().unwrap();
    assert_eq!(client.status().phase, Phase::Idle);
    let status = client.status();
    let apart = |a: SystemTime, b: SystemTime| a.duration_since(b).unwrap_or_else(|e| e.duration());
    assert!(apart(status.expires_at.unwrap(), token.expires_at()) < Duration::from_secs(1));
    assert!(status.next_refresh_at.unwrap() < token.expires_at());
    assert!(apart(status.last_success_at.unwrap(), SystemTime::now()) < Duration::from_secs(10));
    assert!(status.last_failure.is_none() && status.cooldown_until.is_none());
    assert_eq!(status.endpoint, emulator.endpoint());
    assert!(client.reject(&token));
    assert!(client.status().expires_at.is_none());
}

/// A health page reads the status while every refresh ahead fails.
fn status_reports_failed_refreshes_until_a_success<C: Callers>() {
    let emulator = emulator(Duration::from_secs(4));
    let client = C::build(&emulator, Setup::default());
    client.token().unwrap();
    emulator.script([failing()]);
    let begun = SystemTime::now();
    wait_until(|| {
        client.token().unwrap();
        client.status().last_failure.is_some()
    });
    let status = client.status();
    let failure = status.last_failure.unwrap();
    assert!(failure.at >= begun && failure.at <= SystemTime::now());
    assert_eq!(failure.error.http_status().unwrap().as_u16(), 500);
    assert!(status.expires_at.is_some(), "the token is still usable");
    wait_until(|| {
        client.token().unwrap();
        client.status().last_failure.is_none()
    });
    assert!(client.status().last_success_at.unwrap() > failure.at);
}

fn observer_receives_events_in_order<C: Callers>() {
    let emulator = emulator(HOUR);
    emulator.script([failing()]);
    let events = Arc::new(Mutex::new(Vec::new()));
    let observer = {
        let events = Arc::clone(&events);
        move |event: &Event| events.lock().unwrap().push(event.clone())
    };
    let mut config = Config::default();
    config.throttled_backoff = Duration::from_millis(10);
    let setup = Setup {
        config,
        observer: Some(Box::new(observer)),
        ..Setup::default()
    };
    let client = C::build(&emulator, setup);
    let token = client.token().unwrap();
    assert!(client.reject(&token));
    let events = events.lock().unwrap();
    assert!(
        matches!(
            events[..],
            [
                Event::Attempt {
                    number: 1,
                    ahead: false,
                    ..
                },
                Event::Retry { number: 1, .. },
                Event::Attempt { number: 2, .. },
                Event::Refreshed { .. },
                Event::Rejected { dropped: true, .. },
            ]
        ),
        "{events:?}"
    );
    let retry = &events[1];
    assert_eq!(retry.error().unwrap().http_status().unwrap().as_u16(), 500);
    assert!(retry.delay().unwrap() <= Duration::from_millis(10));
}

fn observer_is_called_before_the_caller_has_the_token<C: Callers>() {
    let emulator = emulator(HOUR);
    for run in 0..100 {
        let events = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&events);
        let observer = move |event: &Event| {
            if matches!(event, Event::Refreshed { .. }) {
                thread::yield_now();
                count.fetch_add(1, Ordering::SeqCst);
            }
        };
        let setup = Setup {
            observer: Some(Box::new(observer)),
            ..Setup::default()
        };
        let client = C::build(&emulator, setup);
        client.token().unwrap();
        assert_eq!(events.load(Ordering::SeqCst), 1, "run {run}");
    }
}

fn token_source_is_dyn_compatible<C: Callers>() {
    let emulator = emulator(HOUR);
    let client = C::build(&emulator, Setup::default());
    let token = client.source().unwrap();
    assert!(client.token().unwrap() == token);
    assert!(client.source_rejects(&token) && client.source_rejects(&token));
    let source: Box<dyn BlockingTokenSource> = Box::new(StaticToken::new(token.clone()));
    assert!(source.token().unwrap() == token && !source.reject(&token));
}

#[test]
fn cancelled_callers_do_not_cancel_the_request() {
    let emulator = emulator(HOUR);
    emulator.script([Reply::token().delay(DELAY)]);
    let Tasks { client, runtime } = Tasks::build(&emulator, Setup::default());
    runtime.block_on(async {
        let calls: Vec<_> = (0..10)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.token().await })
            })
            .collect();
        // The test polls because the emulator only counts requests.
        while emulator.requests() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The request outlives the caller that started it.
        calls[..9].iter().for_each(tokio::task::JoinHandle::abort);
        let last = calls.into_iter().next_back().unwrap();
        last.await.unwrap().unwrap();
    });
    assert_eq!(emulator.requests(), 1);
}

#[test]
fn request_outlives_callers_with_short_timeouts() {
    let emulator = emulator(HOUR);
    emulator.script([Reply::token().delay(Duration::from_millis(100))]);
    let Tasks { client, runtime } = Tasks::build(&emulator, Setup::default());
    let limit = Duration::from_millis(50);
    let served: Vec<_> = runtime.block_on(async {
        let mut served = Vec::new();
        for _ in 0..10 {
            let started = tokio::time::Instant::now();
            served.push(timeout(limit, client.token()).await.is_ok());
            tokio::time::sleep_until(started + limit).await;
        }
        served
    });
    assert!(
        !served[0] && served[2..].iter().all(|served| *served),
        "{served:?}"
    );
    assert_eq!(emulator.requests(), 1);
}

#[test]
fn next_caller_succeeds_after_runtime_shutdown_in_flight() {
    let emulator = emulator(HOUR);
    emulator.script([Reply::stalled()]);
    let Tasks {
        client,
        runtime: first,
    } = Tasks::build(&emulator, Setup::default());
    let cancelled = async { timeout(Duration::from_millis(50), client.token()).await };
    assert!(first.block_on(cancelled).is_err());
    first.shutdown_background();
    let started = Instant::now();
    runtime().block_on(client.token()).unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(emulator.requests(), 2);
}

/// Returning a cached token needs no runtime and no wait, so the future is ready immediately.
#[test]
fn cached_token_is_ready_on_first_poll_without_a_runtime() {
    let emulator = emulator(HOUR);
    let Tasks { client, runtime } = Tasks::build(&emulator, Setup::default());
    runtime.block_on(client.token()).unwrap();
    drop(runtime);
    let mut call = std::pin::pin!(client.token());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(matches!(
        call.as_mut().poll(&mut context),
        std::task::Poll::Ready(Ok(_))
    ));
}

/// Runs a call on a runtime whose only blocking thread is busy.
fn with_busy_blocking_thread<T>(call: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let (_until_dropped, blocked) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || blocked.recv());
    let result = runtime.block_on(call);
    runtime.shutdown_background();
    result
}

/// Reading the platform's certificates from files would block the runtime's thread. Plain http
/// needs no certificates.
#[test]
fn only_platform_certificates_need_a_blocking_thread() {
    let emulator = emulator(HOUR);
    let mut config = Config::default();
    config.attempt_timeout = Duration::from_secs(2);
    config.attempts = 1;
    let Tasks { client, .. } = Tasks::build(&emulator, Setup::config(config.clone()));
    with_busy_blocking_thread(client.token()).unwrap();

    let closed_port = Endpoint::parse("https://127.0.0.1:1").unwrap();
    for (trusting_the_platform, expected) in [
        (true, TransportErrorKind::Client),
        (false, TransportErrorKind::Connect),
    ] {
        let builder = Client::builder(emulator.credentials().clone());
        let mut builder = builder.endpoint(closed_port.clone()).config(config.clone());
        if !trusting_the_platform {
            builder = builder.root_certificate_der(Ca::new().der);
        }
        let error = with_busy_blocking_thread(builder.build().unwrap().token()).unwrap_err();
        let expected = ErrorKind::Transport(expected);
        assert_eq!(error.kind(), expected, "{trusting_the_platform}");
    }
}

/// Without its drivers tokio panics inside reqwest or where a timer is created. The caller gets an
/// error instead.
#[test]
fn call_on_a_runtime_without_drivers_is_an_error() {
    let emulator = emulator(HOUR);
    let Tasks { client, .. } = Tasks::build(&emulator, Setup::default());
    for runtime in [
        Builder::new_current_thread().enable_time().build().unwrap(),
        Builder::new_current_thread().enable_io().build().unwrap(),
        Builder::new_current_thread().build().unwrap(),
    ] {
        let error = runtime.block_on(client.token()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoRuntime);
    }
}

#[test]
fn stalled_acquisition_ends_within_its_timeout() {
    let emulator = emulator(HOUR);
    emulator.script((0..9).map(|_| Reply::stalled()));
    let mut config = Config::default();
    config.attempt_timeout = Duration::from_millis(200);
    config.acquisition_timeout = Duration::from_millis(1900);
    config.backoff = Duration::from_millis(20);
    let client = Threads::build(&emulator, Setup::config(config));
    let started = Instant::now();
    let error = client.token().unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Transport(TransportErrorKind::Timeout)
    );
    assert_eq!(error.attempts(), 3);
    assert!(started.elapsed() < Duration::from_millis(1900));
}
