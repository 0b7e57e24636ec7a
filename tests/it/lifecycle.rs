//! The life of a token over real sockets, the same for both transports: many callers and one
//! request, one failure for all, refreshes that nobody notices. What needs no socket is in the
//! core's scenarios, on virtual time; what is here takes the time that it is about.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::support::credentials;
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
    a_cold_client_sends_one_request_for_all,
    a_failure_is_one_for_all,
    a_failing_server_is_asked_three_times_for_all,
    the_last_attempt_has_what_is_left_and_no_more,
    short_lived_tokens_never_run_out,
    nobody_waits_for_a_refresh_ahead,
    nobody_notices_a_server_that_fails_until_the_token_ends,
    a_downstream_that_refuses_everything_costs_a_request_per_hold,
    a_token_is_kept_until_another_is_wanted,
    rotation_goes_on_with_the_new_secret,
    a_token_is_handed_on,
    the_status_follows_the_token,
    the_observer_is_told,
    a_source_of_tokens_is_an_object,
}

/// A client with its callers, be they tasks or threads.
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

    /// All callers at once, once each.
    fn all_at_once(&self) -> Vec<Result<Token, Error>>;

    /// This many callers, each again and again, until `end`.
    fn until(&self, end: Instant, callers: usize) -> Vec<Result<Token, Error>>;
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

/// Builds a client of this type; the two builders have the same names.
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

    fn all_at_once(&self) -> Vec<Result<Token, Error>> {
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

    fn until(&self, end: Instant, callers: usize) -> Vec<Result<Token, Error>> {
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

    fn all_at_once(&self) -> Vec<Result<Token, Error>> {
        thread::scope(|scope| {
            let calls: Vec<_> = (0..Self::COUNT)
                .map(|_| scope.spawn(|| self.0.token()))
                .collect();
            let results = calls.into_iter().map(|call| call.join().unwrap());
            results.collect()
        })
    }

    fn until(&self, end: Instant, callers: usize) -> Vec<Result<Token, Error>> {
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
const LATE: Duration = Duration::from_millis(300);

fn failing() -> Reply {
    Reply::status(StatusCode::INTERNAL_SERVER_ERROR)
}

fn a_cold_client_sends_one_request_for_all<C: Callers>() {
    let emulator = emulator(HOUR);
    emulator.script([Reply::token().delay(LATE)]);
    let client = C::build(&emulator, Setup::default());
    let begun = Instant::now();
    let tokens: Vec<_> = client
        .all_at_once()
        .into_iter()
        .map(Result::unwrap)
        .collect();
    // They are woken; what would happen at the flight's deadline, after 10 s, comes too late.
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(tokens.len(), C::COUNT);
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(emulator.requests(), 1);
}

fn a_failure_is_one_for_all<C: Callers>() {
    let emulator = emulator(HOUR);
    emulator.script([Reply::status(StatusCode::FORBIDDEN).delay(LATE)]);
    let client = C::build(&emulator, Setup::default());
    for result in client.all_at_once() {
        let error = result.unwrap_err();
        assert_eq!(error.http_status(), Some(StatusCode::FORBIDDEN));
        assert_eq!(error.attempts(), 1);
    }
    assert_eq!(emulator.requests(), 1);
    assert!(client.status().cooldown_left.is_some());
}

fn a_failing_server_is_asked_three_times_for_all<C: Callers>() {
    let emulator = emulator(HOUR);
    emulator.script((0..9).map(|_| failing().delay(LATE / 3)));
    let mut config = Config::default();
    config.backoff = Duration::from_millis(50);
    let client = C::build(&emulator, Setup::config(config));
    for result in client.all_at_once() {
        let error = result.unwrap_err();
        assert_eq!(error.http_status(), Some(StatusCode::INTERNAL_SERVER_ERROR));
        assert_eq!(error.attempts(), 3);
    }
    assert_eq!(emulator.requests(), 3);
}

/// Of an acquisition of 2 s, the first attempt takes nearly half.
fn the_last_attempt_has_what_is_left_and_no_more<C: Callers>() {
    let emulator = emulator(HOUR);
    emulator.script([
        failing().delay(Duration::from_millis(900)),
        Reply::stalled(),
    ]);
    let mut config = Config::default();
    config.backoff = Duration::from_millis(50);
    config.acquisition_timeout = Duration::from_secs(2);
    config.attempt_timeout = Duration::from_secs(2);
    let client = C::build(&emulator, Setup::config(config));
    let begun = Instant::now();
    let error = client.token().unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Transport(TransportErrorKind::Timeout)
    );
    assert!(
        begun.elapsed() < Duration::from_millis(2500),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(emulator.requests(), 2);
}

fn short_lived_tokens_never_run_out<C: Callers>() {
    let emulator = emulator(Duration::from_secs(2));
    let client = C::build(&emulator, Setup::default());
    let time = Duration::from_secs(10);
    let results = client.until(Instant::now() + time, 50);
    assert!(results.len() > 50 * 100, "only {} calls", results.len());
    let tokens: HashSet<_> = results
        .into_iter()
        .map(|result| result.unwrap().id_token().to_owned())
        .collect();
    // A token of 2 s is refreshed after 1.3 s at the earliest; the last may have come unseen.
    let (tokens, requests) = (tokens.len() as u64, emulator.requests());
    assert!((5..=9).contains(&tokens), "{tokens}");
    assert!(
        (tokens..=tokens + 1).contains(&requests),
        "{requests} for {tokens}"
    );
}

/// With a refresh that takes its time, every call is still a hit: of `token`, and of `token_for`.
fn nobody_waits_for_a_refresh_ahead<C: Callers>() {
    let emulator = emulator(Duration::from_secs(4));
    let slow = Duration::from_millis(400);
    let client = C::build(&emulator, Setup::default());
    let first = client.token().unwrap();
    emulator.script((0..9).map(|_| Reply::token().delay(slow)));
    let end = Instant::now() + Duration::from_millis(3500);
    let (mut slowest, mut calls) = (Duration::ZERO, 0);
    while Instant::now() < end {
        let begun = Instant::now();
        calls += 1;
        let good = match calls % 2 {
            0 => client.token(),
            _ => client.token_for(Duration::from_millis(300)),
        };
        good.unwrap();
        slowest = slowest.max(begun.elapsed());
        // The life of a token passes in real time; this only keeps the calls from being millions.
        thread::sleep(Duration::from_millis(5));
    }
    assert!(client.token().unwrap() != first, "it was never refreshed");
    assert!(slowest < slow / 2, "{slowest:?}");
}

fn nobody_notices_a_server_that_fails_until_the_token_ends<C: Callers>() {
    let emulator = emulator(Duration::from_secs(4));
    let client = C::build(&emulator, Setup::default());
    let first = client.token().unwrap();
    let minted = Instant::now();
    emulator.script((0..100).map(|_| failing()));
    // Until the margin of 0.4 s before its end, with something to spare.
    for result in client.until(minted + Duration::from_millis(3400), 5) {
        assert!(result.unwrap() == first);
    }
    let asked = emulator.requests();
    assert!((2..=4).contains(&asked), "{asked} requests");
    // The token's real end, over a real server: the scenarios have the same in virtual time.
    thread::sleep((minted + Duration::from_secs(4)).saturating_duration_since(Instant::now()));
    let error = client.token().unwrap_err();
    assert_eq!(error.http_status(), Some(StatusCode::INTERNAL_SERVER_ERROR));
}

fn a_downstream_that_refuses_everything_costs_a_request_per_hold<C: Callers>() {
    let emulator = emulator(HOUR);
    let client = C::build(&emulator, Setup::default());
    let end = Instant::now() + Duration::from_secs(4);
    let (mut tokens, mut errors) = (0, 0);
    while Instant::now() < end {
        match client.token() {
            Ok(token) => {
                assert!(client.reject(&token));
                assert!(!client.reject(&token), "it was cached no more");
                tokens += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TokenRejected);
                errors += 1;
            }
        }
        // As above: the cooldowns pass in real time.
        thread::sleep(Duration::from_millis(1));
    }
    // Two at once, then cooldowns of 1 s, of 1 to 2 s and of 2 to 4 s.
    assert!((3..=5).contains(&tokens), "{tokens}");
    assert_eq!(emulator.requests(), tokens);
    assert!(errors > 100, "{errors}");
}

fn a_token_is_kept_until_another_is_wanted<C: Callers>() {
    let emulator = emulator(HOUR);
    let client = C::build(&emulator, Setup::default());
    let first = client.token().unwrap();
    assert!(client.token().unwrap() == first);
    assert!(client.token_for(HOUR / 2).unwrap() == first);
    assert_eq!(emulator.requests(), 1);
    let second = client.refresh().unwrap();
    assert!(second != first && client.token().unwrap() == second);
    assert_eq!(emulator.requests(), 2);
    // Nothing lives for two hours, and of a token that came with less nothing else is expected.
    let too_long = |client: &C| client.token_for(HOUR * 2).unwrap_err().kind();
    assert_eq!(too_long(&client), ErrorKind::LifetimeTooShort);
    assert_eq!(emulator.requests(), 2);
    assert!(!client.reject(&first), "it was not cached any more");
    assert!(client.reject(&second));
    assert!(client.token().unwrap() != second);
    assert_eq!(emulator.requests(), 3);
}

fn rotation_goes_on_with_the_new_secret<C: Callers>() {
    let emulator = emulator(HOUR);
    let client = C::build(&emulator, Setup::default());
    let id = credentials().client_id().as_str().to_owned();
    let first = client.token().unwrap();
    client.set_credentials(Credentials::new(&id, "a wrong secret").unwrap());
    assert!(
        client.token().unwrap() == first,
        "the same client: the token stays"
    );
    let refused = client.refresh().unwrap_err();
    assert_eq!(refused.http_status(), Some(StatusCode::FORBIDDEN));
    assert!(
        client.token().unwrap() == first,
        "a failure displaces no usable token"
    );
    client.set_credentials(credentials());
    assert!(
        client.refresh().unwrap() != first,
        "no cooldown is left of the old ones"
    );
    client.set_credentials(Credentials::new("another", "a wrong secret").unwrap());
    assert!(
        client.cached_token().is_none(),
        "another client: its token is not ours"
    );
    assert_eq!(
        client.token().unwrap_err().http_status(),
        Some(StatusCode::FORBIDDEN)
    );
}

fn a_token_is_handed_on<C: Callers>() {
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

fn the_status_follows_the_token<C: Callers>() {
    let emulator = emulator(HOUR);
    let client = C::build(&emulator, Setup::default());
    let token = client.token().unwrap();
    assert_eq!(client.status().phase, Phase::Idle);
    assert!(client.status().token_left.unwrap() <= HOUR);
    assert!(client.reject(&token));
    assert!(client.status().token_left.is_none());
}

fn the_observer_is_told<C: Callers>() {
    let emulator = emulator(HOUR);
    emulator.script([failing()]);
    let told = Arc::new(Mutex::new(Vec::new()));
    let observer = {
        let told = Arc::clone(&told);
        move |event: &Event| told.lock().unwrap().push(event.clone())
    };
    let mut config = Config::default();
    config.backoff = Duration::from_millis(10);
    let setup = Setup {
        config,
        observer: Some(Box::new(observer)),
        ..Setup::default()
    };
    let client = C::build(&emulator, setup);
    let token = client.token().unwrap();
    // Callers are woken first, and the observer is told then.
    let patient = Instant::now() + Duration::from_secs(10);
    while told.lock().unwrap().len() < 4 && Instant::now() < patient {
        thread::yield_now();
    }
    assert!(client.reject(&token));
    let told = told.lock().unwrap();
    assert!(
        matches!(
            told[..],
            [
                Event::Attempt {
                    number: 1,
                    ahead: false,
                    ..
                },
                Event::Retry { number: 1, .. },
                Event::Attempt { number: 2, .. },
                Event::Refreshed { .. },
                Event::Rejected { in_a_row: 1, .. },
            ]
        ),
        "{told:?}"
    );
    let retry = &told[1];
    assert_eq!(retry.error().unwrap().http_status().unwrap().as_u16(), 500);
    assert!(retry.delay().unwrap() <= Duration::from_millis(10));
}

fn a_source_of_tokens_is_an_object<C: Callers>() {
    let emulator = emulator(HOUR);
    let client = C::build(&emulator, Setup::default());
    let token = client.source().unwrap();
    assert!(client.token().unwrap() == token);
    assert!(client.source_rejects(&token) && !client.source_rejects(&token));
    let source: Box<dyn BlockingTokenSource> = Box::new(StaticToken::new(token.clone()));
    assert!(source.token().unwrap() == token && !source.reject(&token));
}

#[test]
fn a_cancelled_caller_takes_nothing_from_the_others() {
    let emulator = emulator(HOUR);
    emulator.script([Reply::token().delay(LATE)]);
    let Tasks { client, runtime } = Tasks::build(&emulator, Setup::default());
    runtime.block_on(async {
        let calls: Vec<_> = (0..10)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.token().await })
            })
            .collect();
        // Of a request, nothing tells but the count.
        while emulator.requests() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Whoever of these sent the request, it is not theirs.
        calls[..9].iter().for_each(tokio::task::JoinHandle::abort);
        let last = calls.into_iter().next_back().unwrap();
        last.await.unwrap().unwrap();
    });
    assert_eq!(emulator.requests(), 1);
}

#[test]
fn impatient_callers_of_a_slow_server_are_served_from_the_third_on() {
    let emulator = emulator(HOUR);
    emulator.script([Reply::token().delay(Duration::from_millis(100))]);
    let Tasks { client, runtime } = Tasks::build(&emulator, Setup::default());
    let cooldown = Duration::from_millis(50);
    let served: Vec<_> = runtime.block_on(async {
        let mut served = Vec::new();
        for _ in 0..10 {
            let begun = tokio::time::Instant::now();
            served.push(timeout(cooldown, client.token()).await.is_ok());
            tokio::time::sleep_until(begun + cooldown).await;
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
fn a_runtime_that_ends_in_mid_flight_leaves_the_next_caller_served() {
    let emulator = emulator(HOUR);
    emulator.script([Reply::stalled()]);
    let Tasks {
        client,
        runtime: first,
    } = Tasks::build(&emulator, Setup::default());
    let impatient = async { timeout(Duration::from_millis(50), client.token()).await };
    assert!(first.block_on(impatient).is_err());
    first.shutdown_background();
    let begun = Instant::now();
    runtime().block_on(client.token()).unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(emulator.requests(), 2);
}

/// A hit needs no runtime; nor does it wait for anything, so its future is ready at once.
#[test]
fn a_hit_is_ready_on_its_first_poll_outside_of_any_runtime() {
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

#[test]
fn a_runtime_that_has_ended_is_an_error() {
    let emulator = emulator(HOUR);
    let Tasks { client, runtime } = Tasks::build(&emulator, Setup::default());
    let handle = runtime.handle().clone();
    runtime.shutdown_background();
    let error = handle.block_on(client.token()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRuntime);
    assert_eq!(emulator.requests(), 0);
}

/// With the only thread for what blocks busy for as long as it runs.
fn busy<T>(call: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let (_until_dropped, cached) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || cached.recv());
    let result = runtime.block_on(call);
    runtime.shutdown_background();
    result
}

/// A platform's certificates are read from files, which would hold up all else on this thread; of
/// plain http there are none to be read.
#[test]
fn only_certificates_need_a_thread_for_what_blocks() {
    let emulator = emulator(HOUR);
    let mut config = Config::default();
    config.attempt_timeout = Duration::from_secs(2);
    config.attempts = 1;
    let Tasks { client, .. } = Tasks::build(&emulator, Setup::config(config.clone()));
    busy(client.token()).unwrap();

    let nobody = Endpoint::parse("https://127.0.0.1:1").unwrap();
    for (trusting_the_platform, expected) in [
        (true, TransportErrorKind::Timeout),
        (false, TransportErrorKind::Connect),
    ] {
        let builder = Client::builder(emulator.credentials().clone());
        let mut builder = builder.endpoint(nobody.clone()).config(config.clone());
        if !trusting_the_platform {
            builder = builder.root_certificate_der(Ca::new().der);
        }
        let error = busy(builder.build().unwrap().token()).unwrap_err();
        let expected = ErrorKind::Transport(expected);
        assert_eq!(error.kind(), expected, "{trusting_the_platform}");
    }
}

/// Without its drivers tokio panics in the middle of reqwest, or where a timer is made; a caller
/// gets an error.
#[test]
fn a_runtime_without_drivers_is_an_error() {
    let emulator = emulator(HOUR);
    let Tasks { client, .. } = Tasks::build(&emulator, Setup::default());
    for lame in [
        Builder::new_current_thread().enable_time().build().unwrap(),
        Builder::new_current_thread().enable_io().build().unwrap(),
        Builder::new_current_thread().build().unwrap(),
    ] {
        let error = lame.block_on(client.token()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoRuntime);
    }
}

#[test]
fn an_acquisition_ends_in_time_whatever_the_server_does() {
    let emulator = emulator(HOUR);
    emulator.script((0..9).map(|_| Reply::stalled()));
    let mut config = Config::default();
    config.attempt_timeout = Duration::from_millis(200);
    config.acquisition_timeout = Duration::from_millis(1900);
    config.backoff = Duration::from_millis(20);
    let client = Threads::build(&emulator, Setup::config(config));
    let begun = Instant::now();
    let error = client.token().unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Transport(TransportErrorKind::Timeout)
    );
    assert_eq!(error.attempts(), 3);
    assert!(begun.elapsed() < Duration::from_millis(1900));
}
